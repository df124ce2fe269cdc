//! The standard operation, and the ways to record it: ours and those of the peers.
//!
//! It is: start, with a run-time name and two keys of metadata; three components; two calls of tools with two keys each; one
//! token usage; end.

pub mod floor;
pub mod ours;
pub mod peers;

use std::time::Duration;

use cpu_time::{ProcessTime, ThreadTime};

/// How many operations lie between two flushes.
pub const CHUNK: usize = 1_000;

/// What an operation is made of: texts that only the run knows. The forms with literal names use the values alone.
pub struct Input {
    pub name: String,
    pub words: Words<String>,
    pub user: String,
    pub urls: [String; 2],
    pub number: u64,
}

/// The names and keys of an operation's parts.
pub struct Words<T> {
    pub components: [T; 3],
    pub tools: [T; 2],
    pub user: T,
    pub number: T,
    pub url: T,
    pub hits: T,
    pub provider: T,
    pub model: T,
}

pub const WORDS: Words<&str> = Words {
    components: ["retrieval", "prompt_build", "llm_inference"],
    tools: ["web_search", "vector_db"],
    user: "user_id",
    number: "number",
    url: "url",
    hits: "hits",
    provider: "openai",
    model: "gpt-4",
};

impl Words<&str> {
    fn owned(&self) -> Words<String> {
        let owned = |text: &str| std::hint::black_box(text).to_owned();
        Words {
            components: self.components.map(owned),
            tools: self.tools.map(owned),
            user: owned(self.user),
            number: owned(self.number),
            url: owned(self.url),
            hits: owned(self.hits),
            provider: owned(self.provider),
            model: owned(self.model),
        }
    }
}

const NAMES: [&str; 8] = [
    "qa_response",
    "summarise",
    "ingest_docs",
    "rerank_hits",
    "chat_turn",
    "plan_steps",
    "embed_batch",
    "route_query",
];

/// Eight operations, whose texts the compiler does not know.
pub fn inputs() -> Vec<Input> {
    let url = |number: usize| format!("https://api.example.com/v1/q/{}", number % 10);
    NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| Input {
            name: std::hint::black_box(*name).to_owned(),
            words: WORDS.owned(),
            user: format!("user-{number:07}"),
            urls: [url(number), url(number + 1)],
            number: number as u64 + 1_000,
        })
        .collect()
}

/// One way to record the standard operation.
pub struct Case {
    pub what: &'static str,
    pub record: Box<dyn Fn(&Input)>,
    pub flush: Box<dyn Fn()>,
    /// Spans, records or series that it kept for an operation, as a word.
    pub kept: &'static str,
}

impl Case {
    /// Records as many operations as lie between two flushes.
    pub fn chunk(&self, inputs: &[Input]) {
        (0..CHUNK).for_each(|number| (self.record)(&inputs[number % inputs.len()]));
    }

    /// Records and flushes a chunk; gives the nanoseconds for an operation that the caller took, and the whole process until all
    /// its threads rest.
    pub fn measured(&self, inputs: &[Input]) -> [f64; 2] {
        let (total, caller) = (ProcessTime::now(), ThreadTime::now());
        self.chunk(inputs);
        let caller = caller.elapsed();
        (self.flush)();
        come_to_rest();
        [caller, total.elapsed()].map(|time| time.as_nanos() as f64 / CHUNK as f64)
    }

    /// Records and flushes chunks until memory that is used again is there: also that of the last operations, of which a meter
    /// keeps 50,000 unless it is told otherwise.
    pub fn warm_up(&self, inputs: &[Input]) {
        for _ in 0..60 {
            self.chunk(inputs);
            (self.flush)();
        }
    }
}

/// Waits until no thread of the process works any more: some say that they have flushed and clear up afterwards, which is
/// their own time and not that of the next case.
fn come_to_rest() {
    const LOOKS: usize = 50;
    const SLEEP: Duration = Duration::from_millis(1);
    for _ in 0..LOOKS {
        let before = ProcessTime::now();
        std::thread::sleep(SLEEP);
        if before.elapsed() < SLEEP / 20 {
            return;
        }
    }
}

/// All ways, ours first.
pub fn cases() -> Vec<Case> {
    ours::cases().into_iter().chain([floor::case()]).chain(peers::cases()).collect()
}
