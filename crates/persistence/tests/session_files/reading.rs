//! Files that are not what they should be: every one is an error with words, and none is changed.

use std::error::Error;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use taximeter_models::Session;
use taximeter_persistence::{PersistenceError, SessionFiles};

use crate::support::{noon, session};

fn load(directory: &Path, bytes: &[u8]) -> Result<Session, PersistenceError> {
    fs::write(directory.join("it.json"), bytes).unwrap();
    let files = SessionFiles::new(directory);
    let loaded = files.load("it");
    assert_eq!(loaded.is_ok(), files.load_path(directory.join("it.json")).is_ok());
    assert_eq!(fs::read(directory.join("it.json")).unwrap(), bytes, "reading changes nothing");
    loaded
}

#[test]
fn a_file_cut_at_any_length_is_an_error() {
    let room = tempfile::tempdir().unwrap();
    let path = SessionFiles::new(room.path()).save(&session("cut", 1), None, noon()).unwrap();
    let whole = fs::read(path).unwrap();
    let document = whole.len() - 1; // the last byte is the end of the line
    for length in 0..document {
        let error = load(room.path(), &whole[..length]).unwrap_err();
        assert!(error.is_invalid_document(), "{length}: {error}");
    }
    assert!(load(room.path(), &whole[..document]).is_ok());
    let error = load(room.path(), &whole[..document / 2]).unwrap_err();
    assert!(error.to_string().contains("cut short"), "{error}");
}

#[test]
fn garbage_is_an_error_that_says_where() {
    let room = tempfile::tempdir().unwrap();
    let zeros = [0; 4_096];
    let deep = "[".repeat(100_000);
    let wrong: [(&[u8], &str); 12] = [
        (b"", "line 1, column 0: the file is cut short"),
        (&zeros, "line 1, column 1: it is not JSON"),
        (b"\xff\xfe{", "it is not JSON"),
        (b"\x1f\x8b\x08\x00", "it is not JSON"),
        (b"hello", "it is not JSON"),
        (b"{\n  \"session_id\": \"x\",,", "line 2, column 21: it is not JSON"),
        (deep.as_bytes(), "line 1"),
        (b"null", "it is JSON but not a session"),
        (b"[]", "it is JSON but not a session"),
        (b"{}", "it is JSON but not a session"),
        (b"{\"session_id\": 7}", "line 1, column 17: it is JSON but not a session"),
        (
            b"{\"session_id\": \"x\", \"start_time\": \"2026-11-23T12:00:00Z\"} more",
            "it is not JSON",
        ),
    ];
    for (bytes, words) in wrong {
        let error = load(room.path(), bytes).unwrap_err();
        assert!(error.is_invalid_document());
        let text = error.to_string();
        assert!(text.contains(words) && text.contains("it.json"), "{text}, not {words}");
        assert!(error.source().is_some(), "the cause is kept");
    }
}

#[test]
fn any_flipped_byte_is_no_panic() {
    let room = tempfile::tempdir().unwrap();
    let path = SessionFiles::new(room.path()).save(&session("bits", 1), None, noon()).unwrap();
    let whole = fs::read(path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = load(room.path(), &bytes);
    }
}

#[test]
fn a_newer_version_is_refused_and_left_as_it_is() {
    let room = tempfile::tempdir().unwrap();
    let mut document = serde_json::to_value(session("new", 1)).unwrap();
    let version = document["taximeter_version"].as_u64().unwrap();
    for (newer, said) in [(version + 1, version + 1), (u64::MAX, u64::MAX)] {
        document["taximeter_version"] = newer.into();
        // A newer format may have other parts too, and they must not hide what the matter is.
        document["operations"] = json!({"columns": [1, 2, 3]});
        let error = load(room.path(), document.to_string().as_bytes()).unwrap_err();
        assert!(error.is_newer_version(), "{error}");
        assert!(
            matches!(error, PersistenceError::NewerVersion { version: told, reads_up_to, .. }
                if told == said && reads_up_to == version),
            "this crate and the models agree on the version"
        );
        assert!(error.to_string().contains("use a newer taximeter"), "{error}");
    }
    document["taximeter_version"] = Value::from("two");
    assert!(load(room.path(), document.to_string().as_bytes()).unwrap_err().is_invalid_document());
}

#[test]
fn a_file_above_the_limit_is_not_read() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    let session = session("large", 20);
    let path = files.save(&session, Some("large"), noon()).unwrap();
    let bytes = fs::metadata(&path).unwrap().len();
    assert_eq!(files.clone().read_limit(bytes).load("large").unwrap(), session);
    let strict = files.read_limit(bytes - 1);
    for error in [strict.load("large").unwrap_err(), strict.load_path(&path).unwrap_err()] {
        assert!(matches!(error, PersistenceError::TooLarge { .. }), "{error}");
    }
    // A sparse file of two GiB is above the default limit, and refused at once.
    let sparse = room.path().join("sparse.json");
    fs::File::create(&sparse).unwrap().set_len(2 << 30).unwrap();
    let error = SessionFiles::new(room.path()).load("sparse").unwrap_err();
    assert!(matches!(error, PersistenceError::TooLarge { limit: 1_073_741_824, .. }), "{error}");
}

#[test]
fn what_is_no_file_is_refused() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    fs::create_dir(room.path().join("folder.json")).unwrap();
    for error in [files.load("folder").unwrap_err(), files.load_path(room.path()).unwrap_err()] {
        assert!(matches!(error, PersistenceError::NotAFile { what: "a directory", .. }), "{error}");
    }
    assert!(files.load("nothing").unwrap_err().is_not_found());
    assert!(files.load_path("no/such/file.json").unwrap_err().is_not_found());
}
