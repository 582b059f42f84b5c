import numpy as np
import pytest
import torch

import refntk as rn
from refntk.training.optimizers import OPTIMIZERS, adam, learning_rate, steepest
from refntk.training.position import Position

ADAM_ULPS = 16  # the two differ by the order of a few roundings


def line(theta):
    """A problem linear in θ = (w, b): R = (0, w x + b at three x), so that only the boundary has a gradient."""
    problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
    points = {"interior": np.array([[0.0]]), "boundary": np.array([[0.0], [1.0], [2.0]])}
    return Position(problem, network, np.array(theta), points, "sum", "reference")


def run(name, at, steps, *, rate=0.1, every=1, weights=None):
    """θ after `steps`, and what `visit` heard."""
    optimizer, heard, t = OPTIMIZERS[name], [], 0
    state = optimizer.start(at.theta, xp=np)
    weights = weights or {"interior": 1.0, "boundary": 1.0}
    while t < steps:
        count = min(optimizer.round(every), steps - t)
        theta, state, taken = optimizer.advance(
            t, count, at, weights, state, rate=rate, visit=lambda step, theta: heard.append((step, theta))
        )
        if not taken:
            break
        at, t = at.moved(theta), t + taken
    return at.theta, heard


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_loss_falls(name):
    at = line([1.0, -2.0])
    weights = {"interior": 1.0, "boundary": 1.0}
    theta, _ = run(name, at, 20, rate=0.05, every=20)
    assert at.moved(theta).loss(weights) < 0.5 * at.loss(weights)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_state_is_arrays_and_theta_stays_as_it_was(name):
    at = line([1.0, -2.0])
    before = at.theta.copy()
    optimizer = OPTIMIZERS[name]
    start = optimizer.start(at.theta, xp=np)
    kept = {slot: array.copy() for slot, array in start.items()}
    optimizer.advance(0, 1, at, {"interior": 1.0, "boundary": 1.0}, start, rate=0.1, visit=lambda *_: None)
    np.testing.assert_array_equal(at.theta, before)
    assert all(isinstance(array, np.ndarray) for array in start.values())
    assert all(np.array_equal(start[slot], kept[slot]) for slot in start)


def test_gradient_descent_on_a_linear_problem_is_a_power():
    """θ_t = (I - η A)^t θ_0 with A = JᵀΛJ."""
    at, weights = line([1.0, -2.0]), {"interior": 3.0, "boundary": 0.5}
    J = at.lin.jacobian.dense()
    A = 0.5 * J.T @ J  # the interior's rows do not depend on θ
    want = np.linalg.matrix_power(np.eye(2) - 0.1 * A, 7) @ at.theta
    got, _ = run("gd", at, 7, weights=weights)
    np.testing.assert_allclose(got, want, rtol=1e-13)


def torch_adam(gradients, lr):
    theta = torch.zeros(len(gradients[0]), dtype=torch.float64)
    optimizer = torch.optim.Adam([theta], lr=lr)
    for gradient in gradients:
        theta.grad = torch.from_numpy(gradient)
        optimizer.step()
    return theta.numpy()


def ours(gradients, lr, direction):
    theta, state = np.zeros(len(gradients[0])), {"m": np.zeros(len(gradients[0])), "v": np.zeros(len(gradients[0]))}
    for t, gradient in enumerate(gradients):
        d, state = direction(gradient, t, state, xp=np)
        theta = theta - lr * d
    return theta


def uncorrected(gradient, t, state, *, xp):
    return adam(gradient, 10**6, state, xp=xp)


def late(gradient, t, state, *, xp):
    return adam(gradient, t + 1, state, xp=xp)


@pytest.mark.parametrize(("direction", "right"), [(adam, True), (uncorrected, False), (late, False)])
def test_adam_is_torchs(direction, right):
    rng = np.random.default_rng(17)
    gradients = list(rng.standard_normal((40, 6)) * 10.0 ** rng.integers(-6, 6, 6))
    want = torch_adam(gradients, 1e-3)
    error = np.max(np.abs(ours(gradients, 1e-3, direction) - want) / np.abs(want))
    assert (error < ADAM_ULPS * 2.0**-52) == right


def test_the_direction_of_descent_is_the_gradient():
    gradient = np.array([1.0, -3.0])
    assert steepest(gradient, 5, {}, xp=np)[0] is gradient


@pytest.mark.parametrize(
    ("t", "decay", "want"), [(0, (0.9, 1000), 2.0), (1000, (0.9, 1000), 1.8), (250, (0.0625, 1000), 1.0), (9, None, 2.0)]
)
def test_the_rate_decays_smoothly(t, decay, want):
    assert learning_rate(t, 2.0, decay) == pytest.approx(want, rel=1e-15)


def test_lbfgs_solves_least_squares_and_tells_every_step_between():
    theta, heard = run("lbfgs", line([1.0, -2.0]), 30, every=10)
    np.testing.assert_allclose(theta, 0.0, atol=1e-7)
    steps = [step for step, _ in heard]
    assert steps == sorted(set(steps))
    assert all(step % 10 for step in steps[:9])


def test_lbfgs_at_a_minimum_makes_no_step():
    weights = {"interior": 0.0, "boundary": 1.0}
    _, _, taken = OPTIMIZERS["lbfgs"].advance(0, 5, line([0.0, 0.0]), weights, {}, rate=0.1, visit=lambda *_: None)
    assert taken == 0


def test_lbfgs_in_one_round_is_the_same_with_fewer_steps():
    """A round that is cut short makes the first steps of the whole round: what resuming rests on."""
    problem = rn.problems.get("poisson1d")
    network = rn.MLP([1, 6, 1])
    at = Position(problem, network, network.init(rng=17), problem.sample(rng=17), "sum", "reference")
    _, whole = run("lbfgs", at, 8, every=8)
    cut, _ = run("lbfgs", at, 5, every=8)
    np.testing.assert_array_equal(cut, dict(whole)[5])
