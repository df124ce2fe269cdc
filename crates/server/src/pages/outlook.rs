//! What comes: the cost of the next days with its range, and when a budget is gone.

use chrono::TimeDelta;
use maud::{Markup, html};
use plotly::common::{Fill, Line, Mode};
use plotly::layout::{Axis, AxisType};
use plotly::{Layout, Plot, Scatter};
use taximeter::StoreError;
use taximeter::analysis::{Exhaustion, When};
use taximeter::history::{History, LookedAt, Outlook, OutlookAsk, Period, Selection};
use taximeter::report::money;

use super::charts::figure;
use super::words::link;
use crate::questions::Filter;

/// So far back the operations of a selection are looked at: more is not taken by a forecast.
const PAST: TimeDelta = TimeDelta::days(84);

/// What comes of the operations of a selection, and of how many that was told; of all of them it is told by their sums.
pub(crate) fn ask(
    history: &History,
    only: &Selection,
    ask: &OutlookAsk,
) -> Result<(Outlook, Option<LookedAt>), StoreError> {
    let period = Period::new(ask.now.checked_sub_signed(PAST), None);
    let (part, looked_at) = history.selected(only, period)?;
    Ok((part.forecast(ask)?, looked_at))
}

pub(super) fn page(outlook: &Outlook, of: Option<LookedAt>, filter: &Filter) -> Markup {
    let to = |format: &str| {
        link("/api/v1/forecast", filter, &[ONLY.as_slice(), &[("format", format)]].concat())
    };
    let exports = [("CSV", to("csv")), ("JSON", to(""))];
    let whose = of.map_or_else(|| "all operations".to_owned(), |of| of.to_string());
    let Some(forecast) = &outlook.forecast else {
        return html! {
            section.card {
                h2 { "Forecast" }
                p {
                    "No forecast of " (whose) ": "
                    @match &outlook.not_enough { Some(why) => (why), None => "too few days" }
                    ". It comes with more recorded days."
                }
            }
        };
    };
    let day = |at: &chrono::DateTime<chrono::Utc>| at.format("%F").to_string();
    let days: Vec<_> = forecast.points.iter().map(|point| day(&point.at)).collect();
    let of = |value: fn(&taximeter::analysis::ForecastPoint) -> f64| -> Vec<f64> {
        forecast.points.iter().map(value).collect()
    };
    let mut plot = Plot::new();
    let seen = outlook.seen.iter();
    plot.add_trace(
        Scatter::new(
            seen.clone().map(|(at, _)| day(at)).collect(),
            seen.map(|(_, value)| *value).collect(),
        )
        .mode(Mode::LinesMarkers)
        .name("seen"),
    );
    let edge = |values: Vec<f64>| {
        Scatter::new(days.clone(), values)
            .mode(Mode::Lines)
            .line(Line::new().width(0.0))
            .show_legend(false)
    };
    plot.add_trace(edge(of(|point| point.low_80)));
    let band =
        edge(of(|point| point.high_80)).fill(Fill::ToNextY).fill_color("rgba(194,65,12,0.2)");
    plot.add_trace(band.name("80 %").show_legend(true));
    plot.add_trace(
        Scatter::new(days.clone(), of(|point| point.value))
            .mode(Mode::Lines)
            .name("expected")
            .line(Line::new().color("#c2410c")),
    );
    plot.set_layout(Layout::new().x_axis(Axis::new().type_(AxisType::Date)));
    let numbers = html! {
        thead { tr { th scope="col" { "Day (UTC)" } th scope="col" { "Expected" } th scope="col" { "80 % from" } th scope="col" { "to" } th scope="col" { "95 % from" } th scope="col" { "to" } } }
        tbody {
            @for point in &forecast.points {
                tr {
                    th scope="row" { (day(&point.at)) }
                    @for value in [point.value, point.low_80, point.high_80, point.low_95, point.high_95] { td { (format!("${value:.4}")) } }
                }
            }
        }
    };
    html! {
        (figure(&format!("Forecast of {whose}"), "US dollars a day", plot, &exports, &numbers))
        (budget(outlook, filter))
    }
}

/// What of a page's address a forecast is not asked for.
const ONLY: [(&str, &str); 5] =
    [("since", ""), ("by", ""), ("order", ""), ("compare", ""), ("live", "")];

fn budget(outlook: &Outlook, filter: &Filter) -> Markup {
    html! {
        section.card {
            h2 { "Budget of this month" }
            @match (outlook.budget, outlook.spent_of_budget, &outlook.exhaustion) {
                (Some(budget), Some(spent), Some(gone)) => p { (money(spent)) " of " (money(budget)) " spent this month; " (exhausted(gone)) "." },
                (Some(budget), _, _) => p { "A budget of " (money(budget)) ", and no forecast of when it is gone." },
                _ => p { "No budget of the month is named." },
            }
            form.inline method="get" action="/costs" {
                label { "Budget of this month, US dollars " input name="budget" inputmode="decimal" value=(filter.budget) size="8"; }
                @for (name, value) in [("since", &filter.since), ("only", &filter.only), ("by", &filter.by), ("compare", &filter.compare)] {
                    @if !value.is_empty() { input type="hidden" name=(name) value=(value); }
                }
                button { "When is it gone?" }
            }
            p.note { "Budgets that are watched, and warn, are kept under " a href=(link("/alerts", filter, &[])) { "Alerts" } "." }
        }
    }
}

fn exhausted(gone: &Exhaustion) -> String {
    let day = |at: When| match at {
        When::At(at) => at.format("%F").to_string(),
        When::Never => format!("after {}", gone.horizon.format("%F")),
    };
    match gone.estimate {
        When::Never => format!(
            "enough until {}, with a probability of {:.0} %",
            gone.horizon.format("%F"),
            (1.0 - gone.probability) * 100.0
        ),
        When::At(_) => format!(
            "gone on {} (80 %: {} to {})",
            day(gone.estimate),
            day(gone.earliest_80),
            day(gone.latest_80)
        ),
    }
}
