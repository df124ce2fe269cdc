//! A whole session as one text.

use std::fmt::Write;

use taximeter_analysis::{SessionSummary, Thresholds};
use taximeter_models::{OperationRecord, Session};

use super::style::{Align, Style};
use super::tables;
use super::words::{count, duration, money};

/// How much a report tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The totals.
    Brief,
    /// The totals, and tables by operation, component, tool and LLM, errors and what stands out.
    Verbose,
    /// All of that, and every operation.
    Debug,
}

/// A session as text.
pub fn session(session: &Session, detail: Detail, style: Style) -> String {
    let summary = taximeter_analysis::summarize(&session.operations);
    let mut text = String::new();
    section(
        &mut text,
        style,
        &format!("Session {}", session.id),
        &tables::overview(&summary.totals, style),
    );
    if detail >= Detail::Verbose {
        verbose(&mut text, session, &summary, style);
    }
    if detail >= Detail::Debug {
        section(&mut text, style, "Every operation", &every(&session.operations, style));
    }
    for note in &session.notes {
        let _ = writeln!(text, "Note: {note}.");
    }
    text
}

fn verbose(text: &mut String, session: &Session, summary: &SessionSummary, style: Style) {
    section(text, style, "Operations", &tables::operations(summary, style));
    section(text, style, "Components", &tables::components(summary, style));
    if !summary.tools.is_empty() {
        section(text, style, "Tools", &tables::tools(summary, style));
    }
    if !summary.llms.is_empty() {
        section(text, style, "LLMs", &tables::llms(summary, style));
    }
    section(text, style, "Errors", &tables::errors(&summary.totals, style));
    if !session.collected.is_empty() {
        section(text, style, "What the collector counted", &tables::collected(session, style));
    }
    let findings = taximeter_analysis::bottlenecks(&session.operations, &Thresholds::default());
    section(text, style, "What stands out", &tables::findings(&findings, style));
}

/// Writing to a text cannot fail, so the results are of no interest.
fn section(text: &mut String, style: Style, title: &str, body: &str) {
    let _ = writeln!(text, "{}\n{body}\n", style.heading(title));
}

fn every(operations: &[OperationRecord], style: Style) -> String {
    let rows = operations.iter().map(|operation| {
        [
            operation.id.to_string(),
            operation.name.to_string(),
            operation.outcome.as_str().to_owned(),
            duration(operation.duration),
            count(operation.usage().total_tokens()),
            money(operation.cost().usd()),
        ]
    });
    let columns = [
        ("id", Align::Left),
        ("operation", Align::Left),
        ("outcome", Align::Left),
        ("time", Align::Right),
        ("tokens", Align::Right),
        ("cost", Align::Right),
    ];
    style.table(columns, rows)
}
