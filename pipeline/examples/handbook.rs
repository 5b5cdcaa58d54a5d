//! The test rows of the Fraud Detection Handbook's card payments: those of 2018-08-08 to 08-14, less those of customers
//! whose cards were known to be compromised (from frauds of 2018-07-25 on, as far as a week's delay lets them be known).
//!
//! Arguments: the config file, and the file to write: payment, time, and whether it was fraud.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Duration;

use pipeline::cli::Common;
use pipeline::world::World;
use relational::{Cell, EventTime, Key, Op, Value};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let config = arguments.next().ok_or("which config?")?;
    let out = arguments.next().ok_or("which file to write?")?;
    let world = World::load(&Common { config: config.into(), store: None })?;
    let table = world.schema.table_named("transactions").ok_or("there is no table transactions")?;
    let column = |name: &str| world.schema.table(table).column(name).ok_or_else(|| format!("no column {name}"));
    let (time, customer, fraud) = (column("TX_DATETIME")?, column("CUSTOMER_ID")?, column("TX_FRAUD")?);
    let day = |date: &str| EventTime::parse(date).expect("a date").0.div_euclid(EventTime::DAY);
    let (train, test) = (day("2018-07-25"), day("2018-08-08"));
    let mut payments: BTreeMap<Key, (EventTime, Value, bool)> = BTreeMap::new();
    let mut source = world.source()?;
    loop {
        let delivery = source.poll(10_000, Duration::ZERO)?;
        let changes: Vec<_> = delivery.changes.into_iter().filter(|change| change.table == table).collect();
        for change in changes {
            let (Op::Upsert(cells) | Op::Snapshot(cells)) = &change.op else { continue };
            let value = |column: relational::ColumnId| match &cells[usize::from(column.0)] {
                Cell::Value(value) => value.clone(),
                Cell::Unchanged => Value::Null,
            };
            let is_fraud = value(fraud).as_f64().is_some_and(|number| number > 0.5);
            let payment = payments.entry(change.key).or_insert((EventTime::MIN, Value::Null, false));
            payment.2 = is_fraud;
            if let (Value::Time(at), who @ (Value::Int(_) | Value::Text(_))) = (value(time), value(customer)) {
                (payment.0, payment.1) = (at, who);
            }
        }
        if delivery.caught_up {
            break;
        }
    }
    let day_of = |at: &EventTime| at.0.div_euclid(EventTime::DAY);
    let mut rows: Vec<_> = payments.into_iter().collect();
    rows.sort_by_key(|(_, (at, ..))| *at);
    let frauds = |days: std::ops::Range<i64>| {
        let of_days = rows.iter().filter(move |(_, (at, _, fraud))| *fraud && days.contains(&day_of(at)));
        of_days.map(|(_, (_, who, _))| who.clone()).collect::<BTreeSet<Value>>()
    };
    let mut out = BufWriter::new(File::create(out)?);
    writeln!(out, "TRANSACTION_ID,TX_DATETIME,TX_FRAUD")?;
    for number in 0..7 {
        let mut known = frauds(train..train + 7);
        known.extend((0..=number).flat_map(|earlier| frauds(train + 6 + earlier..train + 7 + earlier)));
        for (key, (at, who, fraud)) in rows.iter().filter(|(_, (at, ..))| day_of(at) == test + number) {
            if !known.contains(who) {
                writeln!(out, "{key},{at},{}", u8::from(*fraud))?;
            }
        }
    }
    Ok(())
}
