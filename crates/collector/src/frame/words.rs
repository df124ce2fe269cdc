//! A part of few bytes, put together in registers and stored as whole words.

use std::sync::atomic::{AtomicU64, Ordering};

use super::hot::TEXT;
use super::label::{Label, two_words};

/// A word of a page. In a model too it is the standard library's: what is read of it is decided by how far the page is
/// written, so that to try the orders of the words would try nothing else.
pub(crate) type Word = AtomicU64;

/// Takes in pieces of whole words: no piece has to wait for where the one before ended within a word. Who puts more into
/// them than they hold finds the first ones gone: it is asked before.
#[derive(Debug)]
pub(crate) struct Words<'w, const N: usize> {
    words: &'w [Word; N],
    at: usize,
}

impl<'w, const N: usize> Words<'w, N> {
    #[inline]
    pub(crate) fn new(words: &'w [Word; N]) -> Self {
        Self { words, at: 0 }
    }

    /// How many words there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.at
    }

    #[inline]
    fn set(&self, after: usize, word: u64) {
        debug_assert!(self.at + after < N, "room was asked for");
        self.words[(self.at + after) % N].store(word, Ordering::Relaxed);
    }

    /// Appends a word.
    #[inline]
    pub(super) fn word(&mut self, word: u64) {
        self.set(0, word);
        self.at += 1;
    }

    /// Appends a label behind so many bytes, fewer than eight.
    #[inline]
    pub(super) fn label(&mut self, before: u64, bytes: usize, label: Label) {
        let [low, high] = label.words();
        // In two steps, for a word is not moved by all of its bits.
        let beyond = |word: u64| word >> 1 >> (63 - 8 * bytes);
        let length = bytes + label.len();
        self.set(0, before | low << (8 * bytes));
        // Of a label that the compiler knows, it knows this as well.
        if length > 8 {
            self.set(1, beyond(low) | high << (8 * bytes));
        }
        if length > 16 {
            self.set(2, beyond(high));
        }
        self.at += length.div_ceil(8);
    }
}

/// Puts a text into words, of which there are enough; behind it they may be zeros. No loop: as many words as make half of those
/// that are left are stored one after the other, as long as that many are filled, and the last two by its last bytes.
#[inline]
pub(crate) fn put_text(words: &[Word; TEXT / 8], text: &[u8]) -> Option<()> {
    let (words, rest) = put_half::<8, 4, 32>(words, text)?;
    let ([low, high, ..], rest) = put_half::<4, 2, 16>(words, rest)?;
    if rest.len() > 2 * 8 {
        return None;
    }
    let [first, second] = two_words(rest);
    low.store(first, Ordering::Relaxed);
    high.store(second, Ordering::Relaxed);
    Some(())
}

/// Puts so many bytes into the first half of some words, if there are more; gives the words for the others, and these.
#[inline]
fn put_half<'w, 'b, const N: usize, const HALF: usize, const BYTES: usize>(
    words: &'w [Word; N],
    text: &'b [u8],
) -> Option<(&'w [Word; HALF], &'b [u8])> {
    let (low, high) = (words.first_chunk()?, words.last_chunk()?);
    Some(match text.split_first_chunk::<BYTES>() {
        Some((first, others)) if !others.is_empty() => {
            store(low, first);
            (high, others)
        }
        _ => (low, text),
    })
}

#[inline]
fn store(words: &[Word], bytes: &[u8]) {
    for (word, bytes) in words.iter().zip(bytes.as_chunks().0) {
        word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
    }
}
