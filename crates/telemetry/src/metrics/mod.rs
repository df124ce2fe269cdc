//! Metrics out of finished operations: the instruments of the GenAI conventions, and ours beside them.
//!
//! [`Instruments`] takes records, one after the other, and keeps sums: what it holds is bounded by the number of label
//! sets, whatever is recorded. Exporters read [`Family`]s and know nothing of operations.
//!
//! | Metric | Kind, unit | Labels |
//! |---|---|---|
//! | `gen_ai.client.operation.duration` | histogram, s | `gen_ai.operation.name`, `gen_ai.provider.name`, `gen_ai.request.model`, `gen_ai.response.model`, `error.type` |
//! | `gen_ai.client.operation.time_to_first_chunk` | histogram, s | the same without `error.type` |
//! | `gen_ai.client.operation.time_per_output_chunk` | histogram, s | the same without `error.type` |
//! | `gen_ai.client.token.usage` | histogram, tokens | the same without `error.type`, and `gen_ai.token.type`: `input` or `output` |
//! | `gen_ai.execute_tool.duration` | histogram, s | `gen_ai.tool.name`, `error.type` |
//! | `gen_ai.invoke_agent.duration` | histogram, s | `gen_ai.agent.name`, `error.type` |
//! | `gen_ai.invoke_agent.inference_calls`, `gen_ai.invoke_agent.tool_calls` | histogram, calls | `gen_ai.agent.name` |
//! | `gen_ai.invoke_workflow.duration` | histogram, s | `gen_ai.workflow.name`, `error.type` |
//! | `taximeter.operation.duration` | histogram, s | `taximeter.operation`, `taximeter.outcome` |
//! | `taximeter.component.duration` | histogram, s | `taximeter.operation`, `taximeter.component` |
//! | `taximeter.tokens` | counter, tokens | provider and models, `taximeter.unit`: disjoint buckets such as `cache_read` |
//! | `taximeter.cost` | counter, USD | provider and models, `taximeter.basis`: `exact` or `estimated` |
//! | `taximeter.llm_calls` | counter, calls | provider and models, `taximeter.price`: what became of its price, such as `unknown_model` |
//! | `taximeter.tool_calls` | counter, calls | `gen_ai.tool.name`, `taximeter.status` |
//! | `taximeter.errors` | counter, errors | `taximeter.operation`, `error.type` |
//! | `taximeter.collected` | gauge, operations | `taximeter.what`: what the collector counted, such as `queue_full` |
//!
//! Names, units and boundaries of those that begin with `gen_ai.` are those of the OpenTelemetry semantic conventions for
//! generative AI: of v1.41, and those of tools, agents and workflows of their successor. A cost that is not known is in no
//! sum: the call counts in `taximeter.llm_calls` under the reason. A call's `gen_ai.operation.name` is its metadata of that
//! name, or `chat`. An operation with the metadata `gen_ai.agent.name` is an agent, any other one a workflow. How far the
//! parts of a reply were apart is known where `reply::Accumulator` read it as it came, as HTTP clients are metered.

mod bounds;
mod collected;
mod family;
mod instruments;
mod labels;
mod registry;

pub use bounds::{DURATION_SECONDS, TOKENS};
pub use collected::{collected, target};
pub use family::{Amount, Exemplar, Family, Histogram, Kind, Point, Scale};
pub use instruments::Instruments;
pub use labels::Labels;
pub use registry::{Counter, Distribution, Gauge, MetricError, Registry};
