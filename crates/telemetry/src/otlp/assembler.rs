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
/// trace `most_age` after its first span. Beyond the bounds the oldest traces are closed early, which is counted.
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
    /// How many spans of closed traces are remembered, to know duplicates and late ones. Each takes 48 bytes. Default
    /// 500,000.
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
            remembered: 500_000,
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
    open: HashMap<u128, Held, RandomState>,
    /// The traces in the order in which they were opened, with that time.
    by_age: VecDeque<(DateTime<Utc>, u128)>,
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
    /// Records of traces that were closed early.
    ready: Vec<OperationRecord>,
    /// The traces that were closed since the last time that somebody asked.
    ended: Vec<Closed>,
    counts: Counts,
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

    /// How many records wait to be taken.
    pub(crate) const fn ready(&self) -> usize {
        self.ready.len()
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
        let (size, by_age) = (span.size(), &mut self.by_age);
        let held = self.open.entry(trace).or_insert_with(|| {
            by_age.push_back((now, trace));
            Held::new(now, mark)
        });
        held.marks.1 = held.marks.1.max(mark);
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
        self.keep_within_bounds();
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
        let mut whole: Vec<_> = self
            .open
            .iter()
            .filter(|(_, held)| held.is_whole(&self.window, now))
            .map(|(trace, _)| *trace)
            .collect();
        whole.sort_unstable();
        for trace in whole {
            self.close(trace);
        }
        let held_since = before(now, self.window.metrics);
        let metrics = self.metrics.take(held_since, &mut self.counts);
        self.give_away(metrics)
    }

    /// The same, with the traces that were closed and from where on a journal is still needed.
    pub(crate) fn take_marked(&mut self, now: DateTime<Utc>) -> Marked {
        let records = self.take(now);
        let open = self.open.values().map(|held| held.marks.0);
        let oldest = open.chain(self.metrics.oldest_mark()).min();
        Marked { records, closed: std::mem::take(&mut self.ended), oldest }
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
        while self.by_age.front().is_some_and(|(opened, trace)| !self.is_open(*trace, *opened)) {
            self.by_age.pop_front();
        }
        let mut records = std::mem::take(&mut self.ready);
        records.extend(metrics);
        records
    }

    fn is_open(&self, trace: u128, opened: DateTime<Utc>) -> bool {
        self.open.get(&trace).is_some_and(|held| held.opened == opened)
    }

    fn keep_within_bounds(&mut self) {
        while self.spans > self.window.most_spans || self.bytes > self.window.most_bytes {
            let Some((opened, trace)) = self.by_age.pop_front() else { return };
            if self.is_open(trace, opened) {
                self.counts.closed_early += 1;
                self.close(trace);
            }
        }
        // Traces that were closed in time leave entries behind; they go before they outgrow those that are open.
        if self.by_age.len() > 2 * self.open.len() + 1_024 {
            let open = &self.open;
            self.by_age.retain(|(opened, trace)| {
                open.get(trace).is_some_and(|held| held.opened == *opened)
            });
        }
    }

    fn close(&mut self, trace: u128) {
        let Some(mut held) = self.open.remove(&trace) else { return };
        // Without a journal nobody asks for it.
        if held.marks.1 > 0 {
            self.ended.push(Closed { trace, mark: held.marks.1 });
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

/// The instant so long before another.
fn before(now: DateTime<Utc>, duration: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(duration)
        .ok()
        .and_then(|duration| now.checked_sub_signed(duration))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The spans of closed traces; the oldest traces are forgotten first.
#[derive(Debug, Default)]
struct Memory {
    traces: HashMap<u128, Ghosts, RandomState>,
    by_age: VecDeque<u128>,
    ghosts: usize,
}

impl Memory {
    fn knows(&self, trace: u128) -> bool {
        self.traces.contains_key(&trace)
    }

    fn has(&self, trace: u128, span: u64) -> bool {
        let ghosts = self.traces.get(&trace);
        ghosts.is_some_and(|ghosts| ghosts.binary_search_by_key(&span, |ghost| ghost.id).is_ok())
    }

    fn take(&mut self, trace: u128) -> Ghosts {
        let ghosts = self.traces.remove(&trace).unwrap_or_default();
        self.ghosts -= ghosts.len();
        ghosts
    }

    fn remember(&mut self, trace: u128, mut ghosts: Ghosts, most: usize) {
        ghosts.sort_unstable_by_key(|ghost| ghost.id);
        self.ghosts += ghosts.len();
        self.traces.insert(trace, ghosts);
        self.by_age.push_back(trace);
        while self.ghosts > most || self.by_age.len() > most {
            let Some(oldest) = self.by_age.pop_front() else { return };
            self.take(oldest);
        }
    }
}
