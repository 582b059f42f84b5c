"""K without J: equal to J Jᵀ, symmetric to the last bit, the same however it is cut, and never through an n×p array."""

import dataclasses
import tracemalloc
from itertools import product

import numpy as np
import pytest
from cases import NETWORK_PROBLEMS, case

import refntk as rn
from refntk import problems
from refntk.calculus.activation import ACTIVATIONS
from refntk.errors import ShapeError, UnknownNameError
from refntk.kernel import ntk as module
from refntk.kernel.direct import DirectLinearization
from refntk.kernel.linearization import NetworkLinearization
from refntk.kernel.ntk import RowSpace
from refntk.kernel.operator import pair
from refntk.kernel.residual import SCALINGS

each_problem = pytest.mark.parametrize("name", problems.names())
each_scaling = pytest.mark.parametrize("scaling", SCALINGS)
UNIT, THRESHOLD = 2.0**-53, 100


def kernel(lin):
    J = lin.jacobian.dense()
    return J @ J.T


def error(got, want, like=None):
    """max |got - want| in units of rounding times the largest entry of K."""
    return np.abs(got - want).max() / (UNIT * np.abs(want if like is None else like).max())


@each_problem
@each_scaling
def test_ntk_is_the_product_of_the_jacobian_with_its_transpose(name, scaling):
    lin = case(name).linearize(scaling=scaling)
    assert error(rn.ntk(lin), kernel(lin)) < THRESHOLD


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (1,), (3, 2, 2)], ids=str)
def test_ntk_for_every_activation_and_depth(activation, hidden):
    lin = case("qtensor", activation, hidden=hidden).linearize()
    assert error(rn.ntk(lin), kernel(lin)) < THRESHOLD


@pytest.mark.parametrize("options", [{"output_scale": 0.1}, {"parametrization": "ntk"}], ids=str)
def test_ntk_under_other_scalings_of_the_network(options):
    c = case("wave")
    lin = dataclasses.replace(c, network=rn.MLP(c.network.sizes, **options)).linearize()
    assert error(rn.ntk(lin), kernel(lin)) < THRESHOLD


@each_problem
@pytest.mark.parametrize("bytes_", [1, 2000, 2**25])
def test_ntk_is_symmetric_to_the_last_bit(name, bytes_, monkeypatch):
    monkeypatch.setattr(module, "TILE_BYTES", bytes_)
    K = rn.ntk(case(name, each=4).linearize())
    assert np.array_equal(K, K.T)


CUTS = [(tile, tape) for tile in (1, 2000, 2**25) for tape in (1, 3000, 2**29) if (tile, tape) != (2**25, 2**29)]


@pytest.mark.parametrize("tape", [1, 4000, 2**29])
def test_every_pair_of_tiles_is_multiplied_once(tape, monkeypatch):
    monkeypatch.setattr(module, "TILE_BYTES", 2000)
    lin, pairs = dataclasses.replace(case("wave", each=6).linearize(), tape_bytes=tape), []
    multiply = lin.engine.pair_gram
    engine = dataclasses.replace(lin.engine, pair_gram=lambda *a, **k: pairs.append(1) or multiply(*a, **k))
    lin = dataclasses.replace(lin, engine=engine)
    tiles = len(list(module.row_tiles(lin)))
    rn.ntk(lin)
    assert len(pairs) == len(lin.layers) * tiles * (tiles + 1) // 2 > len(lin.layers)


@pytest.mark.parametrize("name", NETWORK_PROBLEMS)
@pytest.mark.parametrize(("tile", "tape"), CUTS)
def test_tiles_and_patches_change_nothing_but_rounding(name, tile, tape, monkeypatch):
    lin = case(name, each=4).linearize(scaling="mean")
    K, diagonal = rn.ntk(lin), rn.ntk_diagonal(lin)
    terms = list(lin.blocks)
    monkeypatch.setattr(module, "TILE_BYTES", tile)
    cut = dataclasses.replace(lin, tape_bytes=tape)
    assert error(rn.ntk(cut), K) < THRESHOLD
    assert error(rn.ntk_diagonal(cut), diagonal) < THRESHOLD
    assert error(rn.ntk_block(cut, terms[0], terms[-1]), K[lin.blocks[terms[0]], lin.blocks[terms[-1]]], K) < THRESHOLD


@each_problem
@each_scaling
def test_diagonal_traces_and_blocks_are_parts_of_the_kernel(name, scaling):
    lin = case(name).linearize(scaling=scaling)
    K = kernel(lin)
    traces = rn.ntk_traces(lin)
    assert error(rn.ntk_diagonal(lin), np.diag(K)) < THRESHOLD
    assert list(traces) == [term.name for term in case(name).problem.terms]
    assert all(type(value) is float for value in traces.values())
    assert error(np.array([*traces.values()]), np.array([np.trace(K[b, b]) for b in lin.blocks.values()])) < THRESHOLD
    found = [rn.ntk_block(lin, k, l) - K[lin.blocks[k], lin.blocks[l]] for k, l in product(lin.blocks, repeat=2)]
    assert max(np.abs(f).max() for f in found) < THRESHOLD * UNIT * np.abs(K).max()


@each_problem
def test_spectrum_is_that_of_the_singular_values(name):
    lin = case(name).linearize()
    J, found = lin.jacobian.dense(), rn.ntk_spectrum(lin)
    want = np.zeros(len(J))
    singular = np.linalg.svd(J, compute_uv=False)
    want[: len(singular)] = singular**2
    assert found.shape == (len(J),)
    assert np.array_equal(found, np.sort(found)[::-1])
    assert error(found, want) < THRESHOLD


@each_problem
@pytest.mark.parametrize("columns", [None, 1, 3])
def test_product_with_vectors(name, columns):
    lin = case(name).linearize()
    V = np.random.default_rng(3).standard_normal((lin.shape[0], *([columns] if columns else [])))
    assert rn.ntk_product(lin, V).shape == V.shape
    assert error(rn.ntk_product(lin, V), kernel(lin) @ V) < THRESHOLD * 10


@each_problem
def test_scaled_rows_give_the_scaled_kernel(name):
    c = case(name)
    scales = np.concatenate([np.full(b.stop - b.start, (b.stop - b.start) ** -0.5) for b in c.linearize().blocks.values()])
    assert error(rn.ntk(c.linearize(scaling="mean")), scales[:, None] * rn.ntk(c.linearize()) * scales) < THRESHOLD


@each_problem
@pytest.mark.parametrize("tape", [1, 2**29])
def test_row_space_combines_rows_and_knows_their_norms(name, tape):
    lin = case(name).linearize(scaling="mean")
    lin = lin if isinstance(lin, DirectLinearization) else dataclasses.replace(lin, tape_bytes=tape)
    space, w = RowSpace(lin), np.linspace(-1, 2, lin.shape[0])
    assert error(space.combine(w), lin.jacobian.T @ w) < THRESHOLD
    assert np.max(np.abs(space.diagonal / rn.ntk_diagonal(lin) - 1), where=rn.ntk_diagonal(lin) > 0, initial=0) < 1e-13
    assert space.traces == pytest.approx(rn.ntk_traces(lin), rel=1e-13)
    weights = {term: 10.0**k for k, term in enumerate(lin.blocks, start=-1)}
    assert error(space.gradient(weights), lin.gradient(weights)) < THRESHOLD
    assert ("stretches" in vars(space)) == lin.compact


@each_problem
@pytest.mark.parametrize("name_of_engine", ["reference", "numba"])
@pytest.mark.parametrize("exact", [0, 1], ids=["", "a row without a residual"])
def test_row_space_gives_the_gradient_of_a_weighted_loss(name, name_of_engine, exact):
    lin = case(name).linearize()
    if exact:
        lin = WithoutResidual(lin)
    elif not isinstance(lin, DirectLinearization):
        lin = case(name).linearize(engine=name_of_engine)
    weights = {term: 10.0**k for k, term in enumerate(lin.blocks, start=-1)}
    cotangent = np.concatenate([weights[k] * lin.residual[rows] for k, rows in lin.blocks.items()])
    space = RowSpace(lin)
    assert error(space.gradient(weights), lin.jacobian.T @ cotangent) < THRESHOLD
    assert error(space.gradient(dict.fromkeys(weights, 1.0)), lin.jacobian.T @ cotangent) > THRESHOLD or len(weights) == 1
    assert np.all(np.isfinite(space.diagonal))
    assert error(space.diagonal, rn.ntk_diagonal(lin)) < THRESHOLD


class WithoutResidual:
    """A linearization whose first row has no residual and whose last has next to none."""

    def __init__(self, lin):
        self.lin, self.residual = lin, lin.residual.copy()
        self.residual[0], self.residual[-1] = 0.0, 1e-200

    def __getattr__(self, name):
        return getattr(self.lin, name)

    def factors(self, after=0, *, seeds=None, then=pair):
        return self.lin.factors(after, seeds=None if seeds is None else lambda rows, _: seeds(rows, self.residual[rows]), then=then)


def test_row_space_makes_one_adjoint_pass_for_all(monkeypatch):
    lin, passes = case("wave").linearize(), []
    engine = dataclasses.replace(
        lin.engine, adjoint=lambda *a, **k: passes.append(1) or case("wave").linearize().engine.adjoint(*a, **k)
    )
    space = RowSpace(dataclasses.replace(lin, engine=engine))
    _ = space.diagonal, space.traces, space.combine(lin.residual), space.combine(-lin.residual)
    assert len(passes) == len(lin.patches)


@pytest.mark.parametrize("terms", [("inside", "interior"), ("interior", "inside"), (["interior"], "interior"), (None, "interior")])
def test_block_of_an_unknown_term(terms):
    with pytest.raises(UnknownNameError, match="term"):
        rn.ntk_block(case("wave").linearize(), *terms)


def test_product_with_a_vector_that_does_not_fit():
    with pytest.raises(ShapeError, match="operand"):
        rn.ntk_product(case("wave").linearize(), np.ones(5))


# Memory


def wide(n, width, **options):
    problem = problems.get("wave")
    network = rn.MLP([2, width, width, width, 1])
    theta = network.init(rng=0)
    return rn.linearize(problem, network, theta, problem.sample(rng=0, counts={t.name: n // 4 for t in problem.terms}), **options)


def peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("function", [rn.ntk, rn.ntk_diagonal, rn.ntk_traces, rn.ntk_spectrum], ids=lambda f: f.__name__)
def test_no_matrix_of_rows_and_parameters_is_made(function, monkeypatch):
    """n = 200, p = 132,609: J alone would take 212 MB. The tape takes about 20."""
    monkeypatch.setattr(NetworkLinearization, "dense", None)
    lin = wide(200, 256)
    assert peak(lambda: function(lin)) < 8 * lin.shape[0] * lin.shape[1] / 2


def test_planted_fault_the_dense_way_is_seen_by_the_memory_check():
    lin = wide(200, 256)
    assert peak(lin.jacobian.dense) > 8 * lin.shape[0] * lin.shape[1] / 2


@pytest.mark.parametrize("function", [rn.ntk_diagonal, rn.ntk_traces], ids=lambda f: f.__name__)
def test_diagonal_of_many_points_needs_no_more_than_a_patch_at_a_time(function):
    lin = dataclasses.replace(wide(2000, 32), tape_bytes=2**20)
    assert not lin.compact
    assert peak(lambda: function(lin)) < 4 * 2**20


def test_kernel_of_many_points_needs_itself_and_little_more(monkeypatch):
    monkeypatch.setattr(module, "TILE_BYTES", 2**20)
    lin = dataclasses.replace(wide(800, 16), tape_bytes=2**18)
    K = 8 * lin.shape[0] ** 2
    assert not lin.compact
    assert peak(lambda: rn.ntk(lin)) < K + 4 * 2**20
    assert peak(lambda: rn.ntk_block(lin, "velocity", "boundary")) < K / 8 + 4 * 2**20


# Faults


@pytest.mark.parametrize("fault", ["blocks swapped", "mean for sum", "bias left out", "transposed product"])
def test_planted_faults_are_seen(fault):
    """Mistakes 9, 10, 21 and 24 of the audit."""
    lin = case("wave").linearize()
    J, K = lin.jacobian.dense(), rn.ntk(lin)
    swapped = [*range(3, 6), *range(3), *range(6, 12)]
    wrong = {
        "blocks swapped": K[np.ix_(swapped, swapped)],
        "mean for sum": K / 3,
        "bias left out": J[:, :-1] @ J[:, :-1].T,
        "transposed product": (J.T @ J)[:12, :12],
    }[fault]
    assert error(wrong, kernel(lin)) > 1e6 * THRESHOLD


@pytest.mark.parametrize("engine", ["reference", "numba"])
def test_rows_that_join_two_sites_keep_their_digits_where_the_sites_are_nearly_alike(engine):
    """u(x, t) - u(x + 2π, t) of a network next to constant: the jump is formed before it is squared, not after."""
    problem = problems.get("transport")
    network = rn.MLP([2, 6, 5, 1])
    theta = 1e-6 * network.init(rng=17) + network.flatten([(0 * W, 0.5 + b) for W, b in network.unflatten(network.init(rng=3))])
    points = {"interior": problem.sample(rng=1)["interior"][:2], "initial": [[0.5, 0.0]], "boundary": [[0.0, 0.3], [0.0, 0.7]]}
    lin = rn.linearize(problem, network, theta, points, engine=engine)
    rows = lin.blocks["boundary"]
    norms = np.sum(lin.dense()[rows] ** 2, axis=1)

    def off(diagonal):
        return np.max(np.abs(diagonal / norms - 1))

    assert np.all(norms > 0)
    assert off(rn.ntk_diagonal(lin)[rows]) < 1e-12
    assert off(np.diagonal(rn.ntk(lin))[rows]) < 1e-12
    found = {span.start: factors for span, factors in lin.factors()}[rows.start]
    assert off(sum(lin.engine.point_gram(site_by_site(f), xp=np) for f in found)) > 1e-10


def site_by_site(f):
    """Sum and difference of two sites turned back into the sites: the same rows, and their Gram products cancel."""
    A, D = np.empty_like(f.A), np.empty_like(f.D)
    A[0::2], A[1::2] = (f.A[0::2] + f.A[1::2]) / 2, (f.A[0::2] - f.A[1::2]) / 2
    D[0::2], D[1::2] = f.D[0::2] + f.D[1::2], f.D[0::2] - f.D[1::2]
    return dataclasses.replace(f, A=A, D=D)
