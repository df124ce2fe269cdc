//! The facade as a program uses it: meters, sessions, settings, prices, advice.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use taximeter::{
    CostOutcome, FindingKind, ManualClock, Meter, MeterExt, OperationId, Outcome, Session,
    TokenUsage, ToolStatus, TrendDirection, meter, operation, with_meter,
};

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at("2026-11-23T12:00:00Z".parse().unwrap()))
}

/// A question that takes so long.
fn ask(meter: &Meter, clock: &ManualClock, seconds: f64, succeed: bool) -> OperationId {
    let op = meter.operation("qa_response").user("u1").tag("env", "test").start();
    let timing = op.component("llm_inference");
    let mut call = op.llm_call("openai", "gpt-4o").start();
    clock.advance(Duration::from_secs_f64(seconds));
    call.usage(TokenUsage::inclusive(1_200, 350).cache_read(200));
    call.succeed();
    drop(timing);
    let tool = op.tool("vector_search").start();
    tool.end(if succeed { ToolStatus::Success } else { ToolStatus::Failure });
    let id = op.id().unwrap();
    if succeed {
        op.succeed();
    } else {
        op.fail("HTTP status 500");
    }
    id
}

#[test]
fn totals_are_the_sum_of_the_parts() {
    let clock = clock();
    let meter = Meter::builder().clock(clock.clone()).session_id("s").build().unwrap();
    let ids: Vec<_> = (0..10).map(|at| ask(&meter, &clock, 1.0, at != 3)).collect();
    let totals = meter.totals();
    assert_eq!(totals.success_rate().to_string(), "90.0 % (9 of 10)");
    assert_eq!(totals.duration, Duration::from_secs(10));
    assert_eq!(totals.usage.total_tokens(), 15_500);
    let each = meter.find(ids[0]).unwrap().cost().usd();
    // 1,000 uncached at $2.50, 200 cached at $1.25 and 350 out at $10.00 per million.
    assert_eq!(each.to_string(), "0.00625");
    assert_eq!(totals.cost.usd(), each.checked_mul(10).unwrap());
    assert!(totals.cost.is_complete());
    assert_eq!(totals.tool_success().to_string(), "90.0 % (9 of 10)");
    let session = meter.session();
    assert_eq!(session.totals(), totals);
    assert_eq!(meter.recent(3).len(), 3);
    let counts = meter.counts();
    assert_eq!((counts.offered, counts.stored), (10, 10));
}

#[test]
fn an_unknown_model_is_unpriced_and_never_free() {
    let meter = Meter::builder().build().unwrap();
    let op = meter.operation("op").start();
    op.record_usage("openai", "gpt-99-imaginary", TokenUsage::new(1_000, 10));
    op.record_usage("ollama", "llama3:8b", TokenUsage::new(1_000, 10));
    let record = op.finish().unwrap();
    assert!(
        matches!(record.llm_calls[0].cost, CostOutcome::UnknownModel { .. }),
        "{:?}",
        record.llm_calls[0].cost
    );
    assert!(
        matches!(record.llm_calls[1].cost, CostOutcome::Free { .. }),
        "{:?}",
        record.llm_calls[1].cost
    );
    let cost = meter.totals().cost;
    assert_eq!((cost.unpriced_calls, cost.unpriced_tokens, cost.free_calls), (1, 1_010, 1));
}

#[test]
fn a_session_is_saved_loaded_and_equal() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let meter = Meter::builder()
        .clock(clock.clone())
        .session_id("a/b: ü")
        .with("version", 7)
        .data_dir(folder.path())
        .build()
        .unwrap();
    for at in 0..5 {
        ask(&meter, &clock, f64::from(at) / 3.0, at != 2);
    }
    let path = meter.save(None).unwrap().expect("persistence is on");
    assert_eq!(path.parent(), Some(folder.path()));
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(
        name.starts_with("metrics_") && path.extension().is_some_and(|ending| ending == "json"),
        "{name}"
    );
    let loaded = meter.load(&name).unwrap();
    assert_eq!(loaded, meter.session());
    assert_eq!((loaded.trends.len(), &loaded.metadata["version"]), (1, &7.into()));
    assert_eq!(loaded.trends[0].data_points, 5);
    assert!(meter.save(Some("../elsewhere")).is_err());
    assert!(meter.load("missing").is_err());

    let silent =
        Meter::builder().persistence(false).data_dir(folder.path().join("never")).build().unwrap();
    assert_eq!(silent.save(None).unwrap(), None);
    assert!(!folder.path().join("never").exists());
}

#[test]
fn a_session_of_the_original_loads_and_is_priced() {
    let original =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/models/tests-data/original/small.json");
    let session: Session = Meter::builder().build().unwrap().load_path(original).unwrap();
    let totals = session.totals();
    assert_eq!((totals.operations(), totals.tool_success().of), (5, 10));
    assert!(totals.usage.total_tokens() > 0);
    // Calls without a model's name stay unpriced; they are not free.
    assert!(totals.cost.unpriced_calls > 0);
    assert!(!session.notes.is_empty());
}

#[test]
fn a_latency_that_doubles_is_declining_and_the_finding_shows_its_proof() {
    let clock = clock();
    let meter = Meter::builder().clock(clock.clone()).build().unwrap();
    for at in 0..200 {
        ask(&meter, &clock, 4.0 + f64::from(at) / 50.0, true);
    }
    let trend = meter.trend("qa_response", &"24h".parse().unwrap());
    assert_eq!((trend.trend_direction, trend.data_points), (TrendDirection::Declining, 200));
    assert!(trend.change_percent.unwrap() > 80.0, "{trend:?}");
    let findings = meter.bottlenecks();
    let slow = findings
        .iter()
        .find(|finding| matches!(finding.kind, FindingKind::SlowOperation { .. }))
        .unwrap();
    let worst = meter.find(slow.evidence[0]).unwrap();
    assert_eq!(worst.duration, meter.recent(1)[0].duration);
    assert!(!meter.advice().is_empty());
    assert_eq!(
        meter.trend("unknown", &"1h".parse().unwrap()).trend_direction,
        TrendDirection::InsufficientData
    );
}

#[test]
fn only_so_many_operations_are_kept_and_the_totals_hold_all() {
    let mut settings = taximeter::Settings::default();
    settings.recent_operations = 10;
    let meter = Meter::builder().settings(settings).build().unwrap();
    for _ in 0..25 {
        meter.operation("op").start().succeed();
    }
    assert_eq!(meter.totals().operations(), 25);
    let session = meter.session();
    assert_eq!(session.operations.len(), 10);
    assert!(session.notes[0].contains("15 older operations"), "{:?}", session.notes);
    meter.clear();
    assert_eq!((meter.totals().operations(), meter.session().operations.len()), (0, 0));
}

#[test]
fn overrides_nest_by_thread_and_follow_a_task() {
    let [outer, inner] =
        ["outer", "inner"].map(|id| Meter::builder().session_id(id).build().unwrap());
    with_meter(&outer, || {
        operation("a").start().succeed();
        with_meter(&inner, || operation("b").start().succeed());
        assert_eq!(meter().session_id(), "outer");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert_ne!(meter().session_id(), "outer", "an override is of its thread");
            });
        });
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let work = async {
        tokio::task::yield_now().await;
        operation("c").start().succeed();
    };
    runtime.block_on(async { tokio::spawn(work.with_meter(&inner)).await.unwrap() });
    assert_eq!(outer.totals().operations(), 1);
    assert_eq!(inner.totals().operations(), 2);
}

#[test]
fn the_original_calls_by_id_work() {
    let meter = Meter::builder().build().unwrap();
    let metadata = [("user_id".to_owned(), "123".into())].into();
    let id = meter.start_operation("qa_response", metadata);
    meter.add_component_timing(id, "llm_inference", Duration::from_millis(1_500)).unwrap();
    meter.add_component_timing(id, "llm_inference", Duration::from_millis(500)).unwrap();
    let tool = taximeter::ToolCall::new("web", ToolStatus::Error)
        .lasting(Duration::from_secs(1))
        .failed_with(taximeter::ErrorCategory::Network, "connection refused");
    meter.record_tool_call(id, tool).unwrap();
    meter.record_token_usage(id, 1_000, 500, Some("gpt-4")).unwrap();
    let record = meter.end_operation(id, false, 1, 2, taximeter::Metadata::new()).unwrap().unwrap();
    assert_eq!(
        (record.outcome, record.error_count(), record.warning_count()),
        (Outcome::Failure, 1, 2)
    );
    assert_eq!(record.component_totals()["llm_inference"].duration, Duration::from_secs(2));
    // gpt-4 is OpenAI's alone, so the provider is inferred, and said to be: $30 and $60 per million.
    let cost = record.cost();
    assert_eq!(cost.usd().to_string(), "0.06");
    assert_eq!(cost.estimated_calls, 1);
}

#[test]
fn the_settings_in_the_documentation_are_settings() {
    let formats = include_str!("../docs/FORMATS.md");
    let toml = formats.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("taximeter.toml");
    std::fs::write(&file, toml).unwrap();
    let settings = taximeter::Settings::read(Some(&file), []).unwrap();
    assert_eq!(settings.session_id.as_deref(), Some("nightly"));
    // What it shows are the defaults.
    assert_eq!(settings.thresholds, taximeter::Thresholds::default());
}

/// The global meter is one for a process, so what it does is seen in processes of its own.
#[test]
fn the_global_meter_reads_file_and_environment_and_degrades_with_one_warning() {
    let child = |variables: &[(&str, &str)], folder: &std::path::Path| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "facade::child_of_the_global_meter", "--ignored", "--nocapture"]);
        command.current_dir(folder).envs(variables.iter().copied());
        let output = command.output().unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taximeter.toml"), "session_id = 'from the file'\n").unwrap();

    let (out, err) = child(&[], folder.path());
    assert!(out.contains("on session=from the file operations=2"), "{out}{err}");
    let (out, _) = child(
        &[("METRICS_SESSION_ID", "original"), ("ENABLE_METRICS_PERSISTENCE", "0")],
        folder.path(),
    );
    assert!(out.contains("on session=original operations=2 persistence=false"), "{out}");
    let (out, _) = child(&[("ENABLE_METRICS", "false")], folder.path());
    assert!(out.contains("off session=from the file operations=0"), "{out}");
    let (out, err) = child(&[("TAXIMETER_ENABLED", "maybe")], folder.path());
    assert!(out.contains("on session=session-"), "{out}");
    assert_eq!(err.matches("taximeter:").count(), 1, "{err}");
    assert!(
        err.contains("`enabled`") && err.contains("TAXIMETER_ENABLED") && err.contains("maybe"),
        "{err}"
    );
}

#[test]
fn ids_of_several_processes_differ_and_sort_by_time() {
    let before = ids(2);
    let children: Vec<_> = (0..4)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "facade::child_that_makes_ids", "--ignored", "--nocapture"]);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut made = Vec::new();
    for child in children {
        let output = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let ids =
            output.lines().filter_map(|line| line.strip_prefix("id ")?.parse::<OperationId>().ok());
        made.extend(ids);
    }
    assert_eq!(made.len(), 4 * 5_000);
    assert!(before.iter().all(|id| made.iter().all(|later| later > id)));
    made.sort_unstable();
    made.dedup();
    assert_eq!(made.len(), 4 * 5_000, "an id was given in two processes");
}

fn ids(count: usize) -> Vec<OperationId> {
    let meter = Meter::builder().build().unwrap();
    (0..count).map(|_| meter.operation("op").start().id().unwrap()).collect()
}

#[test]
#[ignore = "it is run as processes of their own by the test above"]
fn child_that_makes_ids() {
    println!();
    for id in ids(5_000) {
        println!("id {id}");
    }
}

#[test]
fn a_session_is_shown_in_three_degrees_plain_and_with_colour() {
    use taximeter::report::{Detail, Style, session};

    let original =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/models/tests-data/original/errors.json");
    let errors = Meter::builder().build().unwrap().load_path(original).unwrap();
    let texts = [Detail::Brief, Detail::Verbose, Detail::Debug]
        .map(|detail| session(&errors, detail, Style::plain(80)));
    assert!(texts[0].len() < texts[1].len() && texts[1].len() < texts[2].len());
    for text in &texts {
        assert!(text.contains("of 40 succeeded"), "{text}");
        assert!(!text.contains('\u{1b}'), "a plain text has colour");
        let wide: Vec<_> = text
            .lines()
            .filter(|line| line.chars().count() > 80 && !line.starts_with("Note"))
            .collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
    assert!(texts[1].contains("rate_limit") && texts[1].contains("web_search"));
    assert!(session(&errors, Detail::Brief, Style::rich(80)).contains('\u{1b}'));
}

#[test]
#[ignore = "it is run as a process of its own by the test above"]
fn child_of_the_global_meter() {
    operation("a").start().succeed();
    operation("b").start().succeed();
    let meter = taximeter::global();
    println!(
        "{} session={} operations={} persistence={}",
        if meter.is_recording() { "on" } else { "off" },
        meter.session_id(),
        meter.totals().operations(),
        meter.settings().persistence,
    );
    let other = Meter::builder().build().unwrap();
    assert!(taximeter::install(other.clone()).is_err(), "there is a global meter already");
    assert!(taximeter::reset().is_some());
    assert!(taximeter::install(other).is_ok());
}
