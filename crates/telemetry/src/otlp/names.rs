//! Names that come again and again in one request, made once.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use taximeter_models::Name;

use super::limits::cut;

/// The names that were made lately. It is a memory of fixed size: a name that is pushed out is made again.
#[derive(Debug)]
pub(crate) struct Names {
    lately: [Option<Name>; PLACES],
    hasher: FixedState,
}

/// A request has few models, tools and users.
const PLACES: usize = 64;

impl Names {
    pub(crate) fn new() -> Self {
        Self { lately: [const { None }; PLACES], hasher: FixedState::default() }
    }

    /// The name of a text, of so many bytes at most.
    pub(crate) fn name(&mut self, text: &str, most: usize) -> Name {
        let text = cut(text, most);
        let at = usize::try_from(self.hasher.hash_one(text) % PLACES as u64).unwrap_or(0);
        match &self.lately[at] {
            Some(name) if name == text => name.clone(),
            _ => self.lately[at].insert(Name::from(text)).clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_the_same_name() {
        let mut names = Names::new();
        let [first, again] = [names.name("gpt-4o", 10), names.name("gpt-4o", 10)];
        assert!(std::ptr::eq(first.as_str(), again.as_str()));
        assert_eq!(names.name("gpt-4o-mini", 6), "gpt-4o");
        for number in 0..1_000 {
            let text = number.to_string();
            assert_eq!(names.name(&text, 10), *text);
        }
    }
}
