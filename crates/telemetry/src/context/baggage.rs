//! `baggage`: names and values that travel with a request.

use std::fmt::{self, Write};

use super::trimmed;

/// Names and values that travel with a request, such as the user for whom it runs.
///
/// Source: W3C Baggage, "HTTP header format". Members that are malformed are left out one by one; above the limits that
/// every platform must take (64 members, 8,192 bytes) what comes last is left out whole, and counted.
///
/// ```
/// use taximeter_telemetry::context::Baggage;
///
/// let baggage = Baggage::read(["userId=Am%C3%A9lie;since=2020, team = search, =nobody"]);
/// assert_eq!(baggage.get("userId"), Some("Amélie"));
/// assert_eq!(baggage.get("team"), Some("search"));
/// assert_eq!(baggage.left_out(), 1);
/// assert_eq!(baggage.to_string(), "userId=Am%C3%A9lie;since=2020,team=search");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baggage {
    entries: Vec<Entry>,
    left_out: usize,
}

/// One member of a baggage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub key: String,
    /// Its value, decoded.
    pub value: String,
    /// What is said of it, each a name with a value, decoded, or without; given on as it is.
    pub properties: Vec<(String, Option<String>)>,
}

const MEMBERS: usize = 64;
const BYTES: usize = 8_192;

impl Baggage {
    /// Reads the values of all headers of that name, in their order.
    pub fn read<'h>(headers: impl IntoIterator<Item = &'h str>) -> Self {
        let mut baggage = Self::default();
        let mut bytes = 0;
        for header in headers {
            for member in header.split(',').map(trimmed).filter(|member| !member.is_empty()) {
                bytes += member.len() + 1;
                let room = baggage.entries.len() < MEMBERS && bytes <= BYTES + 1;
                match Entry::read(member).filter(|_| room) {
                    Some(entry) => baggage.entries.push(entry),
                    None => baggage.left_out += 1,
                }
            }
        }
        baggage
    }

    /// The value of the first member of that name.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
    }

    /// Its members, in their order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// How many members were left out because they are malformed or too many.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// Puts a member behind the others, in the place of those of its name. Gives the value back where the name cannot be
    /// one, or where there is no room.
    ///
    /// # Errors
    /// Where the name is empty or has characters that a name may not have, or where the limits are reached.
    pub fn put(&mut self, key: &str, value: impl Into<String>) -> Result<(), String> {
        let value = value.into();
        if !is_token(key) {
            return Err(value);
        }
        let mut changed = self.clone();
        changed.entries.retain(|entry| entry.key != key);
        let entry = Entry { key: key.to_owned(), value, properties: Vec::new() };
        changed.entries.push(entry);
        if changed.entries.len() > MEMBERS || changed.to_string().len() > BYTES {
            return Err(changed.entries.pop().map(|entry| entry.value).unwrap_or_default());
        }
        *self = changed;
        Ok(())
    }

    /// Writes it: the name of the header and its value; none where it is empty.
    pub fn inject(&self) -> Option<(&'static str, String)> {
        (!self.entries.is_empty()).then(|| ("baggage", self.to_string()))
    }
}

impl Entry {
    fn read(member: &str) -> Option<Self> {
        let mut parts = member.split(';').map(trimmed);
        let (key, value) = parts.next()?.split_once('=')?;
        let (key, value) = (trimmed(key), decoded(trimmed(value))?);
        let property = |text: &str| match text.split_once('=') {
            Some((key, value)) if is_token(trimmed(key)) => {
                Some((trimmed(key).to_owned(), Some(decoded(trimmed(value))?)))
            }
            None if is_token(text) => Some((text.to_owned(), None)),
            _ => None,
        };
        let properties = parts.map(property).collect::<Option<_>>()?;
        is_token(key).then(|| Self { key: key.to_owned(), value, properties })
    }
}

impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in self.entries.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}={}", entry.key, Encoded(&entry.value))?;
            for (key, value) in &entry.properties {
                write!(f, ";{key}")?;
                if let Some(value) = value {
                    write!(f, "={}", Encoded(value))?;
                }
            }
        }
        Ok(())
    }
}

/// A name: a token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(plain)
}

/// What may stand in a value as it is; the percent sign may not, since it begins what is encoded.
const fn is_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x24 | 0x26..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}

/// A value without its percent encoding (RFC 3986, section 2.1); none where it has characters that it may not have. What
/// is no UTF-8 becomes the replacement character, and a percent sign that begins nothing stands for itself.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        let encoded = digits.filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if let Some(byte) = encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            plain.push(byte);
            at += 3;
        } else if is_octet(bytes[at]) || bytes[at] == b'%' {
            plain.push(bytes[at]);
            at += 1;
        } else {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&plain).into_owned())
}

struct Encoded<'t>(&'t str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if is_octet(byte) {
                f.write_char(byte.into())?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}
