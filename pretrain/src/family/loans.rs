//! Applications of clients who have a history elsewhere: the outcome, known some time later, depends on what the
//! client's earlier rows were, alone and against the size of what is asked for.

use relational::{DataType, Value};

use crate::columns::{Clutter, bin, clutter, round};
use crate::dice::{Dice, float, logistic};
use crate::draft::{Draft, category, code, delay_micros, key, moment};
use crate::mechanism::Mechanism;
use crate::question::{Question, Side};

/// What of client and application moves the outcome.
const SEEN: usize = 8;

/// One earlier row of a client.
struct Entry {
    day: f64,
    size: f64,
    kind: usize,
    mark: usize,
}

/// What one client is.
struct Client {
    wealth: f64,
    care: f64,
    household: usize,
    entries: Vec<Entry>,
}

/// One application.
struct Loan {
    client: usize,
    day: f64,
    size: f64,
    months: usize,
    log_odds: f64,
}

pub(super) fn draw(dice: &mut Dice) -> (Vec<Draft>, Vec<Question>) {
    let days = dice.pick(&[60.0, 200.0, 1_000.0]);
    let households = dice.within(20, 120);
    let per_client = dice.scale(2.0, 12.0);
    let count = dice.within(150, 500);
    // Each client's rows hold the two values of a conjunction equally often, whether in one row or in two.
    let conjunction = if dice.chance(0.2) { dice.between(2.0, 5.0) } else { 0.0 };
    let kin: Vec<f64> = (0..households).map(|_| dice.normal()).collect();
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..count {
        clients.push(client(dice, days, per_client, &kin));
    }
    let loans = loans(dice, &clients, days, conjunction, &kin);
    let balance = super::balance(dice, 0.01, 0.6);
    let base = super::offset(loans.iter().map(|loan| loan.log_odds), balance);
    let mut tables = vec![households_table(dice, households), clients_table(dice, &clients)];
    tables.push(entries_table(dice, &clients));
    tables.push(loans_table(dice, &loans, base, days / 12.0));
    let questions = questions();
    (tables, questions)
}

fn client(dice: &mut Dice, days: f64, per_client: f64, kin: &[f64]) -> Client {
    let household = dice.below(kin.len());
    let wealth = 0.8 * dice.normal() + 0.4 * kin[household];
    let care = dice.normal();
    let mut entries: Vec<Entry> = (0..dice.count(per_client))
        .map(|_| Entry {
            day: dice.unit() * days,
            size: wealth + 0.7 * dice.normal(),
            kind: dice.weighted(&[1.0, 1.0 + 0.3 * care.tanh(), 0.6]),
            mark: dice.below(2),
        })
        .collect();
    entries.sort_by(|left, right| left.day.total_cmp(&right.day));
    Client { wealth, care, household, entries }
}

fn loans(dice: &mut Dice, clients: &[Client], days: f64, conjunction: f64, kin: &[f64]) -> Vec<Loan> {
    let twist = Mechanism::draw(dice, SEEN);
    let other = Mechanism::draw(dice, SEEN);
    let (twist_weight, other_weight) = (dice.between(0.8, 4.0), dice.pick(&[0.0, 0.0, 1.0]));
    let (hidden, shared) = (dice.pick(&[0.0, 0.5, 1.0]), dice.pick(&[0.0, 0.7, 1.5]));
    let each = dice.between(0.8, 2.0);
    let mut all = Vec::new();
    for (place, client) in clients.iter().enumerate() {
        for _ in 0..1 + dice.count(each - 0.8) {
            let day = days * dice.between(0.15, 1.0);
            let size = 0.5 * client.wealth + 0.8 * dice.normal();
            let months = dice.within(1, 5);
            let past: Vec<&Entry> = client.entries.iter().filter(|entry| entry.day < day).collect();
            let seen = seen(&past, day, days, size, months, client);
            let both = past.iter().any(|entry| entry.kind == 0 && entry.mark == 0);
            let log_odds = twist_weight * twist.of(&seen)
                + other_weight * other.of(&seen)
                + hidden * client.care
                + shared * kin[client.household]
                + conjunction * f64::from(u8::from(both));
            all.push(Loan { client: place, day, size, months, log_odds });
        }
    }
    all.sort_by(|left, right| left.day.total_cmp(&right.day));
    all
}

/// Each of about unit variance.
fn seen(past: &[&Entry], day: f64, days: f64, size: f64, months: usize, client: &Client) -> [f64; SEEN] {
    let count = float(past.len());
    let mean = past.iter().map(|entry| entry.size).sum::<f64>() / count.max(1.0);
    let least = past.iter().map(|entry| entry.size).fold(0.0, f64::min);
    let last = past.last();
    let share = past.iter().filter(|entry| entry.kind == 1).count();
    [
        size,
        mean,
        last.map_or(0.0, |entry| entry.size),
        1.0 - 6.0 * last.map_or(0.3, |entry| (day - entry.day) / days),
        least + 0.8,
        count.ln_1p() - 1.3,
        2.5 * (float(share) / count.max(1.0) - 0.4),
        float(months) / 1.5 - 2.0 + 0.2 * client.care,
    ]
}

fn households_table(dice: &mut Dice, count: usize) -> Draft {
    let mut table = Draft::new("households").with("area", DataType::Text);
    let areas = dice.zipf(12);
    for _ in 0..count {
        table.push([category(dice.weighted(&areas))], &[]);
    }
    table
}

fn clients_table(dice: &mut Dice, clients: &[Client]) -> Draft {
    let mut table = Draft::new("clients").link("household", "households").with("sex", DataType::Text);
    for client in clients {
        table.push([key(client.household), category(dice.below(2))], &[client.wealth, client.care]);
    }
    let of = Clutter::draw(dice);
    clutter(dice, &mut table, of);
    table
}

fn entries_table(dice: &mut Dice, clients: &[Client]) -> Draft {
    let mark = dice.pick(&[DataType::Int, DataType::Text]);
    let mut table = Draft::new("entries")
        .link("client", "clients")
        .timed()
        .with("amount", DataType::Float)
        .with("kind", DataType::Text)
        .with("mark", mark);
    for (place, client) in clients.iter().enumerate() {
        for entry in &client.entries {
            let amount = Value::Float(round((entry.size + 2.0).exp()));
            let values = [key(place), moment(entry.day), amount, category(entry.kind), code(mark, entry.mark)];
            table.push(values, &[entry.size, client.care]);
        }
    }
    let of = Clutter::draw(dice);
    clutter(dice, &mut table, of);
    table
}

fn loans_table(dice: &mut Dice, loans: &[Loan], base: f64, delay: f64) -> Draft {
    let micros = delay_micros(delay);
    let mut table = Draft::new("loans")
        .link("client", "clients")
        .timed()
        .with("amount", DataType::Float)
        .with("months", DataType::Int)
        .late("failed", DataType::Bool, micros)
        .late("repaid", DataType::Float, micros)
        .late("rating", DataType::Text, micros);
    let parts = dice.within(3, 6);
    let names = dice.shuffled(parts);
    let noise = dice.between(0.2, 1.2);
    for loan in loans {
        let failed = dice.chance(logistic(base + loan.log_odds));
        let repaid = round((loan.size - 0.4 * loan.log_odds + noise * dice.normal()).exp());
        let rating = names[bin(0.5 * loan.log_odds + noise * dice.normal(), parts)];
        let values = [
            key(loan.client),
            moment(loan.day),
            Value::Float(round((loan.size + 4.0).exp())),
            Value::Int(crate::draft::whole(loan.months * 12)),
            Value::Bool(failed),
            Value::Float(repaid),
            category(rating),
        ];
        table.push(values, &[loan.size]);
    }
    let of = Clutter { copies: dice.below(2), noise: dice.below(4) };
    clutter(dice, &mut table, of);
    table
}

fn questions() -> Vec<Question> {
    let ask = |target: &str, weight| Question::new("loans.id", target, weight);
    vec![
        ask("loans.failed", 4.0),
        ask("loans.repaid", 2.0),
        ask("loans.repaid", 1.0).threshold(Side::Below),
        ask("loans.rating", 2.0),
    ]
}
