//! The shape of a trace: who lies within whom, which spans are one call, and whose usage counts.
//!
//! The rules, which `docs/FORMATS.md` gives with their reasons:
//!
//! 1. An operation is what has no parent here, and each agent or workflow.
//! 2. Calls within a call, without a tool or an agent between, are one call: the outer one, if it tells its usage; else
//!    the inner one that does; else, where several do, each of those.
//! 3. The usage of an agent or a step counts where no call within tells its own, and then the outermost alone.
//! 4. A tool within a tool of the same name, or of the protocol by which it was reached, is one.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::role::Role;
use super::span::Span;
use super::trace::Ghost;

/// No node.
pub(super) const NONE: usize = usize::MAX;

/// One span of a trace, or one of those that were counted before.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says another thing, and all of them may be true"
)]
pub(super) struct Node {
    id: u64,
    parent: u64,
    pub(super) role: Role,
    /// Whether it tells a usage.
    usage: bool,
    /// Whether it was counted before: it gives shape to what came late, and nothing else.
    pub(super) ghost: bool,
    pub(super) up: usize,
    /// The operation to which it belongs; itself, if it is one.
    pub(super) operation: usize,
    /// The nearest call that it is a part of.
    call: usize,
    /// Where its usage is taken from, if it counts as a call.
    pub(super) counts: Option<Counts>,
    /// Whether it was merged into another one.
    pub(super) merged: bool,
    /// Whether a call that tells its usage lies within.
    usage_below: bool,
    /// Whether it or something within it has to do with LLMs.
    pub(super) relevant: bool,
}

/// From where a call takes its usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// From its own span.
    Own,
    /// From a call within it.
    Inner(usize),
    /// It is a call by its usage alone, for want of one within.
    Grouping,
}

/// The nodes of a trace, and their order from the outermost inwards.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) order: Vec<usize>,
}

impl Tree {
    /// The tree of these spans, and of those that were counted before.
    pub(super) fn of(spans: &[Span], ghosts: &[Ghost]) -> Self {
        let mut nodes: Vec<_> = spans
            .iter()
            .map(|span| Node::new(span.id, span.parent, span.role, span.usage().is_some(), false))
            .chain(
                ghosts.iter().map(|ghost| {
                    Node::new(ghost.id, ghost.parent, ghost.role, ghost.counted, true)
                }),
            )
            .collect();
        link(&mut nodes);
        let order = order(&mut nodes);
        let mut tree = Self { nodes, order };
        tree.find_operations();
        tree.find_tools(spans);
        tree.find_calls();
        tree.find_groupings();
        tree
    }

    /// Says for each node whether something that is kept lies within; asked when it is known which calls are.
    pub(super) fn find_relevant(&mut self) {
        for &at in self.order.iter().rev() {
            let node = &self.nodes[at];
            let itself = match node.role {
                Role::Call => node.counts.is_some(),
                Role::Tool => !node.merged,
                Role::Agent | Role::Step => true,
                Role::Other => false,
            };
            let relevant = !node.ghost && (itself || node.relevant);
            let up = node.up;
            self.nodes[at].relevant = relevant;
            if relevant && up != NONE {
                self.nodes[up].relevant = true;
            }
        }
    }

    fn find_operations(&mut self) {
        for position in 0..self.order.len() {
            let at = self.order[position];
            let up = self.nodes[at].up;
            let node = &self.nodes[at];
            // What came late to an operation that was given away already becomes one of its own, within it.
            let is_late = up != NONE && self.nodes[up].ghost && !node.ghost;
            let is_operation = up == NONE || node.role == Role::Agent || is_late;
            self.nodes[at].operation = if is_operation { at } else { self.nodes[up].operation };
            let call = match up {
                NONE => NONE,
                up => match self.nodes[up].role {
                    Role::Call => up,
                    Role::Tool | Role::Agent => NONE,
                    Role::Step | Role::Other => self.nodes[up].call,
                },
            };
            self.nodes[at].call = call;
        }
    }

    fn find_tools(&mut self, spans: &[Span]) {
        for position in 0..self.order.len() {
            let at = self.order[position];
            let Some(tool) = spans.get(at).and_then(|span| span.tool.as_ref()) else { continue };
            let mut up = self.nodes[at].up;
            while up != NONE && matches!(self.nodes[up].role, Role::Step | Role::Other) {
                up = self.nodes[up].up;
            }
            if up == NONE || self.nodes[up].role != Role::Tool {
                continue;
            }
            let same = match spans.get(up).and_then(|span| span.tool.as_ref()) {
                Some(outer) => tool.mcp || outer.name == tool.name,
                // Of a tool that was counted before, only the protocol tells that it is the same.
                None => tool.mcp,
            };
            self.nodes[at].merged = same;
        }
    }

    /// Rule 2, from the innermost outwards.
    fn find_calls(&mut self) {
        let nested = self.nodes.iter().any(|node| node.role == Role::Call && node.call != NONE);
        // For each call, those within it that would count if it did not.
        let mut within = HashMap::<usize, Vec<usize>, RandomState>::default();
        for position in (0..self.order.len()).rev() {
            let at = self.order[position];
            if self.nodes[at].role != Role::Call {
                continue;
            }
            let inner = if nested { within.remove(&at).unwrap_or_default() } else { Vec::new() };
            let counting = self.resolve(at, inner);
            let outer = self.nodes[at].call;
            if outer != NONE {
                within.entry(outer).or_default().extend(counting);
            }
        }
    }

    /// Which calls stand for this one and those within it; the others are merged.
    fn resolve(&mut self, at: usize, inner: Vec<usize>) -> Vec<usize> {
        let telling: Vec<_> = inner.iter().copied().filter(|&at| self.nodes[at].usage).collect();
        if self.nodes[at].ghost && !self.nodes[at].usage {
            // It was given away without a usage; what tells it now is all there is.
            return inner;
        }
        if self.nodes[at].usage || telling.len() < 2 {
            for &inner in &inner {
                self.nodes[inner].counts = None;
                self.nodes[inner].merged = true;
            }
            self.nodes[at].counts = match telling.first() {
                // It was counted when it came, and this is its outside.
                _ if telling.iter().any(|&at| self.nodes[at].ghost) => None,
                Some(&inner) => Some(Counts::Inner(inner)),
                None => Some(Counts::Own),
            };
            self.nodes[at].merged = self.nodes[at].counts.is_none();
            self.nodes[at].usage |= !telling.is_empty();
            return vec![at];
        }
        // Several calls within one that tells nothing: it is what they have in common, and no call.
        for &inner in inner.iter().filter(|inner| !telling.contains(inner)) {
            self.nodes[inner].counts = None;
            self.nodes[inner].merged = true;
        }
        self.nodes[at].role = Role::Step;
        telling
    }

    /// Rule 3.
    fn find_groupings(&mut self) {
        for &at in self.order.iter().rev() {
            let node = &self.nodes[at];
            let tells = node.usage && (node.ghost || node.role == Role::Call);
            let (below, up) = (tells || node.usage_below, node.up);
            self.nodes[at].usage_below = below;
            if below && up != NONE {
                self.nodes[up].usage_below = true;
            }
        }
        let mut taken = vec![false; self.nodes.len()];
        for &at in &self.order {
            let node = &self.nodes[at];
            let above = node.up != NONE && taken[node.up];
            let groups = matches!(node.role, Role::Agent | Role::Step) && node.usage && !node.ghost;
            let counts = groups && !above && !node.usage_below;
            taken[at] = above || counts;
            if counts {
                self.nodes[at].counts = Some(Counts::Grouping);
            }
        }
    }
}

impl Node {
    fn new(id: u64, parent: u64, role: Role, usage: bool, ghost: bool) -> Self {
        Self {
            id,
            parent,
            role,
            usage,
            ghost,
            up: NONE,
            operation: NONE,
            call: NONE,
            counts: None,
            merged: false,
            usage_below: false,
            relevant: false,
        }
    }
}

/// Finds each node's parent.
fn link(nodes: &mut [Node]) {
    const FEW: usize = 16;
    let ups: Vec<_> = if nodes.len() <= FEW {
        let find = |id| nodes.iter().position(|node| node.id == id);
        nodes.iter().map(|node| find(node.parent).unwrap_or(NONE)).collect()
    } else {
        let ids: HashMap<u64, usize, RandomState> =
            nodes.iter().enumerate().map(|(at, node)| (node.id, at)).collect();
        nodes.iter().map(|node| ids.get(&node.parent).copied().unwrap_or(NONE)).collect()
    };
    for (node, up) in nodes.iter_mut().zip(ups) {
        node.up = up;
    }
}

/// The nodes, each after its parent.
fn order(nodes: &mut [Node]) -> Vec<usize> {
    const UNKNOWN: usize = usize::MAX;
    const ON_THE_WAY: usize = usize::MAX - 1;
    let mut depths = vec![UNKNOWN; nodes.len()];
    let mut way = Vec::new();
    for start in 0..nodes.len() {
        let mut at = start;
        while at != NONE && depths[at] == UNKNOWN {
            depths[at] = ON_THE_WAY;
            way.push(at);
            at = nodes[at].up;
            if at != NONE && depths[at] == ON_THE_WAY {
                open_circle(nodes, at);
                way.drain(..).for_each(|at| depths[at] = UNKNOWN);
                at = start;
            }
        }
        let mut depth = if at == NONE { 0 } else { depths[at] + 1 };
        while let Some(at) = way.pop() {
            depths[at] = depth;
            depth += 1;
        }
    }
    let mut order: Vec<_> = (0..nodes.len()).collect();
    order.sort_by_key(|&at| depths[at]);
    order
}

/// A circle of parents, which only a broken sender makes, is opened where it is the same however it came: before the
/// node with the smallest id.
fn open_circle(nodes: &mut [Node], on: usize) {
    let around = std::iter::successors(Some(nodes[on].up), |&at| (at != on).then(|| nodes[at].up));
    if let Some(first) = around.min_by_key(|&at| nodes[at].id) {
        nodes[first].up = NONE;
    }
}
