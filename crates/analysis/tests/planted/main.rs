//! Causes planted in a simulated application: each is found, nothing else is, and what following the advice saves is what
//! was promised.
//!
//! `SEED=n` draws other runs; the default is 7.

mod app;

use app::{App, Cause, run};
use taximeter_analysis::{Effect, Saved, Thresholds, advise, bottlenecks, remeasure, with_savings};
use taximeter_models::{Advice, AdviceKind, Estimate, Finding, FindingKind, OperationRecord};

fn seed() -> u64 {
    std::env::var("SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(7)
}

fn found(operations: &[OperationRecord]) -> Vec<Finding> {
    bottlenecks(operations, &Thresholds::default())
}

fn word(kind: &FindingKind) -> String {
    let json = serde_json::to_value(kind).expect("a finding is JSON");
    json["kind"].as_str().expect("a finding has a kind").to_owned()
}

/// The advice about the only thing that stands out, with what it would save.
fn only_advice(cause: Cause, expected: &str, operations: &[OperationRecord]) -> Advice {
    let findings = found(operations);
    let words: Vec<_> = findings.iter().map(|finding| word(&finding.kind)).collect();
    assert_eq!(words, [expected], "{cause:?}: {findings:#?}");
    assert!(!findings[0].evidence.is_empty() && findings[0].lost.is_some(), "{findings:?}");
    let advice = with_savings(advise(&findings), operations, &Thresholds::default(), &app::Book);
    let [advice] = &advice[..] else { panic!("{advice:?}") };
    advice.clone()
}

fn within(range: &Estimate<f64>, saved: f64) -> bool {
    range.low <= range.likely
        && range.likely <= range.high
        && range.low <= saved
        && saved <= range.high
}

/// What an operation takes and costs in the mean; of failures, what is spent on operations that fail.
fn means(cause: Cause, operations: &[OperationRecord]) -> (f64, f64) {
    let count = f64::from(u32::try_from(operations.len()).expect("not so many"));
    let those = || operations.iter().filter(|o| cause != Cause::Failures || !o.is_success());
    let seconds: f64 = those().map(|o| o.duration.as_secs_f64()).sum();
    let usd: f64 = those().map(|o| o.cost().usd().to_f64_lossy()).sum();
    (seconds / count, usd / count)
}

#[test]
fn where_nothing_is_planted_nothing_is_found() {
    for seed in seed()..seed() + 20 {
        let operations = run(&App::healthy(), seed);
        assert_eq!(found(&operations), [], "seed {seed}");
    }
}

/// A cause, what is found, what is advised, and the application in which the advice was followed.
fn planted() -> Vec<(Cause, &'static str, AdviceKind)> {
    vec![
        (Cause::SlowSearch, "slow_component", AdviceKind::BetterIndexOrChunking),
        (Cause::SlowLlm, "slow_component", AdviceKind::FasterLlmOrBetterPrompts),
        (Cause::DearLlm, "expensive_operation", AdviceKind::CheaperLlmOrFewerTokens),
        (Cause::Failures, "high_error_rate", AdviceKind::ErrorHandlingAndRetry),
        (Cause::SameQuestions, "repeated_calls", AdviceKind::CacheFrequentRequests),
        (Cause::RetryStorm, "retry_storm", AdviceKind::RetryWithBackoff),
        (Cause::RateLimit, "rate_limited", AdviceKind::SpreadOrRaiseLimit),
        (Cause::Timeouts, "timeouts", AdviceKind::ShorterTimeout),
        (Cause::ToolLoop, "tool_loop", AdviceKind::StopLoops),
        (Cause::CutReplies, "truncated_replies", AdviceKind::RaiseOutputLimit),
        (Cause::FullContext, "context_pressure", AdviceKind::ShorterContext),
        (Cause::ColdCache, "cold_cache", AdviceKind::PromptCaching),
        (Cause::LongReplies, "long_replies", AdviceKind::ShorterReplies),
        (Cause::Background, "background_work", AdviceKind::BatchTier),
    ]
}

#[test]
fn each_planted_cause_is_found_and_none_else() {
    for seed in seed()..seed() + 5 {
        for (cause, expected, kind) in planted() {
            let operations = run(&App::with(cause), seed);
            let advice = only_advice(cause, expected, &operations);
            assert_eq!(advice.advice, kind, "{cause:?}");
            assert!(advice.verify.contains("before and after"));
        }
    }
}

#[test]
fn what_was_promised_is_what_the_remedy_saves() {
    for (cause, expected, _) in planted() {
        let before = run(&App::with(cause), seed());
        let advice = only_advice(cause, expected, &before);
        let after = run(&App::remedied(cause), seed());
        let Some(saving) = &advice.saving else {
            assert!(matches!(cause, Cause::CutReplies | Cause::FullContext), "{cause:?}");
            continue;
        };
        assert_eq!(saving.operations, before.len() as u64);
        let (then, now) = (means(cause, &before), means(cause, &after));
        if let Some(seconds) = &saving.seconds {
            let saved = then.0 - now.0;
            assert!(within(seconds, saved), "{cause:?}: {saved} s of {saving:?}");
        }
        if let Some(usd) = &saving.usd {
            let saved = then.1 - now.1;
            let number = |usd: taximeter_models::Money| usd.to_f64_lossy();
            let range = Estimate {
                low: number(usd.low),
                likely: number(usd.likely),
                high: number(usd.high),
            };
            assert!(within(&range, saved), "{cause:?}: $ {saved} of {saving:?}");
        }
    }
}

#[test]
fn measured_again_the_remedy_has_helped_and_nothing_has_not() {
    for (cause, expected, _) in planted() {
        let before = run(&App::with(cause), seed());
        let advice = only_advice(cause, expected, &before);
        let again = |after: &[OperationRecord]| {
            remeasure(&advice, &before, after, &Thresholds::default()).expect("operations enough")
        };
        let helped = again(&run(&App::remedied(cause), seed() + 100));
        assert_eq!(helped.effect, Effect::Helped, "{cause:?}: {helped:?}");
        let unchanged = again(&before);
        assert_eq!(unchanged.effect, Effect::Inconclusive, "{cause:?}: {unchanged:?}");
        if let (Saved::Seconds(saved), Some(promised)) =
            (helped.saved, advice.saving.as_ref().and_then(|saving| saving.seconds))
        {
            assert!(saved.low <= promised.high && saved.high >= promised.low, "{cause:?}");
        }
    }
}
