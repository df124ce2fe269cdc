//! Modes, links, FIFOs, full and read-only disks: what only a Unix system has or can be made to show.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use taximeter_persistence::{PersistenceError, SessionFiles};

use crate::support::{names_in, noon, session};

/// The directory that a child process works in.
const ROOM: &str = "TAXIMETER_TEST_ROOM";

/// The exit code of a child for which the system lacks something.
const SKIPPED: i32 = 77;

/// Runs a test of this binary again in a child that a shell has prepared; in that child it returns the directory.
/// Umask and mounts belong to a whole process, and would disturb the tests that run beside this one.
fn in_child(test: &str, shell: &[&str], prepare: &str) -> Option<PathBuf> {
    if let Some(room) = std::env::var_os(ROOM) {
        return Some(room.into());
    }
    let room = tempfile::tempdir().unwrap();
    let script = format!("{prepare}\nexec \"$0\" --exact \"$1\" --nocapture");
    let child = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .arg(format!("system::{test}"))
        .env(ROOM, room.path())
        .output();
    match child {
        Ok(child) if child.status.success() => {
            assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{child:?}");
        }
        // The test itself ends with 101 where it fails; all else is the preparation.
        Ok(child) if child.status.code() == Some(101) => panic!(
            "{}\n{}",
            String::from_utf8_lossy(&child.stdout),
            String::from_utf8_lossy(&child.stderr)
        ),
        Ok(child) => println!("skipped: {}", String::from_utf8_lossy(&child.stderr).trim()),
        Err(error) => println!("skipped: there is no {} ({error})", shell[0]),
    }
    None
}

const SHELL: [&str; 1] = ["sh"];

/// A shell with mounts of its own, which end with it.
const WITH_MOUNTS: [&str; 3] = ["unshare", "-rm", "sh"];

/// A shell without a superuser's rights, even if the superuser starts it.
const WITHOUT_RIGHTS: [&str; 3] = ["unshare", "-U", "sh"];

fn mount(options: &str) -> String {
    format!("mount -t tmpfs -o {options} tmpfs \"${ROOM}\" || exit {SKIPPED}")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    let Some(room) = in_child("modes_do_not_depend_on_the_umask", &SHELL, "umask 000") else {
        return;
    };
    fs::write(room.join("control"), "").unwrap();
    assert_eq!(mode(&room.join("control")), 0o666, "the umask is off");
    let files = SessionFiles::new(room.join("data/metrics"));
    for name in [None, Some("it"), Some("it")] {
        let path = files.save(&session("it", 1), name, noon()).unwrap();
        assert_eq!(mode(&path), 0o600);
        // What others may write is closed with the next replacement.
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    }
    files.save(&session("it", 1), Some("it"), noon()).unwrap();
    assert_eq!(mode(&files.directory().join("it.json")), 0o600);
    assert_eq!((mode(files.directory()), mode(&room.join("data"))), (0o700, 0o700));
}

#[test]
fn a_full_disk_leaves_the_old_file_and_nothing_else() {
    let Some(room) = in_child(
        "a_full_disk_leaves_the_old_file_and_nothing_else",
        &WITH_MOUNTS,
        &mount("size=128k"),
    ) else {
        return;
    };
    let files = SessionFiles::new(&room);
    let old = session("old", 2);
    files.save(&old, Some("it"), noon()).unwrap();
    for name in [Some("it"), None] {
        let error = files.save(&session("large", 500), name, noon()).unwrap_err();
        assert!(error.is_no_space(), "{error}");
        assert!(error.to_string().contains("there is no room left"), "{error}");
        assert_eq!(names_in(&room), ["it.json"]);
        assert_eq!(files.load("it").unwrap(), old);
    }
    let new = session("new", 3);
    files.save(&new, Some("it"), noon()).unwrap();
    assert_eq!(files.load("it").unwrap(), new, "with room again it goes on");
}

#[test]
fn a_read_only_disk_can_be_read_and_not_written() {
    let test = "a_read_only_disk_can_be_read_and_not_written";
    let Some(room) = in_child(test, &WITH_MOUNTS, &mount("size=1m")) else { return };
    let files = SessionFiles::new(&room);
    let old = session("old", 2);
    files.save(&old, Some("it"), noon()).unwrap();
    let remounted = Command::new("mount").args(["-o", "remount,ro"]).arg(&room).status().unwrap();
    if !remounted.success() {
        println!("skipped: the disk cannot be made read-only");
        return;
    }
    let error = files.save(&session("new", 2), Some("it"), noon()).unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    assert_eq!(files.load("it").unwrap(), old);
    assert_eq!(names_in(&room), ["it.json"]);
}

#[test]
fn a_read_only_directory_is_left_alone() {
    let test = "a_read_only_directory_is_left_alone";
    let Some(room) = in_child(test, &WITHOUT_RIGHTS, "") else { return };
    let files = SessionFiles::new(room.join("files"));
    let old = session("old", 2);
    files.save(&old, Some("it"), noon()).unwrap();
    fs::set_permissions(files.directory(), Permissions::from_mode(0o500)).unwrap();
    if fs::write(files.directory().join("probe"), "").is_ok() {
        println!("skipped: this user may write in read-only directories (root?)");
        return;
    }
    let error = files.save(&session("new", 2), Some("it"), noon()).unwrap_err();
    assert!(error.is_permission_denied(), "{error}");
    assert!(error.to_string().contains("let this user write there"), "{error}");
    assert_eq!(files.load("it").unwrap(), old);
    fs::set_permissions(files.directory(), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(names_in(files.directory()), ["it.json"]);
}

#[test]
fn a_planted_link_is_neither_read_nor_written_through() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path().join("files"));
    let secret = room.path().join("secret.json");
    files.save(&session("mine", 1), Some("mine"), noon()).unwrap();
    fs::copy(files.directory().join("mine.json"), &secret).unwrap();
    let before = fs::read(&secret).unwrap();
    let link = files.directory().join("it.json");
    for target in
        [secret.as_path(), Path::new("mine.json"), Path::new("it.json"), Path::new("/dev/zero")]
    {
        symlink(target, &link).unwrap();
        let error = files.load("it").unwrap_err();
        assert!(matches!(error, PersistenceError::SymbolicLink { .. }), "{error}");
        assert!(error.to_string().contains("symbolic link"), "{error}");
        let new = session("new", 1);
        files.save(&new, Some("it"), noon()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_file(), "the link is replaced");
        assert_eq!(files.load("it").unwrap(), new);
        fs::remove_file(&link).unwrap();
    }
    assert_eq!(fs::read(&secret).unwrap(), before);
    symlink(&secret, &link).unwrap();
    assert_eq!(files.load_path(&link).unwrap().id, "mine", "a path is the user's own word");
    let automatic = files.directory().join("metrics_new_20261123_120000.json");
    symlink(&secret, &automatic).unwrap();
    let path = files.save(&session("new", 1), None, noon()).unwrap();
    assert!(path.ends_with("metrics_new_20261123_120000_2.json"));
    assert_eq!(fs::read(&secret).unwrap(), before);
}

#[test]
fn fifos_devices_and_sockets_are_refused_at_once() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    let began = Instant::now();
    let socket = room.path().join("socket.json");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for error in [
        files.load("socket").unwrap_err(),
        files.load_path(&socket).unwrap_err(),
        files.load_path("/dev/zero").unwrap_err(),
        files.load_path("/dev/null").unwrap_err(),
    ] {
        assert!(matches!(error, PersistenceError::NotAFile { .. }), "{error}");
    }
    let fifo = room.path().join("fifo.json");
    match Command::new("mkfifo").arg(&fifo).status() {
        Ok(made) if made.success() => {
            for error in [files.load("fifo").unwrap_err(), files.load_path(&fifo).unwrap_err()] {
                assert!(
                    matches!(error, PersistenceError::NotAFile { what: "a FIFO", .. }),
                    "{error}"
                );
            }
        }
        _ => println!("skipped: there is no mkfifo"),
    }
    assert!(began.elapsed() < Duration::from_secs(5));
}
