//! What is exported: whole or not at all, never over another file by accident, and back as it was.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::json;
use taximeter_models::{
    CostOutcome, ErrorCategory, LlmCall, OperationRecord, Outcome, TokenUsage, ToolCall, ToolStatus,
};
use taximeter_persistence::{ExportError, ExportFormat, ExportOptions, ExportTable, Importer};

use crate::support::{all, operation};

/// Writes operations in a form, and gives the text.
fn exported(format: ExportFormat, operations: &[OperationRecord]) -> String {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("out");
    let mut exporter = ExportOptions::new(format).create(&path).unwrap();
    exporter.write_all(operations).unwrap();
    assert_eq!(exporter.finish().unwrap(), operations.len() as u64);
    assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 1, "nothing else is left");
    std::fs::read_to_string(path).unwrap()
}

fn sample() -> OperationRecord {
    let mut sample = OperationRecord::new("=HYPERLINK(\"http://example.org\")");
    sample.id = "0193a1b2-c3d4-7abc-8def-0123456789ab".parse().unwrap();
    sample.trace_id = sample.id.into();
    sample.started_at = "2026-11-23T12:00:00.5Z".parse().unwrap();
    sample.duration = Duration::from_millis(1_500);
    sample.outcome = Outcome::Failure;
    sample.user = Some("ada, \"the\" user".into());
    sample.tags.insert("team".into(), "a\nb".into());
    sample.add_component("retrieval", Duration::from_millis(200));
    sample.tool_calls.push(
        ToolCall::new("-search", ToolStatus::Timeout).failed_with(ErrorCategory::Timeout, "@none"),
    );
    let usage =
        TokenUsage::inclusive(1_200, 350).cache_read(200).cache_write_1h(100).build().unwrap();
    sample.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(usage));
    sample
}

fn later(number: i64) -> OperationRecord {
    let mut later = sample();
    later.id = taximeter_models::OperationId::from_bits(number.cast_unsigned().into());
    later.started_at += chrono::TimeDelta::seconds(number / 2); // two of each second
    later
}

#[test]
fn an_export_that_was_broken_off_goes_on() {
    let operations: Vec<_> = (0..9).map(later).collect();
    for format in [ExportFormat::Jsonl, ExportFormat::Csv(ExportTable::ToolCalls)] {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("out");
        let options = ExportOptions::new(format);
        let mut killed = options.resume(&path, "all").unwrap();
        assert_eq!(killed.mark(), None);
        killed.write_all(&operations[..4]).unwrap();
        killed.checkpoint().unwrap();
        killed.write_all(&operations[4..6]).unwrap(); // these were not noted, and come again
        drop(killed);
        let mut again = options.resume(&path, "all").unwrap();
        let mark = again.mark().unwrap();
        assert_eq!((mark.id, mark.written), (operations[3].id, 4));
        again.write_all(operations.iter().filter(|one| mark.is_before(one))).unwrap();
        assert!(!path.exists());
        assert_eq!(again.finish().unwrap(), 9);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), exported(format, &operations));
        assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 1, "nothing else is left");
        assert!(options.resume(&path, "all").unwrap_err().is_taken());
    }
}

#[test]
fn an_export_of_something_else_begins_anew() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("out");
    let begin = |format, of| {
        let mut exporter = ExportOptions::new(format).resume(&path, of).unwrap();
        assert_eq!(exporter.mark(), None, "{format:?} {of}");
        exporter.write(&sample()).unwrap();
        exporter.checkpoint().unwrap();
    };
    begin(ExportFormat::Jsonl, "all");
    begin(ExportFormat::Jsonl, "of a day");
    begin(ExportFormat::Csv(ExportTable::Operations), "of a day");
    // A file that is shorter than what was noted of it was not brought to the disk.
    std::fs::write(room.path().join("out.partial"), "operation_id").unwrap();
    begin(ExportFormat::Csv(ExportTable::Operations), "of a day");
    let refused = ExportOptions::new(ExportFormat::Parquet).resume(&path, "all").unwrap_err();
    assert!(matches!(refused, ExportError::NotResumable { .. }), "{refused}");
}

#[test]
fn tables_are_quoted_and_hold_no_formulas() {
    let operations = exported(ExportFormat::Csv(ExportTable::Operations), &[sample()]);
    let mut lines = operations.split("\r\n");
    assert_eq!(lines.next(), Some(ExportTable::Operations.columns().join(",").as_str()));
    let row = lines.next().unwrap();
    assert!(row.contains(r#""'=HYPERLINK(""http://example.org"")""#), "{row}");
    assert!(row.contains(r#""ada, ""the"" user""#), "{row}");
    assert!(row.contains(r#""{""team"":""a\nb""}""#), "{row}");
    assert!(row.contains(",1200,350,1550,200,100,0,,1,"), "tokens, and no cost: {row}");
    let tools = exported(ExportFormat::Csv(ExportTable::ToolCalls), &[sample()]);
    assert!(tools.contains(",'-search,timeout,,,1,timeout,'@none,,"), "{tools}");
    let calls = exported(ExportFormat::Csv(ExportTable::LlmCalls), &[sample(), sample()]);
    assert_eq!(calls.lines().count(), 3);
    assert!(calls.contains(r#""{""input"":900,""cache_read"":200,""cache_write_1h"":100,""output"":350}",pending,,,"#), "{calls}");
    let parts = exported(ExportFormat::Csv(ExportTable::Components), &[sample()]);
    assert!(parts.ends_with(",retrieval,,200000000,1\r\n"), "{parts}");
}

#[test]
fn the_table_of_operations_comes_back_as_sums() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("operations.csv");
    let mut operation = sample();
    operation.llm_calls[0].cost = CostOutcome::Recorded(taximeter_models::ReportedCost {
        total: "0.00625".parse().unwrap(),
        input: None,
        output: None,
        currency: taximeter_models::Currency::USD,
    });
    std::fs::write(
        &path,
        exported(ExportFormat::Csv(ExportTable::Operations), &[operation.clone()]),
    )
    .unwrap();
    let (records, rejected) = all(&mut Importer::open(&path).unwrap());
    assert!(rejected.is_empty(), "{rejected:?}");
    let back = &records[0];
    assert_eq!(
        (back.id, back.trace_id, &back.name),
        (operation.id, operation.trace_id, &operation.name)
    );
    assert_eq!(
        (back.started_at, back.duration, back.outcome),
        (operation.started_at, operation.duration, operation.outcome)
    );
    assert_eq!((&back.user, &back.tags), (&operation.user, &operation.tags));
    assert_eq!(back.usage().total_tokens(), 1_550);
    assert_eq!(back.cost().usd().to_string(), "0.00625");
    assert_eq!(
        (back.llm_calls[0].provider.as_deref(), back.llm_calls[0].model()),
        (Some("openai"), "gpt-4o")
    );
}

#[test]
fn rows_that_do_not_fit_are_rejected_one_by_one() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("table.csv");
    let text = "operation_name,started_at,input_tokens,model,unheard_of\n\
        a,2026-11-23T12:00:00Z,10,gpt-4o,x\n\
        b,yesterday,10,gpt-4o,x\n\
        \"c\nc\",2026-11-23 12:00:00,-1,,\n\
        ,2026-11-23T12:00:00Z,,,\n\
        e,2026-11-23T12:00:00Z\n";
    std::fs::write(&path, text).unwrap();
    let (records, rejected) = all(&mut Importer::open(&path).unwrap());
    let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["a", "e"]);
    assert_eq!(records[0].llm_calls[0].model(), "gpt-4o");
    let places: Vec<_> = rejected.iter().map(|refused| refused.line).collect();
    assert_eq!(places, [3, 4, 6]);
    let again = all(&mut Importer::open(&path).unwrap()).0;
    assert_eq!(again, records, "a row without an id gets the same one again");
}

#[test]
fn nothing_is_overwritten_unless_asked_for_and_nothing_is_left_half() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("out.jsonl");
    std::fs::write(&path, "mine").unwrap();
    let options = ExportOptions::new(ExportFormat::Jsonl);
    assert!(options.create(&path).unwrap_err().is_taken());

    // A writer that is dropped, or that fails, leaves what was there.
    let mut exporter = options.overwrite(true).create(&path).unwrap();
    exporter.write(&sample()).unwrap();
    drop(exporter);
    let mut exporter = options.overwrite(true).create(&path).unwrap();
    let mut deep = sample();
    deep.metadata.insert("deep".into(), (0..200).fold(json!(1), |inner, _| json!([inner])));
    assert!(matches!(exporter.write(&deep), Err(ExportError::TooDeep { .. })));
    drop(exporter);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");

    // Who makes the file meanwhile keeps it.
    std::fs::remove_file(&path).unwrap();
    let exporter = options.create(&path).unwrap();
    std::fs::write(&path, "theirs").unwrap();
    assert!(exporter.finish().unwrap_err().is_taken());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
    assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 1, "no temporary file is left");

    options.overwrite(true).create(&path).unwrap().finish().unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .starts_with(r#"{"format":"taximeter-operations","version":1}"#)
    );
    assert!(options.create(room.path().join("no/such/folder/x")).is_err());
}

#[test]
fn a_stream_gets_the_same_as_a_file() {
    let mut written = Vec::new();
    let mut exporter = ExportOptions::new(ExportFormat::Jsonl).write_to(&mut written).unwrap();
    exporter.write(&sample()).unwrap();
    exporter.finish().unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), exported(ExportFormat::Jsonl, &[sample()]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn lines_come_back_as_they_were(operations in prop::collection::vec(operation(), 0..6)) {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("out.jsonl");
        let mut exporter = ExportOptions::new(ExportFormat::Jsonl).create(&path).unwrap();
        exporter.write_all(&operations).unwrap();
        exporter.finish().unwrap();
        let (back, rejected) = all(&mut Importer::open(&path).unwrap());
        prop_assert!(rejected.is_empty(), "{:?}", rejected);
        prop_assert_eq!(back, operations);
    }

    #[test]
    fn no_cell_of_a_table_is_a_formula(operations in prop::collection::vec(operation(), 1..4)) {
        for table in ExportTable::ALL {
            let text = exported(ExportFormat::Csv(*table), &operations);
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            for row in reader.records() {
                let row = row.unwrap();
                prop_assert_eq!(row.len(), table.columns().len());
                // An amount below zero is a number.
                let is_number = |cell: &str| cell.bytes().all(|byte| matches!(byte, b'-' | b'.' | b'0'..=b'9'));
                for cell in row.iter().filter(|cell| !(cell.starts_with('-') && is_number(cell))) {
                    prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{:?}", cell);
                }
            }
        }
    }
}

#[test]
fn a_part_that_does_not_fit_is_told_and_its_operation_kept() {
    let room = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = room.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let id = "0193a1b2-c3d4-7abc-8def-0123456789ab";
    let operations = write(
        "operations.csv",
        &format!("operation_id,operation_name,started_at\n{id},qa,2026-11-23T12:00:00Z\n"),
    );
    let tools = write(
        "tool_calls.csv",
        &format!(
            "operation_id,tool_name,status\n{id},search,success\n{id},search,perhaps\n{id},mail,timeout\n"
        ),
    );
    let options = || taximeter_persistence::ImportOptions::new();
    let mut importer = options().beside([tools]).open(&operations).unwrap();
    let (mut records, mut rejected) = (Vec::new(), Vec::new());
    for item in &mut importer {
        match item.unwrap() {
            Ok(record) => records.push(record),
            Err(why) => rejected.push(why.to_string()),
        }
    }
    assert_eq!(records.len(), 1);
    let tools: Vec<_> =
        records[0].tool_calls.iter().map(|call| (&*call.name, call.status)).collect();
    assert_eq!(tools, [("search", ToolStatus::Success), ("mail", ToolStatus::Timeout)]);
    assert!(rejected.len() == 1 && rejected[0].contains("perhaps"), "{rejected:?}");

    let none = write("none.csv", "a,b\n1,2\n");
    let error = options().beside([none]).open(&operations).unwrap_err().to_string();
    assert!(error.contains("none.csv") && error.contains("llm_calls"), "{error}");
}
