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
