//! How long what is in the store is kept, as settings.

use std::time::Duration;

use config::{Value, ValueKind};
use taximeter_analysis::Window;

const DAY: Duration = Duration::from_secs(86_400);

/// How long what is in the store is kept: operations by age and by bytes, and the sums of minutes, hours and days.
///
/// Sums of minutes and hours go only after they are in those of hours and days. Operations that go leave their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeepSettings {
    /// How long operations are kept, by when they began; none is for ever. Default: for ever.
    pub operations: Option<Duration>,
    /// How many bytes the store may have, above which the oldest operations go; none is no limit. Default: no limit.
    pub bytes: Option<u64>,
    /// How long the sums of minutes are kept; none is for ever. Default: three days.
    pub minutes: Option<Duration>,
    /// How long those of hours are kept. Default: a hundred days.
    pub hours: Option<Duration>,
    /// How long those of days are kept. Default: for ever.
    pub days: Option<Duration>,
}

impl Default for KeepSettings {
    fn default() -> Self {
        Self {
            operations: None,
            bytes: None,
            minutes: Some(DAY.saturating_mul(3)),
            hours: Some(DAY.saturating_mul(100)),
            days: None,
        }
    }
}

#[cfg(feature = "store")]
impl From<KeepSettings> for taximeter_persistence::store::Keep {
    fn from(settings: KeepSettings) -> Self {
        let mut keep = Self::default();
        keep.operations_for = settings.operations;
        keep.bytes = settings.bytes;
        keep.sums_for = [settings.minutes, settings.hours, settings.days];
        keep
    }
}

/// A time such as `90d`, or `forever`.
pub(super) fn time(value: Value) -> Result<Option<Duration>, String> {
    let text = value.into_string().map_err(|error| error.to_string())?;
    if text.trim() == "forever" {
        return Ok(None);
    }
    let wrong = || format!("{text:?} is no time; expected forever, or 90m, 24h, 30d, 52w");
    let window: Window = text.trim().parse().map_err(|_| wrong())?;
    if window.length().is_zero() { Err(wrong()) } else { Ok(Some(window.length())) }
}

/// A number of bytes, also with a unit, or `all`.
pub(super) fn size(value: &Value) -> Result<Option<u64>, String> {
    const UNITS: [(&str, u64); 7] = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let text = match &value.kind {
        ValueKind::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    };
    if text == "all" {
        return Ok(None);
    }
    let unit = UNITS.iter().find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, unit) = unit.unwrap_or((&text, 1));
    let bytes = number.trim().parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
    bytes
        .filter(|bytes| *bytes > 0)
        .map(Some)
        .ok_or_else(|| format!("{text:?} is no size; expected all, or 500MB, 10GB, 2GiB"))
}

/// A time as it is read.
pub(super) fn shown(time: Option<Duration>) -> String {
    let Some(time) = time else { return "forever".into() };
    let seconds = time.as_secs();
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        let text = |text: &str| Value::new(None, text);
        assert_eq!(time(text("90d")), Ok(Some(DAY * 90)));
        assert_eq!(time(text("forever")), Ok(None));
        for wrong in ["", "soon", "0d", "-3d", "90"] {
            assert!(time(text(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(size(&text("10 GB")), Ok(Some(10_000_000_000)));
        assert_eq!(size(&text("2GiB")), Ok(Some(2 << 30)));
        assert_eq!(size(&Value::new(None, 4_096)), Ok(Some(4_096)));
        assert_eq!(size(&text("all")), Ok(None));
        for wrong in ["", "much", "-1", "0", "99999999999TB", "1.5GB"] {
            assert!(size(&text(wrong)).is_err(), "{wrong}");
        }
        for text in ["90d", "36h", "5m", "forever"] {
            assert_eq!(shown(time(Value::new(None, text)).unwrap()), text);
        }
    }
}
