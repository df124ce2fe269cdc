//! Values that are none, errors that are only logged, filters, and the layer's own account of what it sees.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use taximeter_models::{ErrorCategory, ToolStatus};
use taximeter_telemetry::layer::{Check, TaximeterLayer, layer};
use tracing::field::Empty;
use tracing::{Level, Span, error, event, info_span, warn};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::prelude::*;

use crate::support::{Memory, layer_in_force, metered, only_call, only_tool, tokens};

/// A span of a library that says neither error nor reply.
macro_rules! plain {
    ($operation:literal) => {
        info_span!(
            "work",
            gen_ai.operation.name = $operation,
            gen_ai.tool.name = "fetch",
            gen_ai.request.model = "gpt-4o",
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty
        )
    };
}

#[test]
fn numbers_that_are_no_counts_are_left_out_and_said_so() {
    let read = |record: &dyn Fn(&Span)| {
        let records = metered(|_| {
            let span = plain!("chat");
            span.record("gen_ai.usage.output_tokens", 5_i64);
            record(&span);
        });
        let doubt = only_call(&records).metadata.contains_key("otlp.usage_doubt");
        (tokens(&records).0, doubt)
    };
    let key = "gen_ai.usage.input_tokens";
    assert_eq!(read(&|span| _ = span.record(key, 7_u64)), (7, false));
    assert_eq!(read(&|span| _ = span.record(key, 7_u128)), (7, false));
    assert_eq!(read(&|span| _ = span.record(key, 7.0)), (7, false));
    assert_eq!(read(&|span| _ = span.record(key, tracing::field::debug(Some(7)))), (7, false));
    assert_eq!(read(&|span| _ = span.record(key, tracing::field::debug(None::<u8>))), (0, false));
    assert_eq!(read(&|span| _ = span.record(key, -7_i64)), (0, true));
    assert_eq!(read(&|span| _ = span.record(key, u64::MAX)), (0, true));
    assert_eq!(read(&|span| _ = span.record(key, f64::NAN)), (0, true));
    assert_eq!(read(&|span| _ = span.record(key, "many")), (0, true));
}

#[test]
fn long_texts_are_cut() {
    let records = metered(|_| {
        let long = "é".repeat(100_000);
        drop(info_span!("chat", gen_ai.operation.name = "chat", gen_ai.request.model = long));
    });
    assert!(only_call(&records).model().len() <= 1_024);
}

/// A value whose text is written by code that speaks of the same span, from here and from elsewhere, and makes others.
struct Meddles<'s>(&'s Span);

impl fmt::Debug for Meddles<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.record("gen_ai.usage.input_tokens", 7_u64);
        thread::scope(|scope| {
            scope.spawn(|| _ = self.0.record("gen_ai.usage.output_tokens", 5_u64));
        });
        self.0.in_scope(|| drop(plain!("execute_tool")));
        f.write_str("gpt-4o-mini")
    }
}

#[test]
fn a_value_may_do_what_it_likes_while_it_is_heard() {
    let records = metered(|_| {
        let span = plain!("chat");
        span.record("gen_ai.request.model", tracing::field::debug(Meddles(&span)));
    });
    assert_eq!((only_call(&records).model(), tokens(&records)), ("gpt-4o-mini", (7, 5)));
    assert_eq!(only_tool(&records).name, "fetch");
}

struct Panics;

impl fmt::Debug for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

#[test]
fn a_value_that_panics_spoils_nothing_but_itself() {
    let records = metered(|_| {
        let span = plain!("chat");
        let spoil = || _ = span.record("gen_ai.request.model", tracing::field::debug(Panics));
        catch_unwind(AssertUnwindSafe(spoil)).expect_err("it panics");
        span.record("gen_ai.usage.output_tokens", 5_u64);
    });
    assert_eq!((only_call(&records).model(), tokens(&records)), ("gpt-4o", (0, 5)));
}

#[test]
fn an_error_that_is_only_logged_ends_what_says_nothing_else() {
    let tool = metered(|_| plain!("execute_tool").in_scope(|| error!("connection refused")));
    assert_eq!(only_tool(&tool).status, ToolStatus::Error);
    assert_eq!(only_tool(&tool).error.as_ref().unwrap().category, ErrorCategory::Network);

    // As `#[instrument(err)]` logs it.
    let call = metered(|_| plain!("chat").in_scope(|| error!(error = %"429 Too Many Requests")));
    assert_eq!(only_call(&call).error.as_ref().unwrap().category, ErrorCategory::RateLimit);

    // What was tried again and went well is no failure.
    let well = metered(|_| {
        let span = plain!("chat");
        span.in_scope(|| error!("429 Too Many Requests"));
        span.record("gen_ai.usage.output_tokens", 5_u64);
    });
    assert_eq!(only_call(&well).error, None);

    let warned = metered(|_| plain!("execute_tool").in_scope(|| warn!("slow")));
    assert_eq!(only_tool(&warned).status, ToolStatus::Success);
}

#[test]
fn an_exception_is_an_error() {
    let records = metered(|_| {
        plain!("chat").in_scope(|| {
            event!(Level::WARN, exception.r#type = "TimeoutError", exception.message = "too slow");
        });
    });
    assert_eq!(only_call(&records).error.as_ref().unwrap().category, ErrorCategory::Timeout);
}

#[test]
fn an_event_marks_the_first_token() {
    let records = metered(|clock| {
        plain!("chat").in_scope(|| {
            for _ in 0..3 {
                clock.pass(40);
                event!(name: "gen_ai.content.completion.chunk", Level::INFO, {});
            }
        });
    });
    let first = only_call(&records).time_to_first_token;
    assert_eq!(first.map(|first| first.as_millis()), Some(40));
}

#[test]
fn content_is_never_read() {
    let records = metered(|_| {
        let agent = info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.prompt = "a secret",
            gen_ai.completion = "a secret",
            gen_ai.system_instructions = "a secret"
        );
        agent.in_scope(|| {
            let call = plain!("chat");
            call.in_scope(|| tracing::info!(gen_ai.input.messages = "a secret", "a secret"));
            drop(info_span!(
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "fetch",
                gen_ai.tool.call.arguments = "a secret",
                gen_ai.tool.call.result = ?["a secret"]
            ));
        });
    });
    assert_eq!((records[0].llm_calls.len(), records[0].tool_calls.len()), (1, 1));
    let shown = format!("{records:?}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn our_own_spans_are_not_metered_again() {
    let records = metered(|_| {
        drop(info_span!(target: "taximeter", "chat", gen_ai.operation.name = "chat"));
    });
    assert_eq!(records, []);
}

fn check() -> Check {
    layer_in_force(TaximeterLayer::check)
}

#[test]
fn the_check_says_why_nothing_is_seen() {
    let program = || drop(plain!("chat"));
    let registry = tracing_subscriber::registry;

    tracing::subscriber::with_default(registry().with(layer(Memory::default())), || {
        // Places that other tests have come by are known.
        assert!(matches!(check(), Check::NoSource | Check::NotCalled), "{:?}", check());
        program();
        assert!(check().is_well());
    });
    let off = registry().with(layer(Memory::default())).with(LevelFilter::WARN);
    tracing::subscriber::with_default(off, || {
        program();
        assert_eq!(check(), Check::FilteredOut);
    });
    let well = registry().with(layer(Memory::default())).with(EnvFilter::new("warn,layer=info"));
    tracing::subscriber::with_default(well, || {
        assert!(matches!(check(), Check::NoSource | Check::NotCalled), "{:?}", check());
        program();
        assert!(check().is_well());
    });
    let below = registry().with(EnvFilter::new("warn")).with(layer(Memory::default()));
    tracing::subscriber::with_default(below, || {
        program();
        assert_eq!(check(), Check::FilteredOut);
    });
    let other = registry().with(layer(Memory::default())).with(EnvFilter::new("my_app=debug"));
    tracing::subscriber::with_default(other, || {
        program();
        assert_eq!(check(), Check::FilteredOut);
    });
}

#[test]
fn a_filter_of_another_layer_is_not_ours() {
    let memory = Memory::default();
    let log = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
    let subscriber = tracing_subscriber::registry()
        .with(log.with_filter(EnvFilter::new("error")))
        .with(layer(memory.clone()));
    tracing::subscriber::with_default(subscriber, || {
        // To ask is no part of the next span.
        let _ = check();
        drop(plain!("chat"));
        assert!(check().is_well());
    });
    assert_eq!(memory.records().len(), 1);
}
