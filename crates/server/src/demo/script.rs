//! What is played: a RAG application that answers questions, an agent with tools, and the indexing of documents.
//!
//! Three things happen in it, so that there is something to find: three days ago version 2 went out, whose prompts and
//! replies are longer; six hours ago the web search became slow and began to fail; and one LLM has no price.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use fastrand::Rng;
use taximeter::{ErrorCategory, ErrorRecord, Meter, Operation, TokenUsage, ToolStatus};

use super::stage::StageClock;

const USERS: [&str; 8] = ["ann", "ben", "chloe", "dan", "eve", "finn", "grace", "hugo"];
const GPT: (&str, &str) = ("openai", "gpt-4o");
const MINI: (&str, &str) = ("openai", "gpt-4o-mini");
const CLAUDE: (&str, &str) = ("anthropic", "claude-sonnet-4-5");
/// A model of one's own, for which nobody has named a price.
const OWN: (&str, &str) = ("acme", "support-7b");

/// The application, and where in its story it is.
pub(super) struct Script {
    meter: Meter,
    clock: Arc<StageClock>,
    dice: Rng,
    curtain: DateTime<Utc>,
    played: u64,
}

/// What holds at one moment of the story.
#[derive(Clone, Copy)]
struct Scene {
    version: &'static str,
    slow_search: bool,
}

impl Script {
    /// The story up to this moment, and on from there.
    pub(super) fn new(meter: Meter, clock: Arc<StageClock>, curtain: DateTime<Utc>) -> Self {
        Self { meter, clock, dice: Rng::with_seed(7), curtain, played: 0 }
    }

    /// How long it takes until the next one asks: so many minutes in the mean, fewer by day.
    pub(super) fn pause(&mut self, minutes: f64, at: DateTime<Utc>) -> TimeDelta {
        let by_day = if (8..20).contains(&at.hour()) { 0.6 } else { 1.8 };
        let seconds = -self.dice.f64().max(1e-6).ln() * minutes * by_day * 60.0;
        TimeDelta::from_std(Duration::from_secs_f64(seconds.max(10.0)))
            .unwrap_or(TimeDelta::minutes(1))
    }

    /// One operation that begins at this moment.
    pub(super) fn play(&mut self, at: DateTime<Utc>) {
        self.clock.set(at);
        self.played += 1;
        let scene = Scene {
            version: if at >= self.curtain - TimeDelta::days(3) { "2" } else { "1" },
            slow_search: at >= self.curtain - TimeDelta::hours(6),
        };
        match self.dice.u32(..100) {
            0..62 => self.answer(scene),
            62..84 => self.agent(scene),
            84..97 => self.summary(scene),
            _ => self.index(scene),
        }
    }

    fn begin(&mut self, name: &str, scene: Scene) -> Operation {
        let user = USERS[self.dice.usize(..USERS.len()).min(self.dice.usize(..USERS.len()))];
        let place = if self.dice.u32(..10) == 0 { "staging" } else { "production" };
        let operation = self.meter.operation(name).user(user);
        let operation = operation.session(format!("{user}-{}", self.played / 12));
        operation.tag("version", scene.version).tag("environment", place).tag("demo", "yes").start()
    }

    /// A question about documents.
    fn answer(&mut self, scene: Scene) {
        let op = self.begin("qa_response", scene);
        self.component(&op, "input_validation", 0.002);
        {
            let chain = op.component("document_retrieval");
            self.component(&op, "embedding_generation", 0.04);
            self.tool(&op, "vector_search", 0.09, 0.004);
            chain.stop();
        }
        let llm = match self.dice.u32(..10) {
            0..5 => GPT,
            5..9 => MINI,
            _ => CLAUDE,
        };
        let (input, output) = if scene.version == "2" { (3_400, 420) } else { (2_100, 320) };
        let is_answered = {
            let _inference = op.component("llm_inference");
            self.ask(&op, llm, input, output)
        };
        if is_answered {
            self.component(&op, "citation_processing", 0.012);
            op.succeed();
        } else {
            op.fail(&ErrorRecord::new(ErrorCategory::RateLimit, "no answer after three attempts"));
        }
    }

    /// A task with several steps, each of which may call a tool.
    fn agent(&mut self, scene: Scene) {
        let op = self.begin("agent_run", scene);
        let mut is_done = true;
        let mut in_vain = 0;
        let said = if scene.version == "2" { 260 } else { 160 };
        for step in 0..self.dice.u64(2..5) {
            is_done = self.ask(&op, CLAUDE, 1_200 + 900 * step, said);
            if !is_done {
                break;
            }
            let (long, failing) = if scene.slow_search { (2.4, 0.18) } else { (0.7, 0.02) };
            let found = match self.dice.u32(..4) {
                0..2 => self.tool(&op, "web_search", long, failing),
                2 => self.tool(&op, "calculator", 0.01, 0.0),
                _ => self.tool(&op, "vector_search", 0.09, 0.004),
            };
            in_vain += u32::from(!found);
        }
        if !is_done {
            op.fail(&ErrorRecord::new(ErrorCategory::RateLimit, "no answer after three attempts"));
        } else if in_vain > 0 {
            op.fail(&ErrorRecord::new(ErrorCategory::Timeout, "a tool did not answer in time"));
        } else {
            op.succeed();
        }
    }

    fn summary(&mut self, scene: Scene) {
        let op = self.begin("summarize", scene);
        let llm = if self.dice.u32(..6) == 0 { OWN } else { MINI };
        if self.ask(&op, llm, 5_200, 260) { op.succeed() } else { drop(op) }
    }

    fn index(&mut self, scene: Scene) {
        let op = self.begin("index_documents", scene);
        self.component(&op, "chunking", 0.3);
        self.component(&op, "embedding_generation", 1.8);
        self.component(&op, "store_vectors", 0.25);
        op.set("documents", self.dice.u64(4..40));
        op.succeed();
    }

    /// A request, and up to two more where the provider asks to wait; says whether there was an answer.
    fn ask(
        &mut self,
        op: &Operation,
        (provider, model): (&str, &str),
        input: u64,
        output: u64,
    ) -> bool {
        for attempt in 1..=3 {
            let mut call = op.llm_call(provider, model).streamed(true).attempt(attempt).start();
            if self.dice.u32(..1_000) < 25 {
                self.wait(0.15);
                call.fail(&ErrorRecord::new(ErrorCategory::RateLimit, "429, try again later"));
                self.wait(0.5 * f64::from(attempt));
                continue;
            }
            let (input, output) = (self.about(input), self.about(output));
            let cached = if self.dice.u32(..10) < 4 { input / 1_024 * 1_024 / 2 } else { 0 };
            self.wait(if model == MINI.1 { 0.25 } else { 0.45 });
            call.first_token();
            let speed = if model == MINI.1 { 140.0 } else { 75.0 };
            #[expect(clippy::cast_precision_loss, reason = "a few hundred tokens")]
            self.wait(output as f64 / speed);
            call.usage(TokenUsage::inclusive(input, output).cache_read(cached));
            call.finish_reason(if self.dice.u32(..60) == 0 { "length" } else { "stop" });
            call.succeed();
            return true;
        }
        false
    }

    /// A call of a tool; says whether it was answered in time.
    fn tool(&mut self, op: &Operation, name: &str, seconds: f64, failing: f64) -> bool {
        let call = op.tool(name).start();
        let is_late = self.dice.f64() < failing;
        if is_late {
            self.wait(seconds * 2.0);
            call.end(ToolStatus::Timeout);
        } else {
            self.wait(seconds);
            call.succeed();
        }
        !is_late
    }

    fn component(&mut self, op: &Operation, name: &str, seconds: f64) {
        let running = op.component(name);
        self.wait(seconds);
        running.stop();
    }

    /// Time goes by: mostly about so much, now and then far more.
    fn wait(&mut self, seconds: f64) {
        let tail = if self.dice.u32(..40) == 0 { 3.0 } else { 1.0 };
        let around = 0.7 + 0.6 * self.dice.f64();
        self.clock.advance(Duration::from_secs_f64(seconds * around * tail));
    }

    /// About so many, a third more or fewer.
    fn about(&mut self, many: u64) -> u64 {
        self.dice.u64(many * 2 / 3..=many * 4 / 3)
    }
}
