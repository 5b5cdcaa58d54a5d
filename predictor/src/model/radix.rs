//! More classes than the row embedding has vectors for: a class is written in digits, and the columns are read once per
//! digit.

/// The base of each digit, the most significant first, so that their product is at least `classes`.
pub(super) fn bases(classes: usize, most: usize) -> Vec<usize> {
    let digits = (1u32..).find(|digits| most.checked_pow(*digits).is_none_or(|reach| reach >= classes));
    let digits = digits.expect("two to a high power is more than any number of classes");
    let base = (2..most).find(|base| base.checked_pow(digits).is_none_or(|reach| reach >= classes)).unwrap_or(most);
    // The reference then raises bases while their product is too small; the base was chosen so that it never is.
    vec![base; digits as usize]
}

/// The digits of a class.
pub(super) fn digits(class: usize, bases: &[usize]) -> Vec<usize> {
    let mut rest = class;
    let mut digits: Vec<usize> = bases
        .iter()
        .rev()
        .map(|base| {
            let digit = rest % base;
            rest /= base;
            digit
        })
        .collect();
    digits.reverse();
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_tell_classes_apart() {
        for classes in [11, 23, 99, 100, 101, 1_000, 1_001] {
            let bases = bases(classes, 10);
            assert!(bases.iter().all(|base| *base <= 10), "{bases:?}");
            let mut seen: Vec<Vec<usize>> = (0..classes).map(|class| digits(class, &bases)).collect();
            seen.dedup();
            assert_eq!(seen.len(), classes, "{bases:?}");
        }
        assert_eq!(bases(23, 10), [5, 5]);
        assert_eq!(digits(22, &[5, 5]), [4, 2]);
    }
}
