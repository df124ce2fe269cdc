//! The meter for LLM applications: tool calls, tokens, money and wall time of every operation.
