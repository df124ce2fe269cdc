//! The formats that can be imported, and how they are told apart by their beginning.

use std::fmt;
use std::str::FromStr;

use super::frame::{BYTE_ORDER_MARK, Framing};
use super::outline::Outline;

/// How much of a file is looked at to tell its format.
pub(crate) const HEAD_BYTES: usize = 1 << 16;

/// The most lines that are looked at: logs begin with lines that any program could have written.
const MOST_LINES: usize = 50;

/// Declares [`Format`] with its names, so that list, names and parser keep in step.
macro_rules! formats {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// A format that can be imported. `docs/FORMATS.md` says of each what is taken of it and where that is from.
        ///
        /// ```
        /// use taximeter_persistence::Format;
        ///
        /// let line = br#"{"type":"user","sessionId":"5a","uuid":"1","timestamp":"2026-11-23T12:00:00Z"}"#;
        /// assert_eq!(Format::detect(line), Some(Format::ClaudeCode));
        /// assert_eq!(Format::detect(b"dear diary,"), None);
        /// assert_eq!("claude-code".parse(), Ok(Format::ClaudeCode));
        /// assert!("excel".parse::<Format>().unwrap_err().to_string().contains("litellm"));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Format {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Format {
            /// Every format.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, such as `claude-code`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

formats! {
    /// A session as one JSON document, ours or the original system's.
    Session = "session",
    /// Our operations, one a line, in the JSON that they have in a session.
    Jsonl = "jsonl",
    /// Our table of operations as CSV.
    Csv = "csv",
    /// Our operations as Parquet. Reading it takes the feature `parquet`.
    Parquet = "parquet",
    /// The logs of Claude Code, below `~/.claude/projects`.
    ClaudeCode = "claude-code",
    /// The logs of the Codex CLI, below `~/.codex/sessions`.
    Codex = "codex",
    /// The spend logs of a `LiteLLM` proxy, as its `/spend/logs` answers.
    LiteLlm = "litellm",
    /// Observations of Langfuse, as its API answers and its exports are.
    Langfuse = "langfuse",
    /// Spans of Phoenix, or of whatever else speaks `OpenInference`, as JSON.
    Phoenix = "phoenix",
}

impl Format {
    /// The format of what begins so; none where it fits none. 64 KiB of the beginning are enough.
    pub fn detect(head: &[u8]) -> Option<Self> {
        look(head).ok().map(|guess| guess.format)
    }

    /// The names of all formats, as a list for people.
    pub(crate) fn list() -> String {
        let names: Vec<_> = Self::ALL.iter().map(|format| format.as_str()).collect();
        names.join(", ")
    }

    /// Whether what one line tells may belong to what lines before it told.
    pub(crate) const fn is_linked(self) -> bool {
        matches!(self, Self::ClaudeCode | Self::Codex | Self::Langfuse | Self::Phoenix)
    }

    /// Under which keys a document of this format has the list that is read.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Session | Self::Jsonl => &["operations"],
            Self::Langfuse => &["data", "observations"],
            _ => &["data", "spans", "logs"],
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {text:?} as a format: there is {}", Format::list())]
pub struct UnknownFormatName {
    text: String,
}

impl FromStr for Format {
    type Err = UnknownFormatName;

    fn from_str(text: &str) -> Result<Self, UnknownFormatName> {
        let mut all = Self::ALL.iter().copied();
        all.find(|format| format.as_str() == text)
            .ok_or_else(|| UnknownFormatName { text: text.chars().take(64).collect() })
    }
}

/// What the beginning of a file tells: its format, and how it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) format: Format,
    pub(crate) framing: Framing,
}

/// Looks at the beginning; where it fits no format, says what it is instead.
pub(crate) fn look(head: &[u8]) -> Result<Guess, &'static str> {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    if let Some(what) = foreign(text) {
        return Err(what);
    }
    if text.starts_with(b"PAR1") {
        return Ok(Guess { format: Format::Parquet, framing: Framing::Lines });
    }
    if !text.starts_with(b"{") && !text.starts_with(b"[") {
        let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let columns = String::from_utf8_lossy(first);
        let mut columns = columns.split(',').map(|name| name.trim().trim_matches('"'));
        return if columns.any(|name| name == "operation_name") {
            Ok(Guess { format: Format::Csv, framing: Framing::Lines })
        } else {
            Err("it begins with neither JSON nor a table of operations")
        };
    }
    let whole = Outline::of(text);
    if let Some(format) = format_of(&whole) {
        return Ok(Guess { format, framing: framing(format, &whole) });
    }
    // The first line may be one that tells nothing; those after it are asked.
    let lines = text.split(|byte| *byte == b'\n').take(MOST_LINES).skip(1);
    lines
        .map(Outline::of)
        .find_map(|line| format_of(&line))
        .map(|format| Guess { format, framing: framing(format, &whole) })
        .ok_or("its JSON has the fields of no format that is known")
}

/// How to cut a file whose format was said.
pub(crate) fn framing_as(format: Format, head: &[u8]) -> Framing {
    let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
    framing(format, &Outline::of(text))
}

fn framing(format: Format, outline: &Outline) -> Framing {
    let keys = format.keys();
    let is_document = outline.is_array
        || !outline.is_whole_line
        || outline.keys.iter().any(|key| is_list(outline, keys, key));
    match format {
        Format::Session => Framing::Elements(keys),
        Format::ClaudeCode | Format::Codex | Format::Csv | Format::Parquet => Framing::Lines,
        _ if is_document => Framing::Elements(keys),
        _ => Framing::Lines,
    }
}

fn is_list(outline: &Outline, keys: &[&str], key: &str) -> bool {
    keys.contains(&key) && outline.list.as_deref() == Some(key)
}

fn foreign(text: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 5] = [
        (b"\x1f\x8b", "it is compressed with gzip: unpack it, or pipe it in through `gzip -dc`"),
        (
            b"\x28\xb5\x2f\xfd",
            "it is compressed with zstd: unpack it, or pipe it in through `zstd -dc`",
        ),
        (b"PK\x03\x04", "it is a ZIP archive: unpack it"),
        (
            b"SQLite format 3\0",
            "it is an SQLite database, which is opened as a store and not imported",
        ),
        (b"", "it is empty"),
    ];
    let (last, others) = known.split_last()?;
    let found = others.iter().find(|(magic, _)| text.starts_with(magic));
    found.or((text == last.0).then_some(last)).map(|(_, what)| *what)
}

/// The types of lines that only Claude Code writes and that lack the fields of the others.
const CLAUDE_CODE_TYPES: &[&str] =
    &["summary", "file-history-snapshot", "queue-operation", "custom-title", "ai-title"];

/// The format of a document or line with these fields.
fn format_of(outline: &Outline) -> Option<Format> {
    let top = |key: &str| outline.has(key);
    let item = |key: &str| if outline.is_array { outline.element_has(key) } else { top(key) };
    let element = |key: &str| item(key) || outline.element_has(key);
    let kind = outline.kind.as_deref().unwrap_or_default();
    if outline.format.as_deref() == Some(super::records::FORMAT) {
        return Some(Format::Jsonl);
    }
    if top("operations") && (top("session_id") || top("taximeter_version")) {
        return Some(Format::Session);
    }
    if item("operation_name") {
        return Some(Format::Jsonl);
    }
    if element("spend") && (element("request_id") || element("call_type")) {
        return Some(Format::LiteLlm);
    }
    if top("payload") && top("type") && top("timestamp")
        || top("record_type")
        || top("timestamp") && top("instructions") && top("id")
    {
        return Some(Format::Codex);
    }
    let of_message = top("message")
        && ["sessionId", "requestId", "costUSD", "parentUuid"].iter().any(|key| top(key));
    if of_message
        || top("sessionId") && top("type")
        || top("leafUuid")
        || CLAUDE_CODE_TYPES.contains(&kind)
    {
        return Some(Format::ClaudeCode);
    }
    if element("context.span_id")
        || element("span_kind") && (element("context") || element("attributes"))
        || element("attributes.openinference.span.kind")
    {
        return Some(Format::Phoenix);
    }
    let langfuse =
        element("traceId") && element("startTime") || element("trace_id") && element("start_time");
    (langfuse && element("type") || top("observations") && top("timestamp"))
        .then_some(Format::Langfuse)
}
