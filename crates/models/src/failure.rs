//! What can be recorded as an error: anything that a Rust program returns as one.

use std::error::Error;
use std::ops::Deref;

use crate::{ErrorCategory, ErrorRecord};

/// An error that the meter can record.
///
/// It covers every [`Error`], every box of one (`Box<dyn Error>`, and those of the `anyhow` and `eyre` crates, which
/// are no [`Error`] themselves but point to one), texts, and an [`ErrorRecord`] itself. The parameter `Kind` only
/// tells these apart; it is always inferred.
///
/// ```
/// use taximeter_models::{ErrorCategory, Failure};
///
/// let boxed: Box<dyn std::error::Error + Send + Sync> = "HTTP status 429".into();
/// assert_eq!(boxed.record().category, ErrorCategory::RateLimit);
/// assert_eq!("out of cheese".record().category, ErrorCategory::Unknown);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be recorded as an error",
    note = "implement `std::error::Error` for it, or record a text or an `ErrorRecord`"
)]
pub trait Failure<Kind> {
    /// The error as it is recorded.
    fn record(&self) -> ErrorRecord;
}

/// The kinds of [`Failure`]; they exist for type inference alone.
#[expect(missing_debug_implementations, reason = "no value of these types can exist")]
pub mod kinds {
    /// A type that is an error.
    pub enum Plain {}
    /// A trait object that is an error.
    pub enum Object {}
    /// A trait object that is an error and may be sent.
    pub enum SendObject {}
    /// Something that points to an error, such as a box.
    pub enum Pointer {}
    /// Something that points to an error that may be sent.
    pub enum SendPointer {}
    /// A text.
    pub enum Text {}
    /// A record.
    pub enum Record {}
}

impl<E: Error + 'static> Failure<kinds::Plain> for E {
    fn record(&self) -> ErrorRecord {
        ErrorRecord::of(self)
    }
}

impl Failure<kinds::Object> for dyn Error + 'static {
    fn record(&self) -> ErrorRecord {
        ErrorRecord::of(self)
    }
}

impl Failure<kinds::SendObject> for dyn Error + Send + Sync + 'static {
    fn record(&self) -> ErrorRecord {
        ErrorRecord::of(self)
    }
}

impl<P: Deref<Target = dyn Error + 'static>> Failure<kinds::Pointer> for P {
    fn record(&self) -> ErrorRecord {
        ErrorRecord::of(&**self)
    }
}

impl<P: Deref<Target = dyn Error + Send + Sync + 'static>> Failure<kinds::SendPointer> for P {
    fn record(&self) -> ErrorRecord {
        ErrorRecord::of(&**self)
    }
}

impl<T: AsRef<str> + ?Sized> Failure<kinds::Text> for T {
    fn record(&self) -> ErrorRecord {
        ErrorRecord::new(ErrorCategory::from_message(self.as_ref()), self.as_ref())
    }
}

impl Failure<kinds::Record> for ErrorRecord {
    fn record(&self) -> ErrorRecord {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn category<E: Failure<Kind> + ?Sized, Kind>(error: &E) -> ErrorCategory {
        error.record().category
    }

    #[test]
    fn every_kind_of_error_is_told_apart_by_inference() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        assert_eq!(category(&refused()), ErrorCategory::Network);
        let boxed: Box<dyn Error> = Box::new(refused());
        assert_eq!(category(&boxed), ErrorCategory::Network);
        assert_eq!(category(&*boxed), ErrorCategory::Network);
        let sendable: Box<dyn Error + Send + Sync> = Box::new(refused());
        assert_eq!(category(&sendable), ErrorCategory::Network);
        assert_eq!(category(&*sendable), ErrorCategory::Network);
        assert_eq!(category("request timed out"), ErrorCategory::Timeout);
        assert_eq!(category(&String::from("request timed out")), ErrorCategory::Timeout);
        assert_eq!(category(&ErrorRecord::new(ErrorCategory::Quota, "")), ErrorCategory::Quota);
    }
}
