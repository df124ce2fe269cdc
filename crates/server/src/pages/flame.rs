//! The flame view of one operation: what ran within what, side by side as it ran.

use maud::{Markup, html};
use taximeter::history::{Waterfall, WaterfallKind};
use taximeter::report::seconds;

/// How high a row is, in pixels.
const ROW: usize = 24;
/// So many bars are drawn: the first ones. Each is held against those before it.
const MOST: usize = 500;

/// A bar: which line it is of, and in which row it lies.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Laid {
    line: usize,
    row: usize,
    start: f64,
    end: f64,
}

pub(super) fn view(name: &str, lines: &[Waterfall], whole: f64) -> Markup {
    let laid = lay(lines);
    if laid.is_empty() || whole <= 0.0 {
        return html! {};
    }
    let rows = laid.iter().map(|one| one.row + 1).max().unwrap_or(0) + 1;
    let percent = |at: f64| format!("{:.3}%", (at / whole).clamp(0.0, 1.0) * 100.0);
    html! {
        section.card {
            div.heading {
                h2 { "Flame view" }
                span.exports { button.picture type="button" aria-label="Flame view as SVG" { "SVG" } }
            }
            p.note { "What stands below a bar ran within it; what stands beside it ran at the same time. The waterfall says the same in words." }
            svg.flame role="img" aria-label=(format!("Flame view of {name}, {} rows", rows)) width="100%" height=(rows * ROW) {
                (bar("flame-operation", "0%", "100%", 0, name, &format!("{name}: {}", seconds(whole))))
                @for one in &laid {
                    @let line = &lines[one.line];
                    @let wide = percent((one.end - one.start).max(whole * 0.002));
                    @let title = format!("{} {}: from {} on, for {}", kind(line.kind), line.name, seconds(one.start), seconds(one.end - one.start));
                    (bar(class(line), &percent(one.start), &wide, one.row + 1, &line.name, &title))
                }
            }
            ul.legend aria-hidden="true" {
                li.flame-llm { "LLM" } li.flame-tool { "tool" } li.flame-component { "component" } li.flame-operation { "operation" } li.flame-failed { "failed" }
            }
        }
    }
}

fn bar(class: &str, from: &str, wide: &str, row: usize, name: &str, title: &str) -> Markup {
    html! {
        // A picture of its own cuts what is longer than the bar.
        svg x=(from) y=(row * ROW) width=(wide) height=(ROW - 2) {
            title { (title) }
            rect class=(class) width="100%" height="100%" rx="2" {}
            text class=(class) x="4" y="15" { (name) }
        }
    }
}

fn class(line: &Waterfall) -> &'static str {
    match line.kind {
        _ if line.error.is_some() => "flame-failed",
        WaterfallKind::Component => "flame-component",
        WaterfallKind::Tool => "flame-tool",
        WaterfallKind::Llm => "flame-llm",
        WaterfallKind::Operation => "flame-operation",
    }
}

fn kind(kind: WaterfallKind) -> &'static str {
    match kind {
        WaterfallKind::Component => "component",
        WaterfallKind::Tool => "tool",
        WaterfallKind::Llm => "LLM",
        WaterfallKind::Operation => "operation",
    }
}

/// Puts each line below the one that it lies within, and beside what it only meets.
fn lay(lines: &[Waterfall]) -> Vec<Laid> {
    let placed = |(line, one): (usize, &Waterfall)| {
        let (start, long) = (one.start_seconds?, one.seconds?);
        Some(Laid { line, row: 0, start, end: start + long })
    };
    let mut bars: Vec<_> = lines.iter().enumerate().filter_map(placed).collect();
    // What lies within another begins later, or ends earlier.
    bars.sort_by(|one, other| {
        one.start.total_cmp(&other.start).then(other.end.total_cmp(&one.end))
    });
    bars.truncate(MOST);
    for at in 0..bars.len() {
        let (before, one) = (&bars[..at], bars[at]);
        let within = before.iter().filter(|outer| outer.start <= one.start && one.end <= outer.end);
        let mut row = within.map(|outer| outer.row + 1).max().unwrap_or(0);
        let meets = |row: usize| {
            before
                .iter()
                .any(|other| other.row == row && other.end > one.start && one.end > other.start)
        };
        while meets(row) {
            row += 1;
        }
        bars[at].row = row;
    }
    bars
}
