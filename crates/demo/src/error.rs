//! What can go wrong between a question and its answer.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use taximeter::{ErrorCategory, ErrorRecord};

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
    /// A used-up quota comes as a 429 too, and no waiting helps. A malformed reply is not retried: its tokens were spent, and a proxy that cuts one reply cuts the next.
    pub fn is_transient(&self) -> bool {
        use ErrorCategory::{RateLimit, Server, Timeout};
        matches!(self.category(), RateLimit | Server | Timeout)
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

    /// The kind of failure, as the meter counts it.
    pub fn category(&self) -> ErrorCategory {
        match self {
            Self::EmptyQuestion | Self::QuestionTooLong { .. } => ErrorCategory::Validation,
            Self::NoDocuments { .. } => ErrorCategory::NotFound,
            Self::Read { source, .. } => ErrorCategory::from_io_kind(source.kind()),
            Self::Status { status, code, .. } => refusal(*status, code.as_deref()),
            Self::Timeout { .. } => ErrorCategory::Timeout,
            Self::Transport { .. } => ErrorCategory::Network,
            Self::Malformed { .. } | Self::Incomplete { .. } => ErrorCategory::Parse,
        }
    }

    /// The error as it is recorded: what the meter would find in the chain of causes, with the category that is known.
    pub(crate) fn as_record(&self) -> ErrorRecord {
        let mut record = ErrorRecord::of(self);
        record.category = self.category();
        record
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

/// A status says most of it; where it stands for several things, the provider's code tells them apart.
fn refusal(status: u16, code: Option<&str>) -> ErrorCategory {
    let by_status = ErrorCategory::from_http_status(status);
    let by_code = code.and_then(ErrorCategory::from_provider_code);
    let category = match by_status {
        None | Some(ErrorCategory::Validation | ErrorCategory::RateLimit) => by_code.or(by_status),
        clear => clear,
    };
    // A server that streams an error under a status of 200 has failed, whatever it calls that.
    category.unwrap_or(ErrorCategory::Server)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart_by_status_and_code() {
        for (status, code, category, transient) in [
            (429, Some("rate_limit_exceeded"), ErrorCategory::RateLimit, true),
            (429, Some("requests"), ErrorCategory::RateLimit, true),
            (429, Some("insufficient_quota"), ErrorCategory::Quota, false),
            (401, Some("invalid_request_error"), ErrorCategory::Authentication, false),
            (400, Some("context_length_exceeded"), ErrorCategory::ContextLength, false),
            (404, Some("model_not_found"), ErrorCategory::NotFound, false),
            (500, Some("server_error"), ErrorCategory::Server, true),
            (504, Some("timeout"), ErrorCategory::Timeout, true),
            (200, Some("503"), ErrorCategory::Server, true),
        ] {
            let code = code.map(str::to_owned);
            let error =
                RagError::Status { status, code, message: String::new(), retry_after: None };
            assert_eq!(
                (error.category(), error.is_transient()),
                (category, transient),
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_record_keeps_the_causes() {
        let source = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = RagError::Read { path: PathBuf::from("docs/a.md"), source };
        let record = error.as_record();
        assert_eq!(record.category, ErrorCategory::Authorization);
        assert_eq!((record.message.as_str(), record.causes.len()), ("cannot read docs/a.md", 1));
    }
}
