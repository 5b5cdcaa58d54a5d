//! A stand-in for a Fluvio cluster: a controller and one server on loopback, with their topics in memory. It speaks the
//! published types of Fluvio's protocol as far as source and sink need them, and nothing has compared it with a real
//! cluster.

mod controller;
mod partitions;

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use fluvio_log::Memory;
use fluvio_protocol::api::RequestHeader;
use fluvio_protocol::link::versions::{ApiVersionKey, ApiVersionsResponse, PlatformVersion};
use fluvio_protocol::{Decoder, Encoder};

type Streams = Arc<Mutex<Vec<TcpStream>>>;

pub(crate) struct StandIn {
    memory: Memory,
    controller: SocketAddr,
    streams: Streams,
}

/// One request, taken apart.
struct Request {
    key: u16,
    version: i16,
    correlation: i32,
    body: Vec<u8>,
}

impl Request {
    fn decode<R: Decoder>(&self) -> R {
        R::decode_from(&mut self.body.as_slice(), self.version).expect("a request as published")
    }
}

/// Where answers go.
#[derive(Clone)]
struct Answers(Arc<Mutex<TcpStream>>);

impl Answers {
    /// Whether the connection still stands.
    fn send(&self, request: &Request, answer: &impl Encoder) -> bool {
        self.send_as(request.correlation, request.version, answer)
    }

    fn send_as(&self, correlation: i32, version: i16, answer: &impl Encoder) -> bool {
        let mut body = Vec::new();
        correlation.encode(&mut body, version).expect("encodable");
        answer.encode(&mut body, version).expect("encodable");
        let length = i32::try_from(body.len()).expect("short");
        let mut stream = self.0.lock().expect("no panic");
        stream.write_all(&[&length.to_be_bytes(), body.as_slice()].concat()).is_ok()
    }
}

impl StandIn {
    pub(crate) fn start() -> Self {
        let (memory, streams) = (Memory::default(), Streams::default());
        let server = {
            let memory = memory.clone();
            listen(&memory.clone(), &streams, move |stream, answers| partitions::serve(&memory, stream, answers))
        };
        let controller = {
            let memory = memory.clone();
            listen(&memory.clone(), &streams, move |stream, answers| {
                controller::serve(&memory, server, stream, answers);
            })
        };
        Self { memory, controller, streams }
    }

    pub(crate) fn endpoint(&self) -> String {
        self.controller.to_string()
    }

    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Closes every connection and takes no new one, or takes them again.
    pub(crate) fn set_away(&self, away: bool) {
        self.memory.set_away(away);
        if away {
            for stream in self.streams.lock().expect("no panic").drain(..) {
                stream.shutdown(Shutdown::Both).ok();
            }
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.set_away(true);
    }
}

fn listen(
    memory: &Memory,
    streams: &Streams,
    serve: impl Fn(TcpStream, Answers) + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (memory, streams) = (memory.clone(), Arc::clone(streams));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if memory.is_away() {
                continue;
            }
            let (serve, answers) = (serve.clone(), stream.try_clone().expect("a second handle"));
            streams.lock().expect("no panic").push(stream.try_clone().expect("a third handle"));
            std::thread::spawn(move || serve(stream, Answers(Arc::new(Mutex::new(answers)))));
        }
    });
    address
}

/// The next request, until the connection ends.
fn next(stream: &mut TcpStream) -> Option<Request> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).expect("a length")];
    stream.read_exact(&mut frame).ok()?;
    let mut rest = frame.as_slice();
    let header = RequestHeader::decode_from(&mut rest, 0).expect("a header as published");
    let (key, version, correlation) = (header.api_key(), header.api_version(), header.correlation_id());
    Some(Request { key, version, correlation, body: rest.to_vec() })
}

/// The answer to the question what is spoken here: keys with their least and greatest versions.
fn versions(keys: &[(u16, i16, i16)]) -> ApiVersionsResponse {
    let keys = keys.iter().map(|(key, min_version, max_version)| ApiVersionKey {
        api_key: i16::try_from(*key).expect("a small number"),
        min_version: *min_version,
        max_version: *max_version,
    });
    let mut platform = Vec::new();
    "0.50.1".to_owned().encode(&mut platform, 0).expect("encodable");
    ApiVersionsResponse {
        api_keys: keys.collect(),
        platform_version: PlatformVersion::decode_from(&mut platform.as_slice(), 0).expect("a version"),
        ..ApiVersionsResponse::default()
    }
}
