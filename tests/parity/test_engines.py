"""Every primitive of the numba engine against the reference: over problems, widths, channel sets, threads, JIT on and off."""

import dataclasses
import os
import subprocess
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import refntk as rn
from refntk import problems
from refntk.calculus import activation as activations
from refntk.calculus import jet as jets
from refntk.calculus import passes as reference_passes
from refntk.fast import buffers, gram, pool
from refntk.fast import passes as fast_passes
from refntk.kernel.ntk import RowSpace
from tests.cases import NETWORK_PROBLEMS

UNIT = np.finfo(np.float64).eps / 2
THREADS = [1, 2]


def error(got, want):
    """Largest difference in units of rounding at the scale of the wanted array."""
    scale = np.max(np.abs(want), initial=0.0) or 1.0
    assert got.shape == want.shape
    return np.max(np.abs(got - want), initial=0.0) / (UNIT * scale)


@pytest.fixture(params=THREADS)
def threads(request):
    if request.param > numba.config.NUMBA_NUM_THREADS:
        pytest.skip(f"numba was started with {numba.config.NUMBA_NUM_THREADS} thread")
    before = numba.get_num_threads()
    numba.set_num_threads(request.param)
    yield request.param
    numba.set_num_threads(before)


def both(name, hidden, activation, count, seed, **options):
    problem = problems.get(name)
    network = rn.MLP(
        [len(problem.coordinates), *hidden, problem.outputs],
        activation=activation,
        parametrization="ntk",
        output_scale=0.7,
        **problem.normalization,
    )
    theta = network.init(rng=seed, scheme="ntk")
    points = problem.sample(rng=seed, counts={term.name: count for term in problem.terms})
    return [rn.linearize(problem, network, theta, points, engine=e, **options) for e in ("reference", "numba")]


def quantities(lin, seed):
    """Everything an engine has a hand in."""
    rng = np.random.default_rng(seed)
    V, W = rng.standard_normal((lin.shape[1], 3)), rng.standard_normal((lin.shape[0], 3))
    rows = RowSpace(lin)
    return {
        "residual": lin.residual,
        "jvp": lin.jvp(V),
        "vjp": lin.vjp(W),
        "vector": lin.jacobian.T @ W[:, 0],
        "dense": lin.dense(),
        "ntk": rn.ntk(lin),
        "diagonal": rows.diagonal,
        "combine": rows.combine(W[:, 0]),
    }


def errors(pair, seed=0):
    want, got = (quantities(lin, seed) for lin in pair)
    return {name: error(got[name], want[name]) for name in want}


@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
def test_problems(name, threads):
    assert max(errors(both(name, (9, 7), "tanh", 40, 3)).values()) < 64


@given(
    name=st.sampled_from(NETWORK_PROBLEMS),
    hidden=st.lists(st.integers(1, 20), max_size=3),
    count=st.integers(1, 70),
    seed=st.integers(0, 100),
    collapse=st.sampled_from([True, False, None]),
    scaling=st.sampled_from(["sum", "mean", "quadrature"]),
)
def test_any_network(name, hidden, count, seed, collapse, scaling):
    assert max(errors(both(name, hidden, "tanh", count, seed, collapse=collapse, scaling=scaling), seed).values()) < 64


@pytest.mark.parametrize("turned", [False, True])
def test_parameters_that_are_not_next_to_each_other(turned):
    want, got = both("wave", (9, 7), "tanh", 10, 3)
    spread = np.repeat(got.theta, 2)[::2] if not turned else np.ascontiguousarray(got.theta[::-1])[::-1]
    assert not spread.flags.c_contiguous
    assert max(errors((want, dataclasses.replace(got, theta=spread))).values()) < 64


dx, dy = jets.partials(2)
SETS = {
    "value": (jets.identity(2),),
    "wave": (dy**2 - 4 * dx**2,),
    "mixed": (dx * dy, dx**2, jets.identity(2)),
    "kdv": (dy + dx**3, dx, jets.identity(2)),
    "fourth": (dx**2 * dy**2 + dx**4 / 3,),
}


def pass_errors(channels, activation, table=None):
    """Forward, tangent and adjoint of one activation; `table` lets a test hand the numba side a wrong one."""
    jet = jets.jet(SETS[channels])
    rng = np.random.default_rng(1)
    z = rng.standard_normal((len(jet.channels), 5, 6))
    dz = rng.standard_normal((len(jet.channels), 2, 5, 6))
    da = rng.standard_normal((len(jet.table.rows), 2, 5, 6))
    found = []
    for home, used in ((reference_passes, jet.table), (fast_passes, table or jet.table)):
        a, saved = home.activate(used, activations.get(activation), z, xp=np)
        tangent = home.activate_tangent(used, saved, dz, xp=np)
        found.append((a, tangent, home.activate_adjoint(used, saved, da, xp=np)))
    return [error(got, want) for want, got in zip(*found, strict=True)]


@pytest.mark.parametrize("channels", SETS)
@pytest.mark.parametrize("activation", activations.ACTIVATIONS)
def test_passes(channels, activation):
    assert max(pass_errors(channels, activation)) < 64


def test_a_lost_term_is_seen():
    """Planted fault: the kernel is written from a table without σ'' z_x²."""
    table = jets.jet(SETS["mixed"]).table
    rows = tuple(tuple(t for t in row if not (t.order == 2 and t.factors[0] == t.factors[-1])) for row in table.rows)
    assert rows != table.rows
    assert min(pass_errors("mixed", "tanh", jets.Table(rows, table.inputs))) > 1e6


def test_a_wrong_gram_is_seen(monkeypatch):
    """Planted fault: the kernel's diagonal without the bias."""
    pair = both("wave", (9, 7), "tanh", 40, 3)
    right = gram.point_kernel
    monkeypatch.setattr(gram, "point_kernel", lambda C: lambda A, D, B, square, out: right(C)(A, D, 0 * B, square, out))
    assert error(rn.ntk_diagonal(pair[1]), rn.ntk_diagonal(pair[0])) > 1e6


def test_bits_do_not_depend_on_the_number_of_threads():
    if numba.config.NUMBA_NUM_THREADS < 2:
        pytest.skip("numba was started with one thread")
    before, found = numba.get_num_threads(), []
    for count in (1, 2, 2):
        numba.set_num_threads(count)
        found.append({k: v.tobytes() for k, v in quantities(both("wave", (40, 30), "tanh", 90, 3)[1], 0).items()})
    numba.set_num_threads(before)
    assert found[0] == found[1]
    assert found[1] == found[2]


@pytest.mark.parametrize("size", [100, 30_000, 10**9])
@pytest.mark.parametrize("points", [1, 31, 300, 10_000])
def test_stretches_are_bounded_and_share_large_terms(points, size):
    tile = pool.tile(points, size)
    assert 1 <= tile <= points
    assert tile == 1 or tile * size <= pool.MOST_BYTES + size
    assert (tile == points) == (points == 1 or points * size <= pool.SHARED_BYTES)


def test_single_precision_keeps_its_type():
    problem = problems.get("wave")
    network = rn.MLP([2, 8, 8, 1], **problem.normalization)
    theta = network.init(rng=1)
    points = problem.sample(rng=1, counts={term.name: 20 for term in problem.terms})
    want = rn.linearize(problem, network, theta, points)
    got = rn.linearize(
        problem, network, theta.astype(np.float32), {k: x.astype(np.float32) for k, x in points.items()}, engine="numba"
    )
    assert rn.ntk(got).dtype == np.float32
    assert error(rn.ntk(got).astype(float), rn.ntk(want)) * UNIT < 1e-4


def test_an_array_in_use_is_not_handed_out_again():
    shelf = buffers.Shelf()
    first = shelf.take((4, 5), np.float64)
    view = first[1:, :2]
    address = first.__array_interface__["data"][0]
    del first
    assert shelf.take((4, 5), np.float64).__array_interface__["data"][0] != address
    view[:] = 1.0
    del view
    assert address in {shelf.take((5, 4), np.float64).__array_interface__["data"][0] for _ in range(1)}


def test_the_shelf_is_bounded():
    shelf = buffers.Shelf(most=100)
    del (lease := [shelf.take((10,), np.float64), shelf.take((10,), np.float64)])[:]
    assert lease == []
    assert shelf.held == 80


def test_a_linearization_survives_its_successor():
    """What one linearization holds is not overwritten when the next one takes its memory from the shelf."""
    pair = both("wave", (30, 30), "tanh", 60, 3)
    before = pair[1].jvp(np.ones((pair[1].shape[1], 1))).copy()
    others = [both("wave", (30, 30), "tanh", 60, seed)[1].residual for seed in (4, 5)]
    assert len(others) == 2
    assert np.array_equal(pair[1].jvp(np.ones((pair[1].shape[1], 1))), before)


def test_without_jit():
    """The same lines as plain Python: what numba compiled is what is written."""
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from tests.parity.test_engines import both, errors\n"
        "found = [errors(both(name, (5, 4), 'tanh', 3, 3)) for name in ('wave', 'qtensor', 'transport')]\n"
        "print(max(max(e.values()) for e in found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 64
