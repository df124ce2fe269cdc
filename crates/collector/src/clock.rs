//! Where times come from: durations from a monotonic clock, instants from the wall clock.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::foreign::guarded;
use crate::frame::{halves, nanos, unix_nanos};
use crate::intake::Intake;

/// A source of time. The two clocks are apart, so that setting the wall clock hurts no duration.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The time since some fixed moment. It never goes back.
    fn monotonic(&self) -> Duration;

    /// The time of day.
    fn wall(&self) -> DateTime<Utc>;
}

/// The clocks of the machine: the processor's own counter where it is steady, which is read in half the time, else the
/// operating system's monotonic clock; and the wall clock, asked again every second.
#[derive(Debug, Clone)]
pub struct SystemClock {
    counter: quanta::Clock,
    /// The nanoseconds that 2⁴⁰ counts take.
    scale: u64,
    wall: Arc<Wall>,
}

/// A shift that is known makes a third of the instructions of one that is not.
const SHIFT: u32 = 40;

/// What the wall clock showed when the counter was last compared with it.
///
/// Both numbers are read and written without an order between them: a reader that sees one old and one new takes an
/// instant that is right as of a second ago.
#[derive(Debug)]
struct Wall {
    /// Nanoseconds since 1970 when the counter was at zero.
    offset: AtomicI64,
    /// The counter, in nanoseconds, at which the wall clock is to be asked again.
    asked_again: AtomicU64,
}

/// How long the wall clock is taken to run with the counter.
const TOGETHER: u64 = 1_000_000_000;

impl Default for SystemClock {
    fn default() -> Self {
        let counter = quanta::Clock::new();
        let scale = counter.delta_as_nanos(0, 1 << SHIFT);
        let wall = Wall { offset: AtomicI64::new(0), asked_again: AtomicU64::new(0) };
        Self { counter, scale, wall: Arc::new(wall) }
    }
}

impl SystemClock {
    /// The counter, in nanoseconds.
    #[inline]
    pub(crate) fn nanos(&self) -> u64 {
        let [low, high] = halves(u128::from(self.counter.raw()) * u128::from(self.scale));
        high << (64 - SHIFT) | low >> SHIFT
    }

    /// The time of day at a moment of the counter, in nanoseconds since 1970.
    #[inline]
    pub(crate) fn wall_at(&self, nanos: u64) -> i64 {
        if nanos >= self.wall.asked_again.load(Ordering::Relaxed) {
            self.compare(nanos);
        }
        let since = i64::try_from(nanos).unwrap_or(i64::MAX);
        self.wall.offset.load(Ordering::Relaxed).saturating_add(since)
    }

    #[cold]
    fn compare(&self, nanos: u64) {
        let now = Utc::now().timestamp_nanos_opt().unwrap_or(i64::MAX);
        let since = i64::try_from(nanos).unwrap_or(i64::MAX);
        self.wall.offset.store(now.saturating_sub(since), Ordering::Relaxed);
        self.wall.asked_again.store(nanos.saturating_add(TOGETHER), Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.nanos())
    }

    fn wall(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_nanos(self.wall_at(self.nanos()))
    }
}

/// The clock of a collector: the machine's own is asked without a detour.
#[derive(Debug, Clone)]
pub(crate) enum Time {
    System(SystemClock),
    Other(Arc<Other>),
}

/// A clock of the program's own, and what it showed last: that is what it shows where it panics.
#[derive(Debug)]
pub(crate) struct Other {
    clock: Arc<dyn Clock>,
    // Relaxed: each is read for itself.
    monotonic: AtomicU64,
    wall: AtomicI64,
}

impl Other {
    #[cold]
    fn monotonic(&self, intake: &Intake) -> u64 {
        match guarded(intake, || nanos(self.clock.monotonic())) {
            Some(now) => {
                self.monotonic.store(now, Ordering::Relaxed);
                now
            }
            None => self.monotonic.load(Ordering::Relaxed),
        }
    }

    #[cold]
    fn wall(&self, intake: &Intake) -> i64 {
        match guarded(intake, || unix_nanos(self.clock.wall())) {
            Some(now) => {
                self.wall.store(now, Ordering::Relaxed);
                now
            }
            None => self.wall.load(Ordering::Relaxed),
        }
    }
}

impl Time {
    /// The time of a clock of the program's own, which is asked once, so that there is something to show from the
    /// beginning.
    pub(crate) fn other(clock: Arc<dyn Clock>, intake: &Intake) -> Self {
        let monotonic = guarded(intake, || nanos(clock.monotonic())).unwrap_or_default();
        let now = || unix_nanos(Utc::now());
        let wall = guarded(intake, || unix_nanos(clock.wall())).unwrap_or_else(now);
        let (monotonic, wall) = (AtomicU64::new(monotonic), AtomicI64::new(wall));
        Self::Other(Arc::new(Other { clock, monotonic, wall }))
    }
}

/// One moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Nanoseconds of the monotonic clock.
    pub(crate) monotonic: u64,
    /// Nanoseconds since 1970.
    pub(crate) wall: i64,
}

impl Time {
    /// The nanoseconds of the monotonic clock.
    #[inline]
    pub(crate) fn monotonic(&self, intake: &Intake) -> u64 {
        match self {
            Self::System(clock) => clock.nanos(),
            Self::Other(clock) => clock.monotonic(intake),
        }
    }

    /// Both clocks, by one look at the machine's counter.
    #[inline]
    pub(crate) fn now(&self, intake: &Intake) -> Moment {
        match self {
            Self::System(clock) => {
                let monotonic = clock.nanos();
                Moment { monotonic, wall: clock.wall_at(monotonic) }
            }
            Self::Other(clock) => {
                Moment { monotonic: clock.monotonic(intake), wall: clock.wall(intake) }
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_told_in_the_nanoseconds_of_its_source() {
        let clock = SystemClock::default();
        let told = || u128::from(clock.counter.delta_as_nanos(0, clock.counter.raw()));
        for _ in 0..1_000 {
            let (before, nanos, after) = (told(), u128::from(clock.nanos()), told());
            // Both round down.
            assert!(before <= nanos + 1 && nanos <= after + 1, "{before} {nanos} {after}");
        }
    }
}
