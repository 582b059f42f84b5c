"""Finite networks against infinite ones: the claims hold, and quadratures with a fault are told from the right one."""

import numpy as np
import pytest
from conducted import failed, measure, outcome

from refntk import studies
from refntk.kernel.limits import limit
from refntk.studies import ntk_limit
from refntk.studies.widths import few, network

STUDY = studies.get("ntk_limit")


def test_finite_networks_agree_with_the_quadrature():
    """At the smoke scale: 18 blocks within three standard errors (a false alarm in one of 20), entries within 1e-3, key fixed."""
    told = [statement for statement in failed("ntk_limit") if "order in N" not in statement]
    assert told == []


FAULTY = {
    "a standard deviation 10 % off": {"std": 1.1},
    "too few nodes": {"nodes": 3},
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_quadrature_is_found(fault, monkeypatch):
    def wrong(name, depth):
        problem, points = few(name)
        return limit(problem, network(problem, 1, 0.5, depth=depth), points, **FAULTY[fault])

    cell = {"case": "poisson1d", "width": 512}
    right = measure(STUDY, cell)
    monkeypatch.setattr(ntk_limit, "_limit", wrong)
    found = measure(STUDY, cell)
    assert np.abs(right["deviation"]).max() < ntk_limit.ERRORS < 5 < np.abs(found["deviation"]).max()
    assert right["entry"].max() < 5 < found["entry"].max()


def floor(found):
    """Distances that no longer fall, as from a limit that is wrong."""
    rows = found.arrays["distance"]
    return rows + 0.5 * rows[:1].mean()


FAULTS = {
    "a limit that is off": ({"distance": floor}, "order in N", 10),
    "a mean that is off": ({"deviation": lambda found: found.arrays["deviation"] + 8}, "less the quadrature's", 18),
    "an entry that is off": ({"entry": lambda found: found.arrays["entry"] + 5}, "largest deviation of an entry", 6),
    "the rate 1/N": ({"distance": lambda found: found.arrays["distance"] / _widths(found)}, "order in N", 18),
}


def _widths(found):
    return np.array([cell["width"] for cell in found.cells])[:, None, None]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    changed, statement, least = FAULTS[fault]
    assert len([one for one in failed("ntk_limit", **changed) if statement in one]) >= least


def test_figures_can_be_drawn_from_a_stored_outcome():
    assert [figure.name for figure in STUDY.figures(outcome("ntk_limit"))] == ["distance", "deviation"]
