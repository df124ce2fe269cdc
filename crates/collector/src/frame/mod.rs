//! A record as bytes: written part by part while its operation runs, read back on the worker and by whoever asks.
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of all that follows, little-endian |
//! | 4 | outcome |
//! | 16 | id of the operation |
//! | 8 | start: nanoseconds since 1970 |
//! | 8 | duration in nanoseconds |
//! | 2.. | name, as a part |
//! | .. | further parts in the order in which they came: a tag, then what the tag says |
//!
//! Numbers are LEB128; those of metadata and of usages have 1, 2, 4 or 8 bytes, as the tag before them says. Texts
//! are a length and UTF-8, durations have five bytes or thirteen. What has a fixed length stands before what has none,
//! where a part is written often. The layout never leaves the process, so it has no version.

mod buffer;
pub(crate) mod hot;
mod label;
mod lean;
mod piece;
mod read;
mod take;
mod words;
mod write;

#[cfg(test)]
mod tests;

use taximeter_models::{ToolStatus, Unit};

pub(crate) use buffer::Buffer;
pub(crate) use label::Label;
pub(crate) use lean::read_lean;
pub(crate) use read::{Names, count, count_keys, id_of, read, read_parts};
pub(crate) use words::{Word, Words, put_text};
pub(crate) use write::{
    Ended, HEADER, close, encode, halves, head, nanos, part, short_nanos, unix_nanos,
};

/// The first number of nanoseconds that is written in full: all bits of five bytes.
const LONG: u64 = (1 << 40) - 1;

/// A number has as many bytes as this power of two.
#[inline]
fn power(number: u64) -> u8 {
    u8::from(number > 0xff) + u8::from(number > 0xffff) + u8::from(number > 0xffff_ffff)
}

/// The tag of a number of metadata.
#[inline]
fn unsigned_tag(number: u64) -> u8 {
    tag::UNSIGNED + power(number)
}

/// The byte before a number of a usage: its unit, and how many bytes it has.
#[inline]
fn unit_tag(unit: Unit, number: u64) -> u8 {
    // One above its place, so that zero ends the list.
    unit as u8 + 1 + power(number) * tag::UNITS
}

const _: () = assert!(Unit::ALL.len() < tag::UNITS as usize, "one byte tells a unit and a length");

/// A status as a byte.
#[inline]
fn status(status: ToolStatus) -> u8 {
    match status {
        ToolStatus::Success => 0,
        ToolStatus::Failure => 1,
        ToolStatus::Timeout => 2,
        ToolStatus::Error => 3,
    }
}

/// The status of a byte.
#[inline]
fn status_of(byte: u8) -> ToolStatus {
    match byte {
        0 => ToolStatus::Success,
        1 => ToolStatus::Failure,
        2 => ToolStatus::Timeout,
        _ => ToolStatus::Error,
    }
}

/// The tags of the parts.
mod tag {
    /// Fills up a word.
    pub(super) const NOTHING: u8 = 0;
    pub(super) const METADATA: u8 = 1;
    pub(super) const TAG: u8 = 2;
    pub(super) const USER: u8 = 3;
    pub(super) const SESSION: u8 = 4;
    pub(super) const PARENT: u8 = 5;
    pub(super) const TRACE: u8 = 6;
    pub(super) const COMPONENT: u8 = 7;
    pub(super) const TOOL: u8 = 8;
    pub(super) const LLM: u8 = 9;
    pub(super) const ERROR: u8 = 10;
    pub(super) const WARNING: u8 = 11;
    pub(super) const UNLISTED: u8 = 12;
    pub(super) const COMPONENT_AT: u8 = 13;
    pub(super) const COMPONENTS: u8 = 14;
    pub(super) const NAME: u8 = 15;
    pub(super) const REMOTE_PARENT: u8 = 16;

    // Within a call.
    pub(super) const END: u8 = 32;
    pub(super) const STARTED: u8 = 33;
    pub(super) const DURATION: u8 = 34;
    pub(super) const ATTEMPT: u8 = 35;
    pub(super) const ARGUMENTS: u8 = 36;
    pub(super) const PREFIX: u8 = 37;
    pub(super) const PROVIDER: u8 = 38;
    pub(super) const REQUEST_MODEL: u8 = 39;
    pub(super) const RESPONSE_MODEL: u8 = 40;
    pub(super) const USAGE: u8 = 41;
    pub(super) const COST: u8 = 42;
    pub(super) const FINISH: u8 = 43;
    pub(super) const FIRST_TOKEN: u8 = 44;
    pub(super) const STREAMED: u8 = 45;
    pub(super) const TIER: u8 = 46;
    pub(super) const SERVED_AS: u8 = 47;
    pub(super) const WINDOW: u8 = 48;
    pub(super) const STARTED_FAR: u8 = 49;

    // Values of metadata.
    pub(super) const NULL: u8 = 64;
    pub(super) const FALSE: u8 = 65;
    pub(super) const TRUE: u8 = 66;
    pub(super) const SIGNED: u8 = 68;
    pub(super) const FLOAT: u8 = 69;
    pub(super) const TEXT: u8 = 70;
    pub(super) const LIST: u8 = 71;
    pub(super) const MAP: u8 = 72;
    /// And above it, by the power of two that its number of bytes is.
    pub(super) const UNSIGNED: u8 = 80;
    pub(super) const UNSIGNED_LAST: u8 = UNSIGNED + 3;

    // Parts and pieces of whole words: zeros fill them up, also before the text of the first.
    pub(super) const TEXT_APART: u8 = 96;
    // A number, and behind it its key.
    pub(super) const NUMBER_SHORT: u8 = 97;
    pub(super) const NUMBER: u8 = 98;
    pub(super) const NUMBER_LONG: u8 = 99;
    pub(super) const STARTED_APART: u8 = 101;
    pub(super) const LLM_USED: u8 = 102;
    pub(super) const LLM_CACHED: u8 = 103;
    /// So many words that say nothing any more, this one included.
    pub(super) const GONE: u8 = 104;

    /// In the byte that says of which unit a number is, this many times the power of two that its number of bytes is.
    pub(super) const UNITS: u8 = 64;
}
