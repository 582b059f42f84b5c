"""Which vectors there are: the recipes applied to problems, and their inputs drawn.

Every input comes from Philox integers and is cut to few bits, so that it is the same on every machine and short to write: θ has 20
bits behind the point, points lie on a grid of 2⁻¹⁶ of their box.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import Any

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..estimation import probes
from ..problems.base import DirectProblem, Problem, Term
from .case import Case, Operators
from .recipes import DIRECT_RECIPES, OPERATOR_RECIPES, OPERATORS, OUTPUTS, PARAMETERS, RECIPES, Recipe

TWISTS = {
    "repeated": "RepeatedPoints",
    "zero": "ZeroResidual",
    "tiny": "TinyWeights",
    "huge": "HugeWeights",
}
BITS = 20
DT, ALPHA = 2.0**-10, 0.25
SHIFTED, HUGE = 12.0, 2.0**20  # tanh' is 1.5e-10 at 12
SATURATED = 4.0  # tanh' is 1.3e-3 there: 1 - tanh² has lost ten bits
LOSS_WEIGHTS = (1.5, 0.25, 3.0, 0.75, 6.0, 0.125)


def names() -> list[str]:
    """The files of vectors: the registered problems and "operators"."""
    return [*problems.names(), "operators"]


def cases(name: str) -> Iterator[Case]:
    """The cases of one file, without what they want, the same on every call.

    >>> case = next(cases("wave"))
    >>> case.name, case.network.sizes, case.flags
    ('wave-001', (2, 1, 1), ('OneNeuron', 'Normalized', 'MoreRowsThanParameters'))
    """
    found = _operators() if name == "operators" else _registered(name)
    for i, (problem, recipe) in enumerate(found, start=1):
        yield _case(f"{name}-{i:03}", problem, recipe)


def _registered(name: str) -> Iterator[tuple[Problem, Recipe]]:
    parameters = cycle(PARAMETERS.get(name, [{}]))
    direct = isinstance(problems.get(name), DirectProblem)
    for recipe in DIRECT_RECIPES if direct else RECIPES:
        problem = problems.get(name, **next(parameters))
        extreme = recipe.twist in ("saturated", "tiny") or recipe.std > 2
        if extreme and _joins_sites(problem):
            continue  # a jump between sites that hardly differ is all cancellation
        if recipe.twist == "huge" and name == "sine_gordon":
            continue  # the sine of 10⁶ has lost a third of its digits
        yield problem, recipe


def _operators() -> Iterator[tuple[Problem, Recipe]]:
    for operators in OPERATORS:
        for outputs in OUTPUTS:
            yield from ((Operators(operators=operators, components=outputs), recipe) for recipe in OPERATOR_RECIPES)


def _case(name: str, problem: Problem, recipe: Recipe) -> Case:
    key = zlib.crc32(name.encode())
    points = _points(problem, recipe, key)
    network = _network(problem, recipe)
    theta = _theta(problem, network, recipe, key)
    n = sum(_rows(problem, points))
    first = "normal" if recipe.twist == "repeated" else "rademacher"  # signs could cancel exactly between equal rows
    G = np.concatenate([_cut(probes.draw(kind, n, 1, key=key, stream=s), BITS) for s, kind in ((2, first), (3, "normal"))], axis=1)
    quadrature = {term: np.arange(1.0, x.shape[0] + 1) / 8 for term, x in points.items()}
    return Case(
        name=name,
        comment=recipe.comment,
        flags=tuple(_flags(problem, network, recipe, theta, points)),
        problem=problem,
        network=network,
        theta=theta,
        points=points,
        scaling=recipe.scaling,
        quadrature=quadrature if recipe.scaling == "quadrature" else None,
        loss_weights=np.array(LOSS_WEIGHTS[: len(problem.terms)]),
        probes=G,
        dt=DT / (HUGE**2 if recipe.twist == "huge" else max(recipe.std, 1.0) ** 4),
        alpha=ALPHA,
    )


def _network(problem: Problem, recipe: Recipe) -> MLP | None:
    if isinstance(problem, DirectProblem):
        return None
    normalization: dict[str, Any] = problem.normalization if recipe.normalized else {}
    sizes = (len(problem.coordinates), *recipe.hidden, problem.outputs)
    return MLP(sizes, activation=recipe.activation, **recipe.network, **normalization)


def _theta(problem: Problem, network: MLP | None, recipe: Recipe, key: int) -> np.ndarray:
    size = problem.size if isinstance(problem, DirectProblem) else network.size if network else 0
    theta = _cut(probes.normal(size, 1, key=key)[:, 0] * recipe.std, BITS)
    if recipe.twist == "tiny":
        return theta * 2.0**-20
    if network is None:
        return theta
    *hidden, (W, b) = network.unflatten(theta)
    if recipe.twist in ("zero", "huge"):
        factor = 0.0 if recipe.twist == "zero" else HUGE
        return network.flatten([*hidden, (W * factor, b * factor)]) + 0.0
    if recipe.twist == "saturated":
        hidden[0] = (hidden[0][0], hidden[0][1] + np.copysign(SHIFTED, hidden[0][1]))
    return network.flatten([*hidden, (W, b)])


def _points(problem: Problem, recipe: Recipe, key: int) -> dict[str, np.ndarray]:
    draws, counts, found = _Draws(key), cycle(recipe.counts), {}
    for term in problem.terms:
        count = next(counts) * (term.components if recipe.scaling == "mean" else 1)  # n_k a power of 4: its root is exact
        x = term.domain.sample(count, rng=draws)  # type: ignore[arg-type]
        found[term.name] = np.concatenate([x, x]) if recipe.twist == "repeated" else x
    return found


def _rows(problem: Problem, points: Mapping[str, np.ndarray]) -> list[int]:
    """How many rows every term has."""
    return [points[term.name].shape[0] * term.components for term in problem.terms]


def saturates(problem: Problem, network: MLP | None, theta: np.ndarray, points: Mapping[str, np.ndarray]) -> bool:
    """Whether some neuron is where 1 - tanh², as automatic differentiation forms it, has lost ten bits or more."""
    if network is None or network.activation.name != "tanh":
        return False
    for term in problem.terms:
        a = network.normalize(term.sites(points[term.name], xp=np), xp=np)
        for layer in network.layers(theta)[:-1]:
            z = layer.scale * (a @ layer.W) + layer.b
            if np.max(np.abs(z)) > SATURATED:
                return True
            a = np.tanh(z)
    return False


class _Draws:
    """What domains ask of a generator, from Philox integers and with few bits."""

    def __init__(self, key: int):
        self.key, self.integers = key, np.random.Philox(key=key)

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        """Uniform on the multiples of 2⁻¹⁶ in [0, 1)."""
        return (self.integers.random_raw(math.prod(shape)) >> np.uint64(48)).reshape(shape) * 2.0**-16

    def standard_normal(self, count: int) -> np.ndarray:
        """Normal on the multiples of 2⁻²⁰."""
        return _cut(probes.normal(count, 1, key=self.key, stream=1)[:, 0], BITS)


def _cut(values: np.ndarray, bits: int) -> np.ndarray:
    """Rounded to multiples of 2^-bits."""
    return np.round(values * 2.0**bits) / 2.0**bits


def _joins_sites(problem: Problem) -> bool:
    """Whether a row of some term joins several points."""
    return any(term.sites is not Term.__dataclass_fields__["sites"].default for term in problem.terms)


def _flags(
    problem: Problem, network: MLP | None, recipe: Recipe, theta: np.ndarray, points: Mapping[str, np.ndarray]
) -> Iterator[str]:
    """What the case is there to find, as far as its inputs tell."""
    hidden, rows = recipe.hidden, _rows(problem, points)
    if 1 in hidden:
        yield "OneNeuron"
    if 1 in recipe.counts:
        yield "OnePoint"
    if len(set(rows)) > 1:
        yield "UnequalCounts"
    if len(hidden) > 1:
        yield "EqualWidths" if len(set(hidden)) == 1 else "UnequalWidths"
    if problem.outputs > 1:
        yield "SeveralOutputs"
    orders = {exponents for term in problem.terms for operator in term.operators for exponents, _ in operator.terms}
    if any(sum(exponents) > 2 for exponents in orders):
        yield "ThirdDerivative"
    if any(sum(power > 0 for power in exponents) > 1 for exponents in orders):
        yield "MixedDerivative"
    if _joins_sites(problem):
        yield "SeveralSites"
    if any(len(term.operators) > 1 for term in problem.terms):
        yield "Nonlinear"
    if network is not None and set(network.scale) != {1.0}:
        yield "Normalized"
    if network is not None and network.parametrization == "ntk":
        yield "NtkParametrization"
    if network is not None and network.output_scale != 1:
        yield "OutputScale"
    if recipe.scaling != "sum":
        yield {"mean": "MeanScaling", "quadrature": "QuadratureScaling"}[recipe.scaling]
    if sum(rows) > theta.size:
        yield "MoreRowsThanParameters"
    if recipe.twist in TWISTS:
        yield TWISTS[recipe.twist]
    elif recipe.std > 8:
        yield "HugeWeights"
    if saturates(problem, network, theta, points):
        yield "Saturation"
