"""J against central differences of R, J as an operator, R and J cut into patches, and everything `linearize` refuses."""

import dataclasses

import array_api_strict
import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from cases import NETWORK_PROBLEMS, case

import refntk as rn
from refntk import problems
from refntk.calculus.activation import ACTIVATIONS
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, UnknownNameError
from refntk.kernel.linearization import NetworkLinearization
from refntk.kernel.residual import SCALINGS

each_problem = pytest.mark.parametrize("name", problems.names())
each_network_problem = pytest.mark.parametrize("name", NETWORK_PROBLEMS)
each_scaling = pytest.mark.parametrize("scaling", SCALINGS)
UNIT = 2.0**-53


def slow_jacobian(c, **options):
    """J column by column, by central differences in three steps extrapolated to zero (Richardson): errors of h⁶ and u/h."""

    def slope(i, h):
        step = h * np.eye(len(c.theta))[i]
        ends = [rn.linearize(c.problem, c.network, c.theta + s * step, c.points, **options).residual for s in (1, -1)]
        return (ends[0] - ends[1]) / (2 * h)

    return np.stack([(64 * slope(i, 1e-3) - 20 * slope(i, 2e-3) + slope(i, 4e-3)) / 45 for i in range(len(c.theta))], axis=1)


def disagreement(got, want):
    """The largest error of a row, relative to the largest entry of that row or, if larger, 1e-3 of the whole."""
    scale = np.maximum(np.abs(want).max(axis=1, keepdims=True), 1e-3 * np.abs(want).max())
    return (np.abs(got - want) / scale).max()


TOLERANCE = 1e-7


@each_problem
@each_scaling
def test_jacobian_is_the_derivative_of_the_residual(name, scaling):
    c = case(name)
    assert disagreement(c.linearize(scaling=scaling).jacobian.dense(), slow_jacobian(c, scaling=scaling)) < TOLERANCE


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("hidden", [(), (1,), (3, 2, 2)], ids=str)
@pytest.mark.parametrize("name", ["wave", "qtensor"])
def test_jacobian_for_every_activation_and_depth(name, hidden, activation):
    c = case(name, activation, each=2, hidden=hidden)
    assert disagreement(c.linearize().jacobian.dense(), slow_jacobian(c)) < TOLERANCE


@pytest.mark.parametrize("options", [{"output_scale": 0.1}, {"parametrization": "ntk"}], ids=str)
def test_jacobian_under_other_scalings_of_the_network(options):
    c = case("wave")
    c = dataclasses.replace(c, network=rn.MLP(c.network.sizes, **options))
    assert disagreement(c.linearize().jacobian.dense(), slow_jacobian(c)) < TOLERANCE


@pytest.mark.parametrize("fault", ["sign of a column", "transposed weights", "a row scale", "a missing bias"])
def test_planted_faults_in_the_jacobian_are_seen(fault):
    """Mistakes 10, 23 and 24 of the audit among them."""
    c = case("wave")
    J = c.linearize().jacobian.dense()
    wrong = J.copy()
    if fault == "sign of a column":
        wrong[:, 5] *= -1
    elif fault == "transposed weights":
        wrong[:, :8] = J[:, :8].reshape(-1, 2, 4).swapaxes(1, 2).reshape(-1, 8)
    elif fault == "a row scale":
        wrong[-1] *= 1 + 1e-5
    else:
        wrong[:, -1] = 0
    assert disagreement(wrong, slow_jacobian(c)) > 10 * TOLERANCE


# The operator


def products(lin):
    """J and Jᵀ by operator products with unit vectors, and J as a matrix."""
    J = lin.jacobian
    n, p = J.shape
    return J @ np.eye(p), (J.T @ np.eye(n)).T, J.dense()


@each_problem
@each_scaling
def test_products_are_those_of_the_matrix(name, scaling):
    lin = case(name).linearize(scaling=scaling)
    forward, backward, dense = products(lin)
    scale = np.abs(dense).max()
    assert np.abs(forward - dense).max() <= 100 * UNIT * scale
    assert np.abs(backward - dense).max() <= 100 * UNIT * scale


@each_problem
def test_shapes_and_transposes(name):
    c = case(name)
    J = c.linearize().jacobian
    n, p = J.shape
    assert (n, p) == (sum(len(c.points[t.name]) * t.components for t in c.problem.terms), len(c.theta))
    assert J.T.shape == (p, n)
    assert J.T.T == J
    assert J.dtype == np.float64
    assert np.array_equal(J.T.dense(), J.dense().T)


@each_problem
def test_a_vector_is_a_matrix_of_one_column(name):
    J = case(name).linearize().jacobian
    n, p = J.shape
    v, w = np.linspace(-1, 1, p), np.linspace(1, 2, n)
    assert np.array_equal(J @ v, (J @ v[:, None])[:, 0])
    assert np.array_equal(J.T @ w, (J.T @ w[:, None])[:, 0])
    assert ((J @ v).shape, (J.T @ w).shape) == ((n,), (p,))


@each_problem
def test_scipy_takes_it_for_a_linear_operator(name):
    J = case(name).linearize().jacobian
    A, dense = scipy.sparse.linalg.aslinearoperator(J), J.dense()
    n, p = J.shape
    v, w, scale = np.linspace(-1, 1, p), np.linspace(1, 2, n), np.abs(dense).sum()
    assert (A.shape, A.dtype) == (J.shape, J.dtype)
    found = [A @ v - dense @ v, A.T @ w - dense.T @ w, A @ np.eye(p) - dense, A.T @ np.eye(n) - dense.T]
    assert max(np.abs(f).max() for f in found) <= 100 * UNIT * scale


def test_scipys_least_squares_runs_on_it():
    lin = case("poisson1d").linearize()
    step, dense = scipy.sparse.linalg.lsqr(lin.jacobian, lin.residual, atol=1e-14, btol=1e-14)[0], lin.jacobian.dense()
    assert np.abs(step - np.linalg.lstsq(dense, lin.residual)[0]).max() < 1e-8 * np.abs(step).max()


@pytest.mark.parametrize("make", [lambda k: [1.0] * k, lambda k: np.ones(k, dtype=int), lambda k: np.ones(k, dtype=np.float32)])
def test_operands_that_are_lists_or_other_numbers(make):
    J = case("wave").linearize().jacobian
    n, p = J.shape
    assert np.array_equal(J @ make(p), J @ np.ones(p))
    assert np.array_equal(J.T @ make(n), J.T @ np.ones(n))


@pytest.mark.parametrize("shape", [(), (4,), (4, 2), (2, 31), (31, 2, 1), (31, 0)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_operands_that_do_not_fit(shape, transposed):
    c = case("wave")
    J = c.linearize().jacobian
    assert J.shape == (12, 31)
    with pytest.raises(ShapeError, match=r"operand: got shape .* expected"):
        _ = (J.T if transposed else J) @ np.ones(shape)


@pytest.mark.parametrize("operand", [torch.ones(31), array_api_strict.ones(31)])
def test_operands_of_another_library(operand):
    with pytest.raises(InvalidInput, match="arrays of one library"):
        _ = case("wave").linearize().jacobian @ operand


@pytest.mark.parametrize("operand", [np.ones(31) * 1j, np.array([None] * 31)])
def test_operands_that_are_not_real(operand):
    with pytest.raises(InvalidInput, match="operand"):
        _ = case("wave").linearize().jacobian @ operand


def test_products_make_no_matrix(monkeypatch):
    monkeypatch.setattr(NetworkLinearization, "dense", None)
    J = case("wave").linearize().jacobian
    assert (J @ (J.T @ np.ones(J.shape[0]))).shape == (J.shape[0],)


# Jets, patches, batches


@each_network_problem
@pytest.mark.parametrize("collapse", [True, False])
def test_collapsed_channels_change_nothing_but_rounding(name, collapse):
    c = case(name)
    lin, other = c.linearize(), c.linearize(collapse=collapse)
    J, K = lin.jacobian.dense(), other.jacobian.dense()
    assert np.abs(lin.residual - other.residual).max() <= 1000 * UNIT * (1 + np.abs(lin.residual).max())
    assert np.abs(J - K).max() <= 1000 * UNIT * np.abs(J).max()


@each_network_problem
@pytest.mark.parametrize("tape_bytes", [1, 3000, 20_000])
@each_scaling
def test_patches_change_nothing_but_rounding(name, tape_bytes, scaling):
    """Tapes of one point, of some points, all or none of them kept."""
    lin = case(name, each=5).linearize(scaling=scaling)
    cut = dataclasses.replace(lin, tape_bytes=tape_bytes)
    assert len(cut.patches) >= len(lin.patches)
    J = lin.jacobian.dense()
    found = [cut.residual - lin.residual, *(matrix - J for matrix in products(cut))]
    assert max(np.abs(f).max() for f in found) <= 100 * UNIT * np.abs(J).max()


def test_patches_of_one_point_are_not_kept():
    cut = dataclasses.replace(case("wave").linearize(), tape_bytes=1)
    assert (len(cut.patches), cut.compact) == (12, False)
    assert [p.rows.stop - p.rows.start for p in cut.patches] == [1] * 12


def test_weights_of_the_callers_own_follow_their_points_into_the_patches():
    lin = case("qtensor").linearize(scaling="quadrature", quadrature={"interior": [1.0, 4.0, 9.0]})
    cut = dataclasses.replace(lin, tape_bytes=1)
    assert np.abs(cut.residual - lin.residual).max() <= 100 * UNIT * np.abs(lin.residual).max()
    assert np.abs(cut.jacobian.dense() - lin.jacobian.dense()).max() <= 100 * UNIT * np.abs(lin.jacobian.dense()).max()


def test_a_replaced_theta_is_evaluated_anew():
    """What was kept at the old θ must not answer for the new one."""
    c = case("wave")
    lin = c.linearize()
    _ = lin.jacobian.dense()
    moved = dataclasses.replace(lin, theta=2 * c.theta)
    want = rn.linearize(c.problem, c.network, 2 * c.theta, c.points)
    assert np.array_equal(moved.residual, want.residual)
    assert np.array_equal(moved.jacobian.dense(), want.jacobian.dense())


@each_problem
def test_linearizations_are_themselves_and_hash(name):
    one, other = case(name).linearize(), case(name).linearize()
    assert one == one
    assert one != other
    assert len({one, other}) == 2


# What goes in


@each_problem
def test_lists_are_float64_arrays(name):
    c = case(name)
    lists = {term: x.tolist() for term, x in c.points.items()}
    found = rn.linearize(c.problem, c.network, c.theta.tolist(), lists)
    assert np.array_equal(found.residual, c.linearize().residual)


@pytest.mark.parametrize("library", [np, array_api_strict, torch])
@pytest.mark.parametrize("single", ["theta", "points"])
def test_mixed_precision_is_the_wider_one(library, single):
    c = case("wave")
    types = {name: library.float32 if name == single else library.float64 for name in ("theta", "points")}
    theta = library.asarray(c.theta, dtype=types["theta"])
    points = {term: library.asarray(x, dtype=types["points"]) for term, x in c.points.items()}
    lin = rn.linearize(c.problem, c.network, theta, points)
    assert lin.residual.dtype == lin.jacobian.dtype == library.float64
    assert np.abs(np.asarray(lin.residual) - c.linearize().residual).max() < 1e-5 * np.abs(c.linearize().residual).max()


def wave(**changed):
    c = case("wave")
    given = {"problem": c.problem, "network": c.network, "theta": c.theta, "points": c.points} | changed
    options = {k: v for k, v in given.items() if k not in ("problem", "network", "theta", "points")}
    return lambda: rn.linearize(given["problem"], given["network"], given["theta"], given["points"], **options)


def points(**changed):
    return {**case("wave").points, **changed}


REFUSED = {
    "a problem by name": (wave(problem="wave"), InvalidInput, "problem: got str"),
    "no network": (wave(network=None), InvalidInput, "network: got NoneType"),
    "a network of other inputs": (wave(network=rn.MLP([3, 4, 1])), ShapeError, r"3 inputs and 1 outputs.*needs 2 \('x', 't'\)"),
    "a network of other outputs": (wave(network=rn.MLP([2, 4, 2])), ShapeError, "2 inputs and 2 outputs"),
    "a network for a direct problem": (wave(problem=problems.get("quadratic")), InvalidInput, "pass None"),
    "theta too short": (wave(theta=case("wave").theta[:-1]), ShapeError, r"theta: got shape \(30,\)"),
    "theta a matrix": (wave(theta=case("wave").theta[:, None]), ShapeError, "theta"),
    "theta missing": (wave(theta=None), InvalidInput, "theta"),
    "theta not finite": (wave(theta=case("wave").theta * np.inf), NotFiniteError, "theta: got 31 of 31"),
    "theta complex": (wave(theta=case("wave").theta + 0j), InvalidInput, "theta: got complex128"),
    "theta of another library": (wave(theta=torch.tensor(case("wave").theta)), InvalidInput, "arrays of one library"),
    "points no dict": (wave(points=np.zeros((3, 2))), InvalidInput, "points: got ndarray"),
    "points of a term missing": (wave(points={"interior": np.zeros((3, 2))}), ShapeError, "no points for initial"),
    "points of a term unknown": (wave(points=points(inside=np.zeros((3, 2)))), UnknownNameError, "inside"),
    "points empty": (wave(points=points(interior=np.zeros((0, 2)))), ShapeError, r"points\['interior'\]"),
    "points of another dimension": (wave(points=points(interior=np.zeros((3, 3)))), ShapeError, r"points\['interior'\]"),
    "points not finite": (wave(points=points(interior=[[np.nan, 0.0]])), NotFiniteError, r"points\['interior'\]: got 1 of 2"),
    "engine unknown": (wave(engine="nuba"), UnknownNameError, "engine"),
    "engine a list": (wave(engine=["reference"]), UnknownNameError, "engine"),
    "collapse a number": (wave(collapse=2), InvalidInput, "collapse"),
    "collapse an array": (wave(collapse=np.ones(2)), InvalidInput, "collapse"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    call, error, match = REFUSED[what]
    with pytest.raises(error, match=match):
        call()
