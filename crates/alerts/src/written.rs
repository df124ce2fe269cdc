//! Rules, budgets and receivers as they stand in the file, and what is made of them.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc, Weekday};
use serde::{Deserialize, Deserializer};
use taximeter::analysis::{
    AnomalyConfig, Dimension, Objective, Quantity as SeriesQuantity, Step, Window,
};
use taximeter::{BudgetPeriod, BudgetPlan, Money, Name};

use crate::receiver::{Receiver, ReceiverKind, Secret};
use crate::rule::{Baseline, Kind, Limit, Missing, Mute, Rule, Severity, Side};
use crate::{Amount, Quantity, Unit};

/// A number or an amount, as its text.
#[derive(Debug, Clone)]
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.to_owned()))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

impl Text {
    fn number(&self, key: &str) -> Result<f64, String> {
        let number = self.0.parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| format!("{key}: {:?} is no number", short(&self.0)))
    }

    fn amount(&self, key: &str, unit: Unit) -> Result<Amount, String> {
        if unit != Unit::Usd {
            return Ok(Amount::Number(self.number(key)?));
        }
        let money = self.0.trim_start_matches('$').parse::<Money>();
        money.map(Amount::Money).map_err(|why| format!("{key}: {why}"))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WrittenKind {
    Threshold,
    Change,
    Anomaly,
    Forecast,
    BurnRate,
    NoData,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenRule {
    pub(crate) name: String,
    kind: WrittenKind,
    quantity: Option<Quantity>,
    window: Option<String>,
    above: Option<Text>,
    below: Option<Text>,
    clear: Option<Text>,
    baseline: Option<Baseline>,
    at_least: Option<Text>,
    step: Option<Step>,
    side: Option<Side>,
    limit: Option<Text>,
    alpha: Option<Text>,
    budget: Option<String>,
    probability: Option<Text>,
    target: Option<Text>,
    windows: Option<Vec<String>>,
    by: Option<String>,
    #[serde(default)]
    keys: Vec<String>,
    minimum: Option<u64>,
    r#for: Option<String>,
    #[serde(default)]
    missing: Missing,
    #[serde(default)]
    severity: Severity,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    mute: Vec<WrittenMute>,
    every: Option<String>,
    groups: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMute {
    until: Option<String>,
    #[serde(default)]
    days: Vec<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenBudget {
    name: String,
    amount: Money,
    per: BudgetPeriod,
    by: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WrittenReceiver {
    name: String,
    kind: ReceiverKind,
    url: Option<String>,
    url_env: Option<String>,
    secret: Option<String>,
    secret_env: Option<String>,
    token: Option<String>,
    token_env: Option<String>,
    timeout: Option<String>,
}

/// So many characters of a name are a name.
const LONGEST: usize = 200;
/// So many labels go along at most.
const MOST_LABELS: usize = 64;
/// The longest time that a rule may look back: what is longer is a slip.
const FURTHEST: TimeDelta = TimeDelta::days(400);

impl WrittenRule {
    /// # Errors
    /// Says which key is wrong, and what is expected.
    pub(crate) fn read(self, line: usize) -> Result<Rule, String> {
        self.check_keys()?;
        let kind = self.kind()?;
        let by = self.dimension(&kind)?;
        let (needs_many, every) = match &kind {
            Kind::Threshold { quantity, .. } => (quantity.needs_many(), TimeDelta::minutes(1)),
            Kind::Anomaly { step, .. } => (false, TimeDelta::seconds(step.seconds())),
            Kind::Forecast { .. } => (false, TimeDelta::hours(1)),
            Kind::NoData { .. } => (false, TimeDelta::minutes(1)),
            Kind::Change { .. } | Kind::BurnRate { .. } => (true, TimeDelta::minutes(1)),
        };
        let labels = self.labels;
        if labels.len() > MOST_LABELS {
            return Err(format!(
                "labels: {} are too many; {MOST_LABELS} are the most",
                labels.len()
            ));
        }
        let named = |names: Vec<String>| names.into_iter().map(Name::from).collect::<Vec<_>>();
        let every = self.every.as_deref().map_or(Ok(every), |text| time("every", text))?;
        let lasting = self.r#for.as_deref().map_or(Ok(TimeDelta::zero()), |text| {
            if text == "0s" { Ok(TimeDelta::zero()) } else { time("for", text) }
        })?;
        let most_groups = self.groups.unwrap_or(100);
        if !(1..=10_000).contains(&most_groups) {
            return Err(format!("groups: {most_groups} is not from 1 to 10000"));
        }
        Ok(Rule {
            name: name(&self.name)?,
            kind,
            by,
            keys: named(self.keys),
            minimum: self.minimum.unwrap_or(if needs_many { 20 } else { 0 }),
            lasting,
            missing: self.missing,
            severity: self.severity,
            labels,
            to: named(self.to),
            mutes: self.mute.into_iter().map(WrittenMute::read).collect::<Result<_, _>>()?,
            every,
            most_groups,
            line,
        })
    }

    fn kind(&self) -> Result<Kind, String> {
        let window = || time("window", needed("window", self.window.as_deref())?);
        let quantity = || needed("quantity", self.quantity);
        Ok(match self.kind {
            WrittenKind::Threshold => {
                let quantity = quantity()?;
                let limit = self.limit(quantity.unit())?;
                Kind::Threshold { quantity, window: window()?, limit }
            }
            WrittenKind::Change => {
                let quantity = quantity()?;
                let at_least = self.at_least.as_ref();
                Kind::Change {
                    quantity,
                    window: window()?,
                    baseline: needed("baseline", self.baseline)?,
                    limit: self.limit(Unit::Change)?,
                    at_least: at_least
                        .map(|text| text.amount("at_least", quantity.unit()))
                        .transpose()?,
                }
            }
            WrittenKind::Anomaly => Kind::Anomaly {
                quantity: of_series(quantity()?)?,
                step: needed("step", self.step)?,
                config: self.anomalies()?,
                side: self.side,
            },
            WrittenKind::Forecast => {
                let probability = self.probability.as_ref();
                let at = probability.map_or(Ok(0.5), |text| text.number("probability"))?;
                if !(0.0..1.0).contains(&at) {
                    return Err(format!("probability: {at} is not from 0 to 1"));
                }
                let at = Amount::Number(at);
                let limit = Limit { side: Side::Above, at, clear: at };
                Kind::Forecast { budget: needed("budget", self.budget.as_deref())?.into(), limit }
            }
            WrittenKind::BurnRate => {
                let target = needed("target", self.target.as_ref())?.number("target")?;
                let objective = Objective::new(target).map_err(|why| format!("target: {why}"))?;
                Kind::BurnRate { objective, windows: self.burn_windows()? }
            }
            WrittenKind::NoData => Kind::NoData { window: window()? },
        })
    }

    fn limit(&self, unit: Unit) -> Result<Limit, String> {
        let (side, at) = match (&self.above, &self.below) {
            (Some(above), None) => (Side::Above, above.amount("above", unit)?),
            (None, Some(below)) => (Side::Below, below.amount("below", unit)?),
            _ => return Err("either above or below is needed".into()),
        };
        let clear = self.clear.as_ref().map_or(Ok(at), |clear| clear.amount("clear", unit))?;
        let is_beyond = match side {
            Side::Above => clear > at,
            Side::Below => clear < at,
        };
        if is_beyond {
            return Err("clear: it is beyond the limit, so that it would never be over".into());
        }
        Ok(Limit { side, at, clear })
    }

    fn anomalies(&self) -> Result<AnomalyConfig, String> {
        let mut config = AnomalyConfig::default();
        if let Some(limit) = &self.limit {
            config.limit = limit.number("limit")?;
        }
        if let Some(alpha) = &self.alpha {
            config.alpha = alpha.number("alpha")?;
        }
        config.check().map_err(|why| why.to_string())?;
        Ok(config)
    }

    fn burn_windows(&self) -> Result<Vec<TimeDelta>, String> {
        let Some(windows) = &self.windows else {
            return Ok(vec![TimeDelta::hours(1), TimeDelta::hours(6)]);
        };
        let known = [TimeDelta::hours(1), TimeDelta::hours(6), TimeDelta::days(3)];
        let read =
            windows.iter().map(|text| time("windows", text)).collect::<Result<Vec<_>, _>>()?;
        if read.is_empty() || read.iter().any(|window| !known.contains(window)) {
            return Err("windows: expected some of 1h, 6h and 3d".into());
        }
        Ok(read)
    }

    fn dimension(&self, kind: &Kind) -> Result<Dimension, String> {
        let by = dimension(self.by.as_deref())?;
        let is_of_tools = matches!(by, Dimension::All | Dimension::Tool);
        match kind {
            Kind::Threshold { quantity: Quantity::ToolErrorRate, .. }
            | Kind::Change { quantity: Quantity::ToolErrorRate, .. }
                if !is_of_tools =>
            {
                Err(format!("by: tool_error_rate is of all tools, or by tool, and not by {by}"))
            }
            Kind::Forecast { .. } if self.by.is_some() => {
                Err("by: a forecast is by what its budget is by".into())
            }
            _ if !self.keys.is_empty() && by == Dimension::All => {
                if matches!(kind, Kind::Forecast { .. }) {
                    return Ok(by);
                }
                Err("keys: they are groups of what `by` names, and it names none".into())
            }
            _ => Ok(by),
        }
    }

    /// What says nothing for this kind is a slip.
    fn check_keys(&self) -> Result<(), String> {
        use WrittenKind::{Anomaly, BurnRate, Change, Forecast, NoData, Threshold};

        let keys: [(&str, bool, &[WrittenKind]); 14] = [
            ("quantity", self.quantity.is_some(), &[Threshold, Change, Anomaly]),
            ("window", self.window.is_some(), &[Threshold, Change, NoData]),
            ("above", self.above.is_some(), &[Threshold, Change]),
            ("below", self.below.is_some(), &[Threshold, Change]),
            ("clear", self.clear.is_some(), &[Threshold, Change]),
            ("baseline", self.baseline.is_some(), &[Change]),
            ("at_least", self.at_least.is_some(), &[Change]),
            ("step", self.step.is_some(), &[Anomaly]),
            ("side", self.side.is_some(), &[Anomaly]),
            ("limit", self.limit.is_some(), &[Anomaly]),
            ("alpha", self.alpha.is_some(), &[Anomaly]),
            ("budget", self.budget.is_some(), &[Forecast]),
            ("probability", self.probability.is_some(), &[Forecast]),
            ("target", self.target.is_some(), &[BurnRate]),
        ];
        let slip =
            keys.into_iter().find(|(_, is_set, kinds)| *is_set && !kinds.contains(&self.kind));
        if let Some((key, ..)) = slip {
            return Err(format!("{key}: it says nothing for a rule of this kind; take it out"));
        }
        if self.windows.is_some() && self.kind != BurnRate {
            return Err("windows: only burn_rate has several; the others have one window".into());
        }
        Ok(())
    }
}

impl WrittenMute {
    fn read(self) -> Result<Mute, String> {
        let hours = !self.days.is_empty() || self.from.is_some() || self.to.is_some();
        if let Some(until) = &self.until {
            if hours {
                return Err("mute: either until, or days, from and to".into());
            }
            return Ok(Mute::Until(moment(until)?));
        }
        if !hours {
            return Err("mute: either until, or days, from and to are needed".into());
        }
        let day = |day: &String| {
            day.parse::<Weekday>()
                .map_err(|_| format!("mute: {:?} is no day of the week", short(day)))
        };
        let clock = |text: Option<&String>| {
            let text = text.map_or("00:00", String::as_str);
            let time = NaiveTime::parse_from_str(text, "%H:%M");
            let time = time.or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"));
            time.map_err(|_| format!("mute: {:?} is no time such as 22:30", short(text)))
        };
        let (from, to) = (clock(self.from.as_ref())?, clock(self.to.as_ref())?);
        Ok(Mute::Hours { days: self.days.iter().map(day).collect::<Result<_, _>>()?, from, to })
    }
}

impl WrittenBudget {
    /// # Errors
    /// Says what is wrong.
    pub(crate) fn read(self) -> Result<BudgetPlan, String> {
        let by = dimension(self.by.as_deref())
            .map_err(|why| format!("budget {:?}: {why}", self.name))?;
        let plan = BudgetPlan::new(name(&self.name)?, self.amount, self.per);
        plan.and_then(|plan| plan.by(by)).map_err(|why| why.to_string())
    }
}

impl WrittenReceiver {
    /// # Errors
    /// Says what is wrong. A variable of the environment that is not set is wrong, and its value is told to nobody.
    pub(crate) fn read(self) -> Result<Receiver, String> {
        let of = format!("receiver {:?}", self.name);
        let in_it = |why: String| format!("{of}: {why}");
        let url = match (self.url, &self.url_env) {
            (Some(url), None) => Secret::new(url),
            (None, Some(variable)) => Secret::from_environment(variable).map_err(in_it)?,
            _ => return Err(in_it("either url or url_env is needed".into())),
        };
        let secret =
            |key: &str, told: Option<String>, variable: Option<&str>| match (told, variable) {
                (Some(_), Some(_)) => Err(in_it(format!("either {key} or {key}_env is meant"))),
                (Some(told), None) => Ok(Some(Secret::new(told))),
                (None, variable) => {
                    variable.map(Secret::from_environment).transpose().map_err(in_it)
                }
            };
        let timeout = self
            .timeout
            .as_deref()
            .map_or(Ok(TimeDelta::seconds(10)), |text| time("timeout", text));
        let timeout = timeout.map_err(in_it)?.to_std().unwrap_or_default();
        let signed = secret("secret", self.secret, self.secret_env.as_deref())?;
        let token = secret("token", self.token, self.token_env.as_deref())?;
        Receiver::new(name(&self.name)?, self.kind, url, signed, token, timeout).map_err(in_it)
    }
}

fn needed<T>(key: &str, value: Option<T>) -> Result<T, String> {
    value.ok_or_else(|| format!("{key} is needed"))
}

fn name(text: &str) -> Result<Name, String> {
    let is_name = !text.trim().is_empty() && text.chars().count() <= LONGEST;
    let is_plain = !text.chars().any(char::is_control);
    if is_name && is_plain {
        return Ok(text.into());
    }
    Err(format!("name: {:?} is none; up to {LONGEST} printable characters are", short(text)))
}

fn dimension(text: Option<&str>) -> Result<Dimension, String> {
    match text {
        None => Ok(Dimension::All),
        Some("model") => Ok(Dimension::Llm),
        Some(text) => text.parse().map_err(|why| format!("by: {why}")),
    }
}

fn time(key: &str, text: &str) -> Result<TimeDelta, String> {
    let window: Window = text.parse().map_err(|why| format!("{key}: {why}"))?;
    let length = TimeDelta::from_std(window.length()).ok().filter(|length| *length <= FURTHEST);
    let length = length.ok_or_else(|| format!("{key}: {text} is longer than 400d"))?;
    if key == "timeout" {
        return Ok(length);
    }
    let is_whole = length.num_seconds() % 60 == 0 && length.subsec_nanos() == 0;
    if length > TimeDelta::zero() && is_whole {
        return Ok(length);
    }
    Err(format!("{key}: {text} is not of whole minutes; the shortest is 1m"))
}

fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(NaiveTime::MIN).and_utc());
    }
    let moment = text.parse::<DateTime<Utc>>();
    moment.map_err(|_| {
        format!("mute: {:?} is no day, and no moment such as 2026-12-01T06:00:00Z", short(text))
    })
}

fn of_series(quantity: Quantity) -> Result<SeriesQuantity, String> {
    Ok(match quantity {
        Quantity::Cost => SeriesQuantity::CostUsd,
        Quantity::Tokens => SeriesQuantity::Tokens,
        Quantity::Count => SeriesQuantity::Operations,
        Quantity::Calls => SeriesQuantity::Calls,
        Quantity::LatencyMean => SeriesQuantity::MeanSeconds,
        _ => {
            return Err(
                "quantity: anomalies are of cost, tokens, count, calls or latency_mean".into()
            );
        }
    })
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}
