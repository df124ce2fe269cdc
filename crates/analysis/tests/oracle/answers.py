"""Writes answers.json: what other programs say of the same numbers.

    python3 -m venv oracle && oracle/bin/pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0 \
        pymannkendall==1.4.3 pyhomogeneity==1.1 ruptures==1.1.10
    oracle/bin/python answers.py > answers.json
"""

import importlib.metadata
import json
import warnings

import numpy
import pyhomogeneity
import pymannkendall
import ruptures
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

warnings.filterwarnings("ignore")
draw = numpy.random.default_rng(7)


def series():
    noise = lambda count: numpy.exp(draw.normal(0, 0.47, count))
    yield "log_normal", noise(120)
    yield "rising", noise(90) + numpy.arange(90) / 60
    yield "ties", numpy.round(noise(80) * 4)
    yield "falling_ties", numpy.round(noise(100) * 5 - numpy.arange(100) / 20)
    yield "heavy_tail", numpy.exp(0.3 * draw.standard_t(3, 75))
    yield "tiny", noise(12)
    yield "equal_but_one", numpy.array([2.0] * 19 + [3.0])


def about(name, values):
    x = numpy.arange(len(values), dtype=float)
    kendall = pymannkendall.original_test(values)
    line = stats.theilslopes(values, x, 0.95)
    fit = stats.linregress(x, values)
    return {
        "name": name,
        "values": values.tolist(),
        "mean": float(numpy.mean(values)),
        "deviation": float(numpy.std(values, ddof=1)),
        "quantiles": [float(numpy.quantile(values, q)) for q in (0.0, 0.25, 0.5, 0.9, 0.95, 0.99, 1.0)],
        "kendall_s": float(kendall.s),
        "kendall_variance": float(kendall.var_s),
        "kendall_p": float(kendall.p),
        "tau_b": float(stats.kendalltau(x, values, variant="b").statistic),
        "slope": float(line.slope),
        "slope_low": float(line.low_slope),
        "slope_high": float(line.high_slope),
        "fit": [float(fit.slope), float(fit.intercept), float(fit.stderr)],
    }


def steps():
    for levels, length in (((1, 1.8), 100), ((3, 1.2), 60), ((1, 2, 1), 80), ((1, 1.7, 3), 70)):
        values = numpy.concatenate([level * numpy.exp(draw.normal(0, 0.2, length)) for level in levels])
        found = ruptures.Binseg(model="l2", min_size=10).fit(numpy.log(values)).predict(len(levels) - 1)
        pettitt = pyhomogeneity.pettitt_test(values, sim=None) if len(levels) == 2 else None
        yield {
            "values": values.tolist(),
            "ruptures": [int(at) for at in found[:-1]],
            "pettitt": int(pettitt.cp) if pettitt else None,
        }


def pairs():
    for first, second in ((30, 40), (12, 15), (100, 90)):
        before = numpy.exp(draw.normal(0, 0.5, first))
        after = numpy.exp(draw.normal(0.2, 0.5, second))
        if first == 100:
            before, after = numpy.round(before * 5), numpy.round(after * 5)
        test = stats.mannwhitneyu(after, before, use_continuity=True, method="asymptotic")
        yield {
            "before": before.tolist(),
            "after": after.tolist(),
            "u": float(test.statistic),
            "p": float(test.pvalue),
            "shift": float(numpy.median(numpy.subtract.outer(after, before))),
        }


def shares():
    for hits, of in ((0, 10), (1, 10), (39, 40), (500, 1000), (1000, 1000)):
        low, high = proportion_confint(hits, of, alpha=0.05, method="wilson")
        yield {"hits": hits, "of": of, "low": float(low), "high": float(high)}


packages = ("numpy", "scipy", "statsmodels", "pymannkendall", "pyhomogeneity", "ruptures")
answers = {
    "versions": {name: importlib.metadata.version(name) for name in packages},
    "series": [about(name, values) for name, values in series()],
    "steps": list(steps()),
    "pairs": list(pairs()),
    "shares": list(shares()),
}
print(json.dumps(answers, indent=1))
