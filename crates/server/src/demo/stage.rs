//! Where the demo is played: a real meter, with a clock that is set, over the demo's store.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::{Clock, Meter};

use super::script::Script;
use crate::questions::Questions;

/// So many days have been before the curtain rises.
const DAYS: i64 = 30;
/// The time between two operations then, in minutes, in the mean.
const EVERY: f64 = 9.0;
/// So long it takes at first until the next operation comes: something is to be seen at once.
const FIRST: Duration = Duration::from_secs(1);
/// So much longer it takes later, so that the present does not dwarf what was before.
const LATER: Duration = Duration::from_secs(20);
/// After so many operations it is later.
const LIVELY: u32 = 60;
/// So many are played at most, so that a page that stays open does not fill the memory.
const MOST: u32 = 20_000;
/// What comes live began so long ago, so that it is over when it is shown.
const AGO: TimeDelta = TimeDelta::seconds(20);

/// A clock that shows what it is told.
#[derive(Debug)]
pub(super) struct StageClock(Mutex<(Duration, DateTime<Utc>)>);

impl StageClock {
    pub(super) fn set(&self, wall: DateTime<Utc>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = wall;
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.0 += by;
        now.1 += by;
    }
}

impl Clock for StageClock {
    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    fn wall(&self) -> DateTime<Utc> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Plays on a thread of its own until nobody can see it any more.
pub(super) fn play(questions: &Arc<Questions>) {
    let seen_by = Arc::downgrade(questions);
    let store = Arc::clone(questions.history().store());
    // Without a thread there is an empty page, which says so.
    let _ = thread::Builder::new().name("taximeter-demo".into()).spawn(move || {
        let now = Utc::now();
        let clock = Arc::new(StageClock(Mutex::new((Duration::ZERO, now))));
        let meter =
            Meter::builder().store_in(store).clock(Arc::<StageClock>::clone(&clock)).build();
        let Ok(meter) = meter else { return };
        let mut script = Script::new(meter.clone(), clock, now);
        if before(&mut script, &meter, &seen_by, now) {
            live(&mut script, &meter, &seen_by);
        }
        let _ = meter.shutdown(Duration::from_secs(5));
    });
}

/// Everything that was before now, as fast as it can be played: the last day first, for that is what a page shows first.
fn before(
    script: &mut Script,
    meter: &Meter,
    seen_by: &Weak<Questions>,
    now: DateTime<Utc>,
) -> bool {
    for ago in 0..DAYS {
        let end = now - AGO - TimeDelta::days(ago);
        let mut at = end - TimeDelta::days(1);
        while at < end {
            script.play(at);
            at += script.pause(EVERY, at);
        }
        if !handed_over(meter, seen_by) {
            return false;
        }
    }
    true
}

fn live(script: &mut Script, meter: &Meter, seen_by: &Weak<Questions>) {
    for played in 0..MOST {
        script.play(Utc::now() - AGO);
        if !handed_over(meter, seen_by) {
            return;
        }
        thread::sleep(FIRST + LATER * played.min(LIVELY) / LIVELY);
    }
}

/// Hands what was recorded to the store, and tells the pages; says whether there are any.
fn handed_over(meter: &Meter, seen_by: &Weak<Questions>) -> bool {
    let is_stored = meter.flush(Duration::from_secs(10)).is_ok();
    let Some(questions) = seen_by.upgrade() else { return false };
    questions.changed.send_modify(|times| *times += 1);
    is_stored
}
