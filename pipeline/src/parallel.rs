//! The same work on every core.

use std::num::NonZero;
use std::thread;

/// Applies `work` to every item, in order, on all cores: the result does not depend on how many there are.
///
/// # Errors
///
/// That of the first item, in their order, whose work fails.
pub fn map<T: Sync, R: Send, E: Send>(items: &[T], work: impl Fn(&T) -> Result<R, E> + Sync) -> Result<Vec<R>, E> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let size = items.len().div_ceil(cores).max(16);
    if items.len() <= size {
        return items.iter().map(work).collect();
    }
    thread::scope(|scope| {
        let threads: Vec<_> =
            items.chunks(size).map(|chunk| scope.spawn(|| chunk.iter().map(&work).collect())).collect();
        let mut results = Vec::with_capacity(items.len());
        for thread in threads {
            let chunk: Result<Vec<R>, E> =
                thread.join().expect("a worker does not panic, or the program stops with it");
            results.extend(chunk?);
        }
        Ok(results)
    })
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
