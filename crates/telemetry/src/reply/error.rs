//! What went wrong, out of the body and the status of a reply that failed, or out of an event of a streamed one.

use serde_json::Value;
use taximeter_models::{ErrorCategory, ErrorRecord};

use super::part::{Part, head};

/// A message is for people; some proxies send a whole page.
const MOST_MESSAGE_BYTES: usize = 2_000;

/// Reads a reply that failed, by its HTTP status, by the code in its headers (`x-amzn-errortype`) and by its body.
///
/// The narrowest of these decides: a code that is known, what the message says where the code only says that the
/// request was wrong or the server failed, then the status.
///
/// ```
/// use taximeter_models::ErrorCategory;
/// use taximeter_telemetry::reply;
///
/// let body = br#"{"type":"error","error":{"type":"invalid_request_error",
///     "message":"prompt is too long: 210000 tokens > 200000 maximum"}}"#;
/// assert_eq!(reply::error(400, None, body).category, ErrorCategory::ContextLength);
///
/// let throttled = reply::error(400, Some("ThrottlingException:http://internal.amazon.com/"), b"{}");
/// assert_eq!(throttled.category, ErrorCategory::RateLimit);
/// assert_eq!(throttled.message, "HTTP status 400");
///
/// // What says nothing is known by its status alone.
/// assert_eq!(reply::error(503, None, b"<html>").category, ErrorCategory::Server);
/// ```
pub fn error(status: u16, code: Option<&str>, body: &[u8]) -> ErrorRecord {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    // Gemini sends a list where a streamed reply was asked for.
    let json = json.get(0).unwrap_or(&json);
    let found = Found::in_reply(Part::of(json));
    let codes = code.into_iter().chain(found.codes.iter().map(String::as_str));
    let said = found.message.unwrap_or_default();
    let by_status = ErrorCategory::from_http_status(status);
    let category = category(codes, said, by_status);
    let message =
        if said.is_empty() { format!("HTTP status {status}") } else { cut(said).to_owned() };
    ErrorRecord::new(category, message)
}

/// The error that stands in a reply or in an event of one, if there is one.
pub(super) fn said(event: Part<'_>) -> Option<ErrorRecord> {
    let choice = event.at("choices").list().iter().map(|choice| Part::of(choice).at("error"));
    let is_event = event.at("type").text() == Some("error");
    let places = [event.at("error"), event.at("response").at("error")];
    let place = places.into_iter().chain(choice).find(|error| error.is_there());
    let found = match place {
        Some(error) => Found::of(error),
        None if is_event => Found::of(event),
        None => return None,
    };
    let message = found.message.unwrap_or("the reply holds an error");
    let category = category(found.codes.iter().map(String::as_str), message, None);
    Some(ErrorRecord::new(category, cut(message)))
}

fn cut(message: &str) -> &str {
    head(message.trim(), MOST_MESSAGE_BYTES)
}

/// What an error says of itself.
#[derive(Debug, Default)]
struct Found<'v> {
    /// Its codes and types, the narrowest first.
    codes: Vec<String>,
    message: Option<&'v str>,
}

impl<'v> Found<'v> {
    /// Looks for the error in a body: in its `error`, or as AWS and some gateways have it, at its top.
    fn in_reply(body: Part<'v>) -> Self {
        let error = body.at("error");
        let mut found = if error.is_there() { Self::of(error) } else { Self::default() };
        let top = Self::of(body);
        found.codes.extend(top.codes);
        found.message = found.message.or(top.message);
        found
    }

    fn of(error: Part<'v>) -> Self {
        let reasons = error.at("details").list().iter().map(|detail| Part::of(detail).at("reason"));
        let codes = [
            error.at("innererror").at("code"),
            error.at("code"),
            error.at("type"),
            error.at("status"),
            error.at("__type"),
        ];
        let codes = reasons.chain(codes).filter_map(|code| match code.value()? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
        let messages = [error.at("message"), error.at("Message"), error.at("detail"), error];
        Self { codes: codes.collect(), message: messages.into_iter().find_map(Part::text) }
    }
}

fn category<'c>(
    codes: impl Iterator<Item = &'c str>,
    message: &str,
    by_status: Option<ErrorCategory>,
) -> ErrorCategory {
    let known: Vec<_> = codes.filter_map(of_code).collect();
    let narrow = known.iter().copied().find(|category| !is_wide(*category));
    let by_message = ErrorCategory::from_message(message);
    let tells_why = matches!(
        by_message,
        ErrorCategory::ContextLength
            | ErrorCategory::ContentFilter
            | ErrorCategory::Quota
            | ErrorCategory::Authentication
    );
    narrow
        .or(tells_why.then_some(by_message))
        .or_else(|| by_status.filter(|category| !is_wide(*category)))
        .or(known.first().copied())
        .or(by_status)
        .unwrap_or(by_message)
}

/// Whether a category says no more than that the request was wrong or that the server failed.
const fn is_wide(category: ErrorCategory) -> bool {
    matches!(category, ErrorCategory::Validation | ErrorCategory::Server | ErrorCategory::Unknown)
}

/// A provider's code, or a status in its place. AWS puts a namespace before its codes and an address behind them.
fn of_code(code: &str) -> Option<ErrorCategory> {
    let code = code.split(':').next().unwrap_or(code);
    let code = code.rsplit('#').next().unwrap_or(code);
    match code.parse() {
        Ok(status) => ErrorCategory::from_http_status(status),
        Err(_) => ErrorCategory::from_provider_code(code),
    }
}
