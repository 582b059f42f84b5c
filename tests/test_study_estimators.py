"""Cost against error: passes are those that are made, and faults in estimators and in closed forms are found by a claim."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from conducted import failed, outcome

from refntk import engine, probes, sketch
from refntk.studies import cases, estimators
from refntk.studies.estimators import METHODS

N, ROWS = 5, 24


@pytest.fixture
def passes(monkeypatch):
    """How many passes over all points the engine makes, counted point by point; and a case without anything kept."""
    counted, get = Counter(), engine.get

    def counting(name, *, xp):
        chosen = get(name, xp=xp)

        def forward(network, layers, jet, points, **options):
            counted["forward"] += points.shape[0] / ROWS
            return chosen.forward(network, layers, jet, points, **options)

        def tangent(tape, directions, **options):
            counted["tangent"] += tape.inputs[0].shape[-2] * directions[0][0].shape[0] / ROWS
            return chosen.tangent(tape, directions, **options)

        def adjoint(tape, seeds, **options):
            counted["adjoint"] += seeds.shape[1] * seeds.shape[2] / ROWS
            return chosen.adjoint(tape, seeds, **options)

        return replace(chosen, forward=forward, tangent=tangent, adjoint=adjoint)

    monkeypatch.setattr(engine, "get", counting)
    at = cases.case.__wrapped__("wave", ROWS, (4,), 17)
    at.lin  # noqa: B018  # made with the counting engine; nothing is evaluated yet
    return at, counted


@pytest.mark.parametrize(("method", "quantity"), [(name, quantity) for name in METHODS for quantity in METHODS[name].passes])
def test_passes_are_those_that_are_made(passes, method, quantity):
    """One forward pass at θ and `passes` for each sample; with deflation at most that, for a basis may be smaller."""
    at, counted = passes
    streams = iter(range(100))
    METHODS[method].traces(at, quantity, 1e-6, lambda n, count: probes.normal(n, count, key=1, stream=next(streams)), N)
    made, charged = sum(counted.values()), 1 + N * METHODS[method].passes[quantity]
    assert made <= charged + 1e-12
    assert METHODS[method].covariance is None or made == pytest.approx(charged, rel=1e-12)


def test_the_full_kernel_costs_what_is_said(passes):
    at, counted = passes
    estimators.ntk_traces(at.lin)
    assert sum(counted.values()) == pytest.approx(estimators.FULL, rel=1e-12)


def test_one_adjoint_pass_gives_the_sample_of_algorithm_2():
    """‖Jᵀg‖² = gᵀK g: for the whole trace, the forward pass of Algorithm 2 adds its cost and a discretisation, and nothing else."""
    at = cases.case("wave", ROWS, (4,), 17)
    G = probes.normal(ROWS, N, key=2)
    want = sum(float(e) for e in sketch.estimate_traces(G, sketch.products(*at.arguments, G, dt=None), at.lin.blocks).values())
    got = METHODS["adjoint"].traces(at, "trace", 1e-6, lambda n, count: G, N)
    assert got == pytest.approx([want], rel=1e-12)


def of(method, change):
    """Squared errors of one method changed, the others as they are."""

    def changed(found):
        return np.where([[cell["method"] == method] for cell in found.cells], change(found), found.arrays["squares"])

    return {"squares": changed}


FAULTS = {
    "nothing": {},
    "a missing ½ in Theorem 5": of("alternative", lambda found: 4 * found.arrays["squares"]),
    "blocks beside the diagonal": {"expected": lambda found: found.arrays["expected"] * np.where(terms(found), 0.3, 1.0)},
    "samples used again": of("tangent", lambda found: found.arrays["squares"] * found.arrays["passes"][:, None]),
    "no deflation": of("hutch++", lambda found: 1 / found.arrays["passes"][:, None] * np.linspace(0.5, 1.5, 10)),
    "a full kernel off by 1e-10": {"full": lambda found: found.arrays["full"] + 1e-20},
}


def terms(found):
    return np.array([cell["quantity"] == "terms" for cell in found.cells])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    assert bool(failed("estimators", **FAULTS[fault])) == bool(FAULTS[fault])


def test_a_budget_is_not_overdrawn():
    found = outcome("estimators")
    budgets = np.array([cell["budget"] for cell in found.cells])
    assert (found.arrays["passes"] <= budgets).all()
    dearest = max(max(method.passes.values()) for method in METHODS.values())
    assert (found.arrays["passes"] > budgets - dearest).all()
