//! Which reply of a provider was counted where: some clients tell of one call in two traces.
//!
//! The SDK of Anthropic for Python makes spans of its own (scope `com.anthropic.sdk.python`) which lie within those of
//! an instrumentation, or beside them in another trace; the log records of openlit's streams belong to no trace. All of
//! them name the provider's id of the reply.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use crate::otlp::raw::Maker;
use crate::otlp::span::{Source, Span};

/// Replies that were counted, by the hash of their id.
#[derive(Debug, Default)]
pub(super) struct Claims {
    counted: HashMap<u64, Counted, RandomState>,
    by_age: VecDeque<u64>,
    /// Replies of spans that are held and do not yield, with how many there are.
    expected: HashMap<u64, u32, RandomState>,
}

/// When a call that was counted took place, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
struct Counted {
    start: u64,
    end: u64,
    source: Source,
}

/// How many replies are remembered. The spans of one call come within seconds of each other.
const MOST: usize = 65_536;

/// A log record is written when the call has ended, and not always within its span.
const AFTERWARDS: u64 = 1_000_000_000;

/// The reply that a span tells of, unless it yields to others that tell of the same.
fn own_reply(span: &Span) -> Option<u64> {
    let yields = span.scope.maker == Maker::ProviderSdk || span.source == Source::Log;
    (span.response != 0 && !yields).then_some(span.response)
}

impl Claims {
    /// Notes that a span is held, so that others yield to it.
    pub(super) fn expect(&mut self, span: &Span) {
        if let Some(reply) = own_reply(span) {
            *self.expected.entry(reply).or_default() += 1;
        }
    }

    pub(super) fn no_longer_expect(&mut self, span: &Span) {
        if let Some(reply) = own_reply(span)
            && let Some(count) = self.expected.get_mut(&reply)
        {
            *count -= 1;
            if *count == 0 {
                self.expected.remove(&reply);
            }
        }
    }

    /// Whether the call of a span is counted elsewhere; if not, it is counted here from now on.
    ///
    /// Two calls are one if their replies have the same id and their times overlap: a cache may give one reply twice,
    /// but not at the same time.
    pub(super) fn is_elsewhere(&mut self, span: &Span) -> bool {
        if own_reply(span).is_none() && self.expected.contains_key(&span.response) {
            return true;
        }
        if let Some(counted) = self.counted.get(&span.response) {
            let is_log = [counted.source, span.source].contains(&Source::Log);
            let slack = if is_log { AFTERWARDS } else { 0 };
            return span.start <= counted.end.saturating_add(slack)
                && counted.start <= span.end.saturating_add(slack);
        }
        let counted = Counted { start: span.start, end: span.end, source: span.source };
        self.counted.insert(span.response, counted);
        self.by_age.push_back(span.response);
        if self.by_age.len() > MOST
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.counted.remove(&oldest);
        }
        false
    }
}
