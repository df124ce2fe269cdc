//! A request that is sent again and again as a new one: its ids, replies and times are written over where they lie, which
//! costs a hundredth of what encoding them anew would.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::memmem;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use crate::input::{Batch, PROTOBUF, Shape};

/// A request with the places of what is new each time.
pub(crate) struct Stamped {
    body: Vec<u8>,
    /// Where the upper halves of the ids of traces are, with what stands there at first.
    traces: Vec<(usize, u64)>,
    /// Where the times of beginning and end are, with their offsets in nanoseconds.
    times: Vec<(usize, u64)>,
    /// Where the last sixteen digits of the ids of replies are.
    replies: Vec<usize>,
    /// Where the last eight characters of the ids of conversations are.
    conversations: Vec<usize>,
    pub(crate) spans: u64,
    /// How many traces, and so operations, it has.
    pub(crate) operations: u64,
}

impl Stamped {
    pub(crate) fn new(shape: Shape, number: usize) -> Self {
        let body = Batch::new(shape, number).body(PROTOBUF, false);
        let request = ExportTraceServiceRequest::decode(body.as_slice()).expect("prost wrote it");
        let spans = &request.resource_spans[0].scope_spans[0].spans;
        let first = spans.iter().map(|span| span.start_time_unix_nano).min().unwrap_or(0);
        let mut stamped = Self {
            traces: Vec::new(),
            times: Vec::new(),
            replies: Vec::new(),
            conversations: Vec::new(),
            spans: spans.len() as u64,
            operations: 0,
            body,
        };
        let (mut at, mut last) = (0, Vec::new());
        for span in spans {
            if span.trace_id != last {
                stamped.operations += 1;
                last.clone_from(&span.trace_id);
            }
            at = stamped.find(at, &span.trace_id);
            let upper = u64::from_be_bytes(span.trace_id[..8].try_into().expect("eight bytes"));
            stamped.traces.push((at, upper));
            for time in [span.start_time_unix_nano, span.end_time_unix_nano] {
                at = stamped.find(at, &time.to_le_bytes());
                stamped.times.push((at, time - first));
            }
            let reply = memmem::find(&span.encode_to_vec(), b"chatcmpl-");
            if reply.is_some() {
                at = stamped.find(at, b"chatcmpl-");
                stamped.replies.push(at + "chatcmpl-".len() + 29 - 16);
            }
        }
        let conversation = b"conv_5j66UpCpwteGg4YS";
        stamped.conversations = memmem::find_iter(&stamped.body, conversation)
            .map(|at| at + conversation.len())
            .collect();
        stamped
    }

    fn find(&self, from: usize, what: &[u8]) -> usize {
        from + memmem::find(&self.body[from..], what).expect("it was encoded")
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    /// The request as it was never sent before. `number` is another one each time, and the first span begins at `first`, in
    /// nanoseconds since 1970.
    pub(crate) fn stamp(&mut self, number: u64, first: u64) -> &[u8] {
        let salt = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for (at, upper) in &self.traces {
            self.body[*at..at + 8].copy_from_slice(&(upper ^ salt).to_be_bytes());
        }
        for (at, offset) in &self.times {
            self.body[*at..at + 8].copy_from_slice(&(first + offset).to_le_bytes());
        }
        for (place, at) in self.replies.iter().enumerate() {
            let reply = format!("{:016x}", number << 16 | place as u64);
            self.body[*at..at + 16].copy_from_slice(reply.as_bytes());
        }
        let conversation = format!("{:08x}", number as u32);
        for at in &self.conversations {
            self.body[*at..at + 8].copy_from_slice(conversation.as_bytes());
        }
        &self.body
    }
}

/// Now, in nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
}
