//! A layer for `tracing-subscriber`: the spans of instrumented libraries become operations, calls, tools and usage.
//!
//! ```text
//! span opens ─ fields as they come ─ span closes ─ read by the words of its convention ─ hold ─ tree ─ records
//! ```
//!
//! From where a span is read on, all is as for spans that come by OTLP: the names of fields, the conventions, and the
//! rules by which nothing is counted twice (`docs/FORMATS.md`, "OTLP in" and "Spans of `tracing`").
//!
//! An operation is the outermost span, and each agent or workflow within; where a guard of the meter is in force, its
//! operation is that, and calls and tools are put into it. The outermost span need not have to do with LLMs: a request of a
//! web server is an operation, if there are calls within it. Spans are held until the outermost one has closed, and no
//! more than is bounded: what cannot wait becomes operations of its own, which is [counted](Counts).

mod check;
mod dialect;
mod facts;
mod heard;
mod plan;
mod trace;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use foldhash::fast::RandomState;
use taximeter_models::OperationRecord;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, LevelFilter, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use self::check::Seen;
pub use self::check::{Check, Counts};
use self::facts::{Facts, Frame, Message};
use self::plan::{Kind, Plan, is_first_token, is_wanted, plan};
use self::trace::{Given, Trace};
use crate::otlp::role::Role;

/// Where the layer's operations go, where its times come from, and what it needs to know of guards.
pub trait Recorder: Send + Sync + 'static {
    /// The operation of a guard.
    type Within: Send + Sync + 'static;

    /// The operation of the guard in force where a span begins, if there is one.
    fn current(&self) -> Option<Self::Within>;

    /// Of the guards of LLM calls in an operation: how many have begun, and how many of those run.
    fn llm_guards(&self, within: &Self::Within) -> (u64, u64);

    /// The time since some fixed moment, which never goes back.
    fn monotonic(&self) -> Duration;

    /// The time of day, in nanoseconds since 1970.
    fn wall(&self) -> u64;

    /// Takes the operations of a trace: those that are within none of the others are within the guard's, if there is
    /// one. It must neither block nor panic.
    fn record(&self, records: Vec<OperationRecord>, within: Option<&Self::Within>);
}

/// Reads spans of LLM calls, tools and agents out of a subscriber. See [`layer`].
pub struct TaximeterLayer<R: Recorder> {
    recorder: R,
    seen: Arc<Seen>,
    random: [RandomState; 2],
}

/// Lets through to the layer what it may need. It is a filter of that layer alone: others see what they see without it.
#[derive(Debug, Clone)]
pub struct Needed {
    ambient: bool,
    seen: Arc<Seen>,
}

/// The layer, with a filter of its own: spans that speak of LLMs up to the level `DEBUG`, others up to `INFO` for the
/// operation in which calls are, errors.
pub fn layer<R, S>(recorder: R) -> Filtered<TaximeterLayer<R>, Needed, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    filtered(recorder, true)
}

/// Like [`layer`], without spans that do not speak of LLMs: each call or agent is an operation of its own, and the
/// program pays nothing for any other span.
pub fn layer_without_ambient<R, S>(recorder: R) -> Filtered<TaximeterLayer<R>, Needed, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    filtered(recorder, false)
}

fn filtered<R, S>(recorder: R, ambient: bool) -> Filtered<TaximeterLayer<R>, Needed, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let seen = Arc::<Seen>::default();
    let needed = Needed { ambient, seen: Arc::clone(&seen) };
    let random = [RandomState::default(), RandomState::default()];
    TaximeterLayer { recorder, seen, random }.with_filter(needed)
}

impl<R: Recorder> TaximeterLayer<R> {
    /// Whether it sees what it is there for, and if not, why. To be asked where the subscriber is in force, after the
    /// first call should have been made.
    pub fn check(&self) -> Check {
        self.seen.check()
    }

    /// What was not counted as it came.
    pub fn counts(&self) -> Counts {
        self.seen.counts()
    }
}

/// What is kept with a span that speaks of LLMs.
struct State<W> {
    facts: Facts,
    plan: &'static Plan,
    trace: Arc<Trace<W>>,
    /// The nearest span around it that is known; zero for none.
    parent: u64,
    start: Duration,
    /// The guards of LLM calls when it began.
    guards: (u64, u64),
}

/// When an outermost span began that does not speak of LLMs.
struct Began(Duration);

/// What is kept with an outermost span that does not speak of LLMs, once there is one within it that does.
struct Ambient<W>(Arc<Trace<W>>);

impl<S> Filter<S> for Needed {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        is_wanted(metadata, self.ambient)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let plan = plan(metadata);
        if plan.kind == Kind::Spoken {
            self.seen.place(metadata);
        }
        if plan.is_wanted(*metadata.level(), self.ambient) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }
}

impl<R, S> Layer<S> for TaximeterLayer<R>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let plan = plan(attributes.metadata());
        let Some(span) = context.span(id) else { return };
        let start = self.recorder.monotonic();
        if plan.kind != Kind::Spoken {
            if span.parent().is_none() {
                span.extensions_mut().replace(Began(start));
            }
            return;
        }
        self.seen.span();
        let (trace, parent) = self.place(&span, start);
        let mut facts = Facts::new();
        attributes.record(&mut facts.hear(plan));
        let guards = trace.within.as_ref().map(|within| self.recorder.llm_guards(within));
        let guards = guards.unwrap_or_default();
        // Another layer of the same kind may be in the same subscriber; then the last one counts.
        span.extensions_mut().replace(State { facts, plan, trace, parent, start, guards });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(state) = span.extensions_mut().get_mut::<State<R::Within>>() {
            values.record(&mut state.facts.hear(state.plan));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        let metadata = event.metadata();
        let plan = plan(metadata);
        if plan.kind != Kind::Event {
            return;
        }
        let mut extensions = span.extensions_mut();
        let Some(state) = extensions.get_mut::<State<R::Within>>() else { return };
        let mut hear = state.facts.hear(plan);
        event.record(&mut hear);
        let said = hear.said();
        if is_first_token(metadata.name()) {
            let at = state.trace.nanos(self.recorder.monotonic());
            state.facts.first_token(at);
        }
        if *metadata.level() == tracing_core::Level::ERROR {
            let message = said.or_else(|| {
                let mut message = Message::default();
                event.record(&mut message);
                message.0
            });
            state.facts.trouble(message.as_deref());
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let metadata = span.metadata();
        if plan(metadata).kind == Kind::Ambient {
            let ambient = span.extensions_mut().remove::<Ambient<R::Within>>();
            if let Some(Ambient(trace)) = ambient {
                self.end_ambient(&trace, metadata.name());
            }
            return;
        }
        let state = span.extensions_mut().remove::<State<R::Within>>();
        if let Some(state) = state {
            self.close(state, id.into_u64(), metadata.name());
        }
    }
}

impl<R: Recorder> TaximeterLayer<R> {
    /// The trace to which a new span belongs, and the nearest span around it that is known.
    fn place<'a, S>(&self, span: &SpanRef<'a, S>, now: Duration) -> (Arc<Trace<R::Within>>, u64)
    where
        S: LookupSpan<'a>,
    {
        let mut outermost = None;
        let mut next = span.parent();
        while let Some(around) = next {
            if let Some(state) = around.extensions().get::<State<R::Within>>() {
                return (Arc::clone(&state.trace), around.id().into_u64());
            }
            next = around.parent();
            outermost = Some(around);
        }
        let within = self.recorder.current();
        let Some(outermost) = outermost.filter(|_| within.is_none()) else {
            let top = (span.id().into_u64(), false);
            return (Arc::new(self.trace(top, (now, now), within)), 0);
        };
        let top = outermost.id().into_u64();
        let mut extensions = outermost.extensions_mut();
        if let Some(Ambient(trace)) = extensions.get_mut() {
            return (Arc::clone(trace), top);
        }
        let began = extensions.get_mut().map_or(now, |Began(began)| *began);
        let trace = Arc::new(self.trace((top, true), (began, now), None));
        extensions.replace(Ambient(Arc::clone(&trace)));
        (trace, top)
    }

    fn trace(
        &self,
        top: (u64, bool),
        (began, now): (Duration, Duration),
        within: Option<R::Within>,
    ) -> Trace<R::Within> {
        let since = u64::try_from(now.saturating_sub(began).as_nanos()).unwrap_or(u64::MAX);
        let wall = self.recorder.wall().saturating_sub(since);
        // An id is used again when its span is gone; the time is not.
        let [high, low] = self.random.each_ref().map(|random| random.hash_one((top, wall, now)));
        let bits = (u128::from(high) << 64 | u128::from(low)).max(1);
        Trace::new(bits, top, (wall, began), within)
    }

    fn close(&self, state: State<R::Within>, id: u64, name: &'static str) {
        let State { facts, plan, trace, parent, start, guards } = state;
        let now = self.recorder.monotonic();
        let (start, end) = (trace.nanos(start), trace.nanos(now));
        let frame = Frame { trace: trace.bits, id, parent, start, end };
        let mut span = facts.read(name, plan, frame);
        if span.is_none() {
            self.seen.counts.unread.fetch_add(1, Ordering::Relaxed);
        }
        if span.as_ref().is_some_and(|span| span.role == Role::Call)
            && let Some(within) = &trace.within
        {
            let (begun, open) = guards;
            // A guard around it, or one that began within it, counts the same call.
            if open > 0 || self.recorder.llm_guards(within).0 > begun {
                self.seen.counts.guarded.fetch_add(1, Ordering::Relaxed);
                span = None;
            }
        }
        let given = match span {
            _ if id == trace.top => Some(trace.end(span)),
            Some(span) => trace.hold(span, now),
            None => None,
        };
        if let Some(given) = given {
            self.give(given, &trace);
        }
    }

    fn end_ambient(&self, trace: &Trace<R::Within>, name: &'static str) {
        if trace.is_empty() {
            return;
        }
        let end = trace.nanos(self.recorder.monotonic());
        let (trace_id, start) = (trace.bits, trace.wall);
        let frame = Frame { trace: trace_id, id: trace.top, parent: 0, start, end };
        self.give(trace.end(facts::ambient(name, frame)), trace);
    }

    fn give(&self, given: Given, trace: &Trace<R::Within>) {
        let counts = &self.seen.counts;
        for (count, more) in [
            (&counts.nested, given.nested),
            (&counts.early, u64::from(given.early)),
            (&counts.forgotten, given.forgotten),
        ] {
            if more > 0 {
                count.fetch_add(more, Ordering::Relaxed);
            }
        }
        if !given.records.is_empty() {
            self.recorder.record(given.records, trace.within.as_ref());
        }
    }
}

impl<R: Recorder> fmt::Debug for TaximeterLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaximeterLayer").field("seen", &self.seen).finish_non_exhaustive()
    }
}
