"""Every estimator, sampled at fixed keys: its mean and its variance lie in the 99.9 % intervals of the closed forms.

Keys and numbers of samples are fixed, so that these tests pass or fail for ever. For a key chosen anew, each comparison would fail
once in a thousand times. That the intervals are narrow enough to mean something is what the planted faults show: each is one slip
in the estimator or in its closed form, and the same check rejects it.
"""

from functools import cache

import numpy as np
import pytest
from cases import case

import refntk as rn
from refntk import moments, probes, sketch
from refntk.estimation import ratio
from refntk.estimation.average import CORRECTIONS, MovingAverage
from refntk.estimation.cubature import all_signs
from refntk.estimation.deflation import hutch_plus_plus, xtrace

QUANTILE = 3.2905  # of the standard normal, two-sided 99.9 %
COUNT, KEY = 2**14, 20261121
ALPHA, STEPS = 0.1, 30
KINDS = list(probes.KINDS)


@cache
def kernel():
    """(J, K, blocks) of the wave equation, twelve rows, scaled so that the traces of its four terms are 1, 2, 3, 4."""
    lin = case("wave").linearize()
    J = lin.jacobian.dense()
    for k, rows in enumerate(lin.blocks.values(), 1):
        J[rows] *= np.sqrt(k / np.sum(J[rows] ** 2))
    return J, J @ J.T, dict(lin.blocks)


@cache
def drawn(kind, n, count=COUNT, stream=0):
    return probes.draw(kind, n, count, key=KEY, stream=stream)


def check(samples, mean, variance):
    """Samples (N,): their mean, and their mean square about the exact one, in intervals from the variance and the fourth moment."""
    N, squares = len(samples), (samples - mean) ** 2
    off = abs(samples.mean() - mean) / np.sqrt(variance / N)
    assert off <= QUANTILE, f"mean {off:.1f} standard errors off"
    off = abs(squares.mean() - variance) / (squares.std() / np.sqrt(N))
    assert off <= QUANTILE, f"variance {off:.1f} standard errors off"


# Each is kind -> (samples (N,), exact mean, variance in closed form) -----------------------------------------


def trace(kind, scale=1.0, formula=moments.trace_variance):
    _, K, _ = kernel()
    G = scale * drawn(kind, len(K))
    return (G * (K @ G)).sum(axis=0), np.trace(K), formula(K, probe=kind)


def term(kind, *, name="boundary", of="boundary"):
    _, K, blocks = kernel()
    G, rows = drawn(kind, len(K)), blocks[of]
    return (G[rows] * (K @ G)[rows]).sum(axis=0), np.trace(K[rows, rows]), moments.trace_variances(K, blocks, probe=kind)[name]


def block(kind, *, whole=False):
    J, K, blocks = kernel()
    rows, G = blocks["boundary"], drawn(kind, len(K))
    samples = ((J[rows].T @ G[rows]) ** 2).sum(axis=0) if not whole else term(kind)[0]
    return samples, np.trace(K[rows, rows]), moments.block_trace_variances(K, blocks, probe=kind)["boundary"]


def alternative(kind, *, factor=1.0):
    """Theorem 5 without discretisation; its closed form is for normal probes."""
    J, K, blocks = kernel()
    samples = factor * ((J @ drawn("normal", J.shape[1])) ** 2)[blocks["boundary"]].sum(axis=0)
    return samples, np.trace(K[blocks["boundary"]][:, blocks["boundary"]]), moments.alternative_trace_covariance(K, blocks)[3, 3]


def matrix(kind, *, estimate=sketch.estimate_ntk):
    """‖K̂ - K‖ with a random sign: of mean 0, and of variance E‖K̂ - K‖²."""
    _, K, _ = kernel()
    G = drawn(kind, len(K), 2**12)
    errors = np.array([estimate(g[:, None], (K @ g)[:, None]) - K for g in G.T])
    signs = drawn("rademacher", 1, 2**12, stream=9)[0]
    return signs * np.sqrt((errors**2).sum(axis=(1, 2))), 0.0, moments.ntk_mean_squared_error(K, probe=kind)


def mean_of_four(kind, *, total=np.mean, repeated=False):
    _, K, _ = kernel()
    G = drawn(kind, len(K))
    samples = (G * (K @ G)).sum(axis=0).reshape(-1, 4)
    samples = samples[:, [0, 0, 1, 1]] if repeated else samples
    return total(samples, axis=1), np.trace(K), moments.trace_variance(K, probe=kind) / 4


def central(kind, *, difference="central"):
    """Central differences at Δt = 0.5 of the quadratic problem, for which they are exact at every step."""
    drawn_case = case("quadratic", each=6)
    arguments = drawn_case.problem, drawn_case.network, drawn_case.theta, drawn_case.points
    K = rn.ntk(rn.linearize(*arguments))
    G = drawn(kind, len(K), 2**12)
    samples = (G * sketch.products(*arguments, G, 0.5, difference=difference)).sum(axis=0)
    return samples, np.trace(K), moments.trace_variance(K, probe=kind)


def deflated(kind, *, projected=True):
    """Hutch++ with two fixed columns in its sketch."""
    _, K, _ = kernel()
    n, test = len(K), drawn("rademacher", len(K), 2, 5)
    G = drawn(kind, n, 2**12)
    Q = np.linalg.qr(K @ test)[0]
    rest = (np.eye(n) - Q @ Q.T) @ K @ (np.eye(n) - Q @ Q.T)
    exact = hutch_plus_plus(lambda V: K @ V, test, np.zeros((n, 1))).value
    if projected:
        samples = np.array([hutch_plus_plus(lambda V: K @ V, test, g[:, None]).value for g in G.T])
    else:
        samples = exact + (G * (K @ G)).sum(axis=0) - np.sum(Q * (K @ Q))
    return samples, np.trace(K), moments.trace_variance((rest + rest.T) / 2, probe=kind)


def crossed(kind, *, estimator=xtrace):
    """XTrace with two signs of four rows: its variance is that over all 256 outcomes."""
    _, K, _ = kernel()
    K = K[:4, :4]
    outcomes = [xtrace(lambda V: K @ V, g.reshape(4, 2)).value for g in all_signs(8)[0].T]
    G = drawn("rademacher", 8, 2**12)
    return np.array([estimator(lambda V: K @ V, g.reshape(4, 2)).value for g in G.T]), np.trace(K), np.var(outcomes)


def averaged(kind, correction, *, alpha=ALPHA, used=None):
    """STEPS updates of COUNT/32 averages side by side."""
    _, K, _ = kernel()
    G = drawn(kind, len(K), 2 * COUNT)
    samples = (G * (K @ G)).sum(axis=0).reshape(32, -1)[: STEPS + 1]
    found = MovingAverage(samples[0], alpha, correction=used or correction)
    for new in samples[1:]:
        found = found.update(new)
    factor = moments.moving_average_factor(ALPHA, steps=STEPS, correction=correction)
    return found.value, np.trace(K), factor * moments.trace_variance(K, probe=kind)


def weight(kind, *, independent=False):
    """4096 times λ̂ from means of 256 samples: the delta method for the variance, and the ratio bias for the mean."""
    _, K, blocks = kernel()
    G = drawn(kind, len(K), 2**20)
    products = G * (K @ G)
    means = np.array([products[rows].sum(axis=0).reshape(4096, -1).mean(axis=1) for rows in blocks.values()])
    T = {name: float(np.trace(K[rows, rows])) for name, rows in blocks.items()}
    C = moments.trace_covariance(K, blocks, probe=kind) / 256
    found = ratio.estimate_weights(T, np.diag(np.diag(C)) if independent else C)["boundary"]
    return means.sum(axis=0) / means[3], found.value + ratio.weight_bias(T, C)["boundary"], found.stderr**2


ESTIMATORS = {
    "trace": trace,
    "term": term,
    "block probes": block,
    "Theorem 5": alternative,
    "K̂": matrix,
    "mean of four": mean_of_four,
    "central difference": central,
    "Hutch++": deflated,
    "XTrace": crossed,
    "weight": weight,
    **{f"moving average, correction {c}": lambda kind, c=c: averaged(kind, c) for c in CORRECTIONS},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_variance_is_the_closed_form(name, kind):
    check(*ESTIMATORS[name](kind))


def unsymmetric(g, z):
    return z @ g.T / g.shape[1]


FAULTS = {
    "a missing ½": lambda kind: matrix(kind, estimate=lambda g, z: 2 * sketch.estimate_ntk(g, z)),
    "not symmetrised": lambda kind: matrix(kind, estimate=unsymmetric),
    "a sum for a mean": lambda kind: mean_of_four(kind, total=np.sum),
    "a probe used twice": lambda kind: mean_of_four(kind, repeated=True),
    "g of variance 1.1": lambda kind: trace(kind, scale=1.1**0.5),
    "the paper's bound for the variance": lambda kind: trace(kind, formula=lambda K, probe: 4 * np.sum(K * K)),
    "the other probe's variance": lambda kind: trace(
        kind, formula=lambda K, probe: moments.trace_variance(K, probe=KINDS[1 - KINDS.index(probe)])
    ),
    "another term": lambda kind: term(kind, of="initial"),
    "all rows for one block": lambda kind: block(kind, whole=True),
    "n for p in Theorem 5": lambda kind: alternative(kind, factor=kernel()[0].shape[0] / kernel()[0].shape[1]),
    "one-sided sold as central": lambda kind: central(kind, difference="forward"),
    "Hutch++ without projection": lambda kind: deflated(kind, projected=False),
    "XTrace with no probe left out": lambda kind: crossed(kind, estimator=lambda product, G: hutch_plus_plus(product, G, G)),
    "another α": lambda kind: averaged(kind, "none", alpha=1.5 * ALPHA),
    "the bias left in": lambda kind: averaged(kind, "lag", used="bias"),
    "terms taken as independent": lambda kind: weight(kind, independent=True),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault, kind):
    with pytest.raises(AssertionError, match="standard errors off"):
        check(*FAULTS[fault](kind))
