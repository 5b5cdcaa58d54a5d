use std::collections::BTreeSet;

use graph_store::Store;
use relational::{AsOf, Sequence};

use crate::features::fixture::{HOUR, SHAPES, Shape, World, at};
use crate::features::{FeatureOptions, Featuriser};

use super::*;

fn sampler(shape: &Shape, fanout: &[usize]) -> (Sampler, Featuriser) {
    let featuriser = shape.featuriser(&FeatureOptions::default());
    (Sampler::new(featuriser.executor(), &SampleOptions { fanout: fanout.to_vec() }), featuriser)
}

fn filled(sampler: &Sampler, seed: u64, changes: usize) -> World {
    let mut world = World::new(Arc::clone(&sampler.schema), seed);
    for _ in 0..changes {
        let change = world.change(0..50);
        world.apply(&[change]);
    }
    world
}

fn samples(sampler: &Sampler, world: &World, as_of: AsOf) -> Vec<Subgraph> {
    let keys = world.keys(sampler.subject.entity).into_iter();
    keys.map(|entity| sampler.sample(&world.store, &Query { entity, as_of }).expect("a sample")).collect()
}

/// The newest rows that point at a row, as many as the fan-out, and whether there are more.
fn newest(sampler: &Sampler, store: &Store, parent: &Node, link: ForeignKeyId, fanout: usize) -> (BTreeSet<Key>, bool) {
    let children = store.as_of(at(50)).children(link, &parent.key.key).expect("children");
    let end = Window::up_to(at(50).cutoff);
    assert_eq!(sampler.schema.foreign_key(link).parent, parent.key.table);
    let rows = children.newest(end, usize::MAX).expect("children");
    (rows.iter().take(fanout).map(|version| version.key.clone()).collect(), rows.len() > fanout)
}

#[test]
fn the_newest_children_are_taken_and_hubs_are_flagged() {
    for shape in SHAPES.iter().filter(|shape| shape.name != "payments") {
        let (sampler, _) = sampler(shape, &[2]);
        let world = filled(&sampler, 7, 150);
        let mut capped = 0;
        for graph in samples(&sampler, &world, at(50)) {
            let Some(entity) = graph.nodes.first() else { continue };
            let mut more = false;
            for (link, _) in sampler.schema.children_of(entity.key.table) {
                let (expected, cut) = newest(&sampler, &world.store, entity, link, 2);
                more |= cut;
                let down = graph.edges.iter().filter(|edge| edge.foreign_key == link && edge.parent == 0);
                let mut found: BTreeSet<Key> = down.map(|edge| graph.nodes[edge.child].key.key.clone()).collect();
                // A row that points at itself is its own parent, however many newer children there are.
                found.retain(|key| expected.contains(key) || *key != entity.key.key);
                assert_eq!(found, expected, "{}", shape.name);
            }
            assert_eq!(entity.capped, more, "{}", shape.name);
            capped += usize::from(graph.truncated());
        }
        assert!(capped > 0, "{}: no hub was met", shape.name);
    }
}

#[test]
fn every_row_is_there_once_and_nothing_is_from_the_future() {
    for shape in SHAPES {
        let (sampler, _) = sampler(shape, &[3, 2]);
        let world = filled(&sampler, 3, 100);
        for graph in samples(&sampler, &world, at(30)) {
            let keys: BTreeSet<&RowKey> = graph.nodes.iter().map(|node| &node.key).collect();
            assert_eq!(keys.len(), graph.nodes.len(), "{}", shape.name);
            assert!(graph.nodes.iter().all(|node| node.time <= at(30).cutoff), "{}", shape.name);
            assert!(graph.nodes.is_sorted_by_key(|node| node.hop), "{}", shape.name);
            for edge in &graph.edges {
                let link = sampler.schema.foreign_key(edge.foreign_key);
                let named = Key::of(&graph.nodes[edge.child].row, &link.columns);
                assert_eq!(named.as_ref(), Some(&graph.nodes[edge.parent].key.key), "{}", shape.name);
            }
        }
    }
}

#[test]
fn a_row_level_sample_hides_the_target_and_rows_of_its_own_time() {
    let payments = SHAPES.iter().find(|shape| shape.name == "payments").expect("a shape");
    let (sampler, _) = sampler(payments, &[4, 4]);
    let world = filled(&sampler, 9, 300);
    let fraud = sampler.schema.table(sampler.subject.entity).column("fraud").expect("the label");
    let mut seen = 0;
    for graph in samples(&sampler, &world, at(50)) {
        let Some(own) = graph.nodes.first() else { continue };
        assert!(own.row.value(fraud).is_null());
        let timed = graph.nodes[1..].iter().filter(|node| node.time > EventTime::MIN);
        seen += timed.clone().count();
        assert!(timed.clone().all(|node| node.time < own.time));
    }
    assert!(seen > 0, "no sibling was sampled");
}

#[test]
fn later_rows_do_not_change_a_sample() {
    for shape in SHAPES {
        let (sampler, _) = sampler(shape, &[3, 3]);
        let mut world = filled(&sampler, 5, 80);
        let bounds = AsOf::historical(EventTime(30 * HOUR), Sequence::MAX);
        let before = samples(&sampler, &world, bounds);
        for _ in 0..80 {
            let change = world.change(31..90);
            world.apply(&[change]);
        }
        assert_eq!(before, samples(&sampler, &world, bounds), "{}", shape.name);
    }
}
