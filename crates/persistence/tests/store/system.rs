//! The file and the system: modes, links, hostile names, other versions, a full disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use taximeter_persistence::StoreError;
use taximeter_persistence::store::{SqliteStore, Store};

use crate::maintaining::operations;
use crate::records::all;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_made_is_for_this_user_alone() {
    let room = tempfile::tempdir().unwrap();
    let folder = room.path().join("data/metrics");
    let store = SqliteStore::at(&folder).open().unwrap();
    store.append(&operations(0, 10)).unwrap();
    assert_eq!((mode(&room.path().join("data")), mode(&folder)), (0o700, 0o700));
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        names.push(path.file_name().unwrap().to_string_lossy().into_owned());
    }
    names.sort();
    assert_eq!(names, ["taximeter.db", "taximeter.db-shm", "taximeter.db-wal"]);
}

#[test]
fn links_and_what_is_no_file_are_refused() {
    let room = tempfile::tempdir().unwrap();
    let real = room.path().join("real.db");
    drop(SqliteStore::at(&real).open().unwrap());
    let refused = |path: &Path, why: &str| {
        let error = SqliteStore::at(path).open().unwrap_err();
        assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
    };
    let link = room.path().join("link.db");
    symlink(&real, &link).unwrap();
    refused(&link, "a symbolic link");
    let fifo = room.path().join("fifo.db");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    refused(&fifo, "no regular file");
    let twin = room.path().join("twin.db");
    fs::hard_link(&real, &twin).unwrap();
    refused(&twin, "a file with several names");
    fs::remove_file(&twin).unwrap();
    // A log that leads elsewhere is not written through.
    let victim = room.path().join("victim");
    fs::write(&victim, "mine").unwrap();
    symlink(&victim, room.path().join("real.db-wal")).unwrap();
    refused(&real, "a symbolic link");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "mine");
    // A folder that is a link is a folder.
    symlink(room.path(), room.path().join("folder")).unwrap();
    fs::remove_file(room.path().join("real.db-wal")).unwrap();
    drop(SqliteStore::at(room.path().join("folder/real.db")).open().unwrap());
}

#[test]
fn a_name_is_a_name_whatever_is_in_it() {
    let room = tempfile::tempdir().unwrap();
    let ends = [
        "?mode=memory",
        "#x",
        "%2e%2e%2fup",
        ";drop",
        "\n",
        " ",
        "'",
        "\"",
        "\\",
        "*",
        "größe 🚕",
        "&",
        "::$DATA",
        "..",
    ];
    let begins = [
        "file:",
        "",
        "-",
        "~",
        "$HOME",
        "memory:",
        ":memory:",
        "a/../file:",
        "http://x/",
        "`x`",
        "|cat",
        "<",
        ">",
        "(",
        "!",
    ];
    let mut names = 0;
    for begin in begins {
        for end in ends {
            let name = format!("{begin}x{end}.db").replace('/', "_");
            let store = SqliteStore::at(room.path().join(&name)).open().unwrap();
            store.append(&operations(0, 1)).unwrap();
            drop(store);
            assert!(room.path().join(&name).is_file(), "{name:?}");
            fs::remove_file(room.path().join(&name)).unwrap();
            names += 1;
        }
    }
    assert!(names >= 200, "{names}");
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0, "nothing else was made");
}

#[test]
fn what_is_newer_or_no_store_stays_as_it_is() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("taximeter.db");
    drop(SqliteStore::at(&path).open().unwrap());
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 4).unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    for opened in [SqliteStore::at(&path).open(), SqliteStore::at(&path).open_to_read()] {
        let error = opened.unwrap_err();
        assert!(error.is_newer_version(), "{error}");
        assert!(error.to_string().contains("version 4, and this library reads up to 3"), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);

    let foreign = room.path().join("foreign.db");
    let other = rusqlite::Connection::open(&foreign).unwrap();
    other.execute_batch("CREATE TABLE t (a); PRAGMA user_version = 1").unwrap();
    drop(other);
    let text = room.path().join("notes.txt");
    fs::write(&text, "these are notes and no store, of some length".repeat(20)).unwrap();
    let empty = room.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    for path in [foreign, text, empty] {
        let before = fs::read(&path).unwrap();
        let error = SqliteStore::at(&path).open().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert_eq!(fs::read(&path).unwrap(), before, "{}", path.display());
    }
}

#[test]
fn a_store_that_is_only_read_is_not_written() {
    let room = tempfile::tempdir().unwrap();
    let missing = SqliteStore::at(room.path()).open_to_read();
    assert!(matches!(missing, Err(StoreError::NotFound { .. })));
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
    let store = SqliteStore::at(room.path()).open().unwrap();
    store.append(&operations(0, 10)).unwrap();
    let reader = SqliteStore::at(room.path()).open_to_read().unwrap();
    assert!(matches!(reader.append(&operations(0, 1)), Err(StoreError::ReadOnly { .. })));
    // Others write meanwhile, and it is seen.
    store.append(&operations(10, 10)).unwrap();
    assert_eq!(all(&reader), operations(0, 20));
}

/// Tries something on a small disk of its own.
fn on_a_disk(tried: fn(&Path)) {
    let room = tempfile::tempdir().unwrap();
    let disk = room.path().join("disk ?%");
    fs::create_dir(&disk).unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        println!("skipped: this user may not mount a small disk");
        return;
    }
    let tried = std::panic::catch_unwind(|| tried(&disk));
    assert!(Command::new("umount").arg(&disk).status().unwrap().success());
    tried.unwrap();
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    on_a_disk(fill);
}

#[test]
fn a_store_on_a_disk_that_may_not_be_written_is_read() {
    on_a_disk(|disk| {
        let store = SqliteStore::at(disk).open().unwrap();
        store.append(&operations(0, 50)).unwrap();
        drop(store);
        let remount = |how: &str| {
            let mut mount = Command::new("mount");
            let how = format!("remount,{how}");
            assert!(mount.args(["-o", &how]).arg(disk).status().unwrap().success());
        };
        remount("ro");
        let reader = SqliteStore::at(disk).open_to_read().unwrap();
        assert_eq!(all(&reader), operations(0, 50));
        assert_eq!(fs::read_dir(disk).unwrap().count(), 1, "nothing was made");
        let refused = SqliteStore::at(disk).open().unwrap_err();
        assert!(matches!(refused, StoreError::ReadOnly { .. }), "{refused:?}");
        // What is written when that is possible again is seen by who reads already.
        remount("rw");
        let writer = SqliteStore::at(disk).open().unwrap();
        writer.append(&operations(50, 50)).unwrap();
        assert_eq!(all(&reader), operations(0, 100));
        // Somebody left a log behind: it is read, too, and never passed over.
        fs::copy(disk.join("taximeter.db-wal"), disk.join("kept-wal")).unwrap();
        fs::copy(disk.join("taximeter.db"), disk.join("kept")).unwrap();
        drop((writer, reader));
        fs::rename(disk.join("kept"), disk.join("taximeter.db")).unwrap();
        fs::rename(disk.join("kept-wal"), disk.join("taximeter.db-wal")).unwrap();
        remount("ro");
        match SqliteStore::at(disk).open_to_read() {
            Ok(reader) => assert_eq!(all(&reader), operations(0, 100)),
            Err(error) => assert!(!matches!(error, StoreError::Damaged { .. }), "{error:?}"),
        }
    });
}

fn fill(disk: &Path) {
    fs::write(disk.join("ballast"), vec![0; 256 << 10]).unwrap();
    let store = SqliteStore::at(disk).open().unwrap();
    let (mut acknowledged, mut full) = (0, 0);
    for number in 0..400 {
        match store.append(&operations(number * 50, 50)) {
            Ok(appended) => acknowledged += appended.stored,
            Err(error) => {
                assert!(error.is_full(), "{error:?}");
                full += 1;
            }
        }
    }
    assert!(acknowledged > 0 && full > 0, "{acknowledged} taken, {full} batches refused");
    assert_eq!(all(&store).len() as u64, acknowledged);
    // When there is room again, it goes on by itself.
    fs::remove_file(disk.join("ballast")).unwrap();
    assert_eq!(store.append(&operations(100_000, 50)).unwrap().stored, 50);
    assert_eq!(all(&store).len() as u64, acknowledged + 50);
    assert!(store.check().unwrap().is_sound());
}
