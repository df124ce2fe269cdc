//! What to do about what stands out, what it would save, and whether it helped.

mod prices;
mod remeasure;
mod savings;

use std::collections::BTreeSet;

use taximeter_models::{Advice, AdviceKind, Finding, FindingKind};

pub use self::prices::{NoPrices, Prices};
pub use self::remeasure::{Effect, Remeasured, Saved, remeasure};
pub use self::savings::with_savings;
use crate::importance::by_importance;

/// What to do about these findings: at most one advice for each, and none without one.
///
/// | Finding | Advice |
/// |---|---|
/// | a slow operation or component that by its name asks an LLM | a faster LLM, or better prompts |
/// | a slow operation or component that by its name searches | better indexing, or other chunks |
/// | another slow component | a look at it |
/// | another slow operation, none of whose components stands out | a look at its components |
/// | an expensive operation | a cheaper LLM, or fewer tokens |
/// | a high error rate | error handling and retries |
/// | repeated calls | a cache |
/// | a retry storm | fewer tries, and longer pauses |
/// | a rate limit | a slower pace, or a higher limit |
/// | timeouts | a shorter one, where those that succeed take less than two thirds of the wait; else error handling |
/// | a tool loop | a stop for what is done again |
/// | replies cut off | a higher limit, or shorter replies |
/// | prompts that hardly fit | less context, or a larger window |
/// | a cold cache | a prompt cache |
/// | long replies | shorter ones |
/// | work that nobody waits for | the batch tier |
///
/// Each says how to see whether it helped. What it would save, [`with_savings`] tells.
///
/// The most important comes first: that by whose finding the largest share of time, money or operations can be
/// saved, as [`importance`](crate::importance()) defines it. The order of the findings does not matter.
///
/// ```
/// use taximeter_analysis::advise;
/// use taximeter_models::{AdviceKind, Finding, FindingKind, Rate};
///
/// let kind = FindingKind::HighErrorRate { errors: Rate { hits: 9, of: 30 }, threshold: 0.1, at_least: 0.167 };
/// let advice = advise(&[Finding::new("qa_response", kind, vec![])]);
/// assert_eq!(advice[0].advice, AdviceKind::ErrorHandlingAndRetry);
/// assert_eq!(
///     advice[0].text,
///     "Improve error handling and retry logic: qa_response fails: 30.0 % (9 of 30) (threshold 10 %; \
///      at least 16.7 % with 95 % confidence)"
/// );
/// ```
pub fn advise(findings: &[Finding]) -> Vec<Advice> {
    let explained: BTreeSet<&str> = findings
        .iter()
        .filter(|finding| matches!(finding.kind, FindingKind::SlowComponent { .. }))
        .map(|finding| finding.operation.as_str())
        .collect();
    let mut advice: Vec<Advice> = findings
        .iter()
        .filter_map(|finding| {
            let kind = kind_of(finding, explained.contains(finding.operation.as_str()))?;
            if kind == AdviceKind::InspectComponent && is_within(finding, findings) {
                return None;
            }
            let text = format!("{}: {finding}", in_words(kind, finding));
            let mut advice = Advice::new(kind, text, finding.clone());
            advice.verify = verify(finding);
            Some(advice)
        })
        .collect();
    advice.sort_by(|left, right| by_importance(&left.because, &right.because));
    advice
}

/// Whether a slow component holds another one of which more can be said: together they take more than all the time, so
/// that they overlap, and the other takes nearly as long.
fn is_within(finding: &Finding, findings: &[Finding]) -> bool {
    let slow = |finding: &Finding| match &finding.kind {
        FindingKind::SlowComponent { component, share_of_time, mean_seconds, .. } => {
            Some((component.clone(), *share_of_time, *mean_seconds))
        }
        _ => None,
    };
    let Some((_, outer_share, outer_seconds)) = slow(finding) else { return false };
    findings.iter().filter(|other| other.operation == finding.operation).filter_map(slow).any(
        |(inner, share, seconds)| {
            let says_more = !matches!(Work::of(&inner), Work::Other);
            says_more && share + outer_share > 1.0 && seconds >= 0.8 * outer_seconds
        },
    )
}

/// `explained` says whether a component of the operation stands out by itself.
fn kind_of(finding: &Finding, explained: bool) -> Option<AdviceKind> {
    match &finding.kind {
        FindingKind::SlowOperation { .. } => match Work::of(&finding.operation) {
            // The advice about the component says more.
            Work::Other if explained => None,
            work => Some(work.advice()),
        },
        FindingKind::SlowComponent { component, .. } => Some(Work::of(component).advice()),
        FindingKind::HighErrorRate { .. } => Some(AdviceKind::ErrorHandlingAndRetry),
        FindingKind::ExpensiveOperation { .. } => Some(AdviceKind::CheaperLlmOrFewerTokens),
        FindingKind::RepeatedCalls { .. } => Some(AdviceKind::CacheFrequentRequests),
        FindingKind::RetryStorm { .. } => Some(AdviceKind::RetryWithBackoff),
        FindingKind::RateLimited { .. } => Some(AdviceKind::SpreadOrRaiseLimit),
        FindingKind::Timeouts { mean_wait_seconds, success_p99_seconds, .. } => {
            let slack = mean_wait_seconds.zip(*success_p99_seconds);
            let patient = slack.is_some_and(|(wait, p99)| wait > 1.5 * p99);
            Some(if patient {
                AdviceKind::ShorterTimeout
            } else {
                AdviceKind::ErrorHandlingAndRetry
            })
        }
        FindingKind::ToolLoop { .. } => Some(AdviceKind::StopLoops),
        FindingKind::TruncatedReplies { .. } => Some(AdviceKind::RaiseOutputLimit),
        FindingKind::ContextPressure { .. } => Some(AdviceKind::ShorterContext),
        FindingKind::ColdCache { .. } => Some(AdviceKind::PromptCaching),
        FindingKind::LongReplies { .. } => Some(AdviceKind::ShorterReplies),
        FindingKind::BackgroundWork { .. } => Some(AdviceKind::BatchTier),
        _ => None,
    }
}

/// What must be less afterwards.
fn verify(finding: &Finding) -> String {
    let name = &finding.operation;
    let less = match &finding.kind {
        FindingKind::SlowOperation { .. } => format!("the mean duration of {name}"),
        FindingKind::SlowComponent { component, .. } => {
            format!("the mean time of {component} in {name}")
        }
        FindingKind::HighErrorRate { .. } => format!("the error rate of {name}"),
        FindingKind::RepeatedCalls { .. } => format!("the repeated calls of {name}"),
        FindingKind::RetryStorm { target, .. } => format!("the retries of {target} in {name}"),
        FindingKind::RateLimited { target, .. } => {
            format!("the refused calls of {target} in {name}")
        }
        FindingKind::Timeouts { target, .. } => {
            format!("the time that {name} waits in vain for {target}, or its timeouts")
        }
        FindingKind::ToolLoop { tool, .. } => format!("the loops of {tool} in {name}"),
        FindingKind::TruncatedReplies { llm, .. } => format!("the cut replies of {llm} in {name}"),
        FindingKind::ContextPressure { llm, .. } => {
            format!("the prompts of {name} that hardly fit into {llm}")
        }
        _ => format!("the mean cost of {name}"),
    };
    format!("Compare {less} before and after; with 95 % confidence it must be less.")
}

fn in_words(kind: AdviceKind, finding: &Finding) -> &'static str {
    match (kind, &finding.kind) {
        (AdviceKind::FasterLlmOrBetterPrompts, _) => "Use a faster LLM or better prompts",
        (AdviceKind::BetterIndexOrChunking, _) => "Use better indexing or other chunks",
        (AdviceKind::CheaperLlmOrFewerTokens, _) => "Use a cheaper LLM or fewer tokens",
        (AdviceKind::ErrorHandlingAndRetry, _) => "Improve error handling and retry logic",
        (AdviceKind::CacheFrequentRequests, _) => "Cache the answers to what is asked often",
        (AdviceKind::RetryWithBackoff, _) => "Retry fewer times and wait longer in between",
        (AdviceKind::SpreadOrRaiseLimit, _) => "Slow down or ask for a higher limit",
        (AdviceKind::ShorterTimeout, _) => "Give up earlier",
        (AdviceKind::StopLoops, _) => "Stop what is done again with the same arguments",
        (AdviceKind::RaiseOutputLimit, _) => {
            "Raise the limit of the reply or ask for a shorter one"
        }
        (AdviceKind::ShorterContext, _) => {
            "Put less into the prompt or use an LLM with a larger window"
        }
        (AdviceKind::PromptCaching, _) => "Let the provider cache what prompts begin with",
        (AdviceKind::ShorterReplies, _) => "Ask for shorter replies",
        (AdviceKind::BatchTier, _) => "Send work that nobody waits for to the batch tier",
        (_, FindingKind::SlowOperation { .. }) => "Find the component that takes the time",
        _ => "Look at the component that takes the time",
    }
}

/// What a thing does, by its name.
#[derive(Clone, Copy)]
enum Work {
    Inference,
    Search,
    Other,
}

/// Words that tell of an LLM at work.
const INFERENCE: [&str; 6] = ["llm", "inference", "completion", "chat", "prompt", "generation"];
/// Beginnings of words that tell of a search in data of one's own.
const SEARCH: [&str; 4] = ["search", "retriev", "vector", "index"];
/// Beginnings of words after which neither advice fits: embedding is another kind of LLM, and the index of the web
/// is somebody else's.
const NEITHER: [&str; 2] = ["embed", "web"];

impl Work {
    fn of(name: &str) -> Self {
        let name = name.to_lowercase();
        let words = || name.split(|c: char| !c.is_alphanumeric());
        let begins = |list: &[&str]| words().any(|word| list.iter().any(|w| word.starts_with(w)));
        if begins(&NEITHER) {
            Self::Other
        } else if begins(&SEARCH) {
            Self::Search
        } else if words().any(|word| INFERENCE.contains(&word)) {
            Self::Inference
        } else {
            Self::Other
        }
    }

    const fn advice(self) -> AdviceKind {
        match self {
            Self::Inference => AdviceKind::FasterLlmOrBetterPrompts,
            Self::Search => AdviceKind::BetterIndexOrChunking,
            Self::Other => AdviceKind::InspectComponent,
        }
    }
}

#[cfg(test)]
mod tests {
    use taximeter_models::Rate;

    use super::*;

    fn slow_operation(name: &str) -> Finding {
        let kind = FindingKind::SlowOperation {
            mean_seconds: 9.0,
            threshold_seconds: 3.0,
            above: Rate { hits: 1, of: 1 },
        };
        Finding::new(name, kind, vec![])
    }

    fn slow_component(name: &str) -> Finding {
        let kind = FindingKind::SlowComponent {
            component: name.into(),
            mean_seconds: 4.0,
            threshold_seconds: 2.0,
            above: Rate { hits: 1, of: 1 },
            share_of_time: 0.8,
        };
        Finding::new("qa_response", kind, vec![])
    }

    fn kinds(findings: &[Finding]) -> Vec<AdviceKind> {
        advise(findings).into_iter().map(|advice| advice.advice).collect()
    }

    #[test]
    fn the_name_tells_what_would_help() {
        for (name, expected) in [
            ("llm_inference", AdviceKind::FasterLlmOrBetterPrompts),
            ("answer-generation", AdviceKind::FasterLlmOrBetterPrompts),
            ("vector_search", AdviceKind::BetterIndexOrChunking),
            ("document_retrieval", AdviceKind::BetterIndexOrChunking),
            ("embedding_generation", AdviceKind::InspectComponent),
            ("web_search", AdviceKind::InspectComponent),
            ("citation_processing", AdviceKind::InspectComponent),
        ] {
            assert_eq!(kinds(&[slow_component(name)]), [expected], "{name}");
        }
        assert_eq!(
            kinds(&[slow_operation("llm_inference")]),
            [AdviceKind::FasterLlmOrBetterPrompts]
        );
    }

    #[test]
    fn a_slow_operation_is_explained_by_its_slow_component() {
        let operation = slow_operation("qa_response");
        assert_eq!(kinds(std::slice::from_ref(&operation)), [AdviceKind::InspectComponent]);
        let both = [operation, slow_component("vector_search")];
        assert_eq!(kinds(&both), [AdviceKind::BetterIndexOrChunking]);
    }

    #[test]
    fn no_finding_no_advice() {
        assert_eq!(advise(&[]), []);
        let noted = FindingKind::Noted { text: "slow on Mondays".into() };
        assert_eq!(advise(&[Finding::new("x", noted, vec![])]), []);
    }
}
