//! The boundaries of histograms that the GenAI conventions advise.

/// Seconds, for durations: those of `gen_ai.client.operation.duration` (semantic conventions v1.41, GenAI metrics).
pub const DURATION_SECONDS: [f64; 14] =
    [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92];

/// Tokens: those of `gen_ai.client.token.usage` (semantic conventions v1.41, GenAI metrics).
pub const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

/// Seconds, for agents: those of `gen_ai.invoke_agent.duration` (`semantic-conventions-genai`, autumn 2026).
pub(super) const AGENT_SECONDS: [f64; 13] =
    [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6];

/// Seconds, for workflows: those of `gen_ai.invoke_workflow.duration` (`semantic-conventions-genai`, autumn 2026).
pub(super) const WORKFLOW_SECONDS: [f64; 11] =
    [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0];

/// Calls: those of `gen_ai.invoke_agent.inference_calls` (`semantic-conventions-genai`, autumn 2026).
pub(super) const CALLS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0];
