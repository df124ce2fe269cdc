//! With which bytes each target begins, and that what must hold does of all of them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{BLOCKS, BOOKS, CONTEXT, IMPORTS, NAMES, OTLP, REPLIES, SESSIONS, Target};

/// The folders that lie elsewhere; `run` reads the same.
const FOLDERS: &str = include_str!("../folders");

/// The files of a folder and of those within it.
fn files(folder: &Path, into: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}

fn seeds(target: &Target) -> Vec<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).expect("it lies in the workspace");
    let elsewhere =
        FOLDERS.lines().filter_map(|line| line.strip_prefix(target.name)?.split_once(' '));
    let mut folders: Vec<_> = elsewhere.map(|(_, folder)| root.join(folder)).collect();
    folders.push(here.join("seeds").join(target.name));
    let mut found = Vec::new();
    for folder in folders.iter().filter(|folder| folder.exists()) {
        files(folder, &mut found).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    }
    assert!(!found.is_empty(), "{} begins with nothing", target.name);
    found.sort();
    found
}

/// Tries each seed, and says which one it is before something panics.
fn check(target: &Target) {
    for path in seeds(target) {
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let held = std::panic::catch_unwind(|| target.check(&bytes));
        assert!(held.is_ok(), "{} does not hold of {}", target.name, path.display());
    }
}

#[test]
fn every_request_of_otlp_is_answered() {
    check(&OTLP);
}

#[test]
fn every_reply_says_the_same_in_whatever_pieces_it_comes() {
    check(&REPLIES);
}

#[test]
fn every_context_is_sent_on_as_it_was_read() {
    check(&CONTEXT);
}

#[test]
fn every_block_gives_operations_or_an_error() {
    check(&BLOCKS);
}

#[test]
fn every_session_is_written_as_it_was_read() {
    check(&SESSIONS);
}

#[test]
fn every_file_gives_operations_or_says_where_it_gives_none() {
    check(&IMPORTS);
}

#[test]
fn every_price_book_prices_without_contradiction() {
    check(&BOOKS);
}

#[test]
fn every_name_is_priced_without_contradiction() {
    check(&NAMES);
}
