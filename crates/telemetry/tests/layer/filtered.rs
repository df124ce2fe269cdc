//! The layer behind its filter: what nobody needs is not enabled, and what the layer is not shown changes nothing.

use taximeter_telemetry::layer::{layer, layer_without_ambient};
use tracing::subscriber::with_default;
use tracing::{Span, Subscriber, debug_span, info_span, trace_span};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry;
use tracing_subscriber::registry::LookupSpan;

use crate::support::{Memory, tokens};

fn call(tokens: u64) -> Span {
    info_span!("chat", gen_ai.operation.name = "chat", gen_ai.usage.input_tokens = tokens)
}

/// A layer that wants everything.
fn log<S>() -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer().with_writer(std::io::sink)
}

/// Whether a subscriber wants nothing of the place where a span is made.
fn wants_nothing(subscriber: &impl Subscriber, span: &Span) -> bool {
    let place = span.metadata().expect("every place says what it is");
    subscriber.register_callsite(place).is_never()
}

#[test]
fn what_nobody_needs_is_not_enabled() {
    // A span says where it was made if somebody wanted it.
    with_default(registry(), || {
        let with_ambient = registry().with(layer(Memory::default()));
        let without = registry().with(layer_without_ambient(Memory::default()));
        let wanted =
            |span: &Span| [!wants_nothing(&with_ambient, span), !wants_nothing(&without, span)];
        assert_eq!(wanted(&call(1)), [true, true]);
        assert_eq!(wanted(&info_span!("POST /answer")), [true, false]);
        assert_eq!(wanted(&debug_span!("query")), [false, false]);
        assert_eq!(wanted(&trace_span!("loop", gen_ai.operation.name = "chat")), [false, false]);
        // What another layer wants is enabled, whatever ours says, and on whichever side of it.
        let below = registry().with(log()).with(layer(Memory::default()));
        assert!(!wants_nothing(&below, &trace_span!("loop")));
        let above = registry().with(layer(Memory::default())).with(log());
        assert!(!wants_nothing(&above, &trace_span!("loop")));
        let tree = registry().with(layer(Memory::default()).and_then(log()));
        assert!(!wants_nothing(&tree, &trace_span!("loop")));
        // Of two with filters of their own, each has its say.
        let filtered = log().with_filter(LevelFilter::WARN);
        let two = registry().with(layer_without_ambient(Memory::default()).and_then(filtered));
        assert!(wants_nothing(&two, &info_span!("POST /answer")));
        assert!(!wants_nothing(&two, &call(1)));
    });
}

#[test]
fn what_the_layer_is_not_shown_changes_nothing() {
    let memory = Memory::default();
    with_default(registry().with(log()).with(layer(memory.clone())), || {
        info_span!("invoke_agent", gen_ai.operation.name = "invoke_agent").in_scope(|| {
            let between = trace_span!(
                "loop",
                gen_ai.operation.name = "chat",
                gen_ai.usage.input_tokens = 70,
                gen_ai.usage.output_tokens = tracing::field::Empty
            );
            assert!(!between.is_disabled(), "the log wants it");
            between.record("gen_ai.usage.output_tokens", 700);
            between.in_scope(|| drop(call(1)));
            let _entered = between.enter();
            trace_span!("once more").in_scope(|| call(2).in_scope(|| memory.pass(1)));
        });
        // The outermost span that it is shown is an operation, whatever is around it.
        trace_span!("loop").in_scope(|| drop(call(4)));
    });
    let records = memory.records();
    assert_eq!(records.len(), 2, "{records:#?}");
    assert_eq!((&*records[0].name, records[0].llm_calls.len()), ("invoke_agent", 2));
    assert_eq!(tokens(&records), (7, 0));
}
