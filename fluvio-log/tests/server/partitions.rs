//! The server that leads every partition: ends, streams of records, and what is sent.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fluvio_log::{Appended, Cluster, Memory, Partition, Record};
use fluvio_protocol::api::Request as Published;
use fluvio_protocol::link::ErrorCode;
use fluvio_protocol::link::versions::VERSIONS_API_KEY;
use fluvio_protocol::record::{Batch, RawRecords, Record as Sent, RecordData, RecordKey, RecordSet};
use fluvio_spu_schema::fetch::FetchablePartitionResponse;
use fluvio_spu_schema::produce::{
    DefaultProduceRequest, PartitionProduceResponse, ProduceResponse, TopicProduceResponse,
};
use fluvio_spu_schema::server::fetch_offset::{
    FetchOffsetPartitionResponse, FetchOffsetTopicResponse, FetchOffsetsRequest, FetchOffsetsResponse,
};
use fluvio_spu_schema::server::stream_fetch::{DefaultStreamFetchRequest, DefaultStreamFetchResponse};
use fluvio_spu_schema::server::update_offset::{OffsetUpdateStatus, UpdateOffsetsRequest, UpdateOffsetsResponse};

use super::{Answers, Request, next, versions};

/// Records of one answer: few, so that streams have several.
const BATCH: usize = 3;

const PRODUCE: u16 = DefaultProduceRequest::API_KEY;
const ENDS: u16 = FetchOffsetsRequest::API_KEY;
const STREAM: u16 = DefaultStreamFetchRequest::API_KEY;
const READ: u16 = UpdateOffsetsRequest::API_KEY;

/// How far the reader of each stream of a connection is.
type Read = Arc<Mutex<BTreeMap<u32, i64>>>;

pub(super) fn serve(memory: &Memory, mut stream: TcpStream, answers: Answers) {
    let (read, mut streams) = (Read::default(), 0);
    while let Some(request) = next(&mut stream) {
        match request.key {
            VERSIONS_API_KEY => {
                let keys = [
                    (PRODUCE, DefaultProduceRequest::MIN_API_VERSION, DefaultProduceRequest::MAX_API_VERSION),
                    (ENDS, FetchOffsetsRequest::MIN_API_VERSION, FetchOffsetsRequest::MAX_API_VERSION),
                    (STREAM, DefaultStreamFetchRequest::MIN_API_VERSION, DefaultStreamFetchRequest::MAX_API_VERSION),
                    (READ, UpdateOffsetsRequest::MIN_API_VERSION, UpdateOffsetsRequest::MAX_API_VERSION),
                ];
                answers.send(&request, &versions(&keys));
            }
            PRODUCE => {
                answers.send(&request, &produce(memory, request.decode()));
            }
            ENDS => {
                answers.send(&request, &ends(memory, &request.decode()));
            }
            STREAM => {
                streams += 1;
                let (memory, answers, read, id) = (memory.clone(), answers.clone(), Arc::clone(&read), streams);
                std::thread::spawn(move || send_stream(&memory, &request, &answers, &read, id));
            }
            READ => {
                let update: UpdateOffsetsRequest = request.decode();
                let told = update.offsets.iter().map(|told| (told.session_id, told.offset));
                read.lock().expect("no panic").extend(told);
                let status = update
                    .offsets
                    .iter()
                    .map(|told| OffsetUpdateStatus { session_id: told.session_id, error: ErrorCode::None });
                answers.send(&request, &UpdateOffsetsResponse { status: status.collect() });
            }
            other => panic!("the server does not know request {other}"),
        }
    }
}

fn place(topic: &str, partition: u32) -> Partition {
    (topic.into(), i32::try_from(partition).expect("few"))
}

fn ends(memory: &Memory, request: &FetchOffsetsRequest) -> FetchOffsetsResponse {
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let ends = memory.clone().ends(&place(&topic.name, asked.partition_index));
            let (start_offset, last_stable_offset) = ends.clone().unwrap_or((-1, -1));
            FetchOffsetPartitionResponse {
                error_code: if ends.is_ok() { ErrorCode::None } else { ErrorCode::TopicNotFound },
                partition_index: asked.partition_index,
                start_offset,
                last_stable_offset,
            }
        });
        FetchOffsetTopicResponse { name: topic.name.clone(), partitions: partitions.collect() }
    });
    FetchOffsetsResponse { topics: topics.collect() }
}

fn produce(memory: &Memory, request: DefaultProduceRequest) -> ProduceResponse {
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let place = place(&topic.name, partition.partition_index);
            let batches = partition.records.batches.iter();
            let records = batches.flat_map(|batch| batch.memory_records().expect("records as published"));
            let offsets: Result<Vec<i64>, _> = records
                .map(|record| {
                    let key = record.key().map(|key| key.as_ref().to_vec());
                    memory.push(&place, Appended { key, value: record.value().as_ref().to_vec() })
                })
                .collect();
            PartitionProduceResponse {
                partition_index: partition.partition_index,
                error_code: if offsets.is_ok() { ErrorCode::None } else { ErrorCode::TopicNotFound },
                base_offset: offsets.ok().and_then(|offsets| offsets.first().copied()).unwrap_or(-1),
                ..PartitionProduceResponse::default()
            }
        });
        TopicProduceResponse { partitions: partitions.collect(), name: topic.name }
    });
    ProduceResponse { responses: responses.collect(), ..ProduceResponse::default() }
}

/// Sends a partition's records, a few at a time, and the next few when the reader says that it has these.
fn send_stream(memory: &Memory, request: &Request, answers: &Answers, read: &Read, stream_id: u32) {
    let asked: DefaultStreamFetchRequest = request.decode();
    let place = place(&asked.topic, asked.partition);
    let mut offset = asked.fetch_offset;
    let mut sent_any = false;
    loop {
        let told = read.lock().expect("no panic").get(&stream_id).copied();
        let may_send = !sent_any || told.is_some_and(|told| told >= offset);
        let (first, end) = memory.clone().ends(&place).unwrap_or((-1, -1));
        let found = memory.from(&place, offset);
        if memory.is_away() {
            return;
        }
        let (records, error_code) = match found {
            Ok(records) => (records, ErrorCode::None),
            Err(_) => (Vec::new(), ErrorCode::OffsetEvicted { offset, next_available: first }),
        };
        if may_send && (!records.is_empty() || error_code != ErrorCode::None) {
            let records = &records[..records.len().min(BATCH)];
            let is_over = error_code != ErrorCode::None;
            let answer = DefaultStreamFetchResponse {
                topic: asked.topic.clone(),
                stream_id,
                partition: FetchablePartitionResponse {
                    partition_index: asked.partition,
                    error_code,
                    high_watermark: end,
                    log_start_offset: first,
                    records: batches(records),
                    ..FetchablePartitionResponse::default()
                },
            };
            if !answers.send(request, &answer) || is_over {
                return;
            }
            offset = records.last().map_or(offset, |last| last.offset + 1);
            sent_any = true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn batches(records: &[Record]) -> RecordSet<RawRecords> {
    let Some(first) = records.first() else { return RecordSet::default() };
    let start = first.timestamp_ms.unwrap_or_default();
    let sent = records.iter().map(|record| {
        let mut sent = match record.key.clone() {
            Some(key) => Sent::new_key_value(RecordKey::from(key), RecordData::from(record.value.clone())),
            None => Sent::new(RecordData::from(record.value.clone())),
        };
        sent.get_mut_header().set_timestamp_delta(record.timestamp_ms.unwrap_or_default() - start);
        sent
    });
    let mut batch = Batch::from(sent.collect::<Vec<_>>());
    batch.set_base_offset(first.offset);
    batch.get_mut_header().first_timestamp = start;
    RecordSet::default().add(batch).try_into().expect("not compressed")
}
