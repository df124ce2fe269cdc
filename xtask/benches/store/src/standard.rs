//! The standard operation: a name of eight, two keys of metadata, three components, two calls of tools with two keys of
//! metadata each, and one call of an LLM with its usage and its price.
//!
//! Values are drawn as they come in real life: arrivals by chance, durations and tokens log-normal, user ids of twelve
//! random characters of which each is new, addresses of thirty bytes with a number. `SEED=n` draws other ones.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp, LogNormal};
use taximeter_models::{
    ErrorCategory, ErrorRecord, LlmCall, OperationId, OperationRecord, Outcome, TokenUsage,
    ToolCall, ToolStatus, TraceId,
};
use taximeter_pricing::PriceBook;

/// Operations a second, by the clock of the records.
const PER_SECOND: f64 = 200.0;
/// Threads that record.
const THREADS: usize = 4;

const NAMES: [&str; 8] = [
    "qa_response",
    "summarize",
    "translate",
    "classify",
    "extract_entities",
    "plan_trip",
    "write_code",
    "review_code",
];
const MODELS: [&str; 3] = ["gpt-4o", "gpt-4o-mini", "gpt-4.1"];
const TEAMS: [&str; 12] = [
    "search", "support", "growth", "data", "mobile", "web", "ads", "billing", "legal", "sales",
    "ops", "lab",
];
const PLANS: [&str; 4] = ["free", "team", "business", "enterprise"];

/// How much of an operation is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Components and calls as durations.
    Durations,
    /// Components and calls as guards, so that it is told when each began; the call of the LLM is timed too.
    Guards,
    /// The same, with a user of a thousand, a team as a tag, a plan as metadata, and one in fifty that fails.
    Tagged,
}

/// Makes standard operations, each later than the one before.
pub(crate) struct Standard {
    form: Form,
    random: StdRng,
    book: PriceBook,
    clock: DateTime<Utc>,
    /// The lower half of the last id of each thread.
    threads: [u64; THREADS],
    users: Vec<String>,
}

impl Standard {
    pub(crate) fn new(form: Form) -> Self {
        let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
        let mut random = StdRng::seed_from_u64(seed);
        let threads = [(); THREADS].map(|()| (random.random::<u64>() & 0xff_ffff_ffff) << 22);
        let users = (0..1_000).map(|_| characters(&mut random)).collect();
        let clock = "2026-11-23T00:00:00Z".parse().expect("a time");
        Self { form, random, book: PriceBook::embedded().clone(), clock, threads, users }
    }

    pub(crate) fn batch(&mut self, count: usize) -> Vec<OperationRecord> {
        (0..count).map(|_| self.operation()).collect()
    }

    fn operation(&mut self) -> OperationRecord {
        let wait: f64 = Exp::new(PER_SECOND).expect("a rate").sample(&mut self.random);
        self.clock += TimeDelta::nanoseconds((wait * 1e9) as i64);
        let mut record = OperationRecord::new(NAMES[self.random.random_range(0..NAMES.len())]);
        record.started_at = self.clock;
        record.id = self.id();
        record.trace_id = TraceId::from(record.id);
        let number = self.random.random_range(0..10_000);
        record.metadata.insert("user_id".into(), characters(&mut self.random).into());
        record.metadata.insert("number".into(), number.into());
        record.duration = self.components(&mut record);
        for tool in ["web_search", "vector_db"] {
            let call = self.tool(tool, record.started_at);
            record.tool_calls.push(call);
        }
        let call = self.llm(&record);
        record.llm_calls.push(call);
        if self.form == Form::Tagged {
            self.tag(&mut record);
        }
        record
    }

    /// An id as a collector gives it: time, thread, counter.
    fn id(&mut self) -> OperationId {
        let nanos = self.clock.timestamp_nanos_opt().unwrap_or_default().unsigned_abs();
        let millis = u128::from(nanos / 1_000_000);
        let fraction = u128::from(nanos % 1_000_000 * 4_096 / 1_000_000);
        let thread = &mut self.threads[self.random.random_range(0..THREADS)];
        *thread += 1;
        let high = millis << 16 | 7 << 12 | fraction;
        OperationId::from_bits(high << 64 | 0b10 << 62 | u128::from(*thread))
    }

    /// Log-normal around a median, with a spread of about a half.
    fn took(&mut self, median: Duration) -> Duration {
        let spread = LogNormal::new(0.0, 0.5).expect("a spread");
        median.mul_f64(spread.sample(&mut self.random))
    }

    fn components(&mut self, record: &mut OperationRecord) -> Duration {
        let medians = [("retrieval", 180), ("prompt_build", 2), ("llm_inference", 1_400)];
        let mut end = self.took(Duration::from_micros(20));
        for (component, millis) in medians {
            let took = self.took(Duration::from_millis(millis));
            record.add_component(component, took);
            if let (Some(timing), true) =
                (record.components.last_mut(), self.form != Form::Durations)
            {
                timing.offset = Some(end);
            }
            end += took + self.took(Duration::from_micros(20));
        }
        end
    }

    fn tool(&mut self, name: &str, base: DateTime<Utc>) -> ToolCall {
        let url = format!("https://example.com/doc/{:06}", self.random.random_range(0..1_000_000));
        let mut call = ToolCall::new(name, ToolStatus::Success)
            .lasting(self.took(Duration::from_millis(80)))
            .with("url", url)
            .with("hits", self.random.random_range(0..1_000));
        if self.form != Form::Durations {
            call.started_at = Some(base + self.took(Duration::from_millis(10)));
        }
        call
    }

    fn llm(&mut self, record: &OperationRecord) -> LlmCall {
        let mut tokens = |median: f64| {
            let spread = LogNormal::new(median.ln(), 0.6).expect("a spread");
            spread.sample(&mut self.random) as u64
        };
        let usage = TokenUsage::new(tokens(1_200.0), tokens(350.0));
        let model = MODELS[self.random.random_range(0..MODELS.len())];
        let mut call = LlmCall::new("openai", model).using(usage);
        if let (Some(timing), true) = (record.components.last(), self.form != Form::Durations) {
            let wait = self.took(Duration::from_micros(150));
            let begin = timing.offset.unwrap_or_default() + wait;
            call.started_at = Some(record.started_at + begin);
            call.duration =
                Some(timing.duration.saturating_sub(wait + self.took(Duration::from_micros(60))));
            call.time_to_first_token = Some(self.took(Duration::from_millis(300)));
            call.finish_reason = Some("stop".into());
        }
        call.cost = self.book.price_call(&call, record.started_at);
        call
    }

    fn tag(&mut self, record: &mut OperationRecord) {
        // Few users do most: the square of an even draw.
        let draw: f64 = self.random.random();
        let user = (draw * draw * self.users.len() as f64) as usize;
        record.user = Some(self.users[user].as_str().into());
        record.tags.insert("team".into(), TEAMS[user % TEAMS.len()].into());
        record
            .metadata
            .insert("plan".into(), PLANS[self.random.random_range(0..PLANS.len())].into());
        if self.random.random_range(0..50) == 0 {
            record.outcome = Outcome::Failure;
            record.errors.push(ErrorRecord::new(ErrorCategory::RateLimit, "HTTP status 429"));
        }
    }
}

/// Twelve random letters and digits.
fn characters(random: &mut StdRng) -> String {
    const OF: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..12).map(|_| char::from(OF[random.random_range(0..OF.len())])).collect()
}
