//! The keys under which records say what was assumed, estimated or missing when they were read from OTLP.

/// On a call: the provider's id of its reply.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// On a call: what was asked for, if not a chat: `embeddings`, `text_completion`.
pub const OPERATION: &str = "gen_ai.operation.name";
/// On an operation: the name of the agent that it is, if it is one.
pub const AGENT: &str = "gen_ai.agent.name";
/// On a call: why its input was read as without what is cached.
pub const INPUT_EXCLUSIVE: &str = "otlp.input_exclusive";
/// On a call: what of its usage was left out because it cannot be.
pub const USAGE_DOUBT: &str = "otlp.usage_doubt";
/// On a call: why its usage may be an estimate of the client.
pub const USAGE_ESTIMATED: &str = "otlp.usage_estimated";
/// On a call: where its usage was taken from, if not from its own span: `inner_call`, `agent`, `log`, `metrics`.
pub const USAGE_FROM: &str = "otlp.usage_from";
/// On a call from metrics: how many calls it stands for, where a metric tells.
pub const CALLS: &str = "otlp.calls";
/// On an operation: the convention of its span, such as `openinference`; left out for `gen_ai`, that of OpenTelemetry.
pub const CONVENTION: &str = "otlp.convention";
/// On an operation: the instrumentation that made its span.
pub const SCOPE: &str = "otlp.scope";
/// On an operation: how many attributes of its span were beyond the limit, and passed over.
pub const ATTRIBUTES_SKIPPED: &str = "otlp.attributes_skipped";
/// On an operation: its span ended before it began, so that its duration is not known.
pub const ENDS_BEFORE_START: &str = "otlp.ends_before_start";
/// On an operation: it arrived after the rest of its trace was closed.
pub const LATE: &str = "otlp.late";
/// On a tool call: the provider's id of the call.
pub const TOOL_CALL_ID: &str = "gen_ai.tool.call.id";
/// Tag of an operation: the service that sent it.
pub const SERVICE: &str = "service.name";
/// Tag of an operation: the environment in which its sender runs, such as `production`, by the name that programs give it
/// which tag their operations themselves.
pub const ENVIRONMENT: &str = "environment";
