//! Questions in SQL: those of the documentation, over the file and over everything.

use std::time::Duration;

use taximeter_models::{ErrorCategory, ErrorRecord, OperationRecord, ToolCall, ToolStatus};
use taximeter_persistence::store::{Keep, Sql, SqliteStore, Store};

use crate::maintaining::{at, maintain, operations};
use crate::summing::summing;

pub(crate) fn records() -> Vec<OperationRecord> {
    let mut records = operations(0, 100);
    for (number, record) in records.iter_mut().enumerate() {
        record.user = Some(if number % 4 == 0 { "ann" } else { "bob" }.into());
        record.add_component("retrieval", Duration::from_millis(2));
        let status = if number % 10 == 0 { ToolStatus::Timeout } else { ToolStatus::Success };
        let mut call = ToolCall::new("web_search", status).with("url", "https://example.com/1");
        if number % 10 == 0 {
            call = call.failed_with(ErrorCategory::Timeout, "no answer");
        }
        record.tool_calls.push(call);
        let mut call = taximeter_models::LlmCall::new("openai", "gpt-4o");
        call.usage = Some(taximeter_models::TokenUsage::new(1_200, 350));
        call.cost =
            taximeter_models::CostOutcome::ProviderReported(taximeter_models::ReportedCost {
                total: "0.00625".parse().unwrap(),
                input: None,
                output: None,
                currency: taximeter_models::Currency::USD,
            });
        record.llm_calls.push(call);
    }
    records[3].remote_parent = Some(taximeter_models::SpanId::from_bits(7));
    records[7].errors.push(ErrorRecord::new(ErrorCategory::Quota, "no money"));
    records[8].llm_calls[0].cost = taximeter_models::CostOutcome::NoUsage;
    records
}

/// The questions of the documentation.
fn documented() -> Vec<String> {
    let text = include_str!("../../../../docs/FORMATS.md");
    let (_, section) = text.split_once("### Questions in SQL").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

#[test]
fn the_documented_questions_have_answers() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().seal_at_once(1_000);
    let store = SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap();
    store.append(&records()).unwrap();
    let plain = rusqlite::Connection::open(store.path()).unwrap();
    let questions = documented();
    assert_eq!(questions.len(), 10);
    let mut by_the_file = 0;
    for question in questions {
        let answer = store.sql(&Sql::new(question.clone())).unwrap_or_else(|error| {
            panic!("{question}: {error}: {:?}", std::error::Error::source(&error))
        });
        // Windows of LLMs are made by the facade; here there are none.
        assert!(!answer.rows.is_empty() || question.contains("'llm'"), "{question}");
        if question.contains("hot_") || question.contains("rollups_") {
            by_the_file += 1;
            let mut select = plain.prepare(&question).unwrap();
            let mut rows = select.query([]).unwrap();
            let mut count = 0;
            while rows.next().unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, answer.rows.len());
        }
    }
    assert_eq!(by_the_file, 6);
}

#[test]
fn views_and_tables_say_the_same() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().seal_at_once(1_000);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    store.append(&records()).unwrap();
    let rows = |text: String| store.sql(&Sql::new(text)).unwrap().rows;
    for (table, columns) in [
        (
            "operations",
            "id, name, started_at, started_ns, duration_ns, outcome, trace_id, user, metadata, input_tokens, output_tokens, cost_usd, remote_parent_id",
        ),
        ("components", "operation_id, operation, name, started_ns, duration_ns, count"),
        (
            "tool_calls",
            "operation_id, operation, name, status, started_ns, duration_ns, attempt, error_category, error_message, metadata",
        ),
        (
            "llm_calls",
            "operation_id, operation, provider, name, input_tokens, cache_read_tokens, output_tokens, cost, currency, cost_outcome, metadata",
        ),
    ] {
        let key = if table == "operations" { "id" } else { "operation_id" };
        let hot = rows(format!("SELECT {columns} FROM hot_{table} ORDER BY {key}"));
        let all = rows(format!("SELECT {columns} FROM {table} ORDER BY {key}"));
        assert_eq!(hot.len(), 100, "{table}");
        assert_eq!(hot, all, "{table}");
    }
}

#[test]
fn sealed_operations_are_in_the_answers_too() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().block_operations(1).hot_operations(0);
    let store = SqliteStore::at(room.path()).keep(keep).open().unwrap();
    store.append(&records()).unwrap();
    maintain(&store, at(100_000));
    assert_eq!(store.stats().unwrap().hot_operations, 0);
    let mut question =
        Sql::new("SELECT user, count(*), sum(input_tokens) FROM operations GROUP BY user");
    let answer = store.sql(&question).unwrap();
    assert_eq!(answer.columns, ["user", "count(*)", "sum(input_tokens)"]);
    assert_eq!(
        serde_json::to_string(&answer.rows).unwrap(),
        r#"[["ann",25,30000],["bob",75,90000]]"#
    );
    question.since = Some(at(90));
    assert_eq!(
        serde_json::to_string(&store.sql(&question).unwrap().rows).unwrap(),
        r#"[["ann",2,2400],["bob",8,9600]]"#
    );
    let mut question = Sql::new("SELECT id FROM operations");
    question.rows = 3;
    let answer = store.sql(&question).unwrap();
    assert_eq!((answer.rows.len(), answer.cut), (3, true));
}

#[test]
fn a_question_changes_nothing_and_does_not_last_for_ever() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).open().unwrap();
    store.append(&operations(0, 10)).unwrap();
    let elsewhere = room.path().join("elsewhere.db");
    let attach = format!("ATTACH '{}' AS other", elsewhere.display());
    for text in [
        "DELETE FROM operations",
        "DROP TABLE main.operations",
        "UPDATE main.operations SET duration_ns = 0",
        "INSERT INTO names VALUES (99, 'x', 0)",
        "CREATE TEMP TABLE x (a)",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "VACUUM INTO 'elsewhere.db'",
        "SELECT load_extension('x')",
        &attach,
        "BEGIN EXCLUSIVE",
        "SELECT 1; DELETE FROM main.operations",
        "no SQL at all",
        "",
    ] {
        let answer = store.sql(&Sql::new(text));
        assert!(answer.is_err(), "{text:?}: {answer:?}");
    }
    assert!(!elsewhere.exists());
    let mut long = Sql::new(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT sum(i) FROM n",
    );
    long.timeout = Duration::from_millis(50);
    assert!(store.sql(&long).is_err());
    assert_eq!(crate::records::all(&store), operations(0, 10));
}
