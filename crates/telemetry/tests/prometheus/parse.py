"""Reads an exposition with the strict parsers of prometheus_client and prints every sample as a line of JSON.

The first argument is the format: `classic` or `openmetrics`.
"""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as classic

parse = {"classic": classic, "openmetrics": openmetrics}[sys.argv[1]]
text = sys.stdin.buffer.read().decode("utf-8")
for family in parse(text):
    for sample in family.samples:
        exemplar = sample.exemplar and {"labels": sample.exemplar.labels, "value": sample.exemplar.value}
        row = [family.name, family.type, sample.name, sample.labels, str(sample.value), exemplar]
        print(json.dumps(row, ensure_ascii=True))
