//! Documents of the original system: every number expected here was computed from the files by another program.

use super::*;

/// What is in a file, exactly.
struct Expected {
    operations: [u64; 2],
    nanos: u64,
    components: (usize, u64),
    tools: &'static [(&'static str, u64)],
    tool_nanos: u64,
    statuses: &'static [(&'static str, u64)],
    categories: &'static [(&'static str, u64)],
    tokens: [u64; 2],
    calls: u64,
    models: &'static [(&'static str, u64)],
    recorded: u64,
    input_cost: &'static str,
    output_cost: &'static str,
    unpriced_tokens: u64,
    errors: u64,
    warnings: u64,
}

fn counted<T: Ord>(values: impl IntoIterator<Item = T>) -> BTreeMap<T, u64> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

fn sum<'a>(durations: impl IntoIterator<Item = &'a Duration>) -> u64 {
    durations.into_iter().map(|duration| u64::try_from(duration.as_nanos()).unwrap()).sum()
}

fn check(file: &str, text: &str, expected: &Expected) {
    let session: Session = serde_json::from_str(text).unwrap();
    assert_eq!(session.id, *format!("session-{file}"));
    assert_eq!(
        session.notes,
        ["the session's start_time and end_time name no zone; they were read as UTC"]
    );
    check_parts(&session, expected);
    check_totals(&session.totals(), expected);

    let saved = serde_json::to_value(&session).unwrap();
    totals::check(&saved);
    assert_eq!(serde_json::from_value::<Session>(saved).unwrap(), session, "saved and read again");
    let saved = serde_json::to_string_pretty(&session).unwrap();
    assert_eq!(serde_json::from_str::<Session>(&saved).unwrap(), session, "saved and read again");
}

fn check_parts(session: &Session, expected: &Expected) {
    let operations = &session.operations;
    let components: Vec<_> = operations.iter().flat_map(|one| &one.components).collect();
    assert_eq!(
        (components.len(), sum(components.iter().map(|one| &one.duration))),
        expected.components
    );
    let tools: Vec<_> = operations.iter().flat_map(|one| &one.tool_calls).collect();
    let names = counted(tools.iter().map(|call| call.name.as_str()));
    assert_eq!(names, expected.tools.iter().copied().collect());
    assert_eq!(sum(tools.iter().filter_map(|call| call.duration.as_ref())), expected.tool_nanos);
    let statuses = counted(tools.iter().map(|call| call.status.as_str()));
    assert_eq!(statuses, expected.statuses.iter().copied().collect());
    let categories =
        tools.iter().filter_map(|call| call.error_category()).map(ErrorCategory::as_str);
    assert_eq!(counted(categories), expected.categories.iter().copied().collect());
    assert!(tools.iter().all(|call| call.error.is_some() != call.is_success()));
    let calls: Vec<_> = operations.iter().flat_map(|one| &one.llm_calls).collect();
    assert_eq!(
        counted(calls.iter().map(|call| call.model())),
        expected.models.iter().copied().collect()
    );
    let recorded =
        calls.iter().filter(|call| matches!(call.cost, CostOutcome::Recorded(_))).count();
    let pending = calls.iter().filter(|call| call.cost == CostOutcome::Pending).count();
    assert_eq!((recorded as u64, (recorded + pending) as u64), (expected.recorded, expected.calls));
}

fn check_totals(totals: &Totals, expected: &Expected) {
    let [successes, failures] = expected.operations;
    assert_eq!(totals.success_rate(), Rate { hits: successes, of: successes + failures });
    assert_eq!((totals.failed_operations, totals.abandoned_operations), (failures, 0));
    assert_eq!(totals.duration, Duration::from_nanos(expected.nanos));
    assert_eq!([totals.usage.input_tokens(), totals.usage.output_tokens()], expected.tokens);
    assert_eq!((totals.errors, totals.warnings), (expected.errors, expected.warnings));
    let cost = &totals.cost;
    let money = |text: &str| text.parse::<Money>().unwrap();
    let (input, output) = (money(expected.input_cost), money(expected.output_cost));
    assert_eq!(cost.usd(), input + output);
    let amounts = cost.amounts.get(&Currency::USD).copied().unwrap_or_default();
    assert_eq!((amounts.input, amounts.output, amounts.exact), (input, output, Money::ZERO));
    assert_eq!((cost.estimated_calls, cost.calls()), (expected.recorded, expected.calls));
    assert_eq!(cost.unpriced_calls, expected.calls - expected.recorded);
    assert_eq!(cost.unpriced_tokens, expected.unpriced_tokens);
}

#[test]
fn an_empty_session() {
    let expected = Expected {
        operations: [0, 0],
        nanos: 0,
        components: (0, 0),
        tools: &[],
        tool_nanos: 0,
        statuses: &[],
        categories: &[],
        tokens: [0, 0],
        calls: 0,
        models: &[],
        recorded: 0,
        input_cost: "0",
        output_cost: "0",
        unpriced_tokens: 0,
        errors: 0,
        warnings: 0,
    };
    check("empty", include_str!("../../tests-data/original/empty.json"), &expected);
}

#[test]
fn a_small_session() {
    let expected = Expected {
        operations: [5, 0],
        nanos: 4_418_962_002,
        components: (10, 16_777_022_000),
        tools: &[("faiss", 4), ("openai_api", 2), ("web_search", 4)],
        tool_nanos: 12_228_260_774,
        statuses: &[("error", 4), ("success", 3), ("timeout", 3)],
        categories: &[
            ("authentication", 1),
            ("network", 1),
            ("timeout", 3),
            ("unknown", 1),
            ("validation", 1),
        ],
        tokens: [8_867, 1_325],
        calls: 5,
        models: &[("claude-unknown", 1), ("llama3:8b", 1), ("unknown", 3)],
        recorded: 0,
        input_cost: "0",
        output_cost: "0",
        unpriced_tokens: 10_192,
        errors: 0,
        warnings: 5,
    };
    check("small", include_str!("../../tests-data/original/small.json"), &expected);
}

#[test]
fn a_session_of_two_hundred_operations() {
    let expected = Expected {
        operations: [181, 19],
        nanos: 416_653_891_322,
        components: (303, 436_354_855_000),
        tools: &[("faiss", 92), ("openai_api", 99), ("web_search", 104)],
        tool_nanos: 296_936_226_818,
        statuses: &[("error", 75), ("failure", 74), ("success", 70), ("timeout", 76)],
        categories: &[
            ("authentication", 40),
            ("network", 27),
            ("rate_limit", 39),
            ("timeout", 41),
            ("unknown", 35),
            ("validation", 43),
        ],
        tokens: [334_237, 71_666],
        calls: 170,
        models: &[
            ("claude-unknown", 22),
            ("gpt-3.5-turbo", 22),
            ("gpt-4", 27),
            ("gpt-4-turbo", 31),
            ("llama3:8b", 29),
            ("unknown", 39),
        ],
        recorded: 80,
        input_cost: "2.348732",
        output_cost: "1.024464",
        unpriced_tokens: 209_889,
        errors: 42,
        warnings: 196,
    };
    check("medium", include_str!("../../tests-data/original/medium.json"), &expected);
}

#[test]
fn a_session_with_errors() {
    let expected = Expected {
        operations: [30, 10],
        nanos: 76_048_055_649,
        components: (63, 96_093_455_000),
        tools: &[("faiss", 15), ("openai_api", 19), ("web_search", 23)],
        tool_nanos: 54_586_697_349,
        statuses: &[("error", 16), ("failure", 9), ("success", 18), ("timeout", 14)],
        categories: &[
            ("authentication", 7),
            ("network", 7),
            ("rate_limit", 5),
            ("timeout", 9),
            ("unknown", 4),
            ("validation", 7),
        ],
        tokens: [69_489, 16_528],
        calls: 35,
        models: &[
            ("claude-unknown", 7),
            ("gpt-3.5-turbo", 5),
            ("gpt-4", 3),
            ("gpt-4-turbo", 8),
            ("llama3:8b", 6),
            ("unknown", 6),
        ],
        recorded: 16,
        input_cost: "0.3432645",
        output_cost: "0.164826",
        unpriced_tokens: 45_742,
        errors: 21,
        warnings: 43,
    };
    check("errors", include_str!("../../tests-data/original/errors.json"), &expected);
}
