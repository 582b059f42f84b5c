"""Rows of R: the network differentiated by mpmath, put into the term, scaled by hand; which row is whose; what is refused."""

import math
from dataclasses import replace

import mpmath_oracle
import numpy as np
import pytest
from cases import NETWORK_PROBLEMS, case

import refntk as rn
from refntk import problems
from refntk.calculus.jet import identity
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, UnknownNameError
from refntk.kernel.residual import SCALINGS, blocks, row_scales
from refntk.problems.base import Problem, Term
from refntk.problems.domain import Box

TERMS = [(name, i) for name in NETWORK_PROBLEMS for i in range(len(problems.get(name).terms))]
each_term = pytest.mark.parametrize(("name", "index"), TERMS, ids=[f"{n}-{problems.get(n).terms[i].name}" for n, i in TERMS])
each_problem = pytest.mark.parametrize("name", problems.names())


def slow_rows(c, term):
    """The unscaled rows of a term (n m,), and a scale for their errors: Σ |∂r/∂field| |field|, at least 1."""
    points = c.points[term.name]
    fields = mpmath_oracle.fields(term, c.network, c.theta, points)
    partials = term.partials(points, *fields, xp=np)
    scale = 1 + sum(np.abs(p).max() * np.abs(f).max() for p, f in zip(partials, fields, strict=True))
    return term.residual(points, *fields, xp=np).ravel(), scale


@each_term
def test_rows_are_the_term_of_the_differentiated_network(name, index):
    c = case(name)
    term, lin = c.problem.terms[index], c.linearize()
    want, scale = slow_rows(c, term)
    assert np.abs(lin.residual[lin.blocks[term.name]] - want).max() <= 1e-13 * scale


@each_problem
@pytest.mark.parametrize("scaling", SCALINGS)
def test_scaled_rows_are_rows_times_their_scale(name, scaling):
    c = case(name)
    plain, lin = c.linearize(), c.linearize(scaling=scaling)
    for_term = {
        "sum": lambda term, n: 1.0,
        "mean": lambda term, n: 1 / math.sqrt(n * term.components),
        "quadrature": lambda term, n: math.sqrt(term.domain.measure / n),
    }[scaling]
    factor = np.concatenate([np.full(n * t.components, for_term(t, n)) for t in c.problem.terms for n in [len(c.points[t.name])]])
    assert np.abs(lin.residual - factor * plain.residual).max() <= 4 * 2.0**-53 * np.abs(factor * plain.residual).max()


@each_problem
def test_weights_of_the_callers_own(name):
    """Points with weights w > 0: rows times √w, point by point, all components alike; terms left out get their measure/n."""
    c = case(name)
    first, *others = c.problem.terms
    weights = np.arange(1.0, len(c.points[first.name]) + 1)
    plain, lin = c.linearize(), c.linearize(scaling="quadrature", quadrature={first.name: weights})
    default = c.linearize(scaling="quadrature")
    block = lin.blocks[first.name]
    want = np.repeat(np.sqrt(weights), first.components) * plain.residual[block]
    assert np.abs(lin.residual[block] - want).max() <= 4 * 2.0**-53 * np.abs(want).max()
    assert np.array_equal(lin.residual[block.stop :], default.residual[block.stop :])
    assert len(default.residual[block.stop :]) >= len(others)


@each_problem
def test_blocks_follow_the_terms_without_gaps(name):
    problem = problems.get(name)
    points = {term.name: np.zeros((2 + i, len(problem.coordinates))) for i, term in enumerate(problem.terms)}
    found = blocks(problem, points)
    assert list(found) == [term.name for term in problem.terms]
    lengths = [block.stop - block.start for block in found.values()]
    assert lengths == [(2 + i) * term.components for i, term in enumerate(problem.terms)]
    assert [block.start for block in found.values()] == [sum(lengths[:i]) for i in range(len(lengths))]


def test_the_order_of_the_points_dict_does_not_matter():
    c = case("wave")
    shuffled = dict(reversed(c.points.items()))
    assert np.array_equal(rn.linearize(c.problem, c.network, c.theta, shuffled).residual, c.linearize().residual)


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"scaling": "max"}, UnknownNameError, "scaling"),
        ({"scaling": None}, UnknownNameError, "scaling"),
        ({"scaling": ["sum"]}, UnknownNameError, "did you mean 'sum'"),
        ({"quadrature": {"interior": np.ones(3)}}, InvalidInput, "scaling='quadrature', not 'sum'"),
        ({"scaling": "quadrature", "quadrature": [1.0]}, InvalidInput, "quadrature: got list"),
        ({"scaling": "quadrature", "quadrature": {"inside": np.ones(3)}}, UnknownNameError, "quadrature: got 'inside'"),
        ({"scaling": "quadrature", "quadrature": {"interior": np.ones(4)}}, ShapeError, r"quadrature\['interior'\]"),
        ({"scaling": "quadrature", "quadrature": {"interior": np.ones((3, 1))}}, ShapeError, r"quadrature\['interior'\]"),
        ({"scaling": "quadrature", "quadrature": {"interior": [1.0, np.nan, 1.0]}}, NotFiniteError, r"quadrature\['interior'\]"),
        ({"scaling": "quadrature", "quadrature": {"interior": [1.0, -1.0, 1.0]}}, InvalidInput, "negative weights"),
        ({"scaling": "quadrature", "quadrature": {"interior": "abc"}}, InvalidInput, r"quadrature\['interior'\]: got str"),
    ],
)
def test_scalings_and_weights_that_are_refused(options, error, match):
    with pytest.raises(error, match=match):
        case("wave").linearize(**options)


def test_a_point_may_have_weight_zero():
    lin = case("wave").linearize(scaling="quadrature", quadrature={"interior": [0.0, 1.0, 4.0]})
    assert lin.residual[0] == 0
    assert not lin.jacobian.dense()[0].any()


def test_row_scales_need_no_network():
    problem = problems.get("wave")
    points = {term.name: np.zeros((4, 2)) for term in problem.terms}
    assert row_scales(problem, points, "mean") == {term.name: 0.5 for term in problem.terms}


def test_a_term_that_returns_the_wrong_shape_is_named():
    class Flat(Problem):
        name, coordinates, outputs = "flat", ("x",), 1
        domain = Box((0.0,), (1.0,))
        terms = (replace(Term.linear("interior", domain, 2, identity(1)), residual=lambda points, u, *, xp: u[0, :, 0]),)

    points = {"interior": [[0.1], [0.2]]}
    with pytest.raises(ShapeError, match=r"residual of term 'interior': got shape \(2,\); expected .* = \(2, 1\)"):
        _ = rn.linearize(Flat(), rn.MLP([1, 1]), np.ones(2), points).residual


def test_planted_fault_residual_of_u_for_residual_of_the_equation():
    """Mistake 6 of the audit, on the wave equation: the rows of u are not those of u_tt - c² u_xx."""
    c = case("wave")
    want, scale = slow_rows(c, c.problem.terms[0])
    assert np.abs(c.network(c.theta, c.points["interior"])[:, 0] - want).max() > 1e-2 * scale
