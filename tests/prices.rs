//! Prices of one's own: from TOML and JSON files, over the book, reloaded while the meter runs.

use std::path::PathBuf;
use std::time::Duration;

use taximeter::{
    CostOutcome, Error, Meter, OperationRecord, PriceBook, Settings, TokenUsage, Unit,
};
use tempfile::TempDir;

/// A folder with a file of prices and a meter that reads it when it is told to.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(toml: &str) -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.write("prices.toml", toml);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The settings as the environment gives them; the files are read when a test says so.
    fn settings(&self, more: &[(&str, &str)]) -> Settings {
        let overrides = self.path("prices.toml").to_str().unwrap().to_owned();
        let own = [
            ("TAXIMETER_PRICING_OVERRIDES", overrides.as_str()),
            ("TAXIMETER_PRICING_RELOAD_SECONDS", "0"),
        ];
        let all = own.iter().chain(more).map(|(name, value)| ((*name).into(), (*value).into()));
        Settings::read(None, all.collect::<Vec<_>>()).unwrap()
    }

    fn meter(&self) -> Meter {
        Meter::builder().settings(self.settings(&[])).build().unwrap()
    }
}

/// A call with a million tokens in.
fn call(meter: &Meter, provider: &str, model: &str) -> OperationRecord {
    let op = meter.operation("op").start();
    op.record_usage(provider, model, TokenUsage::new(1_000_000, 0));
    op.finish().unwrap()
}

fn dollars(record: &OperationRecord) -> String {
    record.cost().usd().to_string()
}

fn negotiated(price: &str) -> String {
    format!(
        "[[models]]\nprovider = 'openai'\nid = 'gpt-4o'\ncards = [{{ rates = {{ input = {price}, output = 8.00 }} }}]"
    )
}

#[test]
fn a_reload_changes_later_calls_and_no_earlier_one() {
    let desk = Desk::new(&negotiated("2.00"));
    let meter = desk.meter();
    assert_eq!(dollars(&call(&meter, "openai", "gpt-4o")), "2");
    let loaded_at = meter.prices().loaded_at.unwrap();

    desk.write("prices.toml", &negotiated("1.25"));
    assert_eq!(dollars(&call(&meter, "openai", "gpt-4o")), "2", "nobody has read the file yet");
    meter.reload_prices().unwrap();
    assert_eq!(dollars(&call(&meter, "openai", "gpt-4o")), "1.25");

    let costs: Vec<_> = meter.recent(3).iter().map(dollars).collect();
    assert_eq!(costs, ["2", "2", "1.25"]);
    assert_eq!(meter.totals().cost.usd().to_string(), "5.25");
    let state = meter.prices();
    assert!(state.loaded_at.unwrap() >= loaded_at && state.last_error.is_none());
    assert_eq!(state.overrides, Some(desk.path("prices.toml")));
    assert!(state.as_of.is_some(), "the embedded book lies below");
}

#[test]
fn a_broken_or_missing_file_keeps_the_last_good_prices_and_says_so() {
    let desk = Desk::new(&negotiated("2.00"));
    let meter = desk.meter();
    for (text, part) in [
        (Some("[[models]]\nprovider = 'openai'\nid = "), "line 3"),
        (
            Some("[[models]]\nprovider = 'openai'\nid = 'm'\ncards = [{ rates = { input = -1 } }]"),
            "openai/m",
        ),
        (None, "prices.toml"),
    ] {
        match text {
            Some(text) => desk.write("prices.toml", text),
            None => std::fs::remove_file(desk.path("prices.toml")).unwrap(),
        }
        let error = meter.reload_prices().unwrap_err();
        assert!(matches!(error, Error::Prices(_)), "{error:?}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(dollars(&call(&meter, "openai", "gpt-4o")), "2");
        assert_eq!(meter.prices().last_error, Some(error.to_string()));
    }
    assert_eq!(meter.prices().failures, 3);
    let notes = meter.session().notes;
    assert!(notes.iter().any(|note| note.contains("prices.toml")), "{notes:?}");

    desk.write("prices.toml", &negotiated("3"));
    meter.reload_prices().unwrap();
    assert_eq!(dollars(&call(&meter, "openai", "gpt-4o")), "3");
    assert!(meter.session().notes.is_empty());
}

#[test]
fn a_broken_file_at_the_start_is_an_error_and_none_where_nothing_is_metered() {
    let desk = Desk::new("models = ");
    let error = Meter::builder().settings(desk.settings(&[])).build().unwrap_err();
    assert!(error.to_string().contains("prices.toml"), "{error}");
    let off = desk.settings(&[("TAXIMETER_ENABLED", "false")]);
    assert!(!Meter::builder().settings(off).build().unwrap().is_recording());
}

#[test]
fn models_and_servers_of_ones_own_have_prices() {
    let desk = Desk::new(
        "[[providers]]\nid = 'basement'\nis_local = true\n\n\
         [[models]]\nprovider = 'acme'\nid = 'acme-large'\naliases = ['large']\n\
         cards = [{ from = 2026-01-01, rates = { input = 0.40, output = 1.20 } }]\n",
    );
    let meter = desk.meter();
    assert_eq!(dollars(&call(&meter, "acme", "large")), "0.4");
    let local = call(&meter, "basement", "whatever");
    assert!(matches!(local.llm_calls[0].cost, CostOutcome::Free { .. }), "{local:?}");
    assert_eq!(dollars(&call(&meter, "openai", "gpt-4o")), "2.5", "the rest of the book stays");
}

#[test]
fn a_book_in_a_file_replaces_the_embedded_one_and_a_book_of_the_program_both() {
    let desk = Desk::new("");
    let book = r#"{"as_of": "2030-01-01",
        "models": [{"provider": "openai", "id": "gpt-9", "cards": [{"rates": {"input": "7"}}]}]}"#;
    desk.write("book.json", book);
    let path = desk.path("book.json");
    let settings = desk.settings(&[("TAXIMETER_PRICING_BOOK", path.to_str().unwrap())]);
    let meter = Meter::builder().settings(settings.clone()).build().unwrap();
    assert_eq!(dollars(&call(&meter, "openai", "gpt-9")), "7");
    let gone = call(&meter, "openai", "gpt-4o");
    assert!(matches!(gone.llm_calls[0].cost, CostOutcome::UnknownModel { .. }));
    assert_eq!(meter.prices().as_of.unwrap().to_string(), "2030-01-01");

    let program = PriceBook::from_json("{}").unwrap();
    let meter = Meter::builder().settings(settings).price_book(program).build().unwrap();
    assert_eq!((meter.prices().book, meter.price_book().models().count()), (None, 0));
}

#[test]
fn the_worker_looks_at_the_file_by_itself() {
    let desk = Desk::new(&negotiated("2.00"));
    let mut settings = desk.settings(&[]);
    settings.pricing.reload_seconds = 1;
    let meter = Meter::builder().settings(settings).build().unwrap();
    desk.write("prices.toml", &negotiated("1.50"));
    // However long it takes until the next look: it comes, and the calls from there on have the new price.
    let last = || {
        meter.operation("op").start().record_usage(
            "openai",
            "gpt-4o",
            TokenUsage::new(1_000_000, 0),
        );
        dollars(&meter.recent(1)[0])
    };
    let found = (0..3_000).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        last() == "1.5"
    });
    assert!(found, "nobody looked for a minute: {:?}", meter.prices());
}

#[test]
fn calls_are_priced_by_whole_books_while_prices_are_reloaded() {
    let desk = Desk::new(&negotiated("1"));
    let meter = desk.meter();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    (0..100).map(|_| dollars(&call(&meter, "openai", "gpt-4o"))).collect::<Vec<_>>()
                })
            })
            .collect();
        for number in 1..=20 {
            // A file that is broken now and then.
            desk.write(
                "prices.toml",
                &negotiated(if number % 5 == 0 { "1, [" } else { ["1", "2"][number % 2] }),
            );
            assert_eq!(meter.reload_prices().is_err(), number % 5 == 0);
        }
        for caller in callers {
            assert!(caller.join().unwrap().iter().all(|cost| cost == "1" || cost == "2"));
        }
    });
    assert_eq!(meter.totals().cost.unpriced_calls, 0);
    assert_eq!(meter.prices().failures, 4);
}

#[test]
fn the_global_meter_goes_on_with_the_embedded_prices() {
    // In a process of its own: the global meter and the environment belong to all tests.
    const NAME: &str = "prices::the_global_meter_goes_on_with_the_embedded_prices";
    if std::env::var_os("TAXIMETER_PRICING_OVERRIDES").is_some() {
        assert_eq!(dollars(&call(&taximeter::global(), "openai", "gpt-4o")), "2.5");
        assert!(taximeter::global().prices().last_error.is_some());
        return;
    }
    let desk = Desk::new("models = ");
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([NAME, "--exact", "--nocapture"])
        .env("TAXIMETER_PRICING_OVERRIDES", desk.path("prices.toml"))
        .current_dir(desk.folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(errors.matches("taximeter: reading the price book").count(), 1, "{errors}");
}

#[test]
fn the_books_in_the_documents_can_be_read() {
    let formats = include_str!("../docs/FORMATS.md").split("## The price book").nth(1).unwrap();
    let block = |language: &str| {
        formats.split(&format!("```{language}\n")).nth(1).unwrap().split("```").next().unwrap()
    };
    for (name, text) in [("book.toml", block("toml")), ("book.json", block("json"))] {
        let desk = Desk::new("");
        desk.write(name, text);
        let book = PriceBook::from_file(desk.path(name)).unwrap();
        assert!(book.find(Some("acme"), "acme-large-2026-10-05").is_some(), "{name}");
    }
    for unit in Unit::ALL {
        assert!(formats.contains(&format!("`{unit}`")), "{unit} is not among the units");
    }
}
