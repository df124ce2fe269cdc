//! Hours of the day and days of the week at which a price holds, in UTC.

use chrono::{DateTime, Datelike, NaiveDate, Timelike, Utc, Weekday};
use serde::{Deserialize, Serialize};

/// When in a week a price holds, in UTC. Windows, weekdays and exceptions must all fit.
///
/// ```
/// use chrono::{TimeZone, Utc, Weekday};
/// use taximeter_pricing::{Schedule, Window};
///
/// let night = Schedule { windows: vec!["16:30-00:30".parse()?], weekdays: vec![], except: vec![] };
/// assert!(night.covers(Utc.with_ymd_and_hms(2026, 11, 2, 0, 29, 59).unwrap()));
/// assert!(!night.covers(Utc.with_ymd_and_hms(2026, 11, 2, 0, 30, 0).unwrap()));
///
/// assert!("25:00-26:00".parse::<Window>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Hours of the day; empty for the whole day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<Window>,
    /// Days of the week on which a window begins; empty for every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<Weekday>,
    /// Days, in UTC, on which no window begins: holidays, on which another price holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<NaiveDate>,
}

/// A time of day, from one minute to just before another; it may go over midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Window {
    from: u16,
    until: u16,
}

const DAY: u16 = 24 * 60;

impl Schedule {
    /// Whether this moment is within the schedule.
    pub fn covers(&self, at: DateTime<Utc>) -> bool {
        let minute = u16::try_from(at.hour() * 60 + at.minute()).unwrap_or_default();
        let on = |day: NaiveDate| {
            (self.weekdays.is_empty() || self.weekdays.contains(&day.weekday()))
                && !self.except.contains(&day)
        };
        let today = at.date_naive();
        let yesterday = today.pred_opt().unwrap_or(today);
        if self.windows.is_empty() {
            return on(today);
        }
        self.windows.iter().any(|window| {
            if window.from < window.until {
                return on(today) && (window.from..window.until).contains(&minute);
            }
            // The hours after midnight belong to the day on which the window began.
            (on(today) && minute >= window.from) || (on(yesterday) && minute < window.until)
        })
    }
}

impl std::str::FromStr for Window {
    type Err = String;

    /// Reads a text such as `16:30-00:30`.
    ///
    /// # Errors
    /// Where it is not of that form, or a time is not between `00:00` and `24:00`.
    fn from_str(text: &str) -> Result<Self, String> {
        let window = text
            .split_once('-')
            .and_then(|(from, until)| Some(Self { from: minutes(from)?, until: minutes(until)? }));
        window.filter(|window| window.from < DAY && window.from != window.until).ok_or_else(|| {
            format!("{text:?} is not a time of day; write it as \"16:30-00:30\", in UTC")
        })
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| -> Option<u16> {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Window> for String {
    fn from(window: Window) -> Self {
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        format!("{}-{}", clock(window.from), clock(window.until))
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn check(
        windows: &[&str],
        weekdays: &[Weekday],
        (day, hour, minute): (u32, u32, u32),
        is: bool,
    ) {
        let windows = windows.iter().map(|text| text.parse().unwrap()).collect();
        let schedule = Schedule { windows, weekdays: weekdays.to_vec(), except: vec![] };
        // The first of November 2026 is a Sunday.
        let at = Utc.with_ymd_and_hms(2026, 11, day, hour, minute, 0).unwrap();
        assert_eq!(schedule.covers(at), is, "{schedule:?} at {at}");
    }

    #[test]
    fn windows_and_weekdays_must_both_fit() {
        check(&[], &[], (1, 5, 0), true);
        check(&["01:00-04:00"], &[], (1, 1, 0), true);
        check(&["01:00-04:00"], &[], (1, 4, 0), false);
        check(&["01:00-04:00"], &[Weekday::Mon], (1, 2, 0), false);
        check(&["01:00-04:00"], &[Weekday::Mon], (2, 2, 0), true);
        check(&["01:00-04:00", "06:00-10:00"], &[], (2, 9, 59), true);
        check(&["10:00-24:00"], &[], (2, 23, 59), true);
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_began() {
        check(&["22:00-02:00"], &[Weekday::Sun], (1, 23, 0), true);
        check(&["22:00-02:00"], &[Weekday::Sun], (2, 1, 0), true);
        check(&["22:00-02:00"], &[Weekday::Sun], (1, 1, 0), false);
        check(&["22:00-02:00"], &[Weekday::Sun], (2, 23, 0), false);
    }

    #[test]
    fn text_and_back() {
        assert_eq!(String::from("16:30-00:30".parse::<Window>().unwrap()), "16:30-00:30");
        for wrong in
            ["", "1:00-2:00", "24:00-01:00", "01:60-02:00", "01:00", "01:00-01:00", "+1:00-02:00"]
        {
            assert!(wrong.parse::<Window>().is_err(), "{wrong:?}");
        }
    }
}
