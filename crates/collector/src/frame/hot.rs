//! The most frequent parts, as whole words: for short names, texts and numbers.

use taximeter_models::{TokenUsage, ToolStatus, Unit};

use super::label::Label;
use super::words::Words;
use super::{LONG, status, tag};

/// The longest text that is put in here.
pub(crate) const TEXT: usize = 64;

/// The first bytes of a piece: its tag, and lengths, which are below 256.
#[inline]
fn head(tag: u8, lengths: [usize; 2]) -> u64 {
    let [first, second] = lengths.map(|length| length as u64);
    debug_assert!(first.max(second) < 256, "it was asked for");
    u64::from(tag) | first << 8 | second << 16
}

#[inline]
pub(crate) fn name<const N: usize>(to: &mut Words<'_, N>, name: Label) {
    to.label(head(tag::NAME, [name.len(), 0]), 2, name);
}

/// What stands before a text of so many bytes: those are words of their own.
#[inline]
pub(crate) fn key_of_text<const N: usize>(to: &mut Words<'_, N>, key: Label, length: usize) {
    to.label(head(tag::TEXT_APART, [key.len(), length]), 3, key);
}

#[inline]
pub(crate) fn unsigned<const N: usize>(to: &mut Words<'_, N>, key: Label, number: u64) {
    let before = |tag| head(tag, [key.len(), 0]) | number << 16;
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
    to.label(head(tag::TOOL, [name.len(), 0]), 2, name);
}

/// When a call began: so many nanoseconds after 1970.
#[inline]
pub(crate) fn started<const N: usize>(to: &mut Words<'_, N>, at: i64) {
    to.word(tag::STARTED_APART.into());
    to.word(at.cast_unsigned());
}

/// What stands in the place of so many words of a call that was put in once more, further on.
pub(crate) fn gone(words: usize) -> u64 {
    head(tag::GONE, [words, 0])
}

/// What stands at the end of a call that took so many nanoseconds.
#[inline]
pub(crate) fn tool_end<const N: usize>(to: &mut Words<'_, N>, took: u64, status: ToolStatus) {
    let end = u64::from(tag::END) | u64::from(self::status(status)) << 8;
    to.word(u64::from(tag::DURATION) | took << 8 | end << 48);
}

/// A usage that can be put in here: the tokens that went in, were read from a cache, and came out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tokens([u64; 3]);

impl Tokens {
    const UNITS: [Unit; 3] = [Unit::Input, Unit::CacheRead, Unit::Output];

    #[inline]
    pub(crate) fn of(usage: &TokenUsage) -> Option<Self> {
        let most = usage.get(Unit::Input).max(usage.get(Unit::Output));
        let fits = most <= u32::MAX.into() && usage.further().is_empty();
        fits.then(|| Self(Self::UNITS.map(|unit| usage.get(unit))))
    }

    pub(crate) fn usage(self) -> TokenUsage {
        TokenUsage::of_sum(Self::UNITS.into_iter().zip(self.0))
    }
}

#[inline]
pub(crate) fn usage<const N: usize>(
    to: &mut Words<'_, N>,
    provider: Label,
    model: Label,
    Tokens([input, cached, output]): Tokens,
) {
    let tag = if cached == 0 { tag::LLM_USED } else { tag::LLM_CACHED };
    to.label(head(tag, [provider.len(), model.len()]), 3, provider);
    to.label(0, 0, model);
    to.word(input | output << 32);
    if cached > 0 {
        to.word(cached);
    }
}

/// Whether so many nanoseconds are written in five bytes.
#[inline]
pub(crate) fn is_short(nanos: u64) -> bool {
    nanos < LONG
}
