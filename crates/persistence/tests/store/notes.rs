//! Notes beside the records: the last one counts, repair keeps them, and what sums were removed is known.

use std::time::Duration;

use serde_json::json;
use taximeter_persistence::store::{Keep, Level, MemoryStore, Note, Sql, SqliteStore, Store};

use crate::maintaining::{at, maintain, operations};
use crate::summing::summing;

#[test]
fn the_later_note_of_a_key_stays_in_every_store() {
    let room = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::at(room.path()).open().unwrap();
    let stores: [&dyn Store; 2] = [&sqlite, &MemoryStore::new()];
    for store in stores {
        assert!(store.notes("").unwrap().is_empty());
        assert_eq!(store.forget_notes("", at(9)).unwrap(), 0);
        let first = Note::new("meter/1/01", at(1), json!({ "offered": 1 }));
        let later = Note::new("meter/1/01", at(2), json!({ "offered": 5 }));
        let other = Note::new("meter/2/01", at(3), json!("a % of 'it'"));
        let import = Note::new("import/file\n", at(3), json!(null));
        for note in [&first, &later, &first, &import, &other] {
            store.put_note(note).unwrap();
        }
        assert_eq!(store.notes("meter/").unwrap(), [later.clone(), other.clone()]);
        assert_eq!(store.notes("meter/2").unwrap(), std::slice::from_ref(&other));
        assert_eq!(store.notes("%").unwrap(), []);
        assert_eq!(store.notes("meter0").unwrap(), []);
        assert_eq!(store.notes("meter/\u{10ffff}").unwrap(), []);
        assert_eq!(store.forget_notes("meter/", at(3)).unwrap(), 1);
        assert_eq!(store.notes("").unwrap(), [import, other]);
    }
}

#[test]
fn the_last_note_of_each_series_is_found_among_many() {
    let room = tempfile::tempdir().unwrap();
    let sqlite = SqliteStore::at(room.path()).open().unwrap();
    let stores: [&dyn Store; 2] = [&sqlite, &MemoryStore::new()];
    for store in stores {
        assert_eq!(store.last_notes("meter/", None).unwrap(), []);
        for key in [
            "import/file",
            "meter/1/01",
            "meter/1/02",
            "meter/1/03",
            "meter/10/03",
            "meter/2/02",
            "meter0",
        ] {
            store.put_note(&Note::new(key, at(1), json!(key))).unwrap();
        }
        let last = |beginning, upto| {
            let notes = store.last_notes(beginning, upto).unwrap().into_iter();
            notes.map(|note| note.value.as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(last("meter/", None), ["meter/1/03", "meter/10/03", "meter/2/02"]);
        assert_eq!(last("meter/", Some("02")), ["meter/1/02", "meter/2/02"]);
        assert_eq!(last("meter/1", Some("01")), ["meter/1/01"]);
        assert!(last("meter/", Some("00")).is_empty() && last("other/", None).is_empty());
    }
    // One that was changed behind the store is in no answer, and the one before is.
    let raw = rusqlite::Connection::open(sqlite.path()).unwrap();
    raw.execute("UPDATE notes SET value = '7' WHERE key = 'meter/1/03'", []).unwrap();
    let last = sqlite.last_notes("meter/", None).unwrap();
    assert_eq!(last[0].key, "meter/1/02");
}

#[test]
fn who_may_only_read_finds_the_notes_and_repair_keeps_them() {
    let room = tempfile::tempdir().unwrap();
    let note = Note::new("meter/1/01", at(1), json!({ "offered": 1 }));
    SqliteStore::at(room.path()).open().unwrap().put_note(&note).unwrap();
    let reader = SqliteStore::at(room.path()).open_to_read().unwrap();
    assert_eq!(reader.notes("").unwrap(), std::slice::from_ref(&note));
    assert!(reader.put_note(&note).is_err());
    let into = room.path().join("repaired.db");
    assert_eq!(reader.repair(&into).unwrap().problems, Vec::<String>::new());
    assert_eq!(SqliteStore::at(into).open_to_read().unwrap().notes("").unwrap(), [note]);
}

#[test]
fn a_note_that_was_changed_behind_the_store_is_in_no_answer_and_a_check_finds_it() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).open().unwrap();
    store.put_note(&Note::new("meter/1/01", at(1), json!({ "offered": 1 }))).unwrap();
    assert!(store.check().unwrap().is_sound());
    let raw = rusqlite::Connection::open(store.path()).unwrap();
    raw.execute("UPDATE notes SET value = '{\"offered\":2}'", []).unwrap();
    assert_eq!(store.notes("").unwrap(), []);
    let problems = store.check().unwrap().problems;
    assert!(problems[0].contains("1 notes"), "{problems:?}");
}

#[test]
fn a_store_knows_since_when_its_sums_are_whole() {
    let room = tempfile::tempdir().unwrap();
    let keep = Keep::default().sums_for(Level::Minute, Duration::from_secs(7_200));
    let store = SqliteStore::at(room.path()).keep(keep).summarize(summing()).open().unwrap();
    store.append(&operations(0, 10_000)).unwrap();
    maintain(&store, at(7_000));
    assert_eq!(store.sums_since().unwrap(), [None; 3]); // nothing is as old as that
    maintain(&store, at(12_000));
    let since = [Some(at(12_000 - 7_200)), None, None];
    assert_eq!(store.sums_since().unwrap(), since);
    // Another process with other settings learns it from the store.
    let reader = SqliteStore::at(room.path()).summarize(summing()).open_to_read().unwrap();
    assert_eq!(reader.sums_since().unwrap(), since);
    let into = room.path().join("repaired.db");
    reader.repair(&into).unwrap();
    assert_eq!(SqliteStore::at(into).open_to_read().unwrap().sums_since().unwrap(), since);
}

/// Root may write everywhere; the command line is tested as another user.
#[cfg(unix)]
#[test]
fn a_store_where_nothing_may_be_written_is_read() {
    use std::os::unix::fs::PermissionsExt;

    let room = tempfile::tempdir().unwrap();
    // A name that is no address: SQLite is told of this file by one.
    let folder = room.path().join("a folder?of=100%#1");
    std::fs::create_dir(&folder).unwrap();
    let store = SqliteStore::at(&folder).open().unwrap();
    store.append(&operations(0, 50)).unwrap();
    drop(store);
    let writable = |mode| std::fs::set_permissions(&folder, PermissionsExt::from_mode(mode));
    writable(0o500).unwrap();
    if tempfile::tempfile_in(&folder).is_ok() {
        writable(0o700).unwrap();
        eprintln!("skipped: this user may write into every folder");
        return;
    }
    let read = SqliteStore::at(&folder).open_to_read().map(|store| store.stats());
    writable(0o700).unwrap();
    assert_eq!(read.unwrap().unwrap().hot_operations, 50);
}

#[test]
fn a_store_that_is_closed_is_one_file() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).open().unwrap();
    store.append(&operations(0, 50)).unwrap();
    assert_eq!(store.stats().unwrap().hot_operations, 50); // somebody has read, too
    drop(store);
    let names: Vec<_> =
        std::fs::read_dir(room.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(names, ["taximeter.db"]);
}

#[test]
fn metrics_in_notes_are_a_table_for_questions_in_sql() {
    let room = tempfile::tempdir().unwrap();
    let store = SqliteStore::at(room.path()).open().unwrap();
    let ask = Sql::new(
        "SELECT level, start, name, labels ->> 'of' AS of, increase FROM metrics ORDER BY of",
    );
    assert_eq!(store.sql(&ask).unwrap().rows.len(), 0); // there is no note yet
    let point = |of: &str, increase: f64| json!({ "name": "app.hits", "unit": "{hit}", "labels": { "of": of }, "kind": "counter", "increase": increase });
    let points = json!({ "points": [point("b", 2.0), point("a", 1.5)] });
    store.put_note(&Note::new("metrics/minute/m/2026", at(0), points)).unwrap();
    store.put_note(&Note::new("meter/m/2026", at(0), json!({ "points": [1] }))).unwrap();
    let start = at(0).to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let row = |of: &str, increase: f64| {
        vec![json!("minute"), json!(start), json!("app.hits"), json!(of), json!(increase)]
    };
    assert_eq!(store.sql(&ask).unwrap().rows, [row("a", 1.5), row("b", 2.0)]);
}
