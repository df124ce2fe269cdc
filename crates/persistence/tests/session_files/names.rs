//! Names that were given to do harm, and names that are made of session ids.

use std::collections::BTreeSet;
use std::path::Path;

use taximeter_persistence::SessionFiles;

use crate::support::{names_in, noon, session};

/// Names that must be refused, each for some reason of its own kind.
#[rustfmt::skip] // one name a line would fill three screens
const HOSTILE: &[&str] = &[
    "", ".", "..", "...", "/", "\\", "//", "./", "../", "..\\", ".json", "..json", ".hidden", ".hidden.json",
    ".taximeter-x.tmp", ".bashrc", ".ssh", "../x", "../../x", "../../../etc/passwd", "..\\..\\x", "/etc/passwd",
    "/tmp/x", "/x.json", "//server/share", "\\\\server\\share", "\\\\?\\C:\\x", "\\\\.\\PhysicalDrive0", "a/b",
    "a/../b", "a/", "/a", "a\\b", "a\\..\\b", "./a", ".\\a", "a/./b", "a//b", "x/..", "C:", "C:x", "C:\\x",
    "C:/x", "c:x.json", "file:///etc/passwd", "http://x", "a:b", "a.json:stream", "a::$DATA", "a*", "?", "a?b",
    "a<b", "a>b", "a|b", "a\"b", "<", ">", "|", "\"", "*", ":", "~/x", "~root/x", "$HOME/x", "%2e%2e/x", "-",
    "--", "-rf", "--help", "-x.json", " ", "  ", " a", "a ", "a.", "a..", "a. ", "a .", "\u{3000}a", "a\u{a0}",
    "\t", "\n", "\r", "a\nb", "a\rb", "a\tb", "a\r\n", "\0", "a\0", "a\0b", "\0.json", "a\0.json", "../\0",
    "\u{1b}[31m", "a\u{7}", "a\u{8}b", "\u{7f}", "a\u{7f}", "\u{80}", "a\u{85}b", "\u{9f}x", "a\u{200b}b",
    "\u{200b}", "a\u{200d}", "a\u{200e}b", "a\u{200f}b", "\u{202e}nosj.a", "a\u{202a}b", "a\u{202b}",
    "a\u{202c}", "a\u{202d}b", "a\u{2028}b", "a\u{2029}b", "a\u{2060}b", "a\u{2066}b", "a\u{2067}b",
    "a\u{2068}", "a\u{2069}", "\u{feff}a", "a\u{ad}b", "a\u{61c}b", "a\u{180e}b", "a\u{fff9}b", "a\u{e0041}b",
];

/// Those, the names of devices, and names that are too long.
fn hostile_names() -> BTreeSet<String> {
    let mut names: BTreeSet<String> = HOSTILE.iter().map(|name| (*name).into()).collect();
    let devices = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "COM¹", "COM²", "LPT³"];
    let numbered = (0..10).flat_map(|number| [format!("COM{number}"), format!("LPT{number}")]);
    for device in devices.map(String::from).into_iter().chain(numbered) {
        names.insert(format!("{}.json", device.to_lowercase()));
        names.insert(format!("{device}.tar.json"));
        names.insert(device);
    }
    names.insert("NUL .json".into());
    names.extend([251, 256, 1_000, 4_096, 1 << 20].map(|bytes| "x".repeat(bytes)));
    names.insert("ü".repeat(126));
    names.insert("🚕".repeat(63));
    names.insert("../".repeat(2_000));
    names
}

#[test]
fn two_hundred_hostile_names_are_refused_and_touch_nothing() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path().join("files"));
    let session = session("mine", 1);
    files.save(&session, Some("mine"), noon()).unwrap();
    let names = hostile_names();
    assert!(names.len() >= 200, "only {}", names.len());
    for name in names {
        let error = files.save(&session, Some(&name), noon()).expect_err(&name);
        assert!(error.is_invalid_name(), "{name:?}: {error}");
        let text = error.to_string();
        assert!(text.starts_with("taking ") && text.contains("; give a "), "{text}");
        assert!(
            text.chars().count() < 1_000 && !text.contains(['\0', '\n', '\u{1b}', '\u{202e}']),
            "{text:?}"
        );
        assert!(files.load(&name).expect_err(&name).is_invalid_name());
    }
    assert_eq!(names_in(room.path()), ["files"]);
    assert_eq!(names_in(files.directory()), ["mine.json"]);
}

#[test]
fn unusual_names_that_do_no_harm_are_taken() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    let longest = "x".repeat(250);
    let names = [
        "a", "a.b", "a..b", "größer", "夕方", "🚕", "a b", "a-b", "COM", "COM10", "null", "~x",
        "$HOME", &longest,
    ];
    for name in names {
        let session = session(name, 1);
        let path = files.save(&session, Some(name), noon()).unwrap();
        assert_eq!(path.parent(), Some(room.path()));
        assert_eq!(files.load(name).unwrap(), session, "{name}");
        assert_eq!(files.load(&format!("{name}.json")).unwrap(), session, "{name}");
    }
    assert_eq!(names_in(room.path()).len(), names.len());
    assert_eq!(files.list().unwrap().files.len(), names.len());
}

#[test]
fn hostile_session_ids_become_plain_names() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path().join("files"));
    let mut paths = BTreeSet::new();
    for id in hostile_names() {
        let session = session(&id, 0);
        let path = files.save(&session, None, noon()).unwrap();
        assert_eq!(path.parent(), Some(files.directory()), "{id:?}");
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        assert!(
            name.starts_with("metrics_") && name.len() < 120 && name.bytes().all(plain),
            "{name}"
        );
        assert_eq!(Path::new(&name).extension().unwrap(), "json");
        assert_eq!(files.load(&name).unwrap(), session);
        assert!(paths.insert(path), "{id:?} replaced another");
    }
    assert_eq!(names_in(room.path()), ["files"]);
    assert_eq!(names_in(files.directory()).len(), paths.len());
}

#[test]
fn an_automatic_name_is_never_taken_twice() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    // The two ids fold to the same text.
    for (id, name) in [
        ("a/b", "metrics_a_b_20261123_120000.json"),
        ("a:b", "metrics_a_b_20261123_120000_2.json"),
        ("a/b", "metrics_a_b_20261123_120000_3.json"),
    ] {
        let path = files.save(&session(id, 1), None, noon()).unwrap();
        assert_eq!(path, room.path().join(name));
        assert_eq!(files.load(name).unwrap().id, id);
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    files.save(&session("same", 1), None, noon()).unwrap();
                }
            });
        }
    });
    assert_eq!(names_in(room.path()).len(), 43);
}
