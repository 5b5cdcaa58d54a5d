//! The controller: which topics and servers there are.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use fluvio_log::{Cluster, Memory, Partition};
use fluvio_protocol::api::Request as Published;
use fluvio_protocol::link::versions::VERSIONS_API_KEY;
use fluvio_sc_schema::objects::{
    ListRequest, ListResponse, Metadata, MetadataUpdate, ObjectApiListRequest, ObjectApiListResponse,
    ObjectApiWatchRequest, ObjectApiWatchResponse, WatchRequest, WatchResponse,
};
use fluvio_sc_schema::partition::PartitionSpec;
use fluvio_sc_schema::spu::SpuSpec;
use fluvio_sc_schema::topic::TopicSpec;
use fluvio_sc_schema::{AdminSpec, TryEncodableFrom};

use super::{Answers, Request, next, versions};

/// The only server's number.
const SERVER: i32 = 5001;

const LIST: u16 = ObjectApiListRequest::API_KEY;
const WATCH: u16 = ObjectApiWatchRequest::API_KEY;

pub(super) fn serve(memory: &Memory, server: SocketAddr, mut stream: TcpStream, answers: Answers) {
    while let Some(request) = next(&mut stream) {
        let version = request.version;
        match request.key {
            VERSIONS_API_KEY => {
                let keys = [LIST, WATCH]
                    .map(|key| (key, ObjectApiListRequest::MIN_API_VERSION, ObjectApiListRequest::MAX_API_VERSION));
                answers.send(&request, &versions(&keys));
            }
            LIST => {
                let list: ObjectApiListRequest = request.decode();
                let found = memory.clone().partitions().unwrap_or_default();
                let is_servers = TryEncodableFrom::<ListRequest<SpuSpec>>::downcast(&list).expect("readable").is_some();
                let answer = if is_servers {
                    ObjectApiListResponse::try_encode_from(ListResponse::new(servers(server)), version)
                } else {
                    ObjectApiListResponse::try_encode_from(ListResponse::new(partitions(&found)), version)
                };
                answers.send(&request, &answer.expect("encodable"));
            }
            WATCH => {
                let (memory, answers) = (memory.clone(), answers.clone());
                std::thread::spawn(move || watch(&memory, server, &request, &answers));
            }
            other => panic!("the controller does not know request {other}"),
        }
    }
}

/// Tells all there is, and again when that has changed.
fn watch(memory: &Memory, server: SocketAddr, request: &Request, answers: &Answers) {
    let asked: ObjectApiWatchRequest = request.decode();
    let mut told = None;
    while !memory.is_away() {
        let found = memory.clone().partitions().unwrap_or_default();
        if told.as_ref() != Some(&found) {
            let answer = if is::<SpuSpec>(&asked) {
                update(servers(server), request.version)
            } else if is::<TopicSpec>(&asked) {
                update(topics(&found), request.version)
            } else {
                update(partitions(&found), request.version)
            };
            if !answers.send(request, &answer) {
                return;
            }
            told = Some(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is<S: AdminSpec>(asked: &ObjectApiWatchRequest) -> bool
where
    ObjectApiWatchRequest: TryEncodableFrom<WatchRequest<S>>,
{
    TryEncodableFrom::<WatchRequest<S>>::downcast(asked).expect("readable").is_some()
}

fn update<S: AdminSpec>(all: Vec<Metadata<S>>, version: i16) -> ObjectApiWatchResponse
where
    S::Status: fluvio_protocol::Encoder + fluvio_protocol::Decoder,
    ObjectApiWatchResponse: TryEncodableFrom<WatchResponse<S>>,
{
    let update = WatchResponse::new(MetadataUpdate::with_all(1, all));
    ObjectApiWatchResponse::try_encode_from(update, version).expect("encodable")
}

fn servers(address: SocketAddr) -> Vec<Metadata<SpuSpec>> {
    let spec = SpuSpec::new_public_addr(SERVER, address.port(), address.ip().to_string());
    vec![Metadata { name: SERVER.to_string(), spec, status: Default::default() }]
}

fn topics(found: &[Partition]) -> Vec<Metadata<TopicSpec>> {
    let mut names: Vec<_> = found.iter().map(|(topic, _)| topic).collect();
    names.dedup();
    let topic = |name: &std::sync::Arc<str>| {
        let count = found.iter().filter(|(topic, _)| topic == name).count();
        let spec = TopicSpec::new_computed(u32::try_from(count).expect("few"), 1, None);
        Metadata { name: name.to_string(), spec, status: Default::default() }
    };
    names.into_iter().map(topic).collect()
}

fn partitions(found: &[Partition]) -> Vec<Metadata<PartitionSpec>> {
    let partition = |(topic, number): &Partition| Metadata {
        name: format!("{topic}-{number}"),
        spec: PartitionSpec::new(SERVER, vec![SERVER]),
        status: Default::default(),
    };
    found.iter().map(partition).collect()
}
