//! Remembers the beginnings of prompts, as the prompt cache of a provider does.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use tiktoken_rs::Rank;

/// Prefixes are cached in steps of so many tokens, as at OpenAI.
const BLOCK: usize = 128;
/// At 8 bytes each this is 2 MB; past that the cache starts afresh, as a provider's does after some minutes.
const MAX_PREFIXES: usize = 250_000;

/// The hashes of all block-long prefixes of the prompts that were answered, by model.
#[derive(Debug)]
pub(super) struct PrefixCache {
    threshold: usize,
    seen: Mutex<HashSet<u64>>,
}

impl PrefixCache {
    /// Prefixes shorter than `threshold` tokens are not cached.
    pub(super) fn new(threshold: usize) -> Self {
        Self { threshold, seen: Mutex::default() }
    }

    /// How many tokens at the beginning of the prompt are known from an earlier one; it is known from now on.
    pub(super) fn look_up(&self, model: &str, prompt: &[Rank]) -> usize {
        let mut hasher = DefaultHasher::new();
        model.hash(&mut hasher);
        let prefixes: Vec<u64> = prompt
            .chunks_exact(BLOCK)
            .map(|block| {
                block.hash(&mut hasher);
                hasher.finish()
            })
            .collect();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = prefixes.iter().take_while(|prefix| seen.contains(prefix)).count() * BLOCK;
        if seen.len() + prefixes.len() > MAX_PREFIXES {
            seen.clear();
        }
        seen.extend(prefixes);
        if known >= self.threshold { known } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_beginning_is_cached_in_whole_blocks() {
        let cache = PrefixCache::new(256);
        let prompt =
            |shared: u32, rest: u32| (0..shared).chain(rest..rest + 200).collect::<Vec<_>>();
        assert_eq!(cache.look_up("a", &prompt(700, 10_000)), 0);
        assert_eq!(cache.look_up("a", &prompt(700, 20_000)), 640);
        assert_eq!(cache.look_up("a", &prompt(700, 20_000)), 896);
        assert_eq!(cache.look_up("b", &prompt(700, 20_000)), 0);
    }

    #[test]
    fn below_the_threshold_nothing_is_cached() {
        let cache = PrefixCache::new(1_024);
        let prompt: Vec<_> = (0..1_000).collect();
        assert_eq!((cache.look_up("a", &prompt), cache.look_up("a", &prompt)), (0, 0));
    }

    #[test]
    fn what_follows_a_difference_is_not_cached() {
        let cache = PrefixCache::new(128);
        let prompt: Vec<_> = (0..512).collect();
        let mut other = prompt.clone();
        other[200] = 9_999;
        cache.look_up("a", &prompt);
        assert_eq!(cache.look_up("a", &other), 128);
    }
}
