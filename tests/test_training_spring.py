"""SPRING: its step written out, what its memory is worth when points change, and what it refuses."""

import numpy as np
import pytest

import refntk as rn
from refntk import natural
from refntk.errors import InvalidInput, UnknownNameError
from refntk.training.position import Position
from refntk.training.spring import Spring

PROBLEM = rn.problems.get("poisson1d")
WEIGHTS = {"interior": 0.5, "boundary": 8.0}
RATE = 0.3


def position(network, *, seed=17, interior=6, scaling="sum"):
    points = PROBLEM.sample(rng=seed, counts={"interior": interior, "boundary": 2})
    return Position(PROBLEM, network, network.init(rng=17), points, scaling, "reference")


def step(at, state, spring):
    return spring.advance(0, 1, at, WEIGHTS, state, rate=RATE, visit=lambda *_: None)


def stacked(J, r, damping, before):
    """The φ of least ‖r - J φ‖² + μ ‖φ - before‖², μ = damping · Tr JJᵀ, by orthogonal transformations."""
    root = np.sqrt(damping * np.sum(J * J))
    return np.linalg.lstsq(np.concatenate([J, root * np.eye(J.shape[1])]), np.concatenate([r, root * before]), rcond=None)[0]


@pytest.mark.parametrize("width", [2, 9])  # fewer and more parameters than rows
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("scaling", ["sum", "mean"])
def test_what_a_step_is(width, momentum, scaling):
    network = rn.MLP([1, width, 1])
    at, spring = position(network, scaling=scaling), Spring(damping=1e-3, momentum=momentum)
    before = np.random.default_rng(3).standard_normal(network.size)
    theta, state, taken = step(at, {"direction": before}, spring)
    roots = np.concatenate([np.full(b.stop - b.start, WEIGHTS[name] ** 0.5) for name, b in at.lin.blocks.items()])
    J, r = roots[:, None] * at.lin.jacobian.dense(), roots * at.lin.residual
    want = stacked(J, r, 1e-3, momentum * before)
    assert np.linalg.norm(state["direction"] - want) < 1e-10 * np.linalg.norm(want)
    assert taken == 1
    np.testing.assert_array_equal(theta, at.theta - RATE * state["direction"])


def test_without_memory_it_is_a_damped_step():
    at = position(rn.MLP([1, 5, 1]))
    spring = Spring(damping=1e-6, momentum=0.0)
    _, state, _ = step(at, spring.start(at.theta, xp=np), spring)
    want = natural.damped(at.weighted(WEIGHTS), damping=1e-6).vector
    np.testing.assert_allclose(state["direction"], want, rtol=1e-9, atol=1e-12 * np.linalg.norm(want))


class HeavyBall(Spring):
    """A planted fault: momentum whose rest does not know what the carried direction does already."""

    def advance(self, t, count, at, weights, state, *, rate, visit):
        """One step."""
        d = natural.direction(at.weighted(weights), "damped", damping=self.damping) + self.momentum * state["direction"]
        return at.theta - rate * d, {"direction": d}, 1


def test_heavy_ball_momentum_is_another_step():
    at = position(rn.MLP([1, 9, 1]))
    before = {"direction": 100 * np.random.default_rng(3).standard_normal(at.theta.size)}
    right, wrong = (
        step(at, before, kind(damping=1e-3))[1]["direction"] - 0.9 * before["direction"] for kind in (Spring, HeavyBall)
    )
    assert np.linalg.norm(wrong - right) > 0.1 * np.linalg.norm(right)


def test_a_network_learns_from_points_drawn_anew():
    """Heat, 24 points a step, fewer than a fifth of the parameters."""
    problem = rn.problems.get("heat")
    network, counts = rn.MLP([2, 12, 12, 1], **problem.normalization), {"interior": 12, "initial": 6, "boundary": 6}
    how = {"optimizer": "spring", "lr": 0.2, "decay": None, "counts": counts, "options": {"damping": 1e-4}}
    history = rn.train(problem, network, network.init(rng=17), steps=200, **how)
    assert history.errors[-1] < 0.03 < 0.3 < history.errors[0]


def test_it_is_an_optimizer_with_options():
    network = rn.MLP([1, 6, 1])
    how = {"steps": 3, "optimizer": "spring", "lr": RATE, "decay": None, "rng": 17}
    history = rn.train(PROBLEM, network, network.init(rng=17), options={"momentum": 0.5, "damping": 1e-4}, **how)
    assert history.config["resample"]
    assert history.config["options"] == {"momentum": 0.5, "damping": 1e-4}
    assert not np.array_equal(history.theta, rn.train(PROBLEM, network, network.init(rng=17), **how).theta)


@pytest.mark.parametrize("damping", [0.0, -1e-3, np.nan, np.inf, "small", True])
def test_a_damping_that_is_none_is_refused(damping):
    with pytest.raises(InvalidInput, match="damping"):
        Spring(damping=damping)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, np.nan, "much", True])
def test_a_momentum_out_of_range_is_refused(momentum):
    with pytest.raises(InvalidInput, match="momentum"):
        Spring(momentum=momentum)


def test_other_options_are_refused():
    with pytest.raises(UnknownNameError, match="momentum"):
        Spring().having({"rank": 3})
