//! Following a streamed reply, piece by piece, up to what it consumed.

use std::time::Duration;

use serde_json::Value;
use taximeter_models::{ErrorCategory, ErrorRecord, LlmCall};

use super::draft::{Draft, Made, Stage};
use super::framing::{Event, Frames};
use super::{Dialect, End, Framing, Reply, error};
use crate::chunks::ChunkTimes;

/// Follows a streamed reply: bytes or events in, what it said out.
///
/// The bytes may be split anywhere. Counts that run up are counted once; what is not reported stays unknown. Of the
/// content nothing is kept, and of one event at most [`Accumulator::LIMIT`] bytes are held at a time. Times are told by
/// the caller, as time since the request was sent.
///
/// ```
/// use std::time::Duration;
/// use taximeter_telemetry::reply::{Accumulator, Framing};
///
/// let mut reply = Accumulator::new(Framing::EventStream);
/// let at = Duration::from_millis;
/// reply.push(b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"4\"}}]}\n\nda", at(300));
/// reply.push(b"ta: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"2\"},\"finish_reason\":\"stop\"}]}\n\n", at(500));
/// reply.push(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\n", at(800));
/// reply.push(b"data: [DONE]\n\n", at(800));
///
/// let streamed = reply.finish(at(800));
/// assert_eq!(streamed.time_to_first_token, Some(at(300)));
/// assert_eq!(streamed.output_tokens_per_second(), Some(4.0)); // 2 tokens in the half second after the first
/// assert!(!streamed.cut);
///
/// // Left early, it is cut, and what it did not say is unknown.
/// let mut left = Accumulator::new(Framing::EventStream);
/// left.push(b"data: {\"choices\":[{\"delta\":{\"content\":\"4\"}}]}\n\n", at(300));
/// let left = left.finish(at(400));
/// assert!(left.cut && left.reply.usage.is_none());
/// ```
#[derive(Debug)]
pub struct Accumulator {
    framing: Framing,
    frames: Frames,
    progress: Progress,
    /// Status and code of a reply that says by them that it failed.
    failed: Option<(u16, Option<String>)>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Progress {
    draft: Draft,
    first_token: Option<Duration>,
    first_content: Option<Duration>,
    /// When the last event came that held anything the LLM made.
    last_chunk: Option<Duration>,
    chunks: ChunkTimes,
    events: u64,
    unread: u64,
    /// The last of them broke off.
    is_partial: bool,
    done: bool,
}

/// What a streamed reply came to.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Streamed {
    /// What it said.
    pub reply: Reply,
    /// When the first token came that the LLM made: of reasoning, of a tool call or of text; since the request.
    pub time_to_first_token: Option<Duration>,
    /// When the first text of the answer came, since the request.
    pub time_to_first_content: Option<Duration>,
    /// How long it took in all, since the request.
    pub duration: Duration,
    /// How many events were read.
    pub events: u64,
    /// How many events were not: too large, or not what they should be. A usage that stood in one is unknown.
    pub unread: u64,
    /// Whether it was left, or broke off, before the LLM came to its end, as far as its dialect is known.
    pub cut: bool,
    /// How far the events were apart that held anything the LLM made.
    chunks: ChunkTimes,
    /// Whether it is known that the LLM came to its end.
    is_complete: bool,
}

impl Accumulator {
    /// So many bytes of one event (or of a whole body) are held at most: 8 MiB.
    pub const LIMIT: usize = 8 << 20;

    /// Follows a reply that comes in such a framing; its dialect is told by its events.
    pub fn new(framing: Framing) -> Self {
        let frames = Frames::new(framing, Self::LIMIT);
        Self { framing, frames, progress: Progress::default(), failed: None }
    }

    /// Follows a reply whose HTTP status says that it failed; its body is read as [`error`](super::error()) does.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taximeter_telemetry::reply::Accumulator;
    ///
    /// let mut reply = Accumulator::of_failure(429, None);
    /// reply.push(br#"{"error":{"type":"insufficient_quota","#, Duration::ZERO);
    /// reply.push(br#""message":"no money left"}}"#, Duration::ZERO);
    /// let error = reply.finish(Duration::ZERO).reply.error.expect("it failed");
    /// assert_eq!(error.to_string(), "quota: no money left");
    /// ```
    pub fn of_failure(status: u16, code: Option<&str>) -> Self {
        let failed = Some((status, code.map(str::to_owned)));
        Self { failed, ..Self::new(Framing::Whole) }
    }

    /// Says in which dialect the reply comes. Default: told by its events.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.progress.draft = Draft::new(dialect);
        self
    }

    /// Holds at most so many bytes of one event, or of a whole body; what is longer is not read, and counted. Default:
    /// [`Accumulator::LIMIT`].
    pub fn limit(mut self, bytes: usize) -> Self {
        self.frames = Frames::new(self.framing, bytes);
        self
    }

    /// Takes in the next bytes, which came at that time after the request was sent.
    pub fn push(&mut self, bytes: &[u8], at: Duration) {
        let Self { frames, progress, .. } = self;
        frames.push(bytes, &mut |event| progress.take(event, at));
    }

    /// Takes in the next event, for those whose client has read it already.
    pub fn push_event(&mut self, event: &Value, at: Duration) {
        self.progress.read(event, at);
    }

    /// When the first token came, if it did.
    pub fn time_to_first_token(&self) -> Option<Duration> {
        self.progress.first_token
    }

    /// Whether nothing more can come, whatever the connection does.
    pub fn is_closed(&self) -> bool {
        self.progress.done || self.progress.draft.stage == Stage::Closed
    }

    /// Ends it: the reply is there, broke off, or nobody reads on.
    pub fn finish(mut self, at: Duration) -> Streamed {
        let error = self
            .failed
            .take()
            .map(|(status, code)| error(status, code.as_deref(), self.frames.whole_body()));
        let Self { framing, frames, progress, .. } = &mut self;
        frames.end(&mut |event| progress.take(event, at));
        let is_streamed = framing.is_streamed();
        let is_complete =
            if is_streamed { progress.came_to_its_end() } else { progress.events > 0 };
        // In what was not read the end may have been, but not in what breaks off.
        let may_be_whole = !progress.is_partial && (progress.unread > 0 || !is_streamed);
        let Progress { draft, first_token, first_content, chunks, events, unread, .. } =
            self.progress;
        let mut reply = draft.finish();
        reply.error = error.or(reply.error);
        let is_known = !is_streamed || reply.dialect != Dialect::Unknown;
        Streamed {
            reply,
            // A whole reply has all its tokens at its end.
            time_to_first_token: first_token.filter(|_| is_streamed),
            time_to_first_content: first_content.filter(|_| is_streamed),
            duration: at,
            events,
            unread,
            cut: !is_complete && !may_be_whole && is_known,
            chunks,
            is_complete,
        }
    }
}

impl Progress {
    fn take(&mut self, event: Event, at: Duration) {
        match event {
            Event::Json(event) => self.read(&event, at),
            Event::Done => self.done = true,
            Event::Unread => self.unread += 1,
            Event::Partial => (self.unread, self.is_partial) = (self.unread + 1, true),
        }
    }

    fn read(&mut self, event: &Value, at: Duration) {
        match event {
            Value::Array(chunks) => chunks.iter().for_each(|chunk| self.draft.add(chunk)),
            whole => self.draft.add(whole),
        }
        self.events += 1;
        if self.draft.made >= Made::Token {
            self.first_token.get_or_insert(at);
            if let Some(last) = self.last_chunk.replace(at) {
                self.chunks.add(at.saturating_sub(last));
            }
        }
        if self.draft.made == Made::Content {
            self.first_content.get_or_insert(at);
        }
    }

    fn came_to_its_end(&self) -> bool {
        let draft = &self.draft;
        self.done || draft.stage >= Stage::Finished || draft.error.is_some()
    }
}

impl Streamed {
    /// Output tokens per second after the first token; none without usage and times, or where no time passed.
    pub fn output_tokens_per_second(&self) -> Option<f64> {
        let mut call = LlmCall::default();
        self.put_times_on(&mut call);
        self.time_to_first_token?;
        call.usage = self.reply.usage.clone()?.ok();
        call.output_tokens_per_second()
    }

    /// Puts what it came to on the record of a call, as [`Reply::put_on`] does; with its times.
    pub fn put_on(&self, call: &mut LlmCall) {
        self.reply.put_on(call);
        self.put_times_on(call);
        self.chunks.put_on(call);
        if self.unread > 0 {
            call.metadata.insert("unread_events".to_owned(), self.unread.into());
        }
    }

    fn put_times_on(&self, call: &mut LlmCall) {
        call.duration = Some(self.duration);
        call.time_to_first_token = self.time_to_first_token.or(call.time_to_first_token);
    }

    /// Why the call failed, if it did, by what the reply said and by how its bytes ended.
    ///
    /// A reply whose LLM came to its end is a success, however the connection ended; so is one of an unknown dialect
    /// that was read to its end. One that was left before is cancelled.
    pub fn failure(&self, end: &End) -> Option<ErrorRecord> {
        if self.reply.error.is_some() {
            return self.reply.error.clone();
        }
        match end {
            _ if self.is_complete => None,
            End::Finished if !self.cut => None,
            End::Finished => {
                let message = "the reply ended before the LLM did";
                Some(ErrorRecord::new(ErrorCategory::Network, message))
            }
            End::Failed(error) => Some(error.clone()),
            End::Dropped => {
                let message = "the reply was left before its end";
                Some(ErrorRecord::new(ErrorCategory::Cancelled, message))
            }
        }
    }
}
