"""The study of costs: operations counted from the factors are those of the products themselves, and planted faults are seen."""

import numpy as np
import pytest
from conducted import failed

import refntk as rn
from refntk.estimation import probes
from refntk.studies.costs import _average, _variances, _work

COUNTED = {
    "traces that cost much": ({"traces": lambda found: 10 * found.arrays["traces"]}, "exact"),
    "traces like a pass": ({"traces": lambda found: 0.4 * found.arrays["sketch"]}, "order in width"),
    "a matrix like a pass": ({"matrix": lambda found: 9 * found.arrays["sketch"]}, "order in rows"),
    "averages without error": ({"average": lambda found: 0 * found.arrays["average"]}, "best α leaves"),
    "averages without lag": (
        {"average": lambda found: found.arrays["sample"][:, None] * np.array([1, 0.3, 0.1, 0.03])},
        "between the first",
    ),
    "samples that improve with n": ({"sample": lambda found: found.arrays["sample"] / found.column("rows")}, "one sample"),
}
STATEMENTS = {"exact": "all traces over those for one sketch", "one sample": "relative error of one sample"}


@pytest.mark.parametrize("fault", COUNTED)
def test_planted_faults_are_seen(fault):
    changed, statement = COUNTED[fault]
    assert any(STATEMENTS.get(statement, statement) in told for told in failed("costs", **changed))


def small():
    problem, network = rn.problems.get("wave"), rn.MLP([2, 5, 3, 1])
    points = problem.sample(rng=17, counts=dict.fromkeys(("interior", "initial", "velocity", "boundary"), 4))
    return rn.linearize(problem, network, network.init(rng=17), points)


def test_operations_by_hand():
    """Of the terms' 4 points each, inner maps see 4, 1, 2 and 1 channels, the last map only the operator that is read out."""
    found, channels, maps = _work(small()), {True: (4, 1, 2, 1), False: (1, 1, 1, 1)}, {(2, 5): True, (5, 3): True, (3, 1): False}
    passes = sum(2 * 4 * c * i * o for (i, o), inner in maps.items() for c in channels[inner])
    assert found["step"] == 3 * passes
    assert found["sketch"] == 2 * passes
    assert found["traces"] == sum(2 * 4 * c * c * (i + o) for (i, o), inner in maps.items() for c in channels[inner])
    assert found["matrix"] == sum((4 * sum(channels[inner])) ** 2 * (i + o) for (i, o), inner in maps.items())


def test_balanced_variances_are_those_of_balanced_samples():
    """20,000 samples; sample variances lie within 5 % of their closed forms: seven standard deviations, were they normal."""
    lin = small()
    K, blocks = rn.ntk(lin), lin.blocks
    T = np.array([np.trace(K[b, b]) for b in blocks.values()])
    d = np.concatenate([np.full(b.stop - b.start, t**-0.5) for b, t in zip(blocks.values(), T, strict=True)])
    G = probes.draw("rademacher", len(K), 20_000, key=17)
    Z = K @ (d[:, None] * G)
    samples = np.array([np.sum(G[b] * Z[b], axis=0) * d[b][0] for b in blocks.values()])  # T̂_k / T_k
    wanted = _variances(K, blocks)
    np.testing.assert_allclose(samples.var(axis=1), wanted, rtol=0.05)
    assert (
        np.abs(
            np.array(list(rn.estimation.moments.trace_variances(K, blocks, probe="rademacher").values())) / T**2 / wanted - 1
        ).max()
        > 1
    )


def test_average_of_one_sample_is_the_sample():
    assert _average(1.0, 0.5, 3.0) == 0.5
