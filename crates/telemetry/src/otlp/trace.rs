//! From the spans of one trace to the records of its operations.

use std::time::Duration;

use chrono::{DateTime, Utc};
use smallvec::{SmallVec, smallvec};
use taximeter_models::{
    ComponentTiming, ErrorRecord, LlmCall, Name, OperationId, OperationRecord, Outcome, SpanId,
    ToolCall, ToolStatus, TraceId,
};

use super::ids::operation_id;
use super::keys;
use super::role::{Convention, Role};
use super::span::{Source, Span, instant};
use super::tree::{Counts, NONE, Tree};
use crate::own::{self, MoreOfOperation, MoreOfToolCall};

/// What is remembered of a span that was counted, to know it again and to place what comes later.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ghost {
    pub(super) id: u64,
    pub(super) parent: u64,
    pub(super) role: Role,
    /// Whether it tells a usage that was counted.
    pub(super) counted: bool,
    /// The operation to which it belongs.
    pub(super) operation: OperationId,
}

/// The spans of a trace that were counted; of most there is one.
pub(crate) type Ghosts = SmallVec<[Ghost; 1]>;

/// What became of the spans of a trace.
#[derive(Debug, Default)]
pub(crate) struct Closed {
    pub(crate) ghosts: Ghosts,
    /// Calls that are parts of other calls.
    pub(crate) nested: u64,
    /// Calls that another trace has too.
    pub(super) elsewhere: u64,
    /// Spans that have nothing to do with LLMs, nor lies anything within them that has.
    pub(super) unrelated: u64,
}

/// The most components of an operation that are kept apart; further ones are added to one of their name, or left out.
const MOST_COMPONENTS: usize = 256;

/// Makes records of the spans of one trace. `is_elsewhere` says of a call whether another trace has it. What is to be
/// remembered of them is given back, unless no more of the trace can come.
pub(crate) fn close(
    mut spans: Vec<Span>,
    before: &[Ghost],
    mut is_elsewhere: impl FnMut(&Span) -> bool,
    records: &mut Vec<OperationRecord>,
    may_go_on: bool,
) -> Closed {
    spans.iter_mut().for_each(Span::complete);
    // Most clients without an agent send traces of one span, which has no tree.
    if let ([span], []) = (spans.as_slice(), before) {
        let elsewhere = span.role == Role::Call && is_elsewhere(span);
        return alone(&mut spans, elsewhere, records);
    }
    // The same spans give the same records, in whatever order they came.
    spans.sort_unstable_by_key(|span| (span.start, span.id));
    let mut tree = Tree::of(&spans, before);
    let mut closed = Closed::default();
    drop_what_is_elsewhere(&mut tree, &spans, &mut is_elsewhere, &mut closed);
    tree.find_relevant();
    let count = spans.len();
    let ids: Vec<_> = (0..tree.nodes.len())
        .map(|at| match tree.nodes[at].operation {
            owner if owner < count => id_of(&spans[owner]),
            owner => before[owner - count].operation,
        })
        .collect();
    // Where the record of an operation stands among the records.
    let mut places = vec![NONE; count];
    for &at in &tree.order {
        let node = &tree.nodes[at];
        if at < count && node.operation == at && node.relevant {
            places[at] = records.len();
            let late = node.up != NONE && tree.nodes[node.up].ghost;
            let parent = (node.up != NONE).then(|| ids[node.up]);
            records.push(operation(&spans[at], ids[at], parent, late));
        }
    }
    if may_go_on {
        remember(&tree, &spans, &ids, before, &mut closed);
    }
    // Parts stand in the order in which they ended.
    let mut by_end: Vec<_> = (0..count).collect();
    by_end.sort_by_key(|&at| spans[at].end);
    for at in by_end {
        let node = &tree.nodes[at];
        match places.get(node.operation).and_then(|&at| records.get_mut(at)) {
            Some(record) => add_part(record, &tree, &mut spans, at),
            None => closed.unrelated += u64::from(node.role == Role::Other),
        }
    }
    closed
}

fn id_of(span: &Span) -> OperationId {
    let own = span.own.as_ref().and_then(|own| own.id);
    own.unwrap_or_else(|| operation_id(span.trace, span.id, span.start))
}

/// The trace of one span: the operation and its only part are the same.
fn alone(spans: &mut [Span], elsewhere: bool, records: &mut Vec<OperationRecord>) -> Closed {
    let span = &spans[0];
    let id = id_of(span);
    let counted = span.usage().is_some() && !elsewhere;
    let ghost = Ghost { id: span.id, parent: span.parent, role: span.role, counted, operation: id };
    let mut closed = Closed { ghosts: smallvec![ghost], ..Closed::default() };
    if span.role == Role::Other || elsewhere {
        closed.unrelated = u64::from(!elsewhere);
        closed.elsewhere = u64::from(elsewhere);
        return closed;
    }
    let mut record = operation(span, id, None, false);
    if span.role == Role::Tool {
        record.tool_calls.push(tool_call(span));
    } else {
        let counts = if span.role == Role::Call { Counts::Own } else { Counts::Grouping };
        add_call(&mut record, spans, 0, counts);
    }
    records.push(record);
    closed
}

fn drop_what_is_elsewhere(
    tree: &mut Tree,
    spans: &[Span],
    is_elsewhere: &mut impl FnMut(&Span) -> bool,
    closed: &mut Closed,
) {
    for (node, span) in tree.nodes.iter_mut().zip(spans) {
        closed.nested += u64::from(node.role == Role::Call && node.merged);
        if node.role == Role::Call && node.counts.is_some() && is_elsewhere(span) {
            node.counts = None;
            node.merged = true;
            closed.elsewhere += 1;
        }
    }
}

/// What is to be known of these spans, and of those before, when more of their trace comes.
fn remember(
    tree: &Tree,
    spans: &[Span],
    ids: &[OperationId],
    before: &[Ghost],
    closed: &mut Closed,
) {
    closed.ghosts.reserve_exact(before.len() + spans.len());
    closed.ghosts.extend(before.iter().copied());
    closed.ghosts.extend(spans.iter().enumerate().map(|(at, span)| {
        let node = &tree.nodes[at];
        let told = |counts| match counts {
            Counts::Own | Counts::Grouping => span.usage().is_some(),
            Counts::Inner(_) => true,
        };
        Ghost {
            id: span.id,
            parent: span.parent,
            role: node.role,
            counted: node.counts.is_some_and(told),
            operation: ids[at],
        }
    }));
}

fn add_part(record: &mut OperationRecord, tree: &Tree, spans: &mut [Span], at: usize) {
    let node = &tree.nodes[at];
    if record.user.is_none() {
        record.user.clone_from(&spans[at].user);
    }
    if record.session.is_none() {
        record.session.clone_from(&spans[at].session);
    }
    match node.role {
        Role::Tool if !node.merged => record.tool_calls.push(tool_call(&spans[at])),
        Role::Call | Role::Agent | Role::Step => {
            if let Some(counts) = node.counts {
                add_call(record, spans, at, counts);
            }
        }
        _ => {}
    }
    let is_component = matches!(node.role, Role::Step | Role::Other)
        && node.up == node.operation
        && matches!(tree.nodes[node.up].role, Role::Agent | Role::Step | Role::Other)
        && node.operation != at;
    if is_component {
        let (began, span) = (tree.nodes[at].operation, &spans[at]);
        let start = spans.get(began).map_or(span.start, |operation| operation.start);
        component(record, span, start);
    }
}

/// The record of an operation, without its parts.
fn operation(
    span: &Span,
    id: OperationId,
    parent: Option<OperationId>,
    late: bool,
) -> OperationRecord {
    let own = span.own.as_deref().filter(|own| own.id.is_some());
    let name = own.and_then(|own| own.name.clone());
    let mut record = OperationRecord::new(name.unwrap_or_else(|| span.name.clone()));
    record.id = id;
    record.parent = parent;
    if span.parent != 0 && parent.is_none() {
        record.remote_parent = Some(SpanId::from_bits(span.parent));
    }
    record.trace_id = TraceId::from_bits(span.trace);
    record.started_at = instant(span.start).unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    record.duration = lasted(span);
    record.user.clone_from(&span.user);
    record.session.clone_from(&span.session);
    if let Some(error) = &span.error {
        record.outcome = Outcome::Failure;
        record.errors.push(ErrorRecord::clone(error));
    }
    span.resource.put_on(&mut record);
    let metadata = &mut record.metadata;
    if let Some(convention) = span.notes.convention.filter(|told| *told != Convention::GenAi) {
        metadata.insert(keys::CONVENTION.into(), convention.as_str().into());
    }
    if !span.scope.name.is_empty() {
        metadata.insert(keys::SCOPE.into(), span.scope.name.as_str().into());
    }
    if let Some(agent) = span.own.as_ref().and_then(|own| own.agent.as_deref()) {
        metadata.insert(keys::AGENT.into(), agent.into());
    }
    if span.notes.attributes_skipped > 0 {
        metadata.insert(keys::ATTRIBUTES_SKIPPED.into(), span.notes.attributes_skipped.into());
    }
    if span.notes.ends_before_start {
        metadata.insert(keys::ENDS_BEFORE_START.into(), true.into());
    }
    if own.is_some() {
        let more = own.and_then(|own| own::read::<MoreOfOperation>(own.more.as_deref()));
        more.unwrap_or_default().put_into(&mut record);
    }
    if late {
        record.metadata.insert(keys::LATE.into(), true.into());
    }
    record
}

fn lasted(span: &Span) -> Duration {
    Duration::from_nanos(span.end - span.start)
}

fn tool_call(span: &Span) -> ToolCall {
    let status = span
        .error
        .as_ref()
        .map_or(ToolStatus::Success, |error| ToolStatus::of_error(error.category));
    let tool = span.tool.as_deref();
    let name = tool.map_or_else(|| span.name.clone(), |tool| tool.name.clone());
    let mut call = ToolCall::new(name, status);
    call.started_at = instant(span.start);
    // A log record tells its length by itself, and may not know it.
    call.duration = (span.source == Source::Span || span.end > span.start).then(|| lasted(span));
    call.error = span.error.as_deref().cloned();
    let more = span.own.as_ref().and_then(|own| own::read::<MoreOfToolCall>(own.more.as_deref()));
    if let Some(more) = more {
        more.put_into(&mut call);
    } else if let Some(tool) = tool {
        call.attempt = tool.attempt;
        if let Some(id) = &tool.call_id {
            call.metadata.insert(keys::TOOL_CALL_ID.into(), id.as_str().into());
        }
    }
    call
}

/// Adds the call of a span to its operation, with the usage from where it counts.
fn add_call(record: &mut OperationRecord, spans: &mut [Span], at: usize, counts: Counts) {
    let mut calls = std::mem::take(&mut spans[at].calls);
    let Some(call) = calls.first_mut() else { return };
    match counts {
        Counts::Own => {}
        Counts::Grouping => note(call, "agent"),
        Counts::Inner(inner) => {
            if let Some(inner) = spans.get_mut(inner).and_then(|span| span.calls.pop()) {
                merge(call, inner);
            }
        }
    }
    if spans[at].source == Source::Log {
        note(call, "log");
        call.duration = call.duration.filter(|duration| !duration.is_zero());
    }
    // What taximeter says of an error of its own is more exact than what the conventions can say.
    call.error = call.error.take().or_else(|| spans[at].error.as_deref().cloned());
    if record.llm_calls.is_empty() {
        record.llm_calls = calls;
    } else {
        record.llm_calls.append(&mut calls);
    }
}

fn note(call: &mut LlmCall, from: &str) {
    call.metadata.insert(keys::USAGE_FROM.into(), from.into());
}

/// Takes from the inner span of one call what the outer does not tell.
fn merge(call: &mut LlmCall, inner: LlmCall) {
    let finer = match (&call.usage, &inner.usage) {
        (None, Some(_)) => true,
        // The same sums in more buckets: the SDK of a provider knows how long a cache lives.
        (Some(outer), Some(inner)) => {
            outer.input_tokens() == inner.input_tokens()
                && outer.output_tokens() == inner.output_tokens()
                && inner.iter().count() > outer.iter().count()
        }
        _ => false,
    };
    if call.usage.is_none() && inner.usage.is_some() {
        call.cost = inner.cost;
        note(call, "inner_call");
    }
    if finer {
        call.usage = inner.usage;
    }
    let fill = |outer: &mut Option<Name>, inner: Option<Name>| {
        if outer.is_none() {
            *outer = inner;
        }
    };
    fill(&mut call.provider, inner.provider);
    fill(&mut call.request_model, inner.request_model);
    fill(&mut call.response_model, inner.response_model);
    fill(&mut call.finish_reason, inner.finish_reason);
    fill(&mut call.served_tier, inner.served_tier);
    call.streamed |= inner.streamed;
    for (key, value) in inner.metadata {
        call.metadata.entry(key).or_insert(value);
    }
}

fn component(record: &mut OperationRecord, span: &Span, operation_start: u64) {
    if record.components.len() >= MOST_COMPONENTS {
        if let Some(same) = record.components.iter_mut().find(|timing| timing.name == span.name) {
            same.duration = same.duration.saturating_add(lasted(span));
            same.count = same.count.saturating_add(1);
        }
        return;
    }
    record.components.push(ComponentTiming {
        name: span.name.clone(),
        offset: span.start.checked_sub(operation_start).map(Duration::from_nanos),
        duration: lasted(span),
        count: 1,
    });
    if let Some(error) = &span.error {
        record.errors.push(ErrorRecord::clone(error).within(&span.name));
    }
}
