"""Many networks at once against one after the other: R, J and K of `linearize` and `ntk` to rounding, on every problem."""

import numpy as np
import pytest
from cases import NETWORK_PROBLEMS

import refntk as rn
from refntk.studies import shallow
from refntk.studies.shallow import Fields, fields, jacobians, kernels, rows
from refntk.studies.widths import few, network, start

SCALAR = [name for name in NETWORK_PROBLEMS if rn.problems.get(name).outputs == 1]
COUNT, WIDTH, S = 5, 7, 0.6


def drawn(name, *, s=S, activation="tanh"):
    problem, points = few(name, each=3)
    at = network(problem, WIDTH, s, activation=activation)
    return problem, points, at, np.stack([start(at, key, bias=None) for key in range(COUNT)])


def one_by_one(problem, points, at, theta, scaling="sum"):
    lins = [rn.linearize(problem, at, one, points, scaling=scaling) for one in theta]
    return np.stack([lin.residual for lin in lins]), np.stack([lin.dense() for lin in lins])


def apart(got, want):
    return float(np.abs(got - want).max() / np.abs(want).max())


@pytest.mark.parametrize("scaling", ["sum", "mean"])
@pytest.mark.parametrize("name", SCALAR)
def test_residuals_and_jacobians_are_those_of_linearize(name, scaling):
    problem, points, at, theta = drawn(name)
    R, J = one_by_one(problem, points, at, theta, scaling)
    found = jacobians(problem, at, theta, points, scaling=scaling)
    assert apart(found[0], R) < 1e-12
    assert apart(found[1], J) < 1e-12
    wrong = jacobians(problem, at, theta * (1 + 1e-9), points, scaling=scaling)
    assert apart(wrong[1], J) > 1e-12


@pytest.mark.parametrize("activation", ["tanh", "sin", "swish", "softplus"])
@pytest.mark.parametrize("name", SCALAR)
def test_kernels_for_any_scale_and_bias_are_those_of_ntk(name, activation):
    problem, points, _, theta = drawn(name, activation=activation)
    here = fields(problem, network(problem, WIDTH, 0.0, activation=activation), theta, points)
    for s, bias in ((0.25, 0.7), (1.0, None)):
        at = network(problem, WIDTH, s, activation=activation)
        starts = theta if bias is None else np.concatenate([theta[:, :-1], np.full((COUNT, 1), bias)], axis=1)
        want = np.stack([rn.ntk(rn.linearize(problem, at, one, points)) for one in starts])
        biases = theta[:, -1] if bias is None else bias
        assert apart(kernels(problem, points, here, scale=WIDTH**-s, bias=biases), want) < 1e-12


def shifted(here):
    """X with the columns of the weights one place on."""
    return Fields(here.values, np.roll(here.slopes, 1, axis=2), here.ones)


def mixed(here):
    """The neurons of one network given to the next."""
    return Fields(np.roll(here.values, 1, axis=0), np.roll(here.slopes, 1, axis=0), here.ones)


def without(here):
    return Fields(here.values, here.slopes, 0 * here.ones)


@pytest.mark.parametrize("fault", [shifted, mixed, without])
def test_a_fault_is_seen(fault, monkeypatch):
    problem, points, at, theta = drawn("sine_gordon")
    _, J = one_by_one(problem, points, at, theta)
    monkeypatch.setattr(shallow, "fields", lambda *arguments: fault(fields(*arguments)))
    assert apart(jacobians(problem, at, theta, points)[1], J) > 1e-2


@pytest.mark.parametrize("name", SCALAR)
def test_partials_are_derivatives_of_the_residual(name):
    problem, points, at, theta = drawn(name)
    fields_at = fields(problem, at, theta, points).values
    V = np.random.default_rng(2).standard_normal(fields_at.shape)
    h = 1e-6
    (more, _), (less, _) = (rows(problem, points, fields_at + side * h * V) for side in (1, -1))
    want = (rows(problem, points, fields_at)[1] @ V[..., None])[..., 0]
    assert apart((more - less) / (2 * h), want) < 1e-6
