//! Plots as SVG, which the page's style colours for light, dark and print.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// A curve with its name.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// What a plot shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plot {
    pub title: String,
    pub x: String,
    pub y: String,
    pub series: Vec<Series>,
    /// Whether points are marked.
    pub marked: bool,
    /// Whether a diagonal shows what chance, or perfect calibration, would be.
    pub diagonal: bool,
    /// Names of the places 0, 1, .. of the horizontal axis; numbers when empty.
    pub places: Vec<String>,
    /// Whether both axes go from 0 to 1.
    pub shares: bool,
}

const SIZE: (u32, u32) = (460, 340);
/// Where the names of lines stand, from the plot's upper left corner.
const LEGEND_LEFT: i32 = 60;
const LEGEND_LINE: i32 = 12;
/// How long a piece of each line stands before its name.
const LEGEND_PIECE: i32 = 24;

/// Colours that people with any colour vision tell apart (M. Okabe and K. Ito, 2008), and dashes for those who see none.
const STYLES: [(RGBColor, Option<(i32, i32)>); 6] = [
    (RGBColor(0, 114, 178), None),
    (RGBColor(213, 94, 0), Some((9, 4))),
    (RGBColor(0, 158, 115), Some((3, 3))),
    (RGBColor(110, 110, 110), Some((12, 3))),
    (RGBColor(204, 121, 167), Some((6, 2))),
    (RGBColor(230, 159, 0), Some((2, 5))),
];

/// Draws a plot; nothing without points.
pub(super) fn draw(plot: &Plot) -> Option<String> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let finite = points().next().is_some() && points().all(|(x, y)| x.is_finite() && y.is_finite());
    if !finite {
        return None;
    }
    let mut svg = String::new();
    let drawn = draw_on(&mut svg, plot, points);
    // The library fails on a back end that does; this one is a string.
    drawn.ok().map(|()| svg)
}

fn draw_on<'a, P: Iterator<Item = &'a (f64, f64)>>(
    svg: &mut String,
    plot: &Plot,
    points: impl Fn() -> P,
) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) = points().map(of).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
        let room = if high > low { 0.05 * (high - low) } else { 0.5 };
        (low - room, high + room)
    };
    let ((left, right), (bottom, top)) =
        if plot.shares { ((0.0, 1.0), (0.0, 1.0)) } else { (bounds(|point| point.0), bounds(|point| point.1)) };
    let mut chart = ChartBuilder::on(&root)
        .margin(10)
        .margin_top(28)
        .margin_right(20)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(left..right, bottom..top)?;
    let text = ("sans-serif", 14).into_font();
    let name_of = |place: &f64| -> String {
        if plot.places.is_empty() {
            return number(*place);
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place, checked to be whole")]
        let at = place.round().max(0.0) as usize;
        let is_place = (place - place.round()).abs() < 1e-6;
        plot.places.get(at).filter(|_| is_place).cloned().unwrap_or_default()
    };
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&name_of)
        .y_label_formatter(&|value| number(*value))
        .x_desc(plot.x.as_str())
        .y_desc(plot.y.as_str())
        .label_style(text.clone())
        .axis_desc_style(text.clone())
        .draw()?;
    if plot.diagonal {
        let ends = [(left.max(bottom), left.max(bottom)), (right.min(top), right.min(top))];
        chart.draw_series(LineSeries::new(ends, BLACK.mix(0.35)))?;
    }
    for (series, (colour, dash)) in plot.series.iter().zip(STYLES.iter().cycle()) {
        let stroke = colour.stroke_width(if dash.is_none() { 3 } else { 2 });
        let line = series.points.iter().copied();
        match dash {
            None => chart.draw_series(LineSeries::new(line, stroke))?,
            Some((on, off)) => chart.draw_series(DashedLineSeries::new(line, *on, *off, stroke))?,
        };
        if plot.marked {
            chart.draw_series(series.points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
        }
    }
    legend(&root, plot, text)?;
    root.present()?;
    Ok(())
}

/// Names behind a piece of their lines, in a row above the curves.
fn legend(
    root: &DrawingArea<SVGBackend<'_>, plotters::coord::Shift>,
    plot: &Plot,
    text: FontDesc<'_>,
) -> Result<(), Box<dyn std::error::Error>> {
    if plot.series.len() < 2 {
        return Ok(());
    }
    let style = TextStyle::from(text).pos(Pos::new(HPos::Left, VPos::Center));
    let room = (i32::try_from(SIZE.0)? - LEGEND_LEFT) / i32::try_from(plot.series.len())?;
    for ((series, (colour, dash)), place) in plot.series.iter().zip(STYLES.iter().cycle()).zip(0..) {
        let left = LEGEND_LEFT + place * room;
        let stroke = colour.stroke_width(if dash.is_none() { 3 } else { 2 });
        let piece = |from: i32, to: i32| PathElement::new([(from, LEGEND_LINE), (to, LEGEND_LINE)], stroke);
        let (on, off) = dash.unwrap_or((LEGEND_PIECE, 0));
        let mut from = left;
        while from < left + LEGEND_PIECE {
            root.draw(&piece(from, (from + on).min(left + LEGEND_PIECE)))?;
            from += on + off;
        }
        root.draw(&Text::new(series.name.clone(), (left + LEGEND_PIECE + 6, LEGEND_LINE), style.clone()))?;
    }
    Ok(())
}

/// Short, without needless noughts.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_its_names_and_none_without_points() {
        let line = |name: &str| Series { name: name.into(), points: vec![(0.0, 0.0), (1.0, 1.0)] };
        let plot = Plot {
            title: "t".into(),
            x: "false".into(),
            y: "true".into(),
            series: vec![line("one"), line("two")],
            marked: true,
            diagonal: true,
            places: Vec::new(),
            shares: true,
        };
        let svg = draw(&plot).expect("points");
        assert!(["one", "two", "false", "true", "#0072B2"].iter().all(|text| svg.contains(text)), "{svg}");
        assert_eq!(draw(&Plot { series: Vec::new(), ..plot.clone() }), None);
        let broken = Series { name: "nan".into(), points: vec![(0.0, f64::NAN)] };
        assert_eq!(draw(&Plot { series: vec![broken], ..plot }), None);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.5, 0.25, 12.0, 1234.5, 0.0].map(number), ["0.5", "0.25", "12", "1234", "0"]);
    }
}
