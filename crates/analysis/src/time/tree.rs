//! The parts of one operation in their places, and the way from its end to its beginning.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use taximeter_models::OperationRecord;

use super::{Children, Part};

/// Operations within operations are followed so deep; more is taken for a ring.
const DEEPEST: usize = 32;

/// Part of an operation with its place, in nanoseconds after the beginning of the outermost operation.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) part: Part,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) runs: u64,
    /// What runs within it.
    pub(super) children: Vec<Node>,
}

/// One operation.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    /// What told its duration and not when it began, in nanoseconds of the operation's own time.
    pub(super) unplaced: Vec<(Part, u64, u64)>,
}

/// The times of one part, in nanoseconds, added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Times {
    pub(super) runs: u64,
    pub(super) critical: u128,
    pub(super) own: u128,
    pub(super) most_parallel: u64,
}

impl Tree {
    pub(super) fn of(operation: &OperationRecord, children: &Children<'_>) -> Self {
        let root = node(operation, Part::Own, 0, children, 0);
        let mut tree = Self { root, unplaced: Vec::new() };
        let mut left = tree.own_time();
        tree.unplaced = squeezed(&unplaced_components(operation), &mut left);
        tree.unplaced.extend(squeezed(&unplaced_calls(operation), &mut left));
        tree
    }

    pub(super) fn duration(&self) -> u64 {
        self.root.end
    }

    /// What of the critical path belongs to no part.
    fn own_time(&self) -> u64 {
        let mut own = 0;
        walk(&self.root, self.root.end, &mut |part, nanos| {
            own += if *part == Part::Own { nanos } else { 0 };
        });
        own
    }

    pub(super) fn add_to(&self, parts: &mut BTreeMap<Part, Times>) {
        walk(&self.root, self.root.end, &mut |part, nanos| {
            times(parts, part).critical += u128::from(nanos);
        });
        add_selves(&self.root, parts);
        add_parallels(&self.root, parts);
        for (part, nanos, runs) in &self.unplaced {
            let times = times(parts, part);
            times.critical += u128::from(*nanos);
            times.own += u128::from(*nanos);
            times.runs += runs;
            times.most_parallel = times.most_parallel.max(1);
        }
        let unplaced: u128 = self.unplaced.iter().map(|(_, nanos, _)| u128::from(*nanos)).sum();
        if let Some(own) = parts.get_mut(&Part::Own) {
            own.critical = own.critical.saturating_sub(unplaced);
            own.own = own.own.saturating_sub(unplaced);
        }
    }
}

fn times<'a>(parts: &'a mut BTreeMap<Part, Times>, part: &Part) -> &'a mut Times {
    parts.entry(part.clone()).or_default()
}

/// An operation and what runs within it, from `start` on.
fn node(
    operation: &OperationRecord,
    part: Part,
    start: u64,
    children: &Children<'_>,
    depth: usize,
) -> Node {
    let end = start.saturating_add(nanos(operation.duration));
    let mut found = placed(operation, start);
    let within = children.get(&operation.id).filter(|_| depth < DEEPEST);
    for inner in within.into_iter().flatten() {
        let at = start.saturating_add(offset(operation, inner.started_at));
        found.push(node(inner, Part::Operation(inner.name.clone()), at, children, depth + 1));
    }
    for part in &mut found {
        clip(part, start, end);
    }
    Node { part, start, end, runs: 1, children: nested(found) }
}

/// The components and calls that tell when they began.
fn placed(operation: &OperationRecord, start: u64) -> Vec<Node> {
    let leaf = |part, offset: u64, duration| {
        let start = start.saturating_add(offset);
        let end = start.saturating_add(nanos(duration));
        Node { part, start, end, runs: 1, children: Vec::new() }
    };
    let components = operation.components.iter().filter(|timing| timing.count == 1);
    let components = components.filter_map(|timing| {
        Some(leaf(Part::Component(timing.name.clone()), nanos(timing.offset?), timing.duration))
    });
    let tools = operation.tool_calls.iter().filter_map(|call| {
        let at = offset(operation, call.started_at?);
        Some(leaf(Part::Tool(call.name.clone()), at, call.duration?))
    });
    let llms = operation.llm_calls.iter().filter_map(|call| {
        let at = offset(operation, call.started_at?);
        Some(leaf(Part::Llm(call.model().into()), at, call.duration?))
    });
    components.chain(tools).chain(llms).collect()
}

fn unplaced_components(operation: &OperationRecord) -> Vec<(Part, u64, u64)> {
    let timings = operation.components.iter();
    timings
        .filter(|timing| timing.offset.is_none() || timing.count != 1)
        .map(|timing| (Part::Component(timing.name.clone()), nanos(timing.duration), timing.count))
        .collect()
}

fn unplaced_calls(operation: &OperationRecord) -> Vec<(Part, u64, u64)> {
    let tools = operation.tool_calls.iter().filter(|call| call.started_at.is_none());
    let tools = tools.filter_map(|call| Some((Part::Tool(call.name.clone()), call.duration?)));
    let llms = operation.llm_calls.iter().filter(|call| call.started_at.is_none());
    let llms = llms.filter_map(|call| Some((Part::Llm(call.model().into()), call.duration?)));
    tools.chain(llms).map(|(part, duration)| (part, nanos(duration), 1)).collect()
}

/// Made to fit into the time that is left, each by the same factor: they ran in parallel, or within one another.
fn squeezed(parts: &[(Part, u64, u64)], left: &mut u64) -> Vec<(Part, u64, u64)> {
    let wanted: u128 = parts.iter().map(|(_, nanos, _)| u128::from(*nanos)).sum();
    let room = u128::from(*left);
    let fit = |nanos: u64| {
        let wide = u128::from(nanos);
        if wanted <= room { nanos } else { u64::try_from(wide * room / wanted).unwrap_or(nanos) }
    };
    let parts: Vec<_> =
        parts.iter().map(|(part, nanos, runs)| (part.clone(), fit(*nanos), *runs)).collect();
    *left -= parts.iter().map(|(_, nanos, _)| nanos).sum::<u64>().min(*left);
    parts
}

/// Two clocks are read for a call and its component; they agree to this part of a second.
const SLACK_NANOS: u64 = 100_000;

/// Puts each part into the shortest component or operation in which it lies.
///
/// A call holds nothing, and a component holds none of its own name: those run in parallel.
fn nested(mut parts: Vec<Node>) -> Vec<Node> {
    parts.sort_by_key(|part| (Reverse(part.end - part.start), part.start, part.part.clone()));
    let mut roots: Vec<Node> = Vec::new();
    for part in parts {
        put(&mut roots, part);
    }
    roots
}

/// What came before is longer, or as long.
fn put(into: &mut Vec<Node>, mut part: Node) {
    let holds = |outer: &Node| {
        let fits = part.start.saturating_add(SLACK_NANOS) >= outer.start
            && part.end <= outer.end.saturating_add(SLACK_NANOS);
        let can = matches!(outer.part, Part::Component(_) | Part::Operation(_));
        can && fits && outer.part != part.part && part.end > outer.start && part.start < outer.end
    };
    match into.iter().rposition(holds) {
        Some(at) => {
            clip(&mut part, into[at].start, into[at].end);
            put(&mut into[at].children, part);
        }
        None => into.push(part),
    }
}

fn clip(part: &mut Node, start: u64, end: u64) {
    part.start = part.start.clamp(start, end);
    part.end = part.end.clamp(part.start, end);
    for child in &mut part.children {
        clip(child, part.start, part.end);
    }
}

/// Follows the critical path of a part from `until` back to its start, and tells what every stretch belongs to.
fn walk(node: &Node, until: u64, tell: &mut impl FnMut(&Part, u64)) {
    let mut cursor = until;
    loop {
        let running = node.children.iter().filter(|child| child.start < cursor);
        let last = running.max_by_key(|child| (child.end.min(cursor), Reverse(child.start)));
        let Some(last) = last else { break };
        let end = last.end.min(cursor);
        tell(&node.part, cursor - end);
        walk(last, end, tell);
        cursor = last.start;
    }
    tell(&node.part, cursor.saturating_sub(node.start));
}

/// What of each part is not covered by what runs within it.
fn add_selves(node: &Node, parts: &mut BTreeMap<Part, Times>) {
    let mut covered = 0;
    let mut until = node.start;
    let mut children: Vec<_> = node.children.iter().collect();
    children.sort_by_key(|child| child.start);
    for child in children {
        covered += child.end.saturating_sub(child.start.max(until));
        until = until.max(child.end);
        add_selves(child, parts);
    }
    let times = times(parts, &node.part);
    times.runs += node.runs;
    times.own += u128::from(node.end - node.start - covered);
}

/// The most of one part that ran at one time.
fn add_parallels(root: &Node, parts: &mut BTreeMap<Part, Times>) {
    let mut edges = BTreeMap::<&Part, Vec<(u64, i64)>>::new();
    collect_edges(root, &mut edges);
    for (part, mut edges) in edges {
        // At one moment, ends come before beginnings.
        edges.sort_unstable();
        let (mut running, mut most) = (0, 0);
        for (_, step) in edges {
            running += step;
            most = most.max(running);
        }
        let times = times(parts, part);
        times.most_parallel = times.most_parallel.max(u64::try_from(most).unwrap_or_default());
    }
}

fn collect_edges<'a>(node: &'a Node, edges: &mut BTreeMap<&'a Part, Vec<(u64, i64)>>) {
    // What took no time a clock could see still ran.
    let own = edges.entry(&node.part).or_default();
    own.extend([(node.start, 1), (node.end.max(node.start.saturating_add(1)), -1)]);
    for child in &node.children {
        collect_edges(child, edges);
    }
}

fn nanos(duration: Duration) -> u64 {
    // Sums of two must fit, too.
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX).min(u64::MAX / 4)
}

fn offset(operation: &OperationRecord, at: DateTime<Utc>) -> u64 {
    let since = at.signed_duration_since(operation.started_at);
    since.num_nanoseconds().map_or(0, |nanos| u64::try_from(nanos).unwrap_or_default())
}
