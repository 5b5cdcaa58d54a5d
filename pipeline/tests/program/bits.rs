//! A score's bits depend on nothing but its own question: not on the batch, the neighbours in it, or the threads.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use graph_store::Store;
use pipeline::cli::Common;
use pipeline::plan::Plan;
use pipeline::scorer::{Bounds, Scorer};
use pipeline::world::World;
use predictor::learn::Member;
use rayon::ThreadPoolBuilder;
use relational::{AsOf, EventTime, Key, Value};

use crate::folder::{Folder, Numbers, WEIGHTS};

const DAY_MICROS: i64 = 86_400_000_000;
/// 2024-01-01.
const START: EventTime = EventTime(1_704_067_200_000_000);
const CUSTOMERS: u64 = 40;
const PAYMENTS: u64 = 2_400;
/// Questions about each task.
const ASKED: u64 = 512;

/// For each task its query, and whether it asks about a number.
const TASKS: [(&str, &str, bool); 3] = [
    ("churn", "PREDICT COUNT(payments.*, 0, 3, days) = 0 FOR EACH customers.customer_id", false),
    ("spend", "PREDICT SUM(payments.amount, 0, 10, days) FOR EACH customers.customer_id", true),
    ("kind", "PREDICT payments.kind FOR EACH payments.payment_id", false),
];

/// Every member that answers such a task; the weights at hand are a classifier's.
fn members(is_number: bool) -> impl Iterator<Item = &'static str> {
    Member::ALL.map(Member::name).into_iter().chain((!is_number).then_some("kumo-relational"))
}

/// A shop of a hundred days in a folder of its own, replayed into a store.
struct Shop(Folder);

impl Shop {
    fn new() -> Self {
        let shop = Self(Folder::new());
        let mut numbers = Numbers(5);
        let mut customers = String::from("customer_id,region\n");
        (0..CUSTOMERS).for_each(|customer| writeln!(customers, "{customer},{}", customer % 3).expect("text"));
        let mut payments = String::from("payment_id,customer_id,amount,kind,paid_at\n");
        for payment in 0..PAYMENTS {
            // The square leaves some customers with few payments.
            let customer = numbers.below(CUSTOMERS) * numbers.below(CUSTOMERS) / CUSTOMERS;
            let amount = 10 + numbers.below(90) + customer;
            let kind = usize::from(numbers.below(100) < 30 + customer) + usize::from(numbers.below(9) == 0);
            let kind = ["card", "cash", "voucher"][kind];
            writeln!(payments, "{payment},{customer},{amount}.5,{kind},{}", paid_at(payment).0).expect("text");
        }
        let mut asked = String::from("customer_id,at\n");
        (0..CUSTOMERS).for_each(|customer| writeln!(asked, "{customer},2024-03-30 00:00:00").expect("text"));
        for (name, text) in [("customers.csv", customers), ("payments.csv", payments), ("asked.csv", asked)] {
            shop.0.write(name, &text);
        }
        for member in members(false) {
            shop.0.write(&config(member), &shop.text(member));
        }
        shop.0.succeeds(&["replay", "--no-score", "--config", &config("last-k")]);
        shop
    }

    fn text(&self, member: &str) -> String {
        let folder = self.0.path("").display().to_string();
        let mut text = format!(
            "[app]\nstore = \"{folder}store\"\n[source]\nkind = \"files\"\n[sink]\npath = \"{folder}scores.jsonl\"\n\
             [tables.customers]\nfiles = \"{folder}customers.csv\"\nkey = \"customer_id\"\n\
             columns.region = {{ semantic = \"category\" }}\n\
             [tables.payments]\nfiles = \"{folder}payments.csv\"\nkey = \"payment_id\"\ntime = \"paid_at\"\n\
             foreign_keys = {{ customer_id = \"customers\" }}\ncolumns.paid_at = {{ type = \"time\", unit = \"us\" }}\n"
        );
        let relational = member == "kumo-relational";
        let weights = if relational { format!("weights = \"{WEIGHTS}\"\n") } else { String::new() };
        for (task, query, _) in TASKS.iter().filter(|(.., is_number)| !(relational && *is_number)) {
            let task = format!("[tasks.{task}]\nquery = \"{query}\"\nemit = \"never\"\nrefresh = \"20d\"\n");
            // More than trees need, and than one batch of the relational model's layers.
            write!(text, "{task}context_size = 320\nmodel = \"{member}\"\n{weights}").expect("text");
        }
        text
    }

    fn world(&self, member: &str) -> World {
        let config = self.0.path(&config(member));
        World::load(&Common { config, store: None }).expect("the config is right")
    }
}

fn config(member: &str) -> String {
    format!("{member}.toml")
}

/// An hour lies between two payments.
fn paid_at(payment: u64) -> EventTime {
    START.plus(signed(payment) * DAY_MICROS / 24)
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("it is small")
}

/// What is asked about a task: the newest payments, or each customer at several cutoffs since the context.
fn questions(scorer: &Scorer) -> Vec<(Key, AsOf)> {
    let asked = |index: u64| {
        let (key, cutoff) = if scorer.plan().task.is_static() {
            (PAYMENTS - 1 - index, paid_at(PAYMENTS - 1 - index))
        } else {
            (index % CUSTOMERS, START.plus(signed(82 + index / CUSTOMERS) * DAY_MICROS))
        };
        let key = Key::single(Value::Int(signed(key)));
        let as_of = scorer.historical(&key, cutoff).expect("the store can be read").expect("the row is there");
        (key, as_of)
    };
    (0..ASKED).map(asked).collect()
}

/// The scores as text, which differs where any bit does, of a context fitted and asked on so many threads.
fn scores(store: &Arc<Store>, plan: &Arc<Plan>, threads: usize, sizes: &[usize]) -> Vec<Vec<String>> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
    pool.install(|| {
        let scorer = Scorer::new(Arc::clone(store), Arc::clone(plan), Bounds::default());
        let questions = questions(&scorer);
        let context =
            scorer.context(AsOf::live(START.plus(95 * DAY_MICROS), store.sequence())).expect("the store can be read");
        let context = context.expect("there is a labelled past");
        let made = |size: &usize| {
            // Steps of an odd number meet every question once, and give it other neighbours than its own.
            let step = if size.is_multiple_of(2) { 1 } else { 5 * size };
            let order: Vec<usize> = (0..questions.len()).map(|place| place * step % questions.len()).collect();
            let mut scores = vec![String::new(); questions.len()];
            for batch in order.chunks(*size) {
                let asked: Vec<(&Key, AsOf)> =
                    batch.iter().map(|place| &questions[*place]).map(|(key, as_of)| (key, *as_of)).collect();
                let made = scorer.score_all(&context, &asked).expect("the store can be read");
                for (place, made) in batch.iter().zip(made) {
                    scores[*place] = format!("{} {made:?}", context.model());
                }
            }
            scores
        };
        sizes.iter().map(made).collect()
    })
}

#[test]
fn every_member_gives_the_same_bits_in_every_batch_and_on_any_number_of_threads() {
    let shop = Shop::new();
    let store = shop.world("last-k").open_store(false).expect("the store can be opened");
    for member in members(false) {
        for plan in &shop.world(member).plans {
            let (task, plan_model) = (&plan.task.name, plan.model());
            assert_eq!(plan_model, member);
            let wanted = scores(&store, plan, 1, &[1]).pop().expect("one size");
            let distinct = wanted.iter().collect::<BTreeSet<_>>().len();
            assert!(
                distinct > 1 || member == Member::Constant.name(),
                "{member} says the same of everything in {task}: {}",
                wanted[0]
            );
            for (threads, sizes) in [(1, &[7, 512][..]), (2, &[1, 2, 32, 512]), (4, &[7, 32, 512])] {
                for (size, made) in sizes.iter().zip(scores(&store, plan, threads, sizes)) {
                    let differs = made.iter().zip(&wanted).find(|(made, wanted)| made != wanted);
                    assert_eq!(differs, None, "{member} on {task}, batches of {size} on {threads} threads");
                }
            }
        }
    }
}

#[test]
fn a_context_that_was_kept_is_read_again_and_a_damaged_one_made_again() {
    let shop = Shop::new();
    let world = shop.world("kumo-relational");
    let store = world.open_store(false).expect("the store can be opened");
    let plan = world.plans.iter().find(|plan| plan.task.name == "churn").expect("the task is there");
    let score = |folder: Option<&Path>| -> String {
        let scorer = Scorer::new(Arc::clone(&store), Arc::clone(plan), Bounds::default());
        let scorer = if let Some(folder) = folder { scorer.keeping(folder, true) } else { scorer };
        let context =
            scorer.context(AsOf::live(START.plus(95 * DAY_MICROS), store.sequence())).expect("the store can be read");
        let context = context.expect("there is a labelled past");
        let questions = questions(&scorer);
        let questions: Vec<(&Key, AsOf)> = questions.iter().take(40).map(|(key, as_of)| (key, *as_of)).collect();
        format!("{} {:?}", context.id, scorer.score_all(&context, &questions).expect("the store can be read"))
    };
    let folder = shop.0.path("kept");
    let wanted = score(None);
    assert_eq!(score(Some(&folder)), wanted);
    let files: Vec<_> = fs::read_dir(folder.join("contexts")).expect("a folder").flatten().collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let whole = fs::read(file.path()).expect("a file");
    let long_ago = SystemTime::UNIX_EPOCH;
    let age = || fs::File::options().write(true).open(file.path()).and_then(|file| file.set_modified(long_ago));
    let is_old = || fs::metadata(file.path()).and_then(|file| file.modified()).expect("a file") == long_ago;
    age().expect("its time can be set");
    assert_eq!(score(Some(&folder)), wanted);
    assert!(is_old(), "what is there is not made again");
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    fs::write(file.path(), damaged).expect("a file");
    age().expect("its time can be set");
    assert_eq!(score(Some(&folder)), wanted);
    assert!(!is_old() && fs::read(file.path()).expect("a file") == whole, "it is whole again");
}

#[test]
fn the_program_writes_the_same_bytes_on_any_number_of_threads() {
    let shop = Shop::new();
    for member in members(false) {
        let config = config(member);
        let made = ["1", "2", "4"].map(|threads| {
            let arguments =
                ["score", "--task", "churn", "--at", "asked.csv", "--time-column", "at", "--out", "out.csv"];
            let mut command = shop.0.command(&[&arguments[..], &["--config", &config]].concat());
            let output = command.env("RAYON_NUM_THREADS", threads).output().expect("the program starts");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            shop.0.read("out.csv")
        });
        assert_eq!(made[0].lines().count(), 41, "{member}: {}", made[0]);
        assert!(made[0] == made[1] && made[1] == made[2], "{member}: {made:?}");
    }
}
