//! Sums are merged, written and read without losing a digit, and agree with the groups made of the records.

use proptest::prelude::*;
use taximeter_models::{CostOutcome, ErrorRecord, ReportedCost};

use super::*;
use crate::{Dimension, group};

fn operation(at: u64) -> OperationRecord {
    let mut operation = OperationRecord::new("answer");
    operation.started_at =
        DateTime::from_timestamp_nanos(i64::try_from(at).unwrap() * 1_000_000_007);
    operation.duration = Duration::from_nanos(at * 7_919_331 % 5_000_000_000);
    operation.outcome = [Outcome::Success, Outcome::Failure, Outcome::Abandoned][at as usize % 3];
    operation.add_component("search", Duration::from_millis(at % 50));
    operation.add_component("search", Duration::from_millis(3));
    if at % 3 == 1 {
        operation.errors.push(ErrorRecord::new(ErrorCategory::RateLimit, "slow down"));
    }
    let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(at % 999, at % 77));
    call.attempt = 1 + u32::from(at % 5 == 0);
    call.duration = Some(operation.duration / 2);
    call.time_to_first_token = Some(operation.duration / 4);
    call.finish_reason = Some(if at % 4 == 0 { "length" } else { "stop" }.into());
    let cost = ReportedCost {
        total: Money::from_ticks(i128::from(at) * 12_345),
        input: None,
        output: None,
        currency: Currency::USD,
    };
    call.cost = match at % 4 {
        0 => CostOutcome::UnknownModel { nearest: vec![] },
        1 => CostOutcome::Recorded(cost),
        _ => CostOutcome::ProviderReported(cost),
    };
    operation.llm_calls.push(call);
    operation
}

use taximeter_models::Currency;

fn sums(operations: &[OperationRecord]) -> Sums {
    let mut sums = Sums::default();
    operations.iter().for_each(|operation| sums.add_operation(operation));
    sums
}

#[test]
fn they_agree_with_the_groups_made_of_the_records() {
    let operations: Vec<_> = (0..500).map(operation).collect();
    let (found, exact) = (
        sums(&operations).summary(Some("answer".into())).unwrap(),
        group(&operations, Dimension::Operation).remove(0),
    );
    let (fast, slow) = (found.duration_seconds.unwrap(), exact.duration_seconds.unwrap());
    assert_eq!((fast.count, fast.min.to_bits(), fast.max), (500, slow.min.to_bits(), slow.max));
    for (fast, slow) in [(fast.p50, slow.p50), (fast.p95, slow.p95), (fast.p99, slow.p99)] {
        assert!((fast - slow).abs() <= Percentiles::SKETCH_ERROR * slow + 1e-9, "{fast} {slow}");
    }
    let deviation = fast.std_deviation.unwrap() / slow.std_deviation.unwrap();
    assert!((deviation - 1.0).abs() < 1e-9, "{deviation}");
    let rest = |summary: &GroupSummary| {
        let mut rest = summary.clone();
        rest.duration_seconds = None;
        rest.time_to_first_token_seconds = None;
        rest.output_tokens_per_second = None;
        rest
    };
    assert_eq!(rest(&found), rest(&exact));
}

use crate::Percentiles;

#[test]
fn what_is_counted_beside_the_groups() {
    let operations: Vec<_> = (0..60).map(operation).collect();
    let all = sums(&operations);
    assert_eq!((all.abandoned, all.retries, all.errors), (20, 12, 20));
    assert_eq!((all.truncated.hits, all.truncated.of), (15, 60));
    let failed = operations.iter().filter(|operation| !operation.is_success());
    let usd: Money = failed.filter_map(|o| o.llm_calls[0].cost.known_usd()).sum();
    assert_eq!(all.failed_usd, usd);
    let mut search = Sums::default();
    operations.iter().for_each(|operation| search.add_component(operation, "search"));
    assert_eq!((search.success.of, search.runs), (60, 120));
}

proptest! {
    #[test]
    fn merged_as_bytes_is_as_if_one_had_seen_all(seeds in prop::collection::vec(0..10_000_u64, 0..60), cut in any::<prop::sample::Index>()) {
        let operations: Vec<_> = seeds.into_iter().map(operation).collect();
        let (one, other) = operations.split_at(cut.index(operations.len() + 1));
        let mut merged = Sums::from_bytes(&sums(other).to_bytes()).unwrap();
        merged.merge(&Sums::from_bytes(&sums(one).to_bytes()).unwrap());
        prop_assert_eq!(merged, sums(&operations));
    }

    #[test]
    fn damage_is_refused_or_read_and_never_panics(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5), keep in any::<prop::sample::Index>()) {
        let mut bytes = sums(&[operation(3), operation(4)]).to_bytes();
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= value;
        }
        bytes.truncate(keep.index(bytes.len()) + 1);
        if let Ok(read) = Sums::from_bytes(&bytes) {
            let _ = read.summary(None);
        }
    }
}
