//! What went wrong, from an error's type, its message, an HTTP status or the status of a span.

use taximeter_models::{ErrorCategory, ErrorRecord};

use super::alias::Field;
use super::limits::cut;
use super::slots::Slots;

/// The error that a span tells of; none where it tells of none.
pub(crate) fn failure(
    slots: &Slots<'_>,
    failed: bool,
    status_message: &str,
    most: usize,
) -> Option<ErrorRecord> {
    let kind = slots.text(Field::ErrorType);
    let said_so = failed
        || kind.is_some()
        || slots.text(Field::Level) == Some("ERROR")
        || slots.flag(Field::Success) == Some(false)
        || matches!(slots.text(Field::ToolOutcome), Some("error" | "denied"));
    if !said_so {
        return None;
    }
    let message = slots
        .text(Field::ErrorMessage)
        .or(Some(status_message).filter(|message| !message.is_empty()))
        .or(kind)
        .unwrap_or("it failed, and nothing more was said");
    let status = slots.get(Field::StatusCode).and_then(|status| status.count().ok());
    let category = category(kind, status, message, status_message);
    let mut record = ErrorRecord::new(category, cut(message, most));
    if let Some(kind) = kind.filter(|kind| *kind != message) {
        record.causes.push(cut(kind, most).to_owned());
    }
    Some(record)
}

/// By what is most exact: the HTTP status, the type as a provider's code or as words, then what the messages say.
fn category(
    kind: Option<&str>,
    status: Option<u64>,
    message: &str,
    status_message: &str,
) -> ErrorCategory {
    let of_status = |status: u64| ErrorCategory::from_http_status(u16::try_from(status).ok()?);
    // The type may be qualified: `openai.RateLimitError`.
    let kind = kind.map(|kind| kind.rsplit(['.', ':']).next().unwrap_or(kind));
    let by_message = [message, status_message].map(ErrorCategory::from_message);
    // A message with a code in it is more exact than a type that says no more than `invalid request`.
    kind.and_then(|kind| kind.parse().ok())
        .or(status)
        .and_then(of_status)
        .or_else(|| {
            kind.and_then(ErrorCategory::from_provider_code).filter(|category| is_exact(*category))
        })
        .into_iter()
        .chain(by_message)
        .chain(kind.map(|kind| ErrorCategory::from_message(&words(kind))))
        .find(|category| *category != ErrorCategory::Unknown)
        .unwrap_or_default()
}

/// Whether a category found by a type needs no second opinion of the message.
fn is_exact(category: ErrorCategory) -> bool {
    !matches!(category, ErrorCategory::Validation | ErrorCategory::Unknown)
}

/// `APIConnectionError` as words: `api connection error`.
fn words(kind: &str) -> String {
    let mut words = String::with_capacity(kind.len() + 8);
    let mut previous = ' ';
    for (at, c) in kind.char_indices() {
        let next_is_small = kind[at + c.len_utf8()..].starts_with(|next: char| next.is_lowercase());
        if c.is_uppercase() && at > 0 && (previous.is_lowercase() || next_is_small) {
            words.push(' ');
        }
        words.extend(if c == '_' { ' ' } else { c }.to_lowercase());
        previous = c;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: &str, message: &str, expected: ErrorCategory) {
        let kind = Some(kind).filter(|kind| !kind.is_empty());
        assert_eq!(category(kind, None, message, ""), expected, "{kind:?} {message:?}");
    }

    #[test]
    fn real_types_and_messages() {
        check("429", "", ErrorCategory::RateLimit);
        check("openai.RateLimitError", "slow down", ErrorCategory::RateLimit);
        check("APIConnectionError", "Connection error.", ErrorCategory::Network);
        check("APITimeoutError", "", ErrorCategory::Timeout);
        check("InternalServerError", "Error code: 500 - boom", ErrorCategory::Server);
        check("AuthenticationError", "Error code: 401 - bad key", ErrorCategory::Authentication);
        check("AI_APICallError", "Error code: 429", ErrorCategory::RateLimit);
        check("_OTHER", "something", ErrorCategory::Unknown);
        check("", "boom", ErrorCategory::Unknown);
    }
}
