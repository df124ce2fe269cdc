//! Spans as each library makes them, with its own types, names and gaps.

use std::fmt::Debug;

use taximeter_models::{ErrorCategory, ToolStatus, Unit};
use tracing::field::Empty;
use tracing::{Level, Span, event, info_span};

use crate::support::{metered, only_call, only_tool, tokens};

/// As rig 0.44 declares the span of a turn.
macro_rules! rig_chat {
    () => {
        info_span!(
            target: "rig::agent_chat",
            "chat",
            rig.completion_parent = true,
            gen_ai.operation.name = "chat",
            gen_ai.system_instructions = Empty,
            gen_ai.provider.name = Empty,
            gen_ai.request.model = Empty,
            gen_ai.request.stream = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.tool_use_prompt_tokens = Empty,
            gen_ai.usage.reasoning_tokens = Empty,
            gen_ai.input.messages = Empty,
            gen_ai.agent.name = "assistant"
        )
    };
}

fn rig_turn(input: u64, output: u64) {
    let span = rig_chat!();
    span.record("gen_ai.provider.name", "openai");
    span.record("gen_ai.request.model", "gpt-4o");
    span.record("gen_ai.response.id", "chatcmpl-1");
    span.record("gen_ai.response.model", "gpt-4o-2024-08-06");
    span.record("gen_ai.usage.input_tokens", input);
    span.record("gen_ai.usage.output_tokens", output);
    span.record("gen_ai.usage.cache_read.input_tokens", 20_u64);
    span.record("gen_ai.usage.reasoning_tokens", 5_u64);
    // It is declared nowhere, and vanishes.
    span.record("gen_ai.usage.cost", 7.0);
}

/// As rig 0.44 declares the span of a tool.
macro_rules! rig_tool {
    () => {
        info_span!(
            target: "rig_agent::agent::telemetry",
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.type = "function",
            gen_ai.tool.name = Empty,
            gen_ai.tool.call.id = Empty,
            gen_ai.tool.call.arguments = Empty,
            gen_ai.tool.call.outcome = Empty,
            gen_ai.tool.error.type = Empty
        )
    };
}

#[test]
fn an_agent_of_rig_counts_its_turns_and_not_their_sum_again() {
    let records = metered(|clock| {
        let agent = info_span!(
            target: "rig_agent::agent::telemetry",
            parent: None,
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "assistant",
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty
        );
        agent.in_scope(|| {
            rig_turn(100, 20);
            clock.pass(7);
            let tool = rig_tool!();
            tool.record("gen_ai.tool.name", "add");
            tool.record("gen_ai.tool.call.id", tracing::field::debug(Some("call_1")));
            tool.record("gen_ai.tool.call.outcome", "success");
            drop(tool);
            rig_turn(120, 10);
        });
        agent.record("gen_ai.usage.input_tokens", 220_u64);
        agent.record("gen_ai.usage.output_tokens", 30_u64);
    });
    assert_eq!(tokens(&records), (220, 30));
    let [agent] = records.as_slice() else { panic!("{records:#?}") };
    assert_eq!((&*agent.name, agent.llm_calls.len()), ("invoke_agent assistant", 2));
    assert_eq!(agent.duration.as_millis(), 7);
    let call = &agent.llm_calls[0];
    assert_eq!((call.provider.as_deref(), call.model()), (Some("openai"), "gpt-4o"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-4o-2024-08-06"));
    assert_eq!(call.usage.as_ref().map(|usage| usage.get(Unit::CacheRead)), Some(20));
    let [tool] = agent.tool_calls.as_slice() else { panic!("{agent:#?}") };
    assert_eq!((&*tool.name, tool.status), ("add", ToolStatus::Success));
    assert_eq!(tool.metadata["gen_ai.tool.call.id"], "call_1");
}

#[test]
fn a_failure_of_rig_shows_by_what_it_leaves_out() {
    let records = metered(|_| {
        let span = rig_chat!();
        span.record("gen_ai.request.model", "gpt-4o");
    });
    let call = only_call(&records);
    assert_eq!((call.usage.as_ref(), records[0].is_success()), (None, false));
    assert_eq!(call.error.as_ref().map(|error| error.category), Some(ErrorCategory::Unknown));
}

#[test]
fn tools_of_rig_say_how_they_ended() {
    for (outcome, kind, status) in [
        ("success", None, ToolStatus::Success),
        ("skipped", None, ToolStatus::Success),
        ("denied", None, ToolStatus::Error),
        ("error", Some("timeout"), ToolStatus::Timeout),
    ] {
        let records = metered(|_| {
            let span = rig_tool!();
            span.record("gen_ai.tool.name", "fetch");
            span.record("gen_ai.tool.call.outcome", outcome);
            kind.inspect(|kind| _ = span.record("gen_ai.tool.error.type", *kind));
        });
        assert_eq!(only_tool(&records).status, status, "{outcome}");
        assert_eq!(records[0].name, "execute_tool fetch");
    }
}

/// Where a span of the program's own is around it, rig speaks of its call there, whatever that span has declared.
#[test]
fn what_a_span_does_not_declare_is_unknown_and_neither_free_nor_failed() {
    let records = metered(|_| {
        let span =
            info_span!("answer", gen_ai.operation.name = "chat", gen_ai.request.model = "gpt-4o");
        span.record("gen_ai.response.model", "gpt-4o-2024-08-06");
        span.record("gen_ai.usage.input_tokens", 100_u64);
    });
    let call = only_call(&records);
    assert_eq!((call.model(), call.response_model.as_deref()), ("gpt-4o", None));
    assert_eq!((call.usage.as_ref(), call.error.as_ref()), (None, None));
}

/// As genai 0.7 declares the span of a chat.
fn genai_chat(stream: bool) -> Span {
    info_span!(
        target: "genai::otel::span",
        "genai.chat",
        "otel.name" = "chat gpt-4o-mini",
        "otel.kind" = "client",
        "otel.status_code" = Empty,
        "error.type" = Empty,
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = "openai",
        "gen_ai.request.model" = "gpt-4o-mini",
        "gen_ai.request.stream" = stream,
        "gen_ai.response.id" = Empty,
        "gen_ai.response.model" = Empty,
        "gen_ai.response.finish_reasons" = Empty,
        "gen_ai.usage.input_tokens" = Empty,
        "gen_ai.usage.output_tokens" = Empty,
        "gen_ai.usage.reasoning.output_tokens" = Empty,
        "gen_ai.response.time_to_first_chunk" = Empty,
        "gen_ai.output.messages" = Empty
    )
}

#[test]
fn a_stream_of_genai_is_open_as_long_as_it_is_read() {
    let records = metered(|clock| {
        let span = genai_chat(true);
        clock.pass(250);
        span.record("gen_ai.response.time_to_first_chunk", 0.25);
        clock.pass(750);
        span.record("gen_ai.response.finish_reasons", r#"["stop"]"#);
        span.record("gen_ai.usage.input_tokens", 12_i64);
        // Usage of a stream is told again as it grows.
        span.record("gen_ai.usage.output_tokens", 3_i64);
        span.record("gen_ai.usage.output_tokens", 30_i64);
    });
    let call = only_call(&records);
    assert_eq!((&*records[0].name, tokens(&records)), ("chat gpt-4o-mini", (12, 30)));
    assert_eq!(call.duration.map(|took| took.as_millis()), Some(1_000));
    assert_eq!(call.time_to_first_token.map(|first| first.as_millis()), Some(250));
    assert_eq!((call.streamed, call.finish_reason.as_deref()), (true, Some("stop")));
    assert_eq!(call.error, None);
}

#[test]
fn a_stream_of_genai_without_a_usage_is_unknown_and_neither_free_nor_failed() {
    let records = metered(|_| drop(genai_chat(true)));
    let call = only_call(&records);
    assert_eq!((call.usage.as_ref(), call.error.as_ref()), (None, None));
}

#[test]
fn an_error_of_genai_has_its_category() {
    let records = metered(|_| {
        let span = genai_chat(false);
        span.record("otel.status_code", "ERROR");
        span.record("error.type", "429");
    });
    let error = only_call(&records).error.clone();
    assert_eq!(error.map(|error| error.category), Some(ErrorCategory::RateLimit));
}

/// As langchain-rust 7 declares its spans.
fn langchain(failure: Option<&dyn Debug>) {
    let chain =
        info_span!(target: "langchain_rust::chain", "chain.call", chain = "qa", error = Empty);
    let _entered = chain.enter();
    let span = info_span!(
        target: "langchain_rust::observability",
        "llm.generate",
        provider = "openai",
        model = "gpt-4o-mini",
        stream = false,
        prompt_tokens = Empty,
        completion_tokens = Empty,
        total_tokens = Empty,
        tool_calls = Empty,
        error = Empty
    );
    match failure {
        Some(failure) => _ = span.record("error", tracing::field::debug(failure)),
        None => _ = span.record("prompt_tokens", 7_u64).record("completion_tokens", 3_u64),
    }
    drop(span);
    let tool =
        info_span!(target: "langchain_rust::agent", "tool.call", tool = "search", error = Empty);
    drop(tool);
}

#[test]
fn langchain_speaks_words_of_its_own() {
    let records = metered(|_| langchain(None));
    assert_eq!(tokens(&records), (7, 3));
    let call = only_call(&records);
    assert_eq!((call.provider.as_deref(), call.model()), (Some("openai"), "gpt-4o-mini"));
    assert_eq!(only_tool(&records).name, "search");

    let records = metered(|_| langchain(Some(&"429 Too Many Requests")));
    let error = only_call(&records).error.clone().expect("it failed");
    assert_eq!(error.category, ErrorCategory::RateLimit);
    assert_eq!(error.message, "429 Too Many Requests");
}

#[test]
fn an_agent_of_langchain_counts_its_calls_and_not_their_sum_again() {
    let records = metered(|_| {
        let agent = info_span!(
            target: "langchain_rust::agent",
            "agent.run",
            max_iterations = 5_u64,
            total_tokens = Empty,
            error = Empty
        );
        agent.in_scope(|| {
            info_span!(target: "langchain_rust::agent", "agent.plan", step = 1_u64)
                .in_scope(|| langchain(None));
            let model = "text-embedding-3-small";
            drop(info_span!(
                target: "langchain_rust::observability",
                "embed.query",
                provider = "openai",
                model,
                error = Empty
            ));
        });
        agent.record("total_tokens", 10_u64);
    });
    let [agent] = records.as_slice() else { panic!("{records:#?}") };
    assert_eq!((&*agent.name, tokens(&records)), ("agent.run", (7, 3)));
    let calls: Vec<_> = agent.llm_calls.iter().map(|call| (call.model(), &call.error)).collect();
    assert_eq!(calls, [("gpt-4o-mini", &None), ("text-embedding-3-small", &None)]);
    assert_eq!(agent.llm_calls[1].usage, None);
}

#[test]
fn swiftide_tells_the_time_of_its_calls_and_the_usage_in_an_event() {
    let program = |with_event: bool| {
        metered(|clock| {
            let agent = info_span!(target: "swiftide_agents::agent", "agent.query");
            let _agent = agent.enter();
            info_span!(target: "swiftide_integrations::openai::chat_completion", "complete")
                .in_scope(|| {
                    clock.pass(40);
                    if with_event {
                        event!(
                            target: "swiftide_integrations::openai::chat_completion",
                            Level::DEBUG,
                            langfuse.model = "gpt-4o",
                            langfuse.usage = r#"{"prompt_tokens":100,"completion_tokens":20}"#
                        );
                    }
                });
            drop(info_span!(target: "swiftide_agents::agent", "tool", "otel.name" = "tool.search"));
        })
    };
    let silent = program(false);
    assert_eq!(only_call(&silent).usage, None);
    assert_eq!(only_call(&silent).duration.map(|took| took.as_millis()), Some(40));
    assert_eq!((only_tool(&silent).name.as_str(), &*silent[0].name), ("search", "agent.query"));
    assert_eq!(tokens(&program(true)), (100, 20));
}

#[test]
fn adk_spells_its_usage_otherwise() {
    let records = metered(|_| {
        let span = info_span!(
            target: "adk_telemetry::spans",
            "gen_ai.generate",
            gen_ai.system = "gcp.gemini",
            gen_ai.request.model = "gemini-2.5-flash",
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read_tokens = Empty,
            gen_ai.usage.thinking_tokens = Empty
        );
        span.record("gen_ai.usage.input_tokens", 100_i64);
        span.record("gen_ai.usage.output_tokens", 20_i64);
        span.record("gen_ai.usage.cache_read_tokens", 60_i64);
        span.record("gen_ai.usage.thinking_tokens", 4_i64);
    });
    let usage = only_call(&records).usage.clone().expect("it is told");
    assert_eq!((usage.get(Unit::CacheRead), usage.get(Unit::Reasoning)), (60, 4));
    assert_eq!(tokens(&records), (100, 20));
}
