//! Rows of columns on their way into sums. Each row is counted once, by its step and by what it is of; the sums of whole
//! operations are put together out of those of their calls in the end.

use std::collections::BTreeMap;

use taximeter_analysis::{CountedCall, Reply, Sums};
use taximeter_models::{Charge, ErrorCategory, Money, Name, Outcome};
use taximeter_persistence::store::{Block, Column, Keys, Level, Table, Usages};

use super::super::windows;
use super::cells::{Cell, Cells, Key, Names, Places};
use super::firsts::{Firsts, Peak};
use super::kinds::{Kind, Kinds, Parts};
use super::sums::{Counted, Spent};

/// The columns out of which is counted what was spent for whom.
pub(super) const SPENT: [(Table, &[Column]); 2] = [
    (Table::Operations, &[Column::StartedAt, Column::User, Column::Session]),
    (Table::LlmCalls, &[Column::Owner, Column::Charge]),
];

/// The columns that are counted.
pub(in super::super) const TABLES: [(Table, &[Column]); 5] = [
    (
        Table::Operations,
        &[
            Column::StartedAt,
            Column::Name,
            Column::User,
            Column::Session,
            Column::Outcome,
            Column::Duration,
            Column::Errors,
            Column::Warnings,
        ],
    ),
    (Table::Errors, &[Column::Owner, Column::Name, Column::ErrorCategory]),
    (
        Table::LlmCalls,
        &[
            Column::Owner,
            Column::Provider,
            Column::Name,
            Column::Outcome,
            Column::ErrorCategory,
            Column::Duration,
            Column::FirstToken,
            Column::FinishReason,
            Column::Attempt,
            Column::Usage,
            Column::Charge,
        ],
    ),
    (
        Table::ToolCalls,
        &[
            Column::Owner,
            Column::Name,
            Column::Outcome,
            Column::TimedOut,
            Column::ErrorCategory,
            Column::Duration,
            Column::Attempt,
        ],
    ),
    (Table::Components, &[Column::Owner, Column::Name, Column::Duration, Column::Runs]),
];

/// Counts rows.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    steps: Steps<'a>,
    names: Names,
    operations: Cells,
    llms: Cells,
    /// The places of provider and LLM by one place for both.
    pairs: Places<(usize, usize)>,
    tools: Cells,
    components: Cells,
    spenders: [(Places<Key>, Vec<Spent>); 2],
    ends_ns: Option<(i64, i64)>,
    firsts: Firsts,
    /// By which operations are told apart, and their tools and components with them; none where it is their name, and the
    /// operations of tools and components do not matter.
    kinds: Option<Kinds>,
}

/// The sums of one kind of operations in one step.
#[derive(Debug)]
pub(super) struct OfKind {
    /// The place of its name.
    pub(super) name: usize,
    /// The place of how they ended; none where that does not tell them apart.
    pub(super) outcome: Option<usize>,
    pub(super) peak: Option<Peak>,
    /// Of the operations, without what their calls add.
    pub(super) sums: Sums,
    /// Of each LLM, by the places of provider and name.
    pub(super) llms: Vec<((usize, usize), Sums)>,
    pub(super) tools: Vec<(usize, Sums)>,
    pub(super) components: Vec<(usize, Sums)>,
}

/// The operations of a block, while their calls are counted.
struct Owners {
    started_ns: Vec<i64>,
    step: Vec<i64>,
    /// The place of its name, or of its kind.
    group: Vec<usize>,
    /// Whether tools and components are told apart by that too.
    parts_too: bool,
    has_failed: Vec<bool>,
    bills: Vec<Bill>,
    /// For each that has any: the component in which an error arose, and its category.
    own_errors: Vec<(usize, usize, Option<ErrorCategory>)>,
}

/// What the calls of an operation cost.
#[derive(Debug, Clone, Copy)]
struct Bill {
    /// None where a call's is not known.
    known: Option<Money>,
    usd: Money,
    unpriced: u64,
    in_other_currency: u64,
}

impl<'a> Rows<'a> {
    pub(super) fn new(cuts: &'a [i64], level: Level) -> Self {
        Self {
            steps: Steps::new(cuts, level),
            names: Names::default(),
            operations: Cells::default(),
            llms: Cells::default(),
            pairs: Places::default(),
            tools: Cells::default(),
            components: Cells::default(),
            spenders: <[(Places<Key>, Vec<Spent>); 2]>::default(),
            ends_ns: None,
            firsts: Firsts::default(),
            kinds: None,
        }
    }

    /// Tells too which come first of those that began within some time, in nanoseconds since 1970.
    pub(super) fn ranking(self, within_ns: (i64, i64)) -> Self {
        Self { firsts: Firsts::within(within_ns), ..self }
    }

    /// Tells operations apart by their kind.
    pub(super) fn by_kind(level: Level, kinds: Kinds) -> Self {
        Self { kinds: Some(kinds), ..Self::new(&[], level) }
    }

    pub(super) fn count(&mut self, blocks: &[Block<'_>]) {
        let [operations, errors, llms, tools, components] = blocks else { return };
        let mut owners = self.owners(operations);
        if let Some(kinds) = &mut self.kinds {
            let llms = Parts::llms(llms, &mut self.names, &mut self.pairs);
            let [tools, components] =
                [tools, components].map(|parts| Parts::named(parts, &mut self.names));
            let outcomes = outcomes(operations, &mut self.names);
            owners.group = kinds.of(&owners.group, &outcomes, [&llms, &tools, &components]);
            owners.parts_too = true;
            if kinds.are_too_many() {
                return;
            }
        }
        self.errors(errors, &mut owners);
        self.llms(llms, &mut owners);
        self.operations(operations, &owners);
        self.tools(tools, &owners);
        self.components(components, &owners);
    }

    /// Counts what was spent for users and in conversations, and nothing else; see [`SPENT`].
    pub(super) fn count_spent(&mut self, blocks: &[Block<'_>]) {
        let [operations, llms] = blocks else { return };
        let mut owners = self.owners(operations);
        let calls = numbers(llms, &Column::Owner).iter().zip(llms.charges().unwrap_or_default());
        calls.for_each(|(owner, charge)| owners.bills[place(*owner)].add(charge));
        self.all_spenders(operations, &owners);
    }

    /// The names, and the sums of each kind in each step; none where these are too many.
    pub(super) fn finish_kinds(self) -> Option<(Vec<Option<Name>>, Vec<OfKind>)> {
        let Self { names, operations, llms, pairs, tools, components, kinds, .. } = self;
        let kinds = kinds.filter(|kinds| !kinds.are_too_many())?;
        let mut all = BTreeMap::<(i64, usize), OfKind>::new();
        for ((step, kind, _), Cell { sums, peak, .. }) in operations.finish() {
            let Kind { name, outcome, .. } = kinds.list()[kind];
            let (llms, tools, components) = Default::default();
            let of_kind = OfKind { name, outcome, peak, sums, llms, tools, components };
            all.insert((step, kind), of_kind);
        }
        if all.len() > kinds.most() {
            return None;
        }
        for ((step, kind, pair), cell) in llms.finish() {
            all.get_mut(&(step, kind))?.llms.push((*pairs.get(pair), cell.sums));
        }
        for ((step, tool, kind), cell) in tools.finish() {
            all.get_mut(&(step, kind))?.tools.push((tool, cell.sums));
        }
        for ((step, component, kind), cell) in components.finish() {
            all.get_mut(&(step, kind))?.components.push((component, cell.sums));
        }
        Some((names.list().to_vec(), all.into_values().collect()))
    }

    pub(super) fn finish(self) -> Counted {
        let Self { names, operations, llms, pairs, tools, components, spenders, .. } = self;
        let (ends_ns, firsts) = (self.ends_ns, self.firsts);
        let mut counted = Counted { ends_ns, firsts, ..Counted::default() };
        counted.put_operations(operations, llms, &names, &pairs);
        counted.put(windows::TOOL, tools, &names);
        counted.put(windows::COMPONENT, components, &names);
        for (by, (places, spent)) in spenders.into_iter().enumerate() {
            counted.put_spent(by, places.list(), spent, &names);
        }
        counted
    }

    fn owners(&mut self, operations: &Block<'_>) -> Owners {
        let starts = operations.numbers(&Column::StartedAt).unwrap_or_default();
        let started_ns: Vec<i64> = starts.iter().map(|start| start.cast_signed()).collect();
        if let Some((first, last)) = started_ns.iter().min().zip(started_ns.iter().max()) {
            let known = self.ends_ns.unwrap_or((*first, *last));
            self.ends_ns = Some((known.0.min(*first), known.1.max(*last)));
        }
        let outcomes = operations.numbers(&Column::Outcome).unwrap_or_default();
        let free =
            Bill { known: Some(Money::ZERO), usd: Money::ZERO, unpriced: 0, in_other_currency: 0 };
        Owners {
            step: started_ns.iter().map(|nanos| self.steps.of(*nanos)).collect(),
            group: self.names.rows(operations.texts(&Column::Name), operations.rows()),
            parts_too: false,
            has_failed: outcomes.iter().map(|outcome| *outcome != 0).collect(),
            bills: vec![free; operations.rows()],
            own_errors: Vec::new(),
            started_ns,
        }
    }

    fn errors(&mut self, errors: &Block<'_>, owners: &mut Owners) {
        let within = self.names.rows(errors.texts(&Column::Name), errors.rows());
        let nowhere = self.names.of(None);
        let categories = Categories::of(errors);
        for (row, owner) in numbers(errors, &Column::Owner).iter().enumerate() {
            let owner = place(*owner);
            let category = categories.at(row);
            let cell = self.operations.of(owners.key(owner, 0));
            if let Some(category) = category {
                *cell.sums.errors_by_category.entry(category).or_default() += 1;
            }
            if within[row] != nowhere {
                owners.own_errors.push((owner, within[row], category));
            }
        }
    }

    fn llms(&mut self, llms: &Block<'_>, owners: &mut Owners) {
        let (Some(usage), Some(charges)) = (llms.usage(), llms.charges()) else { return };
        let providers = self.names.rows(llms.texts(&Column::Provider), llms.rows());
        let names = self.names.rows(llms.texts(&Column::Name), llms.rows());
        let (categories, replies) = (Categories::of(llms), Replies::of(llms));
        let of = |column| numbers(llms, column);
        let (nanos, first) = (of(&Column::Duration), of(&Column::FirstToken));
        let (outcomes, attempts) = (of(&Column::Outcome), of(&Column::Attempt));
        for (row, owner) in of(&Column::Owner).iter().enumerate() {
            let (owner, charge) = (place(*owner), charges[row]);
            let times = [told(nanos[row]), told(first[row])];
            let call = CountedCall::told(charge, times, output_tokens(usage, row), replies.at(row));
            owners.bills[owner].add(&charge);
            if owners.has_failed[owner] {
                let cell = self.operations.of(owners.key(owner, 0));
                cell.sums.failed_usd += charge.known_usd().unwrap_or_default();
            }
            let llm = self.pairs.of((providers[row], names[row]));
            let cell = self.llms.of(owners.key(owner, llm));
            cell.was_at(owners.started_ns[owner]);
            cell.sums.count_call(&call, outcomes[row] == 0);
            cell.sums.retries += u64::from(attempts[row] > 1);
            if let Some(category) = categories.at(row) {
                *cell.sums.errors_by_category.entry(category).or_default() += 1;
            }
            if usage.told[row] {
                cell.sums.calls_with_usage += 1;
                for (unit, counts) in usage.units.iter().filter(|(_, counts)| counts[row] > 0) {
                    cell.consumed(*unit, counts[row]);
                }
            }
        }
    }

    fn operations(&mut self, operations: &Block<'_>, owners: &Owners) {
        let of = |column| numbers(operations, column);
        let (nanos, outcomes) = (of(&Column::Duration), of(&Column::Outcome));
        let (errors, warnings) = (of(&Column::Errors), of(&Column::Warnings));
        for row in 0..operations.rows() {
            let cell = self.operations.of(owners.key(row, 0));
            cell.was_at(owners.started_ns[row]);
            cell.sums.count_case(outcomes[row] == 0, 1, told(nanos[row]));
            cell.sums.abandoned += u64::from(outcomes[row] == 2);
            cell.sums.errors = cell.sums.errors.saturating_add(errors[row]);
            cell.sums.warnings = cell.sums.warnings.saturating_add(warnings[row]);
            cell.sums.count_known_usd(owners.bills[row].known);
            let (started_ns, usd) = (owners.started_ns[row], owners.bills[row].usd);
            if self.kinds.is_some() {
                let peak = Peak(nanos[row], usd);
                cell.peak = Some(cell.peak.map_or(peak, |known| known.and(peak)));
            } else {
                self.firsts.offer(started_ns, nanos[row], usd);
            }
        }
        if self.kinds.is_none() {
            self.all_spenders(operations, owners);
        }
    }

    fn all_spenders(&mut self, operations: &Block<'_>, owners: &Owners) {
        for (by, column) in [Column::User, Column::Session].iter().enumerate() {
            self.spenders(by, operations.texts(column), owners);
        }
    }

    fn spenders(&mut self, by: usize, texts: Option<Keys<'_>>, owners: &Owners) {
        let names = self.names.rows(texts, owners.step.len());
        let (places, spent) = &mut self.spenders[by];
        for (row, bill) in owners.bills.iter().enumerate() {
            let place = places.of((owners.step[row], names[row], 0));
            if place == spent.len() {
                spent.push(Spent::default());
            }
            let other = if by == 0 { 0 } else { bill.in_other_currency };
            spent[place].add(bill.usd, bill.unpriced + other);
        }
    }

    fn tools(&mut self, tools: &Block<'_>, owners: &Owners) {
        let names = self.names.rows(tools.texts(&Column::Name), tools.rows());
        let categories = Categories::of(tools);
        let of = |column| numbers(tools, column);
        let (nanos, outcomes) = (of(&Column::Duration), of(&Column::Outcome));
        let (late, attempts) = (of(&Column::TimedOut), of(&Column::Attempt));
        for (row, owner) in of(&Column::Owner).iter().enumerate() {
            let owner = place(*owner);
            let cell = self.tools.of(owners.part_key(owner, names[row]));
            cell.was_at(owners.started_ns[owner]);
            cell.sums.count_case(outcomes[row] == 0, 1, told(nanos[row]));
            cell.sums.timeouts += late[row];
            cell.sums.retries += u64::from(attempts[row] > 1);
            if let Some(category) = categories.at(row) {
                *cell.sums.errors_by_category.entry(category).or_default() += 1;
            }
        }
    }

    /// The runs of a component in one operation are one case, and stand behind one another.
    fn components(&mut self, components: &Block<'_>, owners: &Owners) {
        let names = self.names.rows(components.texts(&Column::Name), components.rows());
        let of = |column| numbers(components, column);
        let (nanos, runs) = (of(&Column::Duration), of(&Column::Runs));
        let all = of(&Column::Owner);
        let mut begin = 0;
        for of_one in all.chunk_by(u64::eq) {
            let rows = begin..begin + of_one.len();
            begin = rows.end;
            let owner = place(of_one[0]);
            for row in rows.clone() {
                if names[rows.start..row].contains(&names[row]) {
                    continue;
                }
                let (mut took, mut ran) = (0_u64, 0_u64);
                for same in (row..rows.end).filter(|same| names[*same] == names[row]) {
                    took = took.saturating_add(nanos[same]);
                    ran = ran.saturating_add(runs[same]);
                }
                let cell = self.components.of(owners.part_key(owner, names[row]));
                cell.was_at(owners.started_ns[owner]);
                let mut success = true;
                for category in owners.errors_within(owner, names[row]) {
                    success = false;
                    if let Some(category) = category {
                        *cell.sums.errors_by_category.entry(category).or_default() += 1;
                    }
                }
                cell.sums.count_case(success, ran, Some(took));
            }
        }
    }
}

impl Owners {
    fn key(&self, owner: usize, of: usize) -> Key {
        (self.step[owner], self.group[owner], of)
    }

    /// Of a tool or component.
    fn part_key(&self, owner: usize, name: usize) -> Key {
        (self.step[owner], name, if self.parts_too { self.group[owner] } else { 0 })
    }

    /// The errors of an operation that arose in a component; they stand in the order of operations.
    fn errors_within(
        &self,
        owner: usize,
        component: usize,
    ) -> impl Iterator<Item = Option<ErrorCategory>> {
        let first = self.own_errors.partition_point(|(of, ..)| *of < owner);
        let own = self.own_errors[first..].iter().take_while(move |(of, ..)| *of == owner);
        own.filter(move |(_, within, _)| *within == component).map(|(.., category)| *category)
    }
}

impl Bill {
    fn add(&mut self, charge: &Charge) {
        let known = charge.known_usd();
        self.known = self.known.zip(known).map(|(sum, usd)| sum + usd);
        self.usd += charge.usd();
        let is_other = charge.is_in_another_currency();
        self.in_other_currency += u64::from(is_other);
        self.unpriced += u64::from(known.is_none() && !is_other);
    }
}

/// Steps of time: windows of a level, cut where something begins or ends that is told apart.
#[derive(Debug)]
pub(super) struct Steps<'a> {
    cuts: &'a [i64],
    level: Level,
    /// The nanoseconds from and to which the last one goes: most rows are in that of the row before.
    lately: (i64, i64),
}

const SECOND: i64 = 1_000_000_000;

impl<'a> Steps<'a> {
    pub(super) fn new(cuts: &'a [i64], level: Level) -> Self {
        Self { cuts, level, lately: (i64::MAX, i64::MIN) }
    }

    /// How long a step is that is not cut.
    pub(super) fn seconds(&self) -> i64 {
        self.level.seconds()
    }

    /// Whether a step begins between two moments because of a cut.
    pub(super) fn is_cut(&self, (first, last): (i64, i64)) -> bool {
        let within = |cut: &i64| {
            let cut = cut.saturating_mul(SECOND);
            first < cut && cut <= last
        };
        self.cuts.iter().any(within)
    }

    /// The second in which the step of a moment begins.
    #[inline]
    pub(super) fn of(&mut self, nanos: i64) -> i64 {
        if !(self.lately.0 <= nanos && nanos < self.lately.1) {
            self.find(nanos);
        }
        self.lately.0.div_euclid(SECOND)
    }

    #[cold]
    fn find(&mut self, nanos: i64) {
        let second = nanos.div_euclid(SECOND);
        let begun = self.cuts.partition_point(|cut| *cut <= second);
        let start = self.level.start(second);
        let end = start + self.level.seconds();
        let cut = |at: Option<usize>| at.and_then(|at| self.cuts.get(at)).copied();
        let from = cut(begun.checked_sub(1)).map_or(start, |cut| cut.max(start));
        let to = cut(Some(begun)).map_or(end, |cut| cut.min(end));
        self.lately = (from.saturating_mul(SECOND), to.saturating_mul(SECOND));
    }
}

/// The categories of errors, by row.
struct Categories<'a>(Option<(&'a [u32], Vec<Option<ErrorCategory>>)>);

impl<'a> Categories<'a> {
    fn of(block: &Block<'a>) -> Self {
        let texts = block.texts(&Column::ErrorCategory);
        Self(texts.map(|texts| (texts.keys, texts.names.iter().map(|n| n.parse().ok()).collect())))
    }

    fn at(&self, row: usize) -> Option<ErrorCategory> {
        let (keys, known) = self.0.as_ref()?;
        known.get(keys[row] as usize).copied().flatten()
    }
}

/// The place of the name of how each operation ended.
fn outcomes(operations: &Block<'_>, names: &mut Names) -> Vec<usize> {
    let all = [Outcome::Success, Outcome::Failure, Outcome::Abandoned];
    let named = all.map(|outcome| names.of(Some(outcome.as_str().into())));
    let place = |number: &u64| named[place(*number).min(named.len() - 1)];
    numbers(operations, &Column::Outcome).iter().map(place).collect()
}

/// How replies ended, by row.
struct Replies<'a>(Option<(&'a [u32], Vec<Reply>)>);

impl<'a> Replies<'a> {
    fn of(block: &Block<'a>) -> Self {
        let texts = block.texts(&Column::FinishReason);
        Self(texts.map(|texts| (texts.keys, texts.names.iter().map(|n| Reply::of(n)).collect())))
    }

    fn at(&self, row: usize) -> Option<Reply> {
        let (keys, known) = self.0.as_ref()?;
        known.get(keys[row] as usize).copied()
    }
}

/// None where the reply did not tell what it consumed.
fn output_tokens(usage: Usages<'_>, row: usize) -> Option<u64> {
    usage.told[row].then(|| {
        let output = usage.units.iter().filter(|(unit, _)| unit.is_output_tokens());
        output.fold(0_u64, |sum, (_, counts)| sum.saturating_add(counts[row]))
    })
}

fn numbers<'a>(block: &Block<'a>, column: &Column) -> &'a [u64] {
    block.numbers(column).unwrap_or_default()
}

fn told(number: u64) -> Option<u64> {
    (number != Block::NONE).then_some(number)
}

fn place(owner: u64) -> usize {
    usize::try_from(owner).unwrap_or(usize::MAX)
}
