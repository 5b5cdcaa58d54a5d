//! From the database to its scores: PostgreSQL, Debezium, Kafka, `foreshore run`, the scores' topic. The graph equals the
//! database, row for row, between two loads and after both, whatever was killed on the way.

use std::fmt::Write as _;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::broker::{Broker, shared};
use crate::files::root;
use crate::kafka_shop::{asked, scores};
use crate::postgres::{Connect, Postgres};
use crate::program::Program;

const PATIENCE: Duration = Duration::from_secs(90);

/// Kills of the Connect worker, unless the environment says otherwise.
const CONNECT_KILLS: u64 = 1;

/// A time as Foreshore prints it.
const UTC: &str = "CREATE FUNCTION utc(timestamp) RETURNS text LANGUAGE sql AS $$
  SELECT regexp_replace(to_char($1, 'YYYY-MM-DD\"T\"HH24:MI:SS.US'), '\\.?0+$', '') || 'Z' $$;";

/// Every table and its rows as `foreshore inspect` shows them.
const ROWS: [(&str, &str); 3] = [
    (
        "customers",
        "SELECT json_agg(json_build_object('id', id, 'name', name, 'country', country, 'active', active, 'tags', tags,
           'profile', profile::text, 'token', token, 'created_at', utc(created_at AT TIME ZONE 'UTC')) ORDER BY id)
         FROM shop.customers",
    ),
    (
        "products",
        "SELECT json_agg(json_build_object('sku', sku, 'price', price::text, 'weight', weight, 'cost', cost::text,
           'description', description, 'picture', encode(picture, 'hex'), 'since', since) ORDER BY sku) FROM shop.products",
    ),
    (
        "orders",
        "SELECT json_agg(json_build_object('id', id, 'customer_id', customer_id, 'sku', sku, 'quantity', quantity,
           'amount', amount::text, 'state', state, 'picked', (extract(epoch FROM picked) * 1000000)::bigint,
           'ordered_at', utc(ordered_at)) ORDER BY id) FROM shop.orders",
    ),
];

/// A fixed stream of numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[usize::try_from(self.below(items.len() as u64)).expect("few")]
    }
}

/// Writes the shop's changes. What it names may be gone by then: such a statement changes nothing.
struct Load {
    numbers: Numbers,
    next: u64,
}

impl Load {
    fn customers(count: u64) -> String {
        let rows = (1..=count).map(|id| {
            format!(
                "INSERT INTO shop.customers VALUES ({id}, 'c{id}', {}, true, '{{a,b{id}}}', '{{\"n\": {id}}}', NULL, \
                 date_trunc('hour', now()) - interval '400 days' + interval '{id} minutes');\n",
                if id % 3 == 0 { "NULL" } else { "'de'" }
            )
        });
        let products = (0..20).map(|sku| {
            format!(
                "INSERT INTO shop.products VALUES ('p{sku}', {sku}.25, {sku}.5, {sku}.123, \
                 (SELECT string_agg(md5((i * {sku})::text), '') FROM generate_series(1, 150) i), '\\xde{sku:02}', '2024-02-29');\n"
            )
        });
        products.chain(rows).collect()
    }

    fn order(&mut self, days: u64) -> String {
        let (id, customer, sku) = (self.next, self.numbers.below(60) + 1, self.numbers.below(25));
        self.next += 1;
        let sku = if sku < 20 { format!("'p{sku}'") } else { "NULL".to_owned() };
        let (cents, minutes) = (self.numbers.below(10_000), self.numbers.below(days * 1_440));
        format!(
            "INSERT INTO shop.orders SELECT {id}, id, {sku}, {}, {cents} / 100.0, 'open', '03:04:05.678901', \
             date_trunc('second', now() AT TIME ZONE 'UTC') - interval '{minutes} minutes' FROM shop.customers \
             WHERE id = {customer} AND ({sku} IS NULL OR EXISTS (SELECT FROM shop.products WHERE sku = {sku}));\n",
            self.numbers.below(5)
        )
    }

    /// One change of any kind.
    fn change(&mut self) -> String {
        let (order, customer, sku) =
            (self.numbers.below(self.next), self.numbers.below(60) + 1, self.numbers.below(20));
        match self.numbers.below(12) {
            0 | 1 => {
                let state = self.numbers.pick(&["open", "paid", "sent"]);
                format!("UPDATE shop.orders SET state = '{state}', picked = NULL WHERE id = {order};\n")
            }
            2 => format!("DELETE FROM shop.orders WHERE id = {order};\n"),
            // The description, which is stored apart, is not read for this.
            3 | 4 => format!("UPDATE shop.products SET price = price + 0.01 WHERE sku = 'p{sku}';\n"),
            5 => format!("UPDATE shop.products SET description = repeat(md5('{order}'), 120) WHERE sku = 'p{sku}';\n"),
            // The orders follow the new key.
            6 => {
                let (from, to) = if self.numbers.below(2) == 0 {
                    (customer, customer + 1_000)
                } else {
                    (customer + 1_000, customer)
                };
                format!(
                    "UPDATE shop.customers SET id = {to}, name = 'moved' WHERE id = {from} \
                     AND NOT EXISTS (SELECT FROM shop.customers WHERE id = {to});\n"
                )
            }
            7 if self.numbers.below(4) == 0 => format!("DELETE FROM shop.customers WHERE id = {customer};\n"),
            8 => {
                let both = [self.order(1), self.order(1)].concat();
                format!("BEGIN;\n{both}UPDATE shop.customers SET active = NOT active WHERE id = {customer};\nCOMMIT;\n")
            }
            9 => format!("BEGIN;\nDELETE FROM shop.orders;\n{}ROLLBACK;\n", self.order(1)),
            _ => self.order(2),
        }
    }

    /// So many changes, in small portions, so that they come while the program runs.
    fn run(&mut self, postgres: &Postgres, changes: usize) {
        for _ in 0..changes.div_ceil(25) {
            let statements: String = (0..25).map(|_| self.change()).collect();
            postgres.run(&statements);
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn config(broker: &Broker) -> String {
    format!(
        r#"
[app]
name = "e2e"
store = "store"

[source]
kind = "kafka"
brokers = "{}"
topics = "^e2e\\.shop\\..*"

[sink]
kind = "kafka"

[tasks.churn]
query = "PREDICT COUNT(orders.*, 0, 14, days) = 0 FOR EACH customers.id"
"#,
        broker.address()
    )
}

/// Catches up until the graph equals the database; whatever is on its way comes first.
fn until_equal(program: &Program, postgres: &Postgres) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        program.succeeds(&["run", "--until-caught-up"]);
        let differences: String =
            ROWS.iter().map(|(table, query)| difference(program, postgres, table, query)).collect();
        if differences.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "the graph is not the database:\n{differences}");
        thread::sleep(Duration::from_millis(500));
    }
}

fn difference(program: &Program, postgres: &Postgres, table: &str, query: &str) -> String {
    let shown = program.succeeds(&["inspect", "--format", "json", "rows", table, "--limit", "100000"]);
    let ours: Vec<Json> = serde_json::from_str(&shown).expect("JSON");
    let theirs = postgres.json(query);
    let theirs = theirs.as_array().expect("the table has rows");
    assert!(theirs.len() > 10, "{table} has hardly a row");
    let key =
        |row: &Json| if row["id"].is_null() { row["sku"].to_string() } else { format!("{:>9}", row["id"].to_string()) };
    let mut ours = ours;
    ours.sort_by_key(key);
    let mut theirs = theirs.clone();
    theirs.sort_by_key(key);
    let mut text = String::new();
    if ours.len() != theirs.len() {
        writeln!(text, "{table}: {} rows, in the database {}", ours.len(), theirs.len()).expect("a text");
    }
    if let Some((ours, theirs)) = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs) {
        writeln!(text, "{table}:\n  {ours}\n  {theirs}").expect("a text");
    }
    text
}

#[test]
fn the_graph_equals_the_database_and_its_scores_leave() {
    let broker = shared();
    let postgres = Postgres::start();
    let connect = Connect::start(broker);
    postgres.run(&fs::read_to_string(root().join("integration-tests/data/shop/schema.sql")).expect("readable"));
    postgres.run(UTC);
    let mut load = Load { numbers: Numbers(7), next: 1 };
    postgres.run(&Load::customers(60));
    postgres.run(&(0..600).map(|_| load.order(120)).collect::<String>());
    connect.create("e2e", &postgres.connector("e2e"));
    let deadline = Instant::now() + PATIENCE;
    // The tables are learnt from what is there: the snapshot has come once its last table has.
    while ["customers", "products", "orders"].iter().any(|table| !broker.has(&format!("e2e.shop.{table}"))) {
        assert!(Instant::now() < deadline, "the snapshot does not come");
        thread::sleep(Duration::from_millis(200));
    }

    let program = Program::new(&config(broker));
    program.succeeds(&["topics", "create"]);
    let mut run = program.start(&["run"]);
    load.run(&postgres, 300);
    // Killed in the midst of its work.
    run.kill().expect("it runs");
    run.wait().expect("it ends");
    until_equal(&program, &postgres);

    // The worker is killed while the database goes on and the program runs.
    let kills = asked("CONNECT_KILLS", CONNECT_KILLS);
    for kill in 0..kills {
        let mut run = program.start(&["run"]);
        load.run(&postgres, 100);
        let moment = load.numbers.below(1_500);
        thread::sleep(Duration::from_millis(moment));
        connect.kill();
        load.run(&postgres, 100);
        connect.resume();
        load.run(&postgres, 100);
        run.kill().expect("it runs");
        run.wait().expect("it ends");
        println!("kill {kill} of Connect, {moment} ms after a load");
    }
    until_equal(&program, &postgres);

    let check: Json =
        serde_json::from_str(&program.succeeds(&["check", "--online", "--format", "json"])).expect("JSON");
    let topics = check["online"]["topics"].as_array().expect("topics");
    assert!(
        topics.len() == 3 && topics.iter().all(|topic| topic["refused"] == 0 && topic["has_schema"] == true),
        "{check}"
    );
    let links = check["online"]["foreign_keys"].as_array().expect("foreign keys");
    assert!(links.iter().any(|link| link["child"] == "orders" && link["pointing"] != 0), "{check}");

    assert_eq!(broker.written("e2e.dlq", 1), 0, "no record was refused: {}", broker.kcat("e2e.dlq", "%s\n"));
    // Fails where a score stands twice.
    let scores = scores(broker, "e2e", "churn");
    assert!(scores.len() > 20, "{scores:?}");
    let orders = broker.written("e2e.shop.orders", 1);
    println!("{orders} records of orders, {} scores, each once", scores.len());
}

#[test]
fn a_database_becomes_a_config_that_its_topics_fit() {
    let broker = shared();
    let postgres = Postgres::start();
    postgres.run(&fs::read_to_string(root().join("integration-tests/data/shop/schema.sql")).expect("readable"));
    postgres.run("CREATE TABLE shop.notes (text text); CREATE TABLE shop.lines (a int, b int, PRIMARY KEY (b, a));");
    postgres.run(
        "CREATE TABLE shop.parts (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES shop.lines (a, b));",
    );
    let program = Program::new("");
    let url = postgres.url();
    let init = ["init", "--schema", "shop", "--prefix", "made", "--postgres", url.as_str()];
    let said = program.fails(&init);
    assert!(said.contains("foreshore.toml exists already"), "{said}");
    let brokers = broker.address();
    let arguments = [init.as_slice(), &["--out", "made", "--brokers", brokers.as_str()]].concat();
    fs::create_dir(program.folder().join("made")).expect("a new folder");
    let said = program.succeeds(&arguments);
    assert!(
        said.contains("table `notes`: it has no primary key") && said.contains("`country`: a null would come"),
        "{said}"
    );

    let config = fs::read_to_string(program.folder().join("made/foreshore.toml")).expect("it was written");
    for line in [
        "topic = \"made.shop.orders\"",
        "time = \"ordered_at\"",
        "foreign_keys = { \"customer_id\" = \"customers\", \"sku\" = \"products\" }",
        "foreign_keys = { \"b, a\" = \"lines\" }",
        "\"amount\" = { type = \"decimal\", scale = 2 }  # numeric(12,2)",
        "\"ordered_at\" = { type = \"time\", unit = \"us\" }  # timestamp without time zone",
        "\"state\" = { type = \"text\" }  # shop.status",
        "\"tags\" = { type = \"list\" }  # text[]",
    ] {
        assert!(config.contains(line), "`{line}` is missing:\n{config}");
    }
    let connector = fs::read_to_string(program.folder().join("made/connector.json")).expect("it was written");
    let connector: Json = serde_json::from_str(&connector).expect("JSON");
    assert_eq!(
        connector["config"]["table.include.list"],
        "shop.customers,shop.lines,shop.notes,shop.orders,shop.parts,shop.products"
    );
    let checked = program.succeeds(&["check", "--format", "json", "--config", "made/foreshore.toml"]);
    let checked: Json = serde_json::from_str(&checked).expect("JSON");
    assert_eq!(checked["tables"].as_array().map(Vec::len), Some(6));
    assert_eq!(checked["learned"], serde_json::json!([]), "nothing is left to be learnt");
}
