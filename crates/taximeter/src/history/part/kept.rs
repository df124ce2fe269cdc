//! Sums that a store keeps of a sealed block: those of each kind of its operations, so that a question about one operation,
//! LLM, provider, tool or component, or several of these, is answered without its columns.
//!
//! The bytes are the length of a head, the head as JSON, and behind it the sums that it lists, one after the other.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use taximeter_analysis::Sums;
use taximeter_models::Name;
use taximeter_persistence::store::{Block, Column, Condition, Level};

use super::super::windows::{ALL, COMPONENT, LLM, OPERATION, PROVIDER, TOOL};
use super::cells::Names;
use super::rows::{Rows, Steps};
use super::sums::{Counted, Window, llm_key};

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
    /// The names that groups point to; none is what was not told.
    names: Vec<Option<Name>>,
    groups: Vec<Group>,
}

/// The operations of one kind in one step.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Group {
    operations: u64,
    /// Its name, by place.
    name: usize,
    /// Provider and LLM of each, by place.
    llms: Vec<(usize, usize)>,
    tools: Vec<usize>,
    components: Vec<usize>,
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
    let mut rows = Rows::by_kind(level);
    rows.count(tables);
    let (names, kinds) = rows.finish_kinds(tables.first()?.rows() / LEAST_OF_GROUP)?;
    let mut writing = Writing::default();
    for kind in kinds {
        let sums = [&kind.sums].into_iter().chain(kind.llms.iter().map(|(_, sums)| sums));
        let parts = kind.tools.iter().chain(&kind.components).map(|(_, sums)| sums);
        let group = Group {
            name: kind.name,
            operations: kind.sums.count(),
            llms: kind.llms.iter().map(|(llm, _)| *llm).collect(),
            tools: kind.tools.iter().map(|(tool, _)| *tool).collect(),
            components: kind.components.iter().map(|(component, _)| *component).collect(),
            bytes: Vec::new(),
        };
        writing.put(group, sums.chain(parts));
    }
    writing.finish(level.seconds(), ends_ns, names)
}

/// Sums on their way into bytes.
#[derive(Default)]
struct Writing {
    groups: Vec<Group>,
    written: Vec<u8>,
}

impl Writing {
    fn put<'s>(&mut self, mut group: Group, sums: impl Iterator<Item = &'s Sums>) {
        for sums in sums {
            let bytes = sums.to_bytes();
            group.bytes.push(bytes.len());
            self.written.extend(bytes);
        }
        self.groups.push(group);
    }

    fn finish(
        self,
        step_seconds: i64,
        ends_ns: (i64, i64),
        names: Vec<Option<Name>>,
    ) -> Option<Vec<u8>> {
        let head = Head { version: VERSION, step_seconds, ends_ns, names, groups: self.groups };
        let head = serde_json::to_vec(&head).ok()?;
        let length = u32::try_from(head.len()).ok()?.to_le_bytes();
        Some([&length[..], &head, &self.written].concat())
    }
}

/// What tells kinds of operations apart in one step: their name, their LLMs, tools and components.
type Kind = (i64, Option<Name>, Vec<(Option<Name>, Option<Name>)>, [Vec<Option<Name>>; 2]);

/// The sums of several blocks as those of one, each kind in each step once; none where they are of other steps or cannot be
/// read.
pub(in super::super) fn merged(blocks: &[&[u8]]) -> Option<Vec<u8>> {
    let mut all = BTreeMap::<Kind, (u64, Vec<Sums>)>::new();
    let mut reach: Option<(i64, (i64, i64))> = None;
    for bytes in blocks {
        let (head, mut rest) = read(bytes)?;
        let (step_seconds, ends_ns) = reach.unwrap_or((head.step_seconds, head.ends_ns));
        if head.step_seconds != step_seconds {
            return None;
        }
        let ends_ns = (ends_ns.0.min(head.ends_ns.0), ends_ns.1.max(head.ends_ns.1));
        reach = Some((step_seconds, ends_ns));
        for group in &head.groups {
            let (own, others) = rest.split_at_checked(group.bytes.iter().sum())?;
            rest = others;
            let (kind, sums) = group.kind(&head, group.sums(own)?)?;
            let (operations, known) = all.entry(kind).or_default();
            *operations += group.operations;
            if known.is_empty() {
                *known = sums;
            } else {
                known.iter_mut().zip(&sums).for_each(|(known, sums)| known.merge(sums));
            }
        }
    }
    let (step_seconds, ends_ns) = reach?;
    let mut names = Names::default();
    let mut writing = Writing::default();
    for ((_, name, llms, [tools, components]), (operations, sums)) in all {
        let mut places = |of: Vec<Option<Name>>| of.into_iter().map(|n| names.of(n)).collect();
        let (tools, components) = (places(tools), places(components));
        let group = Group {
            operations,
            name: names.of(name),
            llms: llms.into_iter().map(|(by, llm)| (names.of(by), names.of(llm))).collect(),
            tools,
            components,
            bytes: Vec::new(),
        };
        writing.put(group, sums.iter());
    }
    writing.finish(step_seconds, ends_ns, names.list().to_vec())
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
        use Condition::{Component, Llm, Operation, Provider, Tool};
        matches!(condition, Operation(_) | Provider(_) | Llm(_) | Tool(_) | Component(_))
    };
    conditions.iter().all(told)
}

/// Takes sums of blocks.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    conditions: &'a [Condition],
    steps: Steps<'a>,
    windows: BTreeMap<(&'static str, i64, Option<Name>), Sums>,
    ends_ns: Option<(i64, i64)>,
    /// Whether any were taken.
    pub(super) some: bool,
}

impl<'a> Taken<'a> {
    /// Of operations that fulfil these, which sums of blocks [`tell`].
    pub(super) fn new(conditions: &'a [Condition], cuts: &'a [i64], level: Level) -> Self {
        let steps = Steps::new(cuts, level);
        Self { conditions, steps, windows: BTreeMap::new(), ends_ns: None, some: false }
    }

    /// Takes the sums of a block, and says of how many operations; none where they are of longer steps than is asked for, are
    /// cut by a moment at which time is told apart, or cannot be read.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Option<u64> {
        let (head, mut rest) = read(bytes)?;
        let serves = head.step_seconds <= self.steps.seconds() && !self.steps.is_cut(head.ends_ns);
        if !serves {
            return None;
        }
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
            self.add(group, sums, &head.names);
        }
        self.some = true;
        Some(operations)
    }

    fn add(&mut self, group: &Group, sums: Vec<Sums>, names: &[Option<Name>]) {
        let mut sums = sums.into_iter();
        let Some(mut own) = sums.next() else { return };
        // The store shows no sums of what nanoseconds do not hold.
        let nanos = |at: DateTime<Utc>| at.timestamp_nanos_opt().unwrap_or_default();
        let Some((first, last)) = own.period.map(|(first, last)| (nanos(first), nanos(last)))
        else {
            return;
        };
        let known = self.ends_ns.unwrap_or((first, last));
        self.ends_ns = Some((known.0.min(first), known.1.max(last)));
        let step = self.steps.of(first);
        let name = |place: &usize| names.get(*place).cloned().flatten();
        for ((provider, llm), sums) in group.llms.iter().zip(&mut sums) {
            own.merge_calls(&sums);
            let provider = name(provider);
            self.merge(LLM, step, Some(llm_key(provider.as_ref(), name(llm))), &sums);
            self.merge(PROVIDER, step, provider, &sums);
        }
        for (dimension, keys) in [(TOOL, &group.tools), (COMPONENT, &group.components)] {
            for (key, sums) in keys.iter().zip(&mut sums) {
                self.merge(dimension, step, name(key), &sums);
            }
        }
        self.merge(OPERATION, step, name(&group.name), &own);
        self.merge(ALL, step, None, &own);
    }

    fn merge(&mut self, dimension: &'static str, step: i64, key: Option<Name>, sums: &Sums) {
        self.windows.entry((dimension, step, key)).or_default().merge(sums);
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

impl Group {
    fn fulfils(&self, conditions: &[Condition], names: &[Option<Name>]) -> bool {
        let is = |place: &usize, name: &Name| {
            names.get(*place).is_some_and(|n| n.as_ref() == Some(name))
        };
        conditions.iter().all(|condition| match condition {
            Condition::Operation(name) => is(&self.name, name),
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
        Some(((step, name(&self.name), llms, [tools, components]), all.collect()))
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
