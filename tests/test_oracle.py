"""R, J, its products and K of every problem against the slow oracle, and against each other; planted faults are rejected.

Errors are dimensionless. The scales are: residual, the largest row of its term; J, the largest entry of its row; J v, ‖J_i‖ ‖v‖;
Jᵀ w and ⟨J v, w⟩, |J|ᵀ|w| at its largest and |w|ᵀ|J||v|; K_ij, √(K_ii K_jj); a trace, itself.
"""

import dataclasses
import math
from itertools import cycle

import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refntk as rn
from refntk.calculus import activation as activations
from refntk.calculus import jet as jets
from refntk.problems.base import DirectProblem

TOLERANCE = 1e-11  # against JAX
IDENTITY = 1e-13  # between two ways of our own

PROBLEMS = rn.problems.names()
NETWORKS = [name for name in PROBLEMS if not isinstance(rn.problems.get(name), DirectProblem)]
ARCHITECTURES = (
    {"hidden": [5, 4], "scheme": "xavier"},
    {"hidden": [6], "scheme": "ntk", "parametrization": "ntk", "output_scale": 6**-0.75},
    {"hidden": [3, 4, 2], "scheme": "xavier_uniform", "normalized": False},
    {"hidden": [4, 3], "scheme": "ntk", "parametrization": "ntk"},
    {"hidden": [3, 3], "scheme": "normal", "std": 0.3},
)


def few(problem, seed, interior=3, other=2):
    """A few points of every term."""
    numbers = {term.name: interior if i == 0 else other for i, term in enumerate(problem.terms)}
    return problem.sample(rng=seed, counts=numbers)


def build(problem, hidden, activation, seed, *, scheme="ntk", std=1.0, normalized=True, **options):
    """A network for the problem and θ, biases never zero; (None, θ) for a problem that is no network."""
    if isinstance(problem, DirectProblem):
        return None, problem.init(rng=seed)
    normalization = problem.normalization if normalized else {}
    network = rn.MLP([len(problem.coordinates), *hidden, problem.outputs], activation=activation, **normalization, **options)
    return network, network.init(rng=seed, scheme=scheme, std=std) + 0.1 * np.random.default_rng(seed).standard_normal(network.size)


def ratio(got, want, scale):
    """The largest error in units of its scale; infinite for another shape, and where the scale is 0 and the error is not."""
    got, want = np.asarray(got), np.asarray(want)
    if got.shape != want.shape:
        return math.inf
    error, scale = np.abs(got - want), np.broadcast_to(scale, want.shape)
    return float(np.max(np.divide(error, scale, out=np.where(error == 0, 0.0, np.inf), where=scale > 0)))


def disagreements(lin, r, J, blocks, tolerance=TOLERANCE):
    """Every quantity of `lin` that is not what the residual r, the matrix J and the blocks say: {name: error in units of scale}."""
    n, p = J.shape
    V, W = np.random.default_rng(7).standard_normal((p, 2)), np.random.default_rng(8).standard_normal((n, 3))
    K, norms = J @ J.T, np.sqrt(np.sum(J * J, axis=1))
    terms = np.concatenate([np.full(rows.stop - rows.start, np.max(np.abs(r[rows]))) for rows in blocks.values()])
    gram = norms[:, None] * norms
    if list(lin.blocks.items()) != list(blocks.items()) or lin.shape != J.shape:
        return {"blocks": math.inf}
    errors = {
        "residual": ratio(lin.residual, r, terms),
        "jacobian": ratio(lin.jacobian.dense(), J, np.max(np.abs(J), axis=1, keepdims=True)),
        "transpose": ratio(lin.jacobian.T.dense(), J.T, np.max(np.abs(J), axis=1)),
        "jvp": ratio(lin.jacobian @ V, J @ V, norms[:, None] * np.sqrt(np.sum(V * V, axis=0))),
        "vjp": ratio(lin.jacobian.T @ W, J.T @ W, np.max(np.abs(J).T @ np.abs(W), axis=0)),
        "ntk": ratio(rn.ntk(lin), K, gram),
        "ntk_diagonal": ratio(rn.ntk_diagonal(lin), norms**2, norms**2),
        "ntk_product": ratio(rn.ntk_product(lin, W), K @ W, np.max(gram @ np.abs(W), axis=0)),
        "ntk_spectrum": ratio(rn.ntk_spectrum(lin), np.linalg.eigvalsh(K)[::-1], np.sum(norms**2)),
    }
    traces = rn.ntk_traces(lin)
    for name, rows in blocks.items():
        trace = float(np.sum(norms[rows] ** 2))
        errors[f"trace of {name}"] = ratio(traces[name], trace, trace)
        for other, columns in blocks.items():
            errors[f"block {name}, {other}"] = ratio(rn.ntk_block(lin, name, other), K[rows, columns], gram[rows, columns])
    return {name: error for name, error in errors.items() if not error <= tolerance}  # NaN is no agreement


def test_every_problem_and_every_activation_has_its_oracle():
    assert list(oracle.EQUATIONS) == PROBLEMS
    assert set(oracle.ACTIVATIONS) == set(activations.ACTIVATIONS)


@pytest.mark.parametrize(("activation", "architecture"), list(zip(activations.ACTIVATIONS, cycle(ARCHITECTURES), strict=False)))
@pytest.mark.parametrize("name", PROBLEMS)
def test_everything_agrees_with_the_oracle(name, activation, architecture):
    problem = rn.problems.get(name)
    seed = 100 * PROBLEMS.index(name) + list(activations.ACTIVATIONS).index(activation)
    points = few(problem, seed)
    network, theta = build(problem, activation=activation, seed=seed, **architecture)
    r, J = oracle.linearization(problem, network, theta, points)
    lin = rn.linearize(problem, network, theta, points)
    assert disagreements(lin, r, J, oracle.blocks(problem, points)) == {}


VARIANTS = [
    ("poisson1d", {"frequency": 1.0}),
    ("wave", {"c": 0.7}),
    ("qtensor", {"L": 0.3, "a": 0.4, "c": 2.0, "end": 0.5}),
    ("heat", {"diffusivity": 2.0}),
    ("nonlinear", {"form": "energy"}),
    ("transport", {"c": -3.0}),
    ("sine_gordon", {"speed": -0.8}),
    ("sine_gordon", {"data": "breather", "frequency": 0.3}),
    ("kdv", {"data": "two"}),
    ("kdv", {"data": "two", "slow": 0.4, "fast": 0.9}),
    ("eikonal", {"away": 2.0}),
]


@pytest.mark.parametrize(("name", "parameters"), VARIANTS)
def test_parameters_reach_the_equations(name, parameters):
    problem = rn.problems.get(name, **parameters)
    points = few(problem, 5)
    network, theta = build(problem, [4], "tanh", 5)
    r, J = oracle.linearization(problem, network, theta, points)
    lin = rn.linearize(problem, network, theta, points)
    assert disagreements(lin, r, J, oracle.blocks(problem, points)) == {}
    default = rn.problems.get(name)
    if [term.name for term in default.terms] == list(points):  # else the parameter chooses other terms
        other = rn.linearize(default, network, theta, points)
        assert disagreements(other, r, J, oracle.blocks(problem, points)) != {}


def test_variants_cover_every_parameter():
    """`noise` of the quadratic problem goes into its data, not into its residual: tests/test_problems.py."""
    varied = {(name, parameter) for name, parameters in VARIANTS for parameter in parameters}
    assert varied == {(n, p) for n in PROBLEMS for p in rn.problems.get(n).parameters()} - {("quadratic", "noise")}


@pytest.mark.parametrize("name", PROBLEMS)
def test_scalings(name):
    """Rows times 1/√n_k or √(measure/n), written down in the oracle; and by quadrature weights of one's own."""
    problem = rn.problems.get(name)
    points = few(problem, 11)
    network, theta = build(problem, [4, 3], "tanh", 11)
    plain = rn.linearize(problem, network, theta, points)
    r, J, blocks = plain.residual, plain.jacobian.dense(), oracle.blocks(problem, points)
    found = {}
    for scaling in ("sum", "mean", "quadrature"):
        w = oracle.row_scales(problem, points, scaling)
        lin = rn.linearize(problem, network, theta, points, scaling=scaling)
        found[scaling] = disagreements(lin, w * r, w[:, None] * J, blocks, IDENTITY)
    weights = {term: np.linspace(0.0, 2.0, len(x)) for term, x in points.items()}
    w = np.concatenate([np.sqrt(np.repeat(weights[term], problem.outputs)) for term in points])
    lin = rn.linearize(problem, network, theta, points, scaling="quadrature", quadrature=weights)
    found["own"] = disagreements(lin, w * r, w[:, None] * J, blocks, IDENTITY)
    assert found == {"sum": {}, "mean": {}, "quadrature": {}, "own": {}}


# Where |z| is about 40, σ' is about 1e-34 and `1 - tanh²` is 0; the oracle's TAILS are the closed forms in exp.


def saturated(problem, activation, depth=2):
    """A network whose hidden units all stand at |z| ≈ 40, on both sides."""
    hidden = [3, 4][:depth]
    network, theta = build(problem, hidden, activation, 19, scheme="normal", std=0.4)
    layers = network.unflatten(theta)
    bounded = activations.get(activation).derivatives(np.array([40.0]), 0, xp=np)[0][0] < 2
    for i in range(depth):
        W, b = layers[i]
        W *= 1.0 if i == 0 or bounded else 0.01  # swish and softplus hand 40 on
        b[:] = 40.0 * (-1.0) ** np.arange(b.size) + np.linspace(-1, 1, b.size)
    return network, network.flatten(layers)


# Every problem with tanh, and the one of third order with the rest; not those whose rows are differences of nearly equal u.
def local(problem):
    return all(len(term.sites(np.zeros((1, len(problem.coordinates))), xp=np)) == 1 for term in problem.terms)


SATURATED = [(name, "tanh") for name in NETWORKS if local(rn.problems.get(name))]
SATURATED += [("kdv", activation) for activation in oracle.TAILS if activation != "tanh"]


@pytest.mark.parametrize(("name", "activation"), SATURATED)
def test_derivatives_stay_right_at_saturation(name, activation):
    problem = rn.problems.get(name)
    points = few(problem, 19)
    network, theta = saturated(problem, activation)
    r, J = oracle.linearization(problem, network, theta, points, oracle.TAILS)
    lin = rn.linearize(problem, network, theta, points)
    assert disagreements(lin, r, J, oracle.blocks(problem, points)) == {}


def test_saturation_check_rejects_a_derivative_by_difference(monkeypatch):
    problem = rn.problems.get("wave")
    points = few(problem, 19)
    network, theta = saturated(problem, "tanh")
    r, J = oracle.linearization(problem, network, theta, points, oracle.TAILS)
    stable = activations.get("tanh")
    naive = dataclasses.replace(stable, generators=lambda x, *, xp: (xp.tanh(x), 1 - xp.tanh(x) ** 2))
    assert np.max(np.abs(J)) > 0
    wrong = rn.MLP(network.sizes, activation=naive, **problem.normalization)
    found = disagreements(rn.linearize(problem, wrong, theta, points), r, J, oracle.blocks(problem, points))
    assert {"jacobian", "jvp", "ntk", "ntk_diagonal", "trace of interior"} <= set(found)


@pytest.mark.parametrize("activation", oracle.TAILS)
def test_closed_tails_are_the_activations(activation):
    z = jnp.array([-45.0, -40.0, 40.0, 45.0])
    assert ratio(oracle.TAILS[activation](z), oracle.ACTIVATIONS[activation](z), np.maximum(np.abs(z), 1.0)) < 1e-15


# Two ways of our own to the same quantity, on networks and points that hypothesis chooses.

networks = st.fixed_dictionaries(
    {
        "hidden": st.lists(st.integers(1, 6), max_size=3),
        "activation": st.sampled_from(sorted(activations.ACTIVATIONS)),
        "seed": st.integers(0, 2**32 - 1),
        "parametrization": st.sampled_from(["standard", "ntk"]),
    }
)
sizes = st.integers(1, 5)


def linearized(name, chosen, interior, other, **options):
    problem = rn.problems.get(name)
    points = few(problem, chosen["seed"], interior, other)
    network, theta = build(problem, **({**chosen, "scheme": "xavier"}))
    return rn.linearize(problem, network, theta, points, **options)


@pytest.mark.parametrize("name", PROBLEMS)
@settings(max_examples=10)
@given(chosen=networks, interior=sizes, other=sizes)
def test_products_are_adjoint_and_match_the_matrix(name, chosen, interior, other):
    lin = linearized(name, chosen, interior, other)
    J = lin.jacobian.dense()
    rng = np.random.default_rng(chosen["seed"])
    v, w = rng.standard_normal(J.shape[1]), rng.standard_normal(J.shape[0])
    scale = np.abs(w) @ np.abs(J) @ np.abs(v)
    assert ratio((lin.jacobian @ v) @ w, v @ (lin.jacobian.T @ w), scale) <= IDENTITY
    assert disagreements(lin, lin.residual, J, lin.blocks, IDENTITY) == {}


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=10)
@given(chosen=networks, interior=sizes, other=sizes)
def test_collapsed_and_plain_jets_agree(name, chosen, interior, other):
    free, yes, no = (linearized(name, chosen, interior, other, collapse=c) for c in (None, True, False))
    scale = np.max(np.abs(no.residual)), np.max(np.abs(no.jacobian.dense()), axis=1, keepdims=True)
    errors = [
        error
        for lin in (free, yes)
        for error in (
            ratio(lin.residual, no.residual, scale[0]),
            ratio(lin.jacobian.dense(), no.jacobian.dense(), scale[1]),
        )
    ]
    assert max(errors) <= TOLERANCE


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=5)
@given(chosen=networks, interior=sizes, other=sizes, tape_bytes=st.integers(1, 30_000))
def test_stretches_of_points_change_nothing(name, chosen, interior, other, tape_bytes):
    """Tapes that do not fit are cut into stretches, and thrown away between products."""
    whole = linearized(name, chosen, interior, other)
    cut = dataclasses.replace(whole, tape_bytes=tape_bytes)
    assert disagreements(cut, whole.residual, whole.jacobian.dense(), whole.blocks, IDENTITY) == {}


def test_stretches_are_one_point_long_when_memory_is_short():
    lin = dataclasses.replace(linearized("kdv", {"hidden": [3], "activation": "tanh", "seed": 1}, 4, 3), tape_bytes=1)
    assert [patch.rows.stop - patch.rows.start for patch in lin.patches] == [1] * lin.shape[0]


# Planted faults: what the comparison is for.


def from_matrix(r, J, blocks, **products):
    """A linearization that says what it is told."""
    products = {"jvp": lambda theta, V: J @ V, "vjp": lambda theta, W: J.T @ W} | products
    return rn.DirectLinearization(lambda theta: r, products["jvp"], products["vjp"], np.zeros(J.shape[1]), blocks)


def swap_blocks(network, r, J, blocks):
    """The second term's rows where the third's should be; both have as many."""
    order = np.arange(len(r))
    (_, a, b, *_) = blocks.values()
    order[a], order[b] = np.arange(b.start, b.stop), np.arange(a.start, a.stop)
    return r[order], J[order], blocks


def lose_biases(network, r, J, blocks):
    parts = [(np.ones_like(W), np.zeros_like(b)) for W, b in network.unflatten(np.zeros(network.size))]
    return r, J * network.flatten(parts), blocks


def transpose_weights(network, r, J, blocks):
    """Columns of J as if W were (out, in)."""
    index = network.unflatten(np.arange(network.size, dtype=float))
    order = np.concatenate([part for W, b in index for part in (W.T.ravel(), b)]).astype(int)
    return r, J[:, order], blocks


FAULTS = {
    "swapped blocks": swap_blocks,
    "biases left out": lose_biases,
    "transposed weights": transpose_weights,
    "a factor 2 on every row": lambda network, r, J, blocks: (2 * r, 2 * J, blocks),
    "the kernel of the mean": lambda network, r, J, blocks: (r, J / math.sqrt(len(r)), blocks),
    "rows added up": lambda network, r, J, blocks: (r, np.cumsum(J, axis=0), blocks),
    "single precision": lambda network, r, J, blocks: (r, J.astype(np.float32).astype(float), blocks),
    "one NaN": lambda network, r, J, blocks: (r, np.where(np.arange(J.size).reshape(J.shape) == 3, np.nan, J), blocks),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_fault_is_rejected(fault):
    problem = rn.problems.get("wave")
    network, theta = build(problem, [3, 4], "tanh", 3)
    points = few(problem, 3)
    lin = rn.linearize(problem, network, theta, points)
    right = lin.residual, lin.jacobian.dense(), lin.blocks
    assert disagreements(from_matrix(*right), *right) == {}
    with np.errstate(invalid="ignore"):
        try:
            found = disagreements(from_matrix(*FAULTS[fault](network, *right)), *right)
        except np.linalg.LinAlgError:  # the spectrum of NaN: an answer that nobody can mistake for agreement
            found = {"jacobian": math.inf}
    assert "jacobian" in found


OPERATOR_FAULTS = {
    "jvp": ({"jvp": lambda J: lambda theta, V: J @ V * (1 + 1e-9)}, {"jvp", "ntk_product"}),
    "vjp": ({"vjp": lambda J: lambda theta, W: J.T @ W * (1 + 1e-9)}, {"vjp", "ntk_product"}),
}


@pytest.mark.parametrize("product", OPERATOR_FAULTS)
def test_each_product_is_judged_by_itself(product):
    """An error of 1e-9 in one product alone is found there."""
    lin = linearized("heat", {"hidden": [3], "activation": "tanh", "seed": 2}, 3, 2)
    r, J, blocks = lin.residual, lin.jacobian.dense(), lin.blocks
    faults, seen = OPERATOR_FAULTS[product]
    assert seen <= set(disagreements(from_matrix(r, J, blocks, **{k: f(J) for k, f in faults.items()}), r, J, blocks))


def test_residual_and_order_of_terms_are_judged_by_themselves():
    lin = linearized("heat", {"hidden": [3], "activation": "tanh", "seed": 2}, 3, 2)
    r, J, blocks = lin.residual, lin.jacobian.dense(), lin.blocks
    assert set(disagreements(from_matrix(r * (1 + 1e-9), J, blocks), r, J, blocks)) == {"residual"}
    renamed = dict(zip(["interior", "boundary", "initial"], blocks.values(), strict=True))
    assert set(disagreements(from_matrix(r, J, renamed), r, J, blocks)) == {"blocks"}


@pytest.fixture
def forget(monkeypatch):
    """A way to make the calculus forget σ'' z_x²: the products of equal first derivatives leave the table."""
    right = jets.faa_di_bruno

    def wrong(alpha):
        return tuple((blocks, k) for blocks, k in right(alpha) if not (len(blocks) == 2 and blocks[0] == blocks[1]))

    def now():
        jets.jet.cache_clear()
        monkeypatch.setattr(jets, "faa_di_bruno", wrong)

    yield now
    jets.jet.cache_clear()


SECOND_ORDER = [n for n in NETWORKS if any(o.degree == 2 for term in rn.problems.get(n).terms for o in term.operators)]


@pytest.mark.parametrize("name", SECOND_ORDER)
def test_forgotten_term_of_the_table_is_rejected(name, forget):
    chosen = {"hidden": [3], "activation": "tanh", "seed": 3}
    right = linearized(name, chosen, 3, 2)
    r, J = right.residual, right.jacobian.dense()
    forget()
    found = disagreements(linearized(name, chosen, 3, 2), r, J, right.blocks)
    assert {"residual", "jacobian", "jvp", "vjp", "ntk", "ntk_diagonal", "trace of interior"} <= set(found)


def test_forgotten_normalisation_is_rejected():
    problem = rn.problems.get("kdv")
    points = few(problem, 3)
    network, theta = build(problem, [3], "tanh", 3)
    r, J = oracle.linearization(problem, network, theta, points)
    plain = rn.MLP(network.sizes)
    assert "residual" in disagreements(rn.linearize(problem, plain, theta, points), r, J, oracle.blocks(problem, points))
