"""The questions of the store bench in DuckDB on a Parquet file: one thread, CPU time, the best of the rounds.

Called with the folder in which the bench left the columns. It prints one JSON object for each way to compress the file
and question, and fails where an answer differs from ours.
"""

import json
import pathlib
import sys
import time

import duckdb
import numpy as np

ROUNDS = 5

folder = pathlib.Path(sys.argv[1])
asked = json.loads((folder / "asked.json").read_text())


def write(db, compression):
    """The columns as a Parquet file, texts as texts."""
    given = {f"{name}_key": np.fromfile(folder / f"{name}.u16", dtype="<u2") for name in asked["texts"]}
    given["nanos"] = np.fromfile(folder / "nanos.u64", dtype="<u8").astype("<i8")
    given["tokens"] = np.fromfile(folder / "tokens.u32", dtype="<u4").astype("<i4")
    given["failed"] = np.fromfile(folder / "failed.u8", dtype="u1").astype(bool)
    db.register("given", given)
    columns, joins = ["nanos", "tokens", "failed"], []
    for name, texts in zip(asked["texts"], asked["names"], strict=True):
        db.register(f"texts_{name}", {"key": np.arange(len(texts), dtype="u2"), "text": np.array(texts)})
        columns.append(f"texts_{name}.text AS {name}")
        joins.append(f"JOIN texts_{name} ON texts_{name}.key = given.{name}_key")
    file = folder / f"{compression}.parquet"
    db.execute(f"""COPY (SELECT {', '.join(columns)} FROM given {' '.join(joins)})
        TO '{file}' (FORMAT parquet, COMPRESSION {compression})""")
    return file


def ask(db, file, question):
    of = question["of"]
    where = "NOT failed" if of is None else f"{of[0]} = '{of[1]}'"
    query = f"""SELECT {question['by']}, count(*), sum(nanos), sum(tokens) FROM '{file}' WHERE {where}
        GROUP BY {question['by']}"""
    seconds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        rows = db.execute(query).fetchall()
        seconds.append(time.process_time() - began)
    answer = {name: [int(number) for number in numbers] for name, *numbers in rows}
    if answer != question["answer"]:
        sys.exit(f"peers: DuckDB answers otherwise: {query}")
    return min(seconds)


db = duckdb.connect()
db.execute("SET threads=1")
for compression in ["snappy", "zstd"]:
    file = write(db, compression)
    for place, question in enumerate(asked["questions"]):
        what = f"DuckDB {duckdb.__version__}, Parquet ({compression})"
        print(json.dumps({"what": what, "question": place, "seconds": ask(db, file, question)}), flush=True)
