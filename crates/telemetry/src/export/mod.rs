//! OTLP out: operations as spans of the GenAI conventions, metrics as their points, encoded as requests.
//!
//! What comes out is the body of a `POST` to `/v1/traces` or `/v1/metrics`, in protobuf, or by choice in JSON ([`Encoding`]);
//! who sends it, and how often, is not the business of this room. A receiver of taximeter's makes the same operations of it again.
//!
//! | What | Span | Kind |
//! |---|---|---|
//! | an operation | `invoke_workflow {name}`, with `gen_ai.workflow.name` | internal |
//! | a call of an LLM | `{gen_ai.operation.name} {model}`, such as `chat gpt-4o` | client |
//! | a call of a tool | `execute_tool {name}` | internal |
//! | a component that began at a known time | its name | internal |
//!
//! The attributes are those of the semantic conventions v1.41, or by choice those of v1.36 ([`Convention`]). Content is not
//! among them, since taximeter keeps none. What no convention has a name for stands in `taximeter.more`, as JSON.
//!
//! ```
//! use chrono::Utc;
//! use taximeter_models::{LlmCall, OperationRecord, TokenUsage};
//! use taximeter_telemetry::export::{Convention, Resource, traces};
//! use taximeter_telemetry::otlp::{Receiver, Request, Settings};
//!
//! let mut answer = OperationRecord::new("answer");
//! answer.id = "0193a1b2-c3d4-7abc-8def-0123456789ab".parse()?;
//! answer.trace_id = answer.id.into();
//! answer.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(1_200, 350)));
//! let body = traces(&[answer.clone()], &Resource::named("app"), Convention::Current).expect("there is one");
//!
//! let receiver = Receiver::new(Settings::default(), Utc::now());
//! let request = Request {
//!     method: "POST",
//!     path: "/v1/traces",
//!     content_type: Some("application/x-protobuf"),
//!     content_encoding: None,
//!     body: &body,
//! };
//! assert_eq!(receiver.handle(&request, Utc::now()).status, 200);
//! let back = receiver.take(Utc::now() + chrono::TimeDelta::hours(1));
//! assert_eq!((back[0].id, &back[0].llm_calls), (answer.id, &answer.llm_calls));
//!
//! assert_eq!(traces(&[], &Resource::named("app"), Convention::Current), None); // nothing is no request
//! # Ok::<(), taximeter_models::ParseIdError>(())
//! ```

mod attributes;
mod encoding;
mod partial;
mod points;
mod resource;
mod spans;

pub use encoding::Encoding;
pub use partial::Partial;
pub use points::{metrics, metrics_as};
pub use resource::Resource;
pub use spans::{Convention, traces, traces_as};
