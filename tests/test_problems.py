"""The equations by themselves: exact solutions, partial derivatives, points, parameters, and the registry."""

import dataclasses
import itertools
import math
import pickle
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest

import refntk as rn
from refntk.errors import InvalidInput, NotFiniteError, ShapeError, UnknownNameError
from refntk.problems.base import DirectProblem, Problem
from refntk.problems.domain import Box, Union

PROBLEMS = rn.problems.names()
DESIGN = ["poisson1d", "quadratic", "wave", "qtensor", "heat", "poisson2d", "nonlinear", "transport", "sine_gordon", "kdv"]


def choices(name):
    """Every combination of the values of those parameters that are a choice of names."""
    named = {f.name: f.metadata["names"] for f in dataclasses.fields(rn.problems.get(name)) if "names" in f.metadata}
    return [dict(zip(named, values, strict=True)) for values in itertools.product(*named.values())]


VARIANTS = [(name, chosen) for name in PROBLEMS for chosen in choices(name)]
NETWORKS = [name for name in PROBLEMS if not isinstance(rn.problems.get(name), DirectProblem)]
TERMS = [(name, term.name) for name in NETWORKS for term in rn.problems.get(name).terms]
SOLVED = [
    (n, c)
    for n, c in VARIANTS
    if rn.problems.get(n, **c).solution(np.full((1, 3), 0.5)) is not None
    and not any(term.loss for term in rn.problems.get(n, **c).terms)  # the rows of an energy are not zero at its minimum
]


def few(problem, count=12, seed=3):
    return problem.sample(rng=seed, counts={term.name: count for term in problem.terms})


# Exact solutions. The operators act on them by JAX; |residual| is measured in units of 1 + the largest derivative in an operator.


def defects(problem, term, u, *changes):
    """How far u(change, x) is from satisfying the term, for each change."""

    def apply(change, operator, x):
        axes = [(c, [i for i, power in enumerate(e) for _ in range(power)]) for e, c in operator.terms]
        return jnp.stack([c * oracle.d(lambda y: u(change, y), x, *along) for c, along in axes])

    @jax.jit
    def derivatives(change, sites):
        """The monomials of each operator, with their coefficients: (monomials, sites, n, outputs) each."""
        each = jax.vmap(jax.vmap(lambda x: [apply(change, operator, x) for operator in term.operators]))
        return [jnp.moveaxis(found, 2, 0) for found in each(sites)]

    points, found = few(problem)[term.name], []
    for change in changes:
        monomials = [np.asarray(m) for m in derivatives(change, jnp.asarray(term.sites(points, xp=np)))]
        r = term.residual(points, *(m.sum(axis=0) for m in monomials), xp=np)
        found.append(np.max(np.abs(r)) / (1 + max(np.max(np.abs(m)) for m in monomials)))
    return found


@pytest.mark.parametrize(("name", "chosen"), SOLVED)
def test_exact_solution_satisfies_every_term(name, chosen):
    """And what differs from it by 1e-6 cos(1 + 0.7 x + 1.6 y) satisfies none."""
    problem = rn.problems.get(name, **chosen)

    def nearly(change, x):
        return problem.solution(x[None, :], xp=jnp)[0] + change * jnp.cos(1 + jnp.array([0.7, 1.6])[: x.size] @ x)

    right, wrong = zip(*(defects(problem, term, nearly, 0.0, 1e-6) for term in problem.terms), strict=True)
    assert max(right) < 1e-12
    assert min(wrong) > 1e-9


def test_which_problems_have_no_solution_is_said():
    assert [n for n in PROBLEMS if n not in dict(SOLVED)] == ["quadratic", "qtensor"]


def test_quadratic_problem_is_solved_by_the_parameters_of_its_data():
    """θ* = (2^¼, e^½, π^½) for the features in the order (1, x, x²), without noise."""
    problem = rn.problems.get("quadratic", noise=0.0)
    points = problem.sample(rng=3)
    theta = np.array([2**0.25, math.e**0.5, math.pi**0.5])
    assert np.max(np.abs(rn.linearize(problem, None, theta, points).residual)) < 1e-14
    assert np.array_equal(points["data"][:, 0], np.linspace(-1, 1, 50))


@pytest.mark.parametrize("noise", [2**-0.25, 0.5])
def test_noise_is_a_standard_deviation(noise):
    """A sample deviation of 10⁴ normals is within 5/√(2·10⁴) = 3.5 % (6e-7); the variance in its place would be 16 % off."""
    points = rn.problems.get("quadratic", noise=noise).sample(rng=3, counts={"data": 10_000})["data"]
    error = points[:, 1] - (math.pi * points[:, 0] ** 2 + math.e * points[:, 0] + math.sqrt(2))
    assert abs(np.std(error) / noise - 1) < 0.035
    assert abs(np.std(error) / noise**2 - 1) > 0.035


def test_two_solitons_are_the_textbook_ones_and_keep_their_digits():
    """k = 2, 4: u = 12 (3 + 4 cosh(2x - 8t) + cosh(4x - 64t)) / (3 cosh(x - 28t) + cosh(3x - 36t))², t from the meeting."""
    x, t = (a.ravel() for a in np.meshgrid(np.linspace(-20, 20, 81), np.linspace(-0.3, 0.3, 7)))
    textbook = 12 * (3 + 4 * np.cosh(2 * x - 8 * t) + np.cosh(4 * x - 64 * t))
    textbook /= (3 * np.cosh(x - 28 * t) + np.cosh(3 * x - 36 * t)) ** 2
    u = rn.problems.get("kdv", data="two", slow=2.0, fast=4.0).solution(np.stack([x, t + 3.0], axis=1))[:, 0]
    assert np.max(np.abs(u / textbook - 1)) < 1e-12
    assert np.min(textbook) < 1e-12 * np.max(textbook)


# Partial derivatives against differences along imaginary directions, which have no rounding error worth the name.


def by_differences(term, points, fields):
    """∂residual/∂field, (sites, n, m, outputs) for each field; rows at different points do not meet."""
    step, found = 1e-30, []
    for j, field in enumerate(fields):
        partial = np.empty((*field.shape[:2], term.components, field.shape[2]))
        for site, output in np.ndindex(field.shape[0], field.shape[2]):
            moved = [f.astype(complex) for f in fields]
            moved[j][site, :, output] += 1j * step
            partial[site, :, :, output] = np.imag(term.residual(points, *moved, xp=np)) / step
        found.append(partial)
    return found


def wrong_partials(term, points, fields):
    """The largest error of a term's partials, relative to the largest of each."""
    given, want = term.partials(points, *fields, xp=np), by_differences(term, points, fields)
    assert len(given) == len(fields)
    return max(np.max(np.abs(np.broadcast_to(g, w.shape) - w)) / np.max(np.abs(w)) for g, w in zip(given, want, strict=True))


def a_term(name, term_name):
    problem = rn.problems.get(name)
    term = next(t for t in problem.terms if t.name == term_name)
    points = few(problem, 7)[term_name]
    shape = term.sites(points, xp=np).shape[:2]
    rng = np.random.default_rng(5)
    return term, points, [rng.standard_normal((*shape, problem.outputs)) for _ in term.operators]


@pytest.mark.parametrize(("name", "term_name"), TERMS)
def test_partials_are_those_of_the_residual(name, term_name):
    term, points, fields = a_term(name, term_name)
    assert term.residual(points, *fields, xp=np).shape == (7, term.components)
    assert wrong_partials(term, points, fields) < 1e-14


@pytest.mark.parametrize(("name", "term_name"), TERMS)
def test_partials_check_rejects_a_wrong_one(name, term_name):
    term, points, fields = a_term(name, term_name)
    off = dataclasses.replace(term, partials=lambda *args, xp: [p * (1 + 1e-9) for p in term.partials(*args, xp=xp)])
    assert wrong_partials(off, points, fields) > 1e-10


@pytest.mark.parametrize(("name", "chosen"), VARIANTS)
def test_equations_are_written_in_the_array_api(name, chosen):
    """A library that knows nothing but the standard evaluates residual, partials and solution to the same numbers."""
    strict = pytest.importorskip("array_api_strict")
    problem = rn.problems.get(name, **chosen)
    points = few(problem, 4)
    network = None if isinstance(problem, DirectProblem) else rn.MLP([len(problem.coordinates), 3, problem.outputs])
    theta = (network or problem).init(rng=3)
    here = rn.linearize(problem, network, theta, points)
    there = rn.linearize(problem, network, strict.asarray(theta), {k: strict.asarray(x) for k, x in points.items()})
    ones = np.ones(len(theta))
    assert np.allclose(np.asarray(there.residual), here.residual, rtol=0, atol=1e-14 * np.max(np.abs(here.residual)))
    want = here.jacobian @ ones
    assert np.allclose(np.asarray(there.jacobian @ strict.asarray(ones)), want, rtol=0, atol=1e-13 * np.max(np.abs(want)))
    if (name, chosen) in SOLVED:
        x = points["interior"]
        found = np.asarray(problem.solution(strict.asarray(x), xp=strict))
        assert np.allclose(found, problem.solution(x), rtol=1e-14, atol=1e-14)


# Points.

COUNTS = {  # from the papers; Zhou & Yan's, and those of 5.3 as a strong residual, are ours
    "poisson1d": {"interior": 2, "boundary": 2},
    "quadratic": {"data": 50},
    "wave": {"interior": 300, "initial": 100, "velocity": 300, "boundary": 200},
    "qtensor": {"interior": 300, "initial": 300, "boundary": 40},
    "heat": {"interior": 900, "initial": 30, "boundary": 60},
    "poisson2d": {"interior": 900, "boundary": 120},
    "transport": {"interior": 900, "initial": 30, "boundary": 30},
}


@pytest.mark.parametrize("name", COUNTS)
def test_numbers_of_points_are_the_papers(name):
    problem = rn.problems.get(name)
    points = problem.sample(rng=17)
    assert {term: x.shape for term, x in points.items()} == {k: (n, len(problem.coordinates)) for k, n in COUNTS[name].items()}


def holds(domain, points):
    """Which points lie in a box or in a part of a union. A quadratic problem's second column is data."""
    if isinstance(domain, Union):
        return np.any([holds(part, points) for part in domain.parts], axis=0)
    lower, upper = np.array(domain.lower), np.array(domain.upper)
    coordinates = slice(None) if type(domain) is Box else slice(0, 1)
    return np.all(((points >= lower) & (points <= upper))[:, coordinates], axis=1)


@pytest.mark.parametrize("name", PROBLEMS)
def test_points_lie_where_their_terms_hold(name):
    problem = rn.problems.get(name)
    random = problem.sample(rng=17)
    inside = [bool(np.all(holds(part, random[term.name]))) for term in problem.terms for part in (term.domain, problem.domain)]
    assert inside == [True] * len(inside)
    assert [random[term.name].shape[0] for term in problem.terms] == [term.count for term in problem.terms]


@pytest.mark.parametrize("name", PROBLEMS)
def test_terms_hold_where_the_equations_say(name):
    problem = rn.problems.get(name)
    parts = {t.name: t.domain.parts if isinstance(t.domain, Union) else (t.domain,) for t in problem.terms}
    ends = {term: [tuple(zip(box.lower, box.upper, strict=True)) for box in boxes] for term, boxes in parts.items()}
    want = {
        term: [tuple(side if isinstance(side, tuple) else (side, side) for side in box) for box in boxes]
        for term, (boxes, _) in oracle.EQUATIONS[name](problem).items()
    }
    assert ends == want


@pytest.mark.parametrize("name", PROBLEMS)
def test_sampling_is_reproducible_term_by_term(name):
    problem = rn.problems.get(name)
    by_number, by_generator = problem.sample(rng=17), problem.sample(rng=np.random.default_rng(17))
    assert list(by_number) == [term.name for term in problem.terms]
    assert [np.array_equal(by_number[k], by_generator[k]) for k in by_number] == [True] * len(by_number)
    first = problem.terms[0].name
    assert not np.array_equal(by_number[first], problem.sample(rng=18)[first])


def test_counts_override_by_numbers_and_by_grids():
    points = rn.problems.get("heat").sample(rng=17, counts={"interior": (3, 2), "boundary": np.int64(5)})
    assert {name: x.shape for name, x in points.items()} == {"interior": (6, 2), "initial": (30, 2), "boundary": (5, 2)}
    assert points["interior"].tolist() == [[x, t] for x in (1 / 6, 1 / 2, 5 / 6) for t in (0.25, 0.75)]


@pytest.mark.parametrize("counts", [{"interior": 0}, {"interior": -3}, {"interior": 2.5}, {"boundary": None}, {"interior": (3, 0)}])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(InvalidInput, match=next(iter(counts))):
        rn.problems.get("heat").sample(rng=17, counts=counts)


def test_counts_of_an_unknown_term_are_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'interior'"):
        rn.problems.get("heat").sample(counts={"interiour": 3})


@pytest.mark.parametrize("name", NETWORKS)
def test_normalization_gives_mean_0_and_deviation_1(name):
    """On the midpoints of m cells along each side the deviation is √(1 - 1/m²), that of the uniform law but for the cells."""
    problem, m = rn.problems.get(name), 10
    network = rn.MLP([len(problem.coordinates), 1], **problem.normalization)
    z = network.normalize(problem.domain.sample((m,) * len(problem.coordinates), rng=np.random.default_rng()), xp=np)
    assert np.max(np.abs(z.mean(axis=0))) < 1e-14
    assert np.max(np.abs(z.std(axis=0) - math.sqrt(1 - 1 / m**2))) < 1e-14


GOOD = {"interior": [[0.5, 0.5]], "initial": [[0.5, 0.0]], "boundary": [[0.0, 0.5], [1.0, 0.5]]}
BAD_POINTS = {
    "no mapping": ([[0.5, 0.5]], InvalidInput, "dict"),
    "a missing term": ({k: GOOD[k] for k in ("interior", "initial")}, ShapeError, "no points for boundary"),
    "a wrong term": (GOOD | {"velocity": [[0.5, 0.0]]}, UnknownNameError, "velocity"),
    "no points": (GOOD | {"initial": np.empty((0, 2))}, ShapeError, "initial"),
    "a coordinate too many": (GOOD | {"initial": [[0.5, 0.0, 0.0]]}, ShapeError, r"initial.*shape \(1, 3\)"),
    "one axis": (GOOD | {"initial": [0.5, 0.0]}, ShapeError, "initial"),
    "NaN": (GOOD | {"boundary": [[0.0, 0.5], [1.0, math.nan]]}, NotFiniteError, "boundary.*1 of 4"),
    "infinity": (GOOD | {"boundary": [[0.0, 0.5], [1.0, -math.inf]]}, NotFiniteError, "boundary"),
    "complex numbers": (GOOD | {"interior": np.array([[0.5j, 0.5]])}, InvalidInput, "interior.*real"),
    "words": (GOOD | {"interior": [["x", "t"]]}, InvalidInput, "interior.*real"),
    "ragged rows": (GOOD | {"interior": [[0.5, 0.5], [0.5]]}, InvalidInput, "interior"),
    "nothing": (GOOD | {"interior": None}, InvalidInput, "interior"),
}


@pytest.mark.parametrize("mistake", BAD_POINTS)
def test_bad_points_are_refused_by_name(mistake):
    points, error, message = BAD_POINTS[mistake]
    with pytest.raises(error, match=message):
        rn.problems.get("heat").check_points(points)


def test_good_points_come_back_as_floats_in_the_order_of_the_terms():
    checked = rn.problems.get("heat").check_points(dict(reversed(GOOD.items())) | {"initial": [[0, 0]]})
    assert [(name, x.dtype.kind, x.shape[1]) for name, x in checked.items()] == [(k, "f", 2) for k in GOOD]


# Parameters and the registry.


def test_registry_is_in_the_order_of_the_papers():
    assert [name for name in PROBLEMS if name in DESIGN] == DESIGN
    assert len(set(PROBLEMS)) == len(PROBLEMS)


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_introduce_themselves(name):
    problem = rn.problems.get(name)
    assert isinstance(problem, Problem)
    assert problem.name == name
    assert problem.title
    assert len(problem.source) == 2
    assert len(problem.coordinates) == len(problem.domain.lower) == len(problem.domain.upper)
    assert len({term.name for term in problem.terms}) == len(problem.terms)


@pytest.mark.parametrize(("name", "chosen"), VARIANTS)
def test_problems_are_values(name, chosen):
    problem, again = rn.problems.get(name, **chosen), rn.problems.get(name, **chosen)
    assert problem == again == pickle.loads(pickle.dumps(problem))
    assert hash(problem) == hash(again)
    assert problem.parameters() | chosen == problem.parameters()
    assert problem == type(problem)(**problem.parameters())
    with pytest.raises(dataclasses.FrozenInstanceError):
        problem.name = "another"


NUMBERS = [(n, p) for n in PROBLEMS for p, value in rn.problems.get(n).parameters().items() if isinstance(value, float)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, "2", None, True, 1j, np.ones(1)])
@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_parameters_are_finite_numbers(name, parameter, value):
    with pytest.raises(InvalidInput, match=f"{parameter}: got"):
        rn.problems.get(name, **{parameter: value})


@pytest.mark.parametrize(("name", "parameter"), NUMBERS)
def test_numpy_numbers_are_numbers(name, parameter):
    default = getattr(rn.problems.get(name), parameter)
    assert rn.problems.get(name, **{parameter: np.float64(default)}) == rn.problems.get(name)


INADMISSIBLE = [
    ("poisson1d", {"frequency": 0.5}, "whole"),
    ("quadratic", {"noise": -0.1}, "0 or more"),
    ("wave", {"c": 0.0}, "positive"),
    ("qtensor", {"L": -0.1}, "positive"),
    ("qtensor", {"end": 0.0}, "positive"),
    ("heat", {"diffusivity": 0.0}, "positive"),
    ("heat", {"diffusivity": -0.25}, "positive"),
    ("sine_gordon", {"speed": 1.0}, "slower than light"),
    ("sine_gordon", {"speed": -1.5}, "slower than light"),
    ("sine_gordon", {"frequency": 0.0}, "0 < frequency < 1"),
    ("sine_gordon", {"frequency": 1.0}, "0 < frequency < 1"),
    ("sine_gordon", {"data": "kinks"}, "did you mean 'kink'"),
    ("kdv", {"data": "three"}, "known: one, two"),
    ("kdv", {"data": 2}, "known: one, two"),
    ("kdv", {"slow": 0.0}, "positive"),
    ("kdv", {"data": "two", "slow": 1.5}, "below fast=1.5"),
    ("eikonal", {"away": 0.0}, "positive"),
]


@pytest.mark.parametrize(("name", "parameters", "message"), INADMISSIBLE)
def test_inadmissible_parameters_are_refused(name, parameters, message):
    with pytest.raises(InvalidInput, match=message):
        rn.problems.get(name, **parameters)


@pytest.mark.parametrize("name", ["wav", "Wave", "", 7, None, ["wave"]])
def test_unknown_problems_are_refused(name):
    with pytest.raises(UnknownNameError, match="known: poisson1d, quadratic"):
        rn.problems.get(name)


def test_unknown_problem_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'sine_gordon'"):
        rn.problems.get("sine-gordon")


def test_unknown_parameters_are_refused():
    with pytest.raises(InvalidInput, match=r"speed: got 2.0; 'wave' has the parameters \['c'\]"):
        rn.problems.get("wave", speed=2.0)
    with pytest.raises(InvalidInput, match="'poisson2d' has the parameters none"):
        rn.problems.get("poisson2d", k=2.0)


NEW_PROBLEM = '''
from dataclasses import dataclass
from refntk.calculus.jet import identity, partials
from refntk.problems.base import Problem, Term
from refntk.problems.domain import Box

(dx,) = partials(1)

@dataclass(frozen=True, kw_only=True)
class Beam(Problem):
    """The fourth derivative of u is 0 on (0, 1), u and its slope are 0 at both ends."""

    name = "beam"
    title = "d⁴u/dx⁴ = 0"
    source = ("A new paper", "1")
    coordinates = ("x",)

    stiffness: float = 1.0

    @property
    def domain(self):
        return Box((0.0,), (1.0,))

    @property
    def terms(self):
        return (
            Term.linear("interior", self.domain, 5, self.stiffness * dx**4),
            Term.linear("ends", self.domain.faces(), 2, identity(1)),
            Term.linear("slopes", self.domain.faces(), 2, dx),
        )
'''
USE_IT = """
import sys, refntk as rn
rn.problems.__path__.append(sys.argv[1])
beam = rn.problems.get("beam", stiffness=3.0)
network = rn.MLP([1, 4, 1], **beam.normalization)
lin = rn.linearize(beam, network, network.init(rng=1), beam.sample(rng=1))
print(rn.problems.names()[-1], list(rn.ntk_traces(lin)), rn.ntk(lin).shape)
"""


def test_a_new_problem_is_one_file(tmp_path):
    """In a process of its own: the file is found, stands last because its paper is not known, and is used like the others."""
    (tmp_path / "beam.py").write_text(NEW_PROBLEM)
    done = subprocess.run([sys.executable, "-c", USE_IT, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("beam ['interior', 'ends', 'slopes'] (9, 9)\n", "")
