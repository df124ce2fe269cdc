//! What the metrics of a program's own did in each minute and each hour, as notes in the meter's store: so that they can be
//! asked for when the program has ended.
//!
//! A meter has a note for each minute and each hour in which something was recorded, and writes it again in its own place
//! with each flush or look after the store. So nothing is counted twice, and what a note could not take comes with the next.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use taximeter_models::Name;
use taximeter_persistence::StoreError;
use taximeter_persistence::store::{Note, Store};
use taximeter_telemetry::metrics::{Family, Kind, Labels, Point, Registry};

use crate::history::own::{HOURS, MINUTES, MINUTES_KEPT, MetricValue, Noted, NotedPoint};

/// For so long there are hours.
const HOURS_KEPT: TimeDelta = TimeDelta::days(100);
/// So many series have room in a note; others are counted.
const MOST_SERIES: usize = 1_000;

/// Writes the notes of one meter.
pub(crate) struct MetricKeeper {
    registry: Registry,
    /// Tells this meter's notes from those of others.
    meter: String,
    windows: Mutex<[Window; 2]>,
}

/// The minute or the hour that is being written.
struct Window {
    /// How the keys of its notes begin.
    key: &'static str,
    seconds: i64,
    kept: TimeDelta,
    /// When it begins, in its own length since 1970.
    at: i64,
    /// All that was recorded before it began.
    before: Snapshot,
    /// What was recorded when it was last written, or looked at in vain.
    seen: Snapshot,
    written: Noted,
}

/// What each series has come to since the meter was made, with the unit of its metric.
type Snapshot = BTreeMap<(Name, BTreeMap<Name, Name>), (Name, MetricValue)>;

impl MetricKeeper {
    /// For the meter of that id, which is no other's.
    pub(crate) fn new(registry: Registry, meter: impl std::fmt::Display) -> Self {
        let windows =
            [Window::new(MINUTES, 60, MINUTES_KEPT), Window::new(HOURS, 3_600, HOURS_KEPT)];
        Self { registry, meter: meter.to_string(), windows: Mutex::new(windows) }
    }

    /// Writes what has changed.
    pub(crate) fn keep(&self, store: &dyn Store, now: DateTime<Utc>) -> Result<(), StoreError> {
        let snapshot = snapshot(&self.registry.families());
        if snapshot.is_empty() {
            return Ok(());
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.iter_mut().try_for_each(|window| window.keep(&self.meter, &snapshot, store, now))
    }
}

impl Window {
    fn new(key: &'static str, seconds: i64, kept: TimeDelta) -> Self {
        let (before, seen, written) = (Snapshot::new(), Snapshot::new(), Noted::default());
        Self { key, seconds, kept, at: i64::MIN, before, seen, written }
    }

    fn keep(
        &mut self,
        meter: &str,
        snapshot: &Snapshot,
        store: &dyn Store,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let at = now.timestamp().div_euclid(self.seconds);
        // A clock that was set back makes the window longer.
        if at > self.at {
            store.forget_notes(self.key, now - self.kept)?;
            self.at = at;
            self.before = std::mem::take(&mut self.seen);
            self.written = Noted::default();
        }
        let noted = self.noted(snapshot);
        if noted != self.written {
            let begin = DateTime::from_timestamp(self.at * self.seconds, 0).unwrap_or(now);
            let key = format!("{}{meter}/{}", self.key, begin.format("%FT%H:%M"));
            // Numbers that are finite, names and texts always can be written.
            let value = serde_json::to_value(&noted).unwrap_or_default();
            store.put_note(&Note::new(key, begin, value))?;
            self.written = noted;
        }
        self.seen.clone_from(snapshot);
        Ok(())
    }

    /// What is more than before the window.
    fn noted(&self, snapshot: &Snapshot) -> Noted {
        let mut noted = Noted::default();
        for (series, (unit, value)) in snapshot {
            let before = self.before.get(series).map(|(_, before)| before);
            let Some(value) = since(value, before) else { continue };
            if noted.points.len() >= MOST_SERIES {
                noted.left_out += 1;
                continue;
            }
            let (name, labels) = series.clone();
            noted.points.push(NotedPoint { name, unit: unit.clone(), labels, value });
        }
        noted
    }
}

/// What has come since; none where nothing has. A gauge that was set to what it was has not changed.
fn since(now: &MetricValue, before: Option<&MetricValue>) -> Option<MetricValue> {
    let is_more = match (now, before) {
        (now, None) => return Some(now.clone()),
        (now, Some(before)) => now != before,
    };
    is_more.then(|| match (now, before) {
        (MetricValue::Counter { increase }, Some(MetricValue::Counter { increase: before })) => {
            MetricValue::Counter { increase: increase - before }
        }
        (
            MetricValue::Histogram { count, sum, bounds, counts },
            Some(MetricValue::Histogram { count: less, sum: before, counts: others, .. }),
        ) => MetricValue::Histogram {
            count: count - less,
            sum: sum - before,
            bounds: bounds.clone(),
            counts: counts.iter().zip(others).map(|(ours, theirs)| ours - theirs).collect(),
        },
        (now, _) => now.clone(),
    })
}

fn snapshot(families: &[Family]) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for family in families {
        let (name, unit) = (Name::from(family.name()), Name::from(family.unit()));
        for (labels, point) in family.series() {
            let value = value(family, point);
            snapshot.insert((name.clone(), plain(labels)), (unit.clone(), value));
        }
    }
    snapshot
}

fn plain(labels: &Labels) -> BTreeMap<Name, Name> {
    labels.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

fn value(family: &Family, point: &Point) -> MetricValue {
    match point {
        Point::Value { amount, .. } => {
            let number = amount.to_f64_lossy(family.scale());
            match family.kind() {
                Kind::Counter => MetricValue::Counter { increase: number },
                _ => MetricValue::Gauge { last: number },
            }
        }
        Point::Histogram(histogram) => {
            let bounds = match family.kind() {
                Kind::Histogram(bounds) => bounds.clone(),
                _ => Vec::new(),
            };
            MetricValue::Histogram {
                count: histogram.count,
                sum: histogram.sum.to_f64_lossy(family.scale()),
                bounds,
                counts: histogram.buckets.clone(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use taximeter_persistence::store::MemoryStore;

    use super::*;
    use crate::history::{History, OwnMetric, Period};

    fn at(minutes: i64) -> DateTime<Utc> {
        "2026-11-23T12:00:30Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::minutes(minutes)
    }

    fn own(store: &std::sync::Arc<MemoryStore>, hours: i64) -> Vec<OwnMetric> {
        let since = at(0) - TimeDelta::hours(hours);
        let store: std::sync::Arc<dyn Store> = store.clone();
        History::new(store)
            .own_metrics(Period { since: Some(since), until: None }, at(600))
            .unwrap()
    }

    #[test]
    fn minutes_and_hours_hold_what_was_recorded_in_them_once() {
        let store = std::sync::Arc::new(MemoryStore::new());
        let registry = Registry::default();
        let hits = registry.counter("app.hits", "{hit}", "Hits.").unwrap();
        let load = registry.gauge("app.load", "1", "Load.").unwrap();
        let size = registry.histogram("app.size", "By", "Size.", &[10.0, 100.0]).unwrap();
        let keeper = MetricKeeper::new(registry.clone(), "m");
        keeper.keep(&*store, at(0)).unwrap();
        assert!(store.notes("").unwrap().is_empty()); // of nothing there is no note
        hits.add(2, [("of", "a")]);
        load.set(0.5, [("", ""); 0]);
        keeper.keep(&*store, at(0)).unwrap();
        hits.add(3, [("of", "b")]);
        keeper.keep(&*store, at(0)).unwrap(); // the same minute again, in its own place
        hits.add(5, [("of", "a")]);
        size.record(50.0, [("", ""); 0]);
        load.set(0.25, [("", ""); 0]);
        keeper.keep(&*store, at(7)).unwrap();
        keeper.keep(&*store, at(8)).unwrap(); // in which there was nothing
        let found = own(&store, 1);
        let names: Vec<_> = found.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["app.hits", "app.load", "app.size"]);
        assert_eq!(found[0].value, MetricValue::Counter { increase: 10.0 });
        let begin = at(0) - TimeDelta::seconds(30);
        let minutes = [(begin, 5.0), (begin + TimeDelta::minutes(7), 5.0)];
        assert_eq!((found[0].step_seconds, &found[0].over_time[..]), (60, &minutes[..]));
        let series: Vec<_> = found[0].series.iter().map(|one| one.value.number()).collect();
        assert_eq!(series, [Some(7.0), Some(3.0)]);
        assert_eq!(found[1].value, MetricValue::Gauge { last: 0.25 });
        assert_eq!((found[2].value.number(), found[2].p50), (Some(50.0), Some(55.0)));

        // A process of another meter adds to the same; the hours come to as much.
        let other = MetricKeeper::new(registry, "n");
        other.keep(&*store, at(9)).unwrap();
        assert_eq!(own(&store, 1)[0].value, MetricValue::Counter { increase: 20.0 });
        let hours = own(&store, 24 * 5);
        assert_eq!((hours[0].step_seconds, &hours[0].value), (3_600, &own(&store, 1)[0].value));
    }

    #[test]
    fn minutes_are_forgotten_after_three_days_and_series_beyond_the_room_are_counted() {
        let store = std::sync::Arc::new(MemoryStore::new());
        let registry = Registry::default();
        let hits = registry.counter("app.hits", "{hit}", "Hits.").unwrap();
        let keeper = MetricKeeper::new(registry, "m");
        for number in 0..1_100 {
            hits.add(1, [("number", number.to_string())]);
        }
        keeper.keep(&*store, at(0)).unwrap();
        let notes = store.notes(MINUTES).unwrap();
        assert_eq!(notes[0].value["left_out"], 100);
        hits.add(1, [("number", "0")]);
        keeper.keep(&*store, at(0) + MINUTES_KEPT + TimeDelta::hours(1)).unwrap();
        assert_eq!(
            (store.notes(MINUTES).unwrap().len(), store.notes(HOURS).unwrap().len()),
            (1, 2)
        );
    }

    /// A store that cannot be written for a while.
    #[derive(Debug)]
    struct Closed;

    impl Store for Closed {
        fn append(
            &self,
            _: &[crate::OperationRecord],
        ) -> Result<taximeter_persistence::store::Appended, StoreError> {
            Ok(taximeter_persistence::store::Appended::default())
        }
        fn flush(&self) -> Result<(), StoreError> {
            Ok(())
        }
        fn get(&self, _: crate::OperationId) -> Result<Option<crate::OperationRecord>, StoreError> {
            Ok(None)
        }
        fn scan(
            &self,
            _: &taximeter_persistence::store::Query,
            _: &mut dyn FnMut(crate::OperationRecord) -> std::ops::ControlFlow<()>,
        ) -> Result<taximeter_persistence::store::Scanned, StoreError> {
            Ok(taximeter_persistence::store::Scanned::default())
        }
        fn columns(
            &self,
            _: taximeter_persistence::store::Table,
            _: &taximeter_persistence::store::Query,
            _: &[taximeter_persistence::store::Column],
            _: &mut dyn FnMut(
                &taximeter_persistence::store::Block<'_>,
            ) -> std::ops::ControlFlow<()>,
        ) -> Result<taximeter_persistence::store::Scanned, StoreError> {
            Ok(taximeter_persistence::store::Scanned::default())
        }
        fn rollups(
            &self,
            _: &taximeter_persistence::store::RollupQuery,
        ) -> Result<Vec<taximeter_persistence::store::Rollup>, StoreError> {
            Ok(Vec::new())
        }
        fn stats(&self) -> Result<taximeter_persistence::store::StoreStats, StoreError> {
            Ok(taximeter_persistence::store::StoreStats::default())
        }
        fn put_note(&self, _: &Note) -> Result<(), StoreError> {
            Err(StoreError::ReadOnly { doing: "writing", path: "closed".into() })
        }
    }

    #[test]
    fn what_could_not_be_written_comes_with_the_next_note() {
        let store = std::sync::Arc::new(MemoryStore::new());
        let registry = Registry::default();
        let hits = registry.counter("app.hits", "{hit}", "Hits.").unwrap();
        let keeper = MetricKeeper::new(registry, "m");
        hits.add(2, [("", ""); 0]);
        assert!(keeper.keep(&Closed, at(0)).is_err());
        hits.add(3, [("", ""); 0]);
        keeper.keep(&*store, at(61)).unwrap();
        assert_eq!(own(&store, 1)[0].value, MetricValue::Counter { increase: 5.0 });
    }
}
