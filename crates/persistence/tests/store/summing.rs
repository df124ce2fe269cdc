//! Sums for the tests: exact ones, so that two ways of summing are compared to the last digit.

use std::sync::Arc;

use taximeter_models::{Money, OperationRecord};
use taximeter_persistence::store::{Numbers, Place, Summarize, Unreadable, WindowBytes};

use crate::arbitrary::tags;

/// Counts, and adds up durations and costs, of all, of each name and of each team.
#[derive(Debug)]
pub(crate) struct Summing;

pub(crate) fn summing() -> Arc<dyn Summarize> {
    Arc::new(Summing)
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
            for place in [Place { dimension: "all".into(), key: None }, named, team] {
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
