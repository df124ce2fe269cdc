//! TOML in which numbers with a point and dates are read from their text: no amount of money goes through a float, and a date
//! is read the same with quotes and without.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use thiserror::Error;
use toml::de::{DeTable, DeValue, Deserializer, Error as TomlError};

/// Why a text is not TOML of the right shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
#[non_exhaustive]
pub struct Refused {
    /// The byte of the text at which it went wrong.
    pub at: usize,
    /// What is wrong.
    pub why: String,
}

/// Reads a text, in which a number with a point and a date are given as texts to what reads them.
///
/// ```
/// use std::collections::BTreeMap;
/// use taximeter_pricing::exact_toml;
///
/// let read: BTreeMap<String, String> = exact_toml::read("price = 0.123456789012345678901\nday = 2026-11-26")?;
/// assert_eq!((read["price"].as_str(), read["day"].as_str()), ("0.123456789012345678901", "2026-11-26"));
///
/// let refused = exact_toml::read::<BTreeMap<String, String>>("a = 'b'\nc = [").unwrap_err();
/// assert!(refused.at > 8, "{refused}");
/// # Ok::<(), exact_toml::Refused>(())
/// ```
///
/// # Errors
/// Where it is no TOML, or none of that shape.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, Refused> {
    let refused = |error: TomlError| Refused {
        at: error.span().unwrap_or_default().start,
        why: error.message().to_owned(),
    };
    let mut document = DeTable::parse(text).map_err(refused)?;
    document.get_mut().iter_mut().for_each(|(_, value)| keep_text(value.get_mut()));
    T::deserialize(Deserializer::from(document)).map_err(refused)
}

fn keep_text(value: &mut DeValue<'_>) {
    match value {
        DeValue::Float(number) => {
            let text = number.as_str().trim_start_matches('+').to_owned();
            *value = DeValue::String(Cow::Owned(text));
        }
        DeValue::Datetime(moment) => *value = DeValue::String(Cow::Owned(moment.to_string())),
        DeValue::Array(items) => items.iter_mut().for_each(|item| keep_text(item.get_mut())),
        DeValue::Table(table) => table.iter_mut().for_each(|(_, item)| keep_text(item.get_mut())),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Boolean(_) => {}
    }
}
