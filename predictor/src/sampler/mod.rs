//! The bounded temporal neighbourhood of an entity: the subgraph that a model reads.
//!
//! From the entity, each hop follows every foreign key to the parent it points at, and back to the newest children, at
//! most `fanout` of them along each foreign key. A row is in the subgraph once, at its least distance. What may be seen
//! is what features may see (see [`crate::features`]): for a row-level target only rows strictly before the row's own
//! time, and the row itself without its target.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use graph_store::{Snapshot, Store, Version};
use relational::{EventTime, ForeignKeyId, Key, Row, RowKey, Schema, TableId, Value, Window};

use crate::Error;
use crate::executor::Executor;
use crate::features::{Query, Subject};
use crate::read_set::{Path, Reach, Step};

/// How far and how wide samples reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleOptions {
    /// Newest children followed along each foreign key, one entry per hop. Later hops are never wider than earlier
    /// ones: an entry counts as the least so far.
    pub fanout: Vec<usize>,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { fanout: vec![16, 8] }
    }
}

/// One row of a subgraph.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The row's name.
    pub key: RowKey,
    /// Its values; those that the target is made of are null in the row that is predicted for.
    pub row: Row,
    /// Its own time.
    pub time: EventTime,
    /// Steps from the entity.
    pub hop: u8,
    /// Whether it has more children than were taken.
    pub capped: bool,
}

/// One foreign key between two rows of a subgraph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    /// Which foreign key.
    pub foreign_key: ForeignKeyId,
    /// Place of the row that holds it.
    pub child: usize,
    /// Place of the row that it points at.
    pub parent: usize,
}

/// The bounded neighbourhood of one entity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subgraph {
    /// The entity first, then by distance; none when the entity is not there.
    pub nodes: Vec<Node>,
    /// Every foreign key that was followed, in order, each once.
    pub edges: Vec<Edge>,
}

impl Subgraph {
    /// Whether any row has more children than were taken.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.nodes.iter().any(|node| node.capped)
    }
}

/// Samples for one task, compiled.
#[derive(Debug, Clone)]
pub struct Sampler {
    schema: Arc<Schema>,
    subject: Subject,
    fanout: Vec<usize>,
}

impl Sampler {
    /// For the executor's task.
    #[must_use]
    pub fn new(executor: &Executor, options: &SampleOptions) -> Self {
        let least = |so_far: &mut usize, fanout: &usize| {
            *so_far = (*so_far).min(*fanout);
            Some(*so_far)
        };
        let fanout = options.fanout.iter().scan(usize::MAX, least).collect();
        Self { schema: Arc::clone(executor.schema()), subject: Subject::of(executor), fanout }
    }

    /// The neighbourhood of the query's entity.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn sample(&self, store: &Store, query: &Query) -> Result<Subgraph, Error> {
        self.sample_in(&store.as_of(query.as_of), &query.entity)
    }

    /// As [`Self::sample`], of a snapshot that may lack a row.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    pub fn sample_in(&self, snapshot: &Snapshot, entity: &Key) -> Result<Subgraph, Error> {
        let entity = RowKey { table: self.subject.entity, key: entity.clone() };
        let Some(version) = snapshot.row(&entity)? else { return Ok(Subgraph::default()) };
        let end = self.subject.end(snapshot.bounds().cutoff, &version);
        let mut growth = Growth { sampler: self, snapshot, end, graph: Subgraph::default(), places: BTreeMap::new() };
        growth.place(entity, version, 0);
        let mut from = 0;
        for (hop, fanout) in (1u8..).zip(&self.fanout) {
            let to = growth.graph.nodes.len();
            for place in from..to {
                growth.parents(place, hop)?;
                growth.children(place, hop, *fanout)?;
            }
            from = to;
        }
        growth.graph.edges.sort_unstable();
        growth.graph.edges.dedup();
        let hidden = &self.subject.hidden;
        let own = &mut growth.graph.nodes[0];
        let masked = own.row.values().iter().enumerate().map(|(column, value)| {
            if hidden.iter().any(|id| usize::from(id.0) == column) { Value::Null } else { value.clone() }
        });
        own.row = Row::new(masked.collect::<Vec<_>>());
        Ok(growth.graph)
    }

    /// Every way that a sample follows.
    pub(crate) fn paths(&self) -> Vec<Path> {
        let mut paths = vec![Path { steps: Vec::new() }];
        let mut from = 0;
        for fanout in &self.fanout {
            let to = paths.len();
            for place in from..to {
                let before = paths[place].steps.clone();
                let table = paths[place].table(&self.schema, self.subject.entity);
                let ups = self.schema.parents_of(table).map(|(id, _)| Step::Up(id));
                let downs = self.schema.children_of(table).map(|(id, _)| Step::Down(id, Reach::Newest(*fanout)));
                // Straight back up leads to where the walk came from.
                let back =
                    |step: &Step| matches!((before.last(), step), (Some(Step::Down(a, _)), Step::Up(b)) if a == b);
                let steps: Vec<Step> = ups.chain(downs).filter(|step| !back(step)).collect();
                paths.extend(steps.into_iter().map(|step| Path { steps: [&before[..], &[step]].concat() }));
            }
            from = to;
        }
        paths
    }
}

/// A subgraph that is being grown.
struct Growth<'a> {
    sampler: &'a Sampler,
    snapshot: &'a Snapshot,
    end: EventTime,
    graph: Subgraph,
    places: BTreeMap<RowKey, usize>,
}

impl Growth<'_> {
    fn place(&mut self, key: RowKey, version: Version, hop: u8) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.graph.nodes.len();
        self.places.insert(key.clone(), place);
        self.graph.nodes.push(Node { key, row: version.row, time: version.time, hop, capped: false });
        place
    }

    fn parents(&mut self, child: usize, hop: u8) -> Result<(), Error> {
        let links: Vec<(ForeignKeyId, TableId, Option<Key>)> = {
            let node = &self.graph.nodes[child];
            let links = self.sampler.schema.parents_of(node.key.table);
            links.map(|(id, link)| (id, link.parent, Key::of(&node.row, &link.columns))).collect()
        };
        for (foreign_key, table, key) in links {
            let Some(key) = key.map(|key| RowKey { table, key }) else { continue };
            let Some(version) = self.snapshot.row(&key)? else { continue };
            let parent = self.place(key, version, hop);
            self.graph.edges.push(Edge { foreign_key, child, parent });
        }
        Ok(())
    }

    fn children(&mut self, parent: usize, hop: u8, fanout: usize) -> Result<(), Error> {
        let RowKey { table, key } = self.graph.nodes[parent].key.clone();
        let links: Vec<(ForeignKeyId, TableId)> =
            self.sampler.schema.children_of(table).map(|(id, link)| (id, link.child)).collect();
        for (foreign_key, table) in links {
            let children = self.snapshot.children(foreign_key, &key)?;
            let rows = children.newest(Window::up_to(self.end), fanout.saturating_add(1))?;
            self.graph.nodes[parent].capped |= rows.len() > fanout;
            for version in rows.into_iter().take(fanout) {
                let key = RowKey { table, key: version.key.clone() };
                let child = self.place(key, version, hop);
                self.graph.edges.push(Edge { foreign_key, child, parent });
            }
        }
        Ok(())
    }
}
