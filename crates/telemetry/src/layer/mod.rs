//! A layer for `tracing-subscriber`: the spans of instrumented libraries become operations, calls, tools and usage.
//!
//! ```text
//! span opens ─ fields as they come ─ span closes ─ held ─ outermost closes ┊ read by its convention ─ tree ─ records
//! ```
//!
//! What stands before the line happens on the threads of the program, and is no more than that bytes are put beside each
//! other. The rest happens [where and when the recorder likes](Recorder::later).
//!
//! From where a span is read on, all is as for spans that come by OTLP: the names of fields, the conventions, and the
//! rules by which nothing is counted twice (`docs/FORMATS.md`, "OTLP in" and "Spans of `tracing`").
//!
//! An operation is the outermost span, and each agent or workflow within; where a guard of the meter is in force, its
//! operation is that, and calls and tools are put into it. The outermost span need not have to do with LLMs: a request of a
//! web server is an operation, if there are calls within it. Spans are held until the outermost one has closed, and no
//! more than is bounded: what cannot wait becomes operations of its own, which is [counted](Counts).

mod behind;
mod brief;
mod check;
mod dialect;
mod entered;
mod hear;
mod heard;
mod open;
mod plan;
mod reading;
mod trace;
mod unread;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;
use taximeter_models::{OperationRecord, SpanId, TraceId};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::layer::{Context, Filter, Layer};
use tracing_subscriber::registry::{LookupSpan, Registry, SpanRef};

pub use self::behind::FilteredLayer;
use self::check::Seen;
pub use self::check::{Check, Counts, Watch};
use self::entered::Entered;
use self::hear::{Hear, Message, Tell, Written};
use self::heard::Heard;
use self::open::{Ambient, Open, OpenSpans, Spoken};
use self::plan::{Kind, Plan, is_first_token, is_wanted, plan};
use self::reading::Frame;
use self::trace::Trace;
use self::unread::Closed;
pub use self::unread::Unread;

/// Where the layer's operations go, where its times come from, and what it needs to know of guards.
pub trait Recorder: Send + Sync + 'static {
    /// The operation of a guard.
    type Within: Send + Sync + 'static;

    /// The operation of the guard in force where a span begins, if there is one.
    fn current(&self) -> Option<Self::Within>;

    /// Of the guards of LLM calls in an operation: how many have begun, and how many of those run. It is asked under a lock:
    /// it must neither block nor panic, nor make spans.
    fn llm_guards(&self, within: &Self::Within) -> (u64, u64);

    /// The time since some fixed moment, which never goes back.
    fn monotonic(&self) -> Duration;

    /// The time of day, in nanoseconds since 1970.
    fn wall(&self) -> u64;

    /// Takes the operations of a trace: those that are within none of the others are within the guard's, if there is
    /// one. It must neither block nor panic.
    fn record(&self, records: Vec<OperationRecord>, within: Option<&Self::Within>);

    /// Takes spans that are within no guard's operation and that nobody has read, to read them later and on another
    /// thread. Those of one trace are to be read in their order. It must neither block nor panic. Default: reads them at
    /// once, and [records](Self::record) what they say.
    fn later(&self, unread: Unread) {
        self.record(unread.read(), None);
    }

    /// Whether what is recorded goes nowhere any more. Default: it never ends.
    fn has_ended(&self) -> bool {
        false
    }
}

/// Reads spans of LLM calls, tools and agents out of a subscriber. See [`layer`].
pub struct TaximeterLayer<R: Recorder> {
    recorder: R,
    seen: Arc<Seen>,
    open: OpenSpans<R::Within>,
    entered: Entered,
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
pub fn layer<R, S>(recorder: R) -> FilteredLayer<R, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    filtered(recorder, true)
}

/// Like [`layer`], without spans that do not speak of LLMs: each call or agent is an operation of its own, and the
/// program pays nothing for any other span.
pub fn layer_without_ambient<R, S>(recorder: R) -> FilteredLayer<R, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    filtered(recorder, false)
}

fn filtered<R, S>(recorder: R, ambient: bool) -> FilteredLayer<R, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let seen = Arc::<Seen>::default();
    let needed = Needed { ambient, seen: Arc::clone(&seen) };
    let random = [RandomState::default(), RandomState::default()];
    let (open, entered) = (OpenSpans::new(), Entered::new());
    FilteredLayer::new(TaximeterLayer { recorder, seen, open, entered, random }, needed)
}

impl<R: Recorder> TaximeterLayer<R> {
    /// Whether it sees what it is there for, and if not, why. To be asked where the subscriber is in force, after the
    /// first call should have been made.
    pub fn check(&self) -> Check {
        if self.recorder.has_ended() { Check::Ended } else { self.seen.check() }
    }

    /// Where its operations go.
    pub fn recorder(&self) -> &R {
        &self.recorder
    }

    /// Watches what it sees, from wherever its subscriber may be.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.seen))
    }

    /// Says that a guard of somebody counts the call that runs here, so that the spans around it do not; and gives the trace
    /// and the id of the nearest of them. None where no span is around that speaks of LLMs.
    pub fn claim(&self, here: &Dispatch) -> Option<(TraceId, SpanId)> {
        let registry = here.downcast_ref::<Registry>()?;
        let current = here.current_span();
        let mut next = registry.span(current.id()?);
        while let Some(span) = next {
            let id = span.id().into_u64();
            if let Some(trace) = self.open.spoken(id, |span| span.trace.bits) {
                self.claim_all(id);
                return Some((TraceId::from_bits(trace), SpanId::from_bits(id)));
            }
            next = span.parent();
        }
        None
    }

    /// A call within a call is one, and an agent counts nothing that a call within it does.
    fn claim_all(&self, innermost: u64) {
        let mut id = innermost;
        while id != 0 {
            let claim = |span: &mut Spoken<R::Within>| {
                span.claimed = true;
                span.parent
            };
            id = self.open.spoken(id, claim).unwrap_or(0);
        }
    }

    /// What was not counted as it came.
    pub fn counts(&self) -> Counts {
        self.seen.counts()
    }
}

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
        if plan.kind != Kind::Spoken {
            self.seen.other();
            if around(attributes, id, &context).is_none() {
                let (name, start) = (plan.name, self.now());
                let span = Ambient { name, start, trace: None };
                self.open.insert(id.into_u64(), Open::Ambient(span), |_| ());
            }
            return;
        }
        self.seen.span();
        let start = self.now();
        let (trace, parent) = self.place(attributes, id, start, &context);
        let guards = trace.within.as_ref().map(|within| self.recorder.llm_guards(within));
        let guards = guards.unwrap_or_default();
        let span = Spoken { plan, trace, parent, start, guards, claimed: false };
        let id = id.into_u64();
        let hear = |heard: &mut Heard| Hear::all(heard, plan, attributes);
        if self.open.insert(id, Open::Spoken(span), hear) {
            self.write(id, plan, attributes);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let plan = plan(metadata);
        if plan.kind != Kind::Event {
            return;
        }
        let Some(span) = context.event_span(event) else { return };
        let id = span.id().into_u64();
        let now = is_first_token(metadata.name()).then(|| self.now());
        let heard = self.open.hear(id, |span, heard| {
            if let Some(now) = now {
                heard.first_token(span.trace.at(now));
            }
            Hear::all(heard, plan, event)
        });
        if heard == Some(true) {
            self.write(id, plan, event);
        }
        if *metadata.level() == tracing_core::Level::ERROR {
            let is_known = self.open.hear(id, |_, heard| heard.trouble());
            if is_known == Some(false)
                && let Some(message) = Message::of(event)
            {
                self.open.hear(id, |_, heard| heard.because(&message));
            }
        }
    }
}

impl<R: Recorder> TaximeterLayer<R> {
    /// A span has more to say. Where it is not known, it was not shown.
    fn record(&self, id: u64, values: &Record<'_>) {
        let hear = |span: &Spoken<R::Within>, heard: &mut Heard| {
            Hear::all(heard, span.plan, values).then_some(span.plan)
        };
        if let Some(Some(plan)) = self.open.hear(id, hear) {
            self.write(id, plan, values);
        }
    }

    /// A span has closed. One that was not shown costs no reading of the clock.
    fn end(&self, id: u64) {
        if !self.open.holds(id) {
            return;
        }
        let now = self.now();
        // A trace is let go when nothing is locked any more: a guard's operation may go with it. Mostly nothing is to be
        // given yet, and so it is no result, which would be carried through all of this.
        let mut unread = None;
        let trace = self.open.remove(id, |span, heard| match span {
            Open::Spoken(span) => {
                self.close(&span, id, now, heard, &mut unread);
                Some(span.trace)
            }
            Open::Ambient(Ambient { name, trace, .. }) => {
                unread = trace.as_ref().and_then(|trace| trace.end_ambient(name, now, &self.seen));
                trace
            }
        });
        if let Some(unread) = unread
            && let Some(Some(trace)) = trace
        {
            self.give(unread, &trace);
        }
    }
}

/// The span around a new one, as far as the layer is shown it.
fn around<'a, S>(
    attributes: &Attributes<'_>,
    id: &Id,
    context: &'a Context<'_, S>,
) -> Option<SpanRef<'a, S>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    if attributes.is_root() {
        None
    } else if attributes.is_contextual() {
        context.lookup_current()
    } else {
        context.span(id)?.parent()
    }
}

impl<R: Recorder> TaximeterLayer<R> {
    /// The trace to which a new span belongs, and the nearest span around it that is known.
    fn place<S>(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        now: u64,
        context: &Context<'_, S>,
    ) -> (Arc<Trace<R::Within>>, u64)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // Mostly the span around it is the one that runs, and speaks of LLMs too.
        if attributes.is_contextual()
            && let Some(id) = self.entered.innermost()
            && let Some(trace) = self.open.spoken(id, |span| Arc::clone(&span.trace))
        {
            return (trace, id);
        }
        let mut outermost = None;
        let mut next = around(attributes, id, context);
        while let Some(around) = next {
            let id = around.id().into_u64();
            if let Some(trace) = self.open.spoken(id, |span| Arc::clone(&span.trace)) {
                return (trace, id);
            }
            next = around.parent();
            outermost = Some(id);
        }
        let (within, wall) = (self.recorder.current(), self.recorder.wall());
        let alone =
            |within| (Arc::new(self.trace((id.into_u64(), false), wall, now, now, within)), 0);
        let Some(top) = outermost.filter(|_| within.is_none()) else { return alone(within) };
        let trace = self.open.with(top, |span| match span {
            Open::Spoken(span) => Arc::clone(&span.trace),
            Open::Ambient(Ambient { start, trace, .. }) => {
                let made = || Arc::new(self.trace((top, true), wall, *start, now, None));
                Arc::clone(trace.get_or_insert_with(made))
            }
        });
        // An outermost span that was open before the layer was there is none that it could wait for.
        trace.map_or_else(|| alone(None), |trace| (trace, top))
    }

    /// A trace that began at one moment of the monotonic clock, seen at another, when the wall clock showed this.
    fn trace(
        &self,
        top: (u64, bool),
        wall: u64,
        began: u64,
        now: u64,
        within: Option<R::Within>,
    ) -> Trace<R::Within> {
        let wall = wall.saturating_sub(now.saturating_sub(began));
        // An id is used again when its span is gone; the time is not.
        let [of_span, of_time] = &self.random;
        let (high, low) = (of_span.hash_one((top.0, wall)), of_time.hash_one((wall, now)));
        let bits = (u128::from(high) << 64 | u128::from(low)).max(1);
        Trace::new(bits, top, (wall, began), within)
    }

    /// Nanoseconds of the monotonic clock.
    fn now(&self) -> u64 {
        u64::try_from(self.recorder.monotonic().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes into a span what the program writes of it.
    #[inline(never)]
    fn write(&self, id: u64, plan: &'static Plan, fields: &impl Tell) {
        let written = Written::of(plan, fields);
        self.open.hear(id, |_, heard| written.put_into(heard, plan));
    }

    /// Takes in a span that closes; what can wait no longer is put into `unread`.
    fn close(
        &self,
        span: &Spoken<R::Within>,
        id: u64,
        now: u64,
        heard: &Heard,
        unread: &mut Option<Unread>,
    ) {
        let Spoken { plan, ref trace, parent, start, guards, claimed } = *span;
        let frame = Frame { id, parent, start: trace.at(start), end: trace.at(now) };
        // A guard around it, or one that began within it, counts the same call.
        let guarded = trace.within.as_ref().is_some_and(|within| {
            let (begun, open) = guards;
            open > 0 || self.recorder.llm_guards(within).0 > begun
        });
        let guarded = guarded || claimed;
        let closed = Closed { plan, frame, guarded, words: heard.words() };
        if id == trace.top {
            *unread = Some(trace.end(&closed, &self.seen));
        } else if let Some(early) = trace.hold(&closed, now, &self.seen) {
            *unread = Some(early);
        }
    }

    /// What belongs to a guard's operation is read at once: that may end before anybody comes to read.
    fn give(&self, unread: Unread, trace: &Trace<R::Within>) {
        let Some(within) = &trace.within else { return self.recorder.later(unread) };
        let records = unread.read();
        if !records.is_empty() {
            self.recorder.record(records, Some(within));
        }
    }
}

impl<R: Recorder> fmt::Debug for TaximeterLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaximeterLayer").field("seen", &self.seen).finish_non_exhaustive()
    }
}
