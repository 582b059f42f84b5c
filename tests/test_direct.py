"""Residuals that are no network: closed forms of a linear and a quadratic map, through the same doors as every other."""

import numpy as np
import pytest

import refntk as rn
from refntk import DirectLinearization, problems
from refntk.errors import InvalidInput, NotFiniteError, ShapeError

A = np.array([[1.0, 2.0, 0.0], [0.0, 3.0, -1.0], [2.0, -2.0, 1.0], [0.5, 0.0, 4.0]])
BLOCKS = {"first": slice(0, 1), "rest": slice(1, 4)}
THETA = np.array([1.0, -2.0, 0.5])


def linear(**options):
    return DirectLinearization(lambda t: A @ t, lambda t, V: A @ V, lambda t, W: A.T @ W, THETA, BLOCKS, **options)


def test_linear_map_is_its_own_jacobian():
    lin = linear()
    assert np.array_equal(lin.residual, A @ THETA)
    assert lin.shape == (4, 3)
    assert np.array_equal(lin.jacobian.dense(), A)
    assert np.array_equal(lin.jacobian @ np.eye(3), A)
    assert np.array_equal(lin.jacobian.T @ np.eye(4), A.T)
    assert np.array_equal(rn.ntk(lin), A @ A.T)
    assert rn.ntk_traces(lin) == {"first": 5.0, "rest": 10 + 9 + 16.25}
    assert np.array_equal(rn.ntk_block(lin, "rest", "first"), (A @ A.T)[1:, :1])


@pytest.mark.parametrize("scales", [2, 2.0, np.float64(2.0), np.array([1.0, 2.0, 4.0, 8.0])], ids=str)
def test_scales_multiply_rows(scales):
    lin, S = linear(scales=scales), np.diag(scales * np.ones(4))
    assert np.array_equal(lin.residual, S @ A @ THETA)
    assert np.array_equal(lin.jacobian.dense(), S @ A)
    assert np.array_equal(lin.jacobian.T @ np.eye(4), (S @ A).T)
    assert np.array_equal(rn.ntk(lin), S @ A @ A.T @ S)


def quadratic(n=7, **options):
    problem = problems.get("quadratic")
    points = problem.sample(rng=1, counts={"data": n})
    return points["data"], rn.linearize(problem, None, THETA, points, **options)


def test_quadratic_problem_in_closed_form():
    data, lin = quadratic()
    u = np.stack([np.ones(7), data[:, 0], data[:, 0] ** 2], axis=1)
    J = 2 * THETA * u
    assert np.abs(lin.residual - (u @ THETA**2 - data[:, 1])).max() < 1e-14
    assert np.abs(lin.jacobian.dense() - J).max() < 1e-14
    assert np.abs(rn.ntk(lin) - J @ J.T).max() < 1e-13


def test_quadratic_residual_has_no_third_derivative():
    """R(θ + v) - R(θ) - J v is even in v, hence the same for v and -v: the exactness of section 5.2.1."""
    v = np.array([0.3, -0.2, 0.1])
    (_, lin), problem = quadratic(), problems.get("quadratic")
    points = problem.sample(rng=1, counts={"data": 7})
    rest = [rn.linearize(problem, None, THETA + s * v, points).residual - lin.residual - lin.jacobian @ (s * v) for s in (1, -1)]
    assert np.abs(rest[0] - rest[1]).max() < 1e-14
    assert np.abs(rest[0]).max() > 1e-3


@pytest.mark.parametrize(("scaling", "factor"), [("sum", 1.0), ("mean", 7**-0.5)])
def test_row_scalings(scaling, factor):
    _, plain = quadratic()
    _, lin = quadratic(scaling=scaling)
    assert np.abs(lin.jacobian.dense() - factor * plain.jacobian.dense()).max() < 1e-15


def test_weights_of_the_callers_own():
    weights = np.arange(7.0)
    _, plain = quadratic()
    _, lin = quadratic(scaling="quadrature", quadrature={"data": weights})
    assert np.abs(lin.residual - np.sqrt(weights) * plain.residual).max() < 1e-14


@pytest.mark.parametrize(
    ("network", "theta", "error"),
    [
        (rn.MLP([2, 1]), THETA, InvalidInput),
        (None, THETA[:2], ShapeError),
        (None, THETA * np.nan, NotFiniteError),
        (None, "abc", InvalidInput),
    ],
    ids=["a network", "too few parameters", "not finite", "no numbers"],
)
def test_refused(network, theta, error):
    problem = problems.get("quadratic")
    with pytest.raises(error):
        rn.linearize(problem, network, theta, problem.sample(rng=1))


BROKEN = {
    "no blocks": {},
    "a gap": {"first": slice(0, 1), "rest": slice(2, 4)},
    "out of order": {"rest": slice(1, 4), "first": slice(0, 1)},
    "not from 0": {"rest": slice(1, 4)},
    "open": {"all": slice(None, 4)},
}


@pytest.mark.parametrize("blocks", BROKEN.values(), ids=BROKEN)
def test_blocks_that_are_no_cut_of_the_rows(blocks):
    with pytest.raises(InvalidInput, match="blocks"):
        DirectLinearization(lambda t: A @ t, lambda t, V: A @ V, lambda t, W: A.T @ W, THETA, blocks)


def test_blocks_that_do_not_cover_the_residual():
    lin = DirectLinearization(lambda t: A @ t, lambda t, V: A @ V, lambda t, W: A.T @ W, THETA, {"all": slice(0, 3)})
    with pytest.raises(ShapeError, match=r"residual: got shape \(4,\)"):
        _ = lin.residual


def test_planted_fault_a_vjp_that_is_not_the_transpose_shows():
    lin = DirectLinearization(lambda t: A @ t, lambda t, V: A @ V, lambda t, W: -A.T @ W, THETA, BLOCKS)
    assert not np.array_equal(rn.ntk_product(lin, np.eye(4)), rn.ntk(lin))
