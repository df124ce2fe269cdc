//! A stretch of time that ends now, such as the last 24 hours.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A length of time up to a moment, as people write it: `90s`, `30m`, `1h`, `24h`, `7d`, `2w`.
///
/// The number is whole; seconds may have up to nine decimal places. It shows as it was written, and in serde it is
/// that text.
///
/// ```
/// use std::time::Duration;
/// use taximeter_analysis::Window;
///
/// let day: Window = "24h".parse()?;
/// assert_eq!(day.length(), Duration::from_secs(86_400));
/// assert_eq!(day.to_string(), "24h");
/// assert_eq!(Window::from(Duration::from_secs(5_400)).to_string(), "90m");
///
/// let wrong = "a day".parse::<Window>().unwrap_err();
/// assert!(wrong.to_string().contains("expected a number and one of s, m, h, d, w"));
/// # Ok::<(), taximeter_analysis::WindowError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    text: String,
    length: Duration,
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Window {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Window".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": "A window of time, such as `24h`." })
    }
}

/// A text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WindowError {
    /// It is not a number with a unit.
    #[error(
        "reading {text:?} as a window of time: expected a number and one of s, m, h, d, w, such as 90s, 30m, 24h, \
         7d or 2w"
    )]
    NotAWindow {
        /// The beginning of the text.
        text: String,
    },
    /// It is longer than any clock runs.
    #[error(
        "reading {text:?} as a window of time: it is too long; expected less than 2^64 seconds"
    )]
    TooLong {
        /// The beginning of the text.
        text: String,
    },
}

impl Window {
    /// A length of time as people write it: as a window, or in milliseconds, of which there may be six decimal places.
    ///
    /// ```
    /// use std::time::Duration;
    /// use taximeter_analysis::Window;
    ///
    /// let read = |text| Window::time(text).map(|time| time.as_micros());
    /// assert_eq!([read("800ms")?, read("0.5ms")?, read("3s")?], [800_000, 500, 3_000_000]);
    /// assert!(read("800").unwrap_err().to_string().contains("90s")); // of what?
    /// # Ok::<(), taximeter_analysis::WindowError>(())
    /// ```
    ///
    /// # Errors
    /// Where it is neither.
    pub fn time(text: &str) -> Result<Duration, WindowError> {
        match text.strip_suffix("ms").and_then(milliseconds) {
            Some(time) => Ok(time),
            None => text.parse::<Self>().map(|window| window.length),
        }
    }

    /// How long it is.
    pub const fn length(&self) -> Duration {
        self.length
    }

    /// Whether this moment is in the window that ends at `now`: after its beginning, and not after its end. What
    /// lies exactly at the beginning belongs to the window before.
    pub fn contains(&self, moment: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        // A beginning that no calendar has is before everything.
        let begin =
            TimeDelta::from_std(self.length).ok().and_then(|length| now.checked_sub_signed(length));
        moment <= now && begin.is_none_or(|begin| moment > begin)
    }
}

/// The units, the longest first; a week is written in days, as people do.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl FromStr for Window {
    type Err = WindowError;

    /// # Errors
    /// Where the text is not a number with one of the units, or is 2⁶⁴ seconds or longer.
    fn from_str(text: &str) -> Result<Self, WindowError> {
        let shown = || text.chars().take(32).collect::<String>();
        let bad = || WindowError::NotAWindow { text: shown() };
        let (_, scale, number) = UNITS
            .iter()
            .find_map(|(unit, scale)| Some((unit, *scale, text.strip_suffix(*unit)?)))
            .ok_or_else(bad)?;
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if scale == 1 => {
                (whole, decimals(fraction, 9).ok_or_else(bad)?)
            }
            Some(_) => return Err(bad()),
            None => (number, 0),
        };
        if !is_digits(whole) {
            return Err(bad());
        }
        let seconds = whole.parse::<u64>().ok().and_then(|whole| whole.checked_mul(scale));
        let seconds = seconds.ok_or_else(|| WindowError::TooLong { text: shown() })?;
        Ok(Self { text: text.to_owned(), length: Duration::new(seconds, fraction) })
    }
}

/// A number of milliseconds; none where it is none, or longer than any clock runs.
fn milliseconds(number: &str) -> Option<Duration> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let whole = Some(whole).filter(|whole| is_digits(whole))?.parse().ok()?;
    Some(Duration::from_millis(whole) + Duration::from_nanos(decimals(fraction, 6)?.into()))
}

/// The digits after the point of a number that has so many decimal places at most, as a whole number.
fn decimals(fraction: &str, places: usize) -> Option<u32> {
    let plain = is_digits(fraction) && fraction.len() <= places;
    plain.then(|| format!("{fraction:0<places$}").parse().ok()).flatten()
}

/// Unlike the standard parser this takes no sign.
fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// It shows in the longest of days, hours, minutes and seconds that comes out whole.
impl From<Duration> for Window {
    fn from(length: Duration) -> Self {
        let (seconds, fraction) = (length.as_secs(), length.subsec_nanos());
        let text = if fraction > 0 {
            let digits = format!("{fraction:09}");
            format!("{seconds}.{}s", digits.trim_end_matches('0'))
        } else {
            let fits = |scale: u64| seconds > 0 && seconds.is_multiple_of(scale);
            let (unit, scale) =
                UNITS.into_iter().skip(1).find(|(_, scale)| fits(*scale)).unwrap_or(('s', 1));
            format!("{}{unit}", seconds / scale)
        };
        Self { text, length }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, seconds) in
            [("1h", 3_600), ("24h", 86_400), ("7d", 604_800), ("30m", 1_800), ("90s", 90)]
        {
            let window: Window = text.parse().unwrap();
            assert_eq!((window.length().as_secs(), window.to_string().as_str()), (seconds, text));
        }
        assert_eq!("2w".parse::<Window>().unwrap().length().as_secs(), 1_209_600);
        assert_eq!("1.5s".parse::<Window>().unwrap().length(), Duration::from_millis(1_500));
    }

    #[test]
    fn milliseconds_are_times_and_no_windows() {
        for (text, nanos) in [("250ms", 250_000_000), ("0.000001ms", 1), ("1.5s", 1_500_000_000)] {
            assert_eq!(Window::time(text).unwrap().as_nanos(), nanos, "{text}");
        }
        for text in ["ms", "1.ms", ".5ms", "-1ms", "1 ms", "0.0000001ms", "99999999999999999999ms"]
        {
            assert!(Window::time(text).is_err(), "{text}");
        }
        assert!("250ms".parse::<Window>().is_err());
    }

    #[test]
    fn what_is_no_window_says_what_is_expected() {
        for text in
            ["", "h", "24", "24 h", "-1h", "+1h", "1.5h", "1.s", "1y", "24H", "1.0000000001s", "١h"]
        {
            let error = text.parse::<Window>().unwrap_err();
            assert!(matches!(error, WindowError::NotAWindow { .. }), "{text}");
            assert!(error.to_string().contains("24h"), "{error}");
        }
        for text in ["99999999999999999999s", "18446744073709551615w"] {
            assert!(matches!(text.parse::<Window>(), Err(WindowError::TooLong { .. })), "{text}");
        }
    }

    #[test]
    fn the_end_is_in_and_the_beginning_is_out() {
        let now: DateTime<Utc> = "2026-11-23T12:00:00Z".parse().unwrap();
        let hour: Window = "1h".parse().unwrap();
        let at = |text: &str| hour.contains(text.parse().unwrap(), now);
        assert!(at("2026-11-23T12:00:00Z") && at("2026-11-23T11:00:01Z"));
        assert!(!at("2026-11-23T11:00:00Z") && !at("2026-11-23T12:00:01Z"));
        let endless = Window::from(Duration::MAX);
        assert!(endless.contains(DateTime::<Utc>::MIN_UTC, now));
    }

    proptest! {
        #[test]
        fn a_duration_and_back(seconds: u64, nanos in 0..1_000_000_000_u32) {
            for nanos in [nanos, 0] {
                let window = Window::from(Duration::new(seconds, nanos));
                prop_assert_eq!(window.to_string().parse::<Window>(), Ok(window));
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,12}") {
            if let Ok(window) = text.parse::<Window>() {
                prop_assert_eq!(window.to_string(), text);
            }
        }
    }
}
