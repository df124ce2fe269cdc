//! A part of few bytes, put together in registers and stored as whole words.

use std::sync::atomic::{AtomicU64, Ordering};

use super::hot::TEXT;
use super::label::{Label, few};

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
        self.set(0, before | low << (8 * bytes));
        self.set(1, beyond(low) | high << (8 * bytes));
        self.set(2, beyond(high));
        self.at += (bytes + label.len()).div_ceil(8);
    }

    /// Appends a text of no more than [`TEXT`] bytes.
    #[inline]
    pub(super) fn text(&mut self, text: &str) {
        debug_assert!(text.len() <= TEXT, "it was asked for");
        // No loop: the words of each power of two are stored one after the other.
        let bytes = self.half::<64>(text.as_bytes());
        let bytes = self.half::<32>(bytes);
        let bytes = self.half::<16>(bytes);
        let bytes = self.half::<8>(bytes);
        if !bytes.is_empty() {
            let all = text.as_bytes().last_chunk::<8>();
            let rest = |last: &[u8; 8]| u64::from_le_bytes(*last) >> (8 * (8 - bytes.len()));
            self.word(all.map_or_else(|| few(bytes), rest));
        }
    }

    /// Appends so many bytes, if there are; gives the others.
    #[inline]
    fn half<'b, const B: usize>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let Some((first, others)) = bytes.split_first_chunk::<B>() else { return bytes };
        for word in first.as_chunks::<8>().0 {
            self.word(u64::from_le_bytes(*word));
        }
        others
    }
}
