//! What was metered, held against what was served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use taximeter::{ErrorCategory, LlmCall, Meter, Money, OperationRecord, Outcome, ToolStatus, Unit};
use taximeter_demo::{FaultRates, Question, RagApp, RagConfig, Served, StandIn};

use crate::support::{library, quick, stand_in};

const QUESTIONS: usize = 60;

/// Faults of all kinds, often enough that each occurs among a hundred requests.
fn faults() -> FaultRates {
    let mut faults = FaultRates::none();
    faults.rate_limited = 0.12;
    faults.unauthorized = 0.06;
    faults.server_error = 0.1;
    faults.timeout = 0.05;
    faults.malformed = 0.08;
    faults.invented_citation = 0.2;
    faults
}

struct Run {
    meter: Meter,
    served: Served,
    questions: Vec<Question>,
    /// What the callers got, in the words of the meter: none for an answer.
    results: Vec<Option<ErrorCategory>>,
}

/// Asks on four threads, with a stand-in that fails.
fn run(change: impl FnOnce(&mut RagConfig)) -> Run {
    let stand_in = StandIn::start(quick().seed(5).faults(faults())).unwrap();
    let meter = Meter::builder().persistence(false).build().unwrap();
    let mut config = RagConfig::for_stand_in(library(), &stand_in);
    change(&mut config);
    let app = RagApp::open(config, meter.clone()).unwrap();
    let questions = app.questions(3, QUESTIONS);
    let next = AtomicUsize::new(0);
    let ask = || {
        let mut results = Vec::new();
        while let Some(question) = questions.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = app.ask_for("tester", &question.text);
            results.push(answer.err().map(|error| error.category()));
        }
        results
    };
    let results = thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().flat_map(|asker| asker.join().unwrap()).collect()
    });
    Run { meter, served: stand_in.served(), questions, results }
}

fn answers(meter: &Meter) -> Vec<OperationRecord> {
    let mut records = meter.recent(usize::MAX);
    records.retain(|record| record.name == "qa_response");
    records
}

fn calls(records: &[OperationRecord]) -> impl Iterator<Item = &LlmCall> {
    records.iter().flat_map(|record| &record.llm_calls)
}

fn tally<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}

#[test]
fn calls_tokens_and_failures_are_those_that_were_served() {
    for stream in [false, true] {
        let Run { meter, served, .. } = run(|config| {
            config.stream = stream;
            config.model = "o4-mini".to_owned();
            config.timeout = Duration::from_secs(1);
        });
        assert_eq!((served.abandoned, served.under_way()), (0, 0));
        let records = answers(&meter);
        assert_eq!(calls(&records).count() as u64, served.requests);
        assert_eq!(
            calls(&records).filter(|call| call.is_success()).count() as u64,
            served.answered
        );

        let failed = tally(calls(&records).filter_map(|call| Some(call.error.as_ref()?.category)));
        let expected = BTreeMap::from([
            (ErrorCategory::RateLimit, served.rate_limited),
            (ErrorCategory::Authentication, served.unauthorized),
            (ErrorCategory::Server, served.server_errors),
            (ErrorCategory::Timeout, served.timeouts),
            (ErrorCategory::Parse, served.malformed),
        ]);
        assert_eq!(failed, expected);

        let usage = meter.totals().usage;
        let tokens = served.tokens;
        assert_eq!(
            (usage.input_tokens(), usage.output_tokens()),
            (tokens.prompt, tokens.completion)
        );
        assert_eq!(usage.get(Unit::CacheRead), tokens.cached);
        assert_eq!(usage.get(Unit::Input), tokens.prompt - tokens.cached);
        assert_eq!(usage.get(Unit::Reasoning), tokens.reasoning);
        assert!(tokens.cached > 0 && tokens.reasoning > 0);

        let streamed = |call: &LlmCall| call.streamed == stream;
        assert!(calls(&records).all(streamed));
        let timed = |call: &LlmCall| call.time_to_first_token.is_some() == stream;
        assert!(calls(&records).filter(|call| call.is_success()).all(timed));
    }
}

#[test]
fn operations_end_as_the_callers_saw_them_end() {
    let Run { meter, served, questions, results } = run(|config| {
        config.timeout = Duration::from_secs(1);
    });
    let records = answers(&meter);
    assert_eq!((records.len(), results.len()), (QUESTIONS, QUESTIONS));
    let outcome = |record: &OperationRecord| match record.outcome {
        Outcome::Success => None,
        _ => Some(record.errors.last().unwrap().category),
    };
    assert_eq!(tally(records.iter().map(outcome)), tally(results));
    assert_eq!(meter.totals().abandoned_operations, 0);

    let asked = records.iter().filter(|record| !record.llm_calls.is_empty()).count();
    assert_eq!(asked, questions.iter().filter(|question| question.valid).count());
    assert!(records.iter().all(|record| record.user.as_deref() == Some("tester")));
    for record in &records {
        let attempts: Vec<u32> = record.llm_calls.iter().map(|call| call.attempt).collect();
        assert!(attempts.iter().copied().eq((1..).take(attempts.len())), "{attempts:?}");
        let searches: Vec<_> =
            record.tool_calls.iter().map(|call| (call.name.as_str(), call.status)).collect();
        let expected =
            vec![("vector_search", ToolStatus::Success); usize::from(!attempts.is_empty())];
        assert_eq!(searches, expected);
    }
    let warned = meter.recent(usize::MAX).iter().map(OperationRecord::warning_count).sum::<u64>();
    assert!(warned >= served.invented_citations && served.invented_citations > 0);
}

#[test]
fn every_step_is_a_component() {
    let Run { meter, .. } = run(|config| config.timeout = Duration::from_secs(1));
    let names = |operation: &str| -> BTreeSet<String> {
        let records = meter.recent(usize::MAX);
        let of_name = records.iter().filter(|record| record.name == operation);
        of_name
            .flat_map(|record| &record.components)
            .map(|timing| timing.name.to_string())
            .collect()
    };
    let expected = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(
        names("qa_response"),
        expected(&[
            "input_validation",
            "chain_execution",
            "document_retrieval",
            "embedding_generation",
            "vector_search",
            "llm_inference",
            "citation_processing",
            "metadata_extraction",
        ])
    );
    assert_eq!(
        names("chain_initialisation"),
        expected(&[
            "index_loading",
            "metadata_extraction",
            "embedding_generation",
            "model_initialisation",
        ])
    );
}

#[test]
fn prices_follow_the_model_that_answered() {
    let stand_in = stand_in();
    let meter = Meter::builder().persistence(false).build().unwrap();
    let app = RagApp::open(RagConfig::for_stand_in(library(), &stand_in), meter.clone()).unwrap();
    for question in ["What is a token?", "What is chunking?", "What is jitter?"] {
        app.ask(question).unwrap();
    }
    // gpt-4o-mini: 0.15 dollars for a million input tokens, 0.075 when cached, 0.60 for output; in billionths each.
    let tokens = stand_in.served().tokens;
    let billionths =
        (tokens.prompt - tokens.cached) * 150 + tokens.cached * 75 + tokens.completion * 600;
    let expected = Money::ratio(billionths.into(), 1_000_000_000).unwrap().0;
    assert_eq!(meter.totals().cost.usd(), expected);
    assert!(tokens.cached > 0);
}

#[test]
fn a_model_that_is_not_listed_is_a_warning() {
    let stand_in = StandIn::start(quick()).unwrap();
    for (model, warnings) in [("gpt-4o", 0), ("gpt-99", 1)] {
        let meter = Meter::builder().persistence(false).build().unwrap();
        let mut config = RagConfig::for_stand_in(library(), &stand_in);
        config.model = model.to_owned();
        RagApp::open(config, meter.clone()).unwrap();
        let opened = meter.recent(1).remove(0);
        assert_eq!(
            (opened.name.as_str(), opened.warning_count()),
            ("chain_initialisation", warnings)
        );
        assert_eq!(opened.outcome, Outcome::Success);
    }
}
