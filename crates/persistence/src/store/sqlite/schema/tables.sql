-- Version 3 of the store. docs/FORMATS.md says what each table is for; whoever reads by SQL reads the views of views.sql.
-- Recent operations are in operations.sql.

-- Texts that are named again and again, each once: names, the keys of metadata, and explanations of prices.
CREATE TABLE names (
  id INTEGER PRIMARY KEY,
  text TEXT NOT NULL UNIQUE,
  checked INTEGER NOT NULL
) STRICT;

-- When the operations of each 4096 numbers began, so that a question about a day reads that day.
CREATE TABLE extents (
  chunk INTEGER PRIMARY KEY,
  from_ns INTEGER NOT NULL,
  to_ns INTEGER NOT NULL,
  operations INTEGER NOT NULL,
  checked INTEGER NOT NULL
) STRICT;

-- Sums of minutes, hours and days. `key` is an empty blob for those that told none; where it is a number, the row holds the
-- sums of many keys of that minute, which packs.rs takes apart.
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

-- The columns of sealed operations. A column has the number of its block times 65536, plus its own; the metadata of the
-- block are column 0. Checksums stand within the bytes.
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
