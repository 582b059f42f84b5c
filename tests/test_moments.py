"""Closed forms against enumeration: every sign vector, or a product of three-point Gauss-Hermite rules. Nothing is left to chance.

The estimators are polynomials of degree 2 in each entry of g, their squares of degree 4, and three points are exact to degree 5.
"""

from itertools import product

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from refntk import moments, probes, sketch
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, TraceError, UnknownNameError
from refntk.estimation import ratio
from refntk.estimation.average import CORRECTIONS, MovingAverage, shares

RULES = {"rademacher": ([-1.0, 1.0], [0.5, 0.5]), "normal": ([-(3**0.5), 0.0, 3**0.5], [1 / 6, 2 / 3, 1 / 6])}
BLOCKS = {"interior": slice(0, 2), "initial": slice(2, 3), "boundary": slice(3, 5)}
ROUNDING = 1e-12  # of the scale stated beside each comparison; sums of at most 243 terms


def enumerate_probes(probe, n):
    """Every g (n, G) and its probability (G,)."""
    nodes, weights = RULES[probe]
    return np.array(list(product(nodes, repeat=n))).T, np.array([np.prod(w) for w in product(weights, repeat=n)])


def kernels():
    """J (5, 3) and K = J Jᵀ with small whole numbers."""
    return st.lists(st.integers(-4, 4), min_size=15, max_size=15).map(lambda v: np.array(v, dtype=float).reshape(5, 3))


def term_samples(K, g, blocks):
    """T̂_k (M, G)."""
    return np.array([(g[rows] * (K @ g)[rows]).sum(axis=0) for rows in blocks.values()])


def covariance(samples, weights):
    centred = samples - (samples @ weights)[:, None]
    return (centred * weights) @ centred.T


def near(got, want, scale):
    assert np.max(np.abs(np.asarray(got) - np.asarray(want))) <= ROUNDING * max(scale, 1.0)


def check_trace_variance(formula, J, probe):
    K = J @ J.T
    g, weights = enumerate_probes(probe, 5)
    near(formula(K, probe=probe), covariance(term_samples(K, g, {"all": slice(0, 5)}), weights), np.trace(K) ** 2)


def check_covariance(formula, J, probe):
    K = J @ J.T
    g, weights = enumerate_probes(probe, 5)
    near(formula(K, BLOCKS, probe=probe), covariance(term_samples(K, g, BLOCKS), weights), np.trace(K) ** 2)


def check_mean_squared_error(formula, J, probe):
    K = J @ J.T
    g, weights = enumerate_probes(probe, 5)
    samples = [(np.outer(K @ v, v) + np.outer(v, K @ v)) / 2 for v in g.T]
    near(sum(w * s for w, s in zip(weights, samples, strict=True)), K, np.trace(K))  # unbiased
    near(
        formula(K, probe=probe), sum(w * ((s - K) ** 2).sum() for w, s in zip(weights, samples, strict=True)), 5 * np.trace(K) ** 2
    )


def check_alternative(formula, J, probe):
    g, weights = enumerate_probes("normal", 3)
    samples = np.array([((J @ g)[rows] ** 2).sum(axis=0) for rows in BLOCKS.values()])
    near(formula(J @ J.T, BLOCKS), covariance(samples, weights), np.trace(J @ J.T) ** 2)


def check_blocks(formula, J, probe):
    """‖J_kᵀ g_k‖², from J itself."""
    g, weights = enumerate_probes(probe, 5)
    samples = np.array([((J[rows].T @ g[rows]) ** 2).sum(axis=0) for rows in BLOCKS.values()])
    found = formula(J @ J.T, BLOCKS, probe=probe)
    near(np.diag(list(found.values())), covariance(samples, weights), np.trace(J @ J.T) ** 2)


CHECKS = {
    "trace_variance": (check_trace_variance, moments.trace_variance),
    "trace_covariance": (check_covariance, moments.trace_covariance),
    "ntk_mean_squared_error": (check_mean_squared_error, moments.ntk_mean_squared_error),
    "alternative_trace_covariance": (check_alternative, moments.alternative_trace_covariance),
    "block_trace_variances": (check_blocks, moments.block_trace_variances),
}


@pytest.mark.parametrize("probe", list(probes.KINDS))
@pytest.mark.parametrize("name", CHECKS)
@given(J=kernels())
def test_formula_is_the_enumerated_moment(name, probe, J):
    check, formula = CHECKS[name]
    check(formula, J, probe)


def test_every_kind_of_probe_has_a_rule():
    assert set(RULES) == set(probes.KINDS)


def swapped(K, blocks, **options):
    return moments.trace_covariance(K, blocks, **options)[::-1, ::-1]


FAULTS = {
    "half": ("trace_variance", lambda K, **o: moments.trace_variance(K, **o) / 2),
    "the paper's bound": ("trace_variance", lambda K, probe: 4 * (K**2).sum()),
    "the other probe": (
        "trace_variance",
        lambda K, probe: moments.trace_variance(K, probe={"normal": "rademacher"}.get(probe, "normal")),
    ),
    "blocks swapped": ("trace_covariance", swapped),
    "terms taken as independent": ("trace_covariance", lambda K, b, **o: np.diag(np.diag(moments.trace_covariance(K, b, **o)))),
    "blocks beside the diagonal left out": ("trace_covariance", lambda K, b, **o: moments.alternative_trace_covariance(K, b)),
    "not symmetrised": ("ntk_mean_squared_error", lambda K, probe: (5 + 1 + (probe == "normal")) * (K**2).sum() - (K**2).sum()),
    "the paper's bound on K": ("ntk_mean_squared_error", lambda K, probe: 2 * 5 * 7 * (K**2).sum()),
    "Algorithm 2 for one block": ("block_trace_variances", moments.trace_variances),
    "Algorithm 2 for Theorem 5": ("alternative_trace_covariance", lambda K, b: moments.trace_covariance(K, b)),
}


@pytest.mark.parametrize("probe", list(probes.KINDS))
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_found(fault, probe):
    name, formula = FAULTS[fault]
    J = np.array([[1, 2, 0], [-1, 1, 1], [3, 0, -2], [0, 1, 1], [2, -1, 1.0]])
    with pytest.raises(AssertionError):
        CHECKS[name][0](formula, J, probe)


@pytest.mark.parametrize("probe", list(probes.KINDS))
@given(J=kernels())
def test_parts_add_up(probe, J):
    K = J @ J.T
    C = moments.trace_covariance(K, BLOCKS, probe=probe)
    scale = np.trace(K) ** 2
    near(C.sum(), moments.trace_variance(K, probe=probe), scale)
    near(list(moments.trace_variances(K, BLOCKS, probe=probe).values()), np.diag(C), scale)
    near(moments.trace_covariance(K, {"all": slice(0, 5)}, probe=probe), moments.trace_variance(K, probe=probe), scale)
    assert moments.trace_variance(K, probe=probe) <= 4 * (K**2).sum()  # Theorem 4's bounds
    assert moments.ntk_mean_squared_error(K, probe=probe) <= 2 * 5 * 7 * (K**2).sum()


@given(J=kernels())
def test_theorem_5_is_no_worse_for_any_term(J):
    K = J @ J.T
    alternative = moments.alternative_trace_covariance(K, BLOCKS)
    near(alternative.sum(), moments.trace_variance(K), np.trace(K) ** 2)
    assert np.all(np.diag(alternative) <= np.diag(moments.trace_covariance(K, BLOCKS)))


def test_blocks_may_come_in_any_order_and_leave_rows_out():
    J = np.random.default_rng(1).standard_normal((5, 3))
    g, weights = enumerate_probes("normal", 5)
    some = {"boundary": BLOCKS["boundary"], "interior": BLOCKS["interior"]}
    want = covariance(term_samples(J @ J.T, g, some), weights)
    near(moments.trace_covariance(J @ J.T, some), want, np.trace(J @ J.T) ** 2)


def expected_ratio(K, g, weights, t):
    """E of λ̂ (M,) with the deviations of all T̂_k from T_k shrunk by t."""
    samples = term_samples(K, g, BLOCKS)
    exact = (samples @ weights)[:, None]
    shrunk = exact + t * (samples - exact)
    return (shrunk.sum(axis=0) / shrunk) @ weights


def check_ratio_bias(formula, probe):
    """(E λ̂(t) + E λ̂(-t))/2 - λ = t² bias + O(t⁴): a Richardson step at t = 1e-2 leaves 1e-6 of the bias."""
    J = np.random.default_rng(8).standard_normal((5, 8))
    K, (g, weights) = J @ J.T, enumerate_probes(probe, 5)
    quotients = []
    for t in (1e-2, 2e-2):
        even = (expected_ratio(K, g, weights, t) + expected_ratio(K, g, weights, -t)) / 2
        quotients.append((even - expected_ratio(K, g, weights, 0.0)) / t**2)
    want = (4 * quotients[0] - quotients[1]) / 3
    got = np.array(list(formula(K, BLOCKS, probe=probe).values()))
    assert np.max(np.abs(got - want)) <= 1e-4 * np.max(np.abs(want))


@pytest.mark.parametrize("probe", list(probes.KINDS))
def test_ratio_bias(probe):
    check_ratio_bias(moments.ratio_bias, probe)


@pytest.mark.parametrize("probe", list(probes.KINDS))
def test_ratio_bias_check_finds_a_missing_covariance(probe):
    def without(K, blocks, probe):
        T = {name: np.trace(K[rows, rows]) for name, rows in blocks.items()}
        variances = moments.trace_variances(K, blocks, probe=probe)
        return {name: sum(T.values()) / T[name] * variances[name] / T[name] ** 2 for name in T}

    with pytest.raises(AssertionError):
        check_ratio_bias(without, probe)


def check_weight_error(formula, probe):
    """Var λ̂(t) = t² Var + O(t⁴), symmetrised in t, at deviations shrunk to t = 1e-3; the means are exact."""
    J = np.random.default_rng(8).standard_normal((5, 8))
    K, (g, weights) = J @ J.T, enumerate_probes(probe, 5)
    samples = term_samples(K, g, BLOCKS)
    exact = samples @ weights
    found = []
    for t in (1e-3, -1e-3):
        shrunk = exact[:, None] + t * (samples - exact[:, None])
        ratios = shrunk.sum(axis=0) / shrunk
        found.append(((ratios - (ratios @ weights)[:, None]) ** 2 @ weights) / t**2)
    want = np.sqrt(np.mean(found, axis=0))
    got = formula(dict(zip(BLOCKS, exact, strict=True)), moments.trace_covariance(K, BLOCKS, probe=probe))
    assert np.abs(np.array([float(w) for w in got.values()]) - exact.sum() / exact).max() <= ROUNDING * 100
    assert np.abs(np.array([w.stderr for w in got.values()]) / want - 1).max() <= 1e-3


@pytest.mark.parametrize("probe", list(probes.KINDS))
def test_standard_errors_of_weights(probe):
    check_weight_error(ratio.estimate_weights, probe)


WEIGHT_FAULTS = {
    "terms taken as independent": lambda T, C: ratio.estimate_weights(T, np.diag(np.diag(C))),
    "numerator taken as exact": lambda T, C: {
        k: sketch.Estimate(sum(T.values()) / T[k], sum(T.values()) / T[k] ** 2 * C[i, i] ** 0.5) for i, k in enumerate(T)
    },
    "variance for its root": lambda T, C: {
        k: sketch.Estimate(w.value, w.stderr**2) for k, w in ratio.estimate_weights(T, C).items()
    },
}


@pytest.mark.parametrize("probe", list(probes.KINDS))
@pytest.mark.parametrize("fault", WEIGHT_FAULTS)
def test_faults_of_standard_errors_are_found(fault, probe):
    with pytest.raises(AssertionError):
        check_weight_error(WEIGHT_FAULTS[fault], probe)


@given(J=kernels())
def test_sample_covariance_over_all_signs(J):
    """Over every sign once, N - 1 times the sample covariance of the mean is the covariance of a sample."""
    K = J @ J.T
    g, _ = enumerate_probes("rademacher", 5)
    found = ratio.sample_covariance(g, K @ g, BLOCKS)
    near(found * (g.shape[1] - 1), moments.trace_covariance(K, BLOCKS, probe="rademacher"), np.trace(K) ** 2)
    stderr = [estimate.stderr for estimate in sketch.estimate_traces(g, K @ g, BLOCKS).values()]
    near(np.sqrt(np.maximum(np.diag(found), 0)), stderr, np.trace(K) * 1e5)  # roots of what may be zero


def test_a_spread_needs_two_samples():
    with pytest.raises(ShapeError, match=r"^probes: got 1 sample"):
        ratio.sample_covariance(np.ones((2, 1)), np.ones((2, 1)), {"a": slice(0, 2)})


def test_weights_need_a_covariance_of_their_size():
    with pytest.raises(ShapeError, match=r"^covariance: "):
        ratio.estimate_weights({"a": 1.0}, np.eye(2))


def test_ratio_bias_needs_traces():
    with pytest.raises(TraceError, match=r"^trace of 'b'"):
        moments.ratio_bias(np.diag([1.0, 0.0]), {"a": slice(0, 1), "b": slice(1, 2)})


@pytest.mark.parametrize("probe", list(probes.KINDS))
@given(J=kernels())
def test_ratio_bias_of_a_term_with_at_most_half_of_the_trace_is_never_negative(probe, J):
    K = J @ J.T + np.eye(5)
    bias = moments.ratio_bias(K, BLOCKS, probe=probe)
    small = [name for name, rows in BLOCKS.items() if 2 * np.trace(K[rows, rows]) <= np.trace(K)]
    assert all(bias[name] >= -ROUNDING * 100 for name in small)


def enumerated_average(alpha, samples, correction):
    """(values, kernels) of the average after three steps of two signs each, over all outcomes; K moves, so the variance does."""
    kernels = [np.array([[2.0, c], [c, 1.0]]) for c in (1.0, -0.5, 0.7, 0.2)]
    draws = [[np.array(g) @ K @ np.array(g) for g in product([-1.0, 1.0], repeat=2)] for K in kernels]
    outcomes = []
    for *first, a, b, c in product(*[draws[0]] * samples, *draws[1:]):
        found = MovingAverage(np.mean(first, keepdims=True), alpha, correction=correction, samples=samples)
        outcomes.append(found.update(np.array([a])).update(np.array([b])).update(np.array([c])).value[0])
    return np.array(outcomes), kernels


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("samples", [1, 2])
def test_moving_average_variance_is_the_enumerated_one(samples, correction):
    outcomes, kernels = enumerated_average(0.3, samples, correction)
    options = {"samples": samples, "correction": correction}
    variances = [moments.trace_variance(K, probe="rademacher") for K in kernels]
    near(moments.moving_average_variance(variances, 0.3, **options), np.var(outcomes), 10.0)
    traces = [np.trace(K) + t for t, K in enumerate(kernels)]
    near(moments.moving_average_bias([0.0] * 4, 0.3, **options), np.mean(outcomes) - 3.0, 10.0)
    steep = sum(s * t for s, t in zip(shares(0.3, 3, **options), traces, strict=True)) - traces[-1]
    near(moments.moving_average_bias(traces, 0.3, **options), steep, 10.0)


def test_covariances_are_averaged_like_variances():
    C = [np.array([[2.0, 1.0], [1.0, 3.0]]), np.eye(2)]
    near(moments.moving_average_variance(C, 0.5), 0.25 * C[0] + 0.25 * C[1], 1.0)


@given(st.floats(1e-3, 1.0), st.integers(0, 200), st.integers(1, 50), st.sampled_from(CORRECTIONS))
def test_moving_average_factor_is_the_recursion(alpha, steps, samples, correction):
    options = {"samples": samples, "correction": correction}
    want = moments.moving_average_variance([1.0] * (steps + 1), alpha, **options)
    near(moments.moving_average_factor(alpha, steps=steps, **options), want, 1.0)


@pytest.mark.parametrize("correction", CORRECTIONS)
@pytest.mark.parametrize("alpha", [0.05, 0.5, 1.0])
def test_in_the_end(alpha, correction):
    options = {"correction": correction}
    near(moments.moving_average_factor(alpha, **options), moments.moving_average_factor(alpha, steps=2000, **options), 1.0)
    lag = -moments.moving_average_bias([float(t) for t in range(2001)], alpha, **options)
    near(lag, moments.moving_average_lag(alpha, **options), 2000.0)


def test_following_a_trend_costs_five_halves():
    """For small α; `MovingAverage` says so."""
    cost = moments.moving_average_factor(1e-6, correction="lag") / moments.moving_average_factor(1e-6)
    assert abs(cost - 2.5) <= 1e-5


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("probe", list(probes.KINDS))
def test_other_libraries(xp, probe):
    J = np.random.default_rng(2).standard_normal((5, 3))
    K = J @ J.T
    there = xp.asarray(K)
    got = moments.trace_covariance(there, BLOCKS, probe=probe)
    assert type(got) is type(there)
    near(np.asarray(got), moments.trace_covariance(K, BLOCKS, probe=probe), np.trace(K) ** 2)
    near(moments.ntk_mean_squared_error(there, probe=probe), moments.ntk_mean_squared_error(K, probe=probe), np.trace(K) ** 2)
    near(list(moments.ratio_bias(there, BLOCKS).values()), list(moments.ratio_bias(K, BLOCKS).values()), 100.0)
    near(np.asarray(moments.alternative_trace_covariance(there, BLOCKS)), moments.alternative_trace_covariance(K, BLOCKS), 100.0)


@pytest.mark.parametrize(
    ("K", "error"),
    [
        (np.ones((2, 3)), ShapeError),
        (np.ones(3), ShapeError),
        (np.zeros((0, 0)), ShapeError),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), NotFiniteError),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), InvalidInput),
        ("K", InvalidInput),
    ],
)
def test_what_is_no_kernel(K, error):
    with pytest.raises(error, match=r"^K: "):
        moments.trace_variance(K)


@pytest.mark.parametrize("probe", ["gaussian", "", None, 3])
def test_unknown_probe(probe):
    with pytest.raises(UnknownNameError, match=r"^probe: "):
        moments.ntk_mean_squared_error(np.eye(2), probe=probe)


@pytest.mark.parametrize("rows", [slice(0, 6), slice(2, 2), slice(1, 4)])
def test_blocks_that_leave_the_matrix_or_overlap(rows):
    with pytest.raises(ShapeError, match=r"^blocks\["):
        moments.trace_covariance(np.eye(5), {"a": slice(0, 2), "b": rows})


@pytest.mark.parametrize(("name", "value"), [("steps", -1), ("steps", 1.5), ("samples", 0), ("samples", True)])
def test_counts(name, value):
    with pytest.raises(InvalidInput, match=f"^{name}: "):
        moments.moving_average_factor(0.5, **({"steps": 1} | {name: value}))


def test_no_variances():
    with pytest.raises(ShapeError, match=r"^variances: "):
        moments.moving_average_variance([], 0.5)
