//! Rows of several tables and the keys between them, and which example each row belongs to.

/// One foreign key between two rows. Places count within the rows' own tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Which of the schema's foreign keys.
    pub relationship: usize,
    /// The row that holds the key.
    pub child: usize,
    /// The row that it points at.
    pub parent: usize,
}

/// A foreign key of the schema: which tables it joins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relationship {
    /// The table that holds the key.
    pub child: usize,
    /// The table that it points at.
    pub parent: usize,
}

/// The keys between the rows of some examples. The neighbourhoods of different examples share no row.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Rows of each table.
    pub counts: Vec<usize>,
    /// The keys.
    pub links: Vec<Link>,
    /// The table of the entities.
    pub entity_table: usize,
    /// For each example its row in that table.
    pub entities: Vec<usize>,
}

/// Both directions of every link, by the row that they lead to.
#[derive(Debug, Clone)]
pub(crate) struct Edges {
    /// For each row the start of its edges; one entry more than rows.
    pub(super) offsets: Vec<usize>,
    /// Where each edge comes from.
    pub(super) sources: Vec<usize>,
    /// Its type: twice the relationship, and one more against the key's direction.
    pub(super) kinds: Vec<usize>,
}

impl Graph {
    /// The first row of each table when all tables stand one after another, and their number last.
    pub(super) fn starts(&self) -> Vec<usize> {
        let mut starts = vec![0];
        self.counts.iter().for_each(|count| starts.push(starts[starts.len() - 1] + count));
        starts
    }

    /// The entities' rows among all rows.
    pub(super) fn entities(&self) -> Vec<usize> {
        let start = self.starts()[self.entity_table];
        self.entities.iter().map(|row| start + row).collect()
    }

    /// Links of other tables' rows are left out.
    pub(crate) fn edges(&self, relationships: &[Relationship]) -> Edges {
        let starts = self.starts();
        let mut edges: Vec<(usize, usize, usize)> = Vec::with_capacity(2 * self.links.len());
        for (kind, Relationship { child, parent }) in relationships.iter().enumerate() {
            let links = self.links.iter().filter(|link| link.relationship == kind);
            let ends: Vec<(usize, usize)> =
                links.map(|link| (starts[*child] + link.child, starts[*parent] + link.parent)).collect();
            edges.extend(ends.iter().map(|(child, parent)| (*parent, *child, 2 * kind)));
            edges.extend(ends.iter().map(|(child, parent)| (*child, *parent, 2 * kind + 1)));
        }
        edges.sort_by_key(|(target, ..)| *target);
        let rows = starts[starts.len() - 1];
        let offsets = (0..=rows).map(|row| edges.partition_point(|(target, ..)| *target < row)).collect();
        let (sources, kinds) = edges.into_iter().map(|(_, source, kind)| (source, kind)).unzip();
        Edges { offsets, sources, kinds }
    }

    /// The example that each row belongs to, table by table: found by walking `hops` keys from the entities.
    pub(crate) fn owners(&self, edges: &Edges, hops: usize) -> Vec<Option<u32>> {
        let rows = edges.offsets.len() - 1;
        let mut owners: Vec<Option<u32>> = vec![None; rows];
        let entities = self.entities();
        (0u32..).zip(&entities).for_each(|(example, row)| owners[*row] = Some(example));
        let mut frontier = vec![false; rows];
        entities.iter().for_each(|row| frontier[*row] = true);
        for _ in 0..hops {
            let reached = |row: usize| {
                let sources = &edges.sources[edges.offsets[row]..edges.offsets[row + 1]];
                sources.iter().rev().find(|source| frontier[**source]).and_then(|source| owners[*source])
            };
            let new: Vec<(usize, u32)> = (0..rows)
                .filter(|row| owners[*row].is_none())
                .filter_map(|row| reached(row).map(|owner| (row, owner)))
                .collect();
            frontier.fill(false);
            for (row, owner) in new {
                owners[row] = Some(owner);
                frontier[row] = true;
            }
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two users; orders 0 and 1 of the first, 2 of the second, 3 of nobody; one item below order 1.
    fn graph() -> (Graph, [Relationship; 2]) {
        let link = |relationship, child, parent| Link { relationship, child, parent };
        let links = vec![link(0, 0, 0), link(0, 1, 0), link(0, 2, 1), link(1, 1, 0)];
        let graph = Graph { counts: vec![2, 4, 1], links, entity_table: 0, entities: vec![1, 0] };
        (graph, [Relationship { child: 1, parent: 0 }, Relationship { child: 1, parent: 2 }])
    }

    #[test]
    fn labels_spread_as_far_as_there_are_hops() {
        let (graph, relationships) = graph();
        let edges = graph.edges(&relationships);
        let one = [Some(1), Some(0), Some(1), Some(1), Some(0), None, None];
        assert_eq!(graph.owners(&edges, 1), one);
        assert_eq!(graph.owners(&edges, 2)[6], Some(1));
        assert_eq!(graph.owners(&edges, 0), [Some(1), Some(0), None, None, None, None, None]);
    }

    #[test]
    fn every_link_is_an_edge_each_way() {
        let (graph, relationships) = graph();
        let edges = graph.edges(&relationships);
        assert_eq!(edges.offsets, [0, 2, 3, 4, 6, 7, 7, 8]);
        assert_eq!(edges.sources[..2], [2, 3], "the first user is reached from both orders");
        assert_eq!(edges.kinds[6..], [1, 2], "the second user's order along its key, the item from its order");
    }
}
