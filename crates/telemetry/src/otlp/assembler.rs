//! Spans of many traces, in any order and from many requests, held until their trace is whole enough to be read.

mod claims;
mod held;

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use foldhash::fast::RandomState;
use taximeter_models::OperationRecord;

use self::claims::Claims;
use self::held::{Held, Insert};
use super::journal::{Closed, Done, Marked};
use super::role::{Convention, Role};
use super::span::{Source, Span};
use super::trace::{Ghosts, close};
use super::usage_metrics::{Increment, UsageMetrics};

/// When a trace is whole enough, and how much is held until then.
///
/// A trace whose root has come is closed `settle` after its last span; one whose root has not, `wait` after it; every
/// trace `most_age` after its first span. Beyond the bounds the oldest traces are closed early, which is counted, when
/// records are taken the next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Window {
    /// How long after its last span a trace with its root is closed. Default 10 s: most clients send every 5 s.
    pub settle: Duration,
    /// How long after its last span a trace without its root is closed. Default 60 s.
    pub wait: Duration,
    /// How long after its first span a trace is closed in any case. Default 10 min.
    pub most_age: Duration,
    /// How many spans are held at most. Default 100,000.
    pub most_spans: usize,
    /// About how many bytes the held spans take at most. Default 128 MiB.
    pub most_bytes: usize,
    /// How many spans of closed traces are remembered at most, and half as many at least, to know duplicates and late ones.
    /// Each takes about a hundred bytes. Default 400,000.
    pub remembered: usize,
    /// How long metrics are held to see whether their sender sends spans too. Default 30 s.
    pub metrics: Duration,
}

impl Default for Window {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(10),
            wait: Duration::from_secs(60),
            most_age: Duration::from_secs(600),
            most_spans: 100_000,
            most_bytes: 128 << 20,
            remembered: 400_000,
            metrics: Duration::from_secs(30),
        }
    }
}

/// What was done with all that came. Nothing is lost without being counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Spans that were taken.
    pub spans: u64,
    /// Spans, records and points that were refused: spans because of their ids, all of them where too many came at once.
    pub rejected: u64,
    /// Spans that came again.
    pub duplicate_spans: u64,
    /// Log records that stand for a call.
    pub logs: u64,
    /// Log records that repeat a span, or came again.
    pub duplicate_logs: u64,
    /// Calls that are parts of another call, and were counted with it.
    pub nested_calls: u64,
    /// Calls that another trace has too, and were counted there.
    pub calls_elsewhere: u64,
    /// Spans that have nothing to do with LLMs.
    pub unrelated_spans: u64,
    /// Spans that came after their trace was closed.
    pub late_spans: u64,
    /// Traces that were closed before their time because there were too many.
    pub closed_early: u64,
    /// Points of metrics that were counted.
    pub points: u64,
    /// Points of metrics that tell of calls that came as spans or logs too.
    pub points_beside_spans: u64,
    /// Points of metrics that were dropped because too many waited.
    pub points_dropped: u64,
    /// Points of metrics whose part before the first point is not known.
    pub baseline_points: u64,
    /// Records that were made.
    pub records: u64,
}

/// What is held until its trace is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Waiting {
    /// Traces.
    pub traces: u64,
    /// Their spans.
    pub spans: u64,
    /// About how many bytes these take.
    pub bytes: u64,
}

/// How many sessions are remembered to send spans.
const MOST_SENDERS: usize = 100_000;

/// Holds spans until their trace is whole enough, and makes records of them.
///
/// It knows no clock: time is an argument, and only ever moves things on.
#[derive(Debug)]
pub(crate) struct Assembler {
    window: Window,
    /// A table out of which as many go as come is much larger than what is in it, so what is in it is small.
    open: HashMap<u128, Box<Held>, RandomState>,
    /// The traces in the order in which they were opened. What is asked of all that are open is asked of these first: they
    /// lie side by side.
    by_age: VecDeque<Opened>,
    spans: usize,
    bytes: usize,
    closed: Memory,
    claims: Claims,
    metrics: UsageMetrics,
    /// Sessions of Claude Code that send spans.
    sends_spans: HashSet<u64, RandomState>,
    /// The mark of the request that is being put in.
    mark: u64,
    /// Traces that an earlier one closed.
    done: Done,
    /// The only traces that are taken in, where not all are.
    only: Option<Done>,
    /// Records of traces that were closed, on their way out.
    ready: Vec<OperationRecord>,
    /// The traces that were closed since the last time that somebody asked.
    ended: Vec<Closed>,
    counts: Counts,
}

/// A trace that was opened, and may be closed by now.
#[derive(Debug, Clone, Copy)]
struct Opened {
    trace: u128,
    at: DateTime<Utc>,
    /// The mark of the request that had its first span.
    mark: u64,
}

impl Assembler {
    pub(crate) fn new(window: Window, began: DateTime<Utc>) -> Self {
        Self {
            window,
            open: HashMap::default(),
            by_age: VecDeque::new(),
            spans: 0,
            bytes: 0,
            closed: Memory::default(),
            claims: Claims::default(),
            metrics: UsageMetrics::new(began),
            sends_spans: HashSet::default(),
            mark: 0,
            done: Done::default(),
            only: None,
            ready: Vec::new(),
            ended: Vec::new(),
            counts: Counts::default(),
        }
    }

    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn count_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    pub(crate) fn waiting(&self) -> Waiting {
        let count = |number: usize| number as u64;
        let (traces, spans) = (count(self.open.len()), count(self.spans));
        Waiting { traces, spans, bytes: count(self.bytes) }
    }

    /// About how many spans are held beyond the bounds: they wait to be taken as records, which are several times as large.
    pub(crate) fn beyond(&self) -> usize {
        let bytes = self.bytes.saturating_sub(self.window.most_bytes);
        let each = self.bytes.checked_div(self.spans).unwrap_or(0).max(1);
        self.spans.saturating_sub(self.window.most_spans).max(bytes / each)
    }

    /// What is pushed from now on came with the request of this mark.
    pub(crate) fn mark(&mut self, mark: u64) {
        self.mark = mark;
    }

    /// Traces whose records are stored.
    pub(crate) fn done(&mut self, closed: impl IntoIterator<Item = Closed>) {
        for one in closed {
            self.done.add(one);
            self.closed.remember(one.trace, Ghosts::default(), self.window.remembered);
        }
    }

    /// Only these traces are taken in from now on, up to their marks.
    pub(crate) fn only(&mut self, closed: impl IntoIterator<Item = Closed>) {
        let mut only = Done::default();
        closed.into_iter().for_each(|one| only.add(one));
        self.only = Some(only);
    }

    /// Takes a span in.
    pub(crate) fn push(&mut self, span: Span, now: DateTime<Utc>) {
        if self.only.as_ref().is_some_and(|only| !only.has(span.trace, self.mark)) {
            return;
        }
        let is_span = span.source == Source::Span;
        *(if is_span { &mut self.counts.spans } else { &mut self.counts.logs }) += 1;
        if is_span && span.notes.convention == Some(Convention::ClaudeCode) {
            if self.sends_spans.len() >= MOST_SENDERS {
                self.sends_spans.clear();
            }
            self.sends_spans.insert(span.sender());
        }
        if matches!(span.role, Role::Call | Role::Agent) {
            self.metrics.sends_calls(span.sender());
        }
        if self.closed.has(span.trace, span.id) {
            self.duplicate(is_span);
            return;
        }
        if self.done.has(span.trace, self.mark) {
            // Another trace may tell of the same call.
            self.claims.is_elsewhere(&span);
            self.duplicate(is_span);
            return;
        }
        let (trace, mark) = (span.trace, self.mark);
        let (size, by_age, bytes) = (span.size(), &mut self.by_age, &mut self.bytes);
        let held = self.open.entry(trace).or_insert_with(|| {
            by_age.push_back(Opened { trace, at: now, mark });
            *bytes += Held::BYTES;
            Box::new(Held::new(now, mark))
        });
        held.mark = held.mark.max(mark);
        match held.insert(span, size, now) {
            Insert::New(span) => {
                self.spans += 1;
                self.bytes += size;
                self.counts.late_spans += u64::from(self.closed.knows(trace));
                self.claims.expect(span);
            }
            Insert::Replaced(span, old) => {
                self.bytes = self.bytes + size - old.min(self.bytes);
                self.claims.expect(span);
                self.duplicate(false);
            }
            Insert::Duplicate => self.duplicate(is_span),
        }
        self.forget_order_of_closed();
    }

    fn duplicate(&mut self, is_span: bool) {
        *(if is_span {
            &mut self.counts.duplicate_spans
        } else {
            &mut self.counts.duplicate_logs
        }) += 1;
    }

    /// Takes a point of a metric in.
    pub(crate) fn push_point(&mut self, increment: Increment, now: DateTime<Utc>) {
        if self.only.is_some() {
            return;
        }
        self.metrics.push(increment, now, self.mark, &mut self.counts);
    }

    /// The records of all traces that are whole enough by now.
    pub(crate) fn take(&mut self, now: DateTime<Utc>) -> Vec<OperationRecord> {
        self.close_some(now, usize::MAX);
        self.with_metrics(now)
    }

    /// The records of about so many spans at most, with the traces that were closed and from where on a journal is still
    /// needed.
    pub(crate) fn take_marked(&mut self, now: DateTime<Utc>, most: usize) -> Marked {
        let more = self.close_some(now, most);
        let records = self.with_metrics(now);
        // The first of these is open. One that is closed and not the first may keep a request a little longer.
        let open = self.by_age.iter().map(|opened| opened.mark);
        let oldest = open.chain(self.metrics.oldest_mark()).min();
        Marked { records, closed: std::mem::take(&mut self.ended), oldest, more }
    }

    /// Closes the traces that are whole by now, and then the oldest while there are too many, until so many spans are
    /// closed; whether there is more to close.
    fn close_some(&mut self, now: DateTime<Utc>, most: usize) -> bool {
        let enough = self.spans.saturating_sub(most);
        for trace in self.whole(now) {
            if self.spans <= enough {
                return true;
            }
            self.close(trace);
        }
        while self.spans > self.window.most_spans || self.bytes > self.window.most_bytes {
            if self.spans <= enough {
                return true;
            }
            let Some(oldest) = self.by_age.pop_front() else { return false };
            if is_open(&self.open, &oldest) {
                self.counts.closed_early += 1;
                self.close(oldest.trace);
            }
        }
        false
    }

    /// The traces that are whole by now, in the order of their ids.
    fn whole(&self, now: DateTime<Utc>) -> Vec<u128> {
        let Window { settle, wait, most_age, .. } = self.window;
        // None is that was opened later.
        let latest = before(now, settle.min(wait).min(most_age));
        let may_be = self.by_age.iter().filter(|opened| opened.at <= latest);
        let is_whole = |opened: &&Opened| {
            let held = self.open.get(&opened.trace);
            held.is_some_and(|held| held.is_whole(&self.window, now))
        };
        let mut whole: Vec<_> = may_be.filter(is_whole).map(|opened| opened.trace).collect();
        whole.sort_unstable();
        whole
    }

    fn with_metrics(&mut self, now: DateTime<Utc>) -> Vec<OperationRecord> {
        let held_since = before(now, self.window.metrics);
        let metrics = self.metrics.take(held_since, &mut self.counts);
        self.give_away(metrics)
    }

    /// The records of all that is held, whole or not.
    pub(crate) fn finish(&mut self) -> Vec<OperationRecord> {
        let mut all: Vec<_> = self.open.keys().copied().collect();
        all.sort_unstable();
        for trace in all {
            self.close(trace);
        }
        let metrics = self.metrics.take(DateTime::<Utc>::MAX_UTC, &mut self.counts);
        self.give_away(metrics)
    }

    fn give_away(&mut self, metrics: Vec<OperationRecord>) -> Vec<OperationRecord> {
        self.counts.records += metrics.len() as u64;
        // Of what is closed and gone, the order still has an entry; those in front go now.
        while self.by_age.front().is_some_and(|opened| !is_open(&self.open, opened)) {
            self.by_age.pop_front();
        }
        let mut records = std::mem::take(&mut self.ready);
        records.extend(metrics);
        records
    }

    /// Traces that were closed in time leave entries behind; they go before they outgrow those that are open.
    fn forget_order_of_closed(&mut self) {
        if self.by_age.len() > 2 * self.open.len() + 1_024 {
            self.by_age.retain(|opened| is_open(&self.open, opened));
        }
    }

    fn close(&mut self, trace: u128) {
        let Some(mut held) = self.open.remove(&trace) else { return };
        // Without a journal nobody asks for it.
        if held.mark > 0 {
            self.ended.push(Closed { trace, mark: held.mark });
        }
        self.spans -= held.spans.len();
        self.bytes -= held.bytes.min(self.bytes);
        for span in &held.spans {
            self.claims.no_longer_expect(span);
        }
        self.drop_logs_beside_spans(&mut held.spans);
        let before = self.closed.take(trace);
        let claims = &mut self.claims;
        let records = self.ready.len();
        let is_elsewhere = |span: &Span| span.response != 0 && claims.is_elsewhere(span);
        let closed = close(held.spans, &before, is_elsewhere, &mut self.ready, true);
        self.counts.nested_calls += closed.nested;
        self.counts.calls_elsewhere += closed.elsewhere;
        self.counts.unrelated_spans += closed.unrelated;
        self.counts.records += (self.ready.len() - records) as u64;
        self.closed.remember(trace, closed.ghosts, self.window.remembered);
    }

    /// A session of Claude Code that sends spans tells of the same calls by its events.
    fn drop_logs_beside_spans(&mut self, spans: &mut Vec<Span>) {
        let count = spans.len();
        let senders = &self.sends_spans;
        spans.retain(|span| {
            span.source == Source::Span
                || span.notes.convention != Some(Convention::ClaudeCode)
                || !senders.contains(&span.sender())
        });
        self.counts.duplicate_logs += (count - spans.len()) as u64;
    }
}

/// Whether a trace is open since then: it may have been closed, and come again.
fn is_open(open: &HashMap<u128, Box<Held>, RandomState>, opened: &Opened) -> bool {
    open.get(&opened.trace).is_some_and(|held| held.opened == opened.at)
}

/// The instant so long before another.
fn before(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|duration| now.checked_sub_signed(duration))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The spans of closed traces, in two generations: when the younger one is full, the older one is forgotten.
#[derive(Debug, Default)]
struct Memory {
    young: Generation,
    old: Generation,
}

#[derive(Debug, Default)]
struct Generation {
    traces: HashMap<u128, Ghosts, RandomState>,
    /// How many spans they have; a trace of which none is told counts as one.
    spans: usize,
}

impl Memory {
    fn of(&self, trace: u128) -> Option<&Ghosts> {
        self.young.traces.get(&trace).or_else(|| self.old.traces.get(&trace))
    }

    fn knows(&self, trace: u128) -> bool {
        self.of(trace).is_some()
    }

    fn has(&self, trace: u128, span: u64) -> bool {
        let ghosts = self.of(trace);
        ghosts.is_some_and(|ghosts| ghosts.binary_search_by_key(&span, |ghost| ghost.id).is_ok())
    }

    fn take(&mut self, trace: u128) -> Ghosts {
        self.young.take(trace).or_else(|| self.old.take(trace)).unwrap_or_default()
    }

    fn remember(&mut self, trace: u128, mut ghosts: Ghosts, most: usize) {
        let (spans, most) = (ghosts.len().max(1), most / 2);
        if spans > most {
            return;
        }
        if self.young.spans + spans > most {
            self.old = std::mem::take(&mut self.young);
        }
        ghosts.sort_unstable_by_key(|ghost| ghost.id);
        self.take(trace);
        self.young.spans += spans;
        self.young.traces.insert(trace, ghosts);
    }
}

impl Generation {
    fn take(&mut self, trace: u128) -> Option<Ghosts> {
        let ghosts = self.traces.remove(&trace)?;
        self.spans -= ghosts.len().max(1);
        Some(ghosts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::role::Role;
    use crate::otlp::trace::Ghost;
    use taximeter_models::OperationId;

    #[test]
    fn what_is_remembered_of_closed_traces_is_bounded_and_its_tables_do_not_grow() {
        let ghost = |id| Ghost {
            id,
            parent: 0,
            role: Role::Call,
            counted: true,
            operation: OperationId::from_bits(u128::from(id)),
        };
        let mut memory = Memory::default();
        for trace in 1..=20_000_u64 {
            memory.remember(u128::from(trace), Ghosts::from([ghost(trace)]), 1_000);
            let kept = memory.young.traces.len() + memory.old.traces.len();
            assert!(kept <= 1_000 && (kept >= 500 || trace < 500), "{kept} of {trace}");
        }
        let room = memory.young.traces.capacity() + memory.old.traces.capacity();
        assert!(room <= 2 * 1_000, "{room}");
        assert!(memory.has(20_000, 20_000) && memory.knows(19_501) && !memory.knows(19_000));
        // One that comes again is there once; one that is larger than all there may be is not kept.
        memory.remember(20_000, Ghosts::from([ghost(1), ghost(2)].as_slice()), 1_000);
        assert!(memory.has(20_000, 2) && !memory.has(20_000, 20_000));
        memory.remember(7, (0..501).map(ghost).collect(), 1_000);
        assert!(!memory.knows(7));
    }
}
