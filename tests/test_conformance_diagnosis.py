"""What a diagnosis rests on: a list of mistakes that can all be computed, and a chance that is a bound."""

import numpy as np
import pytest

from refntk.conformance import MISTAKES, Functions, chance, diagnose, examine
from refntk.conformance.diagnosis import PRECISIONS
from refntk.conformance.laws import LAWS
from refntk.conformance.protocol import QUANTITIES
from refntk.conformance.readings import FACTORS, readings
from refntk.conformance.variants import RIGHT, VARIANTS, linearized
from refntk.vectors import read
from refntk.vectors.case import UNIT
from refntk.weights import RULES

NAMES = [*(q for q in QUANTITIES if q not in ("weights", "jets")), *(f"weights/{rule}" for rule in RULES)]


def test_every_mistake_can_be_named():
    computed = [*VARIANTS, *FACTORS, *LAWS, *(reading for name in NAMES for reading in readings(name))]
    numbers = {part.mistake for part in computed} | {m for *_, mistakes in PRECISIONS for m in mistakes}
    assert numbers - {0} | {36} == set(MISTAKES)


@pytest.mark.parametrize("name", NAMES)
def test_the_first_reading_is_right(name):
    cases = [case for case in read(only="wave") if name in case.want and case.theta.size < 60]
    off = {}
    for case in cases:
        right, *_ = readings(name)
        off[case.name] = case.want[name].error(right.make(linearized(RIGHT, case))) * UNIT
    assert cases
    assert {case: error for case, error in off.items() if error > 1e-9} == {}


# Solvers


def direction(solve):
    class Solver:
        def direction(self, case):
            lin = linearized(RIGHT, case)
            return solve(lin.J, lin.R)

    return Functions("solver", Solver())


def normal_equations(J, R, rcond):
    return np.linalg.lstsq(J.T @ J, J.T @ R, rcond=rcond)[0]


SOLVERS = {
    "the squared system, cut at 1e-2": (22, lambda J, R: normal_equations(J, R, 1e-2)),
    "a shift of 1e-4": (22, lambda J, R: J.T @ np.linalg.solve(J @ J.T + 1e-4 * np.eye(len(J)), R)),
    "a shift of 1e-6 of the trace": (22, lambda J, R: J.T @ np.linalg.solve(J @ J.T + 1e-6 * np.sum(J**2) * np.eye(len(J)), R)),
    "a factor 2": (15, lambda J, R: 2 * np.linalg.lstsq(J, R, rcond=None)[0]),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers_that_lose_something_are_named(name):
    mistake, solve = SOLVERS[name]
    (said,) = diagnose(examine(direction(solve), [case for case in read(only="wave") if case.theta.size < 100]))
    assert mistake in said.mistakes, str(said)
    assert said.chance < -6


def some_ill_conditioned():
    """The largest eigenvalue of K is 3 to 15, and 8e8 in operators-063."""
    problems = ("eikonal", "heat", "kdv", "nonlinear", "operators", "poisson1d")
    names = {f"{problem}-063" if problem == "operators" else f"{problem}-005" for problem in problems}
    return [case for problem in problems for case in read(only=problem) if case.name in names]


def on_parameters(J, R):
    return np.linalg.solve(J.T @ J + 1e-5 * np.eye(J.shape[1]), J.T @ R)


def noisy(J, R):
    right = np.linalg.lstsq(J, R, rcond=None)[0]
    return right * (1 + 1e-6 * np.random.default_rng(right.size).standard_normal(right.size))


@pytest.mark.parametrize(("solve", "named"), [(on_parameters, True), (noisy, False)])
def test_a_shift_is_named_where_it_drowns_in_the_noise_of_its_solver_too(solve, named):
    """Noise of the same size without a shift is called none."""
    (said,) = diagnose(examine(direction(solve), some_ill_conditioned()))
    assert (said.words == "a shift of 1e-5 is never removed (absolute)") == named
    assert ("shift" in said.words) == named
    assert not named or (said.error > 1e-7 and said.chance < -20)


def test_means_over_points_are_told_from_means_over_rows():
    """With several components a point, under both of which a gradient of mean squares goes."""

    class Gradient:
        def gradient(self, case):
            lin = linearized(RIGHT, case)
            sizes = [len(case.points[term.name]) for term in case.problem.terms]
            rows = [part.stop - part.start for part in lin.blocks.values()]
            return 2 * lin.J.T @ (np.repeat(case.loss_weights / sizes, rows) * lin.R)

    (said,) = diagnose(examine(Functions("gradient", Gradient()), [case for case in several() if case.scaling == "sum"]))
    assert said.words == "twice the means over the points of each term"


@pytest.mark.parametrize(
    "solve",
    [
        lambda J, R: np.linalg.lstsq(J, R, rcond=None)[0],
        lambda J, R: J.T @ (np.linalg.pinv(J @ J.T, rcond=1e-13) @ R),
        lambda J, R: normal_equations(J, R, 1e-14),
    ],
)
def test_every_honest_solver_passes(solve):
    """J itself, K, and the squared system: the condition in the scale is what separates them."""
    assert examine(direction(solve), [case for case in read(only="wave") if "direction" in case.want]).passed


# Several components a point


def kernel(make):
    """A candidate that gives K and its spectrum, made of J (points, components, p)."""

    class Kernel:
        def ntk(self, case):
            (size,) = {term.components for term in case.problem.terms}
            J = linearized(RIGHT, case).J
            return make(J.reshape(-1, size, J.shape[1]))

        def spectrum(self, case):
            return np.linalg.eigvalsh(self.ntk(case))[::-1]

    return Functions("kernel", Kernel())


def gram(J):
    J = J.reshape(-1, J.shape[-1])
    return J @ J.T


def contraction(J):
    return np.einsum("icp,jcp->ij", J, J)


def several():
    """Cases of 1, 2 and 3 components a point."""
    return [case for name in ("qtensor", "operators") for case in read(only=name) if case.theta.size <= 60][::6]


CONTRACTED = "contracted over the components of a point, a row and a column for each"
KERNELS = {  # what is said of K and of its spectrum; nothing where K is one that nobody is known to take
    "mean": (lambda J: contraction(J) / J.shape[1], 16, f"{CONTRACTED}: their mean", f"of K {CONTRACTED}: their mean"),
    "trace": (contraction, 8, f"{CONTRACTED}: their sum", f"of K {CONTRACTED}: their sum"),
    "sums": (
        lambda J: gram(J.sum(axis=1)),
        8,
        "of the sums of the components of a point",
        "of K of the sums of the components of a point",
    ),
    "the first component": (lambda J: gram(J[:, 0]), None, "", ""),
    "another factor": (lambda J: 1.3 * contraction(J) / J.shape[1], None, "", ""),
    "the largest component": (lambda J: np.max(np.einsum("icp,jcp->ijc", J, J), axis=2), None, "", ""),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_contracted_over_components_is_named_and_no_other_is(name):
    make, mistake, *words = KERNELS[name]
    found = diagnose(examine(kernel(make), several()))
    assert [d.words for d in found] == words
    assert [d.mistakes for d in found] == [(mistake,) if mistake else ()] * 2
    assert [d.words for d in found if d.words and not d.chance < -20] == []


def test_a_kernel_with_a_row_for_each_component_passes():
    assert examine(kernel(gram), several()).passed


# Chance


def test_a_constant_factor_is_one_lucky_guess():
    right = np.arange(1.0, 50.0)
    assert chance.different(chance.ratios(2 * right, right)) == 1
    assert chance.different(chance.ratios(np.sqrt(right), right)) == 48  # √1 is right
    assert chance.different(chance.ratios(right, right)) == 0


@pytest.mark.parametrize(("evidence", "tried", "error"), [(1, 1, 0.01), (1, 20, 0.002), (2, 20, 0.05), (3, 5, 0.2)])
def test_the_bound_of_the_chance_holds(evidence, tried, error):
    """Wrong numbers as dense about a prediction as the bound allows, 20,000 times: as many agree by accident as it says, or fewer.

    A count above its bound by five standard deviations would be a false alarm of 3e-7.
    """
    rng = np.random.default_rng(20261121)
    times, predictions = 20_000, 1 + np.arange(tried) * 4 * error  # of which one may be right
    wrong = predictions[rng.integers(tried, size=(times, 1))] + rng.uniform(-0.5, 0.5, (times, evidence))
    off = np.abs(wrong[:, None, :] - predictions[None, :, None]).max(axis=2)  # (times, tried)
    allowed = 10 ** chance.bound(evidence, error, tried)
    found = np.sum(off.min(axis=1) <= error)
    assert found <= times * allowed + 5 * np.sqrt(times * allowed)
    assert found > 0


def test_nothing_below_a_floor_is_claimed():
    assert chance.bound(1000, 0.0, 1) == chance.LEAST
    assert chance.bound(0, 0.0, 1) == 0.0
