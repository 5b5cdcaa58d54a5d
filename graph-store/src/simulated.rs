//! A disk in memory that can be stopped at any write and loses what was not flushed: for the simulation of crashes, with
//! the store's own code above it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Ordered trees of bytes.
type Trees = Vec<BTreeMap<Vec<u8>, Vec<u8>>>;

/// A put into a tree, or without a value a removal.
pub(crate) type TreeWrite = (usize, Vec<u8>, Option<Vec<u8>>);

/// The disk. Clones share it, so that it outlives the store that is opened on it.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    trees: Trees,
    /// What is left after a crash, and the writes since: each whole or not at all, and never without those before it.
    flushed: Trees,
    unflushed: Vec<Vec<TreeWrite>>,
    /// Writes and flushes until it stops, and whether the last one is carried out, though nobody hears of it.
    stops: Option<(u64, bool)>,
    is_stopped: bool,
    splits_positions: bool,
}

impl SimulatedDisk {
    /// A disk with the same content, as if copied while no process ran.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.state();
        let trees = state.trees.clone();
        Self(Arc::new(Mutex::new(State { flushed: trees.clone(), trees, ..State::default() })))
    }

    /// After that many writes and flushes more, the next one fails, and all that follow. `carried_out`: it is done all
    /// the same.
    pub fn stop_after(&self, writes: u64, carried_out: bool) {
        self.state().stops = Some((writes, carried_out));
    }

    /// The process is gone: the oldest `kept` of the writes that were not flushed are there for the next one.
    pub fn crash(&self, kept: usize) {
        let mut state = self.state();
        let State { trees, flushed, unflushed, .. } = &mut *state;
        for writes in unflushed.drain(..).take(kept) {
            write(flushed, &writes);
        }
        trees.clone_from(flushed);
        (state.stops, state.is_stopped) = (None, false);
    }

    /// How many writes are not flushed.
    #[must_use]
    pub fn unflushed(&self) -> usize {
        self.state().unflushed.len()
    }

    /// Plants a fault: from now on a commit writes positions first, by themselves.
    pub fn split_positions(&self) {
        self.state().splits_positions = true;
    }

    pub(crate) fn get(&self, tree: usize, key: &[u8]) -> Option<Vec<u8>> {
        self.state().trees.get(tree)?.get(key).cloned()
    }

    pub(crate) fn range(&self, tree: usize, start: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let state = self.state();
        let Some(tree) = state.trees.get(tree) else { return Vec::new() };
        tree.range(start.to_vec()..).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// All of it or nothing.
    pub(crate) fn write(&self, writes: Vec<TreeWrite>, positions: usize) -> Result<(), Error> {
        let mut state = self.state();
        if state.splits_positions {
            let (first, rest) = writes.into_iter().partition(|(tree, ..)| *tree == positions);
            state.step(|state| state.take(first))?;
            return state.step(|state| state.take(rest));
        }
        state.step(|state| state.take(writes))
    }

    pub(crate) fn flush(&self) -> Result<(), Error> {
        self.state().step(|state| {
            for writes in std::mem::take(&mut state.unflushed) {
                write(&mut state.flushed, &writes);
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn step(&mut self, carry_out: impl FnOnce(&mut Self)) -> Result<(), Error> {
        if self.is_stopped {
            return Err(Error::Stopped);
        }
        match &mut self.stops {
            Some((0, carried_out)) => {
                self.is_stopped = true;
                if *carried_out {
                    carry_out(self);
                }
                return Err(Error::Stopped);
            }
            Some((writes, _)) => *writes -= 1,
            None => {}
        }
        carry_out(self);
        Ok(())
    }

    fn take(&mut self, writes: Vec<TreeWrite>) {
        write(&mut self.trees, &writes);
        self.unflushed.push(writes);
    }
}

fn write(trees: &mut Trees, writes: &[TreeWrite]) {
    for (tree, key, value) in writes {
        if trees.len() <= *tree {
            trees.resize_with(tree + 1, BTreeMap::new);
        }
        match value {
            Some(value) => trees[*tree].insert(key.clone(), value.clone()),
            None => trees[*tree].remove(key),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(disk: &SimulatedDisk, key: u8) -> Result<(), Error> {
        disk.write(vec![(0, vec![key], Some(vec![key]))], 1)
    }

    fn keys(disk: &SimulatedDisk) -> Vec<u8> {
        disk.range(0, &[]).into_iter().map(|(key, _)| key[0]).collect()
    }

    #[test]
    fn a_crash_loses_the_newest_of_what_was_not_flushed() {
        let disk = SimulatedDisk::default();
        put(&disk, 1).expect("it turns");
        disk.flush().expect("it turns");
        put(&disk, 2).and_then(|()| put(&disk, 3)).expect("it turns");
        disk.stop_after(0, false);
        assert!(put(&disk, 4).is_err() && disk.flush().is_err());
        disk.crash(1);
        assert_eq!(keys(&disk), [1, 2]);
    }

    #[test]
    fn the_last_write_may_be_carried_out_unheard() {
        let disk = SimulatedDisk::default();
        disk.stop_after(1, true);
        put(&disk, 1).expect("it turns");
        assert!(put(&disk, 2).is_err() && put(&disk, 3).is_err());
        disk.crash(usize::MAX);
        assert_eq!(keys(&disk), [1, 2]);
    }
}
