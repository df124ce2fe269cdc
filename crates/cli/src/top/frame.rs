//! One screen of `taximeter top`, drawn by ratatui.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Sparkline};
use taximeter::history::{Group, Losses, Moment};
use taximeter::report::{count, counted};

use super::Seen;
use crate::draw::{Column, Grid, NONE, share, spend, took, unpriced};

pub(super) fn draw(frame: &mut Frame<'_>, seen: &Seen, held: bool) {
    let totals = totals(seen);
    let [head, lines, tables, foot] = Layout::vertical([
        Constraint::Length(if totals.len() > 4 { 5 } else { 4 }),
        Constraint::Length(5),
        Constraint::Min(6),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let cut = totals.into_iter().map(|line| cut(line, usize::from(head.width)));
    frame.render_widget(Paragraph::new(cut.collect::<Vec<_>>()), head);
    over_time(frame, seen, lines);
    let [operations, llms, tools] = Layout::vertical([Constraint::Fill(1); 3]).areas(tables);
    table(frame, operations, "operation", &seen.by_operation, true);
    table(frame, llms, "LLM", &seen.by_llm, true);
    // Tools use no tokens and have no price.
    table(frame, tools, "tool", &seen.by_tool, false);
    let state = if held { "held; " } else { "" };
    let keys = format!("{state}q quits, w next window, space holds");
    frame.render_widget(Paragraph::new(keys).style(Style::new().fg(Color::DarkGray)), foot);
}

fn totals(seen: &Seen) -> Vec<Line<'static>> {
    let totals = &seen.totals;
    let minutes = seen.period.length().map_or(1, |length| length.num_minutes().max(1));
    let rate = per_minute(totals.operations(), minutes);
    let errors = totals.success_rate().complement();
    let style = if errors.fraction().is_some_and(|share| share > 0.1) {
        Style::new().fg(Color::Red)
    } else {
        Style::new()
    };
    let usd = totals.cost.usd();
    let hour = usd.checked_mul(60).and_then(|usd| usd.mean(u64::try_from(minutes).unwrap_or(1)));
    let lacks = unpriced(&totals.cost);
    let lacks = if lacks.is_empty() { lacks } else { format!(", {lacks}") };
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let mean = totals.average_duration().map_or_else(|| NONE.into(), taximeter::report::duration);
    let mut text = vec![
        Line::from(vec![
            Span::styled("taximeter top", bold.fg(Color::Cyan)),
            Span::raw(format!("  the last {}, {}", seen.window, seen.period)),
        ]),
        Line::from(vec![
            Span::styled(format!("{} operations", count(totals.operations())), bold),
            Span::raw(format!("  {rate}  mean {mean}  ")),
            Span::styled(format!("errors {}", share(errors)), style),
        ]),
        Line::from(vec![
            Span::styled(spend(usd, 0), bold),
            Span::raw(format!("  {} an hour{lacks}", spend(hour.unwrap_or_default(), 0))),
        ]),
        Line::from(format!(
            "{} tokens ({} in, {} out)  {} LLM calls  {} tool calls",
            count(totals.usage.total_tokens()),
            count(totals.usage.input_tokens()),
            count(totals.usage.output_tokens()),
            count(totals.llm_success().of),
            count(totals.tool_success().of)
        )),
    ];
    text.extend(lost(&seen.losses).map(|lost| Line::styled(lost, bold.fg(Color::Red))));
    text
}

/// What is in no number here, and what to do against it; none where nothing was lost.
fn lost(losses: &Losses) -> Option<String> {
    let what_to_do = losses.what_to_do().filter(|_| losses.lost > 0)?;
    Some(format!("{} lost ({}): {what_to_do}", counted(losses.lost, "operation"), losses.reasons()))
}

/// Ratatui cuts lines without a mark; whoever reads a number must see that it is whole.
fn cut(line: Line<'static>, most: usize) -> Line<'static> {
    if line.width() <= most { line } else { Line::from(crate::draw::cut(&line.to_string(), most)) }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn per_minute(operations: u64, minutes: i64) -> String {
    format!("{:.1} a minute", operations as f64 / minutes as f64)
}

/// How high the line stands at a step.
type Height = fn(&Moment) -> u64;

fn over_time(frame: &mut Frame<'_>, seen: &Seen, area: Rect) {
    let areas: [Rect; 3] = Layout::horizontal([Constraint::Fill(1); 3]).areas(area);
    let step = &seen.over_time.step;
    let lines: [(String, Color, Height); 3] = [
        (format!("operations by {step}"), Color::Green, |at| at.operations),
        (format!("cost by {step}"), Color::Yellow, |at| millionths(at.total_cost.to_f64_lossy())),
        (format!("p95 by {step}"), Color::Blue, |at| millionths(at.p95_seconds.unwrap_or(0.0))),
    ];
    for ((title, colour, of), area) in lines.into_iter().zip(areas) {
        let room = usize::from(area.width.saturating_sub(2));
        let values: Vec<u64> = seen.over_time.moments.iter().map(of).collect();
        // The newest are at the right, and what does not fit is the oldest.
        let values = &values[values.len().saturating_sub(room)..];
        let block = Block::new().borders(Borders::ALL).title(title);
        let line = Sparkline::default().block(block).data(values).style(Style::new().fg(colour));
        frame.render_widget(line, area);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the height of a line, which is none below zero"
)]
fn millionths(value: f64) -> u64 {
    (value * 1e6).round() as u64
}

fn table(frame: &mut Frame<'_>, area: Rect, name: &str, groups: &[Group], with_cost: bool) {
    let columns = [
        Column::name(name),
        Column::number("count", 1),
        Column::number("errors", 2),
        Column::number("p50", 4),
        Column::number("p95", 3),
        Column::number("tokens", 5),
        Column::number("cost", 0),
    ];
    let mut grid = Grid::new(columns.into_iter().take(if with_cost { 7 } else { 5 }));
    let rows = usize::from(area.height.saturating_sub(2));
    for group in groups.iter().take(rows) {
        let took_at = |at: Option<f64>| took(at);
        let duration = group.duration_seconds.as_ref();
        grid.row([
            group.key.as_ref().map_or_else(|| "(not told)".into(), ToString::to_string),
            count(group.count()),
            share(group.errors()),
            took_at(duration.map(|took| took.p50)),
            took_at(duration.map(|took| took.p95)),
            count(group.input_tokens.saturating_add(group.output_tokens)),
            spend(group.total_cost, group.unpriced_calls),
        ]);
    }
    let text = if grid.is_empty() {
        format!("{name}: {NONE} none in this window")
    } else {
        grid.draw(taximeter::report::Style::plain(area.width))
    };
    frame.render_widget(Paragraph::new(text), area);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use taximeter::history::{History, Windows};
    use taximeter::store::MemoryStore;
    use taximeter::{LlmCall, OperationId, OperationRecord, TokenUsage, ToolCall, ToolStatus};

    use super::super::{look, printed};

    fn history(operations: u128) -> History {
        let history = History::new(Arc::new(MemoryStore::summarizing(Arc::new(Windows))));
        let record = |at: u128| {
            let mut record = OperationRecord::new("qa_response");
            record.id = OperationId::from_bits(at + 1);
            record.started_at = chrono::Utc::now() - chrono::TimeDelta::minutes(3);
            record.duration = Duration::from_millis(1_500);
            record.tool_calls.push(ToolCall::new("web_search", ToolStatus::Timeout));
            let usage = TokenUsage::new(1_000, 100);
            record.llm_calls.push(LlmCall::new("openai", "gpt-4o").using(usage));
            record
        };
        history.append((0..operations).map(record).collect()).unwrap();
        history
    }

    #[test]
    fn a_screen_shows_totals_rates_and_tables() {
        let seen = look(&history(30), &"15m".parse().unwrap()).unwrap();
        let text = printed(&seen, 100).unwrap();
        for part in [
            "the last 15m",
            "30 operations",
            "$0.1050",
            "33,000 tokens (30,000 in, 3,000 out)",
            "qa_response",
            "openai/gpt-4o",
            "web_search",
            "100.0 %",
            "q quits",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn it_fits_every_size_and_says_where_there_is_nothing() {
        let (full, empty) = (history(3), history(0));
        for width in 20..=200 {
            for history in [&full, &empty] {
                let seen = look(history, &"1h".parse().unwrap()).unwrap();
                let text = printed(&seen, width).unwrap();
                assert!(text.lines().all(|line| crate::draw::columns(line) <= usize::from(width)));
            }
        }
        let seen = look(&empty, &"1h".parse().unwrap()).unwrap();
        assert!(printed(&seen, 80).unwrap().contains("none in this window"));
    }
}
