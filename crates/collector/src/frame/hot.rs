//! The most frequent parts, as whole words: for short names, texts and numbers.

use taximeter_models::{TokenUsage, ToolStatus, Unit};

use super::label::Label;
use super::words::Words;
use super::{LONG, status, tag};

/// No part or piece of one has more bytes, but for the text in it.
pub(crate) const MOST: usize = 64;

/// The longest text that is put in here.
pub(crate) const TEXT: usize = 64;

/// The first bytes of a piece.
#[inline]
fn head(bytes: [u8; 3]) -> u64 {
    let [first, second, third] = bytes.map(u64::from);
    first | second << 8 | third << 16
}

/// The length of a label or of a text of no more than [`TEXT`] bytes.
#[inline]
fn byte(length: usize) -> u8 {
    debug_assert!(length < 256, "it was asked for");
    (length & 0xff) as u8
}

#[inline]
pub(crate) fn name<const N: usize>(to: &mut Words<'_, N>, name: Label) {
    to.label(head([tag::NAME, byte(name.len()), 0]), 2, name);
}

#[inline]
pub(crate) fn text<const N: usize>(to: &mut Words<'_, N>, key: Label, text: &str) {
    to.label(head([tag::TEXT_APART, byte(key.len()), byte(text.len())]), 3, key);
    to.text(text);
}

#[inline]
pub(crate) fn unsigned<const N: usize>(to: &mut Words<'_, N>, key: Label, number: u64) {
    let before = |tag| head([tag, byte(key.len()), 0]) | number << 16;
    if number <= u16::MAX.into() {
        to.label(before(tag::NUMBER_SHORT), 4, key);
    } else if number < 1 << 40 {
        to.label(before(tag::NUMBER), 7, key);
    } else {
        to.word(before(tag::NUMBER_LONG) & 0xffff);
        to.word(number);
        to.label(0, 0, key);
    }
}

/// A component that took so many nanoseconds, and began so many after the operation.
#[inline]
pub(crate) fn component<const N: usize>(
    to: &mut Words<'_, N>,
    name: Label,
    offset: Option<u64>,
    took: u64,
) {
    let length = name.len() as u64;
    match offset {
        None => to.label(u64::from(tag::COMPONENT) | took << 8 | length << 48, 7, name),
        Some(offset) => {
            to.word(u64::from(tag::COMPONENT_AT) | offset << 8 | took << 48);
            to.label(took >> 16 | length << 24, 4, name);
        }
    }
}

#[inline]
pub(crate) fn tool<const N: usize>(to: &mut Words<'_, N>, name: Label) {
    to.label(head([tag::TOOL, byte(name.len()), 0]), 2, name);
}

/// What stands at the end of a call that took so many nanoseconds.
#[inline]
pub(crate) fn tool_end<const N: usize>(
    to: &mut Words<'_, N>,
    started: Option<i64>,
    took: u64,
    status: ToolStatus,
) {
    if let Some(started) = started {
        to.word(tag::STARTED_APART.into());
        to.word(started.cast_unsigned());
    }
    let end = u64::from(tag::END) | u64::from(self::status(status)) << 8;
    to.word(u64::from(tag::DURATION) | took << 8 | end << 48);
}

/// Whether a usage can be put in here: the tokens that went in and came out, and were read from a cache.
#[inline]
pub(crate) fn is_usage(usage: &TokenUsage) -> bool {
    let most = usage.get(Unit::Input).max(usage.get(Unit::Output));
    most <= u32::MAX.into() && usage.further().is_empty()
}

#[inline]
pub(crate) fn usage<const N: usize>(
    to: &mut Words<'_, N>,
    provider: Label,
    model: Label,
    usage: &TokenUsage,
) {
    let cached = usage.get(Unit::CacheRead);
    let tag = if cached == 0 { tag::LLM_USED } else { tag::LLM_CACHED };
    to.label(head([tag, byte(provider.len()), byte(model.len())]), 3, provider);
    to.label(0, 0, model);
    to.word(usage.get(Unit::Input) | usage.get(Unit::Output) << 32);
    if cached > 0 {
        to.word(cached);
    }
}

/// Whether so many nanoseconds are written in five bytes.
#[inline]
pub(crate) fn is_short(nanos: u64) -> bool {
    nanos < LONG
}
