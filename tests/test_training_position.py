import numpy as np
import pytest

import refntk as rn
from refntk.training.position import Position


def position(name, engine="reference"):
    problem = rn.problems.get(name)
    direct = isinstance(problem, rn.problems.base.DirectProblem)
    network = None if direct else rn.MLP([len(problem.coordinates), 5, 4, problem.outputs])
    theta = problem.init(rng=17) if direct else network.init(rng=17)
    counts = {term.name: 4 for term in problem.terms}
    return Position(problem, network, theta, problem.sample(rng=17, counts=counts), "mean", engine)


WEIGHTS = (3.0, 0.25, 7.0, 2.0, 5.0, 11.0)


def weights(at):
    return dict(zip(at.lin.blocks, WEIGHTS, strict=False))


@pytest.mark.parametrize("open_first", [False, True])
@pytest.mark.parametrize("name", rn.problems.names())
def test_the_gradient_is_the_derivative_of_the_loss(name, open_first):
    at = position(name)
    if open_first:
        at.traces  # noqa: B018
    gradient = at.gradient(weights(at))
    direction = np.random.default_rng(17).standard_normal(len(at.theta))
    direction /= np.linalg.norm(direction)
    step = 1e-5
    ahead, behind = (at.moved(at.theta + sign * step * direction).loss(weights(at)) for sign in (1, -1))
    scale = np.linalg.norm(gradient) + abs(at.loss(weights(at)))
    assert abs((ahead - behind) / (2 * step) - gradient @ direction) < 1e-6 * scale


@pytest.mark.parametrize("name", rn.problems.names())
def test_the_traces_are_the_kernels_and_looking_aside_opens_nothing(name):
    at = position(name)
    aside = at.traces_aside()
    assert "rows" not in vars(at)
    assert aside == rn.ntk_traces(at.lin)
    assert at.traces == pytest.approx(aside, rel=1e-13)
    K = rn.ntk(at.lin)
    np.testing.assert_allclose(list(aside.values()), [np.trace(K[b, b]) for b in at.lin.blocks.values()], rtol=1e-12)


@pytest.mark.parametrize("name", rn.problems.names())
def test_products_are_those_of_the_jacobian(name):
    at = position(name)
    direction = np.random.default_rng(17).standard_normal(len(at.theta))
    want = at.lin.jacobian @ direction
    scale = np.linalg.norm(want)
    assert np.linalg.norm(at.push(direction, None) - want) < 1e-12 * scale
    assert np.linalg.norm(at.push(direction, 1e-7) - want) < 1e-4 * scale


def test_losses_are_half_squares_and_spread_repeats():
    at = position("wave")
    r = at.lin.residual
    np.testing.assert_allclose(list(at.losses.values()), [0.5 * r[b] @ r[b] for b in at.lin.blocks.values()], rtol=1e-14)
    np.testing.assert_allclose(at.loss(weights(at)), 0.5 * r @ (at.spread(weights(at)) * r), rtol=1e-14)
    np.testing.assert_array_equal(at.spread(weights(at))[at.lin.blocks["initial"]], 0.25)


def test_nothing_is_computed_twice(monkeypatch):
    calls = []
    from refntk.training import position as module

    original = module.linearize
    monkeypatch.setattr(module, "linearize", lambda *args, **options: calls.append(1) or original(*args, **options))
    at = position("wave")
    at.traces, at.losses, at.gradient(weights(at)), at.pull(at.lin.residual)
    assert len(calls) == 1
