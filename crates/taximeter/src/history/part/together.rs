//! Sums of kinds of operations on their way into windows of each dimension and step.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use taximeter_analysis::Sums;
use taximeter_models::Name;
use taximeter_persistence::store::Level;

use super::super::windows::{ALL, COMPONENT, LLM, OPERATION, PROVIDER, TOOL};
use super::kept::Group;
use super::rows::Steps;
use super::sums::{Counted, Window, llm_key};

/// The dimensions of which windows are made. Their places are those by which sums of several blocks name them.
pub(super) const DIMENSIONS: [&str; 6] = [ALL, OPERATION, LLM, PROVIDER, TOOL, COMPONENT];

/// Whose sums a window holds.
pub(super) type Key = (&'static str, i64, Option<Name>);

/// Windows as they grow.
#[derive(Debug)]
pub(super) struct Together<'a> {
    steps: Steps<'a>,
    windows: BTreeMap<Key, Sums>,
    /// When the first and the last operation began, in nanoseconds since 1970.
    pub(super) ends_ns: Option<(i64, i64)>,
}

impl<'a> Together<'a> {
    pub(super) fn new(cuts: &'a [i64], level: Level) -> Self {
        Self { steps: Steps::new(cuts, level), windows: BTreeMap::new(), ends_ns: None }
    }

    /// Whether sums in steps of so many seconds, of operations that began from then to then, are as fine as these.
    pub(super) fn serve(&self, step_seconds: i64, ends_ns: (i64, i64)) -> bool {
        step_seconds <= self.steps.seconds() && !self.steps.is_cut(ends_ns)
    }

    /// Adds the sums of operations of one kind: of these without their calls, of each LLM, tool and component.
    pub(super) fn add(&mut self, group: &Group, sums: &[Sums], names: &[Option<Name>]) {
        let Some((own, parts)) = sums.split_first() else { return };
        // The store shows no sums of what nanoseconds do not hold.
        let nanos = |at: DateTime<Utc>| at.timestamp_nanos_opt().unwrap_or_default();
        let Some((first, last)) = own.period.map(|(first, last)| (nanos(first), nanos(last)))
        else {
            return;
        };
        self.reach((first, last));
        let step = self.steps.of(first);
        let name = |place: &usize| names.get(*place).cloned().flatten();
        let mut own = own.clone();
        let mut parts = parts.iter();
        for ((provider, llm), sums) in group.llms.iter().zip(&mut parts) {
            own.merge_calls(sums);
            let provider = name(provider);
            self.merge((LLM, step, Some(llm_key(provider.as_ref(), name(llm)))), sums);
            self.merge((PROVIDER, step, provider), sums);
        }
        for (dimension, keys) in [(TOOL, &group.tools), (COMPONENT, &group.components)] {
            for (key, sums) in keys.iter().zip(&mut parts) {
                self.merge((dimension, step, name(key)), sums);
            }
        }
        self.merge((OPERATION, step, name(&group.name)), &own);
        self.merge((ALL, step, None), &own);
    }

    /// Adds a window of the step of a moment.
    pub(super) fn put(
        &mut self,
        dimension: &'static str,
        at_ns: i64,
        key: Option<Name>,
        sums: &Sums,
    ) {
        let step = self.steps.of(at_ns);
        self.merge((dimension, step, key), sums);
    }

    pub(super) fn reach(&mut self, (first, last): (i64, i64)) {
        let known = self.ends_ns.unwrap_or((first, last));
        self.ends_ns = Some((known.0.min(first), known.1.max(last)));
    }

    fn merge(&mut self, key: Key, sums: &Sums) {
        self.windows.entry(key).or_default().merge(sums);
    }

    /// The windows, by dimension, second and key.
    pub(super) fn into_windows(self) -> BTreeMap<Key, Sums> {
        self.windows
    }

    pub(super) fn finish(self) -> Counted {
        let mut counted = Counted { ends_ns: self.ends_ns, ..Counted::default() };
        for ((dimension, step, key), sums) in self.windows {
            let first = sums.period.map_or(step, |(first, _)| first.timestamp());
            let window = Window { start: Level::Minute.start(first), key, sums };
            counted.windows.entry(dimension).or_default().push(window);
        }
        counted
    }
}
