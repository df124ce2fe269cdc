"""Where peers see a change in the series that the bench has drawn.

Called with the folder in which the bench left the series. It prints one JSON object for each peer: its name, how many
milliseconds a series took it, and for each series the indices at which something new begins.
"""

import json
import math
import pathlib
import sys
import time

import numpy as np
import ruptures
from signal_processing_algorithms.energy_statistics.energy_statistics import e_divisive

folder = pathlib.Path(sys.argv[1])
asked = json.loads((folder / "asked.json").read_text())
series = np.fromfile(folder / "series.f64", dtype="<f8").reshape(-1, asked["points"])


def energy(values):
    """Energy statistics with a permutation test (Matteson and James 2014), by the package that MongoDB uses."""
    return e_divisive(values, pvalue=asked["alpha"], permutations=100)


def pelt(kernel, penalty):
    """PELT (Killick et al. 2012), with our least length of a piece and a penalty for each change."""
    def ask(values):
        values = (values - values.mean()) / values.std()
        algorithm = ruptures.KernelCPD(kernel=kernel, min_size=asked["shortest"]).fit(values)
        return algorithm.predict(pen=penalty(len(values)))[:-1]
    return ask


# The first penalty is that of the criterion of Bayes, for a mean and a place with each change.
PEERS = {
    "energy statistics, as at MongoDB": energy,
    "PELT, squares, penalty 2 ln n": pelt("linear", lambda n: 2 * math.log(n)),
    "PELT, squares, penalty 4 ln n": pelt("linear", lambda n: 4 * math.log(n)),
    "PELT, Gaussian kernel, penalty 2 ln n": pelt("rbf", lambda n: 2 * math.log(n)),
}

for name, ask in PEERS.items():
    began = time.perf_counter()
    found = [[int(at) for at in ask(values)] for values in series]
    print(json.dumps({"what": name, "milliseconds": (time.perf_counter() - began) * 1e3 / len(series), "found": found}))
