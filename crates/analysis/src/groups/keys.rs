//! The sums of each key of a dimension: what the groups of a live window and the rollups of a store both add up.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use taximeter_models::{LlmCall, Name, OperationRecord};

use super::Dimension;
use crate::sums::{CountedCall, Sums};

/// The sums by key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    /// Where the sums of a key stand.
    places: HashMap<Name, usize, RandomState>,
    /// The same of LLMs by their own name, and then by provider: to put a key together for each call would cost as much as
    /// half of the counting.
    llms: HashMap<Name, Vec<(Option<Name>, usize)>, RandomState>,
    /// Where those stand that the last operation had as its first, second and so on: nearly always the next one has the
    /// same, and to see that costs less than to look for them.
    last: Vec<usize>,
    named: Vec<(Name, Sums)>,
    /// Of what has no key.
    unnamed: Sums,
}

/// So many providers of an LLM are remembered.
const PROVIDERS: usize = 16;

impl Keys {
    /// Counts an operation, or what of it stands in this dimension. What is computed of each of its LLM calls is asked
    /// for.
    #[inline]
    pub(crate) fn add(
        &mut self,
        dimension: &Dimension,
        operation: &OperationRecord,
        counted: impl Fn(usize, &LlmCall) -> CountedCall,
    ) {
        let key = match dimension {
            Dimension::All => None,
            Dimension::Operation => Some(operation.name.as_str()),
            Dimension::User => operation.user.as_deref(),
            Dimension::Session => operation.session.as_deref(),
            Dimension::Tag(tag) => operation.tags.get(tag.as_str()).map(String::as_str),
            Dimension::Component => return self.add_components(operation),
            Dimension::Tool => {
                for (at, call) in operation.tool_calls.iter().enumerate() {
                    let place = self.place_again(at, &call.name);
                    self.named[place].1.add_tool_call(operation, call);
                }
                return;
            }
            Dimension::Provider => {
                for (at, call) in operation.llm_calls.iter().enumerate() {
                    let sums = self.of(call.provider.as_deref());
                    sums.add_counted(operation, call, &counted(at, call));
                }
                return;
            }
            Dimension::Llm => {
                for (at, call) in operation.llm_calls.iter().enumerate() {
                    let place = self.llm_place(call);
                    self.named[place].1.add_counted(operation, call, &counted(at, call));
                }
                return;
            }
        };
        self.of(key).add_operation_with(operation, counted);
    }

    fn of(&mut self, key: Option<&str>) -> &mut Sums {
        let Some(key) = key else { return &mut self.unnamed };
        let place = self.place(key);
        &mut self.named[place].1
    }

    /// A key becomes a name, which costs memory, only where it is new.
    fn place(&mut self, key: &str) -> usize {
        self.places.get(key).copied().unwrap_or_else(|| self.new_place(key))
    }

    #[cold]
    fn new_place(&mut self, key: &str) -> usize {
        let (key, place) = (Name::from(key), self.named.len());
        self.places.insert(key.clone(), place);
        self.named.push((key, Sums::default()));
        place
    }

    /// As [`place`](Self::place), of what stands at this position in an operation.
    fn place_again(&mut self, position: usize, key: &Name) -> usize {
        if let Some(last) = self.last.get(position).filter(|last| self.named[**last].0 == *key) {
            return *last;
        }
        let place = self.place(key);
        match self.last.get_mut(position) {
            Some(last) => *last = place,
            None => self.last.push(place),
        }
        place
    }

    fn llm_place(&mut self, call: &LlmCall) -> usize {
        let known = self.llms.get(call.model());
        let known = known.and_then(|by| by.iter().find(|(provider, _)| *provider == call.provider));
        match known {
            Some((_, place)) => *place,
            None => self.new_llm_place(call),
        }
    }

    #[cold]
    fn new_llm_place(&mut self, call: &LlmCall) -> usize {
        let place = self.place(&llm_key(call));
        let providers = self.llms.entry(call.model().into()).or_default();
        // An LLM has a few providers. Whatever has more is looked for by its key each time, and not among all of them.
        if providers.len() < PROVIDERS {
            providers.push((call.provider.clone(), place));
        }
        place
    }

    /// The runs of a component in one operation are one case. To compare places costs less than to compare names.
    fn add_components(&mut self, operation: &OperationRecord) {
        let timings = &operation.components;
        let mut comes_again = false;
        for (at, timing) in timings.iter().enumerate() {
            let place = self.place_again(at, &timing.name);
            comes_again |= self.last[..at].contains(&place);
        }
        for (at, timing) in timings.iter().enumerate() {
            let (place, mut time, mut runs) = (self.last[at], timing.duration, timing.count);
            if comes_again {
                if self.last[..at].contains(&place) {
                    continue; // which is counted with its first run
                }
                for (again, own) in timings.iter().zip(&self.last).skip(at + 1) {
                    if *own == place {
                        time = time.saturating_add(again.duration);
                        runs = runs.saturating_add(again.count);
                    }
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

/// The LLM of a call with its provider, such as `openai/gpt-4o`.
pub(crate) fn llm_key(call: &LlmCall) -> String {
    match &call.provider {
        Some(provider) => format!("{provider}/{}", call.model()),
        None => call.model().to_owned(),
    }
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
            keys.add(&Dimension::Llm, &operation, |_, call| CountedCall::of(call));
        }
        let mut alike = OperationRecord::new("answer");
        alike.llm_calls.push(LlmCall::new("", "provider-1/some-model"));
        alike.llm_calls[0].provider = None;
        keys.add(&Dimension::Llm, &alike, |_, call| CountedCall::of(call));
        let counts: Vec<_> = keys.sorted().map(|(key, sums)| (key, sums.count())).collect();
        assert_eq!(counts.len(), 2 * PROVIDERS + 1);
        for (key, count) in counts {
            let key = key.expect("an LLM has a name");
            assert_eq!(count, 3 + u64::from(*key == *"provider-1/some-model"), "{key}");
        }
    }
}
