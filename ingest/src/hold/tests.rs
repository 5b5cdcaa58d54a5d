use proptest::prelude::*;
use relational::EventTime;

use super::*;

const WIDE: Bounds = Bounds { records: 1_000, bytes: 1_000_000, patience: 100 };

/// Lane 0 is the topic that tells of transactions; every other lane is a partition of a topic of its own.
fn hold(bounds: Bounds, lanes: usize) -> Hold<u32> {
    let mut hold = Hold::new(bounds);
    hold.restart(lanes);
    hold
}

fn row(transaction: u32, lane: usize, number: u64) -> Option<Mark> {
    let (transaction, topic) = (transaction.to_string().into(), lane.to_string().into());
    Some(Mark::Row { transaction, topic, number: Some(number) })
}

fn end(transaction: u32, counts: &[(usize, u64)]) -> Option<Mark> {
    let counts = counts.iter().map(|(lane, count)| (lane.to_string().into(), *count)).collect();
    Some(Mark::End { transaction: transaction.to_string().into(), counts })
}

/// What goes now: whether as a whole transaction, and what.
fn taken(hold: &mut Hold<u32>, now: i64, in_order: bool) -> Vec<(bool, Vec<u32>)> {
    let contents = |group: Group<u32>| (group.whole, group.records.into_iter().map(|(_, content)| content).collect());
    std::iter::from_fn(|| hold.take(EventTime(now), in_order)).map(contents).collect()
}

#[test]
fn a_transaction_goes_when_its_end_and_its_rows_have_come() {
    let mut hold = hold(WIDE, 3);
    hold.offer(1, row(7, 1, 1), 1, EventTime(0), 10);
    hold.offer(0, end(7, &[(1, 1), (2, 2)]), 1, EventTime(0), 11);
    hold.offer(2, row(7, 2, 1), 1, EventTime(0), 12);
    assert!(taken(&mut hold, 0, false).is_empty() && hold.holds(1));
    hold.offer(2, row(7, 2, 2), 1, EventTime(0), 13);
    assert_eq!(taken(&mut hold, 0, false), [(true, vec![10, 11, 12, 13])]);
    assert_eq!((hold.len(), hold.take_splits().len()), (0, 0));
}

#[test]
fn a_row_that_comes_twice_counts_once() {
    let mut hold = hold(WIDE, 2);
    hold.offer(0, end(7, &[(1, 2)]), 1, EventTime(0), 1);
    for (number, content) in [(1, 2), (1, 3)] {
        hold.offer(1, row(7, 1, number), 1, EventTime(0), content);
        assert!(taken(&mut hold, 0, false).is_empty());
    }
    hold.offer(1, row(7, 1, 2), 1, EventTime(0), 4);
    assert_eq!(taken(&mut hold, 0, false), [(true, vec![1, 2, 3, 4])]);
    // The connector repeats itself after a restart: nothing waits for what has gone.
    hold.offer(1, row(7, 1, 2), 1, EventTime(0), 5);
    hold.offer(0, end(7, &[(1, 2)]), 1, EventTime(0), 6);
    assert_eq!(taken(&mut hold, 0, false), [(false, vec![5]), (false, vec![6])]);
    assert_eq!(hold.take_splits(), BTreeMap::from([(Split::Late, 1)]));
}

#[test]
fn nothing_overtakes_within_a_lane_and_tombstones_go_along() {
    let mut hold = hold(WIDE, 3);
    for (mark, content) in [(row(7, 1, 1), 1), (None, 2), (row(7, 1, 2), 3), (None, 4), (row(8, 1, 1), 5)] {
        hold.offer(1, mark, 1, EventTime(0), content);
    }
    hold.offer(2, None, 1, EventTime(0), 6);
    hold.offer(0, end(8, &[(1, 1)]), 1, EventTime(0), 7);
    assert_eq!(taken(&mut hold, 0, false), [(false, vec![6])], "8 is complete, but stands behind 7");
    hold.offer(0, end(7, &[(1, 2)]), 1, EventTime(0), 8);
    // The two ends came in an order that no source writes: each waits for the other, until it has waited enough.
    assert!(taken(&mut hold, 99, false).is_empty());
    let groups = taken(&mut hold, 100, false);
    let contents: Vec<u32> = groups.into_iter().flat_map(|(_, contents)| contents).collect();
    assert_eq!(contents, [1, 2, 3, 4, 5, 7, 8]);
    assert_eq!(hold.take_splits(), BTreeMap::from([(Split::Timeout, 1)]));
}

#[test]
fn what_belongs_to_no_transaction_passes_or_keeps_the_order() {
    for in_order in [false, true] {
        let mut hold = hold(WIDE, 3);
        hold.offer(1, row(7, 1, 1), 1, EventTime(0), 1);
        hold.offer(2, None, 1, EventTime(0), 2);
        let passes = if in_order { vec![] } else { vec![(false, vec![2])] };
        assert_eq!(taken(&mut hold, 0, in_order), passes);
        hold.offer(0, end(7, &[(1, 1)]), 1, EventTime(0), 3);
        let rest: Vec<u32> = taken(&mut hold, 0, in_order).into_iter().flat_map(|(_, contents)| contents).collect();
        assert_eq!(rest, if in_order { vec![1, 3, 2] } else { vec![1, 3] });
    }
}

#[test]
fn what_does_not_fit_goes_one_by_one() {
    for bounds in [Bounds { records: 2, ..WIDE }, Bounds { bytes: 20, ..WIDE }] {
        let mut hold = hold(bounds, 3);
        let mut groups = Vec::new();
        for number in 1..5 {
            hold.offer(1, row(7, 1, number), 10, EventTime(0), u32::try_from(number).expect("small"));
            groups.extend(taken(&mut hold, 0, true));
        }
        let alone = |content| (false, vec![content]);
        assert_eq!(groups, [alone(1), alone(2), alone(3), alone(4)]);
        assert_eq!(hold.take_splits(), BTreeMap::from([(Split::Full, 1)]));
    }
}

/// A source's transactions in their order: the rows of each, by lane.
fn transactions() -> impl Strategy<Value = Vec<Vec<usize>>> {
    prop::collection::vec(prop::collection::vec(1usize..5, 0..6), 1..20)
}

/// One record of a lane: what it tells, and the transaction or none.
type Record = (Option<Mark>, Option<u32>);

/// The lanes as the source writes them: the transactions one after the other, rows of none between them.
fn logs(transactions: &[Vec<usize>], loose: &[(usize, usize)]) -> Vec<Vec<Record>> {
    let mut logs: Vec<Vec<Record>> = vec![Vec::new(); 5];
    for (place, (number, lanes)) in (0u32..).zip(transactions).enumerate() {
        loose.iter().filter(|(before, _)| *before == place).for_each(|(_, lane)| logs[*lane].push((None, None)));
        let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
        logs[0].push((None, None));
        for lane in lanes {
            let count = counts.entry(*lane).or_default();
            *count += 1;
            logs[*lane].push((row(number, *lane, *count), Some(number)));
            // As the tombstone behind a deletion.
            if (*lane + lanes.len()).is_multiple_of(3) {
                logs[*lane].push((None, None));
            }
        }
        logs[0].push((end(number, &counts.into_iter().collect::<Vec<_>>()), Some(number)));
    }
    logs
}

/// Everything that goes, with its lane and place there, when the lanes are read in this rhythm.
fn run(logs: &[Vec<Record>], rhythm: &[usize], bounds: Bounds, in_order: bool) -> (Vec<Went>, BTreeMap<Split, u64>) {
    let mut hold = hold(bounds, logs.len());
    let mut next = vec![0u32; logs.len()];
    let mut went = Vec::new();
    let mut rhythm = rhythm.iter().copied().chain((0..).map(|turn| turn % 5));
    while next.iter().zip(logs).any(|(next, log)| (*next as usize) < log.len()) {
        let lane = rhythm.next().expect("it goes on for ever");
        let Some((mark, _)) = logs[lane].get(next[lane] as usize) else { continue };
        hold.offer(lane, mark.clone(), 10, EventTime(0), next[lane]);
        next[lane] += 1;
        while let Some(group) = hold.take(EventTime(0), in_order) {
            went.push(Went { whole: group.whole, records: group.records });
        }
        assert!(hold.len() <= bounds.records && hold.len() * 10 <= bounds.bytes);
    }
    while let Some(group) = hold.take(EventTime(bounds.patience), in_order) {
        went.push(Went { whole: group.whole, records: group.records });
    }
    assert_eq!(hold.len(), 0, "nothing waits for ever");
    (went, hold.take_splits())
}

#[derive(Debug)]
struct Went {
    whole: bool,
    records: Vec<(usize, u32)>,
}

/// Every record goes once, and in the order of its lane.
fn each_once_and_in_order(logs: &[Vec<Record>], went: &[Went]) {
    for (lane, log) in logs.iter().enumerate() {
        let records = went.iter().flat_map(|went| &went.records).filter(|(of, _)| *of == lane);
        let places: Vec<usize> = records.map(|(_, place)| *place as usize).collect();
        assert_eq!(places, (0..log.len()).collect::<Vec<_>>(), "lane {lane}");
    }
}

proptest! {
    #[test]
    fn whatever_the_rhythm_each_transaction_goes_at_once(
        transactions in transactions(),
        loose in prop::collection::vec((0usize..20, 1usize..5), 0..20),
        rhythm in prop::collection::vec(0usize..5, 0..200),
        in_order: bool,
    ) {
        let logs = logs(&transactions, &loose);
        let (went, splits) = run(&logs, &rhythm, WIDE, in_order);
        each_once_and_in_order(&logs, &went);
        prop_assert!(splits.is_empty(), "{splits:?}");
        let mut seen = BTreeSet::new();
        for went in &went {
            let named: BTreeSet<u32> =
                went.records.iter().filter_map(|(lane, place)| logs[*lane][*place as usize].1).collect();
            prop_assert!(named.len() == usize::from(went.whole), "two transactions, or a piece of one: {went:?}");
            prop_assert!(named.iter().all(|number| seen.insert(*number)), "in two pieces: {went:?}");
        }
        prop_assert_eq!(seen.len(), transactions.len());
    }

    #[test]
    fn with_little_room_nothing_is_lost_and_the_bounds_hold(
        transactions in transactions(),
        loose in prop::collection::vec((0usize..20, 1usize..5), 0..20),
        rhythm in prop::collection::vec(0usize..5, 0..200),
        records in 1usize..8,
        in_order: bool,
    ) {
        let logs = logs(&transactions, &loose);
        let (went, _) = run(&logs, &rhythm, Bounds { records, ..WIDE }, in_order);
        each_once_and_in_order(&logs, &went);
    }

    /// Logs that no source writes: rows of any transaction anywhere, ends that count what never comes.
    #[test]
    fn in_any_disorder_nothing_is_lost_or_waits_for_ever(
        lanes in prop::collection::vec(prop::collection::vec((0u32..6, 0u64..4), 0..12), 5),
        rhythm in prop::collection::vec(0usize..5, 0..60),
        in_order: bool,
    ) {
        let record = |lane: usize, (number, count): (u32, u64)| match (lane, number) {
            (_, 5) => (None, None),
            (0, _) => (end(number, &[(1, count), (2, count)]), Some(number)),
            _ => (row(number, lane, count), Some(number)),
        };
        let logs: Vec<Vec<Record>> =
            lanes.into_iter().enumerate().map(|(lane, log)| log.into_iter().map(|of| record(lane, of)).collect()).collect();
        let (went, _) = run(&logs, &rhythm, WIDE, in_order);
        each_once_and_in_order(&logs, &went);
    }
}
