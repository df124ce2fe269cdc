"""The query of the column bench in DuckDB and polars: one thread, columns in memory, the median of the rounds.

Called with the folder in which the bench left the columns. It prints one JSON object for each way to ask and type of
key, with the type of value that is the fastest for it, and fails where an answer differs from ours by more than it may.
"""

import json
import os
import pathlib
import statistics
import sys
import time

os.environ["POLARS_MAX_THREADS"] = "1"

import duckdb  # noqa: E402
import numpy as np  # noqa: E402
import polars as pl  # noqa: E402

SHARES = [0.5, 0.9, 0.95, 0.99]
FIELDS = ["count", "sum", "mean", "min", "max", "std_deviation", "p50", "p90", "p95", "p99", "errors"]
# The percentiles of a t-digest promise no bound; with this much they are called wrong.
TOLERANCES = {"exact": 1e-9, "approximate": 0.05}

folder = pathlib.Path(sys.argv[1])
asked = json.loads((folder / "asked.json").read_text())
names = asked["names"]
keys = np.fromfile(folder / "keys.u16", dtype="<u2")
nanos = np.fromfile(folder / "nanos.u64", dtype="<u8")
errors = np.fromfile(folder / "errors.u8", dtype="u1").astype(bool)
ours = {names[group["key"]]: group for group in asked["groups"]}


def largest_difference(answer):
    """Of rows of key and fields, how far the worst number is from ours, relative to it."""
    rows = {key if isinstance(key, str) else names[key]: fields for key, *fields in answer}
    if rows.keys() != ours.keys():
        sys.exit(f"peers: other groups than ours: {sorted(rows)}")
    pairs = [(found, ours[name][field]) for name, row in rows.items() for field, found in zip(FIELDS, row, strict=True)]
    return max(abs(float(found) - expected) / max(abs(expected), 1) for found, expected in pairs)


def measure(peer, percentiles, ask, read):
    """Once to warm up, and the median of the rounds; and whether the answer is right."""
    ask()
    seconds = []
    for _ in range(asked["rounds"]):
        began = time.perf_counter()
        answer = ask()
        seconds.append(time.perf_counter() - began)
    difference = largest_difference(read(answer))
    if difference > TOLERANCES[percentiles]:
        sys.exit(f"peers: {peer} differs from ours by {difference}, which is more than {TOLERANCES[percentiles]}")
    return {"what": peer, "percentiles": percentiles, "seconds": statistics.median(seconds),
            "largest_difference": difference}


def print_fastest(key, small, found):
    """Of what was found for each type of value."""
    value = min(found, key=lambda value: found[value]["seconds"])
    print(json.dumps({**found[value], "key": key, "value": value, "small_key": small}), flush=True)


def measure_duckdb():
    db = duckdb.connect()
    db.execute("SET threads=1")
    db.register("given", {"key": keys, "nanos": nanos, "error": errors})
    db.register("called", {"key": np.arange(len(names), dtype="u2"), "name": np.array(names)})
    db.execute("CREATE TYPE operation AS ENUM (SELECT name FROM called ORDER BY key)")
    db.execute("""CREATE TABLE rows AS SELECT given.key AS k16, given.key::UTINYINT AS k8, name::VARCHAR AS text,
        name::operation AS enum, nanos::BIGINT AS v_BIGINT, nanos::DOUBLE AS v_DOUBLE, error
        FROM given JOIN called ON given.key = called.key""")
    db.unregister("given")
    peer = f"DuckDB {duckdb.__version__}"
    for column, key, small in [("k16", "USMALLINT", True), ("k8", "UTINYINT", True), ("enum", "ENUM", False),
                               ("text", "VARCHAR", False)]:
        for function, percentiles in [("quantile_cont", "exact"), ("approx_quantile", "approximate")]:
            found = {}
            for value in ["BIGINT", "DOUBLE"]:
                query = f"""SELECT {column}, count(*), sum(v_{value}), avg(v_{value}), min(v_{value}), max(v_{value}),
                    stddev_samp(v_{value}), {function}(v_{value}, {SHARES}), count_if(error)
                    FROM rows GROUP BY {column}"""
                found[value] = measure(peer, percentiles, lambda: db.execute(query).fetchall(),
                                       lambda rows: [(*row[:7], *row[7], row[8]) for row in rows])
            print_fastest(key, small, found)
    db.close()


def measure_polars():
    frame = pl.DataFrame({"k16": keys, "UInt64": nanos, "error": errors})
    frame = frame.with_columns(
        k8=pl.col("k16").cast(pl.UInt8),
        text=pl.col("k16").replace_strict(list(range(len(names))), names, return_dtype=pl.String),
        Float64=pl.col("UInt64").cast(pl.Float64),
    ).with_columns(categorical=pl.col("text").cast(pl.Categorical)).rechunk()
    peer = f"polars {pl.__version__}"
    for column, key, small in [("k16", "UInt16", True), ("k8", "UInt8", True), ("categorical", "Categorical", False),
                               ("text", "String", False)]:
        # Cut into a frame for each key it is twice as fast as grouped, so that both are asked.
        for way in ["group_by", "partition_by"]:
            found = {}
            for value in ["UInt64", "Float64"]:
                ask = polars_query(frame.select(column, value, "error"), column, value, way)
                found[value] = measure(f"{peer} {way}", "exact", ask, lambda rows: rows)
            print_fastest(key, small, found)


def polars_query(frame, column, value, way):
    nanos_of = pl.col(value)
    fields = [pl.len().alias("count"), nanos_of.sum().alias("sum"), nanos_of.mean().alias("mean"),
              nanos_of.min().alias("min"), nanos_of.max().alias("max"), nanos_of.std().alias("std"),
              *[nanos_of.quantile(share, interpolation="linear").alias(str(share)) for share in SHARES],
              pl.col("error").sum().alias("errors")]
    if way == "group_by":
        return lambda: frame.lazy().group_by(column).agg(fields).collect().rows()
    return lambda: [(part[column][0], *part.select(fields).row(0)) for part in frame.partition_by(column)]


measure_duckdb()
measure_polars()
