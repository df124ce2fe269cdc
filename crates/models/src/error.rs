//! Why something failed: a category, a message, its causes.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Name;

/// Declares [`ErrorCategory`] with its names on the wire, so that list, names and parser keep in step.
macro_rules! categories {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// The kind of an error, coarse enough to count and to act upon.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum ErrorCategory {
            $($(#[doc = $doc])+ $variant,)+
            /// Anything else.
            #[default]
            Unknown,
        }

        impl ErrorCategory {
            /// Every category.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+ Self::Unknown];

            /// The name on the wire, such as `rate_limit`.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                    Self::Unknown => "unknown",
                }
            }
        }
    };
}

categories! {
    /// The network: no route, no connection, a connection reset.
    Network = "network",
    /// Who the caller is was not shown: a missing or wrong key.
    Authentication = "authentication",
    /// The caller is known and may not do this.
    Authorization = "authorization",
    /// Too many requests or tokens for now; a later try may succeed.
    RateLimit = "rate_limit",
    /// The money or allowance is used up; a later try will not succeed by itself.
    Quota = "quota",
    /// The request itself is wrong.
    Validation = "validation",
    /// It took too long.
    Timeout = "timeout",
    /// It was given up by the caller.
    Cancelled = "cancelled",
    /// A filter for content refused the request or the reply.
    ContentFilter = "content_filter",
    /// The input is longer than the LLM's context window.
    ContextLength = "context_length",
    /// The other side failed.
    Server = "server",
    /// The reply could not be read.
    Parse = "parse",
    /// What was asked for does not exist.
    NotFound = "not_found",
}

impl ErrorCategory {
    /// Puts this category on an error of the program's own, for the meter to find it in any chain of causes.
    ///
    /// ```
    /// use taximeter_models::ErrorCategory;
    ///
    /// let error = ErrorCategory::Quota.of("the monthly budget is spent");
    /// assert_eq!(ErrorCategory::classify(&error), ErrorCategory::Quota);
    /// ```
    pub fn of(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Categorized {
        Categorized { category: self, source: source.into() }
    }

    /// Whether trying again later, unchanged, can help.
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Network | Self::RateLimit | Self::Timeout | Self::Server)
    }
}

impl fmt::Display for ErrorCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ErrorCategory {
    type Err = UnknownCategory;

    fn from_str(text: &str) -> Result<Self, UnknownCategory> {
        Self::ALL
            .iter()
            .copied()
            .find(|category| category.as_str() == text)
            .ok_or_else(|| UnknownCategory { text: text.chars().take(64).collect() })
    }
}

/// A text that names no category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reading {text:?} as an error category: there is none of that name")]
pub struct UnknownCategory {
    text: String,
}

/// An error with a category put on it by [`ErrorCategory::of`]. It shows as the error that it holds.
#[derive(Debug)]
pub struct Categorized {
    category: ErrorCategory,
    source: Box<dyn Error + Send + Sync>,
}

impl Categorized {
    /// The category.
    pub fn category(&self) -> ErrorCategory {
        self.category
    }
}

impl fmt::Display for Categorized {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.source, f)
    }
}

impl Error for Categorized {
    /// The causes of the error that it holds; that one itself is what this shows as.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// One error as it was recorded.
///
/// ```
/// use std::io;
/// use taximeter_models::{ErrorCategory, ErrorRecord};
///
/// let error = io::Error::new(io::ErrorKind::ConnectionRefused, "endpoint is down");
/// let record = ErrorRecord::of(&error);
/// assert_eq!(record.category, ErrorCategory::Network);
/// assert_eq!(record.message, "endpoint is down");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ErrorRecord {
    /// What kind of error it was.
    pub category: ErrorCategory,
    /// What it said.
    #[serde(default)]
    pub message: String,
    /// What its causes said, the nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The component or tool in which it arose, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<Name>,
}

impl ErrorRecord {
    /// An error that is known by its category and a message alone.
    pub fn new(category: ErrorCategory, message: impl Into<String>) -> Self {
        Self { category, message: message.into(), ..Self::default() }
    }

    /// Records an error with its chain of causes (at most sixteen), and finds its category.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        Self {
            category: ErrorCategory::classify(error),
            message: error.to_string(),
            causes: causes.take(MOST_CAUSES).map(ToString::to_string).collect(),
            component: None,
        }
    }

    /// Records a panic that was caught, with what it said if that is a text.
    ///
    /// ```
    /// use taximeter_models::ErrorRecord;
    ///
    /// # let hook = std::panic::take_hook();
    /// # std::panic::set_hook(Box::new(|_| {}));
    /// let panic = std::panic::catch_unwind(|| panic!("no passengers")).unwrap_err();
    /// # std::panic::set_hook(hook);
    /// assert_eq!(ErrorRecord::of_panic(&*panic).message, "panicked: no passengers");
    /// ```
    pub fn of_panic(panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied();
        let said = said.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let message =
            said.map_or_else(|| "panicked".to_owned(), |said| format!("panicked: {said}"));
        Self::new(ErrorCategory::Unknown, message)
    }

    /// Says in which component or tool it arose.
    pub fn within(mut self, component: impl Into<Name>) -> Self {
        self.component = Some(component.into());
        self
    }
}

/// A chain that is longer than this is a loop or a mistake; the first causes tell the story.
pub(crate) const MOST_CAUSES: usize = 16;

impl fmt::Display for ErrorRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.category, self.message)
    }
}
