"""Section 5.1's study: its claims at the smallest scale, and each of them refuted by a planted fault."""

from dataclasses import replace

import numpy as np
import pytest

from refntk import studies
from refntk.studies.convergence import Run
from refntk.studies.study import Outcome, key_of

STUDY = studies.get("convergence")


@pytest.fixture(scope="module")
def outcome():
    config = STUDY.configure("smoke")
    cells = STUDY.cells(config)
    return STUDY.combine(config, cells, [STUDY.measure(config, cell, key=key_of(STUDY, cell, seed=17)) for cell in cells])


def verdicts(outcome):
    return [claim.holds for claim in STUDY.claims(outcome)]


def changed(outcome, name, change):
    return replace(outcome, arrays=dict(outcome.arrays) | {name: change(outcome.arrays[name])})


def test_the_run_converges_and_eq_10_bounds_it(outcome):
    assert verdicts(outcome)[:4] == [True] * 4


def test_the_rate_of_theorem_1_is_not_that_of_the_run(outcome):
    assert STUDY.claims(outcome)[4].measured < 1e-6


FAULTS = {
    "a loss that stands still": (0, "residual", lambda R: R[:, :, ::-1]),
    "eigenvalues that go on moving": (1, "eigenvalues", lambda e: e * np.linspace(1, 2, e.shape[2])[:, None]),
    "averages that decay too slowly": (2, "gradient", lambda g: g + g[:, :, :1] / np.arange(1, g.shape[2] + 1) ** 0.5),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_refuted(outcome, fault):
    claim, name, change = FAULTS[fault]
    assert not verdicts(changed(outcome, name, change))[claim]


def one_parameter(outcome, weights, rate, k=0.5):
    """The run of R = √k θ under weights λ_t, for which everything is known: R_{t+1} = (1 - η k λ_t) R_t."""
    ell = np.asarray(weights, dtype=float)
    R = np.concatenate([[1.0], np.cumprod(1 - rate * k * ell[:-1])])
    rows = np.zeros((1, 1, len(ell), 4))
    rows[..., 0] = R
    arrays = {
        "residual": rows,
        "weights": np.stack([ell, ell], axis=1)[None, None],
        "eigenvalues": np.full((1, 1, len(ell), 4), k),
        "gradient": (k * (ell * R) ** 2)[None, None],
        "fall": (k * ell * R**2)[None, None],
    }
    return Run(Outcome(replace(outcome.config, rates=(rate,)), [{"run": 0}], arrays), 0, 0)


def test_with_weights_that_stand_still_eq_10_is_an_equality(outcome):
    run = one_parameter(outcome, np.ones(11), 0.5)
    assert run.smoothness() == pytest.approx(0.5, rel=1e-12)  # k λ
    assert run.eq_10() == pytest.approx(1, abs=1e-12)


def test_eq_10_needs_the_drift_of_the_weights(outcome):
    """The planted fault: the telescoping sum of the proof with Λ taken for constant."""
    run = one_parameter(outcome, 1 + np.arange(11.0), 0.05)
    assert run.eq_10() <= 1
    run.weights = np.ones_like(run.weights)
    assert run.eq_10() > 1
