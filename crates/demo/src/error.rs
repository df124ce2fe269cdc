//! What can go wrong between a question and its answer.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the application could not be opened, or a question not answered.
///
/// Causes are kept: [`source`](std::error::Error::source) leads to the error of the file system, the HTTP client or the
/// JSON parser. The API key is in none of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RagError {
    /// The question holds nothing but white space.
    #[error("the question is empty")]
    EmptyQuestion,

    /// The question is longer than [`RagConfig::max_question_chars`](crate::RagConfig::max_question_chars).
    #[error("the question has {length} characters, and {limit} are allowed")]
    QuestionTooLong {
        /// Its length in characters.
        length: usize,
        /// The limit in force.
        limit: usize,
    },

    /// The folder holds no Markdown file with text in it.
    #[error("no Markdown text in {}", dir.display())]
    NoDocuments {
        /// The folder.
        dir: PathBuf,
    },

    /// A file or folder could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },

    /// The model's server refused, or failed.
    #[error("the model's server answered {status}: {message}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// The provider's own code, such as `rate_limit_exceeded`.
        code: Option<String>,
        /// The provider's message, without the API key should it have been echoed.
        message: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },

    /// The reply was not complete in time.
    #[error("no complete reply within {} ms", limit.as_millis())]
    Timeout {
        /// The time that was allowed.
        limit: Duration,
        /// What the HTTP client was waiting for.
        source: ureq::Error,
    },

    /// The server could not be reached, or the connection broke.
    #[error("the connection to the model's server failed")]
    Transport {
        /// What the HTTP client said.
        source: ureq::Error,
    },

    /// The reply is not the JSON that it should be.
    #[error("the reply of the model's server is malformed")]
    Malformed {
        /// Where the parser stopped.
        source: serde_json::Error,
    },

    /// The reply is well-formed, and yet lacks what an answer needs.
    #[error("the reply of the model's server is incomplete: {missing}")]
    Incomplete {
        /// What is not there.
        missing: &'static str,
    },
}

impl RagError {
    /// Whether the same request may well succeed a moment later: rate limits, server errors and timeouts.
    ///
    /// A malformed reply is not retried: its tokens were spent, and a proxy that cuts one reply cuts the next.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500..=599),
            Self::Timeout { .. } => true,
            _ => false,
        }
    }

    /// Whether the question itself was turned down, before anything was asked of the model.
    pub fn is_invalid_question(&self) -> bool {
        matches!(self, Self::EmptyQuestion | Self::QuestionTooLong { .. })
    }

    /// How long the server asked to wait, if it did.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Sorts an error of the HTTP client into "too late" and everything else.
    pub(crate) fn from_http(source: ureq::Error, limit: Duration) -> Self {
        let late = match &source {
            ureq::Error::Timeout(_) => true,
            ureq::Error::Io(io) => io.kind() == io::ErrorKind::TimedOut,
            _ => false,
        };
        if late { Self::Timeout { limit, source } } else { Self::Transport { source } }
    }
}
