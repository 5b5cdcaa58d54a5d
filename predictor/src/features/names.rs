//! Feature names: stable, readable and unique.
//!
//! `results@driverId` is the stream of results that point at the entity by `driverId`; `.points:mean10` the mean of its
//! points over the newest 10 rows; `#n3h` how many rows lie in the last three units of time; `lag0` the newest past
//! target; `>circuits@circuitId` steps to a parent.

use std::collections::BTreeMap;

use relational::{EventTime, Schema};

use super::plan::{
    Anchor, CalendarStat, CategoryStat, CountStat, Feature, LagStat, NumberStat, OwnStat, Plan, RelativeStat, Span,
    column_names, columns_joined,
};

/// The name of one feature of a plan.
pub(crate) fn name(schema: &Schema, plan: &Plan, feature: &Feature) -> String {
    match feature {
        Feature::Calendar(stat) => calendar_name(*stat).into(),
        Feature::Own { anchor, column, stat } => {
            let table = plan.table(schema, *anchor);
            let column = columns_joined(schema, table, &[*column]);
            let anchor = if *anchor == 0 {
                schema.table(table).name.clone()
            } else {
                anchor_prefix(schema, plan, *anchor).trim_end_matches('<').to_owned()
            };
            format!("{anchor}.{column}{}", own_suffix(*stat))
        }
        Feature::Count { stream, stat } => format!("{}{}", plan.streams[*stream].prefix, count_suffix(*stat)),
        Feature::Number { stream, number, stat } => {
            let of = &plan.streams[*stream];
            format!("{}.{}:{}", of.prefix, of.numbers[*number].name, number_suffix(*stat))
        }
        Feature::Category { stream, category, stat } => {
            let of = &plan.streams[*stream];
            let columns = columns_joined(schema, of.child, &of.categories[*category]);
            match stat {
                CategoryStat::SameAsLast => format!("{}.{columns}:same10", of.prefix),
                CategoryStat::Top(rank) => format!("{}.{columns}=top{rank}:share10", of.prefix),
            }
        }
        Feature::Lag(stat) => lag_name(*stat),
        Feature::Relative { stream, number, stat, .. } => {
            let of = &plan.streams[*stream];
            let operation = match stat {
                RelativeStat::Difference => "-mean10",
                RelativeStat::Ratio => "/mean",
            };
            format!("{}.{}:own{operation}", of.prefix, of.numbers[*number].name)
        }
    }
}

/// What the names of an anchor's streams start with: nothing for the entity.
pub(crate) fn anchor_prefix(schema: &Schema, plan: &Plan, anchor: usize) -> String {
    let step = |foreign_key| {
        let parent = schema.foreign_key(foreign_key).parent;
        format!(">{}@{}<", schema.table(parent).name, column_names(schema, foreign_key))
    };
    match plan.anchors[anchor] {
        Anchor::Entity => String::new(),
        Anchor::Parent(foreign_key) => step(foreign_key),
        Anchor::LastParent { stream, foreign_key } => {
            format!("{}{}", plan.streams[stream].prefix, step(foreign_key))
        }
    }
}

/// The calendar features of tasks with this unit of time: the time of the day and the weekday matter when the unit is a
/// week or less.
pub(crate) fn calendar(unit_micros: i64) -> Vec<CalendarStat> {
    let mut stats = vec![CalendarStat::YearSin, CalendarStat::YearCos];
    if unit_micros <= 7 * EventTime::DAY {
        stats.extend([CalendarStat::DaySin, CalendarStat::DayCos, CalendarStat::Weekday]);
    }
    stats
}

/// Names that would be equal get a number.
pub(crate) fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut result: Vec<String> = Vec::new();
    for name in names {
        let mut candidate = name.clone();
        while let Some(count) = seen.get_mut(&candidate) {
            *count += 1;
            candidate = format!("{candidate}~{count}");
        }
        seen.insert(candidate.clone(), 1);
        result.push(candidate);
    }
    result
}

fn calendar_name(stat: CalendarStat) -> &'static str {
    match stat {
        CalendarStat::YearSin => "cal:year_sin",
        CalendarStat::YearCos => "cal:year_cos",
        CalendarStat::DaySin => "cal:day_sin",
        CalendarStat::DayCos => "cal:day_cos",
        CalendarStat::Weekday => "cal:weekday",
    }
}

fn own_suffix(stat: OwnStat) -> String {
    match stat {
        OwnStat::Value => String::new(),
        OwnStat::Age => ":age".into(),
        OwnStat::Frequency => ":freq".into(),
        OwnStat::Code => ":code".into(),
        OwnStat::Is(rank) => format!("=top{rank}"),
        OwnStat::Length => ":length".into(),
    }
}

fn span(span: Span) -> &'static str {
    match span {
        Span::All => "",
        Span::Quarter => ".25h",
        Span::One => "1h",
        Span::Three => "3h",
        Span::Twelve => "12h",
    }
}

fn count_suffix(stat: CountStat) -> String {
    match stat {
        CountStat::Rows(window) => format!("#n{}", span(window)),
        CountStat::Since(1) => "#recency".into(),
        CountStat::Since(place) => format!("#since{place}"),
        CountStat::First => "#first".into(),
        CountStat::SinceOverGap => "#recency/gap".into(),
        CountStat::SincePositive => "#since_positive".into(),
    }
}

fn number_suffix(stat: NumberStat) -> String {
    match stat {
        NumberStat::Last => "last".into(),
        NumberStat::MeanOf(rows) => format!("mean{rows}"),
        NumberStat::MeanIn(window) => format!("mean{}", span(window)),
        NumberStat::Min => "min10".into(),
        NumberStat::Max => "max10".into(),
        NumberStat::Deviation => "std10".into(),
        NumberStat::SumIn(window) => format!("sum{}", span(window)),
    }
}

fn lag_name(stat: LagStat) -> String {
    match stat {
        LagStat::Value(place) => format!("lag{place}"),
        LagStat::Age(place) => format!("lag{place}:age"),
        LagStat::MeanOf(count) => format!("lag:mean{count}"),
        LagStat::Mean => "lag:mean".into(),
        LagStat::Deviation => "lag:std".into(),
        LagStat::Min => "lag:min".into(),
        LagStat::Max => "lag:max".into(),
        LagStat::Count => "lag:n".into(),
        LagStat::Fading => "lag:fading".into(),
    }
}
