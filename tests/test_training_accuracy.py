import math

import numpy as np
import pytest

import refntk as rn
from refntk.training.accuracy import POINTS, relative_error

SIDES = {1: (2500,), 2: (50, 50), 3: (13, 13, 13)}


@pytest.mark.parametrize("name", rn.problems.names())
def test_against_the_grid_written_out(name):
    problem = rn.problems.get(name)
    d = len(problem.coordinates)
    network = rn.MLP([d, 3, problem.outputs])
    theta = network.init(rng=17)
    got = relative_error(problem, network)(theta)
    lower, upper = np.array(problem.domain.lower), np.array(problem.domain.upper)
    unit = np.stack(np.meshgrid(*[(np.arange(n) + 0.5) / n for n in SIDES[d]], indexing="ij"), axis=-1).reshape(-1, d)
    points = lower + (upper - lower) * unit
    assert 0.8 * POINTS < len(points) <= POINTS
    exact = problem.solution(points)
    if exact is None or isinstance(problem, rn.problems.base.DirectProblem):
        assert math.isnan(got)
    else:
        u = network(theta, points)
        assert got == pytest.approx(np.sqrt(np.sum((u - exact) ** 2) / np.sum(exact**2)), rel=1e-12)


def test_no_network_no_error():
    problem = rn.problems.get("quadratic")
    assert math.isnan(relative_error(problem, None)(np.ones(3)))


def test_a_solution_that_vanishes_gives_no_ratio(monkeypatch):
    problem = rn.problems.get("poisson1d")
    monkeypatch.setattr(type(problem), "solution", lambda self, points, xp=np: 0 * points)
    assert math.isnan(relative_error(problem, rn.MLP([1, 1]))(np.ones(2)))
