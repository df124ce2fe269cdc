//! The sums of a session's document, computed from the document alone and by other means than the library's.

use super::*;

/// Input and output tokens by their names on the wire; reasoning is within the output.
const INPUT: [&str; 15] = [
    "input",
    "cache_read",
    "cache_read_explicit",
    "cache_write",
    "cache_write_5m",
    "cache_write_30m",
    "cache_write_1h",
    "cache_write_12h",
    "input_audio",
    "cache_read_audio",
    "cache_write_audio",
    "input_image",
    "cache_read_image",
    "input_video",
    "cache_read_video",
];
const OUTPUT: [&str; 4] = ["output", "output_audio", "output_image", "output_video"];

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}

/// All elements of such a list in all operations.
fn parts<'a>(document: &'a Value, key: &str) -> Vec<&'a Value> {
    list(document, "operations").iter().flat_map(|operation| list(operation, key)).collect()
}

fn count(values: &[&Value], fits: impl Fn(&Value) -> bool) -> u64 {
    values.iter().filter(|value| fits(value)).count() as u64
}

fn nanos<'a>(values: impl IntoIterator<Item = &'a Value>) -> f64 {
    let sum: u128 =
        values.into_iter().filter_map(|one| one["duration_ns"].as_u64()).map(u128::from).sum();
    let seconds = u64::try_from(sum / 1_000_000_000).unwrap();
    Duration::new(seconds, u32::try_from(sum % 1_000_000_000).unwrap()).as_secs_f64()
}

fn tokens(calls: &[&Value], names: &[&str]) -> u64 {
    let buckets = calls.iter().filter_map(|call| call["usage"].as_object());
    buckets
        .flatten()
        .filter(|(name, _)| names.contains(&name.as_str()))
        .map(|(_, n)| n.as_u64().unwrap())
        .sum()
}

fn ticks(value: &Value) -> i128 {
    value.as_str().unwrap().parse::<Money>().unwrap().ticks()
}

/// What a call cost, with its currency, as far as its outcome has an amount.
fn price(cost: &Value) -> Option<(i128, &Value)> {
    let explained =
        |cost: &Value| list(cost, "lines").iter().map(|line| ticks(&line["amount"])).sum();
    match cost["outcome"].as_str().unwrap() {
        "priced" => Some((explained(cost), &cost["currency"])),
        "partly_unpriced" => Some((explained(&cost["priced"]), &cost["priced"]["currency"])),
        "provider_reported" | "recorded" => Some((ticks(&cost["total"]), &cost["currency"])),
        _ => None,
    }
}

fn spent<'a>(calls: impl IntoIterator<Item = &'a Value>) -> i128 {
    calls
        .into_iter()
        .filter_map(|call| price(&call["cost"]))
        .filter(|(_, currency)| *currency == "USD")
        .map(|(n, _)| n)
        .sum()
}

fn is_unpriced(call: &Value) -> bool {
    !["priced", "free", "provider_reported", "recorded"]
        .contains(&call["cost"]["outcome"].as_str().unwrap())
        && !tells_no_usage(call)
}

fn tells_no_usage(call: &Value) -> bool {
    let outcome = call["cost"]["outcome"].as_str().unwrap();
    outcome == "no_usage" || (outcome == "pending" && call.get("usage").is_none())
}

fn distinct<'a>(values: impl IntoIterator<Item = &'a Value>) -> usize {
    values.into_iter().map(Value::to_string).collect::<BTreeSet<_>>().len()
}

pub(super) fn check(document: &Value) {
    let operations: Vec<&Value> = list(document, "operations").iter().collect();
    let (tools, calls) = (parts(document, "tool_calls"), parts(document, "llm_calls"));
    let succeeded = count(&operations, |one| one["success"] == true);
    let worked = count(&tools, |call| call["status"] == "success");
    let failed_calls = count(&calls, |call| call.get("error").is_some());
    let (all, tool_calls, llm_calls) = (operations.len(), tools.len() as u64, calls.len() as u64);
    let (input, output) = (tokens(&calls, &INPUT), tokens(&calls, &OUTPUT));
    let sum = |key: &str| operations.iter().map(|one| one[key].as_u64().unwrap()).sum::<u64>();

    assert_eq!(document["total_operations"], all);
    assert_eq!(document["successful_operations"], succeeded);
    assert_eq!(document["failed_operations"], all as u64 - succeeded);
    assert_eq!(
        document["abandoned_operations"],
        count(&operations, |one| one["outcome"] == "abandoned")
    );
    assert_eq!(document["total_duration"], nanos(operations.iter().copied()));
    assert_eq!(document["avg_operation_duration"].is_null(), all == 0);
    assert_eq!(document["total_input_tokens"], input);
    assert_eq!(document["total_output_tokens"], output);
    assert_eq!(document["total_tokens"], input + output);
    assert_eq!(ticks(&document["total_cost"]), spent(calls.iter().copied()));
    assert_eq!(document["total_tool_calls"], tool_calls);
    assert_eq!(document["successful_tool_calls"], worked);
    assert_eq!(document["failed_tool_calls"], tool_calls - worked);
    assert_eq!(document["total_errors"], sum("error_count"));
    assert_eq!(document["total_warnings"], sum("warning_count"));
    assert_eq!(document["llm_calls"]["hits"], llm_calls - failed_calls);
    assert_eq!(document["llm_calls"]["of"], llm_calls);
    assert_eq!(document["cost"]["unpriced_calls"], count(&calls, is_unpriced));
    assert_eq!(document["cost"]["calls_without_usage"], count(&calls, tells_no_usage));
    check_rows(document, &tools, &calls);
    operations.into_iter().for_each(check_operation);
}

/// The tables by tool, LLM and component.
fn check_rows(document: &Value, tools: &[&Value], calls: &[&Value]) {
    assert_eq!(
        list(document, "tools").len(),
        distinct(tools.iter().map(|call| &call["tool_name"]))
    );
    for row in list(document, "tools") {
        let own = tools.iter().copied().filter(|call| call["tool_name"] == row["tool_name"]);
        let own: Vec<&Value> = own.collect();
        assert_eq!(row["success"]["of"], own.len());
        assert_eq!(row["timeouts"], count(&own, |call| call["status"] == "timeout"));
        assert_eq!(row["total_duration"], nanos(own.iter().copied()));
    }
    let of_llms = |key: &str| {
        list(document, "llms").iter().map(|row| row["success"][key].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!(of_llms("of"), calls.len() as u64);
    let by_llm: i128 = list(document, "llms")
        .iter()
        .map(|row| {
            let amounts = &row["cost"]["amounts"]["USD"];
            if amounts.is_null() {
                0
            } else {
                ticks(&amounts["exact"]) + ticks(&amounts["estimated"])
            }
        })
        .sum();
    assert_eq!(by_llm, ticks(&document["total_cost"]));
    let components = parts(document, "components");
    assert_eq!(
        list(document, "components").len(),
        distinct(components.iter().map(|one| &one["name"]))
    );
    for row in list(document, "components") {
        let own = components.iter().copied().filter(|one| one["name"] == row["component"]);
        assert_eq!(row["total_duration"], nanos(own.clone()));
        assert_eq!(row["count"], own.map(|one| one["count"].as_u64().unwrap_or(1)).sum::<u64>());
    }
}

/// The fields of the original system in an operation follow from the additions beside them.
fn check_operation(operation: &Value) {
    let calls: Vec<&Value> = list(operation, "llm_calls").iter().collect();
    assert_eq!(
        operation["token_usage"].is_null(),
        calls.iter().all(|call| call.get("usage").is_none())
    );
    if let Some(usage) = operation["token_usage"].as_object() {
        assert_eq!(usage["input_tokens"], tokens(&calls, &INPUT));
        assert_eq!(usage["output_tokens"], tokens(&calls, &OUTPUT));
        assert_eq!(usage["total_tokens"], tokens(&calls, &INPUT) + tokens(&calls, &OUTPUT));
    }
    let priced: BTreeMap<String, i128> = calls.iter().filter_map(|call| price(&call["cost"])).fold(
        BTreeMap::new(),
        |mut sums, (ticks, currency)| {
            *sums.entry(currency.as_str().unwrap().into()).or_default() += ticks;
            sums
        },
    );
    let free = calls.iter().any(|call| call["cost"]["outcome"] == "free");
    assert_eq!(operation["cost_estimate"].is_null(), priced.is_empty() && !free);
    if let Some(cost) = operation["cost_estimate"].as_object() {
        let told = cost["currency"].as_str().unwrap();
        assert_eq!(ticks(&cost["total_cost"]), priced.get(told).copied().unwrap_or_default());
    }
    assert_eq!(operation["total_duration"], nanos([operation]));
    assert_eq!(operation["success"] == true, operation["outcome"] == "success");
}
