//! Sums that a store keeps of a sealed block: those of each kind of its operations, so that a question about one operation,
//! LLM, provider, tool, component or outcome, or several of these, is answered without its columns.
//!
//! The bytes are the length of a head, the head as JSON, and behind it the sums that it lists, one after the other. Those of
//! several blocks, which are held in memory, have what fulfils a single condition put together as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use taximeter_analysis::Sums;
use taximeter_models::Name;
use taximeter_persistence::store::{Block, Column, Condition, Level};

use super::alone::{self, Alone};
use super::cells::Names;
use super::firsts::{self, Peak, Peaks, PeaksInTime};
use super::kinds::Kinds;
use super::rows::Rows;
use super::sums::Counted;
use super::together::Together;

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// Sums of fewer operations than this, in the mean, take too much room for what they spare.
const LEAST_OF_GROUP: usize = 256;
/// In so many steps a block is cut at most.
const MOST_STEPS: i64 = 4;

/// What is in the sums of a block.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    version: u32,
    /// The seconds of a step in which sums are told apart by time.
    step_seconds: i64,
    /// When the first and the last operation began, in nanoseconds since 1970.
    ends_ns: (i64, i64),
    /// The same of each block. Those of one block have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    blocks: Vec<(i64, i64)>,
    /// The names that groups point to; none is what was not told.
    names: Vec<Option<Name>>,
    groups: Vec<Group>,
    /// Those that fulfil one condition, for each that any fulfil. Those of one block have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alone: Vec<Alone>,
}

/// The operations of one kind in one step.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) operations: u64,
    /// Its name, by place.
    pub(super) name: usize,
    /// How they ended, by place. None where that does not tell groups apart, as in sums of older versions and of blocks that
    /// would have too many groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) outcome: Option<usize>,
    /// What they are at most, in each block. Nothing where that is not known, as in sums of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) peaks: Peaks,
    /// Provider and LLM of each, by place.
    pub(super) llms: Vec<(usize, usize)>,
    pub(super) tools: Vec<usize>,
    pub(super) components: Vec<usize>,
    /// How many bytes the sums take: of the operations without their calls, of each LLM, tool and component.
    bytes: Vec<usize>,
}

/// The sums of a block by its columns; none where they are too many to be worth it.
pub(in super::super) fn of_block(tables: &[Block<'_>]) -> Option<Vec<u8>> {
    let starts = tables.first()?.numbers(&Column::StartedAt)?.iter().map(|at| at.cast_signed());
    let ends_ns = (starts.clone().min()?, starts.max()?);
    let level = [Level::Hour, Level::Day].into_iter().find(|level| {
        let step = |nanos: i64| nanos.div_euclid(1_000_000_000).div_euclid(level.seconds());
        step(ends_ns.1) - step(ends_ns.0) < MOST_STEPS
    })?;
    let most = tables.first()?.rows() / LEAST_OF_GROUP;
    let (names, kinds) = [true, false].into_iter().find_map(|by_outcome| {
        let mut rows = Rows::by_kind(level, Kinds::at_most(most, by_outcome));
        rows.count(tables);
        rows.finish_kinds()
    })?;
    let mut writing = Writing::default();
    for kind in kinds {
        let sums = [&kind.sums].into_iter().chain(kind.llms.iter().map(|(_, sums)| sums));
        let parts = kind.tools.iter().chain(&kind.components).map(|(_, sums)| sums);
        let group = Group {
            name: kind.name,
            outcome: kind.outcome,
            peaks: vec![kind.peak],
            operations: kind.sums.count(),
            llms: kind.llms.iter().map(|(llm, _)| *llm).collect(),
            tools: kind.tools.iter().map(|(tool, _)| *tool).collect(),
            components: kind.components.iter().map(|(component, _)| *component).collect(),
            bytes: Vec::new(),
        };
        writing.put(group, sums.chain(parts));
    }
    writing.finish(level.seconds(), &[ends_ns], names, Vec::new())
}

/// Sums on their way into bytes.
#[derive(Default)]
struct Writing {
    groups: Vec<Group>,
    written: Vec<u8>,
}

impl Writing {
    fn put<'s>(&mut self, mut group: Group, sums: impl Iterator<Item = &'s Sums>) {
        group.bytes = sums.map(|sums| self.write(sums)).collect();
        self.groups.push(group);
    }

    /// How many bytes they take.
    fn write(&mut self, sums: &Sums) -> usize {
        let bytes = sums.to_bytes();
        self.written.extend_from_slice(&bytes);
        bytes.len()
    }

    fn finish(
        self,
        step_seconds: i64,
        each_ns: &[(i64, i64)],
        names: Vec<Option<Name>>,
        alone: Vec<Alone>,
    ) -> Option<Vec<u8>> {
        let (version, groups) = (VERSION, self.groups);
        let ends_ns = both_ends(each_ns)?;
        let blocks = if each_ns.len() > 1 { each_ns.to_vec() } else { Vec::new() };
        let head = Head { version, step_seconds, ends_ns, blocks, names, groups, alone };
        let head = serde_json::to_vec(&head).ok()?;
        let length = u32::try_from(head.len()).ok()?.to_le_bytes();
        Some([&length[..], &head, &self.written].concat())
    }
}

/// When the first and the last operation of all began.
fn both_ends(each_ns: &[(i64, i64)]) -> Option<(i64, i64)> {
    let first = each_ns.iter().map(|ends| ends.0).min();
    first.zip(each_ns.iter().map(|ends| ends.1).max())
}

/// What tells kinds of operations apart in one step: their name and outcome, their LLMs, tools and components.
type Kind = (i64, [Option<Name>; 2], Vec<(Option<Name>, Option<Name>)>, [Vec<Option<Name>>; 2]);

/// The operations of one kind in one step, of several blocks.
#[derive(Default)]
struct Gathered {
    operations: u64,
    sums: Vec<Sums>,
    /// What they are at most in each block.
    peaks: Peaks,
}

/// The sums of several blocks as those of one, each kind in each step once; none where they are of other steps or cannot be
/// read.
pub(in super::super) fn merged(blocks: &[&[u8]]) -> Option<Vec<u8>> {
    let mut all = BTreeMap::<Kind, Gathered>::new();
    let (mut each_ns, mut step, mut have_peaks) = (Vec::new(), None, true);
    for (place, bytes) in blocks.iter().enumerate() {
        let (head, mut rest) = read(bytes)?;
        if *step.get_or_insert(head.step_seconds) != head.step_seconds {
            return None;
        }
        each_ns.push(head.ends_ns);
        for group in &head.groups {
            let (own, others) = rest.split_at_checked(group.bytes.iter().sum())?;
            rest = others;
            let (kind, sums) = group.kind(&head, group.sums(own)?)?;
            let gathered = all.entry(kind).or_default();
            gathered.operations += group.operations;
            if gathered.sums.is_empty() {
                gathered.sums = sums;
            } else {
                gathered.sums.iter_mut().zip(&sums).for_each(|(known, sums)| known.merge(sums));
            }
            let own = [vec![None; place], group.peaks.clone()].concat();
            firsts::raise(&mut gathered.peaks, &own);
            have_peaks &= !group.peaks.is_empty();
        }
    }
    let level = Level::ALL.into_iter().find(|level| Some(level.seconds()) == step)?;
    let mut names = Names::default();
    let mut writing = Writing::default();
    let mut alone = alone::Making::new(level);
    for ((_, [name, outcome], llms, [tools, components]), gathered) in all {
        let Gathered { operations, sums, mut peaks } = gathered;
        peaks.resize(if have_peaks { each_ns.len() } else { 0 }, None);
        let mut places = |of: Vec<Option<Name>>| of.into_iter().map(|n| names.of(n)).collect();
        let (tools, components) = (places(tools), places(components));
        let group = Group {
            operations,
            name: names.of(name),
            outcome: outcome.map(|outcome| names.of(Some(outcome))),
            peaks,
            llms: llms.into_iter().map(|(by, llm)| (names.of(by), names.of(llm))).collect(),
            tools,
            components,
            bytes: Vec::new(),
        };
        alone.add(&group, &sums, names.list());
        writing.put(group, sums.iter());
    }
    let alone = alone.finish(&mut names, &mut |sums| writing.write(sums));
    writing.finish(level.seconds(), &each_ns, names.list().to_vec(), alone)
}

/// The head, and the sums behind it; none where these bytes are of another version.
fn read(bytes: &[u8]) -> Option<(Head, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (head, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    (head.version == VERSION).then_some((head, rest))
}

/// Whether sums of blocks tell which operations fulfil these.
pub(super) fn tell(conditions: &[Condition]) -> bool {
    let told = |condition: &Condition| {
        use Condition::{Component, Llm, Operation, Outcome, Provider, Tool};
        matches!(
            condition,
            Operation(_) | Outcome(_) | Provider(_) | Llm(_) | Tool(_) | Component(_)
        )
    };
    conditions.iter().all(told)
}

/// Takes sums of blocks.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    conditions: &'a [Condition],
    together: Together<'a>,
    /// Whether any were taken.
    pub(super) some: bool,
    /// What these are at most, as far as that is known of all of them.
    peaks: Option<PeaksInTime>,
}

impl<'a> Taken<'a> {
    /// Of operations that fulfil these, which sums of blocks [`tell`].
    pub(super) fn new(conditions: &'a [Condition], cuts: &'a [i64], level: Level) -> Self {
        let (together, peaks) = (Together::new(cuts, level), Some(PeaksInTime::new()));
        Self { conditions, together, some: false, peaks }
    }

    /// Takes the sums of a block, and says of how many operations; none where they are of longer steps than is asked for, are
    /// cut by a moment at which time is told apart, or cannot be read.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<u64> {
        let (head, rest) = read(bytes)?;
        if !self.together.serve(head.step_seconds, head.ends_ns)
            || (self.ask_outcomes() && head.groups.iter().any(|group| group.outcome.is_none()))
        {
            return None;
        }
        let operations = match self.conditions {
            [condition] if !head.alone.is_empty() => self.take_alone(&head, condition, rest)?,
            _ => self.take_groups(&head, rest)?,
        };
        self.some = true;
        Some(operations)
    }

    fn ask_outcomes(&self) -> bool {
        self.conditions.iter().any(|condition| matches!(condition, Condition::Outcome(_)))
    }

    fn take_groups(&mut self, head: &Head, mut rest: &[u8]) -> Option<u64> {
        // All are read before the first is added, so that bytes that cannot be read leave nothing behind.
        let mut read = Vec::new();
        for group in &head.groups {
            let (own, others) = rest.split_at_checked(group.bytes.iter().sum())?;
            rest = others;
            if group.fulfils(self.conditions, &head.names) {
                read.push((group, group.sums(own)?));
            }
        }
        let operations = read.iter().map(|(group, _)| group.operations).sum();
        for (group, sums) in read {
            self.together.add(group, &sums, &head.names);
            self.put_peaks(head, &group.peaks);
        }
        Some(operations)
    }

    fn take_alone(&mut self, head: &Head, condition: &Condition, rest: &[u8]) -> Option<u64> {
        let before = head.groups.iter().flat_map(|group| &group.bytes).sum();
        let (_, mut rest) = rest.split_at_checked(before)?;
        for alone in &head.alone {
            let (own, others) = rest.split_at_checked(alone.bytes())?;
            rest = others;
            if alone.is_of(condition, &head.names) {
                let operations = alone.put(own, &head.names, &mut self.together)?;
                self.put_peaks(head, &alone.peaks);
                return Some(operations);
            }
        }
        // Of a condition that none fulfil there are no sums.
        Some(0)
    }

    /// What some of these operations are at most in each block.
    fn put_peaks(&mut self, head: &Head, peaks: &[Option<Peak>]) {
        let each_ns = head.each_ns();
        let Some(known) = self.peaks.as_mut().filter(|_| peaks.len() == each_ns.len()) else {
            self.peaks = None;
            return;
        };
        for (ends_ns, peak) in each_ns.iter().zip(peaks) {
            if let Some(peak) = peak {
                known.entry(*ends_ns).and_modify(|most| *most = most.and(*peak)).or_insert(*peak);
            }
        }
    }

    pub(super) fn finish(self) -> Counted {
        Counted { peaks: self.peaks, ..self.together.finish() }
    }
}

impl Head {
    /// When the first and the last operation of each block began.
    fn each_ns(&self) -> &[(i64, i64)] {
        if self.blocks.is_empty() { std::slice::from_ref(&self.ends_ns) } else { &self.blocks }
    }
}

impl Group {
    fn fulfils(&self, conditions: &[Condition], names: &[Option<Name>]) -> bool {
        let is = |place: &usize, name: &str| {
            names.get(*place).is_some_and(|n| n.as_deref() == Some(name))
        };
        conditions.iter().all(|condition| match condition {
            Condition::Operation(name) => is(&self.name, name),
            Condition::Outcome(outcome) => {
                self.outcome.is_some_and(|own| is(&own, outcome.as_str()))
            }
            Condition::Provider(name) => self.llms.iter().any(|(provider, _)| is(provider, name)),
            Condition::Llm(name) => self.llms.iter().any(|(_, llm)| is(llm, name)),
            Condition::Tool(name) => self.tools.iter().any(|tool| is(tool, name)),
            Condition::Component(name) => self.components.iter().any(|one| is(one, name)),
            // Nobody asks; see `tell`.
            _ => false,
        })
    }

    /// What tells it apart, and its sums in an order in which those of every block of the same kind are.
    fn kind(&self, head: &Head, sums: Vec<Sums>) -> Option<(Kind, Vec<Sums>)> {
        let name = |place: &usize| head.names.get(*place).cloned().flatten();
        let mut sums = sums.into_iter();
        let own = sums.next()?;
        let (first, _) = own.period?;
        let step = first.timestamp().div_euclid(head.step_seconds.max(1));
        let llms = self.llms.iter().map(|(by, llm)| (name(by), name(llm)));
        let mut llms: Vec<_> = llms.zip(sums.by_ref()).collect();
        llms.sort_by(|one, other| one.0.cmp(&other.0));
        let [mut tools, mut components] = [&self.tools, &self.components]
            .map(|parts| parts.iter().map(name).zip(sums.by_ref()).collect::<Vec<_>>());
        for parts in [&mut tools, &mut components] {
            parts.sort_by(|one, other| one.0.cmp(&other.0));
        }
        let (llms, of_llms): (_, Vec<_>) = llms.into_iter().unzip();
        let (tools, of_tools): (_, Vec<_>) = tools.into_iter().unzip();
        let (components, of_components): (_, Vec<_>) = components.into_iter().unzip();
        let all = [own].into_iter().chain(of_llms).chain(of_tools).chain(of_components);
        let own = [name(&self.name), self.outcome.as_ref().and_then(name)];
        Some(((step, own, llms, [tools, components]), all.collect()))
    }

    /// The sums of the operations, and of each LLM, tool and component.
    fn sums(&self, mut bytes: &[u8]) -> Option<Vec<Sums>> {
        if self.bytes.len() != 1 + self.llms.len() + self.tools.len() + self.components.len() {
            return None;
        }
        let mut all = Vec::with_capacity(self.bytes.len());
        for length in &self.bytes {
            let (own, rest) = bytes.split_at_checked(*length)?;
            all.push(Sums::from_bytes(own).ok()?);
            bytes = rest;
        }
        // Where no operation began, there is none.
        all.first().is_some_and(|own| own.period.is_some()).then_some(all)
    }
}
