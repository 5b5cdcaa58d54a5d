//! From the sampled subgraph of an entity to the rows that the relational model reads.
//!
//! Every table of the schema is a table of the model. Numbers, categories and times are its columns; identifiers, free
//! text and ignored columns are not read. Of the entity's own table, columns that the row which is asked for does not
//! show are left out altogether: the target's, and for row-level targets those that arrive after the row. Each example
//! has its own copy of every row, so that no example's label reaches another.

use std::hash::Hash;
use std::sync::Arc;

use graph_store::{Snapshot, Store};
use relational::{ColumnId, EventTime, Key, Row, Schema, SemanticType, TableId, Value};
use xxhash_rust::xxh3::Xxh3;

use crate::Error;
use crate::executor::Executor;
use crate::features::{Query, Subject};
use crate::model::{Graph, Link, Relationship, Sample, TableRows};
use crate::sampler::{SampleOptions, Sampler, Subgraph};

/// The neighbourhoods of one task's entities, compiled.
#[derive(Debug, Clone)]
pub struct Neighbourhoods {
    sampler: Sampler,
    schema: Arc<Schema>,
    entity: TableId,
    columns: Vec<Columns>,
    hops: usize,
}

/// The columns of one table that are read.
#[derive(Debug, Clone, Default)]
struct Columns {
    numbers: Vec<ColumnId>,
    categories: Vec<ColumnId>,
    times: Vec<ColumnId>,
}

/// One entity's rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood {
    /// A sample of one example.
    pub sample: Sample,
    /// Whether any row has more children than were taken.
    pub truncated: bool,
}

impl Neighbourhood {
    /// Equal digests mean equal rows.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut hasher = Xxh3::new();
        self.sample.anchors.hash(&mut hasher);
        for rows in &self.sample.tables {
            rows.count.hash(&mut hasher);
            rows.numbers.iter().flatten().for_each(|number| number.to_bits().hash(&mut hasher));
            rows.categories.hash(&mut hasher);
            rows.times.hash(&mut hasher);
        }
        for link in &self.sample.graph.links {
            (link.relationship, link.child, link.parent).hash(&mut hasher);
        }
        hasher.digest()
    }
}

impl Neighbourhoods {
    /// For the executor's task.
    #[must_use]
    pub fn new(executor: &Executor, options: &SampleOptions) -> Self {
        let (schema, subject) = (Arc::clone(executor.schema()), Subject::of(executor));
        let entity = subject.entity;
        let shown = |table: TableId, column: &ColumnId| table != entity || !subject.hidden.contains(column);
        let columns = schema.tables().map(|(id, table)| {
            let mut columns = Columns::default();
            for (column, of) in table.columns().filter(|(column, _)| shown(id, column)) {
                match of.semantic {
                    SemanticType::Number => columns.numbers.push(column),
                    SemanticType::Category => columns.categories.push(column),
                    SemanticType::Time => columns.times.push(column),
                    SemanticType::Text | SemanticType::Id | SemanticType::Ignore => {}
                }
            }
            columns
        });
        Self {
            columns: columns.collect(),
            sampler: Sampler::new(executor, options),
            entity,
            schema,
            hops: options.fanout.len(),
        }
    }

    /// What is sampled.
    #[must_use]
    pub fn sampler(&self) -> &Sampler {
        &self.sampler
    }

    /// How many foreign keys a row may be away from the entity.
    #[must_use]
    pub fn hops(&self) -> usize {
        self.hops
    }

    /// The schema's foreign keys, in their order.
    #[must_use]
    pub fn relationships(&self) -> Vec<Relationship> {
        let links = self.schema.foreign_keys();
        links.map(|(_, link)| Relationship { child: place(link.child), parent: place(link.parent) }).collect()
    }

    /// The rows of the query's entity; one row without values when it is not there.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn read(&self, store: &Store, query: &Query) -> Result<Neighbourhood, Error> {
        self.read_in(&store.as_of(query.as_of), &query.entity)
    }

    /// As [`Self::read`], of a snapshot that may lack a row.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn read_in(&self, snapshot: &Snapshot, entity: &Key) -> Result<Neighbourhood, Error> {
        let subgraph = self.sampler.sample_in(snapshot, entity)?;
        let truncated = subgraph.truncated();
        let mut sample = self.sample(&subgraph, snapshot.bounds().cutoff);
        if subgraph.nodes.is_empty() {
            let table = place(self.entity);
            let nothing = vec![Value::Null; self.schema.table(self.entity).columns.len()];
            self.columns[table].push(&Row::new(nothing), &mut sample.tables[table]);
            sample.graph.counts[table] = 1;
        }
        Ok(Neighbourhood { sample, truncated })
    }

    /// The columns that are read, by table.
    pub(crate) fn columns(&self) -> Vec<(TableId, ColumnId)> {
        let tables = self.schema.tables().zip(&self.columns);
        let read = tables.flat_map(|((table, _), columns)| {
            let all = columns.numbers.iter().chain(&columns.categories).chain(&columns.times);
            all.map(move |column| (table, *column))
        });
        read.collect()
    }

    /// The same rows, of which one column is missing.
    pub(crate) fn blind(&self, sample: &Sample, table: TableId, column: ColumnId) -> Sample {
        let mut sample = sample.clone();
        let (columns, rows) = (&self.columns[place(table)], &mut sample.tables[place(table)]);
        let find = |columns: &[ColumnId]| columns.iter().position(|of| *of == column);
        if let Some(place) = find(&columns.numbers) {
            rows.numbers[place].fill(f32::NAN);
        } else if let Some(place) = find(&columns.categories) {
            rows.categories[place].fill(Value::Null);
        } else if let Some(place) = find(&columns.times) {
            rows.times[place].fill(None);
        }
        sample
    }

    /// Puts samples of one example each one after another into one.
    #[must_use]
    pub fn together(&self, samples: &[Arc<Neighbourhood>]) -> Sample {
        // The columns of the samples, which may have more than the schema's.
        let mut tables: Vec<TableRows> = match samples.first() {
            Some(first) => first.sample.tables.iter().map(without_rows).collect(),
            None => self.columns.iter().map(Columns::empty).collect(),
        };
        let relationships = self.relationships();
        let mut all = Sample::default();
        for sample in samples.iter().map(|neighbourhood| &neighbourhood.sample) {
            let before: Vec<usize> = tables.iter().map(|rows| rows.count).collect();
            let shifted = |link: &Link| {
                let Relationship { child, parent } = relationships[link.relationship];
                Link { child: link.child + before[child], parent: link.parent + before[parent], ..*link }
            };
            all.graph.links.extend(sample.graph.links.iter().map(shifted));
            let start = before[place(self.entity)];
            all.graph.entities.extend(sample.graph.entities.iter().map(|row| start + row));
            all.anchors.extend(&sample.anchors);
            for (all, rows) in tables.iter_mut().zip(&sample.tables) {
                append(&mut all.numbers, &rows.numbers);
                append(&mut all.categories, &rows.categories);
                append(&mut all.times, &rows.times);
                all.count += rows.count;
            }
        }
        all.graph.counts = tables.iter().map(|rows| rows.count).collect();
        all.graph.entity_table = place(self.entity);
        all.task.count = all.anchors.len();
        Sample { tables, ..all }
    }

    fn sample(&self, subgraph: &Subgraph, anchor: EventTime) -> Sample {
        let mut tables: Vec<TableRows> = self.columns.iter().map(Columns::empty).collect();
        let mut places = Vec::with_capacity(subgraph.nodes.len());
        for node in &subgraph.nodes {
            let table = place(node.key.table);
            places.push(tables[table].count);
            self.columns[table].push(&node.row, &mut tables[table]);
        }
        let link = |edge: &crate::sampler::Edge| Link {
            relationship: usize::from(edge.foreign_key.0),
            child: places[edge.child],
            parent: places[edge.parent],
        };
        let graph = Graph {
            counts: tables.iter().map(|rows| rows.count).collect(),
            links: subgraph.edges.iter().map(link).collect(),
            entity_table: place(self.entity),
            entities: vec![0],
        };
        let task = TableRows { count: 1, ..TableRows::default() };
        Sample { graph, tables, anchors: vec![Some(anchor.0)], task }
    }
}

/// The same columns without a row.
fn without_rows(rows: &TableRows) -> TableRows {
    TableRows {
        count: 0,
        numbers: vec![Vec::new(); rows.numbers.len()],
        categories: vec![Vec::new(); rows.categories.len()],
        times: vec![Vec::new(); rows.times.len()],
    }
}

fn place(table: TableId) -> usize {
    usize::from(table.0)
}

impl Columns {
    fn empty(&self) -> TableRows {
        TableRows {
            count: 0,
            numbers: vec![Vec::new(); self.numbers.len()],
            categories: vec![Vec::new(); self.categories.len()],
            times: vec![Vec::new(); self.times.len()],
        }
    }

    fn push(&self, row: &Row, rows: &mut TableRows) {
        let value = |column: &ColumnId| &row.values()[usize::from(column.0)];
        rows.count += 1;
        for (column, numbers) in self.numbers.iter().zip(&mut rows.numbers) {
            #[expect(clippy::cast_possible_truncation, reason = "the model takes 32 bits")]
            let number = value(column).as_f64().map_or(f32::NAN, |number| number as f32);
            numbers.push(if number.is_finite() { number } else { f32::NAN });
        }
        for (column, categories) in self.categories.iter().zip(&mut rows.categories) {
            categories.push(value(column).clone());
        }
        for (column, times) in self.times.iter().zip(&mut rows.times) {
            times.push(value(column).as_time().map(|time| time.0));
        }
    }
}

fn append<T: Clone>(columns: &mut [Vec<T>], more: &[Vec<T>]) {
    columns.iter_mut().zip(more).for_each(|(column, more)| column.extend_from_slice(more));
}

#[cfg(test)]
mod tests {
    use relational::{AsOf, Sequence};

    use super::*;
    use crate::features::FeatureOptions;
    use crate::features::fixture::{HOUR, SHAPES, Shape, World};

    fn filled(shape: &Shape, seed: u64) -> (Neighbourhoods, World) {
        let featuriser = shape.featuriser(&FeatureOptions::default());
        let neighbourhoods = Neighbourhoods::new(featuriser.executor(), &SampleOptions { fanout: vec![3, 2] });
        let mut world = World::new(Arc::clone(&neighbourhoods.schema), seed);
        for _ in 0..120 {
            let change = world.change(0..30);
            world.apply(&[change]);
        }
        (neighbourhoods, world)
    }

    fn read(neighbourhoods: &Neighbourhoods, world: &World) -> Vec<Arc<Neighbourhood>> {
        let as_of = AsOf::historical(EventTime(30 * HOUR), Sequence::MAX);
        let keys = world.keys(neighbourhoods.entity).into_iter();
        keys.map(|entity| neighbourhoods.read(&world.store, &Query { entity, as_of }).map(Arc::new).unwrap()).collect()
    }

    #[test]
    fn nothing_after_the_cutoff_changes_a_neighbourhood() {
        for shape in SHAPES {
            let (neighbourhoods, mut world) = filled(shape, 11);
            let digests =
                |world: &World| -> Vec<u64> { read(&neighbourhoods, world).iter().map(|one| one.digest()).collect() };
            let before = digests(&world);
            for _ in 0..80 {
                let change = world.change(31..90);
                world.apply(&[change]);
            }
            assert_eq!(before, digests(&world), "{}", shape.name);
        }
    }

    #[test]
    fn the_target_and_late_columns_are_not_read_of_the_entitys_table() {
        let payments = SHAPES.iter().find(|shape| shape.name == "payments").expect("a shape");
        let (neighbourhoods, _) = filled(payments, 12);
        let table = neighbourhoods.schema.table(neighbourhoods.entity);
        let fraud = table.column("fraud").expect("the label");
        let Columns { numbers, categories, times } = &neighbourhoods.columns[place(neighbourhoods.entity)];
        assert!(![numbers, categories, times].iter().any(|columns| columns.contains(&fraud)));
        for (column, of) in table.columns().filter(|(_, of)| of.arrives_after > 0) {
            assert!(![numbers, categories, times].iter().any(|columns| columns.contains(&column)), "{}", of.name);
        }
    }

    #[test]
    fn samples_put_together_keep_their_links() {
        let (neighbourhoods, world) = filled(&SHAPES[0], 13);
        let parts = read(&neighbourhoods, &world);
        let all = neighbourhoods.together(&parts);
        let relationships = neighbourhoods.relationships();
        let edges = all.graph.edges(&relationships);
        let owners = all.graph.owners(&edges, neighbourhoods.hops());
        let rows: usize = parts.iter().map(|part| part.sample.graph.counts.iter().sum::<usize>()).sum();
        assert_eq!(owners.len(), rows);
        assert!(owners.iter().all(Option::is_some), "every row belongs to an example");
        for (example, part) in (0u32..).zip(&parts) {
            let owned = owners.iter().filter(|owner| **owner == Some(example)).count();
            assert_eq!(owned, part.sample.graph.counts.iter().sum::<usize>());
        }
    }
}
