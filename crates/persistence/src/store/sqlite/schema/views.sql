-- What people read by SQL. A cell of a part is `value ->> place`.
CREATE VIEW hot_names AS
SELECT
  o.seq,
  lower(substr(hex(o.id), 1, 8) || '-' || substr(hex(o.id), 9, 4) || '-' || substr(hex(o.id), 13, 4) || '-'
    || substr(hex(o.id), 17, 4) || '-' || substr(hex(o.id), 21)) AS id,
  n.text AS name
FROM operations o JOIN names n ON n.id = o.name;

CREATE VIEW hot_operations AS
SELECT
  h.id,
  h.name,
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
  (SELECT coalesce(sum((c.value ->> 7) + (c.value ->> 8)
      + coalesce((SELECT sum(value) FROM json_each(c.value, '$[16]') WHERE (key LIKE 'cache_%' OR key IN ('input_audio', 'input_image', 'input_video'))), 0)), 0)
    FROM json_each(o.llm_calls) c) AS input_tokens,
  (SELECT coalesce(sum((c.value ->> 9)
      + coalesce((SELECT sum(value) FROM json_each(c.value, '$[16]') WHERE key IN ('output_audio', 'output_image', 'output_video')), 0)), 0)
    FROM json_each(o.llm_calls) c) AS output_tokens,
  coalesce(o.cost_usd, '0') AS cost_usd,
  o.more ->> '$.remote_parent' AS remote_parent_id
FROM operations o JOIN hot_names h ON h.seq = o.seq;

CREATE VIEW hot_components AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  n.text AS name,
  o.started_ns + coalesce(c.value ->> 1, 0) AS started_ns,
  c.value ->> 1 AS offset_ns,
  c.value ->> 2 AS duration_ns,
  coalesce(c.value ->> 3, 1) AS count
FROM operations o
JOIN hot_names h ON h.seq = o.seq
JOIN json_each(o.components) c
JOIN names n ON n.id = c.value ->> 0;

CREATE VIEW hot_tool_calls AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  n.text AS name,
  CASE c.value ->> 1 WHEN 0 THEN 'success' WHEN 1 THEN 'failure' WHEN 2 THEN 'timeout' ELSE 'error' END AS status,
  o.started_ns + coalesce(c.value ->> 2, 0) AS started_ns,
  c.value ->> 3 AS duration_ns,
  coalesce(c.value ->> 6, 1) AS attempt,
  c.value ->> 7 AS arguments_hash,
  (SELECT coalesce(f.value ->> 3, 'unknown') FROM json_each(o.faults) f
    WHERE f.value ->> 0 = 2 AND f.value ->> 1 = c.key) AS error_category,
  (SELECT f.value ->> 2 FROM json_each(o.faults) f WHERE f.value ->> 0 = 2 AND f.value ->> 1 = c.key) AS error_message,
  coalesce((SELECT json_group_object(k.value, CASE v.type
      WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
      WHEN 'object' THEN json(v.value) WHEN 'array' THEN json(v.value) ELSE v.value END)
    FROM names s, json_each(s.text) k, json_each(c.value, '$[5]') v
    WHERE s.id = c.value ->> 4 AND v.key = k.key), '{}') AS metadata
FROM operations o
JOIN hot_names h ON h.seq = o.seq
JOIN json_each(o.tool_calls) c
JOIN names n ON n.id = c.value ->> 0;

CREATE VIEW hot_llm_calls AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  p.text AS provider,
  coalesce(q.text, a.text, 'unknown') AS name,
  q.text AS request_model,
  a.text AS response_model,
  r.text AS finish_reason,
  o.started_ns + coalesce(c.value ->> 4, 0) AS started_ns,
  c.value ->> 5 AS duration_ns,
  c.value ->> 6 AS first_token_ns,
  coalesce(c.value ->> 12, 0) AS streamed,
  coalesce(c.value ->> 13, 1) AS attempt,
  (c.value ->> 7) + (c.value ->> 8) + coalesce((SELECT sum(value) FROM json_each(c.value, '$[16]')
    WHERE (key LIKE 'cache_%' OR key IN ('input_audio', 'input_image', 'input_video'))), 0) AS input_tokens,
  c.value ->> 8 AS cache_read_tokens,
  (c.value ->> 9) + coalesce((SELECT sum(value) FROM json_each(c.value, '$[16]')
    WHERE key IN ('output_audio', 'output_image', 'output_video')), 0) AS output_tokens,
  coalesce(c.value ->> 11, iif(json_array_length(o.llm_calls) = 1, o.cost_usd, NULL)) AS cost,
  CASE WHEN c.value ->> 11 IS NOT NULL OR (json_array_length(o.llm_calls) = 1 AND o.cost_usd IS NOT NULL)
    THEN coalesce(c.value ->> 17, 'USD') END AS currency,
  coalesce(x.text ->> '$.outcome', c.value ->> '$[18].outcome', 'pending') AS cost_outcome,
  (SELECT coalesce(f.value ->> 3, 'unknown') FROM json_each(o.faults) f
    WHERE f.value ->> 0 = 3 AND f.value ->> 1 = c.key) AS error_category,
  (SELECT f.value ->> 2 FROM json_each(o.faults) f WHERE f.value ->> 0 = 3 AND f.value ->> 1 = c.key) AS error_message,
  coalesce((SELECT json_group_object(k.value, CASE v.type
      WHEN 'true' THEN json('true') WHEN 'false' THEN json('false')
      WHEN 'object' THEN json(v.value) WHEN 'array' THEN json(v.value) ELSE v.value END)
    FROM names s, json_each(s.text) k, json_each(c.value, '$[15]') v
    WHERE s.id = c.value ->> 14 AND v.key = k.key), '{}') AS metadata
FROM operations o
JOIN hot_names h ON h.seq = o.seq
JOIN json_each(o.llm_calls) c
LEFT JOIN names p ON p.id = c.value ->> 0
LEFT JOIN names q ON q.id = c.value ->> 1
LEFT JOIN names a ON a.id = c.value ->> 2
LEFT JOIN names r ON r.id = c.value ->> 3
LEFT JOIN names x ON x.id = c.value ->> 10;

CREATE VIEW hot_faults AS
SELECT
  h.id AS operation_id,
  h.name AS operation,
  CASE f.value ->> 0 WHEN 0 THEN 'error' WHEN 1 THEN 'warning' WHEN 2 THEN 'tool call' ELSE 'llm call' END AS kind,
  f.value ->> 3 AS category,
  f.value ->> 2 AS message,
  coalesce(f.value -> 5, '[]') AS causes,
  n.text AS component
FROM operations o
JOIN hot_names h ON h.seq = o.seq
JOIN json_each(o.faults) f
LEFT JOIN names n ON n.id = f.value ->> 4;

CREATE VIEW rollups_minute AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS start, dimension,
  CASE typeof(key) WHEN 'text' THEN key WHEN 'integer' THEN '_many' END AS key,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 0;

CREATE VIEW rollups_hour AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS start, dimension,
  CASE typeof(key) WHEN 'text' THEN key WHEN 'integer' THEN '_many' END AS key,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 1
UNION ALL
SELECT strftime('%Y-%m-%dT%H:00:00Z', start, 'unixepoch'), dimension, CASE typeof(key) WHEN 'text' THEN key WHEN 'integer' THEN '_many' END,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 0 AND rolled <> 1;

CREATE VIEW rollups_day AS
SELECT strftime('%Y-%m-%dT%H:%M:%SZ', start, 'unixepoch') AS start, dimension,
  CASE typeof(key) WHEN 'text' THEN key WHEN 'integer' THEN '_many' END AS key,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level = 2
UNION ALL
SELECT strftime('%Y-%m-%dT00:00:00Z', start, 'unixepoch'), dimension, CASE typeof(key) WHEN 'text' THEN key WHEN 'integer' THEN '_many' END,
  count, failed, duration_ns, input_tokens, output_tokens, cost_usd, unpriced
FROM rollups WHERE level < 2 AND rolled <> 1;
