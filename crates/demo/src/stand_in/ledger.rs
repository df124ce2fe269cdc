//! The stand-in's own books: every request it took, how it ended, and the tokens it gave out.

use std::sync::{Arc, Mutex, PoisonError};

/// What was served up to a moment.
///
/// When no request is under way, `requests` is the sum of the nine ways in which one can end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Requests for a completion that came in.
    pub requests: u64,
    /// Those answered whole.
    pub answered: u64,
    /// Those turned away with a 429.
    pub rate_limited: u64,
    /// Those turned away with a 401.
    pub unauthorized: u64,
    /// Those failed with a 500.
    pub server_errors: u64,
    /// Those held until the client gave up.
    pub timeouts: u64,
    /// Those answered with JSON that breaks off.
    pub malformed: u64,
    /// Those that were no request at all, answered with a 400.
    pub bad_requests: u64,
    /// Those for a model that is not served, answered with a 404.
    pub unknown_models: u64,
    /// Those whose client went away, though nothing was wrong.
    pub abandoned: u64,
    /// The tokens of the requests answered whole.
    pub tokens: ServedTokens,
    /// Answers with a citation that no passage has.
    pub invented_citations: u64,
}

/// Tokens, as the usage blocks of the answers had them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServedTokens {
    /// All tokens of the prompts, the cached ones included.
    pub prompt: u64,
    /// Those of the prompts found in the cache.
    pub cached: u64,
    /// All tokens generated, the reasoning included.
    pub completion: u64,
    /// Those generated that are not part of the text.
    pub reasoning: u64,
}

impl Served {
    /// Requests that came in and have not ended yet.
    pub fn under_way(&self) -> u64 {
        let ended = self.answered + self.failed() + self.abandoned;
        self.requests.saturating_sub(ended)
    }

    /// Requests that a client sees fail.
    pub fn failed(&self) -> u64 {
        self.rate_limited
            + self.unauthorized
            + self.server_errors
            + self.timeouts
            + self.malformed
            + self.bad_requests
            + self.unknown_models
    }
}

/// The books, shared by all requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledger(Arc<Mutex<Served>>);

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Answered { tokens: ServedTokens, invented_citation: bool },
    RateLimited,
    Unauthorized,
    ServerError,
    TimedOut,
    Malformed,
    BadRequest,
    UnknownModel,
}

/// One request under way. Dropped without an outcome, its client has gone away.
#[derive(Debug)]
pub(super) struct Exchange {
    ledger: Ledger,
    closed: bool,
}

impl Ledger {
    /// Opens a request, and numbers it from 0.
    pub(super) fn open(&self) -> (u64, Exchange) {
        let number = self.write(|served| {
            served.requests += 1;
            served.requests - 1
        });
        (number, Exchange { ledger: self.clone(), closed: false })
    }

    pub(super) fn served(&self) -> Served {
        self.write(|served| *served)
    }

    fn write<T>(&self, change: impl FnOnce(&mut Served) -> T) -> T {
        // Each change is a few additions; a thread that died amid one cannot have left them half done.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Exchange {
    /// Books the end, which must happen before the client can see it.
    pub(super) fn close(mut self, outcome: Outcome) {
        self.closed = true;
        self.ledger.write(|served| served.book(outcome));
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.closed {
            self.ledger.write(|served| served.abandoned += 1);
        }
    }
}

impl Served {
    fn book(&mut self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Answered { tokens, invented_citation } => {
                self.tokens.add(tokens);
                self.invented_citations += u64::from(invented_citation);
                &mut self.answered
            }
            Outcome::RateLimited => &mut self.rate_limited,
            Outcome::Unauthorized => &mut self.unauthorized,
            Outcome::ServerError => &mut self.server_errors,
            Outcome::TimedOut => &mut self.timeouts,
            Outcome::Malformed => &mut self.malformed,
            Outcome::BadRequest => &mut self.bad_requests,
            Outcome::UnknownModel => &mut self.unknown_models,
        };
        *count += 1;
    }
}

impl ServedTokens {
    fn add(&mut self, other: Self) {
        self.prompt += other.prompt;
        self.cached += other.cached;
        self.completion += other.completion;
        self.reasoning += other.reasoning;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_ends_in_one_way() {
        let ledger = Ledger::default();
        let tokens = ServedTokens { prompt: 9, cached: 4, completion: 3, reasoning: 1 };
        let outcomes = [
            Outcome::Answered { tokens, invented_citation: true },
            Outcome::Answered { tokens, invented_citation: false },
            Outcome::RateLimited,
            Outcome::Unauthorized,
            Outcome::ServerError,
            Outcome::TimedOut,
            Outcome::Malformed,
            Outcome::BadRequest,
            Outcome::UnknownModel,
        ];
        for (expected, outcome) in (0..).zip(outcomes) {
            let (number, exchange) = ledger.open();
            assert_eq!((number, ledger.served().under_way()), (expected, 1));
            exchange.close(outcome);
        }
        drop(ledger.open());
        let served = ledger.served();
        assert_eq!((served.requests, served.answered, served.failed()), (10, 2, 7));
        assert_eq!((served.abandoned, served.under_way(), served.invented_citations), (1, 0, 1));
        let doubled = ServedTokens { prompt: 18, cached: 8, completion: 6, reasoning: 2 };
        assert_eq!(served.tokens, doubled);
    }
}
