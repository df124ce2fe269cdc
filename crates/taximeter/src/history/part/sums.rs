//! What was counted, as windows for each dimension.

use std::collections::{BTreeMap, HashMap};

use taximeter_analysis::Sums;
use taximeter_analysis::statistics::Proportion;
use taximeter_models::{Money, Name, Rate};
use taximeter_persistence::store::Scanned;

use super::super::Group;
use super::super::windows::{ALL, LLM, OPERATION, PROVIDER};
use super::cells::{Cell, Cells, Key, Names, Places};
use super::firsts::{Firsts, PeaksInTime};

/// What was counted of some operations.
#[derive(Debug)]
pub(super) struct Counted {
    pub(super) scanned: Scanned,
    /// Whether it is known of all of them what was spent for whom.
    pub(super) has_spent: bool,
    /// When the first and the last of them began, in nanoseconds since 1970.
    pub(super) ends_ns: Option<(i64, i64)>,
    pub(super) windows: HashMap<&'static str, Vec<Window>>,
    pub(super) spent: [BTreeMap<(i64, Option<Name>), Spent>; 2],
    /// Those that come first, of all that were not taken as sums.
    pub(super) firsts: Firsts,
    /// What those are at most that were; none where that is not known of all.
    pub(super) peaks: Option<PeaksInTime>,
}

/// The sums of one key in one step.
#[derive(Debug)]
pub(super) struct Window {
    /// The minute of the first in it, in seconds since 1970.
    pub(super) start: i64,
    pub(super) key: Option<Name>,
    pub(super) sums: Sums,
}

/// What was spent for a user or in a conversation.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    operations: u64,
    usd: Money,
    unpriced: u64,
}

impl Spent {
    pub(super) fn add(&mut self, usd: Money, unpriced: u64) {
        self.operations += 1;
        self.usd += usd;
        self.unpriced += unpriced;
    }

    fn merge(&mut self, other: Self) {
        self.operations += other.operations;
        self.usd += other.usd;
        self.unpriced += other.unpriced;
    }
}

impl Default for Counted {
    fn default() -> Self {
        let (scanned, ends_ns, windows, spent, firsts) = Default::default();
        let peaks = Some(PeaksInTime::new());
        Self { scanned, has_spent: true, ends_ns, windows, spent, firsts, peaks }
    }
}

impl Counted {
    /// The windows of a dimension; of one and the same key and step there may be several.
    pub(super) fn windows(&self, dimension: &str) -> &[Window] {
        self.windows.get(dimension).map_or(&[], Vec::as_slice)
    }

    /// What was spent for each user and in each conversation from a second on; nothing where nobody told any.
    pub(super) fn spent(&self, since: Option<i64>) -> [Vec<Group>; 2] {
        self.spent.each_ref().map(|all| {
            let mut groups = BTreeMap::<&Option<Name>, Spent>::new();
            for ((start, key), spent) in all {
                if since.is_none_or(|since| *start >= since) {
                    groups.entry(key).or_default().merge(*spent);
                }
            }
            if groups.keys().all(|key| key.is_none()) {
                return Vec::new();
            }
            groups.into_iter().map(|(key, spent)| spent.group(key.clone())).collect()
        })
    }

    /// Adds what another thread has counted.
    pub(super) fn merge(&mut self, other: Self) {
        let both = self.ends_ns.zip(other.ends_ns);
        let both = both.map(|(ours, theirs)| (ours.0.min(theirs.0), ours.1.max(theirs.1)));
        self.ends_ns = both.or(self.ends_ns).or(other.ends_ns);
        self.firsts.merge(other.firsts);
        self.peaks = self.peaks.take().zip(other.peaks).map(|(mut ours, theirs)| {
            for (began, peak) in theirs {
                ours.entry(began).and_modify(|most| *most = most.and(peak)).or_insert(peak);
            }
            ours
        });
        for (dimension, windows) in other.windows {
            self.windows.entry(dimension).or_default().extend(windows);
        }
        for (ours, theirs) in self.spent.iter_mut().zip(other.spent) {
            for (key, spent) in theirs {
                ours.entry(key).or_default().merge(spent);
            }
        }
    }

    /// The sums of operations out of their own and those of their calls, and of all dimensions that follow from the two.
    pub(super) fn put_operations(
        &mut self,
        operations: Cells,
        llms: Cells,
        names: &Names,
        pairs: &Places<(usize, usize)>,
    ) {
        let mut operations: BTreeMap<Key, Cell> = operations.finish().collect();
        let mut calls = BTreeMap::<(i64, usize), Cell>::new();
        let mut providers = BTreeMap::<(i64, Option<Name>), Cell>::new();
        for ((step, operation, pair), cell) in llms.finish() {
            if let Some(operation) = operations.get_mut(&(step, operation, 0)) {
                operation.sums.merge_calls(&cell.sums);
            }
            let provider = names.get(pairs.get(pair).0).clone();
            providers.entry((step, provider)).or_default().merge(&cell);
            calls.entry((step, pair)).or_default().merge(&cell);
        }
        let mut all = BTreeMap::<i64, Cell>::new();
        for ((step, ..), cell) in &operations {
            all.entry(*step).or_default().merge(cell);
        }
        let llm = |pair: usize| {
            let (provider, model) = pairs.get(pair);
            Some(llm_key(names.get(*provider).as_ref(), names.get(*model).clone()))
        };
        self.put_all(ALL, all.into_values().map(|cell| (None, cell)));
        self.put_all(PROVIDER, providers.into_iter().map(|((_, key), cell)| (key, cell)));
        self.put_all(LLM, calls.into_iter().map(|((_, pair), cell)| (llm(pair), cell)));
        let named = |((_, name, _), cell): (Key, Cell)| (names.get(name).clone(), cell);
        self.put_all(OPERATION, operations.into_iter().map(named));
    }

    /// The sums of what is told apart by one name.
    pub(super) fn put(&mut self, dimension: &'static str, cells: Cells, names: &Names) {
        let named = |((_, name, _), cell): (Key, Cell)| (names.get(name).clone(), cell);
        self.put_all(dimension, cells.finish().map(named));
    }

    fn put_all(
        &mut self,
        dimension: &'static str,
        cells: impl Iterator<Item = (Option<Name>, Cell)>,
    ) {
        let window = |(key, cell): (Option<Name>, Cell)| {
            let start = cell.ends_ns.0.div_euclid(60_000_000_000) * 60;
            Window { start, key, sums: cell.sums }
        };
        self.windows.entry(dimension).or_default().extend(cells.map(window));
    }

    pub(super) fn put_spent(
        &mut self,
        by: usize,
        places: &[Key],
        spent: Vec<Spent>,
        names: &Names,
    ) {
        for ((step, name, _), spent) in places.iter().zip(spent) {
            self.spent[by].entry((*step, names.get(*name).clone())).or_default().merge(spent);
        }
    }
}

/// The key under which an LLM stands: with its provider, where that was told.
pub(super) fn llm_key(provider: Option<&Name>, model: Option<Name>) -> Name {
    let model = model.unwrap_or_default();
    provider.map_or(model.clone(), |by| format!("{by}/{model}").into())
}

impl Cell {
    fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
        self.ends_ns.0 = self.ends_ns.0.min(other.ends_ns.0);
        self.ends_ns.1 = self.ends_ns.1.max(other.ends_ns.1);
    }
}

impl Spent {
    fn group(self, key: Option<Name>) -> Group {
        Group {
            key,
            start: None,
            success: Proportion::of(Rate { hits: 0, of: self.operations }),
            duration_seconds: None,
            input_tokens: 0,
            output_tokens: 0,
            cache_read: Rate::default(),
            total_cost: self.usd,
            unpriced_calls: self.unpriced,
        }
    }
}
