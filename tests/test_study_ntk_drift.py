"""Drift in training: exact where only the output bias can move, verdicts on drifts of known orders, and descents with a fault."""

from dataclasses import replace

import numpy as np
import pytest
from conducted import outcome

from refntk import studies
from refntk.problems.homogeneity import linear
from refntk.studies.ntk_drift import CASES, _descend, _look
from refntk.studies.study import Outcome
from refntk.studies.widths import BLOCKS, few, network, start

STUDY = studies.get("ntk_drift")


def descend(s, *, part=0.25, least=50, trained=True, name="heat", time=0.02, keys=(3,), depth=1):
    """One run, or an array of several."""
    problem, points = few(name)
    at = network(problem, 16, s, depth=depth)
    config = replace(STUDY.configure("smoke"), part=part, least=least)
    found = _descend(problem, at, np.stack([start(at, key) for key in keys]), points, config, time, trained)
    return {what: values[0] for what, values in found.items()} if len(keys) == 1 else found


@pytest.mark.parametrize("depth", [1, 2])
def test_runs_side_by_side_are_the_runs_one_by_one(depth):
    """Though each takes steps of its own, and they end at different times."""
    keys = (3, 4, 5)
    together = descend(0.25, keys=keys, least=1, depth=depth)
    alone = [descend(0.25, keys=(key,), least=1, depth=depth) for key in keys]
    assert len(set(together["steps"].tolist())) > 1
    for i, one in enumerate(alone):
        assert {what: np.allclose(together[what][i], one[what], rtol=1e-9) for what in one} == dict.fromkeys(one, True)


@pytest.mark.parametrize("name", ["heat", "eikonal"])
@pytest.mark.parametrize("depth", [1, 2])
def test_the_gradient_is_that_of_the_loss_and_the_kernel_that_of_the_rows(name, depth):
    """Along the gradient the loss falls by its square, and R by K R, to the first order."""
    problem, points = few(name)
    at = network(problem, 16, 0.5, depth=depth)
    theta = np.stack([start(at, 3), start(at, 4)])
    R, K, gradient = _look(problem, at, theta, points, True)
    h = 1e-6
    less, more = (_look(problem, at, theta - side * h * gradient, points, True)[0] for side in (-1, 1))
    change = (less - more) / (2 * h)
    along = (K @ R[..., None])[..., 0]
    assert np.abs(change - along).max() < 1e-6 * np.abs(along).max()
    assert np.allclose((gradient**2).sum(axis=1), (R * along).sum(axis=1), rtol=1e-12)


def test_a_bias_that_is_held_does_not_move_and_counts_for_nothing():
    problem, points = few("sine_gordon")
    at = network(problem, 16, 0.5)
    theta = start(at, 3)[None]
    (_, free, moving), (_, held, still) = (_look(problem, at, theta, points, trained) for trained in (True, False))
    assert still[0, -1] == 0 != moving[0, -1]
    assert np.array_equal(still[:, :-1], moving[:, :-1])
    gap = np.linalg.eigvalsh(free - held)[0]
    assert gap[-1] > 0.1
    assert np.abs(gap[:-1]).max() < 1e-10 * gap[-1]  # of rank one


def test_with_all_but_the_bias_at_rest_training_is_that_of_a_constant_kernel():
    """s = 8: K is the share of the output bias, and (1 - ηK)^t is exact; e^(-Kt) is to the first order in η."""
    found = descend(8.0, time=1.0)
    assert found["drift"].max() < 1e-8 * found["kernel"].max()
    assert found["recursion"] < 1e-12
    coarse, fine = (float(descend(8.0, least=least, time=1.0)["exponential"]) for least in (50, 100))
    assert 1.9 < coarse / fine < 2.1


def test_with_the_bias_held_nothing_moves():
    assert descend(8.0, trained=False)["kernel"].max() < 1e-9 < 0.5 < descend(8.0)["kernel"].max()


def test_training_stops_in_time_and_steps_are_as_short_as_asked():
    assert descend(8.0, least=50)["steps"] == 50
    few_steps, many = (int(descend(0.25, part=part, least=1)["steps"]) for part in (0.2, 0.1))
    assert 1.8 * few_steps < many < 2.2 * few_steps


def test_a_kernel_that_moves_is_no_constant_one():
    found = descend(0.5)
    assert found["drift"].min() > 1e-3
    assert found["recursion"] > 1e-3


def known(law, **changes):
    """The desk's outcome for drifts of orders `law(case, block, s)` and residuals of order -1, with 2 % of noise."""
    config, rng = STUDY.configure("desk", changes), np.random.default_rng(8)
    cells = STUDY.cells(config)

    def noisy(*shape):
        return np.exp(0.02 * rng.standard_normal((len(cells), config.runs, *shape)))

    N = np.array([cell["width"] for cell in cells], dtype=float)[:, None]
    orders = np.array([[law(cell["case"], block, cell["s"]) for block in BLOCKS] for cell in cells])
    residual = 5 * noisy() / N
    return Outcome(
        config,
        cells,
        {"drift": N[..., None] ** orders[:, None] * noisy(len(BLOCKS)), "recursion": residual, "exponential": residual},
    )


def expected(case, block, s):
    if case.startswith("heat") or block == "bb":
        return -2 * s
    return max(1 - 2 * s, 0) if case == "sine_gordon" else 1 - 2 * s


def told(found):
    return [claim.statement for claim in STUDY.claims(found) if not claim.holds]


def test_claims_hold_for_the_orders_that_theory_has():
    assert told(known(expected)) == []
    assert told(known(expected, cases=tuple(CASES))) == []


@pytest.mark.parametrize(
    ("law", "least"),
    [
        (lambda case, block, s: 1 - 4 * s, 8),  # Theorem 2.3 with its threshold as a sharp one
        (lambda case, block, s: 0.2, 15),  # nothing ever stands still
        (lambda case, block, s: -1.0, 8),  # everything always does
    ],
    ids=["1/4", "never", "always"],
)
def test_another_threshold_is_seen(law, least):
    assert len(told(known(law))) >= least


def test_a_residual_that_leaves_the_constant_kernels_is_told():
    found = known(expected)
    away = 0.1 / found.arrays["recursion"] ** 0.1
    wrong = told(replace(found, arrays={**found.arrays, "recursion": away, "exponential": away}))
    assert len(wrong) == 2
    assert "that of a constant K" in wrong[0]
    assert "e^(-KΛt)" in wrong[1]


def test_figures_can_be_drawn_from_a_stored_outcome():
    assert [figure.name for figure in STUDY.figures(outcome("ntk_drift"))] == ["drift", "orders", "residual"]


def test_the_residuals_are_judged_for_linear_problems():
    assert {depth for name, depth, _ in CASES.values() if linear(few(name)[0])} == {1, 2}
