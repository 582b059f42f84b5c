"""Exact solutions run through the jets as functions: kink, breather and solitons leave no residual but rounding.

All four are logarithms of sums of exponentials (Hirota 1971): `u = 4 Im log τ` for the sine-Gordon equation, `u = 2 ∂x² log τ` for
the Korteweg-de Vries equation, with `τ = Σ c exp(k·(x, t) + δ)`, complex k and c admitted. So an operator D of a term asks for D
or for 2 D ∂x² of log τ, up to the fifth order, and the tables carry it: affine phases, exp, a sum, log.
"""

import dataclasses
import math

import numpy as np
import pytest

import refntk as rn
from refntk import engine
from refntk.calculus import jet as jets
from refntk.calculus import passes
from refntk.calculus.activation import Activation
from refntk.calculus.polynomial import Polynomial, symbols
from refntk.calculus.propagation import input_jet
from refntk.kernel.residual import Patch

(_e,) = symbols(1)
_log, _inverse = symbols(2)
EXP = Activation("exp", lambda x, *, xp: (xp.exp(x),), (_e,), _e)
LOG = Activation("log", lambda x, *, xp: (xp.log(x), 1 / x), (_inverse, -_inverse * _inverse), _log)

dx, _ = jets.partials(2)
one = jets.identity(2)


@dataclasses.dataclass(frozen=True)
class Hirota:
    """`u = part(prefix[log τ])` with τ = Σ c exp(k·(x, t) + δ)."""

    prefix: Polynomial
    part: object
    k: tuple
    delta: tuple
    c: tuple

    def fields(self, operators, points, change=lambda jet: jet):
        """The operators applied to u, (1, n, 1) each; `change` spoils the jet on purpose."""
        jet = change(jets.jet(tuple(operator * self.prefix for operator in operators)))
        z = input_jet(rn.MLP([2, 1]), jet, points, xp=np) @ np.array(self.k).T  # (C, n, waves)
        z[0] += np.array(self.delta)
        tau = passes.activate(jet.table, EXP, z, xp=np)[0] @ np.array(self.c)[:, None]
        log, _ = passes.activate(jet.last, LOG, tau, xp=np)
        return [self.part(sum(log[i] * factor for i, factor in combination))[None] for combination in jet.readout]


def kink(p):
    """`1 + i e^θ`, so that u = 4 arctan e^θ."""
    rate = 1 / math.sqrt(1 - p.speed**2)
    return Hirota(4 * one, np.imag, ((0.0, 0.0), (rate, -rate * p.speed)), (0.0, 0.0), (1.0, 1j))


def breather(p):
    """`cosh ρx + i (ρ/ω) sin ωt`."""
    rate = math.sqrt(1 - p.frequency**2)
    k = ((rate, 0.0), (-rate, 0.0), (0.0, 1j * p.frequency), (0.0, -1j * p.frequency))
    swing = rate / (2 * p.frequency)
    return Hirota(4 * one, np.imag, k, (0.0,) * 4, (0.5, 0.5, swing, -swing))


def solitons(p):
    """`1 + e^(η₁ + δ) + e^(η₂ + δ) + e^(η₁ + η₂)`, e^δ = (k₂ + k₁)/(k₂ - k₁); one alone is 1 + e^η₂."""
    waves = np.array([(0.0, 0.0), (p.slow, -(p.slow**3)), (p.fast, -(p.fast**3)), (p.slow + p.fast, -(p.slow**3) - p.fast**3)])
    shift = (p.fast + p.slow) / (p.fast - p.slow)
    amplitudes = (1.0, shift, shift, 1.0) if p.data == "two" else (1.0, 0.0, 1.0, 0.0)
    return Hirota(2 * dx**2, np.real, tuple(map(tuple, waves)), tuple(-3.0 * waves[:, 1]), amplitudes)


CASES = [
    pytest.param("sine_gordon", {"data": "kink"}, kink, id="kink"),
    pytest.param("sine_gordon", {"data": "kink", "speed": -0.8}, kink, id="fast kink"),
    pytest.param("sine_gordon", {"data": "breather"}, breather, id="breather"),
    pytest.param("sine_gordon", {"data": "breather", "frequency": 0.3}, breather, id="slow breather"),
    pytest.param("kdv", {"data": "two"}, solitons, id="two solitons"),
    pytest.param("kdv", {"data": "two", "slow": 0.8, "fast": 1.2}, solitons, id="two alike"),
]
ALONE = pytest.param("kdv", {"data": "one"}, solitons, id="one soliton")
EACH = ("name", "parameters", "solution")
each_case = pytest.mark.parametrize(EACH, [*CASES, ALONE])


def defect(problem, u, change=lambda jet: jet):
    """The largest |residual| over 200 points of every term."""
    points = problem.sample(rng=4, counts={term.name: 200 for term in problem.terms})

    def residual(term):
        return term.residual(points[term.name], *u.fields(term.operators, points[term.name], change), xp=np)

    return max(float(np.abs(residual(term)).max()) for term in problem.terms)


@each_case
def test_exact_solutions_leave_no_residual(name, parameters, solution):
    problem = rn.problems.get(name, **parameters)
    assert defect(problem, solution(problem)) < 1e-10


@each_case
def test_a_solution_slightly_off_leaves_one(name, parameters, solution):
    """All wave numbers in time 1e-8 too large."""
    problem = rn.problems.get(name, **parameters)
    u = solution(problem)
    off = dataclasses.replace(u, k=tuple((x, t * (1 + 1e-8)) for x, t in u.k))
    assert defect(problem, off) > 1e-10


def spoiled(table, row, term):
    """The table with one coefficient larger by 1e-6."""
    rows = [list(terms) for terms in table.rows]
    rows[row][term] = dataclasses.replace(rows[row][term], coefficient=rows[row][term].coefficient * (1 + 1e-6))
    return dataclasses.replace(table, rows=tuple(map(tuple, rows)))


@pytest.mark.parametrize(EACH, CASES)
def test_every_coefficient_of_the_tables_matters(name, parameters, solution):
    """Each one of the jet of the interior, spoiled in turn, in the passage through log: τ has derivatives of every kind.

    (But that of one soliton alone is annihilated by ∂t + ∂x³.)
    """
    problem = rn.problems.get(name, **parameters)
    u, interior = solution(problem), problem.terms[0]
    jet = jets.jet(tuple(operator * u.prefix for operator in interior.operators))
    points = problem.sample(rng=4, counts={"interior": 200})["interior"]
    found = {}
    for row, terms in enumerate(jet.last.rows):
        for term in range(len(terms)):
            off = dataclasses.replace(jet, last=spoiled(jet.last, row, term))
            fields = u.fields(interior.operators, points, lambda _, off=off: off)
            found[row, term] = np.abs(interior.residual(points, *fields, xp=np)).max()
    assert [place for place, size in found.items() if size < 1e-10] == []


# One soliton is a network of one neuron, u = ∂x (k tanh η/2); so is the kink, with an activation that the rules of three generators
# define. Here the whole of the forward pass takes part, in both engines.

_u, _sech, _tanh = symbols(3)
GUDERMANN = Activation(
    "gudermann",
    lambda x, *, xp: (4 * xp.atan(xp.exp(x)), 1 / xp.cosh(x), xp.tanh(x)),
    (2 * _sech, -_sech * _tanh, _sech * _sech),
    _u,
)


def neuron(problem):
    """The network, its θ, and the operator that makes u of it."""
    if problem.name == "kdv":
        k = problem.fast
        return rn.MLP([2, 1, 1]), np.array([k / 2, -(k**3) / 2, 3 * k**3 / 2, k, 0.0]), dx
    rate = 1 / math.sqrt(1 - problem.speed**2)
    return rn.MLP([2, 1, 1], activation=GUDERMANN), np.array([rate, -rate * problem.speed, 0.0, 1.0, 0.0]), one


@pytest.mark.parametrize("engine_name", engine.names())
@pytest.mark.parametrize("collapse", [True, False])
@pytest.mark.parametrize("name", ["kdv", "sine_gordon"])
def test_one_neuron_is_a_soliton(name, collapse, engine_name):
    if engine_name == "numba":
        pytest.importorskip("numba")
    problem = rn.problems.get(name)
    network, theta, prefix = neuron(problem)
    points = problem.sample(rng=4, counts={term.name: 200 for term in problem.terms})

    def residual(term, theta):
        term = dataclasses.replace(term, operators=tuple(operator * prefix for operator in term.operators))
        patch = Patch(term, network, points[term.name], 1.0, slice(0, 200), collapse)
        return patch.forward(network.layers(theta), engine=engine.get(engine_name, xp=np), xp=np).residual(xp=np)

    right, wrong = ([np.abs(residual(term, t)).max() for term in problem.terms] for t in (theta, theta * (1 + 1e-8)))
    assert max(right) < 1e-10
    assert max(wrong) > 1e-10
