//! What is planted in a store is found by who asks for it, and nothing else is.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use taximeter::{LlmCall, Meter, OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus};

use super::room::Room;

/// The beginning of the hour, so that hours are whole.
fn this_hour() -> DateTime<Utc> {
    let now = Utc::now();
    now - TimeDelta::nanoseconds(now.timestamp_nanos_opt().unwrap() % 3_600_000_000_000)
}

/// Four answers in each of the last so many hours, each a little unlike the others.
fn answers(hours: i64) -> Vec<OperationRecord> {
    let end = this_hour();
    (0..hours * 4)
        .map(|at| {
            let mut answer = OperationRecord::new("answer");
            answer.started_at = end - TimeDelta::minutes(15 * at + 14);
            let lot = u64::try_from(at).unwrap() * 7_919 % 101;
            answer.duration = Duration::from_millis(1_000 + 3 * lot);
            answer.add_component("inference", answer.duration * 3 / 4);
            answer.tool_calls.push(ToolCall::new("search", ToolStatus::Success));
            let usage = TokenUsage::new(1_000 + lot, 100);
            answer.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(usage));
            answer
        })
        .collect()
}

#[test]
fn an_hour_an_operation_and_a_tool_that_are_out_of_the_ordinary_are_found() {
    let quiet = Room::of(&answers(8 * 24)).json(&["anomalies", "--since", "3d"]);
    let none = serde_json::json!([]);
    assert_eq!((&quiet["steps"]["found"], &quiet["slow_operations"]), (&none, &none), "{quiet}");
    assert_eq!(quiet["error_jumps"], none);
    assert!(quiet["steps"]["of"].as_u64() > Some(150));

    let mut planted = answers(8 * 24);
    // Of these are the hour before the last but one, and the day until now.
    for answer in &mut planted[8..12] {
        answer.llm_calls[0].usage = Some(TokenUsage::new(90_000, 9_000));
    }
    planted[30].duration = Duration::from_secs(90);
    for answer in planted[..90].iter_mut().step_by(3) {
        answer.tool_calls[0].status = ToolStatus::Timeout;
    }
    let room = Room::of(&planted);
    let found = room.json(&["anomalies", "--since", "24h"]);
    let steps = found["steps"]["found"].as_array().unwrap();
    let hour = planted[11].started_at
        - TimeDelta::minutes(i64::from(chrono::Timelike::minute(&planted[11].started_at)));
    assert_eq!(steps.len(), 1, "{found}");
    assert_eq!(steps[0]["at"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(), hour);
    assert_eq!(found["slow_operations"][0]["seconds"], 90.0);
    assert_eq!(found["slow_operations"].as_array().unwrap().len(), 1);
    assert_eq!(found["error_jumps"][0]["callee"]["name"], "search");
    assert_eq!(found["error_jumps"].as_array().unwrap().len(), 1);
    let said = room.run(&["anomalies", "--since", "24h"]).well();
    assert!(said.contains("search fails in") && said.contains("90.00 s"), "{said}");

    let of_none = room.json(&["anomalies", "--operation", "nothing"]);
    assert_eq!(of_none["not_enough"]["have"], 0, "{of_none}");
    let said = room.run(&["anomalies", "--operation", "nothing"]).well();
    assert!(said.contains("No operation began") && !said.contains("unusually long"), "{said}");
}

#[test]
fn a_promise_is_counted_over_all_operations_and_its_alarm_is_an_exit_code() {
    let mut records = answers(48);
    // Of the last four hours each second one fails; one that began before the window and ended in it counts too.
    for answer in records[..16].iter_mut().step_by(2) {
        answer.outcome = Outcome::Failure;
    }
    let room = Room::of(&records);
    let ask = ["slo", "--target", "95", "--within", "1200ms", "--window", "2d"];
    let found = room.json(&ask);
    let until: DateTime<Utc> = found["until"].as_str().unwrap().parse().unwrap();
    let within = |record: &&OperationRecord| record.ended_at() >= until - TimeDelta::days(2);
    let own: Vec<_> = records.iter().filter(within).collect();
    let good = own.iter().filter(|r| r.is_success() && r.duration <= Duration::from_millis(1_200));
    assert_eq!(found["good"]["hits"], good.count());
    assert_eq!(found["good"]["of"], own.len());
    let apdex = taximeter::analysis::apdex(own.iter().copied(), Duration::from_millis(1_200));
    assert_eq!(found["apdex"].as_f64(), apdex);
    assert_eq!((&found["alarms"], room.run(&ask).code), (&true.into(), 5));

    let said = room.run(&ask).output;
    assert!(said.contains("not kept") && said.contains("times as much went wrong"), "{said}");
    let long_ago = (this_hour() - TimeDelta::hours(5)).to_rfc3339();
    let before = room.run(&["slo", "--target", "95", "--window", "1d", "--at", &long_ago]);
    assert_eq!(before.code, 0, "{}", before.output);
    assert!(before.output.contains("kept: 100.0 %"), "{}", before.output);
    let none = room.run(&["slo", "--target", "95", "--operation", "nothing"]).well();
    assert!(none.contains("no operations"), "{none}");
}

#[test]
fn advice_that_was_followed_has_helped_and_one_that_was_not_has_not() {
    let mut records = answers(48);
    let changed = this_hour() - TimeDelta::hours(24);
    for answer in &mut records {
        if answer.started_at < changed {
            answer.duration += Duration::from_secs(4);
            answer.components.clear();
            answer.add_component("inference", answer.duration * 3 / 4);
        }
    }
    let room = Room::of(&records);
    let at = changed.to_rfc3339();
    let found = room.json(&["remeasure", &at, "--since", "3d"]);
    let all = found["advice"].as_array().unwrap();
    assert!(!all.is_empty(), "{found}");
    assert!(all.iter().all(|one| one["remeasured"]["effect"] == "helped"), "{found}");
    let said = room.run(&["remeasure", &at, "--since", "3d"]).well();
    assert!(
        said.contains("it helped: saved of an operation +4")
            || said.contains("it helped: saved of an operation +3"),
        "{said}"
    );

    // How large a change must be is for the one who asks to say.
    let changes = |ask: &[&str]| {
        let trend = room.json(&[&["trend", "answer", "--window", "2d"], ask].concat());
        trend["changes"].as_array().unwrap().len()
    };
    assert_eq!(
        (changes(&[]), changes(&["--min-change", "95"]), changes(&["--alpha", "0"])),
        (1, 0, 0)
    );

    // In the time before nothing was changed.
    let earlier = (changed - TimeDelta::hours(12)).to_rfc3339();
    let found = room.json(&["remeasure", &earlier, "--since", "3d", "--until", &at]);
    let all = found["advice"].as_array().unwrap();
    assert!(!all.is_empty());
    assert!(all.iter().all(|one| one["remeasured"]["effect"] == "inconclusive"), "{found}");
}

#[test]
fn what_if_a_part_were_faster_is_told_with_where_the_time_goes() {
    let room = Room::of(&answers(24));
    let trend = room.json(&["trend", "answer", "--window", "24h"]);
    let then = &trend["what_if"][0];
    assert_eq!(then["part"]["name"], "inference", "{trend}");
    // Three of four parts of the time are halved.
    let saved =
        1.0 - then["then_mean_seconds"].as_f64().unwrap() / then["mean_seconds"].as_f64().unwrap();
    assert!((saved - 0.375).abs() < 1e-6, "{saved}");
    let said = room.run(&["trend", "answer", "--window", "24h"]).well();
    assert!(said.contains("Where the time goes") && said.contains("37.5 %"), "{said}");
}

#[test]
fn a_forecast_of_money_says_of_which_calls_it_knows_nothing() {
    let mut records = answers(40 * 24);
    for answer in records.iter_mut().step_by(3) {
        answer.llm_calls[0] = LlmCall::new("openai", "gpt-0").using(TokenUsage::new(1_000, 100));
    }
    let room = Room::of(&records);
    let found = room.json(&["forecast", "--budget", "5"]);
    let coverage = &found["forecast"]["coverage"];
    assert!(coverage["unpriced_calls"].as_u64() > Some(1_000), "{coverage}");
    assert!(found["exhaustion"]["coverage"]["unpriced_calls"].as_u64() > Some(1_000));
    let said = room.run(&["forecast", "--budget", "5"]).well();
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("at least that much") && words.contains("or earlier"), "{said}");
    // Tokens of unpriced calls are known.
    let tokens = room.json(&["forecast", "--of", "tokens"]);
    assert_eq!(tokens["forecast"]["coverage"]["calls_without_usage"], 0, "{tokens}");
}

#[test]
fn a_number_in_the_metadata_is_a_metric() {
    let mut records = answers(72);
    let changed = this_hour() - TimeDelta::hours(24);
    for (at, answer) in (0_u32..).zip(records.iter_mut()) {
        answer.tags.insert("version".into(), if at % 2 == 0 { "1" } else { "2" }.into());
        let lot = f64::from(at * 37 % 41) / 1_000.0;
        let better = if at % 2 == 0 { 0.0 } else { 0.1 };
        let fallen = if answer.started_at < changed { 0.0 } else { 0.2 };
        answer.metadata.insert("answer_relevance".into(), (0.7 + lot + better - fallen).into());
        if at % 4 == 0 {
            answer.metadata.insert("retrieved_documents".into(), (at % 7).into());
        }
        answer.metadata.insert("language".into(), "fr".into());
    }
    let room = Room::of(&records);
    let all = room.json(&["metrics", "--since", "4d"]);
    let names: Vec<_> = all["metrics"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["answer_relevance", "retrieved_documents"]);
    assert_eq!(all["metrics"][1]["operations"], serde_json::json!({"hits": 72, "of": 288}));
    assert_eq!(all["metrics"][0]["trend"]["direction"], "improving"); // which is falling

    let one = room.json(&["metrics", "answer_relevance", "--since", "4d", "--by", "tag:version"]);
    let of = |version: usize| {
        let own = records.iter().skip(version).step_by(2);
        let values: Vec<f64> =
            own.map(|r| r.metadata["answer_relevance"].as_f64().unwrap()).collect();
        taximeter::analysis::statistics::Distribution::of(values).unwrap()
    };
    let groups = one["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2, "{one}");
    for group in groups {
        let expected = of(usize::from(group["key"] == "2"));
        assert_eq!(group["values"]["mean"].as_f64(), Some(expected.mean));
        assert_eq!(group["values"]["p95"].as_f64(), Some(expected.p95));
    }
    let since: DateTime<Utc> =
        one["trend"]["changes"][0]["since"].as_str().unwrap().parse().unwrap();
    assert!((since - changed).abs() < TimeDelta::hours(2), "{since} {changed}");
    assert!(
        one["over_time"].as_array().unwrap().len() >= 71 && !one["forecast"].is_null(),
        "{one}"
    );

    let said = room.run(&["metrics", "answer_relevance", "--since", "4d"]).well();
    assert!(said.contains("falls") && said.contains("it is 0."), "{said}");
    let none = room.run(&["metrics", "language", "--since", "4d"]).well();
    assert!(none.contains("No operation has it as a number"), "{none}");
    let compared = room.json(&["compare", "tag:version=1", "tag:version=2", "--since", "4d"]);
    let relevance = &compared["metrics"][0];
    assert_eq!(relevance["name"], "answer_relevance");
    let difference = relevance["comparison"]["difference"].as_f64().unwrap();
    assert!((difference - 0.1).abs() < 0.02, "{difference}");
}

#[test]
fn metrics_of_a_programs_own_are_there_when_it_has_ended() {
    let room = Room::empty();
    let meter = Meter::builder().store(room.path("data/metrics")).build().unwrap();
    let hits = meter.registry().counter("app.cache_hits", "{hit}", "Hits.").unwrap();
    let size = meter.registry().histogram("app.size", "By", "Size.", &[10.0, 100.0]).unwrap();
    hits.add(3, [("cache", "answers")]);
    hits.add(4, [("cache", "\u{1b}[2J")]);
    size.record(60.0, [("kind", "reply")]);
    // No operation runs; a flush is enough, and the end is one.
    meter.flush(Duration::from_secs(30)).unwrap();
    hits.add(2, [("cache", "answers")]);
    meter.shutdown(Duration::from_secs(30)).unwrap();
    drop(meter);

    for since in ["24h", "30d"] {
        let listed = room.json(&["metrics", "--since", since]);
        let own = listed["own"].as_array().unwrap();
        assert_eq!(own.len(), 2, "{listed}");
        let value = serde_json::json!({"kind": "counter", "increase": 9.0});
        assert_eq!((&own[0]["name"], &own[0]["value"]), (&"app.cache_hits".into(), &value));
        assert_eq!(own[1]["p50"], 55.0);
    }
    let hits = room.json(&["metrics", "app.cache_hits"]);
    assert_eq!(
        (&hits["document"], &hits["series"][0]["value"]["increase"]),
        (&"own_metric".into(), &5.0.into())
    );
    let said = room.run(&["metrics", "app.cache_hits"]).well();
    assert!(said.contains("+9") && said.contains("cache=answers"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let sql = "SELECT sum(increase) FROM metrics WHERE level = 'hour'";
    assert_eq!(room.json(&["sql", sql])["rows"], serde_json::json!([[9.0]]));
}
