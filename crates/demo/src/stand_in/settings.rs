//! How the stand-in shall behave: how fast, how faulty, and from which seed.

use std::time::Duration;

use fastrand::Rng;

/// The settings of a [`StandIn`](crate::StandIn).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StandInConfig {
    /// Decides, with the number of the request, what goes wrong and how the latency scatters. Default: 0.
    pub seed: u64,
    /// How often things go wrong. Default: never.
    pub faults: FaultRates,
    /// Scales the latency of a real model; 0 answers at once. Default: 0.15, which makes a usual answer take 100 ms.
    pub latency_scale: f64,
    /// How long a request that is to time out is held. Default: 30 s.
    pub stall: Duration,
    /// The shortest prompt prefix that is cached, in tokens. Default: 1,024, as at OpenAI.
    pub cache_threshold: usize,
}

impl Default for StandInConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            faults: FaultRates::none(),
            latency_scale: 0.15,
            stall: Duration::from_secs(30),
            cache_threshold: 1_024,
        }
    }
}

impl StandInConfig {
    /// With this seed.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With these faults.
    pub fn faults(mut self, faults: FaultRates) -> Self {
        self.faults = faults;
        self
    }

    /// With this share of a real model's latency.
    pub fn latency_scale(mut self, scale: f64) -> Self {
        self.latency_scale = scale;
        self
    }

    /// With stalled requests held this long.
    pub fn stall(mut self, stall: Duration) -> Self {
        self.stall = stall;
        self
    }

    /// With this shortest cached prefix.
    pub fn cache_threshold(mut self, tokens: usize) -> Self {
        self.cache_threshold = tokens;
        self
    }

    /// The random numbers of one request, whichever thread it comes from.
    pub(super) fn rng(&self, request: u64) -> Rng {
        // Spreads neighbouring numbers over the whole range; seeds that differ by one would give like streams.
        let spread = request.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        Rng::with_seed(self.seed ^ spread)
    }
}

/// How often things go wrong: each a share of all requests, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct FaultRates {
    /// 429 with `Retry-After`.
    pub rate_limited: f64,
    /// 401, although the key is right.
    pub unauthorized: f64,
    /// 500.
    pub server_error: f64,
    /// Accepted, and held for longer than a client waits.
    pub timeout: f64,
    /// 200, with JSON that breaks off.
    pub malformed: f64,
    /// A fine answer, with a citation of a passage that is not there.
    pub invented_citation: f64,
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    RateLimited,
    Unauthorized,
    ServerError,
    Timeout,
    Malformed,
}

impl FaultRates {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// What a busy day with a provider looks like: one request in ten fails, most of them to be tried again.
    pub fn busy_day() -> Self {
        Self {
            rate_limited: 0.04,
            unauthorized: 0.01,
            server_error: 0.03,
            timeout: 0.01,
            malformed: 0.01,
            invented_citation: 0.05,
        }
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> Option<Fault> {
        let mut left = rng.f64();
        let faults = [
            (self.rate_limited, Fault::RateLimited),
            (self.unauthorized, Fault::Unauthorized),
            (self.server_error, Fault::ServerError),
            (self.timeout, Fault::Timeout),
            (self.malformed, Fault::Malformed),
        ];
        for (rate, fault) in faults {
            if left < rate {
                return Some(fault);
            }
            left -= rate;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_come_at_their_rates_and_the_same_each_time() {
        let config = StandInConfig::default().seed(9);
        let rates = FaultRates { rate_limited: 0.2, malformed: 0.1, ..FaultRates::none() };
        let draw = || (0..5_000).map(|n| rates.draw(&mut config.rng(n))).collect::<Vec<_>>();
        let drawn = draw();
        assert_eq!(drawn, draw());
        let count = |fault| drawn.iter().filter(|drawn| **drawn == fault).count();
        assert!((900..1_100).contains(&count(Some(Fault::RateLimited))));
        assert!((420..580).contains(&count(Some(Fault::Malformed))));
        assert_eq!(count(Some(Fault::Timeout)), 0);
    }

    #[test]
    fn rates_of_one_and_zero_are_kept() {
        let always = FaultRates { timeout: 1.0, ..FaultRates::none() };
        for number in 0..100 {
            let mut rng = StandInConfig::default().rng(number);
            assert_eq!(always.draw(&mut rng), Some(Fault::Timeout));
            assert_eq!(FaultRates::none().draw(&mut rng), None);
        }
    }
}
