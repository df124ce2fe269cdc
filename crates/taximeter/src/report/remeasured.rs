//! What came of an advice, in words.

use taximeter_analysis::{Effect, Saved};
use taximeter_models::Estimate;

use super::cells::signed;
use super::words::seconds;

/// Whether an advice has helped.
pub fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Helped => "it helped",
        Effect::Worse => "it got worse",
        Effect::Inconclusive => "the data do not say",
    }
}

/// What an advice saved of each operation, with the range in which that lies with 95 %; what is below zero was lost. None
/// of what is not told in money, time or shares.
///
/// ```
/// use taximeter::analysis::Saved;
/// use taximeter::{Estimate, report};
///
/// let saved = Saved::Seconds(Estimate { low: -0.1, likely: 0.5, high: 1.25 });
/// assert_eq!(report::saved(&saved).as_deref(), Some("+500.0 ms (95 %: -100.0 ms to +1.25 s)"));
/// ```
pub fn saved(saved: &Saved) -> Option<String> {
    let points = |share: f64| format!("{:+.1} points", share * 100.0);
    let time = |time: f64| format!("{}{}", if time < 0.0 { "-" } else { "+" }, seconds(time.abs()));
    Some(match saved {
        Saved::Usd(usd) => range(*usd, signed),
        Saved::Seconds(of) => range(*of, time),
        Saved::Share(share) => range(*share, points),
        _ => return None,
    })
}

fn range<V>(of: Estimate<V>, told: impl Fn(V) -> String) -> String {
    format!("{} (95 %: {} to {})", told(of.likely), told(of.low), told(of.high))
}
