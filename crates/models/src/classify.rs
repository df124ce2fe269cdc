//! Finding the category of an error: from an HTTP status, an I/O kind, a provider's code, a chain of causes.

use std::error::Error;
use std::io;

use crate::ErrorCategory;
use crate::error::{Categorized, MOST_CAUSES};

impl ErrorCategory {
    /// The category of an HTTP status; none for those that are no error.
    ///
    /// ```
    /// use taximeter_models::ErrorCategory;
    ///
    /// assert_eq!(ErrorCategory::from_http_status(429), Some(ErrorCategory::RateLimit));
    /// assert_eq!(ErrorCategory::from_http_status(200), None);
    /// ```
    pub const fn from_http_status(status: u16) -> Option<Self> {
        Some(match status {
            401 | 407 => Self::Authentication,
            402 => Self::Quota,
            403 | 451 => Self::Authorization,
            404 | 410 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::ContextLength,
            429 => Self::RateLimit,
            // nginx: the client closed the connection before the answer.
            499 => Self::Cancelled,
            400..=498 => Self::Validation,
            500..=599 => Self::Server,
            _ => return None,
        })
    }

    /// The category of a kind of I/O error.
    pub const fn from_io_kind(kind: io::ErrorKind) -> Self {
        use io::ErrorKind as Kind;
        match kind {
            Kind::TimedOut => Self::Timeout,
            Kind::NotFound => Self::NotFound,
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::Authorization,
            Kind::InvalidInput => Self::Validation,
            Kind::InvalidData | Kind::UnexpectedEof => Self::Parse,
            Kind::Interrupted => Self::Cancelled,
            Kind::StorageFull | Kind::QuotaExceeded => Self::Quota,
            Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::AddrInUse
            | Kind::AddrNotAvailable
            | Kind::BrokenPipe
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NetworkDown => Self::Network,
            _ => Self::Unknown,
        }
    }

    /// The category of an error code or type of a provider's API (OpenAI, Azure, Anthropic, Gemini, Bedrock and
    /// those who speak like them); none for a code that is not known.
    pub fn from_provider_code(code: &str) -> Option<Self> {
        let folded: String = code
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        PROVIDER_CODES.iter().find(|(known, _)| *known == folded).map(|(_, category)| *category)
    }

    /// The category that a message suggests: the last resort, where nothing better is to be had.
    ///
    /// It looks for a provider's code as a word, for an HTTP status that is named as one, then for phrases. A text
    /// that says nothing clear is [`ErrorCategory::Unknown`].
    pub fn from_message(message: &str) -> Self {
        // A message may be a whole HTML page; what matters stands at its beginning.
        let folded: String = message.chars().take(4_096).collect::<String>().to_ascii_lowercase();
        code_in(&folded)
            .or_else(|| status_in(&folded).and_then(Self::from_http_status))
            .or_else(|| {
                PHRASES
                    .iter()
                    .find(|(phrase, _)| folded.contains(phrase))
                    .map(|(_, category)| *category)
            })
            .unwrap_or_default()
    }

    /// The category of any error, by its chain of causes: first by what the errors are, then by what they say.
    ///
    /// ```
    /// use std::io;
    /// use taximeter_models::ErrorCategory;
    ///
    /// let lost = io::Error::other(io::Error::from(io::ErrorKind::ConnectionReset));
    /// assert_eq!(ErrorCategory::classify(&lost), ErrorCategory::Network);
    /// let odd = std::fmt::Error;
    /// assert_eq!(ErrorCategory::classify(&odd), ErrorCategory::Unknown);
    /// ```
    pub fn classify(error: &(dyn Error + 'static)) -> Self {
        let chain =
            || std::iter::successors(Some(error), |&error| error.source()).take(MOST_CAUSES);
        chain()
            .map(by_type)
            .chain(chain().map(|error| Self::from_message(&error.to_string())))
            .find(|category| *category != Self::Unknown)
            .unwrap_or_default()
    }
}

fn by_type(error: &(dyn Error + 'static)) -> ErrorCategory {
    if let Some(categorized) = error.downcast_ref::<Categorized>() {
        return categorized.category();
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        // An I/O error shows the error inside it as itself, and not as its source: look there first.
        let inner =
            error.get_ref().map_or(ErrorCategory::Unknown, |inner| ErrorCategory::classify(inner));
        return if inner == ErrorCategory::Unknown {
            ErrorCategory::from_io_kind(error.kind())
        } else {
            inner
        };
    }
    if let Some(error) = error.downcast_ref::<serde_json::Error>() {
        return error.io_error_kind().map_or(ErrorCategory::Parse, ErrorCategory::from_io_kind);
    }
    if is_parse_error(error) {
        return ErrorCategory::Parse;
    }
    if error.is::<std::sync::mpsc::RecvTimeoutError>() {
        return ErrorCategory::Timeout;
    }
    ErrorCategory::Unknown
}

fn is_parse_error(error: &(dyn Error + 'static)) -> bool {
    error.is::<std::num::ParseIntError>()
        || error.is::<std::num::ParseFloatError>()
        || error.is::<std::str::ParseBoolError>()
        || error.is::<std::str::Utf8Error>()
        || error.is::<std::string::FromUtf8Error>()
        || error.is::<chrono::ParseError>()
}

/// The first word that is a provider's code. Only codes of several words count: `timeout` in a sentence is no code.
fn code_in(message: &str) -> Option<ErrorCategory> {
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
        .filter(|word| word.contains('_') || word.ends_with("exception") || word.ends_with("error"))
        .find_map(ErrorCategory::from_provider_code)
}

/// A number from 400 to 599 in a message that stands right after the word `status`, `http` or `code`.
fn status_in(message: &str) -> Option<u16> {
    let mut words =
        message.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut named = false;
    words.find_map(|word| {
        let status = word.parse::<u16>().ok().filter(|status| named && (400..600).contains(status));
        // `HTTP/1.1 429`, `status code: 429`, `http status client error (429`
        named = matches!(word, "status" | "http" | "code" | "response")
            || (named && matches!(word, "1" | "2" | "client" | "server" | "error" | "is" | "was"));
        status
    })
}

use ErrorCategory as C;

/// Codes and types of providers' error replies, folded to small letters and digits.
///
/// Sources: OpenAI, Azure OpenAI, Anthropic, Google (`google.rpc.Code`), AWS Bedrock and Mistral API references.
const PROVIDER_CODES: &[(&str, ErrorCategory)] = &[
    // OpenAI and those who follow it.
    ("ratelimitexceeded", C::RateLimit),
    ("ratelimiterror", C::RateLimit),
    ("ratelimitreached", C::RateLimit),
    ("toomanyrequests", C::RateLimit),
    ("insufficientquota", C::Quota),
    ("billinghardlimitreached", C::Quota),
    ("billingnotactive", C::Quota),
    ("insufficientbalance", C::Quota),
    ("invalidapikey", C::Authentication),
    ("incorrectapikey", C::Authentication),
    ("missingapikey", C::Authentication),
    ("apikeyinvalid", C::Authentication),
    ("authenticationerror", C::Authentication),
    ("contextlengthexceeded", C::ContextLength),
    ("stringabovemaxlength", C::ContextLength),
    ("contentfilter", C::ContentFilter),
    ("contentpolicyviolation", C::ContentFilter),
    ("responsibleaipolicyviolation", C::ContentFilter),
    ("modelnotfound", C::NotFound),
    ("deploymentnotfound", C::NotFound),
    ("invalidrequesterror", C::Validation),
    ("invalidvalue", C::Validation),
    ("unsupportedparameter", C::Validation),
    ("servererror", C::Server),
    ("internalservererror", C::Server),
    // Anthropic.
    ("permissionerror", C::Authorization),
    ("notfounderror", C::NotFound),
    ("requesttoolarge", C::ContextLength),
    ("apierror", C::Server),
    ("overloadederror", C::Server),
    ("timeouterror", C::Timeout),
    ("billingerror", C::Quota),
    // Google.
    ("resourceexhausted", C::RateLimit),
    ("unauthenticated", C::Authentication),
    ("permissiondenied", C::Authorization),
    ("invalidargument", C::Validation),
    ("failedprecondition", C::Validation),
    ("outofrange", C::Validation),
    ("notfound", C::NotFound),
    ("deadlineexceeded", C::Timeout),
    ("cancelled", C::Cancelled),
    ("unavailable", C::Server),
    ("internal", C::Server),
    // AWS.
    ("throttlingexception", C::RateLimit),
    ("toomanyrequestsexception", C::RateLimit),
    ("servicequotaexceededexception", C::Quota),
    ("accessdeniedexception", C::Authorization),
    ("unrecognizedclientexception", C::Authentication),
    ("expiredtokenexception", C::Authentication),
    ("validationexception", C::Validation),
    ("resourcenotfoundexception", C::NotFound),
    ("modeltimeoutexception", C::Timeout),
    ("modelerrorexception", C::Server),
    ("modelstreamerrorexception", C::Server),
    ("modelnotreadyexception", C::Server),
    ("internalserverexception", C::Server),
    ("serviceunavailableexception", C::Server),
];

/// Phrases that say clearly what happened, in the order in which they are tried: the narrow before the wide.
const PHRASES: &[(&str, ErrorCategory)] = &[
    ("maximum context length", C::ContextLength),
    ("context window", C::ContextLength),
    ("prompt is too long", C::ContextLength),
    ("input is too long", C::ContextLength),
    ("exceeds the maximum number of tokens", C::ContextLength),
    ("content filter", C::ContentFilter),
    ("content policy", C::ContentFilter),
    ("content management policy", C::ContentFilter),
    ("exceeded your current quota", C::Quota),
    ("insufficient quota", C::Quota),
    ("insufficient credit", C::Quota),
    ("credit balance", C::Quota),
    ("rate limit", C::RateLimit),
    ("ratelimit", C::RateLimit),
    ("too many requests", C::RateLimit),
    ("invalid api key", C::Authentication),
    ("incorrect api key", C::Authentication),
    ("api key not valid", C::Authentication),
    ("invalid x-api-key", C::Authentication),
    ("unauthorized", C::Authentication),
    ("unauthenticated", C::Authentication),
    ("authentication failed", C::Authentication),
    ("permission denied", C::Authorization),
    ("access denied", C::Authorization),
    ("forbidden", C::Authorization),
    ("timed out", C::Timeout),
    ("timeout", C::Timeout),
    ("deadline exceeded", C::Timeout),
    ("deadline has elapsed", C::Timeout),
    ("cancelled", C::Cancelled),
    ("canceled", C::Cancelled),
    ("connection refused", C::Network),
    ("connection reset", C::Network),
    ("connection closed", C::Network),
    ("connection error", C::Network),
    ("connection aborted", C::Network),
    ("broken pipe", C::Network),
    ("network is unreachable", C::Network),
    ("network error", C::Network),
    ("no route to host", C::Network),
    ("dns error", C::Network),
    ("failed to lookup address", C::Network),
    ("name or service not known", C::Network),
    ("tls handshake", C::Network),
    ("overloaded", C::Server),
    ("internal server error", C::Server),
    ("bad gateway", C::Server),
    ("service unavailable", C::Server),
    ("invalid digit found", C::Parse),
    ("invalid float literal", C::Parse),
    ("invalid utf-8", C::Parse),
    ("expected value at line", C::Parse),
    ("eof while parsing", C::Parse),
    ("invalid json", C::Parse),
    ("failed to parse", C::Parse),
    ("error decoding response", C::Parse),
    ("not found", C::NotFound),
    ("no such file", C::NotFound),
    ("does not exist", C::NotFound),
    ("validation", C::Validation),
    ("invalid request", C::Validation),
    ("bad request", C::Validation),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(message: &str, expected: ErrorCategory) {
        assert_eq!(ErrorCategory::from_message(message), expected, "{message:?}");
    }

    #[test]
    fn real_messages() {
        check("Error code: 429 - {'error': {'code': 'insufficient_quota'}}", C::Quota);
        check(
            "Rate limit reached for gpt-4o in organization org-x on tokens per min",
            C::RateLimit,
        );
        check("http status: 429", C::RateLimit);
        check("HTTP status client error (401 Unauthorized) for url (https://x)", C::Authentication);
        check("HTTP/1.1 503 Service Unavailable", C::Server);
        check("An error occurred (ThrottlingException) when calling InvokeModel", C::RateLimit);
        check("This model's maximum context length is 128000 tokens", C::ContextLength);
        check("Connection timeout after 30 seconds", C::Timeout);
        check("overloaded_error: Overloaded", C::Server);
        check("EOF while parsing a string at line 1 column 22", C::Parse);
        check(
            "error trying to connect: tcp connect error: Connection refused (os error 111)",
            C::Network,
        );
    }

    #[test]
    fn numbers_and_words_that_say_nothing() {
        check("429 apples", C::Unknown);
        check("answered in 500 ms", C::Unknown);
        check("", C::Unknown);
        check("the answer is 42", C::Unknown);
    }

    #[test]
    fn statuses() {
        for (status, expected) in [
            (400, Some(C::Validation)),
            (401, Some(C::Authentication)),
            (402, Some(C::Quota)),
            (403, Some(C::Authorization)),
            (404, Some(C::NotFound)),
            (408, Some(C::Timeout)),
            (413, Some(C::ContextLength)),
            (422, Some(C::Validation)),
            (429, Some(C::RateLimit)),
            (499, Some(C::Cancelled)),
            (500, Some(C::Server)),
            (504, Some(C::Timeout)),
            (529, Some(C::Server)),
            (304, None),
            (600, None),
        ] {
            assert_eq!(ErrorCategory::from_http_status(status), expected, "{status}");
        }
    }

    #[test]
    fn the_category_put_on_wins_over_what_the_text_says() {
        #[derive(Debug, thiserror::Error)]
        #[error("the answer timed out")]
        struct Outer(#[source] Categorized);

        assert_eq!(C::classify(&Outer(C::Quota.of("x"))), C::Quota);
    }

    #[test]
    fn names_read_back() {
        for category in C::ALL {
            assert_eq!(category.as_str().parse(), Ok(*category));
            let json = serde_json::to_value(category).unwrap();
            assert_eq!(json, serde_json::Value::from(category.as_str()));
        }
        assert!("RateLimit".parse::<ErrorCategory>().is_err());
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(message in "\\PC{0,200}") {
            let _ = ErrorCategory::from_message(&message);
            let _ = ErrorCategory::from_provider_code(&message);
        }
    }
}
