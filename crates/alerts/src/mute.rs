//! Until when a rule is muted by hand.

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::Window;
use taximeter::history::Period;

/// A mute is no longer than this.
const LONGEST: TimeDelta = TimeDelta::days(366);

/// The end of a mute, as people write it: for a time from now on (`2h`), until a day or a moment.
///
/// ```
/// use taximeter_alerts::muted_until;
///
/// let now = "2026-11-26T12:00:00Z".parse()?;
/// assert_eq!(muted_until("2h", now)?.to_string(), "2026-11-26 14:00:00 UTC");
/// assert!(muted_until("400d", now).is_err()); // a year is the longest
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Says what is expected, where it is none of these, is over, or is further than a year.
pub fn muted_until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, String> {
    let until = match text.parse::<Window>() {
        Ok(window) => {
            let length = TimeDelta::from_std(window.length()).ok();
            length.and_then(|length| now.checked_add_signed(length))
        }
        Err(_) if text == "now" => None,
        Err(_) => Period::moment(text, now).ok().flatten(),
    };
    let until = until.filter(|until| *until > now && *until - now <= LONGEST);
    let text: String = text.chars().take(64).collect();
    until.ok_or_else(|| {
        format!("{text:?} is no end of a mute: a time such as 2h or 1d, or a day or moment within a year is expected")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_ends_some_time_from_now() {
        let now = "2026-11-26T12:00:00Z".parse().unwrap();
        let read = |text: &str| muted_until(text, now).map(|until| until.to_rfc3339());
        assert_eq!(read("2h").unwrap(), "2026-11-26T14:00:00+00:00");
        assert_eq!(read("2026-11-27").unwrap(), "2026-11-27T00:00:00+00:00");
        for text in ["", "all", "2026-11-25", "400d", "soon", "now"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
