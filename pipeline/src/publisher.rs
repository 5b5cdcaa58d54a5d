//! How records get from the loop to the sink: at once, or on a thread beside the loop, so that the loop goes on with the
//! next changes while the sink waits for its broker. What comes meanwhile leaves together.
//!
//! Until a record is acknowledged it is in the store's outbox, so nothing is lost when either side ends.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use relational::limits::{BATCH_BYTES_MAX, UNACKNOWLEDGED_BYTES_MAX};
use relational::{EventTime, Position};
use sinks::{Error, Outgoing, Receipt, Sink};

use crate::metrics;

/// What may wait for its acknowledgement; with more, the loop waits too.
const ROOM: Room = Room { parcels: usize::MAX, records: 5_000, bytes: UNACKNOWLEDGED_BYTES_MAX };

/// Records that leave together at most, of [`BATCH_BYTES_MAX`] bytes, if one step has not made more.
const TOGETHER_MAX: usize = 1_000;

/// How long whoever has no thread tries again what may go well another time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Between two attempts, and between two looks while the loop waits.
const PAUSE: Duration = Duration::from_millis(50);

/// A sink that has not answered for so long is waited for.
const SILENCE: Duration = Duration::from_secs(10);

/// Asked while the loop waits for the sink, with what it waits for: whether to give up. What waits stays in the outbox.
pub(crate) type GiveUp = Box<dyn FnMut(&str) -> bool + Send>;

/// What leaves in one step.
#[derive(Debug, Default)]
pub(crate) struct Parcel {
    /// The records with their outbox sequences.
    pub(crate) batch: Vec<(u64, Outgoing)>,
    /// Where the source has moved to.
    pub(crate) positions: Vec<Position>,
    /// When the changes came that led to it, for the metrics.
    pub(crate) arrival: Option<Arrival>,
}

/// When changes came.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Their commits in the source.
    pub(crate) known: Vec<EventTime>,
    /// The wall clock when they were here.
    pub(crate) now: Option<EventTime>,
    /// The same, to measure from.
    pub(crate) at: Instant,
    /// How long they took to be applied and scored.
    pub(crate) applied: Duration,
}

/// What was acknowledged.
#[derive(Debug)]
pub(crate) struct Acknowledged {
    /// The records' sequences.
    pub(crate) sequences: Vec<u64>,
    /// What the sink says.
    pub(crate) receipt: Receipt,
}

/// Hands records to a sink.
pub(crate) enum Publisher {
    /// At once.
    Here(Box<dyn Sink>),
    /// On its own thread.
    Beside(Beside),
}

impl Publisher {
    /// Hands a parcel over. Returns what has been acknowledged meanwhile.
    ///
    /// # Errors
    ///
    /// When the sink refuses for good.
    pub(crate) fn publish(&mut self, parcel: Parcel, give_up: &mut GiveUp) -> Result<Vec<Acknowledged>, Error> {
        match self {
            Self::Here(sink) => {
                let receipt = patiently(|| sink.publish(&parcel.batch, &parcel.positions))?;
                Ok(vec![acknowledged(sequences(&parcel.batch), receipt, parcel.arrival.iter())])
            }
            Self::Beside(beside) => {
                beside.hand_over(parcel, false);
                beside.collect(ROOM, give_up)
            }
        }
    }

    /// What has been acknowledged meanwhile.
    ///
    /// # Errors
    ///
    /// When the sink has refused for good.
    pub(crate) fn collect(&mut self) -> Result<Vec<Acknowledged>, Error> {
        match self {
            Self::Here(_) => Ok(Vec::new()),
            Self::Beside(beside) => beside.collect(Room::ANY, &mut never()),
        }
    }

    /// Tells where the source is, and looks whether another process publishes too. What fails now is done later.
    ///
    /// # Errors
    ///
    /// When the sink refuses for good, or another process has begun.
    pub(crate) fn report(&mut self, positions: Vec<Position>) -> Result<(), Error> {
        match self {
            Self::Here(sink) => patiently(|| sink.report(&positions)),
            Self::Beside(beside) => {
                beside.hand_over(Parcel { positions, ..Parcel::default() }, true);
                Ok(())
            }
        }
    }

    /// Waits until everything is acknowledged and complete, unless it is to be given up.
    ///
    /// # Errors
    ///
    /// When the sink refuses for good.
    pub(crate) fn finish(&mut self, give_up: &mut GiveUp) -> Result<Vec<Acknowledged>, Error> {
        match self {
            Self::Here(sink) => sink.flush().map(|()| Vec::new()),
            Self::Beside(beside) => {
                let acknowledged = beside.collect(Room::NONE, give_up)?;
                if beside.waiting.is_empty() {
                    beside.end()?;
                } else {
                    let records = beside.records();
                    tracing::warn!(records, "not acknowledged yet; they stay in the outbox for the next start");
                }
                Ok(acknowledged)
            }
        }
    }

    /// Records that are not acknowledged yet.
    #[must_use]
    pub(crate) fn records(&self) -> usize {
        match self {
            Self::Here(_) => 0,
            Self::Beside(beside) => beside.records(),
        }
    }

    /// What the sink waits for, if it does.
    #[must_use]
    pub(crate) fn waits_for(&self) -> Option<String> {
        match self {
            Self::Here(_) => None,
            Self::Beside(beside) => beside.waits_for(),
        }
    }
}

/// Never gives up.
#[must_use]
pub(crate) fn never() -> GiveUp {
    Box::new(|_| false)
}

/// Calls again for a while what may go well another time.
///
/// # Errors
///
/// The last refusal.
pub(crate) fn patiently<T>(mut call: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let started = Instant::now();
    loop {
        match call() {
            Err(error) if error.passes() && started.elapsed() < PATIENCE => tracing::warn!("{error}; trying again"),
            answer => return answer,
        }
    }
}

fn bytes(batch: &[(u64, Outgoing)]) -> usize {
    batch.iter().map(|(_, outgoing)| outgoing.bytes()).sum()
}

fn sequences(batch: &[(u64, Outgoing)]) -> Vec<u64> {
    batch.iter().map(|(sequence, _)| *sequence).collect()
}

fn acknowledged<'a>(
    sequences: Vec<u64>,
    receipt: Receipt,
    arrivals: impl Iterator<Item = &'a Arrival>,
) -> Acknowledged {
    metrics::published(&receipt);
    for arrival in arrivals {
        metrics::round(&arrival.known, arrival.now, arrival.applied, arrival.at.elapsed());
    }
    Acknowledged { sequences, receipt }
}

/// What the thread is to do.
#[derive(Default)]
struct Order {
    batch: Vec<(u64, Outgoing)>,
    positions: BTreeMap<(Arc<str>, i32), Position>,
    report: bool,
    /// Bytes of the batch.
    bytes: usize,
    /// How many orders these are.
    count: usize,
}

impl Order {
    fn join(&mut self, next: Self) {
        self.batch.extend(next.batch);
        self.positions.extend(next.positions);
        self.report |= next.report;
        self.bytes += next.bytes;
        self.count += next.count;
    }
}

/// How much may wait for an answer.
#[derive(Clone, Copy)]
struct Room {
    parcels: usize,
    records: usize,
    bytes: usize,
}

impl Room {
    const ANY: Self = Self { parcels: usize::MAX, records: usize::MAX, bytes: usize::MAX };
    const NONE: Self = Self { parcels: 0, records: 0, bytes: 0 };
}

/// What the loop keeps of an order that has no answer yet.
struct Waiting {
    sequences: Vec<u64>,
    bytes: usize,
    arrival: Option<Arrival>,
    since: Instant,
}

/// A sink on its own thread.
pub(crate) struct Beside {
    /// Absent once it has come to its end.
    orders: Option<Sender<Order>>,
    /// To how many orders, and what the sink says.
    answers: Receiver<(usize, Result<Receipt, Error>)>,
    thread: Option<JoinHandle<Result<(), Error>>>,
    waiting: VecDeque<Waiting>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Beside {
    /// Moves a sink to a thread.
    #[must_use]
    pub(crate) fn start(sink: Box<dyn Sink>) -> Self {
        let ((orders, taken), (answer, answers)) = (channel(), channel());
        let trouble = Arc::new(Mutex::new(None));
        let told = Arc::clone(&trouble);
        let thread = Some(thread::spawn(move || work(sink, &taken, &answer, &told)));
        Self { orders: Some(orders), answers, thread, waiting: VecDeque::new(), trouble }
    }

    fn hand_over(&mut self, parcel: Parcel, report: bool) {
        let Parcel { batch, positions, arrival } = parcel;
        let bytes = bytes(&batch);
        self.waiting.push_back(Waiting { sequences: sequences(&batch), bytes, arrival, since: Instant::now() });
        let place = |position: Position| ((Arc::clone(&position.topic), position.partition), position);
        let positions = positions.into_iter().map(place).collect();
        let order = Order { batch, positions, report, bytes, count: 1 };
        // A thread that has ended has answered why.
        self.orders.as_ref().map(|orders| orders.send(order).ok());
    }

    /// Takes what has been answered, and waits while there is no room for what has no answer.
    fn collect(&mut self, room: Room, give_up: &mut GiveUp) -> Result<Vec<Acknowledged>, Error> {
        let mut all = Vec::new();
        loop {
            let bytes: usize = self.waiting.iter().map(|order| order.bytes).sum();
            let has_room = self.waiting.len() <= room.parcels && self.records() <= room.records && bytes <= room.bytes;
            match self.answers.recv_timeout(if has_room { Duration::ZERO } else { PAUSE }) {
                Ok((count, receipt)) => {
                    let (receipt, answered) = (receipt?, self.waiting.drain(..count).collect::<Vec<_>>());
                    let sequences = answered.iter().flat_map(|order| order.sequences.iter().copied()).collect();
                    let arrivals = answered.iter().filter_map(|order| order.arrival.as_ref());
                    all.push(acknowledged(sequences, receipt, arrivals));
                }
                Err(_) if has_room => return Ok(all),
                Err(RecvTimeoutError::Timeout) => {
                    let reason = self.waits_for();
                    if give_up(reason.as_deref().unwrap_or("the sink's acknowledgement")) {
                        return Ok(all);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    // It has told its failure before, and the run ends with that one.
                    self.end()?;
                    self.waiting.clear();
                }
            }
        }
    }

    fn records(&self) -> usize {
        self.waiting.iter().map(|order| order.sequences.len()).sum()
    }

    fn waits_for(&self) -> Option<String> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let silence = self.waiting.front().map(|order| order.since.elapsed()).filter(|silence| *silence > SILENCE);
        trouble.or_else(|| silence.map(|time| format!("the sink has not answered for {} s", time.as_secs())))
    }

    /// Ends the thread, which completes what it has written.
    fn end(&mut self) -> Result<(), Error> {
        self.orders = None;
        self.thread.take().map_or(Ok(()), |thread| thread.join().expect("the publishing thread does not panic"))
    }
}

/// The thread: publishes until nothing more can come, or the sink refuses for good.
fn work(
    mut sink: Box<dyn Sink>,
    orders: &Receiver<Order>,
    answers: &Sender<(usize, Result<Receipt, Error>)>,
    trouble: &Mutex<Option<String>>,
) -> Result<(), Error> {
    let tell = |told: Option<String>| *trouble.lock().unwrap_or_else(PoisonError::into_inner) = told;
    while let Ok(mut order) = orders.recv() {
        while order.batch.len() < TOGETHER_MAX
            && order.bytes < BATCH_BYTES_MAX
            && let Ok(next) = orders.try_recv()
        {
            order.join(next);
        }
        let receipt = loop {
            match carry_out(sink.as_mut(), &order) {
                Err(error) if error.passes() => {
                    let told = error.to_string();
                    tracing::warn!("{told}; trying again");
                    tell(Some(told));
                    thread::sleep(PAUSE);
                }
                receipt => break receipt,
            }
        };
        tell(None);
        let is_over = receipt.is_err();
        if answers.send((order.count, receipt)).is_err() || is_over {
            return Ok(());
        }
    }
    sink.flush()
}

fn carry_out(sink: &mut dyn Sink, order: &Order) -> Result<Receipt, Error> {
    let positions: Vec<Position> = order.positions.values().cloned().collect();
    if order.batch.is_empty() {
        sink.report(&positions)?;
        return Ok(Receipt::default());
    }
    let receipt = sink.publish(&order.batch, &positions)?;
    if order.report
        && let Err(error) = sink.report(&[])
        && !error.passes()
    {
        return Err(error);
    }
    Ok(receipt)
}
