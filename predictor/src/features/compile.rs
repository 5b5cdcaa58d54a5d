//! From a schema and a task to a [`Plan`]. Nothing is declared per database: every choice follows from types and keys.
//!
//! # Which features are kept when there are too many
//!
//! Each feature has a tier; the first `features_max` in the order (tier, place in the plan) are kept and stay in the
//! plan's order. Tiers, most important first:
//!
//! 0. calendar, past targets, counts of the entity's streams, target atoms, streams of labels
//! 1. the entity's own columns and their relation to the parents' means
//! 2. of the entity's streams: last, mean of 10, mean of all
//! 3. their other number statistics
//! 4. categories of the entity's streams, columns of parents
//! 5. roll-ups
//! 6. streams of parents

use std::collections::BTreeSet;

use relational::{ColumnId, DataType, ForeignKeyId, Schema, TableId};

use super::FeatureOptions;
use super::codes::coded;
use super::columns::{categories, count_stats, number_stats, own_numbers, own_stats, rolled_numbers, rollups};
use super::names;
use super::plan::{
    Anchor, CategoryStat, Detail, Feature, LagStat, Number, NumberSource, NumberStat, OwnStat, Plan, RelativeStat,
    Span, Stream, link_name,
};
use super::subject::{Label, Subject};

/// Puts the plan together.
pub(crate) fn compile(schema: &Schema, subject: &Subject, options: &FeatureOptions) -> Plan {
    let plan = Plan {
        entity: subject.entity,
        anchors: Vec::new(),
        streams: Vec::new(),
        features: Vec::new(),
        names: Vec::new(),
        coded: Vec::new(),
    };
    let mut compiler = Compiler { schema, subject, plan, tiers: Vec::new() };
    compiler.anchor_rows();
    compiler.entity_streams();
    compiler.parent_streams();
    compiler.last_parents();
    compiler.calendar_features();
    compiler.own_features();
    for stream in 0..compiler.plan.streams.len() {
        compiler.stream_features(stream);
    }
    compiler.lag_features(options);
    compiler.relative_features();
    compiler.finish(options)
}

struct Compiler<'a> {
    schema: &'a Schema,
    subject: &'a Subject,
    plan: Plan,
    tiers: Vec<u8>,
}

impl Compiler<'_> {
    fn anchor_rows(&mut self) {
        self.plan.anchors.push(Anchor::Entity);
        let parents = self.schema.parents_of(self.subject.entity).map(|(id, _)| Anchor::Parent(id));
        self.plan.anchors.extend(parents);
    }

    /// One stream per foreign key that points at the entity, and one per child table that has several of them.
    fn entity_streams(&mut self) {
        let links: Vec<(ForeignKeyId, TableId)> =
            self.schema.children_of(self.subject.entity).map(|(id, link)| (id, link.child)).collect();
        // What hangs on a row without a time of its own would tell a row-level task what came after the row.
        let later = |child: TableId| {
            let timed = |table: TableId| self.schema.table(table).time.is_some();
            self.subject.is_static && timed(self.subject.entity) && !timed(child)
        };
        let links: Vec<(ForeignKeyId, TableId)> = links.into_iter().filter(|(_, child)| !later(*child)).collect();
        for (id, _) in &links {
            self.push_stream(0, vec![*id], Detail::Full, true);
        }
        let children: BTreeSet<TableId> = links.iter().map(|(_, child)| *child).collect();
        for child in children {
            let via: Vec<ForeignKeyId> = links.iter().filter(|link| link.1 == child).map(|link| link.0).collect();
            if via.len() > 1 {
                self.push_stream(0, via, Detail::Full, false);
            }
        }
    }

    /// For row-level tasks the earlier siblings are the history and get every statistic, with a stream of their labels.
    fn parent_streams(&mut self) {
        for anchor in 1..self.plan.anchors.len() {
            let Anchor::Parent(foreign_key) = self.plan.anchors[anchor] else { continue };
            let parent = self.schema.foreign_key(foreign_key).parent;
            let links: Vec<(ForeignKeyId, TableId)> =
                self.schema.children_of(parent).map(|(id, link)| (id, link.child)).collect();
            for (id, child) in links {
                let siblings = self.subject.is_static && child == self.subject.entity;
                let detail = if siblings { Detail::Full } else { Detail::Brief };
                self.push_stream(anchor, vec![id], detail, siblings);
                if siblings {
                    self.push_labels(anchor, id);
                }
            }
        }
    }

    /// Parents of the newest child row, each table once: first those of the table that the target is made of.
    fn last_parents(&mut self) {
        let mut order: Vec<usize> = (0..self.plan.streams.len())
            .filter(|place| self.plan.streams[*place].anchor == 0 && self.plan.streams[*place].via.len() == 1)
            .collect();
        order.sort_by_key(|place| Some(self.plan.streams[*place].child) != self.subject.atom_table);
        let mut seen = vec![self.subject.entity];
        for place in order {
            let child = self.plan.streams[place].child;
            let links: Vec<(ForeignKeyId, TableId)> =
                self.schema.parents_of(child).map(|(id, link)| (id, link.parent)).collect();
            for (foreign_key, parent) in links {
                if seen.contains(&parent) {
                    continue;
                }
                seen.push(parent);
                let anchor = self.plan.anchors.len();
                self.plan.anchors.push(Anchor::LastParent { stream: place, foreign_key });
                // A parent with a time is an event: its other children happened with the child itself.
                if self.schema.table(parent).time.is_none() {
                    let links: Vec<ForeignKeyId> = self.schema.children_of(parent).map(|(id, _)| id).collect();
                    for id in links {
                        self.push_stream(anchor, vec![id], Detail::Brief, false);
                    }
                }
            }
        }
    }

    fn push_stream(&mut self, anchor: usize, via: Vec<ForeignKeyId>, detail: Detail, rolled: bool) {
        let child = self.schema.foreign_key(via[0]).child;
        let timed = self.schema.table(child).time.is_some();
        let hidden: &[ColumnId] =
            if self.subject.is_static && child == self.subject.entity { &self.subject.masked } else { &[] };
        let prefix =
            format!("{}{}", names::anchor_prefix(self.schema, &self.plan, anchor), link_name(self.schema, &via));
        let rollups = if rolled { rollups(self.schema, child) } else { Vec::new() };
        let mut numbers = own_numbers(self.schema, child, hidden);
        let atoms = !self.subject.is_static && anchor == 0 && self.subject.atom_table == Some(child);
        if atoms {
            numbers.push(Number { name: "target".into(), source: NumberSource::Atom });
        }
        for (rollup, rolled) in rollups.iter().enumerate() {
            numbers.extend(rolled_numbers(self.schema, rollup, rolled));
        }
        let categories = categories(self.schema, child, &via, hidden);
        let detail = if timed { detail } else { Detail::Untimed };
        self.plan.streams.push(Stream {
            prefix,
            anchor,
            child,
            via,
            detail,
            labels: false,
            read: false,
            rolled: false,
            shift_micros: 0,
            numbers,
            categories,
            rollups,
        });
    }

    /// The labels of earlier siblings, as they became known.
    fn push_labels(&mut self, anchor: usize, link: ForeignKeyId) {
        let (numbers, categories) = match &self.subject.label {
            Label::Number(column) => (vec![NumberSource::Column(*column)], Vec::new()),
            Label::Category(column) => (Vec::new(), vec![vec![*column]]),
            Label::Target => (vec![NumberSource::Label], Vec::new()),
        };
        let before = names::anchor_prefix(self.schema, &self.plan, anchor);
        let timed = self.schema.table(self.subject.entity).time.is_some();
        self.plan.streams.push(Stream {
            prefix: format!("{before}label:{}", link_name(self.schema, &[link])),
            anchor,
            child: self.subject.entity,
            via: vec![link],
            detail: if timed { Detail::Full } else { Detail::Untimed },
            labels: true,
            read: true,
            rolled: false,
            shift_micros: self.subject.delay_micros,
            numbers: numbers.into_iter().map(|source| Number { name: "target".into(), source }).collect(),
            categories,
            rollups: Vec::new(),
        });
    }

    fn add(&mut self, tier: u8, feature: Feature) {
        self.plan.names.push(names::name(self.schema, &self.plan, &feature));
        self.plan.features.push(feature);
        self.tiers.push(tier);
    }

    fn calendar_features(&mut self) {
        for stat in names::calendar(self.subject.unit_micros) {
            self.add(0, Feature::Calendar(stat));
        }
    }

    fn own_features(&mut self) {
        for anchor in 0..self.plan.anchors.len() {
            let table = self.plan.table(self.schema, anchor);
            let tier = if anchor == 0 { 1 } else { 4 };
            let hidden: &[ColumnId] = if anchor == 0 { &self.subject.hidden } else { &[] };
            let stats: Vec<(ColumnId, OwnStat)> = own_stats(self.schema, table, hidden);
            for (column, stat) in stats {
                self.add(tier, Feature::Own { anchor, column, stat });
            }
        }
    }

    fn stream_features(&mut self, stream: usize) {
        let plan = self.plan.streams[stream].clone();
        let central = plan.anchor == 0 || plan.detail == Detail::Full;
        let labels = plan.labels;
        for stat in count_stats(plan.detail, labels && !plan.numbers.is_empty()) {
            self.add(if central { 0 } else { 6 }, Feature::Count { stream, stat });
        }
        for (number, column) in plan.numbers.iter().enumerate() {
            for stat in number_stats(plan.detail, column.source) {
                let core = matches!(stat, NumberStat::Last | NumberStat::MeanOf(10) | NumberStat::MeanIn(Span::All));
                let tier = match column.source {
                    _ if labels => 0,
                    _ if !central => 6,
                    NumberSource::Atom | NumberSource::Label => 0,
                    NumberSource::Rolled { .. } => 5,
                    NumberSource::Column(_) | NumberSource::Lag(_) if core => 2,
                    NumberSource::Column(_) | NumberSource::Lag(_) => 3,
                };
                self.add(tier, Feature::Number { stream, number, stat });
            }
        }
        if plan.detail == Detail::Full {
            for category in 0..plan.categories.len() {
                for stat in [CategoryStat::SameAsLast, CategoryStat::Top(0), CategoryStat::Top(1), CategoryStat::Top(2)]
                {
                    self.add(if labels { 0 } else { 4 }, Feature::Category { stream, category, stat });
                }
            }
        }
    }

    fn lag_features(&mut self, options: &FeatureOptions) {
        if self.subject.is_static {
            return;
        }
        let values = (0..options.lags).map(LagStat::Value);
        let ages = [0, 3].into_iter().filter(|place| *place < options.lags).map(LagStat::Age);
        let rest = [
            LagStat::MeanOf(3),
            LagStat::MeanOf(10),
            LagStat::Mean,
            LagStat::Deviation,
            LagStat::Min,
            LagStat::Max,
            LagStat::Count,
            LagStat::Fading,
        ];
        for stat in values.chain(ages).chain(rest) {
            self.add(0, Feature::Lag(stat));
        }
    }

    /// The row's own numbers against those of its earlier siblings.
    fn relative_features(&mut self) {
        if !self.subject.is_static {
            return;
        }
        for stream in 0..self.plan.streams.len() {
            let plan = self.plan.streams[stream].clone();
            if plan.child != self.subject.entity || plan.anchor == 0 || plan.detail == Detail::Brief {
                continue;
            }
            for (number, source) in plan.numbers.iter().enumerate() {
                let NumberSource::Column(column) = source.source else { continue };
                let own = &self.schema.table(plan.child).columns[usize::from(column.0)];
                if self.subject.hidden.contains(&column) || own.data_type == DataType::Bool {
                    continue;
                }
                for stat in [RelativeStat::Difference, RelativeStat::Ratio] {
                    self.add(1, Feature::Relative { stream, number, column, stat });
                }
            }
        }
    }

    fn finish(mut self, options: &FeatureOptions) -> Plan {
        let mut order: Vec<usize> = (0..self.plan.features.len()).collect();
        order.sort_by_key(|place| (self.tiers[*place], *place));
        order.truncate(options.features_max);
        order.sort_unstable();
        self.plan.features = order.iter().map(|place| self.plan.features[*place]).collect();
        self.plan.names = names::unique(order.iter().map(|place| self.plan.names[*place].clone()));
        self.mark_read();
        self.plan.coded = coded(self.schema, &self.plan, &self.subject.hidden, &self.subject.masked);
        self.plan
    }

    /// Streams and roll-ups that no kept feature needs are not read.
    fn mark_read(&mut self) {
        for feature in &self.plan.features {
            match *feature {
                Feature::Count { stream, .. } | Feature::Category { stream, .. } | Feature::Relative { stream, .. } => {
                    self.plan.streams[stream].read = true;
                }
                Feature::Number { stream, number, .. } => {
                    let of = &mut self.plan.streams[stream];
                    of.read = true;
                    of.rolled |= matches!(of.numbers[number].source, NumberSource::Rolled { .. });
                }
                Feature::Own { .. } | Feature::Calendar(_) | Feature::Lag(_) => {}
            }
        }
        let own = |anchor: usize| {
            self.plan.features.iter().any(|feature| matches!(feature, Feature::Own { anchor: of, .. } if *of == anchor))
        };
        let hangs = |anchor: usize| self.plan.streams.iter().any(|stream| stream.read && stream.anchor == anchor);
        let needed = self.plan.anchors.iter().enumerate().filter_map(|(place, anchor)| match anchor {
            Anchor::LastParent { stream, .. } if own(place) || hangs(place) => Some(*stream),
            _ => None,
        });
        let needed: Vec<usize> = needed.collect();
        for stream in needed {
            self.plan.streams[stream].read = true;
        }
    }
}
