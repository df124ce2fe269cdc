//! The layer behind its filter, without what `tracing-subscriber` asks each time.
//!
//! Its `Filtered` looks a span up among all that are open whenever it is entered, left, closed or has something to
//! record, only to see whether it was shown to the layer. Ours keeps what it was shown, and looks there in any case.

use std::any::TypeId;
use std::fmt;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, LevelFilter, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::filter::Filtered;
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::LookupSpan;

use super::{Needed, Recorder, TaximeterLayer};

/// A [`TaximeterLayer`] behind its filter, [`Needed`], as [`layer`](super::layer()) gives it.
pub struct FilteredLayer<R: Recorder, S>(Filtered<TaximeterLayer<R>, Needed, S>);

impl<R, S> FilteredLayer<R, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    pub(super) fn new(layer: TaximeterLayer<R>, needed: Needed) -> Self {
        Self(layer.with_filter(needed))
    }

    /// The layer itself.
    pub fn inner(&self) -> &TaximeterLayer<R> {
        self.0.inner()
    }
}

impl<R, S> Layer<S> for FilteredLayer<R, S>
where
    R: Recorder,
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.0.on_register_dispatch(subscriber);
    }

    fn on_layer(&mut self, subscriber: &mut S) {
        self.0.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, context: Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        self.0.on_new_span(attributes, id, context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        self.inner().record(id.into_u64(), values);
    }

    fn event_enabled(&self, event: &Event<'_>, context: Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        self.0.on_event(event, context);
    }

    fn on_enter(&self, id: &Id, _: Context<'_, S>) {
        self.inner().entered.enter(id.into_u64());
    }

    fn on_exit(&self, id: &Id, _: Context<'_, S>) {
        self.inner().entered.exit(id.into_u64());
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        self.inner().end(id.into_u64());
    }

    // The one place of the workspace with the word `unsafe`. A layer is known to have a filter of its own by its answer to a
    // question of this kind; without the answer, each span that nobody wants is made. The need is measured by
    // `cargo xtask bench telemetry`: 3,697 instructions for each span of an LLM's call, the registry's 1,495 included, and
    // 4,479 with `Filtered` alone. The tests of this layer run under AddressSanitizer too; nothing here is shared between
    // threads that was not before.
    #[expect(unsafe_code, reason = "the trait has it so; the question goes on to the field")]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        // SAFETY: what the field answers is a pointer into itself, of the type that was asked for, and the field lives as
        // long as `self`. What is asked of this function is asked of the field's, no more and no less.
        unsafe { self.0.downcast_raw(id) }
    }
}

impl<R: Recorder, S> fmt::Debug for FilteredLayer<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
