//! The names that come nearest to one that is not known.

use std::collections::HashMap;
use std::sync::RwLock;

use taximeter_models::Name;

/// How many names are offered.
const OFFERED: usize = 3;
/// Names longer than this are not compared: the time to compare grows with the square of the length.
const LONGEST: usize = 80;

/// How many names that are not known are remembered.
const REMEMBERED: usize = 512;

/// The nearest names of names that were asked for and are not known. A program that calls an unknown LLM calls it
/// again and again, and to compare it with a thousand names takes longer than to price a thousand calls.
#[derive(Debug, Default)]
pub(crate) struct Memory(RwLock<HashMap<Box<str>, Vec<Nearest>>>);

/// The number of a provider, and the names at it.
type Nearest = (usize, Vec<Name>);

impl Memory {
    /// What is remembered of a name at a provider, or what is found; nobody waits for anybody.
    pub(crate) fn of(
        &self,
        provider: usize,
        name: &str,
        find: impl FnOnce() -> Vec<Name>,
    ) -> Vec<Name> {
        if let Ok(known) = self.0.try_read()
            && let Some((_, nearest)) =
                known.get(name).and_then(|all| all.iter().find(|(at, _)| *at == provider))
        {
            return nearest.clone();
        }
        let nearest = find();
        if let Ok(mut known) = self.0.try_write()
            && known.len() < REMEMBERED
            && name.len() <= LONGEST
        {
            known.entry(name.into()).or_default().push((provider, nearest.clone()));
        }
        nearest
    }
}

/// A copy of a book may know other names, and remembers nothing.
impl Clone for Memory {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Up to three of the names that differ from `wanted` by few letters, the nearest first.
pub(crate) fn nearest<'b>(wanted: &str, names: impl Iterator<Item = &'b str>) -> Vec<Name> {
    let length = wanted.chars().count();
    if length > LONGEST {
        return Vec::new();
    }
    let few = (length / 4).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = names
        .filter(|name| name.chars().count().abs_diff(length) <= few)
        // A letter that is in one name alone takes half an edit at least, and to look for those is quick.
        .filter(|name| (letters(wanted) ^ letters(name)).count_ones() as usize <= 2 * few)
        .map(|name| (strsim::osa_distance(wanted, name), name))
        .filter(|(distance, _)| *distance <= few)
        .collect();
    near.sort_unstable();
    near.dedup();
    near.into_iter().take(OFFERED).map(|(_, name)| Name::from(name)).collect()
}

/// Which letters a name has; some share a place, and then count as the same.
fn letters(name: &str) -> u64 {
    name.bytes().fold(0, |letters, byte| letters | 1 << (byte & 63))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    fn check(wanted: &str, offered: &[&str]) {
        let names = ["gpt-4o", "gpt-4", "gpt-4o-mini", "claude-opus-5"];
        assert_eq!(nearest(wanted, names.into_iter()), offered, "{wanted}");
    }

    #[test]
    fn only_what_is_near_is_offered() {
        check("gpt-4oo", &["gpt-4o"]);
        check("gpt4o", &["gpt-4o"]);
        check("claude-ops-5", &["claude-opus-5"]);
        check("llama", &[]);
        check("", &[]);
        check(&"x".repeat(10_000), &[]);
    }
}
