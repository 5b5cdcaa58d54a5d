//! Reads plain tables to their end and says how fast. Arguments: `name=file[,key=COLUMN][,time=COLUMN][,late=COLUMN]
//! [,COLUMN>parent]` per table; a table without a file is only implied.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ingest::Source;
use ingest::files::{ColumnOverride, TableFile, TableFiles, infer};
use relational::EventTime;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tables: Vec<TableFile> = std::env::args().skip(1).map(|argument| table(&argument)).collect();
    let started = Instant::now();
    let schema = Arc::new(infer(&tables)?);
    for (_, table) in schema.tables() {
        eprintln!("{}", table.name);
        for column in &table.columns {
            eprintln!("    {} {} {:?}", column.name, column.data_type.name(), column.semantic);
        }
    }
    eprintln!("inferred in {:?}", started.elapsed());
    let started = Instant::now();
    let mut source = TableFiles::open(&tables, schema)?;
    eprintln!("opened in {:?}", started.elapsed());
    let started = Instant::now();
    let (mut changes, mut dead_letters) = (0, 0);
    loop {
        let delivery = source.poll(1_000, Duration::ZERO)?;
        changes += delivery.changes.len();
        dead_letters += delivery.dead_letters.len();
        if let Some(letter) = delivery.dead_letters.first() {
            eprintln!("{}: {}", letter.position, letter.reason);
        }
        if delivery.caught_up {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{changes} changes, {dead_letters} dead letters in {seconds:.3} s");
    let status = std::fs::read_to_string("/proc/self/status")?;
    eprintln!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}

fn table(argument: &str) -> TableFile {
    let mut parts = argument.split(',');
    let (name, file) = parts.next().and_then(|first| first.split_once('=')).unwrap_or((argument, ""));
    let mut table = TableFile { table: name.into(), ..TableFile::default() };
    table.paths.extend((!file.is_empty()).then(|| file.into()));
    for part in parts {
        match (part.split_once('='), part.split_once('>')) {
            (Some(("key", column)), _) => table.key.push(column.into()),
            (Some(("time", column)), _) => table.time = Some(column.into()),
            (Some(("late", column)), _) => {
                let late = ColumnOverride { arrives_after: Some(7 * EventTime::DAY), ..ColumnOverride::default() };
                table.columns.insert(column.into(), late);
            }
            (_, Some((column, parent))) => table.foreign_keys.push((vec![column.into()], parent.into())),
            _ => eprintln!("`{part}` is not understood"),
        }
    }
    table
}
