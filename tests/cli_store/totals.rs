//! What is imported is what a report is of, to the last digit, however often it is imported.

use chrono::TimeDelta;

use super::room::{Room, lines, planted, run, run_with, truth};

#[test]
fn the_totals_of_a_report_are_the_truth_to_the_last_digit() {
    let room = Room::new(planted(300, TimeDelta::days(20)));
    let truth = serde_json::to_value(truth(&room.records)).unwrap();
    let report = room.json(&["report", "--since", "all"]);
    for name in [
        "total_operations",
        "successful_operations",
        "failed_operations",
        "total_input_tokens",
        "total_output_tokens",
        "total_tokens",
        "total_cost",
        "avg_cost_per_operation",
        "total_tool_calls",
        "successful_tool_calls",
        "failed_tool_calls",
        "total_errors",
        "cost",
        "tokens",
        "errors_by_category",
        "tools",
        "llms",
        "components",
    ] {
        assert_eq!(report[name], truth[name], "{name}");
    }
    assert!(report["cost"]["unpriced_calls"].as_u64().unwrap() > 0);
    assert_eq!((&report["taximeter_version"], &report["document"]), (&1.into(), &"report".into()));
}

#[test]
fn an_import_that_is_repeated_changes_nothing() {
    let room = Room::new(planted(120, TimeDelta::hours(20)));
    let before = room.json(&["report", "--since", "all"]);
    let file = room.path("operations.jsonl");
    let again = room.json(&["import", file.to_str().unwrap()]);
    assert_eq!(
        (&again["stored"], &again["known"], &again["rejected"]),
        (&0.into(), &120.into(), &0.into())
    );
    let after = room.json(&["report", "--since", "all"]);
    assert_eq!(before["total_cost"], after["total_cost"]);
    assert_eq!(after["health"]["known_again"], 120);
}

#[test]
fn what_does_not_fit_is_counted_and_shown_and_the_rest_imported() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("store");
    let rows = format!("{}{{\"operation_name\": 3}}\n", lines(&planted(5, TimeDelta::hours(1))));
    let arguments = ["import", "-", "--store", store.to_str().unwrap()];
    let (code, output, _) = run_with(&arguments, &rows);
    assert_eq!(code, 4, "{output}");
    assert!(output.contains("stored 5") && output.contains("rejected 1"), "{output}");
    let (code, _, errors) = run(&["import", "nowhere.jsonl", "--store", store.to_str().unwrap()]);
    assert!(code == 1 && errors.contains("nowhere.jsonl"), "{errors}");
}
