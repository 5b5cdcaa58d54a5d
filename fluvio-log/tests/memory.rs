//! The cluster in memory holds to the contract.

#[macro_use]
mod contract;

use contract::Host;
use fluvio_log::{Cluster, Memory};

struct InMemory(Memory);

impl Host for InMemory {
    fn connect(&self) -> Box<dyn Cluster> {
        Box::new(self.0.clone())
    }

    fn create(&self, topic: &str, partitions: i32) {
        self.0.create(topic, partitions);
    }

    fn forget(&self, topic: &str, partition: i32, before: i64) {
        self.0.forget(topic, partition, before);
    }

    fn set_away(&self, away: bool) {
        self.0.set_away(away);
    }
}

tests_of! { InMemory(Memory::default()) }
