//! Times as they are written: seconds for people and for the original's fields, nanoseconds for exactness.

use std::time::Duration;

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta, Utc};

/// An instant as seconds since the Unix epoch. It keeps about a quarter of a microsecond.
#[expect(
    clippy::cast_precision_loss,
    reason = "the field is documented as a float; the exact time stands beside it"
)]
pub fn unix_seconds(instant: DateTime<Utc>) -> f64 {
    instant.timestamp() as f64 + f64::from(instant.timestamp_subsec_nanos()) / 1e9
}

/// The instant so many seconds after the Unix epoch, to the microsecond; none where no calendar has it.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked just before")]
pub fn from_unix_seconds(seconds: f64) -> Option<DateTime<Utc>> {
    let micros = (seconds * 1e6).round();
    (micros.is_finite() && micros.abs() < 9e18)
        .then(|| DateTime::from_timestamp_micros(micros as i64))
        .flatten()
}

/// The instant so long after another; none where no calendar has it.
pub(crate) fn after(instant: DateTime<Utc>, duration: Duration) -> Option<DateTime<Utc>> {
    instant.checked_add_signed(TimeDelta::from_std(duration).ok()?)
}

/// Reads an instant as we write it (RFC 3339), or as the original does: local, without a zone, which is read as UTC
/// and said in the second value.
pub(crate) fn parse_instant(text: &str) -> Option<(DateTime<Utc>, bool)> {
    // RFC 3339 ends with the year 9999, and chrono writes further ones as its own parser reads them.
    let further = |_| text.parse::<DateTime<FixedOffset>>();
    if let Ok(instant) = DateTime::parse_from_rfc3339(text).or_else(further) {
        return Some((instant.to_utc(), false));
    }
    ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .map(|naive| (naive.and_utc(), true))
}

/// A duration as whole nanoseconds; above 584 years it saturates.
pub(crate) fn to_nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Optional durations as whole nanoseconds.
pub(crate) mod nanos {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for this shape")]
    pub(crate) fn serialize<S: Serializer>(
        duration: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        duration.map(super::to_nanos).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_nanos))
    }
}

/// Optional hashes as hexadecimal text: many JSON readers lose digits of numbers above 2⁵³.
pub(crate) mod hash {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, reason = "serde asks for this shape")]
    pub(crate) fn serialize<S: Serializer>(
        hash: &Option<u64>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match hash {
            Some(hash) => serializer.collect_str(&format_args!("{hash:016x}")),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| u64::from_str_radix(&text, 16).map_err(D::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_instant_without_a_zone_is_read_as_utc_and_said_so() {
        let (instant, assumed) = parse_instant("2026-11-23 22:15:45.636042").unwrap();
        assert_eq!(
            (instant.to_rfc3339().as_str(), assumed),
            ("2026-11-23T22:15:45.636042+00:00", true)
        );
        assert!(!parse_instant("2026-11-23T22:15:45Z").unwrap().1);
        assert_eq!(parse_instant("yesterday"), None);
    }

    proptest! {
        #[test]
        fn seconds_and_back(micros in 0..4_000_000_000_000_000_i64) {
            let instant = DateTime::from_timestamp_micros(micros).unwrap();
            prop_assert_eq!(from_unix_seconds(unix_seconds(instant)), Some(instant));
        }

        #[test]
        fn no_number_makes_it_panic(seconds: f64) {
            let _ = from_unix_seconds(seconds);
        }
    }
}
