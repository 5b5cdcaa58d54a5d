//! One real PostgreSQL, and the Kafka Connect worker with Debezium that reads it: gone when the process is.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::broker::{Broker, free_port};
use crate::files::root;

const PATIENCE: Duration = Duration::from_secs(90);

/// A database of our own.
pub(crate) struct Postgres {
    port: u16,
}

impl Postgres {
    pub(crate) fn start() -> Self {
        let port = free_port();
        script("postgres", &["start", &port.to_string(), "--until-exit-of", &std::process::id().to_string()]);
        Self { port }
    }

    /// Runs statements, each in a transaction of its own unless they say otherwise, and returns what they print.
    pub(crate) fn run(&self, statements: &str) -> String {
        let port = self.port.to_string();
        let arguments = ["-qAt", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port, "-U", "postgres"];
        let mut psql = Command::new("psql");
        let psql = psql.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut psql = psql.spawn().expect("psql is installed (scripts/test does it)");
        // From a thread of its own, so that a full pipe of answers holds up nothing.
        let mut input = psql.stdin.take().expect("it was piped");
        let text = statements.to_owned();
        let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
        let output = psql.wait_with_output().expect("psql ends");
        writer.join().expect("it does not panic").ok();
        assert!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The one JSON value that a query gives.
    pub(crate) fn json(&self, query: &str) -> Json {
        serde_json::from_str(&self.run(query)).expect("the query gives JSON")
    }

    /// Its address as clients take it.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// A connector's settings for all tables of schema `shop`, with this prefix of its topics.
    pub(crate) fn connector(&self, prefix: &str) -> Json {
        json!({
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "database.hostname": "127.0.0.1", "database.port": self.port.to_string(),
            "database.user": "postgres", "database.password": "any", "database.dbname": "postgres",
            "plugin.name": "pgoutput", "slot.name": prefix, "publication.name": prefix,
            "publication.autocreate.mode": "filtered", "topic.prefix": prefix, "schema.include.list": "shop",
            "topic.creation.default.replication.factor": "1", "topic.creation.default.partitions": "1",
            "value.converter": "org.apache.kafka.connect.json.JsonConverter",
            "value.converter.replace.null.with.default": "false"
        })
    }
}

/// A worker of our own.
pub(crate) struct Connect {
    port: u16,
    brokers: String,
}

impl Connect {
    pub(crate) fn start(broker: &Broker) -> Self {
        let worker = Self { port: free_port(), brokers: broker.address() };
        worker.resume();
        worker
    }

    /// Stops it as a crash would.
    pub(crate) fn kill(&self) {
        script("connect", &["kill", &self.port.to_string()]);
    }

    /// Starts it again, with the connectors that it had.
    pub(crate) fn resume(&self) {
        let process = std::process::id().to_string();
        script("connect", &["start", &self.port.to_string(), &self.brokers, "--until-exit-of", &process]);
    }

    /// Makes a connector, and waits until its task runs.
    pub(crate) fn create(&self, name: &str, settings: &Json) {
        let body = json!({ "name": name, "config": settings }).to_string();
        let address = format!("http://127.0.0.1:{}/connectors", self.port);
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let request = agent.post(&address).header("Content-Type", "application/json");
            let mut response = request.send(&body).expect("the worker answers");
            let said = response.body_mut().read_to_string().expect("text");
            if response.status().is_success() {
                break;
            }
            // A worker that has just started does not know its own addresses yet.
            assert!(response.status() == 404 && Instant::now() < deadline, "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
        loop {
            let mut response = agent.get(format!("{address}/{name}/status")).call().expect("the worker answers");
            let status = response.body_mut().read_to_string().expect("text");
            let status: Json = serde_json::from_str(&status).unwrap_or_default();
            if status["tasks"][0]["state"] == "RUNNING" {
                return;
            }
            assert!(status["tasks"][0]["state"] != "FAILED" && Instant::now() < deadline, "{status}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

fn script(name: &str, arguments: &[&str]) {
    let output =
        Command::new(root().join("scripts/services").join(name)).args(arguments).output().expect("the script runs");
    assert!(output.status.success(), "{name} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}
