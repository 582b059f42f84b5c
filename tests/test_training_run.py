import subprocess
import sys

import array_api_strict
import numpy as np
import pytest
import torch
from test_training_history import equal

import refntk as rn
from refntk import natural
from refntk.errors import InvalidInput, TraceError
from refntk.training import DivergenceError, train
from refntk.training.optimizers import OPTIMIZERS
from refntk.training.run import State
from refntk.training.weightings import WEIGHTINGS

PROBLEM, NETWORK = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])
OWN = ("seconds", "versions")
# a natural step may change the kernel by more than a moving average of three samples follows: a TraceError, rightly
BOTH = [(o, w) for o in OPTIMIZERS for w in WEIGHTINGS if not (o in natural.METHODS and w == "sketched")]


def run(steps=12, problem=PROBLEM, network=NETWORK, theta=None, **options):
    theta = (problem if network is None else network).init(rng=17) if theta is None else theta
    return train(problem, network, theta, **({"steps": steps, "record": 5, "samples": 3, "lr": 1e-3} | options))


def counts(problem):
    return {term.name: 3 for term in problem.terms}


@pytest.mark.parametrize("name", rn.problems.names())
def test_every_problem_trains(name):
    problem = rn.problems.get(name)
    direct = isinstance(problem, rn.problems.base.DirectProblem)
    network = None if direct else rn.MLP([len(problem.coordinates), 4, problem.outputs], **problem.normalization)
    history = run(6, problem, network, counts=counts(problem), resample=False, weighting="fixed", lr=1e-4)
    assert history.loss[-1] < history.loss[0]


def test_what_a_step_is():
    """One step of gradient descent written out: θ - lr Jᵀ Λ R with Λ from eq. (5)."""
    theta, points = NETWORK.init(rng=17), PROBLEM.sample(rng=3)
    history = run(1, optimizer="gd", decay=None, points=points)
    lin = rn.linearize(PROBLEM, NETWORK, theta, points)
    K, r = rn.ntk(lin), lin.residual
    weights = {name: np.trace(K) / np.trace(K[b, b]) for name, b in lin.blocks.items()}
    Lambda = np.concatenate([np.full(b.stop - b.start, weights[name]) for name, b in lin.blocks.items()])
    np.testing.assert_allclose(history.theta, theta - 1e-3 * lin.jacobian.dense().T @ (Lambda * r), rtol=1e-12, atol=1e-15)
    assert history.loss[0] == pytest.approx(0.5 * r @ (Lambda * r), rel=1e-13)
    assert [history.losses[name][0] for name in lin.blocks] == pytest.approx([0.5 * r[b] @ r[b] for b in lin.blocks.values()])
    assert [history.weights[name][0] for name in lin.blocks] == pytest.approx(list(weights.values()), rel=1e-13)
    assert [history.traces[name][0] for name in lin.blocks] == pytest.approx([np.trace(K[b, b]) for b in lin.blocks.values()])


@pytest.mark.parametrize(("optimizer", "weighting"), BOTH)
def test_the_same_seed_gives_the_same_bits_and_recording_changes_none(optimizer, weighting):
    options = {"optimizer": optimizer, "weighting": weighting, "every": 4}
    first, again = (run(**options) for _ in range(2))
    often = run(record=1, eigenvalues=True, **options)
    assert equal(first, again, but=OWN)
    np.testing.assert_array_equal(first.theta, often.theta)
    np.testing.assert_array_equal(first.loss, often.loss[first.steps])


def test_another_seed_gives_other_points():
    assert not np.array_equal(run(rng=17).theta, run(rng=18).theta)


def test_a_generator_is_drawn_from_once():
    generator = np.random.default_rng(5)
    seed = int(np.random.default_rng(5).integers(2**63))
    np.testing.assert_array_equal(run(rng=generator).theta, run(rng=seed).theta)
    generator.integers(2**63)
    assert run(rng=None).config["seed"] != run(rng=None).config["seed"]


def test_points_are_drawn_anew_or_stay(monkeypatch):
    drawn = []
    sample = type(PROBLEM).sample
    monkeypatch.setattr(type(PROBLEM), "sample", lambda self, **o: drawn.append(sample(self, **o)) or drawn[-1])
    run(4, counts={"interior": 6})
    anew = {x["interior"].tobytes() for x in drawn}
    assert len(anew) == 5  # one set for each step and for the end
    assert all(x["interior"].shape == (6, 1) for x in drawn)
    drawn.clear()
    history = run(4, resample=False)
    assert len(drawn) == 1
    np.testing.assert_array_equal(history.theta, run(4, points=drawn[0]).theta)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_points_are_data_where_they_must_be(optimizer):
    assert run(2, optimizer=optimizer).config["resample"] == (not OPTIMIZERS[optimizer].fixed_points())
    problem = rn.problems.get("quadratic")
    assert run(2, problem, None, optimizer=optimizer, lr=1e-5).config["resample"] is False


def test_the_quadratic_problem_is_learnt():
    """Its minimum is that of least squares in θ², whose coefficients are positive here."""
    problem = rn.problems.get("quadratic")
    points = problem.sample(rng=17)
    x, y = points["data"].T
    want, (rest,), *_ = np.linalg.lstsq(np.stack([np.ones_like(x), x, x * x], axis=1), y)
    history = run(60, problem, None, optimizer="lbfgs", weighting="fixed", points=points)
    np.testing.assert_allclose(history.theta**2, want, rtol=1e-6)
    assert history.losses["data"][-1] == pytest.approx(rest / 2, rel=1e-10)


@pytest.mark.parametrize("library", [torch, array_api_strict])
@pytest.mark.parametrize(("optimizer", "weighting"), BOTH)
def test_other_libraries_train_alike(library, optimizer, weighting):
    theta = NETWORK.init(rng=17)
    options = {"optimizer": optimizer, "weighting": weighting, "every": 4}
    other = run(6, theta=library.asarray(theta), **options)
    assert isinstance(other.theta, np.ndarray)
    np.testing.assert_allclose(other.theta, run(6, **options).theta, rtol=1e-7, atol=1e-9)


def test_theta_is_not_changed():
    theta = NETWORK.init(rng=17)
    run(3, theta=theta)
    np.testing.assert_array_equal(theta, NETWORK.init(rng=17))


def test_lists_are_parameters_too():
    history = run(1, problem=PROBLEM, network=rn.MLP([1, 1]), theta=[1, 2], weighting="fixed")
    assert history.theta.dtype == np.float64


def test_lbfgs_that_has_converged_says_so():
    points = {"interior": [[0.0]], "boundary": [[0.0], [1.0]]}
    history = run(50, network=rn.MLP([1, 1]), optimizer="lbfgs", weighting="fixed", points=points, every=5)
    assert history.config["converged"]
    assert history.config["completed"] == history.steps[-1] < 50


# Endings


@pytest.mark.parametrize(("optimizer", "lr"), [("gd", 1e200), ("adam", 1e200), ("gd", 1e308)])  # the last leads to an infinite θ
def test_leaving_the_numbers_is_an_error_that_keeps_what_was_done(optimizer, lr, tmp_path):
    options = {"optimizer": optimizer, "weighting": "fixed", "decay": None, "record": 1}
    with pytest.raises(DivergenceError, match="lower lr") as caught:
        run(400, lr=lr, checkpoint=tmp_path / "run.npz", **options)
    history = caught.value.history
    assert np.isfinite(history.theta).all()
    assert 0 <= history.steps[-1] <= history.config["completed"]
    assert history.loss.shape == history.steps.shape


def test_a_loss_that_is_infinite_from_the_start_has_no_history():
    with pytest.raises(DivergenceError) as caught:
        run(5, theta=1e200 * NETWORK.init(rng=17))
    assert caught.value.history is None


def test_a_trace_that_vanishes_is_an_error_with_a_history():
    points = {"interior": [[0.5]], "boundary": [[0.0]]}
    with pytest.raises(TraceError) as caught:  # a linear network has no second derivative
        run(5, network=rn.MLP([1, 1]), points=points)
    assert caught.value.history is None


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("calls", [0, 1, 7, 12])
def test_ctrl_c_keeps_what_was_done(tmp_path, monkeypatch, optimizer, calls):
    """Interrupted inside some computation of the residual, wherever that falls."""
    from refntk.training import position as module

    seen, original = [], module.linearize

    def linearize(*args, **options):
        seen.append(1)
        if len(seen) == calls + 2:  # the first is the check of the arguments
            raise KeyboardInterrupt
        return original(*args, **options)

    path, options = tmp_path / "run.npz", {"optimizer": optimizer, "every": 4, "record": 3, "resample": False}
    monkeypatch.setattr(module, "linearize", linearize)
    stopped = run(14, checkpoint=path, **options)
    monkeypatch.undo()
    assert stopped.config["interrupted"]
    assert stopped.config["completed"] == stopped.steps[-1] < 14
    straight = run(14, **options)
    np.testing.assert_array_equal(stopped.loss[:-1], straight.loss[: len(stopped.loss) - 1])
    assert path.exists() == (calls > 0 and stopped.config["completed"] >= OPTIMIZERS[optimizer].round(4))
    assert equal(run(14, checkpoint=path, resume=True, **options), straight, but=OWN)


def test_ctrl_c_from_a_keyboard(tmp_path):
    """A real signal, in a process of its own; it prints the history that came back."""
    script = f"""
import os, signal, threading, refntk as rn
from refntk.training import train
problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 4, 1])
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
history = train(problem, network, network.init(rng=17), steps=10**6, checkpoint={str(tmp_path / "run.npz")!r})
print(history.config["interrupted"], 0 < history.config["completed"] < 10**6)
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=180)
    assert found.stdout.split() == ["True", "True"]
    assert (tmp_path / "run.npz").exists()


def test_the_line_says_loss_error_and_weights(capsys):
    run(12, progress=True)
    shown = capsys.readouterr().err
    assert "12/12" in shown
    assert all(word in shown for word in ("loss", "error", "λ interior", "boundary"))
    run(12)
    assert capsys.readouterr().err == ""


def test_tqdm_and_scipy_load_where_they_are_used():
    script = "import sys, refntk.training; print([m for m in ('tqdm', 'scipy', 'numba', 'matplotlib') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_wrong_networks_and_parameters_are_named():
    with pytest.raises(InvalidInput, match="network"):
        run(network=rn.MLP([2, 3, 1]))
    with pytest.raises(InvalidInput, match="theta"):
        run(theta=np.ones(3))
    with pytest.raises(InvalidInput, match="theta"):
        run(theta=np.full(NETWORK.size, np.nan))


def test_seconds_do_not_go_back():
    assert (np.diff(run().seconds) >= 0).all()


def test_training_lowers_the_error():
    problem = rn.problems.get("poisson1d", frequency=1.0)
    network = rn.MLP([1, 20, 1], **problem.normalization)
    history = run(400, problem, network, lr=1e-2, counts={"interior": 20})
    assert history.errors[-1] < 0.1 * history.errors[0]


def test_the_state_is_replaced_as_a_whole():
    with pytest.raises(AttributeError):
        State(0, np.zeros(1), {}, {}).t = 1
