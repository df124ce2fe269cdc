//! The sums of each key of a dimension: what the groups of a live window and the rollups of a store both add up.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use taximeter_models::{ComponentTiming, LlmCall, Name, OperationRecord};

use super::Dimension;
use crate::sums::Sums;

/// The sums by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    /// Where the sums of a key stand.
    places: HashMap<Name, usize, RandomState>,
    /// The same of LLMs by their own name, and then by provider: to put a key together for each call would cost as much as
    /// half of the counting.
    llms: HashMap<Name, Vec<(Option<Name>, usize)>, RandomState>,
    /// The place of the key that was looked for last, of all that end alike. To look here first costs half of what a map
    /// asks for.
    recent: Vec<usize>,
    /// Where the components of the last operation stand: nearly always the next one has the same.
    last: Vec<usize>,
    /// How many of those, from the first on, are all different.
    apart: usize,
    named: Vec<(Name, Sums)>,
    /// Of what has no key.
    unnamed: Sums,
}

/// So many providers of an LLM are remembered.
const PROVIDERS: usize = 16;

impl Keys {
    /// Counts an operation, or what of it stands in this dimension.
    #[inline]
    pub(crate) fn add(&mut self, dimension: &Dimension, operation: &OperationRecord) {
        let key = match dimension {
            Dimension::All => None,
            Dimension::Operation => Some(operation.name.as_str()),
            Dimension::User => operation.user.as_deref(),
            Dimension::Session => operation.session.as_deref(),
            Dimension::Tag(tag) => operation.tags.get(tag.as_str()).map(String::as_str),
            Dimension::Component => return self.add_components(operation),
            Dimension::Tool => {
                for call in &operation.tool_calls {
                    self.of(Some(&call.name)).add_tool_call(operation, call);
                }
                return;
            }
            Dimension::Provider => {
                for call in &operation.llm_calls {
                    self.of(call.provider.as_deref()).add_llm_call(operation, call);
                }
                return;
            }
            Dimension::Llm => {
                for call in &operation.llm_calls {
                    let place = self.llm_place(call);
                    self.named[place].1.add_llm_call(operation, call);
                }
                return;
            }
        };
        self.of(key).add_operation(operation);
    }

    #[inline]
    fn of(&mut self, key: Option<&str>) -> &mut Sums {
        let Some(key) = key else { return &mut self.unnamed };
        let place = self.place(key);
        &mut self.named[place].1
    }

    #[inline]
    fn place(&mut self, key: &str) -> usize {
        self.recent(key, |own| is_same(own, key.as_bytes())).unwrap_or_else(|| self.find(key))
    }

    /// Where that stands which was looked for last by a name that ends like this one, if it is what is looked for.
    #[inline]
    fn recent(&self, name: &str, is_it: impl Fn(&[u8]) -> bool) -> Option<usize> {
        let place = *self.recent.get(ending(name))?;
        self.named.get(place).filter(|(own, _)| is_it(own.as_bytes())).map(|_| place)
    }

    fn remember(&mut self, name: &str, place: usize) {
        self.recent.resize(ENDINGS, usize::MAX);
        self.recent[ending(name)] = place;
    }

    /// A key becomes a name, which costs memory, only where it is new.
    #[inline(never)]
    fn find(&mut self, key: &str) -> usize {
        let place = self.places.get(key).copied().unwrap_or_else(|| self.new_place(key));
        self.remember(key, place);
        place
    }

    #[cold]
    fn new_place(&mut self, key: &str) -> usize {
        let (key, place) = (Name::from(key), self.named.len());
        self.places.insert(key.clone(), place);
        self.named.push((key, Sums::default()));
        place
    }

    #[inline]
    fn llm_place(&mut self, call: &LlmCall) -> usize {
        let known = self.recent(call.model(), |own| is_llm(own, call));
        known.unwrap_or_else(|| self.find_llm(call))
    }

    #[inline(never)]
    fn find_llm(&mut self, call: &LlmCall) -> usize {
        let known = self.llms.get(call.model());
        let known = known.and_then(|by| by.iter().find(|(provider, _)| *provider == call.provider));
        let known = known.map(|(_, place)| *place);
        let place = known.unwrap_or_else(|| self.new_llm_place(call));
        self.remember(call.model(), place);
        place
    }

    #[cold]
    fn new_llm_place(&mut self, call: &LlmCall) -> usize {
        let place = self.place(&call.llm_key());
        let providers = self.llms.entry(call.model().into()).or_default();
        // An LLM has a few providers. Whatever has more is looked for by its key each time, and not among all of them.
        if providers.len() < PROVIDERS {
            providers.push((call.provider.clone(), place));
        }
        place
    }

    /// The runs of a component in one operation are one case. Mostly each runs once, as it did in the last operation.
    fn add_components(&mut self, operation: &OperationRecord) {
        let timings = &operation.components;
        let mut pairs = timings.iter().zip(&self.last);
        let is_last = |(timing, place): (&ComponentTiming, &usize)| {
            is_same(self.named[*place].0.as_bytes(), timing.name.as_bytes())
        };
        if timings.len() > self.last.len() || !pairs.all(is_last) {
            let mut last = std::mem::take(&mut self.last);
            last.clear();
            last.extend(timings.iter().map(|timing| self.place(&timing.name)));
            (self.apart, self.last) = (apart(&last), last);
        }
        if timings.len() > self.apart {
            return self.add_repeated(operation);
        }
        for (timing, place) in timings.iter().zip(&self.last) {
            let sums = &mut self.named[*place].1;
            sums.add_runs(operation, &timing.name, timing.duration, timing.count);
        }
    }

    /// As [`add_components`](Self::add_components), where one runs again. To compare places costs less than to compare
    /// names.
    fn add_repeated(&mut self, operation: &OperationRecord) {
        let timings = &operation.components;
        for (at, timing) in timings.iter().enumerate() {
            let (place, mut time, mut runs) = (self.last[at], timing.duration, timing.count);
            if self.last[..at].contains(&place) {
                continue; // which is counted with its first run
            }
            for (again, other) in timings.iter().zip(&self.last).skip(at + 1) {
                if *other == place {
                    time = time.saturating_add(again.duration);
                    runs = runs.saturating_add(again.count);
                }
            }
            self.named[place].1.add_runs(operation, &timing.name, time, runs);
        }
    }

    /// All of them together.
    pub(crate) fn sum(&self) -> Sums {
        let mut sum = self.unnamed.clone();
        self.named.iter().for_each(|(_, sums)| sum.merge(sums));
        sum
    }

    /// Sums that have no key.
    pub(crate) fn unnamed(sums: Sums) -> Self {
        Self { unnamed: sums, ..Self::default() }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.unnamed.merge(&other.unnamed);
        for (key, sums) in &other.named {
            self.of(Some(key)).merge(sums);
        }
    }

    /// By key; what has none comes first, where there is such.
    pub(crate) fn sorted(&self) -> impl Iterator<Item = (Option<&Name>, &Sums)> {
        let mut named: Vec<_> = self.named.iter().map(|(key, sums)| (Some(key), sums)).collect();
        named.sort_unstable_by_key(|(key, _)| *key);
        let unnamed = (self.unnamed.count() > 0).then_some((None, &self.unnamed));
        unnamed.into_iter().chain(named)
    }

    /// As [`sorted`](Self::sorted), to be kept.
    pub(crate) fn into_sorted(self) -> Vec<(Option<Name>, Sums)> {
        let named = self.named.into_iter().map(|(key, sums)| (Some(key), sums));
        let unnamed = Some((None, self.unnamed)).filter(|(_, sums)| sums.count() > 0);
        let mut keys: Vec<_> = unnamed.into_iter().chain(named).collect();
        keys.sort_by(|(one, _), (other, _)| one.cmp(other));
        keys
    }
}

/// So many endings of names are told apart.
const ENDINGS: usize = 256;

/// Which of them a name has: by its last two bytes, and by its length.
#[inline]
fn ending(name: &str) -> usize {
    let (last, before) = match name.as_bytes() {
        [.., before, last] => (*last, *before),
        [last] => (*last, 0),
        [] => (0, 0),
    };
    (usize::from(last) ^ usize::from(before) << 4 ^ name.len() << 2) % ENDINGS
}

/// Whether two names are the same. Most have up to 16 bytes, and those are compared by their first and last eight or four,
/// which costs half of what a call of the C library does.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && match one.len() {
            8..=16 => has_same_ends::<8>(one, other),
            4..8 => has_same_ends::<4>(one, other),
            _ => one == other,
        }
}

/// Arrays, other than slices, are compared as numbers.
#[inline]
fn has_same_ends<const LENGTH: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<LENGTH>() == other.first_chunk()
        && one.last_chunk::<LENGTH>() == other.last_chunk()
}

/// How many places from the first on are all different.
fn apart(places: &[usize]) -> usize {
    (0..places.len()).find(|at| places[..*at].contains(&places[*at])).unwrap_or(places.len())
}

/// Whether this is the key of the LLM of a call.
#[inline]
fn is_llm(key: &[u8], call: &LlmCall) -> bool {
    let model = call.model().as_bytes();
    let Some(provider) = call.provider.as_ref().map(|name| name.as_bytes()) else {
        return is_same(key, model);
    };
    key.split_at_checked(provider.len()).is_some_and(|(own, rest)| {
        is_same(own, provider) && matches!(rest, [b'/', rest @ ..] if is_same(rest, model))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More providers than are remembered, no provider at all, and a name that looks like one with a provider.
    #[test]
    fn an_llm_is_one_with_its_provider_however_many_there_are() {
        let providers = (0..2 * PROVIDERS).map(|at| Some(Name::from(format!("provider-{at}"))));
        let mut keys = Keys::default();
        for provider in providers.chain([None]).cycle().take(3 * (2 * PROVIDERS + 1)) {
            let mut operation = OperationRecord::new("answer");
            let mut call = LlmCall::new("", "some-model");
            call.provider = provider;
            operation.llm_calls.push(call);
            keys.add(&Dimension::Llm, &operation);
        }
        let mut alike = OperationRecord::new("answer");
        alike.llm_calls.push(LlmCall::new("", "provider-1/some-model"));
        alike.llm_calls[0].provider = None;
        keys.add(&Dimension::Llm, &alike);
        let counts: Vec<_> = keys.sorted().map(|(key, sums)| (key, sums.count())).collect();
        assert_eq!(counts.len(), 2 * PROVIDERS + 1);
        for (key, count) in counts {
            let key = key.expect("an LLM has a name");
            assert_eq!(count, 3 + u64::from(*key == *"provider-1/some-model"), "{key}");
        }
    }

    /// Of every length that is compared in a way of its own, with the same ends and others.
    #[test]
    fn names_are_the_same_where_all_their_bytes_are() {
        let names: Vec<String> = (0..20)
            .flat_map(|length| {
                let name = "abcdefghijklmnopqrst"[..length].to_owned();
                let other = |at: usize| format!("{}_{}", &name[..at], &name[at + 1..]);
                (0..length).map(other).chain([name.clone()]).collect::<Vec<_>>()
            })
            .collect();
        for (one, other) in names.iter().flat_map(|one| names.iter().map(move |other| (one, other)))
        {
            let expected = one == other;
            assert_eq!(is_same(one.as_bytes(), other.as_bytes()), expected, "{one} {other}");
        }
    }

    #[test]
    fn names_that_end_alike_stand_apart() {
        let names: Vec<String> =
            ["", "a", "index", "an index", "00-user-17", "11-user-17"].map(str::to_owned).into();
        let mut keys = Keys::default();
        for name in names.iter().cycle().take(7 * names.len()) {
            keys.add(&Dimension::Operation, &OperationRecord::new(name.as_str()));
        }
        assert_eq!(keys.sorted().count(), names.len());
        for (key, sums) in keys.sorted() {
            assert_eq!(sums.count(), 7, "{key:?}");
        }
    }

    /// Whatever components the operation before had.
    #[test]
    fn the_runs_of_a_component_in_an_operation_are_one_case() {
        let shapes: [&[&str]; 6] =
            [&["a", "b"], &["a", "b", "a"], &["b"], &["b", "a"], &[], &["c", "c", "b", "c"]];
        let mut keys = Keys::default();
        let mut expected = [("a", 0, 0), ("b", 0, 0), ("c", 0, 0)];
        for at in 0..36 {
            let mut operation = OperationRecord::new("answer");
            for name in shapes[(at * at + at / 6) % 6].iter().chain(shapes[at % 6]) {
                operation.add_component(*name, std::time::Duration::from_millis(2));
            }
            keys.add(&Dimension::Component, &operation);
            for (name, cases, runs) in &mut expected {
                let own = operation.components.iter().filter(|timing| timing.name == *name).count();
                *cases += u64::from(own > 0);
                *runs += own as u64;
            }
        }
        let found = keys.sorted().map(|(key, sums)| {
            assert_eq!(sums.duration().as_millis(), 2 * u128::from(sums.runs));
            (key.map_or("", Name::as_str), sums.count(), sums.runs)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
    }
}
