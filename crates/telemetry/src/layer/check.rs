//! Whether the layer sees what it is there for, and if not, why.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_core::{Dispatch, LevelFilter, Metadata, dispatcher};

/// What a layer has seen, and what became of it.
///
/// It is written where something out of the ordinary happens, and once besides, so that threads do not wait for each
/// other's cache lines.
#[derive(Debug, Default)]
pub(super) struct Seen {
    spans: AtomicBool,
    /// Spans that do not speak of LLMs, as far as they are counted.
    others: AtomicU64,
    places: Mutex<Vec<&'static Metadata<'static>>>,
    pub(super) counts: Counted,
}

/// See [`Counts`].
#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) guarded: AtomicU64,
    pub(super) nested: AtomicU64,
    pub(super) early: AtomicU64,
    pub(super) forgotten: AtomicU64,
    pub(super) unread: AtomicU64,
    pub(super) lost: AtomicU64,
}

/// What was not counted as it came. Nothing is left out without being counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counts {
    /// Calls that were not counted because a guard of the meter counts them.
    pub guarded_calls: u64,
    /// Calls that are parts of another call, and were counted with it.
    pub nested_calls: u64,
    /// How many times spans became operations before the outermost span had closed, because too many were held, or for
    /// too long.
    pub closed_early: u64,
    /// Spans of which it was forgotten that they were counted, so that the usage of an agent around them may count twice.
    pub forgotten_spans: u64,
    /// Spans with fields of the conventions which turned out to stand for nothing.
    pub unread_spans: u64,
    /// Spans that closed when there was nobody any more to read them.
    pub lost_spans: u64,
}

/// What a layer sees. As a text it says the likely cause, and what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Check {
    /// It has seen spans of LLM calls, tools or agents.
    Sees,
    /// There is no layer in the subscriber that is in force here.
    NoLayer,
    /// The layer's meter has ended, and whatever is seen goes nowhere.
    Ended,
    /// The program was built without spans of that level: by a feature `release_max_level_*` or `max_level_*` of
    /// `tracing`.
    BuiltWithout,
    /// A filter over all layers leaves such spans out; they are of the level `INFO`.
    FilteredOut,
    /// There are places in the program that make such spans; none has run since.
    NotCalled,
    /// No place in the program that would make such spans was come by.
    NoSource,
}

/// Watches a layer, for who has the meter and not the subscriber.
#[derive(Debug, Clone)]
pub struct Watch(pub(super) Arc<Seen>);

impl Watch {
    /// After so many other spans it is odd that none speaks of LLMs.
    pub const MANY: u64 = 32;

    /// What the layer sees. To be asked where its subscriber is in force.
    pub fn check(&self) -> Check {
        self.0.check()
    }

    /// What was not counted as it came.
    pub fn counts(&self) -> Counts {
        self.0.counts()
    }

    /// Whether it has seen nothing of LLMs, although there was a [good deal](Self::MANY) to be seen.
    pub fn is_odd(&self) -> bool {
        !self.has_seen() && self.0.others.load(Ordering::Relaxed) >= Self::MANY
    }

    /// Whether it has seen spans of LLM calls, tools or agents.
    pub fn has_seen(&self) -> bool {
        self.0.spans.load(Ordering::Relaxed)
    }
}

/// So many places that make spans are remembered to be asked about.
const PLACES: usize = 64;

impl Seen {
    pub(super) fn place(&self, metadata: &'static Metadata<'static>) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() < PLACES && !places.iter().any(|known| std::ptr::eq(*known, metadata)) {
            places.push(metadata);
        }
    }

    pub(super) fn span(&self) {
        if !self.spans.load(Ordering::Relaxed) {
            self.spans.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn other(&self) {
        if self.others.load(Ordering::Relaxed) < Watch::MANY {
            self.others.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counted = &self.counts;
        Counts {
            guarded_calls: load(&counted.guarded),
            nested_calls: load(&counted.nested),
            closed_early: load(&counted.early),
            forgotten_spans: load(&counted.forgotten),
            unread_spans: load(&counted.unread),
            lost_spans: load(&counted.lost),
        }
    }

    pub(super) fn check(&self) -> Check {
        if self.spans.load(Ordering::Relaxed) {
            return Check::Sees;
        }
        if tracing::level_filters::STATIC_MAX_LEVEL < LevelFilter::INFO {
            return Check::BuiltWithout;
        }
        let places = self.places.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let known = if places.is_empty() { probe::ALL.to_vec() } else { places.clone() };
        if LevelFilter::current() < LevelFilter::INFO || !is_any_on(&known) {
            return Check::FilteredOut;
        }
        if places.is_empty() { Check::NoSource } else { Check::NotCalled }
    }
}

/// Whether a span of any of these places would be let through.
///
/// To be asked, filters note their answer for the span that is about to begin on the thread. So they are asked on a
/// thread of its own: here none begins.
fn is_any_on(places: &[&'static Metadata<'static>]) -> bool {
    let dispatch = dispatcher::get_default(Dispatch::clone);
    let ask = || places.iter().any(|metadata| dispatch.enabled(metadata));
    std::thread::scope(|scope| {
        let asked = std::thread::Builder::new().spawn_scoped(scope, ask);
        // Where there is no thread to be had, no filter is to blame.
        asked.map_or(true, |asked| asked.join().unwrap_or(true))
    })
}

impl Check {
    /// Whether the layer has seen what it is there for.
    pub fn is_well(self) -> bool {
        self == Self::Sees
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sees => "saw spans of LLM calls",
            Self::NoLayer => {
                "saw no gen_ai spans: the layer is not in the subscriber in force here; add it by `.with(layer)` \
                 before `.init()`"
            }
            Self::Ended => {
                "nothing is metered: the meter of the layer has ended; keep the meter for as long as the subscriber is in \
                 force"
            }
            Self::BuiltWithout => {
                "saw no gen_ai spans: this program was built without spans of the level INFO; leave out the feature \
                 `max_level_*` or `release_max_level_*` of the crate tracing"
            }
            Self::FilteredOut => {
                "saw no gen_ai spans: a filter over all layers leaves them out, which are of the level INFO and have \
                 the targets of their libraries; give the filter to the layer it is meant for, by `.with_filter(filter)` instead of `.with(filter)`"
            }
            Self::NotCalled => "saw no gen_ai spans yet: the libraries that make them have not been called",
            Self::NoSource => {
                "saw no gen_ai spans, and no place that makes any: either nothing was called yet, or the library makes \
                 none (async-openai, ollama-rs, mistralrs and rmcp do not; genai needs its feature `otel`), or a \
                 filter over all layers leaves it out"
            }
        })
    }
}

/// Spans as libraries make them, to ask filters about where none has come by.
mod probe {
    use tracing_core::callsite::Callsite;
    use tracing_core::subscriber::Interest;
    use tracing_core::{Kind, Level, Metadata};

    struct Probe(&'static Metadata<'static>);

    impl Callsite for Probe {
        fn set_interest(&self, _: Interest) {}

        fn metadata(&self) -> &Metadata<'_> {
            self.0
        }
    }

    macro_rules! probe {
        ($name:ident, $target:literal) => {
            static $name: Metadata<'static> = {
                static PROBE: Probe = Probe(&$name);
                tracing_core::metadata! {
                    name: "chat",
                    target: $target,
                    level: Level::INFO,
                    fields: &["gen_ai.operation.name"],
                    callsite: &PROBE,
                    kind: Kind::SPAN,
                }
            };
        };
    }

    probe!(RIG, "rig::completions");
    probe!(GENAI, "genai::otel::span");
    probe!(LANGCHAIN, "langchain_rust::observability");

    pub(super) static ALL: [&Metadata<'static>; 3] = [&RIG, &GENAI, &LANGCHAIN];
}
