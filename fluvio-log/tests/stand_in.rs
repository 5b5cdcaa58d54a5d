//! The official client holds to the contract, over a socket, against a stand-in that speaks Fluvio's published protocol.

#[macro_use]
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

tests_of! { StandIn::start() }

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
