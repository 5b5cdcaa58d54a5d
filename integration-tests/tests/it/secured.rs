//! A real broker whose listener takes SASL over TLS only: who is let in, who is not and is told why, and that a secret is
//! shown nowhere.

use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::broker::{Broker, Sent, free_port};
use crate::program::{Program, endpoint};
use crate::registry::Stand;

const PASSWORD: &str = "tiger-in-the-tank-4711";
const PATIENCE: Duration = Duration::from_secs(90);

/// Says everything that it can of itself and its settings.
const LOUD: [&str; 2] = ["--log", "trace"];

fn broker() -> &'static Broker {
    static BROKER: OnceLock<Broker> = OnceLock::new();
    BROKER.get_or_init(|| {
        let broker = Broker::start_secure(PASSWORD);
        broker.create_topic("tls.customers", 1);
        broker.create_topic("tls.orders", 1);
        let keys: Vec<String> = (1..=20).map(|key| key.to_string()).collect();
        let customers: Vec<Sent<'_>> = keys.iter().map(|key| Sent::new(0, 1, key, r#"{"name":"x"}"#)).collect();
        broker.send("tls.customers", &customers);
        // Each customer orders every ten days, so that some windows of five days hold an order and some do not.
        let today = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() / 86_400;
        let order = |number: u64| {
            let (customer, day) = (number % 20 + 1, today - 200 + number / 2);
            (number.to_string(), day, format!(r#"{{"customer_id":{customer},"at":{day}}}"#))
        };
        let orders: Vec<(String, u64, String)> = (0..400).map(order).collect();
        // Each is known on its day.
        let timestamp = |day: u64| i64::try_from(day * 86_400_000).expect("a time of this age");
        let sent = orders.iter().map(|(key, day, order)| Sent::new(0, timestamp(*day), key, order));
        let mut orders: Vec<Sent<'_>> = sent.collect();
        orders.push(Sent::new(0, 3, "400", "{no order"));
        broker.send("tls.orders", &orders);
        broker
    })
}

/// A program whose source and sink are that broker. `sink` goes under `[sink.options]`.
fn program(app: &str, sink: &str) -> Program {
    let broker = broker();
    let mut program = Program::new(&format!(
        r#"
[app]
name = "{app}"
store = "store"

[source]
kind = "kafka"
brokers = "{}"
topics = ["tls.customers", "tls.orders"]
format = "upsert"

[source.options]
"security.protocol" = "SASL_SSL"
"ssl.ca.location" = "${{AUTHORITY}}"
"sasl.mechanism" = "SCRAM-SHA-512"
"sasl.username" = "foreshore"
"sasl.password" = "${{SECRET}}"
"debug" = "conf,security,broker"

[tables.customers]
key = "id"
columns.id = {{ type = "int" }}

[tables.orders]
key = "id"
time = "at"
foreign_keys = {{ customer_id = "customers" }}
columns.id = {{ type = "int" }}
columns.customer_id = {{ type = "int" }}
columns.at = {{ type = "date" }}

[tasks.churn]
query = "PREDICT COUNT(orders.*, 0, 5, days) = 0 FOR EACH customers.id"

[sink]
kind = "kafka"

[sink.options]
{sink}

[http]
listen = "127.0.0.1:${{HTTP_PORT}}"
"#,
        broker.secure_address()
    ));
    program.set("AUTHORITY", &broker.authority().display().to_string());
    program.set("SECRET", PASSWORD);
    program.set("HTTP_PORT", &free_port().to_string());
    program
}

/// Runs it until everything has been read and scored, and returns all that it said meanwhile.
fn run(program: &Program, port: u16) -> String {
    let mut run = program.start(&[&["run"], LOUD.as_slice()].concat());
    endpoint(&format!("http://127.0.0.1:{port}/readyz"));
    let deadline = Instant::now() + PATIENCE;
    let metrics = loop {
        let metrics = endpoint(&format!("http://127.0.0.1:{port}/metrics"));
        if metrics.contains("foreshore_rescores_total{task=\"churn\"} 20") {
            break metrics;
        }
        assert!(Instant::now() < deadline, "{metrics}");
        thread::sleep(Duration::from_millis(200));
    };
    let stopped = Command::new("kill").arg(run.id().to_string()).status().expect("kill is there");
    assert!(stopped.success() && run.wait().expect("it ends").success());
    let log = program.said();
    assert!(log.contains("librdkafka") && log.contains("[redacted]"), "the client tells its settings");
    log + &metrics
}

#[test]
fn source_sink_and_dead_letters_go_over_tls_and_the_password_is_shown_nowhere() {
    let mut program = program("tls-scram", "");
    let port = free_port();
    program.set("HTTP_PORT", &port.to_string());
    let mut said = String::new();
    for arguments in [&["topics", "create"] as &[&str], &["check", "--online"]] {
        let (well, text) = program.says(&[arguments, LOUD.as_slice()].concat());
        assert!(well, "{text}");
        said += &text;
    }
    assert!(said.contains("tls.orders") && said.contains("would be refused"), "{said}");
    said += &run(&program, port);
    assert_eq!(broker().kcat("tls-scram.churn", "%k\n").lines().count(), 20);
    for arguments in [&["dlq", "list"] as &[&str], &["inspect", "store"], &["inspect", "positions"]] {
        let (well, text) = program.says(&[arguments, LOUD.as_slice()].concat());
        assert!(well, "{text}");
        said += &text;
    }
    assert!(said.contains("tls.orders[0]@400"), "the refused record is listed: {said}");
    assert!(!said.contains(PASSWORD), "the password is shown");
}

#[test]
fn who_is_not_let_in_is_told_why_without_the_password() {
    let mut program = program("tls-refused", "\"sasl.password\" = { file = \"password\" }");
    let password = program.folder().join("password");
    std::fs::write(&password, format!("{PASSWORD}\n")).expect("written");
    let (well, said) = program.says(&["topics", "create"]);
    assert!(well, "a password may come from a file: {said}");

    let refused = |program: &Program, arguments: &[&str], parts: &[&str]| {
        let started = Instant::now();
        let (well, said) = program.says(arguments);
        assert!(!well && started.elapsed() < Duration::from_secs(20), "{:?}: {said}", started.elapsed());
        for part in parts {
            assert!(said.contains(part), "`{part}` is missing: {said}");
        }
        assert!(!said.contains(PASSWORD) && !said.contains("wrong-4712"), "a password is shown: {said}");
    };
    let address = broker().secure_address();
    std::fs::write(&password, "wrong-4712").expect("written");
    let sink = [address.as_str(), "invalid credentials", "`sasl.password`) in `sink.options`"];
    for arguments in [&["run"] as &[&str], &["check", "--online"], &["topics", "create"], &["dlq", "list"]] {
        refused(&program, arguments, &sink);
    }
    std::fs::write(&password, PASSWORD).expect("written");
    program.set("SECRET", "wrong-4712");
    let source = [address.as_str(), "invalid credentials", "`sasl.password`) in `source.options`"];
    refused(&program, &["run"], &source);
    refused(&program, &["check", "--online"], &source);

    program.set("SECRET", PASSWORD);
    let other = program.folder().join("other.pem");
    let arguments =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=other -keyout other.key -out";
    let mut openssl = Command::new("openssl");
    let made = openssl.current_dir(program.folder()).args(arguments.split(' ')).arg(&other).output().expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    program.set("AUTHORITY", &other.display().to_string());
    // A run reaches its sink first, which has settings of its own.
    for (arguments, section) in [(&["run"] as &[&str], "sink"), (&["check", "--online"], "source")] {
        let hint = format!("`ssl.ca.location` in `{section}.options`");
        refused(&program, arguments, &[address.as_str(), "certificate verify failed", &hint]);
    }
    program.set("AUTHORITY", "nowhere.pem");
    refused(&program, &["run"], &["`ssl.ca.location` cannot be read: nowhere.pem"]);
}

#[test]
fn missing_topics_are_named_over_tls_too() {
    let program = program("tls-missing", "");
    let (well, said) = program.says(&["run"]);
    assert!(!well && said.contains("tls-missing.churn") && said.contains("foreshore topics create"), "{said}");
    let (well, said) = program.says(&["check", "--online"]);
    assert!(well && said.contains("topic `tls-missing.churn` of the sink does not exist"), "{said}");
    let (well, said) = program.says(&["topics", "create"]);
    assert!(well, "{said}");
    let config = std::fs::read_to_string(program.folder().join("foreshore.toml")).expect("it was written");
    program.configure(&config.replace("\"tls.orders\"]", "\"tls.ordres\"]"));
    let (well, said) = program.says(&["run"]);
    let named = said.contains("topic `tls.ordres`") && said.contains("the nearest that is there is `tls.orders`");
    assert!(!well && named, "{said}");
}

/// `{"alg":"none"}` and `{"sub":"foreshore","iat":1700000000,"exp":4102444800}`: a token that nobody has signed.
const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJmb3Jlc2hvcmUiLCJpYXQiOjE3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMH0.";

#[test]
fn a_token_of_an_identity_provider_lets_us_in() {
    let mut program = program("tls-token", "");
    let provider = Stand::start();
    provider.set("/token", 200, &format!(r#"{{"access_token":"{TOKEN}","token_type":"Bearer","expires_in":3600}}"#));
    let config = std::fs::read_to_string(program.folder().join("foreshore.toml")).expect("it was written");
    let token = format!(
        "\"sasl.oauthbearer.method\" = \"oidc\"\n\"sasl.oauthbearer.client.id\" = \"foreshore\"\n\
         \"sasl.oauthbearer.client.secret\" = \"${{SECRET}}\"\n\
         \"sasl.oauthbearer.token.endpoint.url\" = \"{}/token\"\n",
        provider.address()
    );
    let config = config.replace("\"sasl.username\" = \"foreshore\"\n", "").replace("SCRAM-SHA-512", "OAUTHBEARER");
    program.configure(&config.replace("\"sasl.password\" = \"${SECRET}\"\n", &token));
    program.set("SECRET", "wrong-4712");
    for arguments in [&["topics", "create"] as &[&str], &["check", "--online"], &["run", "--until-caught-up"]] {
        let (well, said) = program.says(&[arguments, LOUD.as_slice()].concat());
        assert!(well && !said.contains("wrong-4712"), "{said}");
    }
    assert_eq!(broker().kcat("tls-token.churn", "%k\n").lines().count(), 20);
}
