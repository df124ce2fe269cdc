-- The tables over which a question in SQL is asked; see docs/FORMATS.md.
CREATE TEMP TABLE operations (id TEXT, name TEXT, started_at TEXT, started_ns INTEGER, duration_ns INTEGER, outcome TEXT,
  parent_id TEXT, trace_id TEXT, remote_parent_id TEXT, user TEXT, session TEXT, tags TEXT, metadata TEXT, input_tokens INTEGER,
  output_tokens INTEGER, cost_usd TEXT, unpriced INTEGER, error_category TEXT, error_message TEXT);
CREATE TEMP TABLE components (operation_id TEXT, operation TEXT, name TEXT, started_ns INTEGER, offset_ns INTEGER,
  duration_ns INTEGER, count INTEGER);
CREATE TEMP TABLE tool_calls (operation_id TEXT, operation TEXT, name TEXT, status TEXT, started_ns INTEGER,
  duration_ns INTEGER, attempt INTEGER, arguments_hash INTEGER, error_category TEXT, error_message TEXT, metadata TEXT);
CREATE TEMP TABLE llm_calls (operation_id TEXT, operation TEXT, provider TEXT, name TEXT, request_model TEXT,
  response_model TEXT, finish_reason TEXT, started_ns INTEGER, duration_ns INTEGER, first_token_ns INTEGER,
  streamed INTEGER, attempt INTEGER, input_tokens INTEGER, cache_read_tokens INTEGER, output_tokens INTEGER, cost TEXT,
  currency TEXT, cost_outcome TEXT, error_category TEXT, error_message TEXT, metadata TEXT);
