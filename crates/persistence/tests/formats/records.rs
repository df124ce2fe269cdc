//! Our own operations: sessions, ours and the original system's, and lines.

use std::path::Path;

use taximeter_models::{OperationId, Session};
use taximeter_persistence::{Format, ImportError, ImportOptions, Importer, Why};

use crate::support::{all, totals};

fn original(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/tests-data/original").join(name)
}

#[test]
fn sessions_of_the_original_system_are_read_one_operation_at_a_time() {
    for name in ["small.json", "empty.json", "medium.json", "errors.json"] {
        let text = std::fs::read_to_string(original(name)).unwrap();
        let session: Session = serde_json::from_str(&text).unwrap();
        let mut importer = Importer::open(original(name)).unwrap();
        let (records, rejected) = all(&mut importer);
        assert!(rejected.is_empty(), "{name}: {rejected:?}");
        assert_eq!(records.len(), session.operations.len(), "{name}");
        assert_eq!(totals(&records), session.totals(), "{name}");
        assert_eq!(importer.position().bytes_read, text.len() as u64, "{name}");
        let mut ids: Vec<_> = records.iter().map(|record| record.id).collect();
        let again: Vec<_> = all(&mut Importer::open(original(name)).unwrap())
            .0
            .iter()
            .map(|record| record.id)
            .collect();
        assert_eq!(ids, again, "{name}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), records.len(), "{name}: an id for each");
        assert!(!ids.contains(&OperationId::default()), "{name}");
        let expected = (!records.is_empty()).then_some(session.id.clone());
        assert_eq!(records.first().and_then(|record| record.session.clone()), expected, "{name}");
    }
}

#[test]
fn a_newer_document_is_refused_before_anything_of_it_is_given() {
    let session = r#"{"taximeter_version": 2, "session_id": "s", "operations": [{"operation_name": "a", "start_time": 1}]}"#;
    let lines = "{\"format\": \"taximeter-operations\", \"version\": 2}\n{\"operation_name\": \"a\", \"start_time\": 1}\n";
    for text in [session, lines] {
        let mut importer = ImportOptions::new().read(text.as_bytes()).unwrap();
        let error = importer.next().unwrap().unwrap_err();
        assert!(
            matches!(error, ImportError::NewerVersion { version: 2, reads_up_to: 1, .. }),
            "{error}"
        );
        assert!(importer.next().is_none(), "an error ends the import");
    }
}

#[test]
fn what_does_not_fit_is_rejected_with_its_place_and_the_rest_is_read() {
    let text = "{\"operation_name\":\"a\",\"start_time\":1.5}\n\n{\"operation_name\":\"b\"}\r\nnonsense\n\
        {\"operation_name\":\"c\",\"start_time\":2.5,\"tool_calls\":7}\n{\"operation_name\":\"d\",\"start_time\":3.5}";
    let mut importer = ImportOptions::new().read(text.as_bytes()).unwrap();
    let (records, rejected) = all(&mut importer);
    let names: Vec<_> = records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["a", "d"]);
    let places: Vec<_> = rejected.iter().map(|refused| refused.line).collect();
    assert_eq!(places, [3, 4, 5]);
    assert!(matches!(rejected[0].why, Why::DoesNotFit(_)), "{}", rejected[0]);
    assert!(matches!(rejected[1].why, Why::Unreadable(_)), "{}", rejected[1]);
    assert_eq!(rejected[1].offset, text.find("nonsense").unwrap() as u64);
    assert_eq!((importer.counts().records, importer.counts().rejected), (2, 3));
}

#[test]
fn a_document_may_be_an_array_or_several_documents_one_after_another() {
    let array =
        r#" [ {"operation_name":"a","start_time":1}, {"operation_name":"b","start_time":2} ] "#;
    let mut importer = ImportOptions::new().format(Format::Jsonl).read(array.as_bytes()).unwrap();
    assert_eq!(all(&mut importer).0.len(), 2);
    let two = r#"{"session_id":"x","operations":[{"operation_name":"a","start_time":1}],"total_operations":1}
        {"session_id":"y","operations":[{"operation_name":"a","start_time":1},{"operation_name":"b"}]}"#;
    let mut importer = ImportOptions::new().read(two.as_bytes()).unwrap();
    let (records, rejected) = all(&mut importer);
    assert_eq!((records.len(), rejected.len()), (2, 1));
    assert_ne!(records[0].id, records[1].id, "the session is part of the id");
}
