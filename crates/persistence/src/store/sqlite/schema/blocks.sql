-- Sealed operations: a row for a block. No operation in it cost more US dollars than `dearest`; null is not known.
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  from_ns INTEGER NOT NULL,
  to_ns INTEGER NOT NULL,
  operations INTEGER NOT NULL,
  dearest TEXT,
  checked INTEGER NOT NULL
) STRICT;
