//! Tests of the book that follows its files: real files, no waiting.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::live::LiveBookBuilder;
use crate::{LiveBook, PriceBook, ReadBookError};

/// A folder with files of prices, and a book that looks at them whenever it is asked.
struct Desk {
    folder: TempDir,
    warned: Arc<AtomicUsize>,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), warned: Arc::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Prices an LLM that no other book has.
    fn set(&self, name: &str, price: u32) {
        self.write(name, &priced(price));
    }

    fn builder(&self) -> LiveBookBuilder {
        let warned = Arc::clone(&self.warned);
        let count = move |_: &ReadBookError| {
            warned.fetch_add(1, Ordering::Relaxed);
        };
        LiveBook::builder().every(Duration::ZERO).on_error(count)
    }

    fn overridden(&self) -> LiveBook {
        self.builder().overrides(self.path("mine.json")).build().unwrap()
    }

    fn warned(&self) -> usize {
        self.warned.load(Ordering::Relaxed)
    }
}

fn priced(price: u32) -> String {
    format!(
        r#"{{"models": [{{"provider": "me", "id": "m", "cards": [{{"rates": {{"input": {price}}}}}]}}]}}"#
    )
}

fn price(book: &PriceBook) -> Option<String> {
    let card = book.find(Some("me"), "m")?.cards.last()?.clone();
    Some(card.rates[0].amount.to_string())
}

#[test]
fn what_is_written_holds_for_the_next_question_and_not_for_the_last() {
    let desk = Desk::new();
    desk.set("mine.json", 0);
    let live = desk.overridden();
    let first = live.book();
    // Prices of one length, written faster than a file system's clock ticks.
    for number in 1..10 {
        desk.set("mine.json", number);
        assert_eq!(price(&live.book()), Some(number.to_string()));
    }
    assert_eq!(price(&first).as_deref(), Some("0"));
    assert!(live.book().find(Some("openai"), "gpt-4o").is_some(), "the embedded book lies below");
    assert_eq!(desk.warned(), 0);
}

#[test]
fn a_file_that_is_half_written_keeps_the_last_good_book_until_it_is_whole() {
    let desk = Desk::new();
    desk.set("mine.json", 1);
    let live = desk.overridden();
    let loaded_at = live.state().loaded_at;
    desk.write("mine.json", &priced(2)[..40]);
    for _ in 0..3 {
        assert_eq!(price(&live.book()).as_deref(), Some("1"));
    }
    let state = live.state();
    assert_eq!((state.failures, desk.warned()), (3, 1), "it is tried each time and warned of once");
    assert_eq!(state.loaded_at, loaded_at);
    assert!(state.last_error.unwrap().contains("mine.json"));
    desk.write("mine.json", &priced(2)[..50]);
    live.book();
    assert_eq!(desk.warned(), 2, "another change, another warning");
    desk.set("mine.json", 2);
    assert_eq!(price(&live.book()).as_deref(), Some("2"));
    assert_eq!((live.state().last_error, live.state().failures), (None, 4));
}

#[test]
fn a_file_that_says_what_cannot_be_is_refused_too() {
    let desk = Desk::new();
    desk.set("mine.json", 1);
    let live = desk.overridden();
    desk.write("mine.json", &priced(3).replace("\"input\": 3", "\"input\": -3"));
    assert!(live.reload().unwrap_err().to_string().contains("me/m"));
    assert_eq!(price(&live.book()).as_deref(), Some("1"));
    assert_eq!(desk.warned(), 0, "the one who reloaded was told");
}

#[test]
fn a_file_that_is_deleted_keeps_the_last_good_book() {
    let desk = Desk::new();
    desk.set("mine.json", 1);
    let live = desk.overridden();
    fs::remove_file(desk.path("mine.json")).unwrap();
    assert_eq!(price(&live.book()).as_deref(), Some("1"));
    assert!(live.state().last_error.is_some());
    desk.set("mine.json", 1);
    live.book();
    assert_eq!((live.state().last_error, desk.warned()), (None, 1));
}

#[test]
fn a_book_replaces_the_base_and_both_files_are_taken_or_neither() {
    let desk = Desk::new();
    desk.write("book.json", r#"{"as_of": "2030-01-01"}"#);
    desk.set("mine.json", 1);
    let builder = desk.builder().book(desk.path("book.json")).overrides(desk.path("mine.json"));
    let live = builder.build().unwrap();
    assert!(live.book().find(Some("openai"), "gpt-4o").is_none(), "the embedded book is replaced");
    desk.write("book.json", "{");
    desk.set("mine.json", 2);
    assert_eq!(price(&live.book()).as_deref(), Some("1"));
    let state = live.state();
    assert_eq!(state.as_of.unwrap().to_string(), "2030-01-01");
    assert!(state.last_error.unwrap().contains("book.json"));
    desk.write("book.json", r#"{"as_of": "2031-01-01"}"#);
    assert_eq!(price(&live.book()).as_deref(), Some("2"));
    assert_eq!(live.state().as_of.unwrap().to_string(), "2031-01-01");
}

#[test]
fn a_broken_file_at_the_start_is_an_error_or_is_tried_again() {
    let desk = Desk::new();
    desk.write("mine.json", "{");
    assert!(desk.builder().overrides(desk.path("mine.json")).build().is_err());
    let live = desk.builder().overrides(desk.path("mine.json")).build_anyway();
    assert_eq!((desk.warned(), live.state().loaded_at), (1, None));
    assert!(live.book().find(Some("openai"), "gpt-4o").is_some());
    desk.set("mine.json", 4);
    assert_eq!(price(&live.book()).as_deref(), Some("4"));
    assert_eq!(desk.warned(), 1);
}

#[test]
fn without_an_interval_only_a_reload_reads() {
    let desk = Desk::new();
    desk.set("mine.json", 1);
    let live = desk.builder().overrides(desk.path("mine.json")).every(None).build().unwrap();
    desk.set("mine.json", 2);
    assert_eq!(price(&live.book()).as_deref(), Some("1"));
    assert_eq!(price(&live.reload().unwrap()).as_deref(), Some("2"));
    assert_eq!(price(&live.in_force()).as_deref(), Some("2"));
}

#[test]
fn a_base_of_ones_own_lies_below_the_overrides() {
    let desk = Desk::new();
    desk.set("mine.json", 1);
    let live = desk.builder().base(PriceBook::default()).overrides(desk.path("mine.json"));
    assert_eq!(live.build().unwrap().book().models().count(), 1);
    let nothing = LiveBook::default().state();
    assert_eq!((nothing.loaded_at, nothing.failures, nothing.last_error), (None, 0, None));
}

#[test]
fn what_is_done_about_an_error_may_ask_for_the_state() {
    let desk = Desk::new();
    let live: Arc<std::sync::OnceLock<LiveBook>> = Arc::default();
    let (seen, inner) = (Arc::new(AtomicUsize::new(0)), Arc::clone(&live));
    let count = Arc::clone(&seen);
    desk.set("mine.json", 1);
    let builder = LiveBook::builder().every(Duration::ZERO).overrides(desk.path("mine.json"));
    let built = builder.on_error(move |_| {
        let failures = inner.get().unwrap().state().failures;
        count.store(usize::try_from(failures).unwrap(), Ordering::Relaxed);
    });
    live.set(built.build().unwrap()).unwrap();
    desk.write("mine.json", "{");
    live.get().unwrap().book();
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

#[test]
fn readers_see_whole_books_while_files_change() {
    let desk = Desk::new();
    desk.write("base.json", "{}");
    desk.set("mine.json", 0);
    let builder = desk.builder().book(desk.path("base.json")).overrides(desk.path("mine.json"));
    let live = builder.build().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while last < 200 {
                    let now: u32 = price(&live.book()).unwrap().parse().unwrap();
                    assert!(now >= last, "the price went back from {last} to {now}");
                    last = now;
                }
            });
        }
        // Not renamed but written in place: readers meet with half of a file, and with none of it.
        (1..=200).for_each(|number| desk.set("mine.json", number));
    });
    assert_eq!(price(&live.reload().unwrap()).as_deref(), Some("200"));
}
