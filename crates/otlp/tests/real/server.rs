//! A server that does what its script says, and hands what it takes to a receiver of ours.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use socket2::SockRef;
use taximeter::OperationRecord;
use taximeter_telemetry::otlp::{Receiver, Request, Settings};

/// What the server does with one request for spans.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// Answers with that status and a header, and takes nothing.
    Says(u16, Option<(&'static str, String)>),
    /// Breaks the connection in the middle of the answer.
    Breaks,
    /// Resets the connection in the middle of the answer: the client gets RST in the place of an end.
    Resets,
    /// Says nothing for so long, then breaks the connection.
    Hangs(Duration),
    /// Takes it, and breaks the connection before it says so.
    TakesAndBreaks,
    /// Takes it, and resets the connection in the middle of saying so.
    TakesAndResets,
    /// Says that it took all but so many spans.
    Rejects(u8),
}

/// What came in one request.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) at: std::time::Instant,
}

impl Came {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    script: Arc<Mutex<VecDeque<Does>>>,
    came: Arc<Mutex<Vec<Came>>>,
    receiver: Arc<Receiver>,
}

impl Server {
    /// Starts it; after its script it takes everything.
    pub(crate) fn start(script: impl IntoIterator<Item = Does>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            came: Arc::default(),
            receiver: Arc::new(Receiver::new(Settings::default(), Utc::now())),
        };
        let serving = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = serving.clone();
                std::thread::spawn(move || server.serve(&stream.unwrap()));
            }
        });
        server
    }

    /// All requests, in their order.
    pub(crate) fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }

    /// How many spans it took so far, duplicates left out.
    pub(crate) fn spans_taken(&self) -> u64 {
        self.receiver.counts().spans
    }

    /// The operations that it took, by id.
    pub(crate) fn records(&self) -> Vec<OperationRecord> {
        let later: DateTime<Utc> = Utc::now() + TimeDelta::hours(1);
        let mut records = self.receiver.take(later);
        records.sort_by_key(|record| record.id);
        records
    }

    /// Serves the requests of one connection.
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(came) = read(&mut reader) {
            self.came.lock().unwrap().push(came.clone());
            // Only spans follow the script.
            let of_spans = came.path.ends_with("/traces");
            let next = of_spans.then(|| self.script.lock().unwrap().pop_front()).flatten();
            if !self.answer(stream, &came, next) {
                return;
            }
        }
    }

    fn answer(&self, mut stream: &TcpStream, came: &Came, does: Option<Does>) -> bool {
        match does {
            None => {
                let response = self.receiver.handle(&request(came), Utc::now());
                let content = came.header("content-type").unwrap_or_default().to_owned();
                write(stream, response.status, &[("content-type", content)], &response.body)
            }
            Some(Does::Says(status, header)) => {
                let header = header.into_iter().collect::<Vec<_>>();
                write(stream, status, &header, b"")
            }
            Some(Does::Breaks) => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le");
                false
            }
            Some(Does::Resets) => reset(stream, b"HTTP/1.1 200 OK\r\ncontent-le"),
            Some(Does::TakesAndResets) => {
                self.receiver.handle(&request(came), Utc::now());
                reset(stream, b"HTTP/1.1 200 OK\r\ncontent-le")
            }
            Some(Does::TakesAndBreaks) => {
                self.receiver.handle(&request(came), Utc::now());
                false
            }
            Some(Does::Hangs(time)) => {
                std::thread::sleep(time);
                false
            }
            Some(Does::Rejects(spans)) => {
                let body = [0x0a, 0x07, 0x08, spans, 0x12, 0x03, b'b', b'a', b'd'];
                write(stream, 200, &[("content-type", "application/x-protobuf".into())], &body)
            }
        }
    }
}

/// Writes that much of an answer and resets the connection: a socket that is closed with no time to linger is.
fn reset(mut stream: &TcpStream, begun: &[u8]) -> bool {
    let _ = stream.write_all(begun);
    // What was written is on its way before it is gone.
    std::thread::sleep(Duration::from_millis(50));
    SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    false
}

fn request(came: &Came) -> Request<'_> {
    Request {
        method: "POST",
        path: &came.path,
        content_type: came.header("content-type"),
        content_encoding: came.header("content-encoding"),
        body: &came.body,
    }
}

/// What may fail on the way, and after which an exporter tries again; and nothing.
pub(crate) fn failures() -> [Vec<Does>; 6] {
    [
        vec![],
        vec![Does::Says(429, Some(("Retry-After", "1".to_owned())))],
        vec![Does::Says(503, None), Does::Says(502, None)],
        // A retry of what was taken, but never answered, is the same spans again.
        vec![Does::TakesAndBreaks],
        vec![Does::Resets],
        vec![Does::TakesAndResets],
    ]
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Came> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut came = Came { path, headers, body: Vec::new(), at: std::time::Instant::now() };
    match came.header("content-length") {
        Some(length) => {
            came.body = vec![0; length.parse().ok()?];
            reader.read_exact(&mut came.body).ok()?;
        }
        None => came.body = chunks(reader)?,
    }
    Some(came)
}

/// A body whose length its sender did not know before.
fn chunks(reader: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let (start, length) = (body.len(), usize::from_str_radix(line.trim_end(), 16).ok()?);
        body.resize(start + length, 0);
        reader.read_exact(&mut body[start..]).ok()?;
        reader.read_line(&mut line).ok()?;
        if length == 0 {
            return Some(body);
        }
    }
}

fn write(mut stream: &TcpStream, status: u16, headers: &[(&str, String)], body: &[u8]) -> bool {
    let mut answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        answer.extend([name, ": ", value, "\r\n"]);
    }
    let answer = [(answer + "\r\n").as_bytes(), body].concat();
    stream.write_all(&answer).is_ok()
}
