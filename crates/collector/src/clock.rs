//! Where times come from: durations from a monotonic clock, instants from the wall clock.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};

/// A source of time. The two clocks are apart, so that setting the wall clock hurts no duration.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time since some fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// The time of day.
    fn wall(&self) -> DateTime<Utc>;
}

/// The clocks of the operating system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    origin: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn wall(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// A clock that stands still until it is told to move: for tests.
///
/// ```
/// use std::time::Duration;
/// use taximeter_collector::{Clock, ManualClock};
///
/// let clock = ManualClock::at("2026-11-23T12:00:00Z".parse()?);
/// clock.advance(Duration::from_secs(3));
/// assert_eq!(clock.monotonic(), Duration::from_secs(3));
/// clock.step_wall(-3_600); // somebody sets the clock back an hour
/// assert_eq!(clock.monotonic(), Duration::from_secs(3));
/// # Ok::<(), chrono::ParseError>(())
/// ```
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(Duration, DateTime<Utc>)>,
}

impl ManualClock {
    /// A clock whose wall shows this time.
    pub fn at(wall: DateTime<Utc>) -> Self {
        Self { now: Mutex::new((Duration::ZERO, wall)) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 = now.0.saturating_add(by);
        let delta = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        now.1 = now.1.checked_add_signed(delta).unwrap_or(DateTime::<Utc>::MAX_UTC);
    }

    /// Sets the wall clock on or back by so many seconds; the monotonic clock takes no notice.
    pub fn step_wall(&self, seconds: i64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let step = TimeDelta::try_seconds(seconds);
        now.1 = step.and_then(|step| now.1.checked_add_signed(step)).unwrap_or(now.1);
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Duration {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn wall(&self) -> DateTime<Utc> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
