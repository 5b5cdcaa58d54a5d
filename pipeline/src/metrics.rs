//! Every metric: its name with its unit, its help, and where it is counted. Names follow
//! `foreshore_<name>_<unit>[_total]`.

use std::time::Duration;

use graph_store::Statistics;
use ingest::Delivery;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use relational::EventTime;
use sinks::Receipt;

use crate::engine::{Counts, Engine};
use crate::world::World;

/// Names for labels.
#[derive(Debug)]
pub struct Names {
    tables: Vec<String>,
    tasks: Vec<String>,
}

impl Names {
    /// The names of tables and tasks.
    #[must_use]
    pub fn new(world: &World) -> Self {
        Self {
            tables: world.schema.tables().map(|(_, table)| table.name.clone()).collect(),
            tasks: world.plans.iter().map(|plan| plan.task.name.clone()).collect(),
        }
    }

    /// Counts what the source delivered.
    pub fn delivered(&self, delivery: &Delivery) {
        counter!("foreshore_records_received_total")
            .increment((delivery.changes.len() + delivery.dead_letters.len()) as u64);
        #[expect(clippy::cast_precision_loss, reason = "a gauge for people")]
        gauge!("foreshore_partitions_behind").set(delivery.behind.len() as f64);
        gauge!("foreshore_source_waiting").set(f64::from(u8::from(delivery.waiting.is_some())));
        for (kind, count) in &delivery.set_aside {
            counter!("foreshore_records_set_aside_total", "kind" => *kind).increment(*count);
        }
        #[expect(clippy::cast_precision_loss, reason = "a gauge for people")]
        gauge!("foreshore_source_records_held").set(delivery.held as f64);
        for (reason, count) in &delivery.split {
            counter!("foreshore_source_transactions_split_total", "reason" => *reason).increment(*count);
        }
    }

    /// Counts what the engine did.
    pub fn counted(&self, counts: &Counts, engine: &Engine) {
        for ((table, op), count) in &counts.rows {
            let table = self.tables[usize::from(table.0)].clone();
            counter!("foreshore_rows_applied_total", "table" => table, "op" => *op).increment(*count);
        }
        for (table, count) in &counts.late {
            let table = self.tables[usize::from(table.0)].clone();
            counter!("foreshore_rows_late_total", "table" => table).increment(*count);
        }
        for ((topic, stage), count) in &counts.rejected {
            counter!("foreshore_records_rejected_total", "topic" => topic.clone(), "reason" => *stage)
                .increment(*count);
        }
        for (task, count) in &counts.scored {
            counter!("foreshore_rescores_total", "task" => self.tasks[*task].clone()).increment(*count);
        }
        for ((task, skip), count) in &counts.skipped {
            let task = self.tasks[*task].clone();
            counter!("foreshore_rescores_skipped_total", "task" => task, "reason" => skip.name()).increment(*count);
        }
        for (task, count) in &counts.swept {
            counter!("foreshore_entities_swept_total", "task" => self.tasks[*task].clone()).increment(*count);
        }
        counter!("foreshore_dedupe_hits_total").increment(counts.unchanged);
        counter!("foreshore_toast_carried_total").increment(counts.carried);
        #[expect(clippy::cast_precision_loss, reason = "gauges for people")]
        {
            gauge!("foreshore_dirty_entities").set(engine.waiting().len() as f64);
            gauge!("foreshore_sweeps_waiting").set(engine.sweeping() as f64);
        }
    }
}

/// Counts what the sink did.
pub fn published(receipt: &Receipt) {
    counter!("foreshore_transactions_total").increment(receipt.transactions);
    counter!("foreshore_transactions_repeated_total").increment(receipt.repeated);
}

/// Sets the gauges that are read from time to time.
#[expect(clippy::cast_precision_loss, reason = "gauges for people")]
pub fn observe(statistics: &Statistics, watermark: EventTime, now: EventTime, outbox: usize) {
    gauge!("foreshore_store_bytes").set(statistics.disk_bytes as f64);
    gauge!("foreshore_watermark_seconds").set(watermark.0 as f64 / 1e6);
    gauge!("foreshore_watermark_lag_seconds").set(now.since(watermark) as f64 / 1e6);
    gauge!("foreshore_outbox_pending").set(outbox as f64);
}

/// A context was encoded, or taken from its file.
#[expect(clippy::cast_precision_loss, reason = "a gauge for people")]
pub fn encoded(task: &str, bytes: usize) {
    gauge!("foreshore_context_bytes", "task" => task.to_owned()).set(bytes as f64);
}

/// The latencies of one round of `run` that made scores: from each change's commit in the source to its arrival
/// (`source`), to the store's commit with features and model (`apply`), to the sink's acknowledgement (`publish`), and
/// altogether.
pub fn round(known: &[EventTime], arrived: Option<EventTime>, applied: Duration, published: Duration) {
    let stage = |stage: &'static str| histogram!("foreshore_score_latency_seconds", "stage" => stage);
    stage("apply").record(applied.as_secs_f64());
    stage("publish").record(published.saturating_sub(applied).as_secs_f64());
    for known in known {
        let waited = arrived.map_or(0, |arrived| arrived.since(*known));
        let waited = Duration::from_micros(u64::try_from(waited).unwrap_or(0));
        stage("source").record(waited.as_secs_f64());
        histogram!("foreshore_freshness_seconds").record((waited + published).as_secs_f64());
    }
}

/// Tells the exporter what each metric means.
pub fn describe() {
    describe_counter!("foreshore_records_received_total", "records read from the source and decoded or refused");
    describe_counter!("foreshore_records_set_aside_total", "records recognised and set aside, by kind");
    describe_counter!(
        "foreshore_records_rejected_total",
        "records refused and kept as dead letters, by topic and stage"
    );
    describe_gauge!(
        "foreshore_source_waiting",
        "1 while the next record waits for the schema registry, or for a topic that matches"
    );
    describe_gauge!("foreshore_source_records_held", "records that wait for the rest of their transaction");
    describe_counter!(
        "foreshore_source_transactions_split_total",
        "transactions of the source that were not kept together, by reason"
    );
    describe_counter!("foreshore_rows_applied_total", "row versions written, by table and operation");
    describe_counter!("foreshore_rows_late_total", "row versions that came after the watermark had passed, by table");
    describe_counter!("foreshore_dedupe_hits_total", "changes that changed nothing");
    describe_counter!("foreshore_toast_carried_total", "cells carried over because the record did not hold them");
    describe_counter!("foreshore_rescores_total", "scores made, by task");
    describe_counter!("foreshore_rescores_skipped_total", "scores not made, by task and reason");
    describe_counter!("foreshore_entities_swept_total", "entities marked by sweeps of hubs, by task");
    describe_gauge!("foreshore_dirty_entities", "entities whose scores are out of date");
    describe_gauge!("foreshore_sweeps_waiting", "hubs whose other entities are still to be marked");
    describe_gauge!("foreshore_store_bytes", "bytes of the store on disk");
    describe_gauge!("foreshore_context_bytes", "bytes of the newest encoded context of kumo-relational, by task");
    describe_gauge!(
        "foreshore_watermark_seconds",
        "event time up to which the input is believed complete, in seconds since 1970"
    );
    describe_gauge!("foreshore_watermark_lag_seconds", "wall clock minus the watermark");
    describe_gauge!("foreshore_partitions_behind", "partitions that hold the watermark: not read to their end");
    describe_counter!("foreshore_transactions_total", "transactions of the sink that went through");
    describe_counter!("foreshore_transactions_repeated_total", "transactions of the sink that were repeated");
    describe_gauge!("foreshore_outbox_pending", "records decided but not yet acknowledged by the sink");
    describe_histogram!("foreshore_score_latency_seconds", "time of one round by stage: source, apply, publish");
    describe_histogram!("foreshore_freshness_seconds", "from a change's commit to the acknowledgement of its score");
}
