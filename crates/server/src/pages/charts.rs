//! Charts: drawn by plotly.js out of the JSON that the crate plotly makes, with the same numbers as a table below.
//!
//! A click on a chart follows the link of its table: the row says when, the head of the column says which.

use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use plotly::common::{AxisSide, DashType, Fill, Line, Marker, Mode, Title};
use plotly::layout::{Axis, AxisType, BarMode, Shape, ShapeLine, ShapeType};
use plotly::{Bar, Layout, Plot, Scatter};
use taximeter::history::{By, OverTime, Selection};

use super::ahead::Coming;
use super::frame::scroll;
use super::words::during;
use crate::questions::Filter;

/// So many LLMs or tools have a colour of their own.
pub(super) const SERIES: usize = 6;

/// So many colours there are; after them they begin anew. The style of charts, in `page.js`, says which.
pub(super) const COLOURS: usize = 8;

/// More points than this are many.
const MANY: usize = 48;

/// How high a chart is, in pixels.
const HIGH: usize = 340;

/// How the values of a chart are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Lines,
    Stack,
}

/// The values of one line or one colour.
pub(super) struct Series {
    pub(super) name: String,
    /// The condition of the operations behind it.
    pub(super) only: Option<(&'static str, String)>,
    pub(super) values: Vec<Option<f64>>,
    /// The same as they stand in the table.
    pub(super) cells: Vec<String>,
}

impl Series {
    pub(super) fn new<V>(
        name: impl Into<String>,
        of: impl IntoIterator<Item = V>,
        value: impl Fn(&V) -> Option<f64>,
        cell: impl Fn(&V) -> String,
    ) -> Self {
        let (values, cells) = of.into_iter().map(|one| (value(&one), cell(&one))).unzip();
        Self { name: name.into(), only: None, values, cells }
    }

    pub(super) fn only(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.only = Some((key, value.into()));
        self
    }
}

/// What comes after the steps of a chart, from the step that is not over on.
pub(super) struct Ahead {
    pub(super) starts: Vec<DateTime<Utc>>,
    /// What is expected, and the ends of the range that holds it with 80 %.
    pub(super) expected: Vec<f64>,
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
    pub(super) cell: fn(f64) -> String,
}

/// A level that stands over the whole chart.
pub(super) struct Level {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) cell: String,
}

/// A chart over time.
pub(super) struct Chart<'a> {
    pub(super) title: String,
    pub(super) unit: &'a str,
    pub(super) look: Look,
    /// When each step begins.
    pub(super) starts: Vec<DateTime<Utc>>,
    pub(super) step: TimeDelta,
    pub(super) series: Vec<Series>,
    pub(super) exports: Vec<(&'static str, String)>,
    /// What else could be shown in its place.
    pub(super) choice: Markup,
    pub(super) ahead: Option<Ahead>,
    pub(super) levels: Vec<Level>,
    /// What stands below it.
    pub(super) note: Markup,
}

impl<'a> Chart<'a> {
    pub(super) fn new(title: &str, unit: &'a str, look: Look, over_time: &OverTime) -> Self {
        Self {
            title: format!("{title} by {}", over_time.step),
            unit,
            look,
            starts: over_time.moments.iter().map(|at| at.start).collect(),
            step: length(&over_time.step),
            series: Vec::new(),
            exports: Vec::new(),
            choice: Markup::default(),
            ahead: None,
            levels: Vec::new(),
            note: Markup::default(),
        }
    }

    pub(super) fn with(mut self, series: impl IntoIterator<Item = Series>) -> Self {
        self.series.extend(series);
        self
    }

    pub(super) fn exported(
        mut self,
        exports: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Self {
        self.exports.extend(exports);
        self
    }

    pub(super) fn instead_of(mut self, choice: Markup) -> Self {
        self.choice = choice;
        self
    }

    pub(super) fn coming(mut self, coming: Coming) -> Self {
        (self.ahead, self.levels, self.note) = (coming.ahead, coming.levels, coming.note);
        self
    }

    pub(super) fn draw(&self, filter: &Filter) -> Markup {
        let starts: Vec<_> = self.starts.iter().map(shown).collect();
        let mut plot = Plot::new();
        for series in &self.series {
            let values = series.values.clone();
            match self.look {
                Look::Stack => {
                    plot.add_trace(Bar::new(starts.clone(), values).name(plain(&series.name)));
                }
                Look::Lines => {
                    let line = Scatter::new(starts.clone(), values).mode(Mode::LinesMarkers);
                    let line = line.marker(Marker::new().size(self.dot()));
                    plot.add_trace(line.name(plain(&series.name)));
                }
            }
        }
        if let Some(ahead) = &self.ahead {
            ahead.draw(&mut plot);
        }
        let rows = self.rows();
        if let Some((first, last)) = rows.first().zip(rows.last()) {
            for level in self.levels.iter().filter(|level| self.is_near(level.value)) {
                let line = Line::new().width(2.0).dash(DashType::Dot);
                let ends = vec![shown(first), shown(&(*last + self.step))];
                let level = Scatter::new(ends, vec![level.value; 2]).name(plain(&level.name));
                plot.add_trace(level.mode(Mode::Lines).line(line));
            }
        }
        plot.set_layout(
            Layout::new().bar_mode(BarMode::Stack).x_axis(Axis::new().type_(AxisType::Date)),
        );
        let numbers = self.numbers(filter);
        let far = self.levels.iter().filter(|level| !self.is_near(level.value));
        let note = html! {
            (self.note)
            @for level in far { p.note { (level.name) ": " (level.cell) ", which is above what is drawn." } }
        };
        let around = [&self.choice, &note];
        one_of(&self.title, self.unit, plot, &self.exports, around, &numbers)
    }

    /// When the steps begin that were, and those that come.
    fn rows(&self) -> Vec<DateTime<Utc>> {
        let mut rows = self.starts.clone();
        let last = rows.last().copied();
        let ahead = self.ahead.iter().flat_map(|ahead| &ahead.starts);
        rows.extend(ahead.filter(|start| last.is_none_or(|last| **start > last)));
        rows
    }

    /// Whether a level can be drawn without making all else small.
    fn is_near(&self, level: f64) -> bool {
        let step = |row: usize| {
            self.series.iter().filter_map(|series| *series.values.get(row)?).sum::<f64>()
        };
        let most = (0..self.starts.len()).map(step).fold(0.0, f64::max);
        let ahead = self.ahead.iter().flat_map(|ahead| &ahead.high).copied().fold(most, f64::max);
        level <= 4.0 * ahead
    }

    /// How large a point of a line is: where there are many, they must not hide it.
    fn dot(&self) -> usize {
        if self.starts.len() > MANY { 3 } else { 6 }
    }

    fn numbers(&self, filter: &Filter) -> Markup {
        html! {
            thead { tr {
                th scope="col" { "From (UTC)" }
                @for series in &self.series {
                    th scope="col" data-only=[series.only.as_ref().map(|(key, value)| Selection::part(key, value))] { (series.name) }
                }
                @if self.ahead.is_some() { @for name in AHEAD { th scope="col" { (name) } } }
                @for level in &self.levels { th scope="col" { (level.name) } }
            } }
            tbody {
                @for (row, start) in self.rows().iter().enumerate() {
                    tr data-at=(shown(start)) {
                        th scope="row" {
                            @if row < self.starts.len() { a href=(during(filter, *start, *start + self.step)) { (shown(start)) } }
                            @else { (shown(start)) }
                        }
                        @for series in &self.series { td { (series.cells.get(row).map_or("", String::as_str)) } }
                        @if let Some(ahead) = &self.ahead { @for cell in ahead.cells(start) { td { (cell) } } }
                        @for level in &self.levels { td { (level.cell) } }
                    }
                }
            }
        }
    }
}

const AHEAD: [&str; 3] = ["expected", "80 % from", "to"];

impl Ahead {
    fn draw(&self, plot: &mut Plot) {
        let starts: Vec<_> = self.starts.iter().map(shown).collect();
        let edge = |values: &[f64]| {
            Scatter::new(starts.clone(), values.to_vec())
                .mode(Mode::Lines)
                .line(Line::new().width(0.0))
                .show_legend(false)
        };
        plot.add_trace(edge(&self.low));
        let band = edge(&self.high).fill(Fill::ToNextY).fill_color("rgba(123,132,148,0.35)");
        plot.add_trace(band.name("80 %").show_legend(true));
        let expected = Scatter::new(starts, self.expected.clone()).mode(Mode::LinesMarkers);
        // No colour of a series: what comes is none of what was.
        let line = Line::new().color("#7b8494").dash(DashType::Dash);
        plot.add_trace(expected.name("expected").line(line));
    }

    fn cells(&self, start: &DateTime<Utc>) -> [String; 3] {
        let place = self.starts.iter().position(|at| at == start);
        [&self.expected, &self.low, &self.high].map(|values| {
            let value = place.and_then(|place| values.get(place));
            value.map_or_else(String::new, |value| (self.cell)(*value))
        })
    }
}

/// A name as the library of charts takes it: it reads some of HTML in texts.
pub(super) fn plain(name: &str) -> String {
    name.replace('&', "&amp;").replace('<', "&lt;")
}

/// How long a step is.
pub(super) fn length(step: &By) -> TimeDelta {
    match step {
        By::Time(level) => TimeDelta::seconds(level.seconds()),
        _ => TimeDelta::zero(),
    }
}

pub(super) fn shown(at: &DateTime<Utc>) -> String {
    at.format("%F %H:%M").to_string()
}

/// A line that stands at a moment, from the bottom of a chart to its top.
pub(super) fn mark(at: DateTime<Utc>) -> Shape {
    let at = at.format("%F %H:%M:%S").to_string();
    let line = ShapeLine::new().width(2.0).dash(DashType::Dash).color("#c2410c");
    Shape::new()
        .shape_type(ShapeType::Line)
        .x_ref("x")
        .y_ref("paper")
        .x0(at.clone())
        .x1(at)
        .y0(0)
        .y1(1)
        .line(line)
}

/// A level that holds from one moment to another.
pub(super) fn level(
    from: &DateTime<Utc>,
    to: &DateTime<Utc>,
    value: f64,
) -> Box<Scatter<String, f64>> {
    let at = |at: &DateTime<Utc>| at.format("%F %H:%M:%S").to_string();
    Scatter::new(vec![at(from), at(to)], vec![value, value])
        .mode(Mode::Lines)
        .line(Line::new().width(3.0).color("#c2410c"))
        .show_legend(false)
}

/// A chart, the numbers of which stand below it.
pub(super) fn figure(
    title: &str,
    unit: &str,
    plot: Plot,
    exports: &[(&'static str, String)],
    numbers: &Markup,
) -> Markup {
    one_of(title, unit, plot, exports, [&html! {}, &html! {}], numbers)
}

/// The same, with links to what else could be shown there, and a note below.
fn one_of(
    title: &str,
    unit: &str,
    mut plot: Plot,
    exports: &[(&'static str, String)],
    [choice, note]: [&Markup; 2],
    numbers: &Markup,
) -> Markup {
    let axis = Axis::new().title(Title::with_text(unit)).side(AxisSide::Left);
    let layout = plot.layout().clone().height(HIGH).y_axis(axis);
    plot.set_layout(layout);
    html! {
        figure.card {
            figcaption.heading {
                h2 { (title) }
                span.exports {
                    button.save type="button" aria-label=(format!("{title} as SVG")) { "SVG" }
                    @for (kind, address) in exports { a href=(address) download aria-label=(format!("{title} as {kind}")) { (kind) } }
                }
            }
            (choice)
            div.plot data-plot=(plot.to_json()) role="img" aria-label=(format!("{title}; the numbers stand below")) {}
            (note)
            details {
                summary { "The numbers" }
                (scroll(&format!("{title}, numbers"), &html! { table { (numbers) } }))
            }
        }
    }
}

/// A small line without axes; what is not known is a gap.
pub(super) fn spark(values: &[Option<f64>]) -> Markup {
    const WIDE: f64 = 120.0;
    const HIGH: f64 = 24.0;
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let seen = values.iter().flatten().count();
    if seen < 2 || most <= 0.0 {
        return html! {};
    }
    #[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
    let x = |at: usize| at as f64 / (values.len() - 1) as f64 * WIDE;
    let y = |value: f64| HIGH - value / most * (HIGH - 2.0) - 1.0;
    let mut path = String::new();
    let mut open = false;
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => {
                let step = if open { 'L' } else { 'M' };
                let _ = write!(path, "{step}{:.1} {:.1}", x(at), y(*value));
                open = true;
            }
            None => open = false,
        }
    }
    html! {
        svg.spark viewBox=(format!("0 0 {WIDE} {HIGH}")) preserveAspectRatio="none" aria-hidden="true" {
            path d=(path) {}
        }
    }
}
