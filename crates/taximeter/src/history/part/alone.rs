//! What fulfils a single condition, put together: most questions have no more than one, and are answered by few sums then.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use taximeter_analysis::Sums;
use taximeter_models::Name;
use taximeter_persistence::store::{Condition, Level};

use super::cells::Names;
use super::firsts::{Peaks, raise};
use super::kept::Group;
use super::together::{DIMENSIONS, Together};

/// What a condition is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum About {
    Operation,
    Provider,
    Llm,
    Tool,
    Component,
    Outcome,
}

/// The operations that fulfil one condition.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Alone {
    about: About,
    /// What is to be, by place.
    name: usize,
    operations: u64,
    /// When the first and the last began, in nanoseconds since 1970.
    ends_ns: (i64, i64),
    /// What they are at most in each block; nothing where that is not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) peaks: Peaks,
    windows: Vec<Listed>,
}

/// A window: its dimension and key, by place; a moment of its step, in nanoseconds since 1970; how many bytes it takes.
type Listed = (usize, usize, i64, usize);

impl Alone {
    /// How many bytes its windows take.
    pub(super) fn bytes(&self) -> usize {
        self.windows.iter().map(|(.., bytes)| bytes).sum()
    }

    pub(super) fn is_of(&self, condition: &Condition, names: &[Option<Name>]) -> bool {
        let (about, name): (_, &str) = match condition {
            Condition::Outcome(outcome) => (About::Outcome, outcome.as_str()),
            Condition::Operation(name) => (About::Operation, name),
            Condition::Provider(name) => (About::Provider, name),
            Condition::Llm(name) => (About::Llm, name),
            Condition::Tool(name) => (About::Tool, name),
            Condition::Component(name) => (About::Component, name),
            _ => return false,
        };
        self.about == about && names.get(self.name).is_some_and(|own| own.as_deref() == Some(name))
    }

    /// Adds its windows, and says of how many operations they are; none where they cannot be read.
    pub(super) fn put(
        &self,
        mut bytes: &[u8],
        names: &[Option<Name>],
        to: &mut Together<'_>,
    ) -> Option<u64> {
        // All are read before the first is added.
        let mut read = Vec::with_capacity(self.windows.len());
        for (dimension, key, at_ns, length) in &self.windows {
            let (own, rest) = bytes.split_at_checked(*length)?;
            let (dimension, key) = (DIMENSIONS.get(*dimension)?, names.get(*key)?);
            read.push((*dimension, *at_ns, key.clone(), Sums::from_bytes(own).ok()?));
            bytes = rest;
        }
        for (dimension, at_ns, key, sums) in read {
            to.put(dimension, at_ns, key, &sums);
        }
        to.reach(self.ends_ns);
        Some(self.operations)
    }
}

/// Puts together what fulfils each condition.
#[derive(Debug)]
pub(super) struct Making {
    level: Level,
    each: BTreeMap<(About, usize), (u64, Peaks, Together<'static>)>,
}

impl Making {
    /// In steps of this level.
    pub(super) fn new(level: Level) -> Self {
        Self { level, each: BTreeMap::new() }
    }

    /// Adds the sums of operations of one kind, to all that they fulfil.
    pub(super) fn add(&mut self, group: &Group, sums: &[Sums], names: &[Option<Name>]) {
        let mut fulfilled = BTreeSet::from([(About::Operation, group.name)]);
        fulfilled.extend(group.llms.iter().map(|(provider, _)| (About::Provider, *provider)));
        fulfilled.extend(group.llms.iter().map(|(_, llm)| (About::Llm, *llm)));
        fulfilled.extend(group.tools.iter().map(|tool| (About::Tool, *tool)));
        fulfilled.extend(group.components.iter().map(|one| (About::Component, *one)));
        fulfilled.extend(group.outcome.map(|outcome| (About::Outcome, outcome)));
        for condition in fulfilled {
            let nothing = || (0, Peaks::new(), Together::new(&[], self.level));
            let (operations, peaks, together) = self.each.entry(condition).or_insert_with(nothing);
            *operations += group.operations;
            raise(peaks, &group.peaks);
            together.add(group, sums, names);
        }
    }

    /// All of them, whose windows are written one after the other; who writes one says how many bytes it takes.
    pub(super) fn finish(
        self,
        names: &mut Names,
        write: &mut dyn FnMut(&Sums) -> usize,
    ) -> Vec<Alone> {
        let mut all = Vec::with_capacity(self.each.len());
        for ((about, name), (operations, peaks, together)) in self.each {
            let Some(ends_ns) = together.ends_ns else { continue };
            let mut windows = Vec::new();
            for ((dimension, step, key), sums) in together.into_windows() {
                let Some(dimension) = DIMENSIONS.iter().position(|one| *one == dimension) else {
                    continue;
                };
                // A moment within both the step and the time of these operations.
                let at_ns = step.saturating_mul(1_000_000_000).clamp(ends_ns.0, ends_ns.1);
                windows.push((dimension, names.of(key), at_ns, write(&sums)));
            }
            all.push(Alone { about, name, operations, ends_ns, peaks, windows });
        }
        all
    }
}
