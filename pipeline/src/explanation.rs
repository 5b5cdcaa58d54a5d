//! An explanation for programs, and for people.

use std::io;

use predictor::explain::{Explanation, Measure};
use relational::{EventTime, Key, Schema};
use serde_json::{Value as Json, json};
use sinks::key_text;

use crate::output;

/// Columns and rows that are shown to people.
const SHOWN: usize = 10;

/// All of an explanation: the fields are described in `docs/explanations.md`.
#[must_use]
pub fn to_json(explanation: &Explanation, schema: &Schema) -> Json {
    let measure = match &explanation.measure {
        Measure::Probability => json!("probability"),
        Measure::Class(class) => json!({ "class": key_json(&Key::single(class.clone())) }),
        Measure::Median => json!("median"),
    };
    let parts = explanation
        .parts
        .iter()
        .map(|part| json!({ "name": part.name, "weight": part.weight, "answer": part.answer, "share": part.share }));
    let columns = explanation.columns.iter().map(|column| {
        json!({ "column": column.column, "says": column.says, "without": column.without, "adds": column.adds })
    });
    let rows = explanation.rows.iter().map(|row| {
        let time = (row.time > EventTime::MIN).then(|| row.time.to_string());
        let table = &schema.table(row.row.table).name;
        let key = key_json(&row.row.key);
        json!({ "table": table, "key": key, "time": time, "without": row.without, "adds": row.adds })
    });
    json!({
        "sentence": explanation.sentence,
        "measure": measure,
        "score": explanation.score,
        "scale": explanation.measure.scale(),
        "parts": parts.collect::<Vec<_>>(),
        "columns": columns.collect::<Vec<_>>(),
        "columns_left_out": explanation.columns_left_out,
        "rows": rows.collect::<Vec<_>>(),
        "rows_left_out": explanation.rows_left_out,
    })
}

fn key_json(key: &Key) -> Json {
    serde_json::from_str(&key_text(key)).expect("a key's text is JSON")
}

/// Prints what matters most.
///
/// # Errors
///
/// When standard output is closed.
pub fn print(explanation: &Explanation, schema: &Schema) -> io::Result<()> {
    output::print_line(&format!("\n{}", explanation.sentence))?;
    let parts = explanation.parts.iter().map(|part| {
        let answer = part.answer.map_or_else(String::new, |answer| format!("{answer:.4}"));
        vec![part.name.clone(), format!("{:.2}", part.weight), answer, format!("{:+.4}", part.share)]
    });
    output::print_table(&["part", "weight", "says", explanation.measure.scale()], parts)?;
    let columns = explanation.columns.iter().take(SHOWN).map(|column| {
        vec![column.column.clone(), column.says.clone(), format!("{:.4}", column.without), signed(column.adds)]
    });
    output::print_table(&["column", "", "score without it", "it adds"], columns)?;
    tell_rest(explanation.columns.len(), explanation.columns_left_out, "columns")?;
    if explanation.rows.is_empty() {
        return Ok(());
    }
    let rows = explanation.rows.iter().take(SHOWN);
    let rows = rows.map(|row| vec![row.name(schema), format!("{:.4}", row.without), signed(row.adds)]);
    output::print_table(&["row", "score without it", "it adds"], rows)?;
    tell_rest(explanation.rows.len(), explanation.rows_left_out, "rows further away")
}

fn signed(adds: f64) -> String {
    format!("{adds:+.4}")
}

fn tell_rest(tried: usize, left_out: usize, what: &str) -> io::Result<()> {
    let less = tried.saturating_sub(SHOWN);
    if less > 0 {
        output::print_line(&format!("and {less} that matter less"))?;
    }
    if left_out > 0 {
        output::print_line(&format!("{} {what} were not taken away", output::count(left_out as u64)))?;
    }
    Ok(())
}
