//! Usage from metrics, for those who send nothing else: each export interval of a sender becomes one record.
//!
//! Metrics tell of the same calls as spans and logs do. A sender that sent a call as a span or a log is not counted by
//! its metrics, whichever comes first: points are held for a while to see.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use foldhash::fast::RandomState;
use taximeter_models::{
    CostOutcome, Currency, LlmCall, Money, Name, OperationRecord, ReportedCost, TokenUsage, TraceId,
};

use super::Counts as Tally;
use super::alias::Field;
use super::ids::{hash_text, join, operation_id};
use super::keys;
use super::limits::cut;
use super::points::{Counts, counts};
use super::providers::provider_name;
use super::raw::{RawPoint, Resource, Scope};
use super::span::{claude_session, instant};

/// A point of a metric, as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct Increment {
    sender: u64,
    resource: Arc<Resource>,
    scope: Name,
    /// The series that it belongs to.
    series: u64,
    counts: Counts,
    is_claude_code: bool,
    token_type: Option<TokenType>,
    provider: Option<Name>,
    model: Option<Name>,
    session: Option<Name>,
    user: Option<Name>,
    start: u64,
    time: u64,
    value: f64,
    count: u64,
    cumulative: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenType {
    Input,
    Output,
    CacheRead,
    CacheWrite,
}

/// Reads a point; none if it says nothing that is counted.
pub(crate) fn read(
    raw: &RawPoint<'_>,
    resource: &Arc<Resource>,
    scope: &Scope,
) -> Option<Increment> {
    let slots = &raw.slots;
    let counted = counts(&raw.metric).filter(|_| !raw.unrecorded)?;
    let token_type = match slots.text(Field::TokenType) {
        Some("input") => Some(TokenType::Input),
        Some("output" | "completion") => Some(TokenType::Output),
        Some("cacheRead") => Some(TokenType::CacheRead),
        Some("cacheCreation") => Some(TokenType::CacheWrite),
        _ => None,
    };
    // What is counted under another type, such as openlit's `reasoning`, is a part of what is counted under these.
    if counted == Counts::TokensByType && token_type.is_none() {
        return None;
    }
    let is_number = raw.value.is_finite() && (0.0..9e15).contains(&raw.value);
    if !is_number {
        return None;
    }
    let name = |field| slots.text(field).map(|text| Name::from(cut(text, 256)));
    let is_claude_code = raw.metric.starts_with("claude_code.");
    let provider =
        slots.text(Field::Provider).map(|told| Name::from(&*provider_name(cut(told, 256))));
    let series = [hash_text(&raw.metric), resource.identity, hash_text(&scope.name)];
    let session = name(Field::Session);
    let sender =
        if is_claude_code { claude_session(resource, session.as_ref()) } else { resource.identity };
    Some(Increment {
        sender,
        resource: Arc::clone(resource),
        scope: scope.name.clone(),
        series: series.into_iter().fold(raw.series, join),
        counts: counted,
        is_claude_code,
        token_type,
        provider: provider.or_else(|| is_claude_code.then(|| "anthropic".into())),
        model: name(Field::RequestModel).or_else(|| name(Field::ResponseModel)),
        session,
        user: name(Field::User),
        start: raw.start,
        time: raw.time,
        value: raw.value,
        count: raw.count,
        cumulative: raw.cumulative,
    })
}

/// The last point of a series.
#[derive(Debug, Clone, Copy)]
struct Last {
    start: u64,
    time: u64,
    value: f64,
    count: u64,
}

/// Points that wait, and what tells whether they count.
#[derive(Debug)]
pub(crate) struct UsageMetrics {
    /// When each came, and the mark of its request.
    waiting: VecDeque<(DateTime<Utc>, u64, Increment)>,
    series: HashMap<u64, Last, RandomState>,
    /// Who sends calls as spans or logs.
    senders: HashSet<u64, RandomState>,
    /// When we began, in nanoseconds since 1970: what a sender counted before may have been counted by somebody else.
    began: u64,
}

/// The most points that wait, and the most series and senders that are remembered. Beyond it the oldest points are
/// dropped, and counted as that.
const MOST: usize = 100_000;

impl UsageMetrics {
    pub(crate) fn new(began: DateTime<Utc>) -> Self {
        let began = began.timestamp_nanos_opt().and_then(|began| u64::try_from(began).ok());
        Self {
            waiting: VecDeque::new(),
            series: HashMap::default(),
            senders: HashSet::default(),
            began: began.unwrap_or(0),
        }
    }

    pub(crate) fn sends_calls(&mut self, sender: u64) {
        if self.senders.len() >= MOST {
            self.senders.clear();
        }
        self.senders.insert(sender);
    }

    /// The mark of the earliest request of which a point waits.
    pub(crate) fn oldest_mark(&self) -> Option<u64> {
        self.waiting.iter().map(|(_, mark, _)| *mark).min()
    }

    pub(crate) fn push(
        &mut self,
        mut increment: Increment,
        now: DateTime<Utc>,
        mark: u64,
        tally: &mut Tally,
    ) {
        if !self.since_last(&mut increment, tally) {
            return;
        }
        if self.waiting.len() >= MOST {
            self.waiting.pop_front();
            tally.points_dropped += 1;
        }
        self.waiting.push_back((now, mark, increment));
    }

    /// Makes of a point what was added since the last one of its series; false if that is nothing or not known.
    fn since_last(&mut self, point: &mut Increment, tally: &mut Tally) -> bool {
        if self.series.len() >= MOST && !self.series.contains_key(&point.series) {
            self.series.clear();
        }
        let now =
            Last { start: point.start, time: point.time, value: point.value, count: point.count };
        let last = self.series.insert(point.series, now);
        match last {
            // The same point again: nothing was added.
            Some(last) if point.time <= last.time => {
                self.series.insert(point.series, last);
                return false;
            }
            // A later point of a series that was not started anew.
            Some(last)
                if point.cumulative && point.start <= last.start && point.value >= last.value =>
            {
                point.value -= last.value;
                point.count = point.count.saturating_sub(last.count);
                point.start = last.time;
            }
            // Its beginning lies before ours; somebody may have counted it.
            None if point.cumulative && point.start < self.began => {
                tally.baseline_points += 1;
                return false;
            }
            // What was added since the last point, or a series that was started anew: all of it is new.
            _ => {}
        }
        point.value > 0.0 || point.count > 0
    }

    /// The records of the points that have waited since before that time.
    pub(crate) fn take(
        &mut self,
        held_since: DateTime<Utc>,
        tally: &mut Tally,
    ) -> Vec<OperationRecord> {
        let mut groups = BTreeMap::<Group, Vec<Increment>>::new();
        while self.waiting.front().is_some_and(|(came, ..)| *came <= held_since) {
            let Some((.., increment)) = self.waiting.pop_front() else { break };
            if self.senders.contains(&increment.sender) {
                tally.points_beside_spans += 1;
                continue;
            }
            tally.points += 1;
            groups.entry(Group::of(&increment)).or_default().push(increment);
        }
        groups.into_values().filter_map(|increments| record(&increments)).collect()
    }
}

/// The points that make one record: those of one sender, session and interval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    time: u64,
    sender: u64,
    session: Option<Name>,
    user: Option<Name>,
    is_claude_code: bool,
}

impl Group {
    fn of(increment: &Increment) -> Self {
        Self {
            time: increment.time,
            sender: increment.sender,
            session: increment.session.clone(),
            user: increment.user.clone(),
            is_claude_code: increment.is_claude_code,
        }
    }
}

/// What one model consumed in an interval.
#[derive(Debug, Default)]
struct Sums {
    input: u64,
    output: u64,
    cache_read: u64,
    cache_write: u64,
    reasoning: u64,
    usd: f64,
    calls: u64,
    told: bool,
}

fn record(increments: &[Increment]) -> Option<OperationRecord> {
    let first = increments.first()?;
    let mut models = BTreeMap::<(Option<Name>, Option<Name>), Sums>::new();
    for increment in increments {
        let model = (increment.provider.clone(), increment.model.clone());
        models.entry(model).or_default().add(increment);
    }
    let start = increments.iter().map(|increment| increment.start).filter(|start| *start > 0).min();
    let start = start.unwrap_or(first.time).min(first.time);
    let name = if first.is_claude_code { "claude_code.metrics" } else { "gen_ai.metrics" };
    let mut record = OperationRecord::new(name);
    let group = [first.time, session_hash(first)].into_iter().fold(sender_hash(first), join);
    let trace = u128::from(join(group, 1)) << 64 | u128::from(join(group, 2));
    record.id = operation_id(trace, group, start);
    record.trace_id = TraceId::from_bits(trace);
    record.started_at = instant(start)?;
    record.duration = Duration::from_nanos(first.time - start);
    record.session.clone_from(&first.session);
    record.user.clone_from(&first.user);
    first.resource.put_on(&mut record);
    if !first.scope.is_empty() {
        record.metadata.insert(keys::SCOPE.into(), first.scope.as_str().into());
    }
    record.llm_calls = models
        .into_iter()
        .filter(|(_, sums)| sums.told)
        .map(|((provider, model), sums)| sums.call(provider, model, first.is_claude_code))
        .collect();
    (!record.llm_calls.is_empty()).then_some(record)
}

/// The sender as a hash that is the same tomorrow: ids are made of it.
fn sender_hash(increment: &Increment) -> u64 {
    join(increment.sender, hash_text(&increment.scope))
}

fn session_hash(increment: &Increment) -> u64 {
    hash_text(increment.session.as_deref().unwrap_or(""))
}

impl Sums {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range is checked when it is read"
    )]
    fn add(&mut self, increment: &Increment) {
        let tokens = increment.value.round() as u64;
        let bucket = match (increment.counts, increment.token_type) {
            (Counts::Input, _) | (Counts::TokensByType, Some(TokenType::Input)) => &mut self.input,
            (Counts::Output, _) | (Counts::TokensByType, Some(TokenType::Output)) => {
                &mut self.output
            }
            (Counts::CacheRead, _) | (Counts::TokensByType, Some(TokenType::CacheRead)) => {
                &mut self.cache_read
            }
            (Counts::CacheWrite, _) | (Counts::TokensByType, Some(TokenType::CacheWrite)) => {
                &mut self.cache_write
            }
            (Counts::Reasoning, _) => &mut self.reasoning,
            (Counts::Cost, _) => {
                self.usd += increment.value;
                self.told = true;
                return;
            }
            (Counts::Calls, _) => {
                self.calls = self.calls.saturating_add(increment.count);
                return;
            }
            (Counts::TokensByType, None) => return,
        };
        *bucket = bucket.saturating_add(tokens);
        self.told = true;
    }

    fn call(self, provider: Option<Name>, model: Option<Name>, is_claude_code: bool) -> LlmCall {
        let mut call = LlmCall::default();
        (call.provider, call.request_model) = (provider, model);
        let builder = if is_claude_code {
            TokenUsage::exclusive(self.input, self.output)
        } else {
            TokenUsage::inclusive(self.input, self.output)
        };
        let builder = builder.cache_read(self.cache_read).cache_write(self.cache_write);
        let usage = builder.clone().reasoning(self.reasoning).build().or_else(|_| builder.build());
        call.usage = usage.ok().filter(|usage| !usage.is_empty());
        if call.usage.is_none() {
            call.cost = CostOutcome::NoUsage;
        }
        if let Some(total) = Money::from_f64_shortest(self.usd).filter(|total| !total.is_zero()) {
            call.cost = CostOutcome::Recorded(ReportedCost {
                total,
                input: None,
                output: None,
                currency: Currency::USD,
            });
        }
        call.metadata.insert(keys::USAGE_FROM.into(), "metrics".into());
        if self.calls > 0 {
            call.metadata.insert(keys::CALLS.into(), self.calls.into());
        }
        call
    }
}
