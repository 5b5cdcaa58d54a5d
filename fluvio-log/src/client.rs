//! The official client, waited for. Only this file and the tests beside it name its libraries.
//!
//! The client's tasks run on threads of its own; callers wait on theirs.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use fluvio::consumer::{ConsumerConfigExtBuilder, ConsumerStream, Record as Consumed, RetryMode};
use fluvio::dataplane::link::ErrorCode;
use fluvio::dataplane::record::{RecordData, RecordKey, ReplicaKey};
use fluvio::metadata::partition::PartitionSpec;
use fluvio::metadata::spu::SpuSpec;
use fluvio::{
    DeliverySemantic, Fluvio, FluvioClusterConfig, Isolation, Offset, Partitioner, PartitionerConfig, RetryPolicy,
    RetryStrategy, TopicProducerConfigBuilder, TopicProducerPool,
};
use fluvio_future::timer::sleep;
use fluvio_socket::{ClientConfig, MultiplexerSocket, VersionedSerialSocket};
use fluvio_spu_schema::server::fetch_offset::FetchOffsetsRequest;
use futures_util::future::{Either, FutureExt, select};
use futures_util::stream::{Stream, StreamExt};

use crate::{Appended, Cluster, Error, Partition, PartitionOf, Reader, Record, Settings};

/// How long one question may take.
const QUESTION_TIME: Duration = Duration::from_secs(10);

/// How long records may wait for their acknowledgements.
const ACKNOWLEDGE_TIME: Duration = Duration::from_secs(60);

/// The client; connected while that goes well.
pub(crate) struct Client {
    config: FluvioClusterConfig,
    open: Option<Open>,
}

struct Open {
    fluvio: Fluvio,
    /// Which server leads each partition.
    leaders: BTreeMap<Partition, i32>,
    /// Connections to servers.
    servers: BTreeMap<i32, VersionedSerialSocket>,
    producers: BTreeMap<String, TopicProducerPool>,
}

impl Client {
    pub(crate) fn new(settings: &Settings) -> Result<Self, Error> {
        let unreadable = |error: &dyn fmt::Display| {
            Error::Refused(format!(
                "{settings}: Fluvio's own config cannot be used: {error}; see `fluvio profile list`"
            ))
        };
        let mut config = match (&settings.endpoint, &settings.profile) {
            (Some(endpoint), _) => FluvioClusterConfig::new(endpoint),
            (None, Some(profile)) => FluvioClusterConfig::load_with_profile(profile)
                .map_err(|error| unreadable(&error))?
                .ok_or_else(|| unreadable(&"there is no such profile"))?,
            (None, None) => FluvioClusterConfig::load().map_err(|error| unreadable(&error))?,
        };
        config.client_id = Some(settings.client_id.clone());
        Ok(Self { config, open: None })
    }

    /// Asks over the connection, which is made first if need be, and given up when there is no good answer.
    fn ask<T>(&mut self, ask: impl FnOnce(&mut Open, &FluvioClusterConfig) -> Result<T, Error>) -> Result<T, Error> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let what = format!("connect to {}", self.config.endpoint);
                let fluvio = wait(QUESTION_TIME, &what, Fluvio::connect_with_config(&self.config))?;
                Open { fluvio, leaders: BTreeMap::new(), servers: BTreeMap::new(), producers: BTreeMap::new() }
            }
        };
        let answer = ask(&mut open, &self.config);
        self.open = Some(open).filter(|_| !matches!(answer, Err(Error::Away(_))));
        answer
    }
}

/// Waits for the client.
fn wait<T, E: fmt::Display>(
    patience: Duration,
    what: &str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Error> {
    match futures_executor::block_on(select(pin!(work), pin!(sleep(patience)))) {
        Either::Left((Ok(done), _)) => Ok(done),
        Either::Left((Err(error), _)) => Err(Error::Away(format!("cannot {what}: {error:#}"))),
        Either::Right(_) => Err(Error::Away(format!("cannot {what}: no answer within {patience:?}"))),
    }
}

impl Open {
    fn look_around(&mut self) -> Result<Vec<Partition>, Error> {
        let all = async { self.fluvio.admin().await.all::<PartitionSpec>().await };
        let found = wait(QUESTION_TIME, "list the partitions", all)?;
        self.leaders.clear();
        for found in found.into_iter().filter(|found| !found.spec.system) {
            let Ok(replica) = ReplicaKey::try_from(found.name) else { continue };
            let Ok(number) = i32::try_from(replica.partition) else { continue };
            self.leaders.insert((replica.topic.into(), number), found.spec.leader);
        }
        Ok(self.leaders.keys().cloned().collect())
    }

    /// The server that leads a partition.
    fn leader(&mut self, partition: &Partition) -> Result<i32, Error> {
        if !self.leaders.contains_key(partition) {
            self.look_around()?;
        }
        let (topic, number) = partition;
        self.leaders.get(partition).copied().ok_or_else(|| {
            let hint = format!("create it with `fluvio topic create {topic}`");
            Error::Refused(format!("topic `{topic}` has no partition {number}; {hint}"))
        })
    }

    fn server(&mut self, id: i32, config: &FluvioClusterConfig) -> Result<&VersionedSerialSocket, Error> {
        if self.servers.get(&id).is_some_and(VersionedSerialSocket::is_stale) {
            // The controller may be gone too, and would be waited for over a connection that brings no answer.
            return Err(Error::Away(format!("the connection to server {id} is gone")));
        }
        if !self.servers.contains_key(&id) {
            let connect = async {
                let servers = self.fluvio.admin().await.all::<SpuSpec>().await.map_err(|error| error.to_string())?;
                let server = servers.into_iter().find(|server| server.spec.id == id);
                let server = server.ok_or_else(|| format!("the cluster does not know server {id}"))?;
                let connector = match config.tls.clone().try_into() {
                    Ok(connector) => connector,
                    Err(error) => return Err(format!("{error:#}")),
                };
                let local = server.spec.public_endpoint_local.filter(|_| config.use_spu_local_address);
                let address = match local {
                    Some(local) => format!("{}:{}", local.host, local.port),
                    None => server.spec.public_endpoint.addr(),
                };
                let client = ClientConfig::new(address, connector, config.use_spu_local_address);
                let socket = client.with_prefix_sni_domain(&server.name).connect().await;
                Ok::<_, String>(socket.map_err(|error| error.to_string())?.split())
            };
            let (socket, client, versions) = wait(QUESTION_TIME, &format!("connect to server {id}"), connect)?;
            let socket = VersionedSerialSocket::new(MultiplexerSocket::shared(socket), client, versions);
            self.servers.insert(id, socket);
        }
        self.servers.get(&id).ok_or_else(|| Error::Away(format!("server {id} is gone")))
    }

    fn producer(&mut self, topic: &str, partition_of: PartitionOf) -> Result<&TopicProducerPool, Error> {
        if !self.producers.contains_key(topic) {
            self.leader(&(topic.into(), 0))?;
            // Repeats are up to who has the records, and can wait for as long as it takes.
            let retry = RetryPolicy {
                max_retries: 1,
                initial_delay: Duration::from_millis(100),
                max_delay: Duration::from_secs(1),
                timeout: ACKNOWLEDGE_TIME,
                strategy: RetryStrategy::FixedDelay,
            };
            let config = TopicProducerConfigBuilder::default()
                .partitioner(Arc::new(ByKey(partition_of)))
                .isolation(Isolation::ReadCommitted)
                .timeout(QUESTION_TIME)
                .delivery_semantic(DeliverySemantic::AtLeastOnce(retry))
                .build();
            let config = config.map_err(|error| Error::Refused(error.to_string()))?;
            let make = self.fluvio.topic_producer_with_config(topic, config);
            let producer = wait(QUESTION_TIME, &format!("open topic `{topic}`"), make)?;
            self.producers.insert(topic.to_owned(), producer);
        }
        self.producers.get(topic).ok_or_else(|| Error::Away(format!("topic `{topic}` is gone")))
    }
}

impl Cluster for Client {
    fn partitions(&mut self) -> Result<Vec<Partition>, Error> {
        self.ask(|open, _| open.look_around())
    }

    fn ends(&mut self, partition: &Partition) -> Result<(i64, i64), Error> {
        self.ask(|open, config| {
            let (replica, leader) = (replica(partition)?, open.leader(partition)?);
            let what = format!("ask for the ends of topic `{}`, partition {}", partition.0, partition.1);
            let server = open.server(leader, config)?;
            let request = FetchOffsetsRequest::new(replica.topic.clone(), replica.partition);
            let answer = wait(QUESTION_TIME, &what, server.send_receive(request))?;
            match answer.find_partition(&replica) {
                Some(found) if found.error_code == ErrorCode::None => {
                    Ok((found.start_offset, found.last_stable_offset))
                }
                Some(found) => Err(Error::Away(format!("cannot {what}: {}", found.error_code))),
                None => Err(Error::Away(format!("cannot {what}: the answer is about another"))),
            }
        })
    }

    fn read(&mut self, partition: &Partition, offset: i64, bytes: i32) -> Result<Box<dyn Reader>, Error> {
        self.ask(|open, _| {
            open.leader(partition)?;
            let what = format!("read topic `{}`, partition {}", partition.0, partition.1);
            let start = Offset::absolute(offset).map_err(|error| Error::Refused(error.to_string()))?;
            let config = ConsumerConfigExtBuilder::default()
                .topic(partition.0.to_string())
                .partition(replica(partition)?.partition)
                .offset_start(start)
                .max_bytes(bytes)
                .isolation(Isolation::ReadCommitted)
                .retry_mode(RetryMode::Disabled)
                .build();
            let config = config.map_err(|error| Error::Refused(error.to_string()))?;
            let stream = wait(QUESTION_TIME, &what, open.fluvio.consumer_with_config(config))?;
            Ok(Box::new(ClientReader { what, stream: boxed(stream) }) as Box<dyn Reader>)
        })
    }

    fn append(&mut self, topic: &str, records: &[Appended], partition_of: PartitionOf) -> Result<(), Error> {
        self.ask(|open, _| {
            let producer = open.producer(topic, partition_of)?;
            let send = async {
                let mut sent = Vec::with_capacity(records.len());
                for record in records {
                    let key = record.key.clone().map_or(RecordKey::NULL, RecordKey::from);
                    let output = producer.send(key, RecordData::from(record.value.clone())).await;
                    sent.push(output.map_err(|error| format!("{error:#}"))?);
                }
                producer.flush().await.map_err(|error| format!("{error:#}"))?;
                for output in sent {
                    output.wait().await.map_err(|error| error.to_string())?;
                }
                Ok::<_, String>(())
            };
            wait(ACKNOWLEDGE_TIME, &format!("send records to topic `{topic}`"), send)
        })
    }
}

fn replica((topic, number): &Partition) -> Result<ReplicaKey, Error> {
    let number = u32::try_from(*number);
    let number = number.map_err(|_| Error::Refused(format!("topic `{topic}` has no partitions below 0")))?;
    Ok(ReplicaKey::new(topic.to_string(), number))
}

struct ByKey(PartitionOf);

impl Partitioner for ByKey {
    fn partition(&self, config: &PartitionerConfig, key: Option<&[u8]>, _: &[u8]) -> u32 {
        let count = i32::try_from(config.partition_count()).unwrap_or(i32::MAX);
        u32::try_from((self.0)(key.unwrap_or_default(), count)).unwrap_or(0)
    }
}

type Records = Pin<Box<dyn Stream<Item = Result<Consumed, ErrorCode>> + Send>>;

fn boxed(stream: impl ConsumerStream<Item = Result<Consumed, ErrorCode>> + Send + 'static) -> Records {
    Box::pin(stream)
}

struct ClientReader {
    what: String,
    stream: Records,
}

impl Reader for ClientReader {
    fn next(&mut self) -> Result<Option<Record>, Error> {
        match self.stream.next().now_or_never() {
            None => Ok(None),
            Some(Some(Ok(record))) => Ok(Some(Record {
                offset: record.offset(),
                timestamp_ms: Some(record.timestamp()).filter(|millis| *millis > 0),
                key: record.key().map(<[u8]>::to_vec),
                value: record.value().to_vec(),
            })),
            Some(Some(Err(error))) => Err(Error::Away(format!("cannot {}: {error}", self.what))),
            Some(None) => Err(Error::Away(format!("cannot {}: the connection has ended", self.what))),
        }
    }
}
