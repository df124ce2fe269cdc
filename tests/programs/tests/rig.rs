//! An agent on rig 0.44 with tools, metered by the layer alone.

mod support;

use std::fmt;

use futures_util::StreamExt;
use rig_agent::prelude::*;
use rig_agent::tool::ToolContext;
use rig_core::completion::CompletionRequest;
use rig_core::providers::openai::OpenAIConfig;
use serde::Deserialize;
use serde_json::{Value, json};
use support::{records, run, sums};
use taximeter::ToolStatus;
use tracing::{Instrument, info_span};

#[derive(Deserialize)]
struct Numbers {
    a: i64,
    b: i64,
}

#[derive(Debug)]
struct Overflow;

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sum is too large")
    }
}

impl std::error::Error for Overflow {}

/// Adds numbers, or fails to.
struct Add {
    fails: bool,
}

impl Tool for Add {
    const NAME: &'static str = "add";
    type Args = Numbers;
    type Output = i64;
    type Error = Overflow;

    fn description(&self) -> String {
        "Adds two numbers".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        })
    }

    async fn call(&self, _: &mut ToolContext, numbers: Numbers) -> Result<i64, Overflow> {
        if self.fails { Err(Overflow) } else { Ok(numbers.a + numbers.b) }
    }
}

fn agent(base_url: &str, model: &str, fails: bool) -> Agent {
    let openai = OpenAIConfig::new("sk-stand-in").with_base_url(base_url).client();
    AgentBuilder::new(openai.chat(model)).name("adder").tool(Add { fails }).build()
}

#[test]
fn an_agent_sums_up_to_what_was_served() {
    let (meter, served) = run(|_, base_url| async move {
        let agent = agent(&base_url, "tools", false);
        let answer = agent.prompt("What is 40 + 2?").max_turns(3).await.expect("it is served");
        assert_eq!(answer.output(), "It is 42.");
    });
    assert_eq!((served.requests, served.answered, served.tool_calls), (2, 2, 1));
    assert_eq!(sums(&meter), served);
    // `invoke_agent` repeats the sum of its turns, and is one operation with them.
    let records = records(&meter);
    assert_eq!(records.len(), 1, "{records:#?}");
    assert_eq!(records[0].name, "invoke_agent adder");
    assert_eq!(records[0].tool_calls[0].status, ToolStatus::Success);
}

#[test]
fn an_agent_within_a_request_is_part_of_it() {
    let (meter, served) = run(|_, base_url| async move {
        let agent = agent(&base_url, "tools", false);
        // The agent takes the span in which `prompt` is called as its own.
        async { agent.prompt("What is 40 + 2?").max_turns(3).await.expect("it is served") }
            .instrument(info_span!("POST /answer"))
            .await;
    });
    assert_eq!(sums(&meter), served);
    let records = records(&meter);
    assert_eq!((records.len(), &*records[0].name), (1, "POST /answer"));
    assert_eq!((records[0].llm_calls.len(), records[0].tool_calls.len()), (2, 1));
}

#[test]
fn a_streamed_agent_sums_up_to_what_was_served() {
    let (meter, served) = run(|_, base_url| async move {
        let agent = agent(&base_url, "tools", false);
        let mut stream = agent.prompt("What is 40 + 2?").max_turns(3).stream();
        while let Some(item) = stream.next().await {
            item.expect("it is served");
        }
    });
    assert_eq!((served.requests, served.answered, served.tool_calls), (2, 2, 1));
    assert_eq!(sums(&meter), served);
    assert!(records(&meter)[0].llm_calls.iter().all(|call| call.streamed));
}

#[test]
fn a_tool_that_fails_is_an_error_and_the_run_goes_on() {
    let (meter, served) = run(|_, base_url| async move {
        let agent = agent(&base_url, "tools", true);
        agent.prompt("What is 40 + 2?").max_turns(3).await.expect("the model is told");
    });
    assert_eq!(served.requests, 2);
    assert_eq!(sums(&meter), served);
    assert_eq!(records(&meter)[0].tool_calls[0].status, ToolStatus::Error);
}

#[test]
fn refusals_and_servers_that_are_not_there_are_failures() {
    let (meter, served) = run(|_, base_url| async move {
        for model in ["busy", "broken"] {
            agent(&base_url, model, false).prompt("?").await.expect_err("it is refused");
        }
    });
    assert_eq!((served.requests, served.refused), (2, 2));
    assert_eq!(sums(&meter), served);

    let (meter, _) = run(|_, _| async {
        agent("http://127.0.0.1:1/v1", "gpt-4o", false).prompt("?").await.expect_err("nobody");
    });
    assert_eq!(sums(&meter).refused, 1);
}

#[test]
fn a_model_without_an_agent_and_a_reply_without_a_usage() {
    let (meter, served) = run(|_, base_url| async move {
        let openai = OpenAIConfig::new("sk-stand-in").with_base_url(base_url).client();
        for model in ["gpt-4o-mini", "silent"] {
            openai.chat(model).call(CompletionRequest::new("?")).await.expect("it is served");
        }
    });
    assert_eq!((served.answered, served.silent), (1, 1));
    assert_eq!(sums(&meter), served);
}
