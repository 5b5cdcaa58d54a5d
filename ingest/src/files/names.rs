//! Messages about names that do not exist.

/// `no column `x`; did you mean `y`?`, or the list of those there are.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let distance = |other: &&str| strsim::osa_distance(&name.to_lowercase(), &other.to_lowercase());
    match known.iter().copied().min_by_key(distance) {
        Some(near) if distance(&near) <= 1 + name.chars().count() / 3 => {
            format!("there is no {what} `{name}`; did you mean `{near}`?")
        }
        Some(_) => format!("there is no {what} `{name}`; there are {}", known.join(", ")),
        None => format!("there is no {what} `{name}`"),
    }
}
