-- Recent operations, a row each. Their parts are lists in JSON, a list of a few cells for each part; what a part lacks at
-- its end is left out. parts.rs says which cell is what.
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
  components TEXT,
  tool_calls TEXT,
  llm_calls TEXT,
  faults TEXT,
  checked INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX operations_by_id ON operations (id);
