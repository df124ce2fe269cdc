-- Version 1 of the store. docs/FORMATS.md says what each table is for; whoever reads by SQL reads the views below.

-- Texts that are named again and again, each once: names, the keys of metadata, and explanations of prices.
CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE,
  checked INTEGER NOT NULL
) STRICT;

-- A part of an operation has the number of its operation times 4096, plus its place.
CREATE TABLE operations (
  seq INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  name INTEGER NOT NULL,
  started_ns INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL,
  outcome INTEGER NOT NULL,
  parent BLOB,
  trace BLOB,
  user TEXT,
  session TEXT,
  tags TEXT,
  keys INTEGER,
  metadata TEXT,
  cost_usd TEXT,
  more TEXT,
  checked INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX operations_by_id ON operations (id);

CREATE TABLE components (
  part INTEGER PRIMARY KEY,
  name INTEGER NOT NULL,
  offset_ns INTEGER,
  duration_ns INTEGER NOT NULL,
  count INTEGER
) STRICT;

CREATE TABLE tool_calls (
  part INTEGER PRIMARY KEY,
  name INTEGER NOT NULL,
  status INTEGER NOT NULL,
  offset_ns INTEGER,
  duration_ns INTEGER,
  attempt INTEGER,
  arguments_hash INTEGER,
  keys INTEGER,
  metadata TEXT,
  more TEXT
) STRICT;

CREATE TABLE llm_calls (
  part INTEGER PRIMARY KEY,
  provider INTEGER,
  request_model INTEGER,
  response_model INTEGER,
  finish_reason INTEGER,
  offset_ns INTEGER,
  duration_ns INTEGER,
  first_token_ns INTEGER,
  streamed INTEGER,
  attempt INTEGER,
  uncached_input INTEGER,
  cache_read INTEGER,
  output INTEGER,
  other_usage TEXT,
  price INTEGER,
  price_numbers TEXT,
  cost TEXT,
  currency TEXT,
  keys INTEGER,
  metadata TEXT,
  more TEXT
) STRICT;

CREATE TABLE faults (
  part INTEGER PRIMARY KEY,
  kind INTEGER NOT NULL,
  place INTEGER NOT NULL,
  category TEXT,
  message TEXT NOT NULL,
  causes TEXT,
  component INTEGER
) STRICT;

-- When the operations of each 4096 numbers began, so that a question about a day reads that day.
CREATE TABLE extents (
  chunk INTEGER PRIMARY KEY,
  from_ns INTEGER NOT NULL,
  to_ns INTEGER NOT NULL,
  operations INTEGER NOT NULL,
  checked INTEGER NOT NULL
) STRICT;

-- Sums of minutes, hours and days. `key` is an empty blob for those that told none.
-- `rolled` is 1 where the window is in one of the next level too.
CREATE TABLE rollups (
  level INTEGER NOT NULL,
  start INTEGER NOT NULL,
  dimension TEXT NOT NULL,
  key ANY NOT NULL,
  rolled INTEGER NOT NULL,
  count INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  duration_ns INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  cost_usd TEXT NOT NULL,
  unpriced INTEGER NOT NULL,
  window BLOB NOT NULL,
  checked INTEGER NOT NULL,
  PRIMARY KEY (level, dimension, start, key, rolled)
) STRICT, WITHOUT ROWID;
CREATE INDEX rollups_by_age ON rollups (level, rolled, start);

-- Sealed operations: one row for a block, and one for each of its columns. A column has the number of its block times
-- 65536, plus its own. Checksums stand within the bytes.
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  from_ns INTEGER NOT NULL,
  to_ns INTEGER NOT NULL,
  operations INTEGER NOT NULL,
  meta BLOB NOT NULL
) STRICT;
CREATE TABLE block_columns (
  part INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL
) STRICT;

-- What is counted over the life of the store.
CREATE TABLE counters (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters VALUES ('next_seq', 1), ('known', 0), ('next_block', 1);

CREATE VIEW hot_operations AS
SELECT
  lower(substr(hex(o.id), 1, 8) || '-' || substr(hex(o.id), 9, 4) || '-' || substr(hex(o.id), 13, 4) || '-'
    || substr(hex(o.id), 17, 4) || '-' || substr(hex(o.id), 21)) AS id,
  n.text AS name,
  strftime('%Y-%m-%dT%H:%M:%S', (o.started_ns - (o.started_ns % 1000000000 + 1000000000) % 1000000000) / 1000000000,
      'unixepoch')
    || printf('.%09dZ', (o.started_ns % 1000000000 + 1000000000) % 1000000000) AS started_at,
  o.started_ns,
  o.duration_ns,
  CASE o.outcome WHEN 0 THEN 'success' WHEN 1 THEN 'failure' ELSE 'abandoned' END AS outcome,
  CASE WHEN o.parent IS NOT NULL THEN
    lower(substr(hex(o.parent), 1, 8) || '-' || substr(hex(o.parent), 9, 4) || '-' || substr(hex(o.parent), 13, 4)
      || '-' || substr(hex(o.parent), 17, 4) || '-' || substr(hex(o.parent), 21)) END AS parent_id,
  lower(hex(coalesce(o.trace, o.id))) AS trace_id,
  o.user,
  o.session,
  coalesce(o.tags, '{}') AS tags,
  coalesce((SELECT json_group_object(k.value, CASE v.type
      WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
      WHEN 'object' THEN json(v.value) WHEN 'array' THEN json(v.value) ELSE v.value END)
    FROM names s, json_each(s.text) k, json_each(o.metadata) v
    WHERE s.id = o.keys AND v.key = k.key), '{}') AS metadata,
  (SELECT coalesce(sum(uncached_input + cache_read
      + coalesce((SELECT sum(value) FROM json_each(other_usage)
        WHERE key LIKE 'cache_%' OR key IN ('input_audio', 'input_image', 'input_video')), 0)), 0)
    FROM llm_calls c WHERE c.part BETWEEN o.seq * 4096 AND o.seq * 4096 + 4095) AS input_tokens,
  (SELECT coalesce(sum(output + coalesce((SELECT sum(value) FROM json_each(other_usage)
        WHERE key IN ('output_audio', 'output_image', 'output_video')), 0)), 0)
    FROM llm_calls c WHERE c.part BETWEEN o.seq * 4096 AND o.seq * 4096 + 4095) AS output_tokens,
  coalesce(o.cost_usd, (SELECT cost FROM llm_calls c WHERE c.part = o.seq * 4096 AND c.currency IS NULL), '0')
    AS cost_usd
FROM operations o JOIN names n ON n.id = o.name;

CREATE VIEW hot_components AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  n.text AS name,
  o.started_ns + coalesce(c.offset_ns, 0) AS started_ns,
  c.offset_ns,
  c.duration_ns,
  coalesce(c.count, 1) AS count
FROM components c
JOIN names n ON n.id = c.name
JOIN operations o ON o.seq = c.part >> 12
JOIN hot_names h ON h.seq = o.seq;

CREATE VIEW hot_tool_calls AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  n.text AS name,
  CASE c.status WHEN 0 THEN 'success' WHEN 1 THEN 'failure' WHEN 2 THEN 'timeout' ELSE 'error' END AS status,
  o.started_ns + coalesce(c.offset_ns, 0) AS started_ns,
  c.duration_ns,
  coalesce(c.attempt, 1) AS attempt,
  c.arguments_hash,
  (SELECT coalesce(f.category, 'unknown') FROM faults f WHERE f.part BETWEEN o.seq * 4096 AND o.seq * 4096 + 4095
    AND f.kind = 2 AND f.place = c.part & 4095) AS error_category,
  (SELECT f.message FROM faults f WHERE f.part BETWEEN o.seq * 4096 AND o.seq * 4096 + 4095
    AND f.kind = 2 AND f.place = c.part & 4095) AS error_message,
  coalesce((SELECT json_group_object(k.value, CASE v.type
      WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
      WHEN 'object' THEN json(v.value) WHEN 'array' THEN json(v.value) ELSE v.value END)
    FROM names s, json_each(s.text) k, json_each(c.metadata) v
    WHERE s.id = c.keys AND v.key = k.key), '{}') AS metadata
FROM tool_calls c
JOIN names n ON n.id = c.name
JOIN operations o ON o.seq = c.part >> 12
JOIN hot_names h ON h.seq = o.seq;

CREATE VIEW hot_llm_calls AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  p.text AS provider,
  coalesce(q.text, a.text, 'unknown') AS name,
  q.text AS request_model,
  a.text AS response_model,
  r.text AS finish_reason,
  o.started_ns + coalesce(c.offset_ns, 0) AS started_ns,
  c.duration_ns,
  c.first_token_ns,
  coalesce(c.streamed, 0) AS streamed,
  coalesce(c.attempt, 1) AS attempt,
  c.uncached_input + c.cache_read + coalesce((SELECT sum(value) FROM json_each(c.other_usage)
    WHERE key LIKE 'cache_%' OR key IN ('input_audio', 'input_image', 'input_video')), 0) AS input_tokens,
  c.cache_read AS cache_read_tokens,
  c.output + coalesce((SELECT sum(value) FROM json_each(c.other_usage)
    WHERE key IN ('output_audio', 'output_image', 'output_video')), 0) AS output_tokens,
  c.cost,
  CASE WHEN c.cost IS NOT NULL THEN coalesce(c.currency, 'USD') END AS currency,
  coalesce(json_extract(x.text, '$.outcome'), json_extract(c.price_numbers, '$.outcome'), 'pending') AS cost_outcome,
  (SELECT coalesce(f.category, 'unknown') FROM faults f WHERE f.part BETWEEN o.seq * 4096 AND o.seq * 4096 + 4095
    AND f.kind = 3 AND f.place = c.part & 4095) AS error_category,
  (SELECT f.message FROM faults f WHERE f.part BETWEEN o.seq * 4096 AND o.seq * 4096 + 4095
    AND f.kind = 3 AND f.place = c.part & 4095) AS error_message,
  coalesce((SELECT json_group_object(k.value, CASE v.type
      WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
      WHEN 'object' THEN json(v.value) WHEN 'array' THEN json(v.value) ELSE v.value END)
    FROM names s, json_each(s.text) k, json_each(c.metadata) v
    WHERE s.id = c.keys AND v.key = k.key), '{}') AS metadata
FROM llm_calls c
JOIN operations o ON o.seq = c.part >> 12
JOIN hot_names h ON h.seq = o.seq
LEFT JOIN names p ON p.id = c.provider
LEFT JOIN names q ON q.id = c.request_model
LEFT JOIN names a ON a.id = c.response_model
LEFT JOIN names r ON r.id = c.finish_reason
LEFT JOIN names x ON x.id = c.price;

CREATE VIEW hot_faults AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  CASE f.kind WHEN 0 THEN 'error' WHEN 1 THEN 'warning' WHEN 2 THEN 'tool call' ELSE 'llm call' END AS kind,
  f.category,
  f.message,
  coalesce(f.causes, '[]') AS causes,
  n.text AS component
FROM faults f
JOIN hot_names h ON h.seq = f.part >> 12
LEFT JOIN names n ON n.id = f.component;

CREATE VIEW hot_names AS
SELECT
  o.seq,
  lower(substr(hex(o.id), 1, 8) || '-' || substr(hex(o.id), 9, 4) || '-' || substr(hex(o.id), 13, 4) || '-'
    || substr(hex(o.id), 17, 4) || '-' || substr(hex(o.id), 21)) AS id,
  n.text AS name
FROM operations o JOIN names n ON n.id = o.name;

CREATE VIEW rollups_minute AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS start, dimension,
  CASE typeof(key) WHEN 'text' THEN key END AS key,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 0;

CREATE VIEW rollups_hour AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS start, dimension,
  CASE typeof(key) WHEN 'text' THEN key END AS key,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 1
UNION ALL
SELECT strftime('%Y-%m-%dT%H:00:00Z', start, 'unixepoch'), dimension, CASE typeof(key) WHEN 'text' THEN key END,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 0 AND rolled <> 1;

CREATE VIEW rollups_day AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS start, dimension,
  CASE typeof(key) WHEN 'text' THEN key END AS key,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 2
UNION ALL
SELECT strftime('%Y-%m-%dT00:00:00Z', start, 'unixepoch'), dimension, CASE typeof(key) WHEN 'text' THEN key END,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level < 2 AND rolled <> 1;
