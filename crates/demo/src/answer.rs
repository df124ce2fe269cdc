//! What a question leads to.

use std::time::Duration;

use crate::chat::TokenCounts;
use crate::citations::Citation;

/// An answer, and what it rests on.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// The reply of the model, without citations that it made up.
    pub text: String,
    /// The passages it cites, in the order of the text; none when the documents do not answer the question.
    pub citations: Vec<Citation>,
    /// How the answer came about.
    pub metadata: AnswerMetadata,
}

/// How an answer came about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AnswerMetadata {
    /// The model that answered, by the server's own name for it where it gave one.
    pub model: String,
    /// Why the reply ended, such as `stop` or `length`.
    pub finish_reason: Option<String>,
    /// The tokens that the server counted, if it said.
    pub tokens: Option<TokenCounts>,
    /// Requests sent for this answer: one, and one more for each retry.
    pub attempts: u32,
    /// Passages that went into the prompt.
    pub passages: usize,
    /// Citations that were dropped because no passage has their number.
    pub invented_citations: usize,
    /// From sending the last request to the first piece of a streamed reply.
    pub first_token: Option<Duration>,
    /// From the question to the answer, waits included.
    pub elapsed: Duration,
}
