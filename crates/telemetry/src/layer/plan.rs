//! What the fields of a span or an event mean: found out once for each place in a program that makes some.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::{LazyLock, PoisonError, RwLock};

use foldhash::fast::RandomState;
use tracing_core::{Level, Metadata};

use super::dialect::{Dialect, dialect};
use crate::otlp::alias::{Spoken, places};

/// What is to be done with the spans or events that one place in a program makes.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// For each field, by its index.
    pub(super) uses: Box<[Use]>,
    pub(super) dialect: Option<&'static Dialect>,
    /// Whether its library can say that something failed. One that cannot leaves out what the reply would have told.
    pub(super) can_fail: bool,
    /// Whether it says something of the reply, once there is one.
    pub(super) tells_reply: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A span of a call, a tool, an agent or a step.
    Spoken,
    /// Any other span: at most the operation within which calls are.
    Ambient,
    /// An event that may tell of a call.
    Event,
    /// An event that has nothing to tell.
    Idle,
}

/// What a field is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Use {
    Nothing,
    /// It is known to the conventions.
    Known(Spoken),
    /// What went wrong, and that something did.
    Error,
    /// What an event says to have gone wrong, which need not have been the end.
    Trouble,
    /// The name of the span, in the words of `tracing-opentelemetry`.
    Name,
    Status,
    StatusMessage,
}

/// Spans under this target are our own, and metered already.
pub(crate) const OWN: &str = "taximeter";

impl Plan {
    fn new(metadata: &Metadata<'_>) -> Self {
        let dialect = dialect(metadata.target(), metadata.name());
        let names = || metadata.fields().iter().map(|field| field.name());
        let is_known = |name| dialect.is_some_and(|dialect| dialect.field(name).is_some());
        let of_library = if metadata.is_span() { dialect.is_some() } else { names().any(is_known) };
        let speaks = metadata.target() != OWN && (of_library || names().any(is_sign));
        let kind = match (metadata.is_span(), speaks) {
            (true, true) => Kind::Spoken,
            (true, false) => Kind::Ambient,
            (false, _) if metadata.target() == OWN => Kind::Idle,
            (false, true) => Kind::Event,
            (false, false) if names().any(is_exception) => Kind::Event,
            (false, false) if *metadata.level() == Level::ERROR => Kind::Event,
            (false, false) if is_first_token(metadata.name()) => Kind::Event,
            (false, false) => Kind::Idle,
        };
        let is_used = matches!(kind, Kind::Spoken | Kind::Event);
        let level = *metadata.level();
        let of = |name| match if is_used { use_of(name, dialect) } else { Use::Nothing } {
            Use::Error if kind == Kind::Event && level == Level::ERROR => Use::Trouble,
            // What other events call an error is none.
            Use::Error if kind == Kind::Event => Use::Nothing,
            to => to,
        };
        let fails = ["error", "error.type", "otel.status_code", "gen_ai.tool.call.outcome"];
        Self {
            kind,
            name: metadata.name(),
            uses: names().map(of).collect(),
            dialect,
            can_fail: names().any(|name| fails.contains(&name)),
            tells_reply: names().any(|name| name.starts_with("gen_ai.response.")),
        }
    }

    /// Whether spans or events of this place are wanted, at their level.
    pub(super) fn is_wanted(&self, level: Level, ambient: bool) -> bool {
        match self.kind {
            Kind::Spoken | Kind::Event => level <= Level::DEBUG,
            Kind::Ambient => ambient && level <= Level::INFO,
            Kind::Idle => false,
        }
    }
}

fn use_of(name: &'static str, dialect: Option<&'static Dialect>) -> Use {
    let said = dialect.and_then(|dialect| dialect.field(name));
    match name {
        "otel.name" => Use::Name,
        "otel.status_code" => Use::Status,
        "otel.status_message" | "otel.status_description" => Use::StatusMessage,
        "error" => Use::Error,
        _ => match said.map(|field| [Some((field, 0)), None]).or_else(|| places(name.as_bytes())) {
            Some(spoken) => Use::Known(spoken),
            None => Use::Nothing,
        },
    }
}

/// Whether a field of this name says that a span or an event has to do with LLMs.
fn is_sign(name: &str) -> bool {
    let kinds = [
        "openinference.span.kind",
        "traceloop.span.kind",
        "langfuse.observation.type",
        "llm.request.type",
        "ai.operationId",
        "mcp.method.name",
    ];
    name.starts_with("gen_ai.") || kinds.contains(&name)
}

fn is_exception(name: &str) -> bool {
    name == "exception.type" || name == "exception.message"
}

/// Whether an event of this name marks the first token.
pub(super) fn is_first_token(name: &str) -> bool {
    matches!(
        name,
        "First Token Stream Event" | "gen_ai.content.completion.chunk" | "ai.stream.firstChunk"
    )
}

type Plans = HashMap<usize, &'static Plan, RandomState>;

/// The plans of all places, by the address of what `tracing` knows of them. There are as many as the program has.
static PLANS: LazyLock<RwLock<Plans>> = LazyLock::new(RwLock::default);

/// So many places are remembered by each thread, which then takes no lock.
const LATELY: usize = 64;

thread_local! {
    static KNOWN: [Cell<(usize, Option<&'static Plan>)>; LATELY] =
        const { [const { Cell::new((0, None)) }; LATELY] };
}

fn address(metadata: &Metadata<'_>) -> usize {
    std::ptr::from_ref(metadata).addr()
}

/// Where a thread remembers the place.
#[inline]
const fn place_of(address: usize) -> usize {
    (address >> 4) % LATELY
}

/// The plan of a place, if it was seen before.
#[inline]
pub(super) fn known(metadata: &Metadata<'_>) -> Option<&'static Plan> {
    let address = address(metadata);
    let lately = KNOWN.try_with(|known| known[place_of(address)].get());
    if let Ok((found, Some(plan))) = lately
        && found == address
    {
        return Some(plan);
    }
    looked_up(address)
}

/// The same, of a place that this thread has not seen lately.
#[cold]
fn looked_up(address: usize) -> Option<&'static Plan> {
    let plan = *PLANS.read().unwrap_or_else(PoisonError::into_inner).get(&address)?;
    // While a thread is torn down there is nothing left to remember with.
    let _ = KNOWN.try_with(|known| known[place_of(address)].set((address, Some(plan))));
    Some(plan)
}

/// The plan of a place; it is made when the place is seen for the first time, and kept as long as the place: for good.
#[inline]
pub(super) fn plan(metadata: &'static Metadata<'static>) -> &'static Plan {
    known(metadata).unwrap_or_else(|| made(metadata))
}

#[cold]
fn made(metadata: &'static Metadata<'static>) -> &'static Plan {
    let mut plans = PLANS.write().unwrap_or_else(PoisonError::into_inner);
    plans.entry(address(metadata)).or_insert_with(|| Box::leak(Box::new(Plan::new(metadata))))
}

/// Whether something of a place is wanted that may have been seen or not.
pub(super) fn is_wanted(metadata: &Metadata<'_>, ambient: bool) -> bool {
    let level = *metadata.level();
    match known(metadata) {
        Some(plan) => plan.is_wanted(level, ambient),
        None => Plan::new(metadata).is_wanted(level, ambient),
    }
}
