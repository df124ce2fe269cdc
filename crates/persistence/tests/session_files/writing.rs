//! Replacing a file: whole or not at all.

use std::sync::atomic::{AtomicBool, Ordering};

use taximeter_persistence::SessionFiles;

use crate::support::{names_in, noon, session};

#[test]
fn a_reader_never_sees_half_a_file() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    let (short, long) = (session("short", 1), session("long", 60));
    files.save(&short, Some("it"), noon()).unwrap();
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let readers = [0, 1].map(|_| {
            scope.spawn(|| {
                let mut reads = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    let seen = files.load("it").unwrap();
                    assert!(seen == short || seen == long);
                    reads += 1;
                }
                reads
            })
        });
        for round in 0..150 {
            let next = if round % 2 == 0 { &long } else { &short };
            files.save(next, Some("it"), noon()).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().unwrap())
    });
    assert!(reads.iter().all(|reads| *reads > 0));
    assert_eq!(names_in(room.path()), ["it.json"]);
    assert_eq!(files.load("it").unwrap(), short);
}

#[test]
fn a_name_that_is_given_is_replaced() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path().join("new").join("directory"));
    for id in ["first", "second"] {
        let path = files.save(&session(id, 1), Some("it.json"), noon()).unwrap();
        assert_eq!(path, files.directory().join("it.json"));
        assert_eq!(files.load("it").unwrap().id, id);
    }
    assert_eq!(names_in(files.directory()), ["it.json"]);
}

#[test]
fn a_file_cannot_take_the_place_of_a_directory() {
    let room = tempfile::tempdir().unwrap();
    let files = SessionFiles::new(room.path());
    std::fs::create_dir(room.path().join("it.json")).unwrap();
    let error = files.save(&session("it", 1), Some("it"), noon()).unwrap_err();
    assert!(error.to_string().contains("it.json"), "{error}");
    assert_eq!(names_in(room.path()), ["it.json"], "no temporary file is left");
    // The name that is made by itself goes around it.
    std::fs::create_dir(room.path().join("metrics_it_20261123_120000.json")).unwrap();
    let path = files.save(&session("it", 1), None, noon()).unwrap();
    assert!(path.ends_with("metrics_it_20261123_120000_2.json"));
}
