"""Algorithm 2, exact and discretised, against K itself: over all signs where that settles it, by sampling where it must be.

Sampled comparisons use fixed keys and 5.75 standard deviations, 9e-9 each; there are fewer than a hundred, so 1e-6 together.
"""

from functools import cache
from itertools import product

import array_api_strict
import numpy as np
import pytest
import torch
from hypothesis import find, given
from hypothesis import strategies as st

import refntk as rn
from refntk import engine, moments, probes, problems, sketch
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, TraceError, UnknownNameError
from refntk.estimation.difference import DIFFERENCES
from refntk.kernel.residual import SCALINGS
from refntk.problems.base import DirectProblem
from refntk.problems.wave import Wave

SIGMAS = 5.75
BLOCKS = {"interior": slice(0, 2), "initial": slice(2, 3), "boundary": slice(3, 5)}
J = np.array([[1, 2, 0], [-1, 1, 1], [3, 0, -2], [0, 1, 1], [2, -1, 1.0]])
K = J @ J.T


class Interior(Wave):
    """The wave equation without its side conditions: few enough rows to try all signs."""

    @property
    def terms(self):
        return super().terms[:1]


def case(problem, *, rng=17, sizes=(6, 6), each=3, **counts):
    """(problem, network, theta, points) with few points."""
    points = problem.sample(rng=rng, counts={term.name: each for term in problem.terms} | counts)
    if isinstance(problem, DirectProblem):
        return problem, None, problem.init(rng=rng), points
    network = rn.MLP([len(problem.coordinates), *sizes, problem.outputs])
    return problem, network, network.init(rng=rng), points


def signs(n):
    """All sign vectors, (n, 2^n)."""
    return np.array(list(product([-1.0, 1.0], repeat=n))).T


# Products ----------------------------------------------------------------------------------------------------


def check_products(found, lin, G):
    kernel = rn.ntk(lin)
    assert found.shape == G.shape
    assert np.abs(found - kernel @ G).max() <= 1e-12 * np.abs(kernel).max() * G.shape[0]


@pytest.mark.parametrize("name", problems.names())
@pytest.mark.parametrize("chosen", engine.names())
def test_products_without_discretisation(name, chosen):
    arguments = case(problems.get(name))
    lin = rn.linearize(*arguments)
    G = probes.normal(lin.shape[0], 5, key=1)
    check_products(sketch.products(*arguments, G, dt=None, engine=chosen), lin, G)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_products_are_of_the_scaled_rows(scaling):
    arguments = case(problems.get("wave"))
    lin = rn.linearize(*arguments, scaling=scaling)
    G = probes.normal(lin.shape[0], 5, key=1)
    check_products(sketch.products(*arguments, G, dt=None, scaling=scaling), lin, G)


@pytest.mark.parametrize("fault", ["rows of another scaling", "probes of the wrong sign", "rows swapped"])
def test_faults_of_products_are_found(fault):
    arguments = case(problems.get("wave"))
    lin = rn.linearize(*arguments)
    G = probes.normal(lin.shape[0], 5, key=1)
    found = {
        "rows of another scaling": lambda: sketch.products(*arguments, G, dt=None, scaling="mean"),
        "probes of the wrong sign": lambda: sketch.products(*arguments, -G, dt=None),
        "rows swapped": lambda: sketch.products(*arguments, G, dt=None)[::-1],
    }[fault]()
    with pytest.raises(AssertionError):
        check_products(found, lin, G)


@pytest.mark.parametrize("name", problems.names())
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_products_by_differences(name, difference):
    """|z - K g| ≤ 1e-3 · max|K| √n at a step chosen for the size of K: nothing but a look at every problem; orders are below."""
    arguments = case(problems.get(name))
    lin = rn.linearize(*arguments)
    kernel, G = rn.ntk(lin), probes.rademacher(lin.shape[0], 2, key=2)
    dt = 1e-6 / np.sqrt(np.trace(kernel))
    got = sketch.products(*arguments, G, dt, difference=difference)
    assert np.abs(got - kernel @ G).max() <= 1e-3 * np.abs(kernel).max() * np.sqrt(G.shape[0])


@pytest.mark.parametrize("dt", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_a_linear_residual_has_no_discretisation_error(dt, difference):
    arguments = case(problems.get("poisson1d"), sizes=())
    lin = rn.linearize(*arguments)
    kernel, G = rn.ntk(lin), probes.normal(lin.shape[0], 4, key=3)
    scale = np.abs(kernel @ G).max() + np.abs(lin.residual).max() / dt
    assert np.abs(sketch.products(*arguments, G, dt, difference=difference) - kernel @ G).max() <= 1e-13 * scale


def zero_residuals():
    """The quadratic problem at parameters that fit its data to the last bit."""
    problem, network, theta, points = case(problems.get("quadratic"), each=6)
    x, _ = points["data"].T
    features = np.stack([np.ones_like(x), x, x * x], axis=-1)
    return problem, network, theta, {"data": np.stack([x, features @ (theta * theta)], axis=-1)}


@pytest.mark.parametrize("difference", DIFFERENCES)
def test_zero_residuals_are_harmless(difference):
    arguments = zero_residuals()
    lin = rn.linearize(*arguments)
    assert np.all(lin.residual == 0)
    G = probes.normal(6, 4, key=4)
    got = sketch.products(*arguments, G, 1e-6, difference=difference)
    assert np.abs(got - rn.ntk(lin) @ G).max() <= 1e-4 * np.abs(rn.ntk(lin)).max() * 6


def test_they_are_not_in_the_printed_form():
    """Λ_pred = -diag(g) diag(R)⁻¹ at R = 0: 0 · ∞."""
    lin = rn.linearize(*zero_residuals())
    with np.errstate(divide="ignore", invalid="ignore"):
        printed = lin.jacobian.T @ (-np.ones(6) / lin.residual * lin.residual)
    assert np.isnan(printed).all()


@pytest.mark.parametrize("dt", [None, 1e-4])
def test_columns_in_batches(monkeypatch, dt):
    arguments = case(problems.get("wave"))
    G = probes.normal(rn.linearize(*arguments).shape[0], 7, key=5)
    whole = sketch.products(*arguments, G, dt)
    monkeypatch.setattr(sketch, "BATCH_BYTES", 8 * arguments[2].size * 3)
    parts = sketch.products(*arguments, G, dt)
    assert np.abs(parts - whole).max() <= 1e-11 * np.abs(whole).max() / (dt or 1.0) ** 0.5


# Discretisation: all 256 signs, so no chance -----------------------------------------------------------------

STEPS = np.array([1e-3, 3e-4, 1e-4])


@cache
def enumerated():
    """(K, G, exact products, {(difference, dt): products}) of the wave's interior, n = 8, 2-6-6-1."""
    arguments = case(Interior(), each=8)
    G = signs(8)
    exact = sketch.products(*arguments, G, dt=None)
    found = {(d, dt): sketch.products(*arguments, G, dt, difference=d) for d in DIFFERENCES for dt in STEPS}
    return rn.ntk(rn.linearize(*arguments)), G, exact, found


def errors(difference):
    """Biases of Tr K̂ and K̂, and the mean error of a product, for every step."""
    kernel, G, exact, found = enumerated()
    trace = [abs(np.mean((G * found[difference, dt]).sum(axis=0)) - np.trace(kernel)) for dt in STEPS]
    matrix = [np.linalg.norm(sketch.estimate_ntk(G, found[difference, dt]) - kernel) for dt in STEPS]
    sample = [np.linalg.norm(found[difference, dt] - exact, axis=0).mean() for dt in STEPS]
    return {"trace": trace, "matrix": matrix, "sample": sample}


def check_slope(values, x, slope, tolerance):
    got = np.polyfit(np.log(x), np.log(values), 1)[0]
    assert abs(got - slope) <= tolerance, f"slope {got:.3f}, not {slope}"


@pytest.mark.parametrize("difference", DIFFERENCES)
@pytest.mark.parametrize("which", ["trace", "matrix"])
def test_both_biases_are_of_second_order(difference, which):
    check_slope(errors(difference)[which], STEPS, 2, 0.05)


@pytest.mark.parametrize(("difference", "order"), [("forward", 1), ("central", 2)])
def test_order_of_a_single_product(difference, order):
    check_slope(errors(difference)["sample"], STEPS, order, 0.05)


@pytest.mark.parametrize("which", ["trace", "matrix"])
def test_central_differences_have_the_same_bias(which):
    """The mean over ±g is what they compute; they only make the single product better."""
    forward, central = errors("forward")[which], errors("central")[which]
    assert np.abs(np.array(forward) - central).max() <= 1e-4 * max(forward)


def test_theorem_3_alone_would_have_let_a_first_order_bias_pass():
    """The planted fault: probes with a mean, as if a sign bit were worn, leave the odd moment and a bias of first order."""
    _, G, exact, found = enumerated()
    worn = G[:, G[0] > 0]
    kept = G[0] > 0
    biases = [abs(np.mean((worn * (found["forward", dt] - exact)[:, kept]).sum(axis=0))) for dt in STEPS]
    with pytest.raises(AssertionError, match="slope 1"):
        check_slope(biases, STEPS, 2, 0.05)


@pytest.mark.parametrize("dt", [1e-3, 0.1, 10.0])
def test_quadratic_residuals_have_no_bias_at_any_step(dt):
    """Up to rounding, on the scale of what is averaged; single products are off by Δt."""
    arguments = case(problems.get("quadratic"), each=8)
    lin, G = rn.linearize(*arguments), signs(8)
    kernel, Z = rn.ntk(lin), sketch.products(*arguments, G, dt)
    scale = np.abs(Z).max() + np.abs(lin.residual).max() / dt
    assert np.abs(sketch.estimate_ntk(G, Z) - kernel).max() <= 1e-14 * scale
    assert abs(np.mean((G * Z).sum(axis=0)) - np.trace(kernel)) <= 1e-14 * scale * 8
    assert np.abs(Z - kernel @ G).max() >= 0.01 * dt * np.abs(kernel).max()


# Estimates: all signs ----------------------------------------------------------------------------------------


def check_estimators(estimate_ntk, estimate_traces, probe_scale=1.0):
    """Unbiased, symmetric, of the right spread, term by term: over all 32 signs of K (5, 5), so an equality."""
    G = probe_scale * signs(5)
    Z, count = K @ G, G.shape[1]
    single = [estimate_ntk(G[:, [j]], Z[:, [j]]) for j in range(count)]
    scale = 1e-12 * np.trace(K)
    np.testing.assert_allclose(estimate_ntk(G, Z), K, rtol=0, atol=scale)
    np.testing.assert_allclose(np.mean(single, axis=0), K, rtol=0, atol=scale)
    assert all(np.array_equal(s, s.T) for s in single)
    spread = np.mean([((s - K) ** 2).sum() for s in single])
    assert abs(spread - moments.ntk_mean_squared_error(K, probe="rademacher")) <= scale * np.trace(K)
    found = estimate_traces(G, Z, BLOCKS)
    assert list(found) == list(BLOCKS)
    variances = moments.trace_variances(K, BLOCKS, probe="rademacher")
    for name, rows in BLOCKS.items():
        assert abs(found[name].value - np.trace(K[rows, rows])) <= scale, name
        assert abs(found[name].stderr ** 2 * (count - 1) - variances[name]) <= scale * np.trace(K), name


def test_estimators():
    check_estimators(sketch.estimate_ntk, sketch.estimate_traces)


def sums(g, z, blocks):
    return {k: sketch.Estimate(g.shape[1] * e.value, e.stderr) for k, e in sketch.estimate_traces(g, z, blocks).items()}


def exchanged(g, z, blocks):
    found = sketch.estimate_traces(g, z, blocks)
    return found | {"interior": found["boundary"], "boundary": found["interior"]}


def shrunk(g, z, blocks):
    factor = ((g.shape[1] - 1) / g.shape[1]) ** 0.5
    return {k: sketch.Estimate(e.value, factor * e.stderr) for k, e in sketch.estimate_traces(g, z, blocks).items()}


def not_divided(g, z, blocks):
    factor = g.shape[1] ** 0.5
    return {k: sketch.Estimate(e.value, factor * e.stderr) for k, e in sketch.estimate_traces(g, z, blocks).items()}


FAULTS = {
    "half": (lambda g, z: sketch.estimate_ntk(g, z) / 2, sketch.estimate_traces, 1.0),
    "half forgotten": (lambda g, z: 2 * sketch.estimate_ntk(g, z), sketch.estimate_traces, 1.0),
    "not symmetrised": (lambda g, z: z @ g.T / g.shape[1], sketch.estimate_traces, 1.0),
    "sum for mean of K": (lambda g, z: g.shape[1] * sketch.estimate_ntk(g, z), sketch.estimate_traces, 1.0),
    "clipped": (lambda g, z: sketch.clip(sketch.estimate_ntk(g, z)), sketch.estimate_traces, 1.0),
    "z zᵀ for z gᵀ": (lambda g, z: sketch.estimate_ntk(z, z), sketch.estimate_traces, 1.0),
    "sum for mean of traces": (sketch.estimate_ntk, sums, 1.0),
    "blocks exchanged": (sketch.estimate_ntk, exchanged, 1.0),
    "N for N - 1": (sketch.estimate_ntk, shrunk, 1.0),
    "deviation for standard error": (sketch.estimate_ntk, not_divided, 1.0),
    "g of variance 1.02": (sketch.estimate_ntk, sketch.estimate_traces, 1.01),
    "g of variance 1/n": (sketch.estimate_ntk, sketch.estimate_traces, 5**-0.5),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_estimators_are_found(fault):
    with pytest.raises(AssertionError):
        check_estimators(*FAULTS[fault])


def test_one_sample_knows_no_error():
    found = sketch.estimate_traces(np.ones((5, 1)), K @ np.ones((5, 1)), BLOCKS)
    assert all(np.isnan(e.stderr) and np.isfinite(e.value) for e in found.values())


def test_a_sample_can_be_negative_and_is_returned_as_it_is():
    kernel = np.array([[1.0, -2.0], [-2.0, 5.0]])
    g = np.ones((2, 1))
    found = sketch.estimate_traces(g, kernel @ g, {"a": slice(0, 1), "b": slice(1, 2)})
    assert float(found["a"]) == -1.0
    with pytest.raises(TraceError, match=r"^traces\['a'\]: got -1.0; .*average more samples"):
        rn.weights.trace_ratio(found)


matrices = st.integers(1, 4).flatmap(
    lambda n: st.tuples(
        *(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=n, max_size=n).map(np.array) for _ in range(2))
    )
)


@given(matrices)
def test_traces_are_those_of_the_matrix(pair):
    g, z = pair
    blocks = {str(i): slice(i, i + 1) for i in range(g.shape[0])}
    estimate = sketch.estimate_ntk(g, z)
    np.testing.assert_array_equal(estimate, estimate.T)
    traces = np.array([float(e) for e in sketch.estimate_traces(g, z, blocks).values()])
    assert np.abs(traces - np.diag(estimate)).max() <= 1e-15 * 10 * np.abs(g).max() * np.abs(z).max()


# Clipping ----------------------------------------------------------------------------------------------------


def clipping_gain(kernel, estimate):
    return np.linalg.norm(estimate - kernel) - np.linalg.norm(sketch.clip(estimate) - kernel)


rows = st.lists(st.lists(st.integers(-3, 3), min_size=2, max_size=2), min_size=3, max_size=3).map(
    lambda v: np.array(v, dtype=float)
)


@given(rows)
def test_clipping_helps_every_sample_of_a_kernel_without_negative_entries(found):
    kernel = np.abs(found) @ np.abs(found).T
    assert all(clipping_gain(kernel, sketch.estimate_ntk(g[:, None], kernel @ g[:, None])) >= 0 for g in signs(3).T)


@given(rows)
def test_clipping_spoils_the_mean_of_a_kernel_with_negative_entries(found):
    """All signs together give K itself, and clipping takes its negative entries away."""
    kernel = found @ found.T
    estimate = sketch.estimate_ntk(signs(3), kernel @ signs(3))
    lost = np.linalg.norm(np.minimum(kernel, 0))
    assert abs(clipping_gain(kernel, estimate) + lost) <= 1e-12 * max(1.0, np.abs(kernel).max())


def mean_gain(kernel, count):
    """E‖K̂ - K‖² - E‖clip K̂ - K‖² for the mean of `count` independent signs of a 2×2 kernel, over all outcomes."""
    gains = []
    for chosen in product(range(4), repeat=count):
        g = signs(2)[:, list(chosen)]
        estimate = sketch.estimate_ntk(g, kernel @ g)
        gains.append(((estimate - kernel) ** 2).sum() - ((sketch.clip(estimate) - kernel) ** 2).sum())
    return np.mean(gains)


def test_remark_6_fails_in_expectation():
    """Four samples of a kernel as any network may have: clipping makes the expected squared error larger."""
    assert mean_gain(np.array([[1.0, -0.9], [-0.9, 1.0]]), 4) < -1.0
    assert mean_gain(np.array([[1.0, 0.9], [0.9, 1.0]]), 4) > 0


def test_such_a_kernel_is_easily_found():
    found = find(rows, lambda v: clipping_gain(v @ v.T, sketch.estimate_ntk(signs(3), v @ v.T @ signs(3))) < -0.5)
    assert (found @ found.T).min() < 0


def test_a_network_has_such_a_kernel():
    assert rn.ntk(rn.linearize(*case(problems.get("wave")))).min() < 0


def test_clip_hides_no_nan():
    with pytest.raises(NotFiniteError, match=r"^K: "):
        sketch.clip(np.array([[np.nan]]))


# Sampling ----------------------------------------------------------------------------------------------------

CASES = {"quadratic": (problems.get("quadratic"), {"each": 50}), "wave": (problems.get("wave"), {"each": 4, "interior": 6})}
SAMPLES = 2**15


@cache
def sampled(name, kind, dt, count=SAMPLES):
    """(K, blocks, G, Z) at a fixed key."""
    problem, options = CASES[name]
    arguments = case(problem, **options)
    lin = rn.linearize(*arguments)
    G = probes.draw(kind, lin.shape[0], count, key=20261101)
    return rn.ntk(lin), lin.blocks, G, sketch.products(*arguments, G, dt)


def check_moments(samples, traces, covariance):
    """Samples (M, N) have these means and this covariance, inside intervals of SIGMAS standard deviations."""
    count = samples.shape[1]
    centred = samples - np.array(traces)[:, None]
    off = np.abs(centred.mean(axis=1)) / np.sqrt(np.diag(covariance) / count)
    assert off.max() <= SIGMAS, f"means {off.max():.1f} standard deviations off"
    for k, l in product(range(len(traces)), repeat=2):
        products = centred[k] * centred[l]
        off = abs(products.mean() - covariance[k, l]) / (products.std() / count**0.5)
        assert off <= SIGMAS, f"covariance [{k}, {l}] {off:.1f} standard deviations off"


def of_terms(blocks, G, Z):
    return np.array([(G[own] * Z[own]).sum(axis=0) for own in blocks.values()])


def closed(kernel, blocks, kind):
    traces = [np.trace(kernel[own, own]) for own in blocks.values()]
    return traces, moments.trace_covariance(kernel, blocks, probe=kind)


@pytest.mark.parametrize("kind", list(probes.KINDS))
@pytest.mark.parametrize(("name", "dt", "count"), [("quadratic", 1e-6, SAMPLES), ("wave", None, SAMPLES), ("wave", 1e-7, 2**11)])
def test_sampled_moments_of_algorithm_2(name, kind, dt, count):
    kernel, blocks, G, Z = sampled(name, kind, dt, count)
    check_moments(of_terms(blocks, G, Z), *closed(kernel, blocks, kind))


SAMPLING_FAULTS = {
    "g of variance 1.1": lambda samples, traces, C: (1.1 * samples, traces, C),
    "half a trace": lambda samples, traces, C: (samples / 2, traces, C),
    "blocks exchanged": lambda samples, traces, C: (samples[[3, 1, 2, 0]], traces, C),
    "the paper's bound for the variance": lambda samples, traces, C: (samples, traces, 2 * C),
    "terms taken as independent": lambda samples, traces, C: (samples, traces, np.diag(np.diag(C))),
    "a term left out": lambda samples, traces, C: (samples * np.array([[1.0], [0.0], [1.0], [1.0]]), traces, C),
}


@pytest.mark.parametrize("kind", list(probes.KINDS))
@pytest.mark.parametrize("fault", SAMPLING_FAULTS)
def test_sampling_faults_are_found(fault, kind):
    kernel, blocks, G, Z = sampled("wave", kind, None)
    with pytest.raises(AssertionError, match="standard deviations off"):
        check_moments(*SAMPLING_FAULTS[fault](of_terms(blocks, G, Z), *closed(kernel, blocks, kind)))


def test_sampling_tells_the_probes_apart():
    kernel, blocks, G, Z = sampled("wave", "rademacher", None)
    with pytest.raises(AssertionError, match="standard deviations off"):
        check_moments(of_terms(blocks, G, Z), *closed(kernel, blocks, "normal"))


NUMBERS = (1, 4, 16, 64)


def check_rates(estimate, name, kind, dt):
    """Theorem 4: the mean squared errors of K̂ and of its trace fall like 1/N; 512 means of 64 samples and more of fewer."""
    kernel, _, G, Z = sampled(name, kind, dt)
    matrix, trace = [], []
    for number in NUMBERS:
        starts = [number * j for j in range(min(SAMPLES // number, 4096))]
        estimates = (estimate(G[:, s : s + number], Z[:, s : s + number]) - kernel for s in starts)
        found = np.array([((e**2).sum(), np.trace(e) ** 2) for e in estimates]).mean(axis=0)
        matrix.append(found[0])
        trace.append(found[1])
    check_slope(matrix, NUMBERS, -1, 0.1)
    check_slope(trace, NUMBERS, -1, 0.1)
    expected = moments.ntk_mean_squared_error(kernel, probe=kind), moments.trace_variance(kernel, probe=kind)
    assert np.abs(np.array([matrix, trace]) * NUMBERS / np.array(expected)[:, None] - 1).max() <= 0.5


@pytest.mark.parametrize("kind", list(probes.KINDS))
@pytest.mark.parametrize(("name", "dt"), [("quadratic", 1e-6), ("wave", None)])
def test_theorem_4(name, dt, kind):
    check_rates(sketch.estimate_ntk, name, kind, dt)


RATE_FAULTS = {
    "sum for mean": lambda g, z: g.shape[1] * sketch.estimate_ntk(g, z),
    "the first sample alone": lambda g, z: sketch.estimate_ntk(g[:, :1], z[:, :1]),
    "half": lambda g, z: sketch.estimate_ntk(g, z) / 2,
    "divided by √N": lambda g, z: g.shape[1] ** 0.5 * sketch.estimate_ntk(g, z),
}


@pytest.mark.parametrize("fault", RATE_FAULTS)
def test_faults_of_the_rate_are_found(fault):
    with pytest.raises(AssertionError):
        check_rates(RATE_FAULTS[fault], "wave", "rademacher", None)


# Theorem 5 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", problems.names())
@pytest.mark.parametrize("chosen", engine.names())
def test_theorem_5_without_discretisation(name, chosen):
    """Orthogonal directions of length √p make the mean of ‖J g‖² the trace, whatever J is."""
    arguments = case(problems.get(name), sizes=(3,))
    lin = rn.linearize(*arguments)
    p = lin.shape[1]
    Q, _ = np.linalg.qr(np.random.default_rng(0).standard_normal((p, p)))
    got = sketch.alternative_trace(*arguments, p**0.5 * Q, eps=None, engine=chosen)
    want = rn.ntk_traces(lin)
    assert list(got) == list(want)
    assert max(abs(float(got[k]) - want[k]) / want[k] for k in want) <= 1e-11


@pytest.mark.parametrize("eps", [1e-3, 0.1, 1.0])
def test_bias_of_theorem_5_for_the_quadratic_problem(eps):
    """`R(θ + εg) - R(θ) = ε J g + ε² U (g ⊙ g)`: over all signs the bias is `ε² ‖U 1‖²`, and the odd term vanishes."""
    problem, _, theta, points = case(problems.get("quadratic"), each=8)
    x = points["data"][:, 0]
    bias = eps**2 * ((1 + x + x * x) ** 2).sum()
    trace = rn.ntk_traces(rn.linearize(problem, None, theta, points))["data"]
    got = float(sketch.alternative_trace(problem, None, theta, points, signs(3), eps)["data"])
    assert abs(got - trace - bias) <= 1e-10 * (trace + bias) / min(eps, 1.0)


def test_bias_of_theorem_5_is_of_second_order_and_a_sample_of_first():
    arguments = case(Interior(), each=8)
    g = probes.normal(arguments[2].size, 1, key=6)
    steps = np.array([1e-3, 3e-4, 1e-4])

    def off(G):
        exact = float(sketch.alternative_trace(*arguments, G, eps=None)["interior"])
        return [abs(float(sketch.alternative_trace(*arguments, G, eps)["interior"]) - exact) for eps in steps]

    check_slope(off(np.concatenate([g, -g], axis=1)), steps, 2, 0.05)
    check_slope(off(g), steps, 1, 0.05)


def test_sampled_moments_of_theorem_5():
    problem, options = CASES["wave"]
    arguments = case(problem, **options)
    lin = rn.linearize(*arguments)
    tangents = lin.jacobian @ probes.normal(lin.shape[1], SAMPLES, key=7)
    kernel, samples = rn.ntk(lin), of_terms(lin.blocks, tangents, tangents)
    traces, _ = closed(kernel, lin.blocks, "normal")
    covariance = moments.alternative_trace_covariance(kernel, lin.blocks)
    check_moments(samples, traces, covariance)
    with pytest.raises(AssertionError):  # n for p: the paper's N(0, ε² I_n)
        check_moments(samples * lin.shape[0] / lin.shape[1], traces, covariance)
    got = sketch.alternative_trace(*arguments, probes.normal(lin.shape[1], 100, key=7), eps=None)
    np.testing.assert_allclose([float(e) for e in got.values()], samples[:, :100].mean(axis=1), rtol=1e-12)


# Libraries and errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("name", ["wave", "qtensor", "quadratic"])
@pytest.mark.parametrize(("dt", "difference"), [(None, "forward"), (1e-4, "forward"), (1e-4, "central")])
def test_other_libraries(xp, name, dt, difference):
    problem, network, theta, points = case(problems.get(name))
    lin = rn.linearize(problem, network, theta, points)
    G, blocks = probes.rademacher(lin.shape[0], 3, key=8), lin.blocks
    want = sketch.products(problem, network, theta, points, G, dt, difference=difference)
    there = {term: xp.asarray(x) for term, x in points.items()}
    got = sketch.products(problem, network, xp.asarray(theta), there, xp.asarray(G), dt, difference=difference)
    scale = np.abs(want).max()
    assert type(got) is type(xp.asarray(G))
    assert np.abs(np.asarray(got) - want).max() <= 1e-9 * scale  # rounding in R, divided by the step
    np.testing.assert_allclose(
        np.asarray(sketch.estimate_ntk(xp.asarray(G), got)), sketch.estimate_ntk(G, want), rtol=0, atol=1e-9 * scale
    )
    np.testing.assert_allclose(
        np.asarray(sketch.clip(sketch.estimate_ntk(xp.asarray(G), got))),
        sketch.clip(sketch.estimate_ntk(G, want)),
        rtol=0,
        atol=1e-9 * scale,
    )
    traces, wanted = sketch.estimate_traces(xp.asarray(G), got, blocks), sketch.estimate_traces(G, want, blocks)
    assert all(type(e.value) is float for e in traces.values())
    assert max(abs(float(traces[k]) - float(wanted[k])) for k in blocks) <= 1e-9 * scale * G.shape[0]
    P = probes.normal(lin.shape[1], 2, key=9)
    alternative = sketch.alternative_trace(problem, network, xp.asarray(theta), there, xp.asarray(P), dt)
    wanted = sketch.alternative_trace(problem, network, theta, points, P, dt)
    assert max(abs(float(alternative[k]) / float(wanted[k]) - 1) for k in blocks) <= 1e-8


@pytest.mark.parametrize("dt", [0, 0.0, -1e-4, float("nan"), float("inf"), "1e-4", True])
def test_steps_that_are_none(dt):
    arguments = case(problems.get("quadratic"))
    with pytest.raises(InvalidInput, match=r"^dt: "):
        sketch.products(*arguments, np.ones((3, 1)), dt)
    with pytest.raises(InvalidInput, match=r"^eps: "):
        sketch.alternative_trace(*arguments, np.ones((3, 1)), dt)


@pytest.mark.parametrize("function", [sketch.products, sketch.alternative_trace])
@pytest.mark.parametrize(
    ("found", "error"),
    [
        (np.ones(5), ShapeError),
        (np.ones((4, 2)), ShapeError),
        (np.ones((5, 0)), ShapeError),
        (np.full((5, 2), np.nan), NotFiniteError),
        (np.full((5, 2), np.inf), NotFiniteError),
        ("probes", InvalidInput),
        (None, InvalidInput),
        (np.ones((5, 2), dtype=complex), InvalidInput),
        (torch.ones((5, 2)), InvalidInput),
    ],
)
@pytest.mark.parametrize("dt", [None, 1e-4])
def test_what_is_no_probe(function, found, error, dt):
    arguments = case(problems.get("quadratic"), each=5)
    if function is sketch.alternative_trace and hasattr(found, "shape") and found.shape == (5, 2):
        found = found[:3]
    with pytest.raises(error):
        function(*arguments, found, dt)


def test_unknown_difference_even_where_none_is_taken():
    with pytest.raises(UnknownNameError, match=r"^difference: "):
        sketch.products(*case(problems.get("quadratic")), np.ones((3, 1)), dt=None, difference="backward")


@pytest.mark.parametrize(
    ("g", "z", "error"),
    [
        (np.ones((3, 2)), np.ones((3, 1)), ShapeError),
        (np.ones((3, 2)), np.ones((2, 3)), ShapeError),
        (np.ones(3), np.ones(3), ShapeError),
        (np.ones((3, 0)), np.ones((3, 0)), ShapeError),
        (np.ones((3, 2)), np.full((3, 2), np.nan), NotFiniteError),
        (np.full((3, 2), np.inf), np.ones((3, 2)), NotFiniteError),
        (np.ones((3, 2)), torch.ones((3, 2)), InvalidInput),
        ("g", np.ones((3, 2)), InvalidInput),
    ],
)
def test_what_is_no_pair(g, z, error):
    with pytest.raises(error):
        sketch.estimate_ntk(g, z)
    with pytest.raises(error):
        sketch.estimate_traces(g, z, {"a": slice(0, 3)})


@pytest.mark.parametrize("own", [slice(0, 4), slice(2, 2), slice(-1, 2)])
def test_blocks_that_leave_the_rows(own):
    with pytest.raises(ShapeError, match=r"^blocks\['a'\]: "):
        sketch.estimate_traces(np.ones((3, 2)), np.ones((3, 2)), {"a": own})
