//! What needs attention: what became worse against the period before, and what the numbers do not know.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use taximeter_analysis::statistics::{Z_95, wilson};
use taximeter_analysis::{Dimension, Sums};
use taximeter_models::{Finding, Money, Name, Rate};

use super::sums::PeriodSums;
use super::{Cause, Health};

/// Something that needs attention, with how to see the operations behind it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Attention {
    /// What it is about: an operation, tool or LLM, or the store.
    pub about: Name,
    /// What that is, where operations or calls can be told apart by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Dimension>,
    /// What is wrong.
    #[serde(flatten)]
    pub concern: Concern,
    /// Since when it is so, and in what most of it lies; none where that is not told, or not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// It in words.
    pub text: String,
    /// What to look at, or to do: a command, or a setting.
    pub look: String,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "concern", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Concern {
    /// It fails more often than in the period before: the intervals of the two shares do not meet.
    MoreErrors {
        /// Those that failed before, of all.
        before: Rate,
        /// Those that fail now, of all.
        now: Rate,
    },
    /// It takes longer than in the period before.
    Slower {
        /// The 95th percentile before, in seconds.
        before_seconds: f64,
        /// The same now.
        now_seconds: f64,
        /// What all of them take longer together, by the mean, in seconds.
        lost_seconds: f64,
    },
    /// An operation costs more than in the period before.
    Dearer {
        /// The mean cost before, in US dollars.
        before: Money,
        /// The mean cost now.
        now: Money,
        /// What all of them cost more together.
        lost: Money,
    },
    /// Calls of an LLM have no price, so that the cost is too low.
    Unpriced {
        /// The calls without a price.
        calls: u64,
        /// Their tokens.
        tokens: u64,
    },
    /// Something exceeds a threshold of the settings.
    Threshold {
        /// What, with the operations that prove it.
        finding: Box<Finding>,
    },
    /// The budget of the month will not do.
    Budget {
        /// The budget, in US dollars.
        budget: Money,
        /// When it is gone; the beginning of the month where it is gone already.
        gone: Option<DateTime<Utc>>,
    },
    /// Operations were lost on their way into the store.
    Lost {
        /// How many.
        operations: u64,
        /// How many for which reason.
        by_reason: BTreeMap<Name, u64>,
    },
    /// Records in the store cannot be read.
    Damaged {
        /// How many were met with.
        records: u64,
    },
}

/// So many are shown.
const MOST: usize = 5;
/// Fewer than this in a period say too little of a change.
const ENOUGH: u64 = 20;
/// A change of less than this factor is none to look at.
const WORSE: f64 = 1.3;
/// One of less than this is none either.
const FELT_SECONDS: f64 = 0.1;

impl Attention {
    /// What needs attention, the worst first: damage, errors, money, time, and what has no price.
    pub(super) fn all(
        now: &PeriodSums,
        before: Option<&PeriodSums>,
        health: &Health,
    ) -> Vec<Attention> {
        let mut found = Vec::new();
        if health.damaged > 0 {
            found.push(damaged(health.damaged));
        }
        if let Some(before) = before {
            for (option, before, now) in [
                ("operation", &before.operations, &now.operations),
                ("tool", &before.tools, &now.tools),
                ("llm", &before.llms, &now.llms),
            ] {
                for group in now {
                    let Some(was) = before.iter().find(|was| was.key == group.key) else {
                        continue;
                    };
                    let name = group.key.clone().unwrap_or_default();
                    found.extend(worse(&name, option, &was.sums, &group.sums));
                }
            }
        }
        for llm in &now.llms {
            found.extend(without_price(&llm.key.clone().unwrap_or_default(), &llm.sums));
        }
        found.sort_by(|one, other| rank(&other.concern).total_cmp(&rank(&one.concern)));
        found.truncate(MOST);
        found
    }
}

fn worse(name: &Name, option: &str, before: &Sums, now: &Sums) -> Vec<Attention> {
    if before.success.of < ENOUGH || now.success.of < ENOUGH {
        return Vec::new();
    }
    let concerns = [more_errors(before, now), slower(before, now), dearer(before, now)];
    let one = |concern: Concern| {
        let (text, filter) = match &concern {
            Concern::MoreErrors { before, now } => {
                (format!("{option} {name} fails: {now}, and {before} before"), " --failed")
            }
            Concern::Slower { before_seconds, now_seconds, .. } => (
                format!(
                    "{option} {name} takes {now_seconds:.3} s (p95), and {before_seconds:.3} s before"
                ),
                " --slowest",
            ),
            Concern::Dearer { before, now, lost } => (
                format!(
                    "{option} {name} costs ${} in the mean, and ${} before; ${} in all",
                    now.rounded(6),
                    before.rounded(6),
                    lost.rounded(2)
                ),
                " --dearest",
            ),
            _ => (String::new(), ""),
        };
        let look = format!("taximeter ops --{option} {}{filter}", quoted(name));
        Attention { about: name.clone(), by: option.parse().ok(), concern, cause: None, text, look }
    };
    concerns.into_iter().flatten().map(one).collect()
}

fn more_errors(before: &Sums, now: &Sums) -> Option<Concern> {
    let (before, now) = (before.success.complement(), now.success.complement());
    let (was, is) = (wilson(before, Z_95)?, wilson(now, Z_95)?);
    (is.low > was.high && now.fraction()? > 0.01).then_some(Concern::MoreErrors { before, now })
}

#[expect(clippy::cast_precision_loss, reason = "a count of operations stays below 2^53")]
fn slower(before: &Sums, now: &Sums) -> Option<Concern> {
    let (was, is) = (before.nanos.distribution(1e-9)?, now.nanos.distribution(1e-9)?);
    let lost_seconds = (is.mean - was.mean) * is.count as f64;
    let felt = is.p95 > was.p95 * WORSE && is.p95 - was.p95 > FELT_SECONDS && lost_seconds > 0.0;
    felt.then_some(Concern::Slower { before_seconds: was.p95, now_seconds: is.p95, lost_seconds })
}

fn dearer(before: &Sums, now: &Sums) -> Option<Concern> {
    let mean = |sums: &Sums| sums.cost.usd().mean(sums.success.of);
    let (was, is) = (mean(before)?, mean(now)?);
    let lost = (is - was).checked_mul(i128::from(now.success.of))?;
    let felt = is.to_f64_lossy() > was.to_f64_lossy() * WORSE
        && !was.is_zero()
        && lost.ticks() >= Money::TICKS_PER_UNIT / 100;
    felt.then_some(Concern::Dearer { before: was, now: is, lost })
}

fn without_price(llm: &Name, sums: &Sums) -> Option<Attention> {
    let (calls, tokens) = (sums.cost.unpriced_calls, sums.cost.unpriced_tokens);
    (calls > 0).then(|| Attention {
        about: llm.clone(),
        by: Some(Dimension::Llm),
        concern: Concern::Unpriced { calls, tokens },
        cause: None,
        text: format!(
            "llm {llm} has no price for {} calls with {} tokens; the cost leaves them out",
            thousands(calls),
            thousands(tokens)
        ),
        look: "name the price in a file, and the file in pricing.overrides of taximeter.toml"
            .into(),
    })
}

fn damaged(records: u64) -> Attention {
    Attention {
        about: "store".into(),
        by: None,
        concern: Concern::Damaged { records },
        cause: None,
        text: format!("{} records cannot be read; they are in no number here", thousands(records)),
        look: "taximeter store repair".into(),
    }
}

/// Damage comes first, then errors by their number, money, time, and what has no price.
#[expect(clippy::cast_precision_loss, reason = "an order needs no more than 53 bits")]
fn rank(concern: &Concern) -> f64 {
    match concern {
        Concern::Damaged { .. } => 5e15,
        Concern::MoreErrors { now, .. } => 4e15 + now.hits as f64,
        Concern::Dearer { lost, .. } => 3e15 + lost.to_f64_lossy(),
        Concern::Slower { lost_seconds, .. } => 2e15 + lost_seconds,
        Concern::Unpriced { tokens, .. } => 1e15 + *tokens as f64,
        // These are alerts, which stand by themselves.
        Concern::Threshold { .. } | Concern::Budget { .. } | Concern::Lost { .. } => 0.0,
    }
}

/// A name as a shell takes it.
pub(super) fn quoted(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./:@".contains(letter);
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', r"'\''"))
    }
}

/// A whole number, its thousands apart by commas.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().collect();
    let groups: Vec<_> = groups.into_iter().map(String::from_utf8_lossy).collect();
    groups.join(",")
}
