//! `tracestate`: what vendors pass on along a trace.

use std::fmt;

use super::trimmed;

/// The members of `tracestate`, in their order; the newest stands first.
///
/// Source: W3C Trace Context level 2, section 3.3. A list with a malformed member, or with more than 32, is left out
/// as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceState(Vec<(String, String)>);

/// The most members that a list may have.
const MEMBERS: usize = 32;

impl TraceState {
    /// Reads the values of all headers of that name, in their order. Empty where they are malformed.
    pub fn read<'h>(headers: impl IntoIterator<Item = &'h str>) -> Self {
        let mut members = Vec::<(String, String)>::new();
        for header in headers {
            for member in header.split(',').map(trimmed).filter(|member| !member.is_empty()) {
                let Some((key, value)) =
                    member.split_once('=').filter(|(key, value)| is_key(key) && is_value(value))
                else {
                    return Self::default();
                };
                // Of members with the same key the first is the newest.
                if members.iter().all(|(known, _)| known != key) {
                    members.push((key.to_owned(), value.to_owned()));
                }
                if members.len() > MEMBERS {
                    return Self::default();
                }
            }
        }
        Self(members)
    }

    /// Whether there is nothing to pass on.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a vendor passed on.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// Puts a member in front, in the place of one with its key; the last goes where there are too many. Gives back what
    /// cannot be a member.
    ///
    /// # Errors
    /// Where the key or the value has characters that it may not have, or too many.
    ///
    /// ```
    /// use taximeter_telemetry::context::TraceState;
    ///
    /// let mut state = TraceState::read(["rojo=1, congo=2"]);
    /// state.put("congo", "3").expect("both are plain");
    /// assert_eq!(state.to_string(), "congo=3,rojo=1");
    /// assert!(state.put("Congo", "3").is_err()); // keys are in lower case
    /// ```
    pub fn put<'t>(&mut self, key: &'t str, value: &'t str) -> Result<(), (&'t str, &'t str)> {
        if !(is_key(key) && is_value(value)) {
            return Err((key, value));
        }
        self.0.retain(|(known, _)| known != key);
        self.0.insert(0, (key.to_owned(), value.to_owned()));
        self.0.truncate(MEMBERS);
        Ok(())
    }
}

impl fmt::Display for TraceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (key, value)) in self.0.iter().enumerate() {
            write!(f, "{}{key}={value}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

/// `key = ( lcalpha / DIGIT ) 0*255 ( keychar )`
fn is_key(key: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let other = |byte: &u8| first(byte) || b"_-*/@".contains(byte);
    key.len() <= 256
        && key.as_bytes().first().is_some_and(first)
        && key.as_bytes().iter().all(other)
}

/// `value = 0*255(chr) nblk-chr`: printable ASCII without comma and equals sign, the last no space.
fn is_value(value: &str) -> bool {
    let plain = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    (1..=256).contains(&value.len()) && value.bytes().all(plain) && !value.ends_with(' ')
}
