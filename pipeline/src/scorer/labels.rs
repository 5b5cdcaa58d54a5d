//! Between values and the numbers of the learners.

use predictor::learn::Targets;
use relational::{TaskKind, Value};

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

/// The shares in the learner's order: of true, or of the classes sorted.
pub(super) fn prior(targets: &Targets, classes: &[Value], shares: &[(Value, f64)]) -> Option<Vec<f64>> {
    if shares.is_empty() {
        return None;
    }
    let share = |wanted: &dyn Fn(&Value) -> bool| {
        shares.iter().filter(|(value, _)| wanted(value)).map(|(_, share)| share).sum()
    };
    match targets {
        Targets::Binary(_) => Some(vec![share(&|value| value.as_f64().is_some_and(|number| number > 0.5))]),
        Targets::Classes { .. } => Some(classes.iter().map(|class| share(&|value| value == class)).collect()),
        Targets::Numbers(_) => None,
    }
}
