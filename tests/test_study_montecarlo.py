"""The Monte Carlo rate: whoever tampers with the samples is found by a claim, and what is stored is what it is said to be."""

import numpy as np
import pytest
from conducted import failed, outcome

from refntk import moments, studies
from refntk.studies.cases import case
from refntk.studies.study import Outcome


def numbers(found):
    return np.array([cell["samples"] for cell in found.cells])


FAULTS = {
    "nothing": ({}, 0),
    "a missing ½ in K̂": ({"kernel": lambda found: 4 * found.arrays["kernel"]}, 4),
    "a sum for a mean": ({"trace": lambda found: found.arrays["trace"] * numbers(found)[:, None] ** 2}, 8),
    "variance 2 for 1": ({"trace": lambda found: 4 * found.arrays["trace"], "kernel": lambda found: 4 * found.arrays["kernel"]}, 8),
    "errors, not squared": ({"trace": lambda found: np.sqrt(found.arrays["trace"])}, 8),
    "a bias that stays": ({"trace": lambda found: found.arrays["trace"] + found.arrays["trace_expected"][:, None]}, 8),
    "samples used again": ({"kernel": lambda found: found.arrays["kernel"] * numbers(found)[:, None] ** 0.5}, 8),
    "bounds too small": ({"kernel_bound": lambda found: found.arrays["kernel_bound"] / 1000}, 2),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    changed, least = FAULTS[fault]
    statements = failed("montecarlo", **changed)
    assert len(statements) >= least
    assert bool(statements) == bool(changed)


@pytest.mark.parametrize("probe", ["normal", "rademacher"])
@pytest.mark.parametrize("problem", ["quadratic", "wave"])
def test_closed_forms_are_those_of_the_kernel(problem, probe):
    found = outcome("montecarlo")
    config, i = found.config, found.where(problem=problem, probe=probe)[0]
    K = case(problem, config.rows if problem == "quadratic" else config.network_rows, config.hidden, config.start).K
    assert found.arrays["kernel_expected"][i] == moments.ntk_mean_squared_error(K, probe=probe)
    assert found.arrays["trace_expected"][i] == moments.trace_variance(K, probe=probe)
    assert found.arrays["trace_bound"][i] == pytest.approx(2 * moments.trace_variance(K), rel=1e-14)


def test_no_two_numbers_share_their_samples():
    found = outcome("montecarlo")
    assert len(np.unique(found.arrays["kernel"])) == found.arrays["kernel"].size


def test_verdicts_are_right_as_often_as_they_say():
    """Gamma numbers with the right means, as the squares of 100 desk numbers are: of 960 orders 95 % are held; binomial, 1e-8."""
    study, rng = studies.get("montecarlo"), np.random.default_rng(8)
    config = study.configure("desk")
    cells = study.cells(config)
    verdicts = []
    for _ in range(120):
        means = np.array([1 / cell["samples"] for cell in cells])[:, None]
        drawn = {name: rng.gamma(0.5, 2.0, (len(cells), config.repeats)) * means for name in ("kernel", "trace")}
        closed = {f"{name}_{what}": np.full(len(cells), c) for name in drawn for what, c in (("expected", 1.0), ("bound", 9.0))}
        claims = study.claims(Outcome(config, cells, drawn | closed))
        verdicts += [c.interval[0] <= -1 <= c.interval[1] for c in claims if "order in N" in c.statement]
    assert len(verdicts) == 960
    assert abs(np.mean(verdicts) - 0.95) <= 5.73 * (0.95 * 0.05 / 960) ** 0.5
