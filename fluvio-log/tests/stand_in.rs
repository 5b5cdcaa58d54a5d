//! The official client holds to the contract, over a socket, against a stand-in that speaks Fluvio's published protocol.

mod contract;
mod server;

use contract::Host;
use fluvio_log::{Cluster, Settings};
use server::StandIn;

impl Host for StandIn {
    fn connect(&self) -> Box<dyn Cluster> {
        let settings = Settings { endpoint: Some(self.endpoint()), client_id: "test".into(), ..Settings::default() };
        fluvio_log::connect(&settings).expect("an endpoint needs no profile")
    }

    fn create(&self, topic: &str, partitions: i32) {
        self.memory().create(topic, partitions);
    }

    fn forget(&self, topic: &str, partition: i32, before: i64) {
        self.memory().forget(topic, partition, before);
    }

    fn set_away(&self, away: bool) {
        StandIn::set_away(self, away);
    }
}

fn host() -> StandIn {
    StandIn::start()
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

#[test]
fn who_is_not_there_is_away() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let settings = Settings { endpoint: Some(closed.to_string()), ..Settings::default() };
    let refused = fluvio_log::connect(&settings).expect("not asked yet").partitions().expect_err("nobody listens");
    assert!(matches!(&refused, fluvio_log::Error::Away(reason) if reason.contains(&closed.to_string())), "{refused:?}");
}

#[test]
fn a_profile_that_is_not_there_is_named() {
    let settings = Settings { profile: Some("no-such-profile".into()), ..Settings::default() };
    let refused = fluvio_log::connect(&settings).err().expect("no such profile").to_string();
    assert!(refused.contains("no-such-profile"), "{refused}");
}
