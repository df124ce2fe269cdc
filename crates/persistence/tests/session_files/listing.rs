//! What session files there are.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use taximeter_persistence::SessionFiles;

use crate::support::{noon, session};

#[test]
fn a_directory_that_is_not_there_has_no_files() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path().join("not/there"));
    assert_eq!(files.list().unwrap(), <_>::default());
    assert!(!files.directory().exists(), "looking creates nothing");
}

#[test]
fn the_newest_comes_first() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    for (name, age) in [("middle", 20), ("oldest", 30), ("newest", 10)] {
        let path = files.save(&session(name, 1), Some(name), noon()).unwrap();
        let then = SystemTime::now() - Duration::from_secs(age);
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }
    let list = files.list().unwrap();
    let names: Vec<&str> = list.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["newest.json", "middle.json", "oldest.json"]);
    assert!(list.files.iter().all(|file| file.bytes == fs::metadata(&file.path).unwrap().len()));
    assert!(list.skipped.is_empty());
}

#[test]
fn what_cannot_be_loaded_by_name_is_told() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    files.save(&session("mine", 1), Some("mine"), noon()).unwrap();
    fs::create_dir(room.path().join("folder.json")).unwrap();
    fs::write(room.path().join("notes.txt"), "not ours").unwrap();
    fs::write(room.path().join(".taximeter-abc.tmp"), "left by a crash").unwrap();
    let mut expected = vec!["folder.json"];
    if cfg!(target_os = "linux") {
        more_on_linux(room.path());
        expected.extend(["link.json", "nul.json", "\u{fffd}.json"]);
    }
    let list = files.list().unwrap();
    let skipped = list.skipped.iter().map(|one| one.path.file_name().unwrap().to_string_lossy());
    assert_eq!(skipped.collect::<Vec<_>>(), expected);
    assert_eq!(list.files.len(), 1);
    assert!(list.skipped.iter().all(|one| !one.why.is_empty()));
}

#[cfg(target_os = "linux")]
fn more_on_linux(directory: &std::path::Path) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    fs::write(directory.join("nul.json"), "{}").unwrap();
    fs::write(directory.join(OsStr::from_bytes(b"\xff.json")), "{}").unwrap();
    std::os::unix::fs::symlink("mine.json", directory.join("link.json")).unwrap();
}

#[cfg(not(target_os = "linux"))]
fn more_on_linux(_: &std::path::Path) {}

#[test]
fn a_file_in_the_place_of_the_directory_is_an_error() {
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("files");
    fs::write(&path, "").unwrap();
    let files = SessionFiles::new(&path);
    assert!(files.list().is_err());
    let error = files.save(&session("mine", 1), None, noon()).unwrap_err();
    assert!(error.to_string().contains("a file stands where a directory should be"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"");
}
