//! The tables of a report, each a function from values to text.

use taximeter_analysis::statistics::{Distribution, Proportion};
use taximeter_analysis::{PartTime, SessionSummary, TimeSpent};
use taximeter_models::{
    Advice, CostTotals, Currency, ErrorCategory, Finding, Money, Saving, Session, Totals,
};

use super::cells::NONE;
use super::style::{Align, Style};
use super::words::{at_least, count, counted, duration, money, percent, seconds};

/// The numbers that come first: operations, time, tokens, money, tools.
pub fn overview(totals: &Totals, style: Style) -> String {
    let usage = &totals.usage;
    let average = totals.average_duration().map_or_else(|| NONE.into(), duration);
    let mut rows = vec![
        [
            "operations".to_owned(),
            format!("{}; {} succeeded", count(totals.operations()), percent(totals.success_rate())),
        ],
        [
            "  failed, abandoned".to_owned(),
            format!("{}, {}", count(totals.failed_operations), count(totals.abandoned_operations)),
        ],
        ["time".to_owned(), format!("{} in all, {average} in the mean", duration(totals.duration))],
        [
            "tokens".to_owned(),
            format!(
                "{} ({} in, {} out)",
                count(usage.total_tokens()),
                count(usage.input_tokens()),
                count(usage.output_tokens())
            ),
        ],
        [
            "  from a cache".to_owned(),
            percent(taximeter_models::Rate {
                hits: usage.get(taximeter_models::Unit::CacheRead),
                of: usage.input_tokens(),
            }),
        ],
        ["cost".to_owned(), cost_in_words(&totals.cost)],
        ["LLM calls".to_owned(), format!("{} succeeded", percent(totals.llm_success()))],
        ["tool calls".to_owned(), format!("{} succeeded", percent(totals.tool_success()))],
        [
            "errors, warnings".to_owned(),
            format!("{}, {}", count(totals.errors), count(totals.warnings)),
        ],
    ];
    if let Some(average) = totals.average_cost() {
        rows.insert(6, ["  per operation".to_owned(), at_least(average, is_whole(&totals.cost))]);
    }
    style.table([("", Align::Left), ("", Align::Left)], rows)
}

/// The money, with what is not known beside what is: `$51.70 exact + $4.10 estimated, 37 calls unpriced`.
pub fn costs(cost: &CostTotals) -> String {
    cost_in_words(cost)
}

/// Whether the cost of every call is known and in US dollars.
fn is_whole(cost: &CostTotals) -> bool {
    cost.is_complete() && cost.amounts.keys().all(|currency| *currency == Currency::USD)
}

fn cost_in_words(cost: &CostTotals) -> String {
    let mut words = Vec::new();
    for (currency, amounts) in &cost.amounts {
        let amount = |amount: Money| match *currency {
            Currency::USD => money(amount),
            other => format!("{} {other}", amount.rounded(4)),
        };
        let mut parts = vec![format!("{} exact", amount(amounts.exact))];
        if !amounts.estimated.is_zero() {
            parts.push(format!("{} estimated", amount(amounts.estimated)));
        }
        words.push(parts.join(" + "));
    }
    if words.is_empty() {
        words.push("$0.00".into());
    }
    if cost.free_calls > 0 {
        words.push(format!("{} free", counted(cost.free_calls, "call")));
    }
    if cost.unpriced_calls > 0 {
        let (calls, tokens) =
            (counted(cost.unpriced_calls, "call"), counted(cost.unpriced_tokens, "token"));
        words.push(format!("{calls} unpriced ({tokens})"));
    }
    if cost.calls_without_usage > 0 {
        words.push(format!("{} told no usage", counted(cost.calls_without_usage, "call")));
    }
    words.join(", ")
}

/// The operations by name.
pub fn operations(summary: &SessionSummary, style: Style) -> String {
    let rows = summary.operations.iter().map(|(name, operation)| {
        let [p50, p95] = percentiles(operation.duration_seconds.as_ref());
        [
            name.to_string(),
            count(operation.success.rate.of),
            success(&operation.success),
            p50,
            p95,
            share(operation.share_of_time),
            operation
                .mean_cost_usd
                .filter(|_| operation.cost.calls() > 0)
                .map_or_else(|| NONE.into(), money),
        ]
    });
    style.table(
        [
            ("operation", Align::Left),
            ("count", Align::Right),
            ("success (95 %)", Align::Right),
            ("p50", Align::Right),
            ("p95", Align::Right),
            ("time", Align::Right),
            ("cost each", Align::Right),
        ],
        rows,
    )
}

/// The components by name, those that take the most time first.
pub fn components(summary: &SessionSummary, style: Style) -> String {
    let mut components: Vec<_> = summary.components.iter().collect();
    let time = |distribution: Option<&Distribution>| {
        distribution.map_or(0.0, |distribution| distribution.sum)
    };
    components.sort_by(|(_, a), (_, b)| {
        time(b.duration_seconds.as_ref()).total_cmp(&time(a.duration_seconds.as_ref()))
    });
    let rows = components.into_iter().map(|(name, component)| {
        let [p50, p95] = percentiles(component.duration_seconds.as_ref());
        let all = seconds(time(component.duration_seconds.as_ref()));
        [name.to_string(), count(component.runs), p50, p95, all, share(component.share_of_time)]
    });
    style.table(
        [
            ("component", Align::Left),
            ("runs", Align::Right),
            ("p50", Align::Right),
            ("p95", Align::Right),
            ("in all", Align::Right),
            ("of the time", Align::Right),
        ],
        rows,
    )
}

/// The tools by name.
pub fn tools(summary: &SessionSummary, style: Style) -> String {
    let rows = summary.tools.iter().map(|(name, tool)| {
        let [p50, p95] = percentiles(tool.duration_seconds.as_ref());
        let worst = tool.errors_by_category.iter().max_by_key(|(_, count)| **count);
        let worst = worst.map_or_else(
            || NONE.into(),
            |(category, errors)| format!("{category} ({})", count(*errors)),
        );
        [name.to_string(), count(tool.success.rate.of), success(&tool.success), p50, p95, worst]
    });
    style.table(
        [
            ("tool", Align::Left),
            ("calls", Align::Right),
            ("success (95 %)", Align::Right),
            ("p50", Align::Right),
            ("p95", Align::Right),
            ("most errors", Align::Left),
        ],
        rows,
    )
}

/// The LLMs by provider and name: the 95th percentiles of their times, the median of their speed, and their cost, with
/// a plus where some of it is not known.
pub fn llms(summary: &SessionSummary, style: Style) -> String {
    let rows = summary.llms.iter().map(|llm| {
        let p95 = |distribution: Option<&Distribution>| {
            distribution.map_or_else(|| NONE.into(), |distribution| seconds(distribution.p95))
        };
        [
            format!("{}/{}", llm.provider, llm.model),
            count(llm.success.rate.of),
            success(&llm.success),
            p95(llm.duration_seconds.as_ref()),
            p95(llm.time_to_first_token_seconds.as_ref()),
            llm.output_tokens_per_second
                .as_ref()
                .map_or_else(|| NONE.into(), |speed| format!("{:.0}", speed.p50)),
            count(llm.tokens.total_tokens),
            // What is unpriced is said in the overview; here it is marked as a lower bound.
            at_least(llm.cost.usd(), is_whole(&llm.cost)),
        ]
    });
    style.table(
        [
            ("LLM", Align::Left),
            ("calls", Align::Right),
            ("success (95 %)", Align::Right),
            ("p95", Align::Right),
            ("1st token", Align::Right),
            ("tok/s", Align::Right),
            ("tokens", Align::Right),
            ("cost", Align::Right),
        ],
        rows,
    )
}

/// The errors of all calls and operations by category, the most frequent first.
pub fn errors(totals: &Totals, style: Style) -> String {
    let of_llms =
        |category| totals.llms.values().filter_map(|llm| llm.errors.get(category)).sum::<u64>();
    let of_tools =
        |category| totals.tools.values().filter_map(|tool| tool.errors.get(category)).sum::<u64>();
    let of_operations =
        |category| totals.errors_by_category.get(category).copied().unwrap_or_default();
    let mut rows: Vec<_> = ErrorCategory::ALL
        .iter()
        .map(|category| (*category, of_operations(category), of_llms(category), of_tools(category)))
        .filter(|(_, operations, llms, tools)| operations + llms + tools > 0)
        .collect();
    rows.sort_by_key(|(_, operations, llms, tools)| {
        std::cmp::Reverse((*operations, *llms, *tools))
    });
    let retry =
        |category: ErrorCategory| if category.is_retryable() { "a later try may help" } else { "" };
    let cells = rows.into_iter().map(|(category, operations, llms, tools)| {
        [
            category.to_string(),
            count(operations),
            count(llms),
            count(tools),
            retry(category).to_owned(),
        ]
    });
    style.table(
        [
            ("category", Align::Left),
            ("operations", Align::Right),
            ("LLM calls", Align::Right),
            ("tool calls", Align::Right),
            ("", Align::Left),
        ],
        cells,
    )
}

/// What was recorded, stored, lost, cut and masked.
pub(super) fn collected(session: &Session, style: Style) -> String {
    let rows = session.collected.iter().map(|(name, number)| [name.to_string(), count(*number)]);
    style.table([("count", Align::Left), ("", Align::Right)], rows)
}

/// What stands out, with one proof each.
pub fn findings(findings: &[Finding], style: Style) -> String {
    if findings.is_empty() {
        return style.good("Nothing stands out.");
    }
    let rows = findings.iter().map(|finding| {
        let proof = finding.evidence.first().map_or_else(|| NONE.into(), ToString::to_string);
        [finding.to_string(), proof]
    });
    style.table([("finding", Align::Left), ("worst operation", Align::Left)], rows)
}

/// What to do, and what it would save in an operation: the likely value, and its range.
pub fn advice(advice: &[Advice], style: Style) -> String {
    if advice.is_empty() {
        return style.good("There is nothing to advise.");
    }
    let rows = advice.iter().map(|advice| [advice.to_string(), saved(advice.saving.as_ref())]);
    style.table([("advice", Align::Left), ("saves in an operation", Align::Left)], rows)
}

fn saved(saving: Option<&Saving>) -> String {
    let Some(saving) = saving else { return NONE.into() };
    let time = saving
        .seconds
        .map(|s| format!("{} ({} – {})", seconds(s.likely), seconds(s.low), seconds(s.high)));
    let usd = saving
        .usd
        .map(|usd| format!("{} ({} – {})", money(usd.likely), money(usd.low), money(usd.high)));
    let amounts: Vec<_> = time.into_iter().chain(usd).collect();
    let left_out = if saving.coverage.is_complete() {
        String::new()
    } else {
        format!("; its money is {}", saving.coverage)
    };
    format!("{}, if {}{left_out}", amounts.join(" and "), saving.assuming)
}

/// Where the time of operations goes: the critical path by part, on the mean and in the slow tail.
pub fn time_spent(spent: &TimeSpent, style: Style) -> String {
    let slow = |part: &PartTime| {
        let slow = spent.slow.parts.iter().find(|slow| slow.part == part.part);
        slow.map_or_else(|| NONE.into(), |slow| seconds(slow.critical_seconds))
    };
    let rows = spent.all.parts.iter().map(|part| {
        [
            part.part.to_string(),
            seconds(part.critical_seconds),
            share(Some(part.share)),
            slow(part),
            count(part.most_parallel),
        ]
    });
    let slowest = format!("of the slowest {}", count(spent.slow.operations));
    style.table(
        [
            ("part of the critical path", Align::Left),
            ("mean", Align::Right),
            ("share", Align::Right),
            (&slowest, Align::Right),
            ("at a time", Align::Right),
        ],
        rows,
    )
}

fn percentiles(distribution: Option<&Distribution>) -> [String; 2] {
    match distribution {
        Some(distribution) => [seconds(distribution.p50), seconds(distribution.p95)],
        None => [NONE.into(), NONE.into()],
    }
}

/// A share of success with its 95 % interval: `97.5 % (87–100)`.
fn success(proportion: &Proportion) -> String {
    match (proportion.rate.percent(), &proportion.interval_95) {
        (Some(percent), Some(interval)) => {
            format!("{percent:.1} % ({:.0}–{:.0})", interval.low * 100.0, interval.high * 100.0)
        }
        _ => NONE.into(),
    }
}

fn share(share: Option<f64>) -> String {
    share.map_or_else(|| NONE.into(), |share| format!("{:.1} %", share * 100.0))
}
