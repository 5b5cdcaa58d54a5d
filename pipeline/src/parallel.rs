//! The same work on every core.

use std::iter;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Portions for each core: the cores may have other work too, and who has less takes more of them.
const PORTIONS: usize = 8;

/// Items of a portion at least.
const PORTION_MIN: usize = 16;

/// Applies `work` to every item, in order, on all cores: the result does not depend on how many there are.
///
/// # Errors
///
/// That of the first item, in their order, whose work fails.
pub fn map<T: Sync, R: Send, E: Send>(items: &[T], work: impl Fn(&T) -> Result<R, E> + Sync) -> Result<Vec<R>, E> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    if cores == 1 || items.len() <= PORTION_MIN {
        return items.iter().map(work).collect();
    }
    let size = items.len().div_ceil(cores * PORTIONS).max(PORTION_MIN);
    let portions: Vec<&[T]> = items.chunks(size).collect();
    let next = AtomicUsize::new(0);
    let take = || {
        let number = next.fetch_add(1, Ordering::Relaxed);
        Some((number, portions.get(number)?.iter().map(&work).collect::<Result<Vec<R>, E>>()))
    };
    let mut made: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..cores.min(portions.len())).map(|_| scope.spawn(|| iter::from_fn(take).collect::<Vec<_>>())).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
        threads
            .into_iter()
            .flat_map(|one| join(one).expect("a worker does not panic, or the program stops with it"))
            .collect()
    });
    made.sort_unstable_by_key(|(number, _)| *number);
    let mut results = Vec::with_capacity(items.len());
    for (_, portion) in made {
        results.extend(portion?);
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_first_error_returned() {
        let items: Vec<u32> = (0..1_000).collect();
        let doubled: Result<Vec<u32>, u32> = map(&items, |item| Ok(item * 2));
        assert_eq!(doubled.map(|doubled| doubled[999]), Ok(1_998));
        assert_eq!(map(&items, |item| if *item < 500 { Ok(()) } else { Err(*item) }), Err(500));
    }
}
