//! Reading the most frequent parts and pieces of calls, the counterpart of [`hot`](super::hot): what their first word says
//! is taken from it at once.
//!
//! Nothing here holds a place in the bytes: each reading gives what is left of them. So whoever reads one after the other
//! keeps that in registers, where a step costs a third of what it does through memory.

use taximeter_models::ToolStatus;

use super::label::few;
use super::{LONG, status_of, tag};

/// A frequent part, or a frequent piece of a call of a tool.
#[derive(Debug, Clone, Copy)]
pub(super) enum Piece<'b> {
    /// What fills up words.
    Nothing,
    /// The name of the operation.
    Name(&'b [u8]),
    /// Metadata.
    Text { key: &'b [u8], text: &'b [u8] },
    /// Metadata.
    Number { key: &'b [u8], number: u64 },
    /// A component that took so many nanoseconds.
    Component { name: &'b [u8], took: u64 },
    /// The beginning of a call of a tool.
    Tool(&'b [u8]),
    /// When that began, in nanoseconds since 1970.
    Started(i64),
    /// The end of it, which took so many nanoseconds.
    End { took: u64, status: ToolStatus },
    /// A call of an LLM.
    Used(Used<'b>),
}

/// A call of an LLM of which no more is known than what it used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Used<'b> {
    pub(super) provider: &'b [u8],
    pub(super) model: &'b [u8],
    pub(super) input: u64,
    pub(super) output: u64,
    pub(super) cached: u64,
}

impl<'b> Piece<'b> {
    /// The one that the bytes begin with, and the bytes behind it; none where they begin with something else.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "who does not ask for a part of it does not pay for it"
    )]
    pub(super) fn read(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let word = match bytes.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None if bytes.is_empty() => return None,
            None => few(bytes),
        };
        let [tag, one, two, .., seventh, _] = word.to_le_bytes();
        let (first, second) = (usize::from(one), usize::from(two));
        let took = word >> 8 & LONG;
        match tag {
            tag::NOTHING => Some((Self::Nothing, bytes.get(zeros(word)..).unwrap_or_default())),
            tag::GONE if one > 0 => Some((Self::Nothing, bytes.get(8 * first..)?)),
            tag::NAME if one < LONGER => {
                let (name, rest) = text(bytes, 2, first)?;
                Some((Self::Name(name), rest))
            }
            tag::TOOL if one < LONGER => {
                let (name, rest) = text(bytes, 2, first)?;
                Some((Self::Tool(name), rest))
            }
            tag::COMPONENT if took < LONG && seventh < LONGER => {
                let (name, rest) = text(bytes, 7, seventh.into())?;
                Some((Self::Component { name, took }, rest))
            }
            tag::TEXT_APART => {
                let (key, rest) = words(bytes, 3, first)?;
                let (text, rest) = words(rest, 0, second)?;
                Some((Self::Text { key, text }, rest))
            }
            tag::NUMBER_SHORT => {
                let (key, rest) = words(bytes, 4, first)?;
                Some((Self::Number { key, number: word >> 16 & 0xffff }, rest))
            }
            tag::NUMBER => {
                let (key, rest) = words(bytes, 7, first)?;
                Some((Self::Number { key, number: word >> 16 & LONG }, rest))
            }
            tag::NUMBER_LONG => {
                let number = u64::from_le_bytes(*bytes.get(8..)?.first_chunk()?);
                let (key, rest) = words(bytes, 16, first)?;
                Some((Self::Number { key, number }, rest))
            }
            tag::STARTED_APART => {
                let (at, rest) = bytes.get(8..)?.split_first_chunk()?;
                Some((Self::Started(i64::from_le_bytes(*at)), rest))
            }
            tag::DURATION if took < LONG && seventh == tag::END => {
                let status = status_of(bytes.get(7).copied()?);
                Some((Self::End { took, status }, bytes.get(8..)?))
            }
            tag::LLM_USED | tag::LLM_CACHED => {
                let (provider, rest) = words(bytes, 3, first)?;
                let (model, rest) = words(rest, 0, second)?;
                let (tokens, mut rest) = rest.split_first_chunk()?;
                let tokens = u64::from_le_bytes(*tokens);
                let mut cached = 0;
                if tag == tag::LLM_CACHED {
                    let (tokens, behind) = rest.split_first_chunk()?;
                    (cached, rest) = (u64::from_le_bytes(*tokens), behind);
                }
                let (input, output) = (tokens & 0xffff_ffff, tokens >> 32);
                Some((Self::Used(Used { provider, model, input, output, cached }), rest))
            }
            _ => None,
        }
    }
}

/// The first length that is not written in one byte.
const LONGER: u8 = 0x80;

/// How many zeros a word begins with.
#[inline]
fn zeros(word: u64) -> usize {
    word.trailing_zeros() as usize / 8
}

/// A text behind so many bytes, and what is left: the words that they fill are filled up.
#[inline]
fn words(bytes: &[u8], before: usize, length: usize) -> Option<(&[u8], &[u8])> {
    let (whole, rest) = bytes.split_at_checked((before + length).next_multiple_of(8))?;
    Some((whole.get(before..before + length)?, rest))
}

/// A text behind so many bytes, and what is left, without the zeros that fill up a word if they do.
#[inline]
fn text(bytes: &[u8], before: usize, length: usize) -> Option<(&[u8], &[u8])> {
    let (whole, rest) = bytes.split_at_checked(before + length)?;
    // What is behind the last word is read byte by byte.
    let filled = rest.first_chunk().map_or(0, |word| zeros(u64::from_le_bytes(*word)));
    Some((whole.get(before..)?, rest.get(filled..)?))
}
