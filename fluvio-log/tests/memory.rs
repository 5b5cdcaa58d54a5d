//! The cluster in memory holds to the contract.

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

fn host() -> InMemory {
    InMemory(Memory::default())
}

#[test]
fn records_are_where_their_keys_belong_and_are_read_from_any_offset() {
    contract::records_are_where_their_keys_belong_and_are_read_from_any_offset(&host());
}

#[test]
fn a_reader_at_the_end_sees_what_comes() {
    contract::a_reader_at_the_end_sees_what_comes(&host());
}

#[test]
fn what_retention_removed_shows_in_the_ends() {
    contract::what_retention_removed_shows_in_the_ends(&host());
}

#[test]
fn who_goes_away_and_comes_back_is_found_again() {
    contract::who_goes_away_and_comes_back_is_found_again(&host());
}

#[test]
fn a_topic_that_is_not_there_is_named() {
    contract::a_topic_that_is_not_there_is_named(&host());
}
