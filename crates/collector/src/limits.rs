//! How much a collector may hold.

use std::time::Duration;

use serde_json::Value;

/// The bounds of a collector. What is above them is cut or dropped, and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Ended records that may wait for the worker. Default: 262,144.
    pub queued_records: usize,
    /// The memory of open operations and of ended ones that wait, in bytes. Default: 64 MiB.
    pub queued_bytes: usize,
    /// What becomes of an operation that ends while there is no room for it. Default: it is dropped.
    pub when_full: WhenFull,
    /// Operations that may be open at once. Default: 65,536.
    pub open: usize,
    /// How long an operation may be open; after that it is closed as abandoned. Default: 24 hours.
    pub open_age: Duration,
    /// Bytes of one record; further parts are left out, and counted. Default: 1 MiB.
    pub record_bytes: usize,
    /// Different names of operations, components, tools, providers and LLMs; further ones become
    /// [`OVERFLOW`](crate::OVERFLOW). Default: 10,000.
    pub names: usize,
    /// Bytes of a name, a key, a tag or a user. Default: 256.
    pub name_bytes: usize,
    /// Bytes of a message or of a text in metadata. Default: 4,096.
    pub text_bytes: usize,
    /// Keys of metadata, and tags, of one record. Default: 64.
    pub keys: usize,
    /// Timings that an operation keeps apart; further ones are added to the last of their name. Default: 256.
    pub components: usize,
    /// Tool calls, and LLM calls, of one operation. Default: 4,096.
    pub calls: usize,
    /// Errors, and warnings, of one operation that are kept in words; further ones are counted. Default: 64.
    pub messages: usize,
    /// How long a record may wait before the worker looks. Default: 100 ms.
    pub interval: Duration,
    /// How long dropping the last collector waits for what is queued. Default: 2 s.
    pub drop_timeout: Duration,
}

/// What becomes of an operation that ends while there is no room for it. Whatever is lost is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WhenFull {
    /// It is dropped.
    #[default]
    DropNewest,
    /// The oldest that wait are dropped, some hundred at once.
    DropOldest,
    /// While the queue is more than half full, one of so many is kept; when it is full, none.
    Sample {
        /// Of how many one is kept.
        one_in: u32,
    },
    /// The program waits for room, no longer than this; then it is dropped. Only where losing records is worse than
    /// being late.
    Block {
        /// How long.
        timeout: Duration,
    },
}

impl WhenFull {
    /// Whether nothing is tried to make room for one more.
    pub(crate) fn drops_newest(self) -> bool {
        matches!(self, Self::DropNewest | Self::Sample { .. })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queued_records: 262_144,
            queued_bytes: 64 << 20,
            when_full: WhenFull::DropNewest,
            open: 65_536,
            open_age: Duration::from_secs(24 * 60 * 60),
            record_bytes: 1 << 20,
            names: 10_000,
            name_bytes: 256,
            text_bytes: 4_096,
            keys: 64,
            components: 256,
            calls: 4_096,
            messages: 64,
            interval: Duration::from_millis(100),
            drop_timeout: Duration::from_secs(2),
        }
    }
}

/// As much of a text as so many bytes hold, to the boundary of a character.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    let boundary = (0..=bytes).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[..boundary]
}

/// Cuts a text to so many bytes, at the boundary of a character; says whether it had to.
pub(crate) fn cut(text: &mut String, bytes: usize) -> bool {
    let length = head(text, bytes).len();
    let did = length < text.len();
    text.truncate(length);
    did
}

/// Cuts every text in a value, to eight levels of nesting; what is deeper is replaced by null. Says whether it had to.
pub(crate) fn cut_value(value: &mut Value, bytes: usize) -> bool {
    cut_nested(value, bytes, 8)
}

fn cut_nested(value: &mut Value, bytes: usize, levels: usize) -> bool {
    let mut did = false;
    match value {
        Value::String(text) => did = cut(text, bytes),
        Value::Array(_) | Value::Object(_) if levels == 0 => {
            *value = Value::Null;
            did = true;
        }
        Value::Array(list) => {
            did = list.len() > MOST_ITEMS;
            list.truncate(MOST_ITEMS);
            for item in list {
                did |= cut_nested(item, bytes, levels - 1);
            }
        }
        Value::Object(map) => {
            for item in map.values_mut() {
                did |= cut_nested(item, bytes, levels - 1);
            }
        }
        _ => {}
    }
    did
}

/// Items of a list that are kept.
const MOST_ITEMS: usize = 256;
