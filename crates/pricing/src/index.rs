//! From a folded name to its place in the book, by hash maps that are built once.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::grammar::literals;
use crate::{Model, Provider};

/// Where names lead. A name that two LLMs claim belongs to the one that came first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Index {
    providers: HashMap<Box<str>, usize>,
    /// For each provider, its LLMs' names.
    models: Vec<HashMap<Box<str>, ModelAt>>,
    /// For each provider, the patterns of its LLMs, those with the most characters that stand for themselves first.
    patterns: Vec<Vec<(Box<str>, usize)>>,
}

/// Where a name leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ModelAt {
    /// The place of the LLM.
    pub(crate) at: usize,
    /// Whether it is the place in the compact table, and not among the book's own LLMs.
    pub(crate) in_table: bool,
    /// Whether the name is an alias.
    pub(crate) alias: bool,
}

/// A name that was there already.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The place of the one that wanted the name.
    pub(crate) at: usize,
    /// The name.
    pub(crate) name: String,
}

/// What went in twice while an index was built.
#[derive(Debug, Default)]
pub(crate) struct Duplicates {
    pub(crate) providers: Vec<Taken>,
    pub(crate) models: Vec<Taken>,
}

/// The name as it is compared: without blanks around it, in lower case. It allocates only where it must.
pub(crate) fn fold(name: &str) -> Cow<'_, str> {
    let name = name.trim();
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

impl Index {
    /// Builds the index, and says which names were claimed twice.
    pub(crate) fn new(providers: &[Provider], models: &[Model]) -> (Self, Duplicates) {
        let mut index = Self::default();
        let mut duplicates = Duplicates::default();
        index.models.resize_with(providers.len(), HashMap::new);
        for (at, provider) in providers.iter().enumerate() {
            for name in provider.names() {
                match index.providers.entry(fold(name).into()) {
                    Entry::Vacant(free) => _ = free.insert(at),
                    Entry::Occupied(_) => duplicates.providers.push(taken(at, name)),
                }
            }
        }
        for (at, model) in models.iter().enumerate() {
            let Some(names) = index.provider(&model.provider).and_then(|p| index.models.get_mut(p))
            else {
                continue;
            };
            for (number, name) in model.names().enumerate() {
                match names.entry(fold(name).into()) {
                    Entry::Vacant(free) => {
                        _ = free.insert(ModelAt { at, in_table: false, alias: number > 0 });
                    }
                    Entry::Occupied(_) => duplicates.models.push(taken(at, name)),
                }
            }
        }
        index.patterns = patterns(&index, providers.len(), models);
        (index, duplicates)
    }

    /// The place of a provider, by any of its names.
    pub(crate) fn provider(&self, name: &str) -> Option<usize> {
        self.providers.get(fold(name).as_ref()).copied()
    }

    /// The place of a provider's LLM, by a folded name.
    pub(crate) fn model(&self, provider: usize, folded: &str) -> Option<ModelAt> {
        self.models.get(provider)?.get(folded).copied()
    }

    /// The patterns of a provider's LLMs, folded, each with the place of its LLM, in the order in which they are tried.
    pub(crate) fn patterns(&self, provider: usize) -> &[(Box<str>, usize)] {
        self.patterns.get(provider).map_or(&[], Vec::as_slice)
    }

    /// All names of a provider's LLMs, folded, in no particular order.
    pub(crate) fn model_names(&self, provider: usize) -> impl Iterator<Item = &str> + '_ {
        self.models.get(provider).into_iter().flat_map(HashMap::keys).map(AsRef::as_ref)
    }
}

fn patterns(index: &Index, providers: usize, models: &[Model]) -> Vec<Vec<(Box<str>, usize)>> {
    let mut lists = vec![Vec::new(); providers];
    for (at, model) in models.iter().enumerate() {
        if let Some(list) = index.provider(&model.provider).and_then(|p| lists.get_mut(p)) {
            list.extend(model.patterns.iter().map(|pattern| (fold(pattern).into(), at)));
        }
    }
    for list in &mut lists {
        list.sort_by_key(|(pattern, _): &(Box<str>, usize)| Reverse(literals(pattern)));
    }
    lists
}

fn taken(at: usize, name: &str) -> Taken {
    Taken { at, name: name.to_owned() }
}
