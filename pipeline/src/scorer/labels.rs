//! Between values and the numbers of the learners.

use predictor::learn::Targets;
use relational::{TaskKind, Value};

/// Shares that differ by less are the same, but for rounding.
const SAME: f64 = 1e-9;

/// The labels as the learners take them, and the classes in their order.
pub(super) fn targets(kind: TaskKind, labels: &[&Value]) -> (Targets, Vec<Value>) {
    let truth = |label: &&Value| label.as_f64().is_some_and(|number| number > 0.5);
    match kind {
        TaskKind::Binary => (Targets::Binary(labels.iter().map(truth).collect()), Vec::new()),
        TaskKind::Multiclass => {
            let mut classes: Vec<Value> = labels.iter().copied().cloned().collect();
            classes.sort();
            classes.dedup();
            let index = |label: &&Value| {
                let place = classes.binary_search(label).expect("every label is among the classes");
                u32::try_from(place).expect("a context has fewer examples than u32 counts")
            };
            let labels = labels.iter().map(index).collect();
            let count = u32::try_from(classes.len()).expect("there are no more classes than examples");
            (Targets::Classes { classes: count, labels }, classes)
        }
        TaskKind::Regression | TaskKind::Ranking | TaskKind::Forecast => {
            let number = |label: &&Value| label.as_f64().expect("a regression label is a number");
            (Targets::Numbers(labels.iter().map(number).collect()), Vec::new())
        }
    }
}

/// The population's shares in the learner's order, of true or of the classes sorted; `None` where those of the labels
/// are the same, for all candidates were chosen.
pub(super) fn prior(targets: &Targets, classes: &[Value], shares: &[(Value, f64)]) -> Option<Vec<f64>> {
    if shares.is_empty() {
        return None;
    }
    let share = |wanted: &dyn Fn(&Value) -> bool| {
        shares.iter().filter(|(value, _)| wanted(value)).map(|(_, share)| share).sum()
    };
    let (population, labels): (Vec<f64>, Vec<usize>) = match targets {
        Targets::Binary(truths) => {
            let share = share(&|value| value.as_f64().is_some_and(|number| number > 0.5));
            (vec![share], vec![truths.iter().filter(|truth| **truth).count()])
        }
        Targets::Classes { classes: many, labels } => {
            let of = |class: u32| labels.iter().filter(|label| **label == class).count();
            (classes.iter().map(|class| share(&|value| value == class)).collect(), (0..*many).map(of).collect())
        }
        Targets::Numbers(_) => return None,
    };
    #[expect(clippy::cast_precision_loss, reason = "counts of examples are far below 2^53")]
    let share_of = |found: usize| found as f64 / targets.len() as f64;
    let differs = population.iter().zip(labels).any(|(share, found)| (share - share_of(found)).abs() > SAME);
    differs.then_some(population)
}
