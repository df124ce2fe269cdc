//! Sums are merged, written and read without losing a digit, and agree with the groups made of the records.

use proptest::prelude::*;
use taximeter_models::{CostOutcome, Currency, ErrorRecord, ReportedCost, Unit};

use super::*;
use crate::{Dimension, group};

fn operation(at: u64) -> OperationRecord {
    let mut operation = OperationRecord::new("answer");
    operation.started_at =
        DateTime::from_timestamp_nanos(i64::try_from(at).unwrap() * 1_000_000_007);
    operation.duration = Duration::from_nanos(at * 7_919_331 % 5_000_000_000);
    operation.outcome =
        [Outcome::Success, Outcome::Failure, Outcome::Abandoned][usize::try_from(at % 3).unwrap()];
    operation.add_component("search", Duration::from_millis(at % 50));
    operation.add_component("search", Duration::from_millis(3));
    if at % 3 == 1 {
        operation.errors.push(ErrorRecord::new(ErrorCategory::RateLimit, "slow down"));
    }
    let mut call = LlmCall::new("openai", "gpt-4o").using(TokenUsage::new(at % 999, at % 77));
    call.attempt = 1 + u32::from(at.is_multiple_of(5));
    call.duration = Some(operation.duration / 2);
    call.time_to_first_token = Some(operation.duration / 4);
    call.finish_reason = Some(if at.is_multiple_of(4) { "length" } else { "stop" }.into());
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

fn sums(operations: &[OperationRecord]) -> Sums {
    let mut sums = Sums::default();
    for operation in operations {
        sums.add_operation(operation);
    }
    sums
}

#[test]
fn they_agree_with_the_groups_made_of_the_records() {
    let operations: Vec<_> = (0..500).map(operation).collect();
    let kept = Sums::from_bytes(&sums(&operations).to_bytes()).unwrap();
    let (found, exact) = (
        kept.summary(Some("answer".into())).unwrap(),
        group(&operations, Dimension::Operation).remove(0),
    );
    let (fast, slow) = (found.duration_seconds.unwrap(), exact.duration_seconds.unwrap());
    assert_eq!((fast.count, fast.min.to_bits(), fast.max), (500, slow.min.to_bits(), slow.max));
    for (fast, slow) in [(fast.p50, slow.p50), (fast.p95, slow.p95), (fast.p99, slow.p99)] {
        assert!((fast - slow).abs() <= Histogram::ERROR * slow + 1e-9, "{fast} {slow}");
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
    for operation in &operations {
        search.add_component(operation, "search");
    }
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
    fn damage_is_refused_or_read_and_never_panics(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5), keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = sums(&[operation(3), operation(4), operation(5)]).to_bytes();
        for (place, value) in flips {
            let place = place.index(bytes.len());
            bytes[place] ^= value;
        }
        bytes.truncate(keep.index(bytes.len()) + 1);
        use_all(&bytes);
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0..4_u8], 0..200)) {
        use_all(&bytes);
        bytes.insert(0, 1);
        use_all(&bytes);
    }
}

/// Whatever is read can be merged with itself, written and answered from.
fn use_all(bytes: &[u8]) {
    let Ok(mut read) = Sums::from_bytes(bytes) else { return };
    assert_eq!(Sums::from_bytes(&read.to_bytes()).as_ref(), Ok(&read));
    for _ in 0..3 {
        read.merge(&read.clone());
        let _ = read.summary(None);
        let _ = (read.known_usd(), read.duration(), read.failed());
    }
}

#[test]
fn what_was_written_by_version_1_is_read_as_it_was() {
    let written = include_bytes!("version_1.bin");
    let operations: Vec<_> = (0..40).map(operation).collect();
    assert_eq!(Sums::from_bytes(written), Ok(sums(&operations)));
    assert_eq!(sums(&operations).to_bytes(), written);
    let mut newer = written.to_vec();
    newer[0] = 2;
    assert_eq!(Sums::from_bytes(&newer), Err(SumsError::Newer(2)));
    assert!(SumsError::Newer(2).to_string().contains("use a newer taximeter"));
    newer[0] = 1;
    newer.push(0);
    assert!(Sums::from_bytes(&newer).unwrap_err().to_string().contains("behind their end"));
}

/// A unit or category that is not in the lists of the format goes by its name.
#[test]
fn every_unit_and_category_is_kept() {
    let mut all = Sums {
        usage: TokenUsage::of_sum((1..).zip(Unit::ALL).map(|(count, unit)| (*unit, count))),
        errors_by_category: ErrorCategory::ALL.iter().copied().zip(1..).collect(),
        ..Sums::default()
    };
    all.cost.amounts.in_currency("EUR".parse().unwrap());
    assert_eq!(Sums::from_bytes(&all.to_bytes()), Ok(all));
}

#[test]
fn few_operations_take_few_bytes_and_many_not_many() {
    let size = |count: u64| sums(&(0..count).map(operation).collect::<Vec<_>>()).to_bytes().len();
    assert!(size(5) < 200, "{}", size(5));
    assert!(size(20_000) < 4_000, "{}", size(20_000));
}
