//! Sums for the tests: exact ones, so that two ways of summing are compared to the last digit.

use std::sync::Arc;

use taximeter_models::{Money, Name, OperationRecord};
use taximeter_persistence::store::{Numbers, Place, Summarize, Unreadable, WindowBytes};

use crate::arbitrary::tags;

/// Counts, and adds up durations and costs, of all, of each name and of each team.
#[derive(Debug)]
pub(crate) struct Summing {
    /// Whether also by something of which each operation has many.
    many: bool,
}

pub(crate) fn summing() -> Arc<dyn Summarize> {
    Arc::new(Summing { many: false })
}

/// The same, and by the dimension `many`: so many keys for each operation that those of one are a row.
pub(crate) fn summing_many() -> Arc<dyn Summarize> {
    Arc::new(Summing { many: true })
}

/// Some of which the next operation has too; none for the first one.
fn many(record: &OperationRecord) -> impl Iterator<Item = Option<Name>> {
    let bits = record.id.bits();
    let first = u32::try_from((bits >> 70 ^ bits & 0xffff) % 5).unwrap();
    let key = |key: u32| (key > 0).then(|| key.to_string().into());
    (40 * first..40 * first + 70).map(key)
}

const VERSION: u8 = 1;

impl Summarize for Summing {
    fn windows(&self, records: &[&OperationRecord], put: &mut dyn FnMut(Place, WindowBytes)) {
        let minutes: std::collections::BTreeSet<_> =
            records.iter().map(|record| record.started_at.timestamp().div_euclid(60)).collect();
        assert_eq!(minutes.len(), 1, "all began within one minute");
        let mut sums = std::collections::BTreeMap::<Place, (u64, u128, i128)>::new();
        for record in records {
            let named = Place { dimension: "operation".into(), key: Some(record.name.clone()) };
            let team =
                Place { dimension: "tag:team".into(), key: tags(record).get("team").cloned() };
            let many = many(record).filter(|_| self.many);
            let many = many.map(|key| Place { dimension: "many".into(), key });
            let places = [Place { dimension: "all".into(), key: None }, named, team];
            for place in places.into_iter().chain(many) {
                let (count, nanos, ticks) = sums.entry(place).or_default();
                *count += 1;
                *nanos += record.duration.as_nanos();
                *ticks = ticks.saturating_add(record.cost().usd().ticks());
            }
        }
        for (place, (count, nanos, ticks)) in sums {
            put(place, window(count, nanos, ticks));
        }
    }

    fn merge(&self, windows: &[&[u8]]) -> Result<WindowBytes, Unreadable> {
        let (mut count, mut nanos, mut ticks) = (0, 0, 0_i128);
        for bytes in windows {
            if bytes.first() != Some(&VERSION) || bytes.len() != 41 {
                return Err(Unreadable { why: "this is no window of version 1".into() });
            }
            count += u64::from_le_bytes(bytes[1..9].try_into().unwrap());
            nanos += u128::from_le_bytes(bytes[9..25].try_into().unwrap());
            ticks += i128::from_le_bytes(bytes[25..41].try_into().unwrap());
        }
        Ok(window(count, nanos, ticks))
    }
}

fn window(count: u64, nanos: u128, ticks: i128) -> WindowBytes {
    let mut bytes = vec![VERSION];
    bytes.extend(count.to_le_bytes());
    bytes.extend(nanos.to_le_bytes());
    bytes.extend(ticks.to_le_bytes());
    let mut numbers = Numbers::default();
    numbers.count = count;
    numbers.duration_ns = u64::try_from(nanos).unwrap_or(u64::MAX);
    numbers.cost_usd = Money::from_ticks(ticks);
    WindowBytes { bytes, numbers }
}
