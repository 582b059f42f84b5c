"""What must hold for every problem, network, θ, points and probes, without chance: each consequence with a slip that it rejects.

A ledger holds what refntk says about one case. A consequence looks at the ledger; a fault alters one entry of it.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refntk as rn
from refntk import moments, problems, sketch, strategies
from refntk.estimation.cubature import all_signs
from refntk.estimation.ratio import estimate_weights, weight_bias
from refntk.weights import trace_ratio

TOLERANCE = 1e-10  # of Tr K, or of its square for squares; a kernel of zeros is held to 1e-200
MOST = 10  # rows for which every sign vector is tried


@dataclass(frozen=True)
class Ledger:
    """R and J, K with what is read off it, and the sketches of every sign of all rows, or of one where there are too many."""

    blocks: dict[str, slice]
    J: np.ndarray
    K: np.ndarray
    diagonal: np.ndarray
    spectrum: np.ndarray
    traces: dict[str, float]
    G: np.ndarray
    Z: np.ndarray
    estimate: np.ndarray
    estimates: dict[str, Any]
    separate: dict[str, Any]

    @property
    def total(self):
        return max(float(np.trace(self.J @ self.J.T)), 1e-200)

    @property
    def enumerated(self):
        return self.G.shape[1] == 2 ** len(self.K)


def ledger(case):
    lin = rn.linearize(*case)
    n, blocks = lin.shape[0], dict(lin.blocks)
    G = all_signs(n)[0] if n <= MOST else np.where(np.arange(n)[:, None] % 3 == 0, -1.0, 1.0)
    Z = sketch.products(*case, G, dt=None)
    return Ledger(
        blocks,
        lin.jacobian.dense(),
        rn.ntk(lin),
        rn.ntk_diagonal(lin),
        rn.ntk_spectrum(lin),
        rn.ntk_traces(lin),
        G,
        Z,
        sketch.estimate_ntk(G, Z),
        sketch.estimate_traces(G, Z, blocks),
        sketch.estimate_block_traces(lin, G),
    )


def near(got, want, scale):
    assert np.max(np.abs(np.asarray(got) - np.asarray(want)), initial=0.0) <= TOLERANCE * scale


def kernel_of_the_jacobian(book):
    near(book.K, book.J @ book.J.T, book.total)


def symmetric(book):
    assert np.array_equal(book.K, book.K.T)


def positive_semidefinite_and_of_rank_p(book):
    near(book.spectrum, np.linalg.eigvalsh(book.K)[::-1], book.total)
    assert np.all(np.diff(book.spectrum) <= 0)
    assert book.spectrum[-1] >= -TOLERANCE * book.total
    near(book.spectrum[book.J.shape[1] :], 0.0, book.total)


def traces_and_diagonal(book):
    near(book.diagonal, np.diag(book.K), book.total)
    near(list(book.traces.values()), [np.sum(book.diagonal[rows]) for rows in book.blocks.values()], book.total)


def blocks_beside_the_diagonal(book):
    """‖K_kl‖² ≤ T_k T_l: the share of another term in the variance of a balanced trace is at most 1."""
    T = np.array(list(book.traces.values()))
    squares = [[np.sum(book.K[k, l] ** 2) for l in book.blocks.values()] for k in book.blocks.values()]
    assert np.all(squares <= np.outer(T, T) + TOLERANCE * book.total**2)


def weights_balance_the_traces(book):
    """λ_k T_k = T for every term, so that the weighted kernel has M T for its trace."""
    if min(book.traces.values()) <= 1e-12 * book.total:
        return  # no weight follows
    found = trace_ratio(book.traces)
    spread = np.concatenate([np.full(rows.stop - rows.start, found[name]) for name, rows in book.blocks.items()])
    weighted = np.diag(book.K) * spread
    near([np.sum(weighted[rows]) for rows in book.blocks.values()], book.total, book.total)
    assert all(weight >= 1 for weight in found.values())


def products_with_the_kernel(book):
    near(book.Z, book.K @ book.G, book.total * len(book.K) ** 0.5)


def every_sign_gives_the_kernel(book):
    if book.enumerated:
        near(book.estimate, book.K, book.total)


def every_sign_gives_the_traces(book):
    for found in (book.estimates, book.separate) if book.enumerated else ():
        near([float(found[name]) for name in book.blocks], list(book.traces.values()), book.total)


def every_sign_gives_the_variances(book):
    count = book.G.shape[1]
    pairs = (book.estimates, moments.trace_variances), (book.separate, moments.block_trace_variances)
    for found, formula in pairs if book.enumerated else ():
        want = formula(book.K, book.blocks, probe="rademacher")
        near([found[name].stderr ** 2 * (count - 1) for name in book.blocks], list(want.values()), book.total**2)


CONSEQUENCES = {
    check.__name__: check
    for check in (
        kernel_of_the_jacobian,
        symmetric,
        positive_semidefinite_and_of_rank_p,
        traces_and_diagonal,
        blocks_beside_the_diagonal,
        weights_balance_the_traces,
        products_with_the_kernel,
        every_sign_gives_the_kernel,
        every_sign_gives_the_traces,
        every_sign_gives_the_variances,
    )
}


@pytest.mark.parametrize("name", problems.names())
@given(data=st.data())
def test_consequences(name, data):
    book = ledger(data.draw(strategies.cases([name])))
    for check in CONSEQUENCES.values():
        check(book)


def exchanged(estimates):
    return dict(zip(estimates, list(estimates.values())[::-1], strict=True))


def negative(book):
    K = book.K - 0.01 * book.total * np.eye(len(book.K))
    return replace(book, K=K, spectrum=book.spectrum - 0.01 * book.total)


FAULTS = {
    "kernel_of_the_jacobian": lambda book: replace(book, K=book.K / 2),
    "symmetric": lambda book: replace(book, K=book.K + np.triu(np.full_like(book.K, 1e-12 * book.total), 1)),
    "positive_semidefinite_and_of_rank_p": negative,
    "traces_and_diagonal": lambda book: replace(book, traces=exchanged(book.traces)),
    "blocks_beside_the_diagonal": lambda book: replace(book, K=2 * book.total - book.K),
    "weights_balance_the_traces": lambda book: replace(book, traces=exchanged(book.traces)),
    "products_with_the_kernel": lambda book: replace(book, Z=-book.Z),
    "every_sign_gives_the_kernel": lambda book: replace(book, estimate=sketch.clip(book.estimate)),
    "every_sign_gives_the_traces": lambda book: replace(book, separate=exchanged(book.separate)),
    "every_sign_gives_the_variances": lambda book: replace(book, separate=book.estimates),
}


@pytest.fixture(scope="module")
def book():
    """The wave equation with two points a term: eight rows."""
    problem = problems.get("wave")
    network = rn.MLP([2, 4, 1], **problem.normalization)
    points = problem.sample(rng=5, counts={term.name: 2 for term in problem.terms})
    return ledger((problem, network, network.init(rng=6, scheme="normal", std=0.5), points))


@pytest.mark.parametrize("name", CONSEQUENCES)
def test_faults_are_found(name, book):
    CONSEQUENCES[name](book)
    with pytest.raises(AssertionError):
        CONSEQUENCES[name](FAULTS[name](book))


# Between two ledgers -----------------------------------------------------------------------------------------


@given(strategies.cases(), st.data())
def test_points_in_another_order_are_rows_in_another_order(case, data):
    problem, network, theta, points = case
    orders = {name: np.array(data.draw(st.permutations(range(len(x))))) for name, x in points.items()}
    lin = rn.linearize(*case)
    moved = rn.linearize(problem, network, theta, {name: x[orders[name]] for name, x in points.items()})
    each = {name: (rows.stop - rows.start) // len(points[name]) for name, rows in lin.blocks.items()}
    rows = np.concatenate([np.arange(b.start, b.stop).reshape(-1, each[k])[orders[k]].ravel() for k, b in lin.blocks.items()])
    K = rn.ntk(lin)
    near(rn.ntk(moved), K[np.ix_(rows, rows)], np.trace(K))


@given(strategies.cases())
def test_a_mean_divides_blocks_by_the_roots_of_their_rows(case):
    summed, mean = (rn.linearize(*case, scaling=scaling) for scaling in ("sum", "mean"))
    roots = np.concatenate([np.full(rows.stop - rows.start, (rows.stop - rows.start) ** 0.5) for rows in summed.blocks.values()])
    K = rn.ntk(summed)
    near(rn.ntk(mean), K / np.outer(roots, roots), np.trace(K))


@given(strategies.cases(), st.data(), st.sampled_from([1e-3, 1e-2]))
def test_central_differences_are_the_odd_part_of_forward_ones(case, data, dt):
    g = data.draw(strategies.probes(rn.linearize(*case).shape[0], 1))
    ahead, behind = (sketch.products(*case, sign * g, dt) for sign in (1, -1))
    central = sketch.products(*case, g, dt, difference="central")
    residual = rn.linearize(*case).residual
    scale = np.abs(ahead).max() + np.abs(behind).max() + np.abs(residual).max() / dt
    near((ahead - behind) / 2, central, 1e-3 * scale)


# Weights as random numbers -----------------------------------------------------------------------------------


@given(strategies.traces(), strategies.kernels(n=3, terms=["interior", "initial", "boundary"]), st.floats(1e-3, 1e3))
def test_weights_do_not_depend_on_the_unit(traces, kernel, unit):
    """λ̂, its standard error and its bias are numbers without a unit."""
    C = kernel.K
    scaled = {name: unit * trace for name, trace in traces.items()}
    for function in (estimate_weights, weight_bias):
        want, got = function(traces, C), function(scaled, unit**2 * C)
        for name in traces:
            one, other = want[name], got[name]
            pairs = [(one.value, other.value), (one.stderr, other.stderr)] if function is estimate_weights else [(one, other)]
            scale = sum(traces.values()) / traces[name] * (1 + np.abs(C).max() / min(traces.values()) ** 2)
            near([a for a, _ in pairs], [b for _, b in pairs], scale)


@given(strategies.traces())
def test_terms_that_vary_together_leave_the_weights_alone(traces):
    """C = T Tᵀ: all traces wrong by the same factor."""
    T = np.array(list(traces.values()))
    found = estimate_weights(traces, np.outer(T, T))
    near([estimate.stderr / estimate.value for estimate in found.values()], 0.0, 1e4)  # the root of a difference that cancels
    near(list(weight_bias(traces, np.outer(T, T)).values()), 0.0, max(estimate.value for estimate in found.values()))
