//! The report of a backtest, opened from disk in a real browser.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value as Json;

use crate::files::root;
use crate::program::Program;

const CONFIG: &str = r#"
[app]
name = "shop"
store = "store"

[source]
kind = "files"

[tables.customers]
files = "customers.csv"
key = "customer_id"

[tables.orders]
files = "orders.csv"
key = "order_id"
time = "ordered_at"
foreign_keys = { customer_id = "customers" }

[tasks.churn]
query = "PREDICT COUNT(orders.*, 0, 7, days) = 0 FOR EACH customers.customer_id"
context_size = 200
refresh = "56d"
"#;

/// Thirty customers, each with a rhythm of its own.
fn shop() -> Program {
    let program = Program::new(CONFIG);
    let mut customers = String::from("customer_id,region\n");
    let mut orders = String::from("order_id,customer_id,amount,ordered_at\n");
    let mut order = 0;
    for customer in 0..30_u64 {
        writeln!(customers, "{customer},{}", ["north", "south"][usize::from(customer % 2 == 1)]).expect("text");
        for day in (0..300_u64).filter(|day| (day * day + 7 * customer) % (3 + customer) == 0) {
            writeln!(
                orders,
                "{order},{customer},{},2024-{:02}-{:02} 10:00:00",
                5 + (day * 7 + customer) % 40,
                1 + day / 28,
                1 + day % 28
            )
            .expect("text");
            order += 1;
        }
    }
    let write = |name: &str, text: &str| fs::write(program.folder().join(name), text).expect("a file in the folder");
    write("customers.csv", &customers);
    write("orders.csv", &orders);
    program
}

/// Asks the page about itself once it stands, and leaves the answer in an element.
const QUESTIONS: &str = r#"
<script>
window.addEventListener("load", async () => {
  const found = await axe.run(document);
  const answer = {
    violations: found.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).slice(0, 3).join(" ")),
    passes: found.passes.length,
    fetched: performance.getEntriesByType("resource").map(entry => entry.name),
    plots: [...document.querySelectorAll("figure svg")].map(svg => svg.getBoundingClientRect().width),
    wider: document.documentElement.scrollWidth > window.innerWidth,
  };
  const element = document.createElement("script");
  element.type = "application/json";
  element.id = "answer";
  element.textContent = JSON.stringify(answer);
  document.body.append(element);
});
</script>
"#;

fn browser(profile: &Path, page: &Path, more: &[&str]) -> Output {
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
    // Whoever asks for a name is told that there is none.
    command.args(["--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--virtual-time-budget=30000"]);
    command.arg(format!("--user-data-dir={}", profile.display())).args(more);
    command.arg("--dump-dom").arg(format!("file://{}", page.display()));
    command.output().expect("`scripts/services/browser install` provides a browser")
}

/// What the page says of itself.
fn asked(program: &Program, page: &str, more: &[&str]) -> Json {
    let script = Command::new(root().join("scripts/services/browser")).arg("axe").output().expect("a script");
    let script = String::from_utf8(script.stdout).expect("a path");
    let axe = fs::read_to_string(script.trim()).expect("`scripts/services/browser install` provides the checks");
    let text = fs::read_to_string(program.folder().join(page)).expect("a page");
    let file = program.folder().join("asked.html");
    fs::write(&file, text.replace("</body>", &format!("<script>{axe}</script>{QUESTIONS}</body>"))).expect("a page");
    let output = browser(&program.folder().join("profile"), &file, more);
    let said = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = said.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let dom = String::from_utf8_lossy(&output.stdout);
    let answer = dom.split("id=\"answer\">").nth(1).and_then(|rest| rest.split("</script>").next());
    serde_json::from_str(answer.unwrap_or_else(|| panic!("the page did not answer: {said}"))).expect("JSON")
}

#[test]
fn a_report_opens_from_disk_without_fault() {
    let program = shop();
    let ask = ["backtest", "--from", "2024-05-01", "--to", "2024-10-01", "--every", "7d", "--segment", "region"];
    program.succeeds(
        &[
            &ask[..],
            &["--budget", "5", "--cost-missed", "4", "--cost-false-alarm", "1", "--out", "one"],
            &["--stress", "--stress-questions", "200"],
        ]
        .concat(),
    );
    program.succeeds(&[&ask[..], &["--model", "last-k", "--out", "other"]].concat());
    program.succeeds(&["report", "--compare", "one", "other", "--out", "both.html"]);
    for (page, plots) in [("one/report.html", 13), ("both.html", 2)] {
        for scheme in [&[][..], &["--force-dark-mode", "--blink-settings=preferredColorScheme=0"][..]] {
            let answer = asked(&program, page, scheme);
            assert_eq!(answer["violations"], serde_json::json!([]), "{page}: {answer}");
            assert!(answer["passes"].as_u64().is_some_and(|passes| passes > 10), "{page}: {answer}");
            assert_eq!(answer["fetched"], serde_json::json!([]), "{page}: {answer}");
            let widths: Vec<f64> = answer["plots"].as_array().expect("plots").iter().filter_map(Json::as_f64).collect();
            assert!(widths.len() == plots && widths.iter().all(|width| *width > 200.0), "{page}: {answer}");
            assert_eq!(answer["wider"], false, "{page}: {answer}");
        }
    }
}
