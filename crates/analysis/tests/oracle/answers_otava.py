"""Writes otava.json: where Apache Otava finds changes in the steps of answers.json.

    python3 -m venv otava && otava/bin/pip install apache-otava==0.8.0
    otava/bin/python answers_otava.py > otava.json

It wants another numpy than answers.py.
"""

import importlib.metadata
import json
import pathlib

from otava.analysis import compute_change_points

answers = json.loads(pathlib.Path(__file__).with_name("answers.json").read_text())


def places(values):
    found, _ = compute_change_points(list(values), window_len=50, max_pvalue=0.001, min_magnitude=0.05)
    return [int(change.index) for change in found]


print(json.dumps({
    "versions": {"apache-otava": importlib.metadata.version("apache-otava")},
    "places": [places(steps["values"]) for steps in answers["steps"]],
}))
