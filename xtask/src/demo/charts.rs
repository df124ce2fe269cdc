//! Small charts: ratatui's widgets, drawn into a buffer and printed as text.

use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use ratatui_core::style::{Color, Style};
use ratatui_core::symbols::Marker;
use ratatui_core::text::Span;
use ratatui_core::widgets::Widget;
use ratatui_widgets::chart::{Axis, Chart, Dataset, GraphType};
use taximeter::report::seconds;

/// Points over time, each kind with a marker of its own: seconds to the right, seconds up.
pub(crate) fn scatter(
    points: &[(f64, f64)],
    medians: &[(f64, f64)],
    width: u16,
    height: u16,
) -> String {
    let (Some(right), Some(top)) =
        (highest(points, |point| point.0), highest(points, |point| point.1))
    else {
        return String::new();
    };
    let dataset = |name, marker, points| {
        Dataset::default().name(name).marker(marker).graph_type(GraphType::Scatter).data(points)
    };
    let axis = |bound: f64, labels: [String; 2]| {
        Axis::default()
            .bounds([0.0, bound])
            .labels(labels.map(Span::from))
            .style(Style::new().fg(Color::Reset))
    };
    let chart = Chart::new(vec![
        dataset("each", Marker::Braille, points),
        dataset("median", Marker::Block, medians),
    ])
    .x_axis(axis(right, ["0 s".into(), seconds(right)]))
    .y_axis(axis(top, ["0 s".into(), seconds(top)]));
    draw(chart, width, height)
}

fn highest(points: &[(f64, f64)], of: impl Fn(&(f64, f64)) -> f64) -> Option<f64> {
    points.iter().map(of).reduce(f64::max).filter(|highest| *highest > 0.0)
}

fn draw(widget: impl Widget, width: u16, height: u16) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    widget.render(area, &mut buffer);
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(line).map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// A bar for each share, as long as the share is large: `llm_inference  ██████████ 62.1 %`.
pub(crate) fn bars(shares: &[(String, f64)], width: u16) -> String {
    let label = shares.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let room = usize::from(width).saturating_sub(label + 12).max(4);
    let largest = shares.iter().map(|(_, share)| *share).fold(f64::MIN_POSITIVE, f64::max);
    let line = |(name, share): &(String, f64)| {
        format!("{name:label$}  {} {:.1} %", eighths(share / largest, room), share * 100.0)
    };
    shares.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A bar in eighths of a column.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and 8 × 65,535"
)]
fn eighths(share: f64, room: usize) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    let eighths = (share.clamp(0.0, 1.0) * f64::from(room) * 8.0).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), PARTS[eighths % 8])
}
