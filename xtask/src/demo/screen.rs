//! What the demo has seen as text, section by section, for a terminal of 80 columns or more.

use std::fmt::Write;
use std::io::IsTerminal;

use taximeter::report::{self, Align, Style, count, duration, money, seconds};
use taximeter::{ErrorCategory, OperationRecord, Outcome, SessionSummary, Totals, Window};
use taximeter_demo::Served;

use super::questions::SLOWER;
use super::{Seen, charts};

/// Rich on a terminal, plain elsewhere.
pub(crate) fn style(plain: bool) -> Style {
    let terminal = std::io::stdout().is_terminal();
    let width = terminal_size::terminal_size().map_or(80, |(width, _)| width.0.clamp(80, 120));
    let colour = terminal && !plain && std::env::var_os("NO_COLOR").is_none();
    if colour { Style::rich(width) } else { Style::plain(width) }
}

/// The window of the demo's trend: longer than the demo runs.
pub(crate) fn an_hour() -> Window {
    Window::from(std::time::Duration::from_hours(1))
}

/// The whole screen.
pub(crate) fn screen(seen: &Seen, style: Style) -> String {
    let summary = seen.meter.summary();
    let operations = seen.meter.session().operations;
    let sections = [
        ("What was metered", introduction(seen)),
        ("Basic tracking: one question, taken apart", one_question(&operations, style)),
        ("Error tracking and categories", errors(seen, &summary, style)),
        ("Trends", trends(seen, &operations, style)),
        ("RAII: guards that end, are dropped, or unwind", guards(&seen.live.guards, style)),
        ("The macros: #[metered] and #[tool]", guards(&seen.live.functions, style)),
        ("Persistence", persistence(seen, style)),
        ("System metrics", system(seen)),
        ("Session summary", session(seen, &summary, style)),
    ];
    let mut text = String::new();
    for (at, (title, body)) in sections.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "\n{}\n{body}", style.heading(&format!("{}. {title}", at + 1)));
    }
    text
}

fn introduction(seen: &Seen) -> String {
    let asked = &seen.asked;
    let mut text = format!(
        "A RAG application read {} Markdown files ({} passages) of {}\nand was asked {} questions by {} threads, in {}.\n",
        asked.documents,
        asked.passages,
        asked.docs.display(),
        asked.questions,
        asked.threads,
        duration(seen.took),
    );
    let _ = writeln!(text, "Answered by: {}.", asked.server);
    if asked.served.is_some() {
        text.push_str(
            "The stand-in picks its answers out of the passages, counts tokens with a real\n\
             tokenizer and fails on purpose; costs are what OpenAI would charge. Point the\n\
             demo at a real LLM by OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL.\n",
        );
    }
    let _ = writeln!(
        text,
        "{} questions answered, {} refused by input validation.",
        asked.answered, asked.refused
    );
    if let Some((question, answer)) = &asked.example {
        let _ = write!(text, "\n  Q: {}\n  A: {}", line(question, 72), line(&answer.text, 72));
        for citation in answer.citations.iter().take(2) {
            let _ = write!(text, "\n     {}", line(&cited(citation), 72));
        }
        text.push('\n');
    }
    text
}

fn cited(citation: &taximeter_demo::Citation) -> String {
    format!("[{}] {}", citation.number, citation.path)
}

/// A text on one line, cut where it is too long.
fn line(text: &str, most: usize) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= most {
        words
    } else {
        words.chars().take(most - 1).chain(['…']).collect()
    }
}

/// The slowest question that was answered: where its time went, what it called, what it cost and why.
fn one_question(operations: &[OperationRecord], style: Style) -> String {
    let questions = operations.iter().filter(|op| op.name == "qa_response" && op.is_success());
    let Some(question) = questions.max_by_key(|op| op.duration) else {
        return "No question was answered.\n".into();
    };
    let mut text = format!(
        "The slowest answer: operation {}\n{}, {} tokens, {}\n",
        question.id,
        duration(question.duration),
        count(question.usage().total_tokens()),
        report::costs(&question.cost()),
    );
    let total = question.duration.as_secs_f64().max(f64::MIN_POSITIVE);
    let mut components: Vec<_> = question.components.iter().collect();
    components.sort_by_key(|timing| timing.offset);
    let rows = components.into_iter().map(|timing| {
        let share = timing.duration.as_secs_f64() / total;
        let offset =
            timing.offset.map_or_else(String::new, |offset| format!("+{}", duration(offset)));
        [
            timing.name.to_string(),
            offset,
            duration(timing.duration),
            format!("{:.1} %", share * 100.0),
        ]
    });
    let columns = [
        ("component", Align::Left),
        ("began", Align::Right),
        ("took", Align::Right),
        ("share", Align::Right),
    ];
    let _ = writeln!(text, "{}", style.table(columns, rows));
    for call in &question.tool_calls {
        let took = call.duration.map_or_else(String::new, duration);
        let _ = writeln!(text, "tool {}: {} in {took}", call.name, call.status.as_str());
    }
    for call in &question.llm_calls {
        let _ = write!(text, "{}", llm_call(call));
    }
    text
}

fn llm_call(call: &taximeter::LlmCall) -> String {
    let end = call.error.as_ref().map_or_else(|| "success".to_owned(), ToString::to_string);
    let took = call.duration.map_or_else(String::new, duration);
    let mut text =
        format!("LLM {}, attempt {}: {} in {took}\n", call.model(), call.attempt, line(&end, 40));
    let Some(cost) = call.cost.estimate() else { return text };
    for part in &cost.lines {
        let _ = writeln!(
            text,
            "  {:<12} {:>8} × ${} per {} = ${}",
            part.unit,
            count(part.quantity),
            part.rate,
            count(part.per),
            part.amount
        );
    }
    let from = cost
        .card
        .valid_from
        .map_or_else(|| "its release".into(), |from| from.date_naive().to_string());
    let source =
        cost.card.source.split_once("://").map_or(cost.card.source.as_str(), |(_, rest)| rest);
    let _ = writeln!(
        text,
        "  by the card {}/{}, valid from {from}",
        cost.card.provider, cost.card.model
    );
    let _ = writeln!(text, "  as read in {}", line(source, 66));
    text
}

fn errors(seen: &Seen, summary: &SessionSummary, style: Style) -> String {
    let mut text = format!("{}\n", report::errors(&summary.totals, style));
    let Some(served) = &seen.asked.served else { return text };
    text.push_str("\nThe stand-in keeps its own books. Served and metered LLM calls:\n");
    let rows = comparison(served, &summary.totals).map(|(what, served, metered)| {
        let verdict = if served == metered { "equal" } else { "DIFFERENT" };
        [what.to_owned(), count(served), count(metered), verdict.to_owned()]
    });
    let columns =
        [("", Align::Left), ("served", Align::Right), ("metered", Align::Right), ("", Align::Left)];
    let _ = writeln!(text, "{}", style.table(columns, rows));
    text
}

/// What the stand-ins say they did, and what the meter says.
fn comparison(served: &[Served; 2], totals: &Totals) -> [(&'static str, u64, u64); 8] {
    let by = |of: fn(&Served) -> u64| served.iter().map(of).sum::<u64>();
    let metered =
        |category| totals.llms.values().filter_map(|llm| llm.errors.get(&category)).sum::<u64>();
    [
        ("answered", by(|s| s.answered), totals.llm_success().hits),
        ("rate limit (429)", by(|s| s.rate_limited), metered(ErrorCategory::RateLimit)),
        ("authentication (401)", by(|s| s.unauthorized), metered(ErrorCategory::Authentication)),
        ("server (500)", by(|s| s.server_errors), metered(ErrorCategory::Server)),
        ("timeout", by(|s| s.timeouts), metered(ErrorCategory::Timeout)),
        ("malformed reply", by(|s| s.malformed), metered(ErrorCategory::Parse)),
        ("input tokens", by(|s| s.tokens.prompt), totals.usage.input_tokens()),
        ("output tokens", by(|s| s.tokens.completion), totals.usage.output_tokens()),
    ]
}

fn trends(seen: &Seen, operations: &[OperationRecord], style: Style) -> String {
    let trend = seen.meter.trend("qa_response", &an_hour());
    let mut text = String::new();
    if seen.asked.served.is_some() {
        let _ = writeln!(
            text,
            "Half way through, the stand-in was replaced by one that is {SLOWER} times as slow.\nDoes the trend say so?"
        );
    }
    let number = |value: Option<f64>, unit: &str| {
        value.map_or_else(|| "–".into(), |value| format!("{value:.3}{unit}"))
    };
    let time = |value: Option<f64>| value.map_or_else(|| "–".into(), seconds);
    let rows = [
        [
            "direction",
            trend.trend_direction.as_str(),
            "over the time observed",
            &number(trend.change_percent, " %"),
        ],
        ["strength (τ)", &number(trend.trend_strength, ""), "p-value", &p_value(trend.p_value)],
        ["mean", &time(trend.avg_duration), "median", &time(trend.p50_duration)],
        ["p95", &time(trend.p95_duration), "p99", &time(trend.p99_duration)],
        ["operations", &count(trend.data_points), "success", &number(trend.success_rate, " %")],
        [
            "cost in all",
            &report::at_least(trend.total_cost, trend.cost_coverage.is_complete()),
            "each",
            &trend.avg_cost.map_or_else(|| "–".into(), money),
        ],
    ]
    .map(|cells| cells.map(ToOwned::to_owned));
    let columns =
        [("qa_response", Align::Left), ("", Align::Right), ("", Align::Left), ("", Align::Right)];
    let _ = writeln!(text, "{}\n", style.table(columns, rows));
    for change in &trend.changes {
        let _ = writeln!(
            text,
            "Since {} a question takes {} and not {}: {:+.0} %, by chance with p {}.",
            change.since.format("%H:%M:%S"),
            seconds(change.after),
            seconds(change.before),
            change.change_percent,
            p_value(Some(change.p_value)),
        );
    }
    if let Some(change) = trend.changes.first() {
        let _ = write!(text, "{}", why(seen, change.since, style));
    }
    let (points, medians) = over_time(operations);
    let _ = writeln!(
        text,
        "Seconds that each question took over the run, without the slowest 2 %;\nblocks are medians:"
    );
    let _ = writeln!(text, "{}", charts::scatter(&points, &medians, style.width.min(80), 12));
    text
}

/// Which parts of a question make the difference, and what it costs more.
fn why(seen: &Seen, since: chrono::DateTime<chrono::Utc>, style: Style) -> String {
    let mut text = String::new();
    let Some(longer) = seen.meter.why_duration("qa_response", since) else { return text };
    let rows = longer.parts.iter().take(4).map(|part| {
        [
            part.part.to_string(),
            seconds(part.before_seconds),
            seconds(part.after_seconds),
            format!("{:+.3} s", part.change_seconds),
        ]
    });
    let columns = [
        ("why: the critical path", Align::Left),
        ("before", Align::Right),
        ("since", Align::Right),
        ("", Align::Right),
    ];
    let _ = writeln!(text, "\n{}", style.table(columns, rows));
    let cost = seen.meter.why_cost(since);
    let parts = cost.parts.iter().filter(|(_, usd)| usd.to_f64_lossy().abs() >= 5e-7);
    let rows = parts
        .map(|(cause, usd)| [cause.as_str().replace('_', " "), format!("$ {}", usd.rounded(6))]);
    let whole = format!("$ {}", (cost.after - cost.before).rounded(6));
    let columns =
        [("why: the cost since, less that before", Align::Left), (whole.as_str(), Align::Right)];
    let _ = writeln!(text, "\n{}", style.table(columns, rows));
    if !cost.is_complete() {
        let (before, after) = (cost.left_out_before, cost.left_out_after);
        let _ = writeln!(
            text,
            "Left out are the calls that told no usage or have no price:\n{before} before, {after} since."
        );
    }
    text.push('\n');
    text
}

fn p_value(p: Option<f64>) -> String {
    match p {
        Some(p) if p < 0.001 => "< 0.001".into(),
        Some(p) => format!("{p:.3}"),
        None => "–".into(),
    }
}

/// Seconds since the first question, and seconds that one took.
type Point = (f64, f64);

/// The duration of every question by the second of its start, but for the slowest fiftieth, which would flatten the
/// rest; and the medians of twenty stretches of the run.
#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run of a minute")]
fn over_time(operations: &[OperationRecord]) -> (Vec<Point>, Vec<Point>) {
    let mut questions: Vec<_> = operations.iter().filter(|op| op.name == "qa_response").collect();
    questions.sort_by_key(|op| op.started_at);
    let Some(first) = questions.first().map(|op| op.started_at) else { return (vec![], vec![]) };
    let since = |op: &&OperationRecord| {
        let nanos = (op.started_at - first).num_nanoseconds().unwrap_or_default();
        (nanos as f64 / 1e9, op.duration.as_secs_f64())
    };
    let points: Vec<_> = questions.iter().map(since).collect();
    let median = |stretch: &[Point]| {
        let mut sorted = stretch.to_vec();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        (stretch[stretch.len() / 2].0, sorted[sorted.len() / 2].1)
    };
    let medians = points.chunks(points.len().div_ceil(20).max(1)).map(median).collect();
    let mut slowest: Vec<_> = points.iter().map(|point| point.1).collect();
    slowest.sort_by(f64::total_cmp);
    let bound = slowest[(slowest.len() - 1) * 49 / 50];
    (points.into_iter().filter(|point| point.1 <= bound).collect(), medians)
}

/// Operations with how they ended, what they gathered, and their errors.
fn guards(operations: &[OperationRecord], style: Style) -> String {
    let rows = operations.iter().map(|op| {
        let outcome = match op.outcome {
            Outcome::Success => "success",
            Outcome::Failure => "failure",
            Outcome::Abandoned => "abandoned",
        };
        let parts = op
            .component_totals()
            .into_iter()
            .map(|(name, total)| format!("{name} {}", duration(total.duration)));
        let tools = op
            .tool_calls
            .iter()
            .map(|call| format!("tool {}: {}", call.name, call.status.as_str()));
        let warnings = op.warnings.iter().map(|warning| format!("warning: {}", warning.message));
        let errors = op.errors.iter().map(ToString::to_string);
        let metadata = op.metadata.iter().map(|(key, value)| format!("{key} = {value}"));
        let kept: Vec<_> =
            metadata.chain(parts).chain(tools).chain(warnings).chain(errors).collect();
        [op.name.to_string(), outcome.to_owned(), kept.join("\n")]
    });
    let columns =
        [("operation", Align::Left), ("outcome", Align::Left), ("what is kept", Align::Left)];
    format!("{}\n", style.table(columns, rows))
}

fn persistence(seen: &Seen, style: Style) -> String {
    let saved = &seen.saved;
    let verdict = if saved.equal {
        style.good("loaded back: equal")
    } else {
        style.bad("loaded back: DIFFERENT")
    };
    let name = saved.path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let folder = saved.path.parent().map(|folder| folder.display().to_string()).unwrap_or_default();
    format!("Saved in {folder}\nas {name}\n{} bytes, {verdict}\n", count(saved.bytes))
}

fn system(seen: &Seen) -> String {
    let system = &seen.system;
    let percent =
        |share: Option<f64>| share.map_or_else(|| "–".into(), |share| format!("{share:.1} %"));
    let available = system
        .memory_available_bytes
        .map_or_else(|| "–".into(), |bytes| format!("{} MiB", count(bytes >> 20)));
    format!(
        "While the questions were asked: CPU {}.\nMemory {} in use, {available} available; disk {} in use.\n",
        percent(system.cpu_percent),
        percent(system.memory_percent),
        percent(system.disk_percent),
    )
}

fn session(seen: &Seen, summary: &SessionSummary, style: Style) -> String {
    let mut text = format!("{}\n", report::overview(&summary.totals, style));
    let _ = writeln!(text, "\n{}", report::operations(summary, style));
    let _ = writeln!(text, "\n{}", report::components(summary, style));
    let _ = writeln!(text, "\n{}", report::tools(summary, style));
    let _ = writeln!(text, "\n{}", report::llms(summary, style));
    let _ =
        writeln!(text, "\nWhere the time of a question goes (components overlap where they nest):");
    let _ = writeln!(text, "{}", charts::bars(&shares(summary), style.width.min(80)));
    if let Some(spent) = seen.meter.time_spent("qa_response") {
        let _ =
            writeln!(text, "\nWhat a question waits for:\n{}", report::time_spent(&spent, style));
    }
    if seen.asked.served.is_some() {
        let _ = writeln!(
            text,
            "\nThe stand-in is about {} times as fast as a real LLM, so the thresholds are too:",
            super::FASTER
        );
    }
    let _ = writeln!(text, "{}", report::findings(&seen.meter.bottlenecks(), style));
    let _ = writeln!(text, "\n{}", report::advice(&seen.meter.advice(), style));
    let _ = write!(text, "\n{}", adds_up(seen, &summary.totals, style));
    text
}

fn shares(summary: &SessionSummary) -> Vec<(String, f64)> {
    let sum = |name: &str| {
        let component = summary.components.get(name)?;
        component.duration_seconds.as_ref().map(|distribution| distribution.sum)
    };
    let question = summary
        .operations
        .get("qa_response")
        .and_then(|operation| operation.duration_seconds.as_ref());
    let Some(all) = question.map(|distribution| distribution.sum).filter(|all| *all > 0.0) else {
        return vec![];
    };
    let names = [
        "llm_inference",
        "document_retrieval",
        "embedding_generation",
        "vector_search",
        "citation_processing",
    ];
    let mut shares: Vec<_> =
        names.into_iter().filter_map(|name| Some((name.to_owned(), sum(name)? / all))).collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares
}

/// The totals against the sums of their parts, taken one by one here, and what was lost.
fn adds_up(seen: &Seen, totals: &Totals, style: Style) -> String {
    let operations = seen.meter.session().operations;
    let tokens: u64 = operations.iter().map(|op| op.usage().total_tokens()).sum();
    let cost: taximeter::Money = operations
        .iter()
        .flat_map(|op| &op.llm_calls)
        .filter_map(|call| call.cost.amount())
        .map(|(amount, _)| amount)
        .sum();
    let tools: u64 = operations.iter().map(|op| op.tool_calls.len() as u64).sum();
    let counts = seen.meter.counts();
    let equal = tokens == totals.usage.total_tokens()
        && cost == totals.cost.usd()
        && tools == totals.tool_success().of
        && operations.len() as u64 == totals.operations()
        && counts.adds_up();
    let verdict = if equal {
        style.good("The parts add up to the totals")
    } else {
        style.bad("The parts DO NOT add up")
    };
    format!(
        "{verdict}:\n{} operations, {} tokens, ${cost}, {} tool calls.\n\
         Offered {} = stored {} + queued {} + dropped {} + open {}.\n",
        count(operations.len() as u64),
        count(tokens),
        count(tools),
        count(counts.offered),
        count(counts.stored),
        count(counts.queued),
        count(counts.dropped_total()),
        count(counts.open),
    )
}
