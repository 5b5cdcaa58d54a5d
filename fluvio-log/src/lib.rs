//! The logs of a Fluvio cluster, to read and to append to, for callers that wait for their answers.
//!
//! [`Cluster`] is all that source and sink need. [`connect`] makes one of the official client, which is behind the
//! feature `fluvio`; [`Memory`] is one for tests. Both hold to the same contract, see `tests/contract`.

#[cfg(feature = "fluvio")]
mod client;
mod memory;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use thiserror::Error;

pub use memory::Memory;

/// A topic and the number of one of its partitions.
pub type Partition = (Arc<str>, i32);

/// Chooses the partition of a key among this many.
pub type PartitionOf = fn(&[u8], i32) -> i32;

/// Which cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// `host:port` of the cluster's controller; without it, the profile's.
    pub endpoint: Option<String>,
    /// A profile of Fluvio's own config file, which may hold certificates; without it and an endpoint, the current one.
    pub profile: Option<String>,
    /// Who we are, for the cluster's logs.
    pub client_id: String,
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.endpoint, &self.profile) {
            (Some(endpoint), _) => write!(f, "endpoint `{endpoint}`"),
            (None, Some(profile)) => write!(f, "profile `{profile}`"),
            (None, None) => write!(f, "current profile"),
        }
    }
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in its partition.
    pub offset: i64,
    /// When it was sent, in milliseconds since 1970, if that is known.
    pub timestamp_ms: Option<i64>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value. There is no null: an empty value stands for one.
    pub value: Vec<u8>,
}

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Its key, by which its partition is chosen.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// The cluster does not answer now, and may later.
    #[error("{0}")]
    Away(String),
    /// It will not, until somebody does something.
    #[error("{0}")]
    Refused(String),
}

/// Between two questions to a cluster that is away.
pub const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// Asks until there is an answer other than [`Error::Away`], or for so long.
///
/// # Errors
///
/// The last answer's.
pub fn patiently<T>(patience: Duration, mut ask: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let deadline = Instant::now() + patience;
    loop {
        match ask() {
            Err(Error::Away(_)) if Instant::now() < deadline => std::thread::sleep(RETRY_PAUSE.min(patience)),
            answer => return answer,
        }
    }
}

/// A Fluvio cluster. After [`Error::Away`], the next question connects anew.
pub trait Cluster: Send {
    /// Every partition of every topic, in order.
    ///
    /// # Errors
    ///
    /// When the cluster does not answer.
    fn partitions(&mut self) -> Result<Vec<Partition>, Error>;

    /// The first offset that a partition holds, and the one behind its last.
    ///
    /// # Errors
    ///
    /// When the cluster does not answer, or has no such partition.
    fn ends(&mut self, partition: &Partition) -> Result<(i64, i64), Error>;

    /// Reads a partition on from an offset, at most `bytes` in one answer.
    ///
    /// # Errors
    ///
    /// When the cluster does not answer, or has no such partition.
    fn read(&mut self, partition: &Partition, offset: i64, bytes: i32) -> Result<Box<dyn Reader>, Error>;

    /// Appends records, in their order within each partition, and returns once all are acknowledged. After an error,
    /// some may be there.
    ///
    /// # Errors
    ///
    /// When the cluster does not answer, has no such topic, or refuses a record.
    fn append(&mut self, topic: &str, records: &[Appended], partition_of: PartitionOf) -> Result<(), Error>;
}

/// A partition that is being read.
pub trait Reader: Send {
    /// The next record, or `None` when none has arrived yet. Does not wait.
    ///
    /// # Errors
    ///
    /// When the connection is gone, or the records are: ask for the partition's ends, and read anew.
    fn next(&mut self) -> Result<Option<Record>, Error>;
}

/// The cluster that the settings name. Connects with the first question.
///
/// # Errors
///
/// When the profile cannot be read, or the program was built without the client.
#[cfg(feature = "fluvio")]
pub fn connect(settings: &Settings) -> Result<Box<dyn Cluster>, Error> {
    Ok(Box::new(client::Client::new(settings)?))
}

/// The cluster that the settings name. Connects with the first question.
///
/// # Errors
///
/// When the profile cannot be read, or the program was built without the client.
#[cfg(not(feature = "fluvio"))]
pub fn connect(settings: &Settings) -> Result<Box<dyn Cluster>, Error> {
    let reason = format!("{settings}: this program was built without Fluvio; build it with `--features fluvio`");
    Err(Error::Refused(reason))
}
