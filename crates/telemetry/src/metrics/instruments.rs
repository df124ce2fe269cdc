//! The instruments that every finished operation is shown to.

use taximeter_models::{
    CostOutcome, Currency, ErrorCategory, LlmCall, Name, OperationRecord, Outcome, SpanId,
    ToolCall, Unit,
};

use super::bounds::{AGENT_SECONDS, CALLS, WORKFLOW_SECONDS};
use super::{Amount, DURATION_SECONDS, Exemplar, Family, Kind, Labels, Scale, TOKENS};
use crate::chunks::ChunkTimes;

/// The instruments of the GenAI conventions and ours; the table of the [module](super) names them.
///
/// ```
/// use std::time::Duration;
/// use taximeter_models::{OperationRecord, ToolCall, ToolStatus};
/// use taximeter_telemetry::metrics::Instruments;
/// use taximeter_telemetry::prometheus::{Format, render};
///
/// let mut operation = OperationRecord::new("agent");
/// operation.tool_calls.push(ToolCall::new("search", ToolStatus::Timeout).lasting(Duration::from_secs(3)));
///
/// let mut instruments = Instruments::default();
/// instruments.observe(&operation);
/// let text = render(instruments.families(), Format::Text);
/// assert!(text.contains(r#"gen_ai_execute_tool_duration_seconds_sum{error_type="timeout",gen_ai_tool_name="search"} 3"#));
/// ```
#[derive(Debug, Clone)]
pub struct Instruments {
    call_duration: Family,
    first_chunk: Family,
    output_chunk: Family,
    token_usage: Family,
    tool_duration: Family,
    agent_duration: Family,
    agent_llm_calls: Family,
    agent_tool_calls: Family,
    workflow_duration: Family,
    operation_duration: Family,
    component_duration: Family,
    tokens: Family,
    cost: Family,
    llm_calls: Family,
    tool_calls: Family,
    errors: Family,
}

impl Default for Instruments {
    fn default() -> Self {
        Self::with_limit(Family::LABEL_SETS)
    }
}

impl Instruments {
    /// Instruments that tell so many label sets apart each. Default: [`Family::LABEL_SETS`].
    pub fn with_limit(label_sets: usize) -> Self {
        let new = |name: &str, unit: &str, help: &str, kind, scale| {
            Family::new(name, unit, help, kind, scale).limit(label_sets)
        };
        let times = |name: &str, help: &str, bounds: &[f64]| {
            new(name, "s", help, Kind::Histogram(bounds.into()), Scale::Nanos)
        };
        let seconds = |name: &str, help: &str| times(name, help, &DURATION_SECONDS);
        let of_agent = |name: &str, unit: &str, help: &str| {
            new(name, unit, help, Kind::Histogram(CALLS.into()), Scale::Whole)
        };
        let counter =
            |name: &str, unit: &str, help: &str, scale| new(name, unit, help, Kind::Counter, scale);
        Self {
            call_duration: seconds(
                "gen_ai.client.operation.duration",
                "How long calls of LLMs took.",
            ),
            first_chunk: seconds(
                "gen_ai.client.operation.time_to_first_chunk",
                "How long the first part of a streamed reply took.",
            ),
            output_chunk: seconds(
                "gen_ai.client.operation.time_per_output_chunk",
                "How long each further part of a streamed reply was waited for.",
            ),
            token_usage: new(
                "gen_ai.client.token.usage",
                "{token}",
                "Tokens of each call that went in, cached ones included, and that came out.",
                Kind::Histogram(TOKENS.into()),
                Scale::Whole,
            ),
            tool_duration: seconds("gen_ai.execute_tool.duration", "How long calls of tools took."),
            agent_duration: times(
                "gen_ai.invoke_agent.duration",
                "How long agents ran.",
                &AGENT_SECONDS,
            ),
            agent_llm_calls: of_agent(
                "gen_ai.invoke_agent.inference_calls",
                "{inference_call}",
                "Calls of LLMs that an agent made in one run.",
            ),
            agent_tool_calls: of_agent(
                "gen_ai.invoke_agent.tool_calls",
                "{tool_call}",
                "Calls of tools that an agent made in one run.",
            ),
            workflow_duration: times(
                "gen_ai.invoke_workflow.duration",
                "How long operations took that are no agents.",
                &WORKFLOW_SECONDS,
            ),
            operation_duration: seconds(
                "taximeter.operation.duration",
                "How long operations took.",
            ),
            component_duration: seconds(
                "taximeter.component.duration",
                "How long components of operations took.",
            ),
            tokens: counter(
                "taximeter.tokens",
                "{token}",
                "Tokens by disjoint kind; reasoning, within output, is apart as reasoning_within_output.",
                Scale::Whole,
            ),
            cost: counter(
                "taximeter.cost",
                "USD",
                "What calls of LLMs cost as far as that is known.",
                Scale::Money,
            ),
            llm_calls: counter(
                "taximeter.llm_calls",
                "{call}",
                "Calls of LLMs by what became of their price.",
                Scale::Whole,
            ),
            tool_calls: counter(
                "taximeter.tool_calls",
                "{call}",
                "Calls of tools by status.",
                Scale::Whole,
            ),
            errors: counter(
                "taximeter.errors",
                "{error}",
                "Errors of operations by category.",
                Scale::Whole,
            ),
        }
    }

    /// Every metric.
    pub fn families(&self) -> impl Iterator<Item = &Family> {
        [
            &self.call_duration,
            &self.first_chunk,
            &self.output_chunk,
            &self.token_usage,
            &self.tool_duration,
            &self.agent_duration,
            &self.agent_llm_calls,
            &self.agent_tool_calls,
            &self.workflow_duration,
            &self.operation_duration,
            &self.component_duration,
            &self.tokens,
            &self.cost,
            &self.llm_calls,
            &self.tool_calls,
            &self.errors,
        ]
        .into_iter()
    }

    /// Counts a finished operation and all that it called.
    pub fn observe(&mut self, operation: &OperationRecord) {
        let exemplar = exemplar_of(operation);
        let labels = Labels::new([
            ("taximeter.operation", operation.name.as_str()),
            ("taximeter.outcome", operation.outcome.as_str()),
        ]);
        self.operation_duration.record(&labels, Amount::time(operation.duration), exemplar);
        self.observe_as_convention(operation, exemplar);
        for timing in &operation.components {
            let labels = Labels::new([
                ("taximeter.operation", operation.name.as_str()),
                ("taximeter.component", timing.name.as_str()),
            ]);
            self.component_duration.record(&labels, Amount::time(timing.duration), exemplar);
        }
        for error in &operation.errors {
            let labels = Labels::new([
                ("taximeter.operation", operation.name.as_str()),
                ("error.type", error.category.as_str()),
            ]);
            self.errors.record(&labels, Amount::whole(1), exemplar);
        }
        for call in &operation.tool_calls {
            self.observe_tool(call, exemplar);
        }
        for call in &operation.llm_calls {
            self.observe_llm(call, exemplar);
        }
    }

    /// An operation is an agent if it says so, else a workflow.
    fn observe_as_convention(&mut self, operation: &OperationRecord, exemplar: Option<Exemplar>) {
        let took = Amount::time(operation.duration);
        let error = (operation.outcome == Outcome::Failure)
            .then(|| operation.errors.first().map_or("_OTHER", |error| error.category.as_str()));
        let failed = |labels: &Labels| {
            error.map_or(labels.clone(), |error| labels.clone().with("error.type", error))
        };
        let Some(agent) = agent_name(operation) else {
            let labels = Labels::new([("gen_ai.workflow.name", operation.name.as_str())]);
            return self.workflow_duration.record(&failed(&labels), took, exemplar);
        };
        let labels = Labels::new([("gen_ai.agent.name", agent)]);
        self.agent_duration.record(&failed(&labels), took, exemplar);
        let count = |calls: usize| Amount::whole(calls as u64);
        self.agent_llm_calls.record(&labels, count(operation.llm_calls.len()), exemplar);
        self.agent_tool_calls.record(&labels, count(operation.tool_calls.len()), exemplar);
    }

    fn observe_tool(&mut self, call: &ToolCall, exemplar: Option<Exemplar>) {
        let named = Labels::new([("gen_ai.tool.name", call.name.as_str())]);
        let status = named.clone().with("taximeter.status", call.status.as_str());
        self.tool_calls.record(&status, Amount::whole(1), exemplar);
        if let Some(took) = call.duration {
            let error = call.error_category().map(ErrorCategory::as_str);
            // The conventions ask for an error's type wherever there was one, known or not.
            let error = error.or((!call.is_success()).then_some("_OTHER"));
            let labels = error.map_or(named.clone(), |error| named.with("error.type", error));
            self.tool_duration.record(&labels, Amount::time(took), exemplar);
        }
    }

    fn observe_llm(&mut self, call: &LlmCall, exemplar: Option<Exemplar>) {
        let who = who(call);
        let by_convention = who.clone().with("gen_ai.operation.name", convention_name(call));
        if let Some(took) = call.duration {
            let mut labels = by_convention.clone();
            if let Some(error) = &call.error {
                labels.put("error.type", error.category.as_str());
            }
            self.call_duration.record(&labels, Amount::time(took), exemplar);
        }
        if let Some(first) = call.time_to_first_token {
            self.first_chunk.record(&by_convention, Amount::time(first), exemplar);
        }
        if let Some(times) = ChunkTimes::of(call) {
            self.output_chunk.record_counted(
                &by_convention,
                &times.buckets,
                Amount::time(times.sum),
            );
        }
        if let Some(usage) = &call.usage {
            for (kind, tokens) in
                [("input", usage.input_tokens()), ("output", usage.output_tokens())]
            {
                let labels = by_convention.clone().with("gen_ai.token.type", kind);
                self.token_usage.record(&labels, Amount::whole(tokens), exemplar);
            }
            for (unit, quantity) in usage.iter().filter(|(unit, _)| is_tokens(*unit)) {
                let labels = who.clone().with("taximeter.unit", unit_name(unit));
                self.tokens.record(&labels, Amount::whole(quantity), exemplar);
            }
        }
        let price = who.clone().with("taximeter.price", price_word(&call.cost));
        self.llm_calls.record(&price, Amount::whole(1), exemplar);
        if let Some((money, Currency::USD)) = call.cost.amount() {
            let basis = if call.cost.is_estimated() { "estimated" } else { "exact" };
            let labels = who.with("taximeter.basis", basis);
            self.cost.record(&labels, Amount::money(money), exemplar);
        }
    }
}

/// The name of the agent that an operation is, if it is one.
fn agent_name(operation: &OperationRecord) -> Option<&str> {
    operation.metadata.get("gen_ai.agent.name")?.as_str().filter(|name| !name.is_empty())
}

/// The trace of an operation; none where it belongs to none.
fn exemplar_of(operation: &OperationRecord) -> Option<Exemplar> {
    let span_id = operation.id.span_id();
    (operation.trace_id.bits() != 0 && span_id != SpanId::default()).then(|| Exemplar {
        amount: Amount::default(),
        trace_id: operation.trace_id,
        span_id,
        at: operation.ended_at(),
    })
}

fn who(call: &LlmCall) -> Labels {
    let named = |name: &'static str, value: &Option<Name>| value.clone().map(|value| (name, value));
    let labels = [
        named("gen_ai.provider.name", &call.provider),
        named("gen_ai.request.model", &call.request_model),
        named("gen_ai.response.model", &call.response_model),
    ];
    Labels::new(labels.into_iter().flatten())
}

fn convention_name(call: &LlmCall) -> &str {
    const NAME: &str = "gen_ai.operation.name";
    call.metadata.get(NAME).and_then(|value| value.as_str()).unwrap_or("chat")
}

fn is_tokens(unit: Unit) -> bool {
    unit.is_input_tokens() || unit.is_output_tokens() || unit == Unit::Reasoning
}

/// A sum over all kinds would count reasoning twice, so its name says where it is.
fn unit_name(unit: Unit) -> &'static str {
    if unit == Unit::Reasoning { "reasoning_within_output" } else { unit.as_str() }
}

/// What another currency costs is in no sum of dollars, so it is told apart from what is priced.
fn price_word(cost: &CostOutcome) -> &'static str {
    match cost.amount() {
        Some((_, currency)) if currency != Currency::USD => "other_currency",
        _ => cost.as_str(),
    }
}
