"""Hutch++, XTrace and probes of one block at a time: unbiased over every sign, and of the spread that the closed form says."""

import array_api_strict
import numpy as np
import pytest
import torch
from cases import case
from hypothesis import given, settings
from hypothesis import strategies as st

import refntk as rn
from refntk import moments, probes, problems, sketch, strategies
from refntk.errors import NotFiniteError, ShapeError, UnknownNameError
from refntk.estimation.cubature import all_signs, gauss_hermite
from refntk.estimation.deflation import hutch_plus_plus, term_product, xtrace
from refntk.kernel.ntk import ntk_block

TOLERANCE = 1e-10  # of the scale stated; projections of a few rows, singular values from 1 to 50


def times(A):
    return lambda V: A @ V


# Hutch++ -----------------------------------------------------------------------------------------------------


def check_hutch_plus_plus(estimator, K, test, probe):
    """Mean and spread over every probe, from one at a time: Tr K, and the variance of gᵀ(I - QQᵀ)K(I - QQᵀ)g."""
    n = K.shape[0]
    G, probability = all_signs(n) if probe == "rademacher" else gauss_hermite(n, 3)
    found = np.array([estimator(times(K), test, g[:, None]).value for g in G.T])
    U, sigma, _ = np.linalg.svd(K @ test, full_matrices=False)
    Q = U[:, sigma > 1e-10 * sigma[0]]
    rest = (np.eye(n) - Q @ Q.T) @ K @ (np.eye(n) - Q @ Q.T)
    scale = np.trace(K)
    assert abs(found @ probability - np.trace(K)) <= TOLERANCE * scale
    want = moments.trace_variance((rest + rest.T) / 2, probe=probe)
    assert abs((found - np.trace(K)) ** 2 @ probability - want) <= TOLERANCE * scale**2


@pytest.mark.parametrize("probe", list(probes.KINDS))
@given(kernel=strategies.kernels(n=4), data=st.data())
def test_hutch_plus_plus(probe, kernel, data):
    check_hutch_plus_plus(hutch_plus_plus, kernel.K, data.draw(strategies.probes(4, 2)), probe)


def without_projection(product, test, G):
    exact = hutch_plus_plus(product, test, np.zeros_like(G)).value
    return sketch.Estimate(exact + float(np.mean(np.sum(G * product(G), axis=0))), 0.0)


HUTCH_FAULTS = {
    "the sketch alone": lambda product, test, G: hutch_plus_plus(product, test, np.zeros_like(G)),
    "without projection": without_projection,
    "Hutchinson's": lambda product, test, G: sketch.Estimate(float(np.sum(G * product(G))), 0.0),
    "test and probes alike": lambda product, test, G: hutch_plus_plus(product, G, G),
    "the sketch halved": lambda product, test, G: sketch.Estimate(
        hutch_plus_plus(product, test, G).value - hutch_plus_plus(product, test, np.zeros_like(G)).value / 2, 0.0
    ),
}

J = np.array([[1, 2, 0], [-1, 1, 1], [3, 0, -2], [0, 1, 1.0]])
K = J @ J.T


@pytest.mark.parametrize("probe", list(probes.KINDS))
@pytest.mark.parametrize("fault", HUTCH_FAULTS)
def test_faults_of_hutch_plus_plus_are_found(fault, probe):
    with pytest.raises(AssertionError):
        check_hutch_plus_plus(HUTCH_FAULTS[fault], K, np.array([[1.0], [1.0], [-1.0], [1.0]]), probe)


# XTrace ------------------------------------------------------------------------------------------------------


def check_xtrace(estimator, K, count):
    """The mean over every sign of `count` probes together, repeated columns and kernels of low rank among them."""
    n = K.shape[0]
    G, probability = all_signs(n * count)
    found = np.array([estimator(times(K), g.reshape(n, count)).value for g in G.T])
    assert abs(found @ probability - np.trace(K)) <= TOLERANCE * np.trace(K)
    return found, probability


@pytest.mark.parametrize(("n", "count"), [(3, 1), (3, 2), (2, 4)])
@pytest.mark.parametrize("rank", [1, 2])
@settings(max_examples=15)
@given(data=st.data())
def test_xtrace_is_unbiased(n, count, rank, data):
    check_xtrace(xtrace, data.draw(strategies.kernels(n=n, rank=rank)).K, count)


def by_hand(product, G):
    """Each probe on what the others leave, one QR each."""
    found = []
    for i in range(G.shape[1]):
        U, sigma, _ = np.linalg.svd(product(np.delete(G, i, axis=1)), full_matrices=False)
        Q = U[:, sigma > 1e-10 * max(sigma[0], 1.0)]
        g = G[:, i] - Q @ (Q.T @ G[:, i])
        found.append(np.trace(Q.T @ product(Q)) + g @ product(g[:, None])[:, 0])
    return sketch.Estimate.of(np.array(found))


@given(strategies.kernels(n=5), st.data())
def test_xtrace_is_the_mean_of_what_each_probe_finds(kernel, data):
    G = data.draw(strategies.probes(5, 3, kind=data.draw(st.sampled_from(list(probes.KINDS)))))
    G = G + np.where(np.arange(5)[:, None] == np.arange(3), 1e-3, 0.0)  # no column of zeros, no two alike
    got, want = xtrace(times(kernel.K), G), by_hand(times(kernel.K), G)
    scale = np.trace(kernel.K) * np.sum(G * G)
    assert abs(got.value - want.value) <= 1e-5 * scale  # near-dependent columns lose half the digits in either way


def test_xtrace_of_four_probes():
    G = probes.normal(30, 4, key=5)
    F = probes.normal(30, 10, key=6)
    got, want = xtrace(times(F @ F.T), G), by_hand(times(F @ F.T), G)
    assert abs(got.value / want.value - 1) <= TOLERANCE
    assert abs(got.stderr / want.stderr - 1) <= 1e-8


XTRACE_FAULTS = {
    "no probe left out": lambda product, G: hutch_plus_plus(product, G, G),
    "the sketch alone": lambda product, G: hutch_plus_plus(product, G, np.zeros_like(G)),
    "one more than there are": lambda product, G: sketch.Estimate(xtrace(product, G).value * 3 / 2, 0.0),
}


@pytest.mark.parametrize("fault", XTRACE_FAULTS)
def test_faults_of_xtrace_are_found(fault):
    with pytest.raises(AssertionError):
        check_xtrace(XTRACE_FAULTS[fault], K[:3, :3], 2)


def test_one_probe_is_hutchinson_s():
    found, probability = check_xtrace(xtrace, K, 1)
    want = moments.trace_variance(K, probe="rademacher")
    assert abs((found - np.trace(K)) ** 2 @ probability - want) <= TOLERANCE * np.trace(K) ** 2


# Both --------------------------------------------------------------------------------------------------------


def spread(estimate, exact):
    return np.sqrt(np.mean([(estimate(key) / exact - 1) ** 2 for key in range(20)]))


def test_they_are_better_than_hutchinson_on_a_network():
    """Forty products each on the wave equation, 64 rows: the root mean square of 20 relative errors."""
    problem = problems.get("wave")
    network = rn.MLP([2, 20, 1], **problem.normalization)
    points = problem.sample(rng=1, counts={"interior": 40, "initial": 8, "velocity": 8, "boundary": 8})
    kernel = rn.ntk(rn.linearize(problem, network, network.init(rng=1), points))
    exact = float(np.trace(kernel))

    def hutchinson(key):
        G = probes.rademacher(64, 40, key=key)
        return float(np.sum(G * (kernel @ G))) / 40

    def deflated(key):
        G = probes.rademacher(64, 28, key=key)
        return hutch_plus_plus(times(kernel), G[:, :12], G[:, 12:]).value

    def crossed(key):
        return xtrace(times(kernel), probes.rademacher(64, 20, key=key)).value

    plain = spread(hutchinson, exact)
    assert spread(deflated, exact) < plain / 10
    assert spread(crossed, exact) < plain / 100


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
@pytest.mark.parametrize("rank", [2, 8])
def test_other_libraries(xp, rank):
    F, G = probes.normal(8, rank, key=1), probes.normal(8, 4, key=2)
    A, there = F @ F.T, xp.asarray(F @ F.T)
    for estimator, columns in ((hutch_plus_plus, (slice(0, 2), slice(2, 4))), (xtrace, (slice(0, 4),))):
        got = estimator(times(there), *(xp.asarray(G[:, c]) for c in columns))
        want = estimator(times(A), *(G[:, c] for c in columns))
        assert type(got.value) is float
        assert abs(got.value - want.value) <= TOLERANCE * np.trace(A), estimator.__name__


def test_a_kernel_of_zeros():
    G = probes.rademacher(4, 2, key=1)
    assert xtrace(times(np.zeros((4, 4))), G) == sketch.Estimate(0.0, 0.0)
    assert hutch_plus_plus(times(np.zeros((4, 4))), G, G) == sketch.Estimate(0.0, 0.0)


@pytest.mark.parametrize(
    ("G", "error"),
    [(np.ones(3), ShapeError), (np.ones((3, 0)), ShapeError), (np.full((3, 1), np.nan), NotFiniteError)],
)
def test_what_is_no_probe(G, error):
    with pytest.raises(error, match=r"^(test|probes): "):
        xtrace(times(np.eye(3)), G)
    with pytest.raises(error, match=r"^test: "):
        hutch_plus_plus(times(np.eye(3)), G, np.ones((3, 1)))
    with pytest.raises(error, match=r"^probes: "):
        hutch_plus_plus(times(np.eye(3)), np.ones((3, 1)), G)


# Terms -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", problems.names())
def test_products_of_a_term(name):
    lin = case(name).linearize()
    blocks = {term: ntk_block(lin, term, term) for term in lin.blocks}
    found = {term: term_product(lin, term)(np.eye(len(block))) for term, block in blocks.items()}
    scale = max(np.abs(block).max() for block in blocks.values())
    assert max(np.abs(found[term] - blocks[term]).max() for term in blocks) <= 1e-12 * scale


def test_unknown_term():
    with pytest.raises(UnknownNameError, match=r"^term: "):
        term_product(case("wave").linearize(), "inside")


def check_block_traces(estimator, lin):
    """Over every sign of all rows at once: the traces, and their spread."""
    n = lin.shape[0]
    G, _ = all_signs(n)
    found, kernel, count = estimator(lin, G), rn.ntk(lin), G.shape[1]
    want = moments.block_trace_variances(kernel, lin.blocks, probe="rademacher")
    assert list(found) == list(lin.blocks)
    for name, rows in lin.blocks.items():
        scale = np.trace(kernel[rows, rows])
        assert abs(found[name].value - scale) <= TOLERANCE * scale, name
        assert abs(found[name].stderr ** 2 * (count - 1) - want[name]) <= TOLERANCE * scale**2, name


@pytest.mark.parametrize("name", ["poisson1d", "wave", "quadratic", "heat"])
def test_block_traces(name):
    check_block_traces(sketch.estimate_block_traces, case(name, each=2).linearize())


def of_all_rows(lin, G):
    return sketch.estimate_traces(G, rn.ntk(lin) @ G, lin.blocks)


BLOCK_FAULTS = {
    "all rows at once": of_all_rows,
    "rows exchanged": lambda lin, G: dict(zip(lin.blocks, list(sketch.estimate_block_traces(lin, G).values())[::-1], strict=True)),
    "a probe of variance 1.02": lambda lin, G: sketch.estimate_block_traces(lin, 1.01 * G),
    "a row forgotten": lambda lin, G: sketch.estimate_block_traces(lin, np.concatenate([0 * G[:1], G[1:]])),
}


@pytest.mark.parametrize("fault", BLOCK_FAULTS)
def test_faults_of_block_traces_are_found(fault):
    with pytest.raises(AssertionError):
        check_block_traces(BLOCK_FAULTS[fault], case("wave", each=2).linearize())


@given(strategies.cases(), st.data())
def test_block_traces_are_never_negative(drawn, data):
    lin = rn.linearize(*drawn)
    found = sketch.estimate_block_traces(lin, data.draw(strategies.probes(lin.shape[0], 1)))
    assert all(estimate.value >= 0 for estimate in found.values())


def test_block_traces_in_batches(monkeypatch):
    lin = case("wave").linearize()
    G = probes.rademacher(lin.shape[0], 7, key=5)
    whole = sketch.estimate_block_traces(lin, G)
    monkeypatch.setattr(sketch, "BATCH_BYTES", 8 * lin.shape[1] * 3)
    parts = sketch.estimate_block_traces(lin, G)
    assert max(abs(parts[name].value / whole[name].value - 1) for name in whole) <= TOLERANCE


@pytest.mark.parametrize("xp", [torch, array_api_strict], ids=lambda xp: xp.__name__)
def test_block_traces_in_other_libraries(xp):
    drawn = case("wave")
    there = rn.linearize(drawn.problem, drawn.network, xp.asarray(drawn.theta), {k: xp.asarray(v) for k, v in drawn.points.items()})
    G = probes.rademacher(there.shape[0], 3, key=8)
    got, want = sketch.estimate_block_traces(there, xp.asarray(G)), sketch.estimate_block_traces(drawn.linearize(), G)
    assert max(abs(got[name].value / want[name].value - 1) for name in want) <= 1e-9
