//! A real RAG application, metered, and a stand-in for the model that it asks.
//!
//! [`RagApp`] answers questions about a folder of Markdown files. A question goes this way:
//!
//! 1. `documents` reads the files and `passages` cuts them; `vectors` embeds and indexes the pieces.
//! 2. [`RagApp::ask`] checks the question, finds the best passages, and `prompt` numbers them.
//! 3. `chat` sends the prompt to an OpenAI-compatible server, plain or streamed, and tries again where that helps.
//! 4. `citations` ties the `[n]` of the reply to passages, and the reply becomes an [`Answer`].
//!
//! All of it is metered: opening is the operation `chain_initialisation`, each question is a `qa_response`, and their
//! steps are its components, with one tool call for the search and one LLM call for each attempt.
//!
//! [`StandIn`] is such a server for when there is no real one. It listens on the loopback, answers out of the passages
//! it is sent, counts tokens with a real tokenizer, fails as often as it is told to, and keeps its own books
//! ([`StandIn::served`]), so that what was metered can be compared with what was served.
//!
//! ```
//! use taximeter::Meter;
//! use taximeter_demo::{RagApp, RagConfig, StandIn, StandInConfig};
//!
//! let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/library");
//! let stand_in = StandIn::start(StandInConfig::default())?;
//! let meter = Meter::builder().build()?;
//! let app = RagApp::open(RagConfig::for_stand_in(docs, &stand_in), meter.clone())?;
//! let answer = app.ask("How does a prompt cache lower the price?")?;
//! assert!(!answer.citations.is_empty());
//!
//! let totals = meter.totals();
//! assert_eq!(totals.usage.input_tokens(), stand_in.served().tokens.prompt);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use answer::{Answer, AnswerMetadata};
pub use app::RagApp;
pub use chat::TokenCounts;
pub use citations::Citation;
pub use config::{ApiKey, RagConfig, RetryPolicy};
pub use documents::{Document, Heading};
pub use error::RagError;
pub use questions::{Question, questions};
pub use stand_in::{FaultRates, Served, ServedTokens, StandIn, StandInConfig};

mod answer;
mod app;
mod chat;
mod citations;
mod config;
mod documents;
mod error;
mod passages;
mod prompt;
mod questions;
mod sentences;
mod stand_in;
mod vectors;
