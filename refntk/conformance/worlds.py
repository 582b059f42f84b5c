"""Mistakes made before the kernel: another residual, another Jacobian. Each is a world in which the case is computed once more.

A world changes the case (its network, θ, equations, rows) and keeps the mathematics; what it does to any quantity then follows by
the readings. Numbers in the comments are those of the list of mistakes in `hypotheses.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np

from ..calculus import jet as jets
from ..calculus.jet import Table, identity
from ..calculus.network import MLP
from ..calculus.polynomial import Polynomial
from ..engine import get as get_engine
from ..errors import InvalidInput
from ..kernel.linearization import linearize
from ..kernel.residual import Patch
from ..problems.base import DirectProblem, Problem, Term
from ..vectors.case import Case

Vector = np.ndarray


@dataclass(frozen=True, eq=False)
class Linear:
    """A residual as a function of θ, with its Jacobian at the case's θ; rows of the terms."""

    case: Case
    at: Callable[[Vector], Vector]
    J: np.ndarray
    blocks: dict[str, slice]

    @property
    def R(self) -> Vector:
        """The residual."""
        return self.at(self.case.theta)

    @property
    def K(self) -> np.ndarray:
        """J Jᵀ."""
        return self.J @ self.J.T


@dataclass(frozen=True)
class World:
    """What was done instead, in words; which mistake that is; `make(case)`, None where it does not apply."""

    words: str
    mistake: int
    make: Callable[[Case], Linear | None]


@lru_cache(maxsize=256)
def exact(case: Case, /) -> Linear:
    """The case as it is."""

    def at(theta: Vector) -> Vector:
        return _linearized(case, theta).residual

    lin = _linearized(case, case.theta)
    return Linear(case, at, lin.jacobian.dense(), dict(lin.blocks))


def _linearized(case: Case, theta: Vector):  # type: ignore[no-untyped-def]
    return linearize(case.problem, case.network, theta, case.points, scaling=case.scaling, quadrature=case.quadrature)


@dataclass(frozen=True, kw_only=True)
class Rewritten(Problem):
    """A problem with other terms."""

    name, title, source = "rewritten", "", ("", "")
    of: Problem
    to: tuple[Term, ...]
    coordinates = property(lambda self: self.of.coordinates)
    domain = property(lambda self: self.of.domain)
    outputs = property(lambda self: self.of.outputs)
    terms = property(lambda self: self.to)

    def __post_init__(self) -> None:
        """Nothing to check."""


def _with_terms(case: Case, change: Callable[[Term], Term]) -> Linear | None:
    terms = tuple(change(term) for term in case.problem.terms)
    if isinstance(case.problem, DirectProblem) or all(a is b for a, b in zip(terms, case.problem.terms, strict=True)):
        return None
    return exact(replace(case, problem=Rewritten(of=case.problem, to=terms)))


def of_u(case: Case) -> Linear | None:
    """6: the NTK of u at the points, for that of the residual."""
    outputs = case.problem.outputs
    if any(term.components != outputs for term in case.problem.terms):
        return None
    return _with_terms(
        case, lambda term: Term.linear(term.name, term.domain, term.count, identity(len(case.problem.coordinates)), outputs=outputs)
    )


def unscaled_chain(case: Case) -> Linear | None:
    """18: derivatives by the normalised inputs."""
    network = case.network
    if network is None or set(network.scale) == {1.0}:
        return None

    def change(term: Term) -> Term:
        operators = tuple(
            Polynomial.collect([(e, c * float(np.prod(np.power(network.scale, e)))) for e, c in operator.terms], operator.variables)
            for operator in term.operators
        )
        return term if operators == term.operators else replace(term, operators=operators)

    return _with_terms(case, change)


def raw_inputs(case: Case) -> Linear | None:
    """18: the inputs are not normalised."""
    network = case.network
    if network is None or (set(network.scale) == {1.0} and set(network.shift) == {0.0}):
        return None
    return exact(replace(case, network=_like(network, shift=0.0, scale=1.0)))


def parametrization(case: Case, *, other: str) -> Linear | None:
    """18: another parametrisation of the same sizes."""
    network = case.network
    if network is None or network.parametrization == other or len(network.sizes) < 3:
        return None
    return exact(replace(case, network=_like(network, parametrization=other)))


def output_scale(case: Case) -> Linear | None:
    """18: the factor of the last layer is left out."""
    network = case.network
    return None if network is None or network.output_scale == 1 else exact(replace(case, network=_like(network, output_scale=1.0)))


def folded(case: Case) -> Linear | None:
    """18: the factors of the layers are folded into W: u is right, but θ another one."""
    network = case.network
    if network is None or set(network.scales) == {1.0}:
        return None
    factor = np.concatenate(
        [np.repeat([s, 1.0], [m * n, n]) for s, (m, n) in zip(network.scales, pairwise(network.sizes), strict=True)]
    )
    right = exact(case)
    return Linear(case, lambda theta: right.at(case.theta + (theta - case.theta) / factor), right.J / factor, right.blocks)


def _like(network: MLP, **change: object) -> MLP:
    given = {name: getattr(network, name) for name in ("activation", "output_scale", "parametrization", "shift", "scale")}
    return MLP(network.sizes, **(given | change))


def _layers(network: MLP) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The positions in θ of W (in, out) and b of every layer."""
    return iter(network.unflatten(np.arange(network.size)))


def _order(network: MLP, kind: str) -> np.ndarray:
    """23: positions in θ, read by another convention."""
    layers = list(_layers(network))
    if kind == "transposed":  # numbers of W in the order of (out, in), read as (in, out)
        return np.concatenate([np.concatenate([W.reshape(W.shape[::-1]).T.ravel(), b]) for W, b in layers])
    if kind == "biases first":
        found, start = [], 0
        for W, b in layers:
            here = np.arange(start, start := start + W.size + b.size)
            found += [here[b.size :], here[: b.size]]
        return np.concatenate(found)
    ends = np.cumsum([W.size for W, _ in layers])  # all W, then all b
    offsets = ends[-1] + np.cumsum([0, *(b.size for _, b in layers)])
    return np.concatenate(
        [
            np.concatenate([np.arange(e - W.size, e), np.arange(o, o + b.size)])
            for (W, b), e, o in zip(layers, ends, offsets, strict=False)
        ]
    )


def reordered(case: Case, *, kind: str, rows: bool) -> Linear | None:
    """23: θ is read in another order; or only the columns of J are written in it."""
    if case.network is None:
        return None
    order = _order(case.network, kind)
    if np.array_equal(order, np.arange(order.size)):
        return None
    right = exact(case if rows is False else replace(case, theta=case.theta[order]))
    back = np.argsort(order)
    if rows:
        return Linear(case, lambda theta: right.at(theta[order]), right.J[:, back], right.blocks)
    return Linear(case, right.at, right.J[:, back], right.blocks)


def no_biases(case: Case) -> Linear | None:
    """24: J has no columns for the biases."""
    if case.network is None:
        return None
    keep = np.concatenate([np.repeat([1.0, 0.0], [W.size, b.size]) for W, b in _layers(case.network)])
    right = exact(case)
    return Linear(case, right.at, right.J * keep, right.blocks)


def last_layer(case: Case) -> Linear | None:
    """24: only the last layer counts as parameters."""
    if case.network is None or len(case.network.sizes) < 3:
        return None
    *_, (W, b) = _layers(case.network)
    keep = np.isin(np.arange(case.network.size), [*W.ravel(), *b])
    right = exact(case)
    return Linear(case, right.at, right.J * keep, right.blocks)


def _rows(case: Case, change: Callable[[Linear], np.ndarray | None]) -> Linear | None:
    """Another matrix in front of R and J."""
    right = exact(case)
    A = change(right)
    return None if A is None else Linear(case, lambda theta: A @ right.at(theta), A @ right.J, right.blocks)


def _scaled_rows(case: Case, factor: Callable[[Linear, slice, Term], float | Vector]) -> Linear | None:
    def change(lin: Linear) -> np.ndarray:
        found = [
            np.broadcast_to(factor(lin, rows, term), (rows.stop - rows.start,))
            for rows, term in zip(lin.blocks.values(), case.problem.terms, strict=True)
        ]
        return np.diag(np.concatenate(found))

    return _rows(case, change)


def permuted(case: Case, *, kind: str) -> Linear | None:
    """8, 9: rows in another order."""

    def change(lin: Linear) -> np.ndarray | None:
        orders = []
        for term, rows in zip(case.problem.terms, lin.blocks.values(), strict=True):
            own = np.arange(rows.start, rows.stop)
            orders.append(own.reshape(-1, term.components).T.ravel() if kind == "components first" else own)
        if kind == "terms":
            orders = orders[::-1]
        order = np.concatenate(orders)
        return None if np.array_equal(order, np.arange(order.size)) else np.eye(order.size)[order]

    return _rows(case, change)


def without_term(case: Case, *, position: int) -> Linear | None:
    """7: the rows of a term are zero."""
    names = [term.name for term in case.problem.terms]
    if position >= len(names):
        return None
    return _scaled_rows(case, lambda lin, rows, term: float(term.name != names[position]))


def frozen(case: Case) -> Linear | None:
    """Not in the list: the residual is linearised by its highest operator alone, as if it were linear in u."""
    if all(len(term.operators) == 1 for term in case.problem.terms):
        return None

    def partials(term: Term):  # type: ignore[no-untyped-def]
        def found(points, *fields, xp):  # type: ignore[no-untyped-def]
            first, *others = term.partials(points, *fields, xp=xp)
            return (first, *(0 * other for other in others))

        return found

    changed = _with_terms(case, lambda term: replace(term, partials=partials(term)) if len(term.operators) > 1 else term)
    return changed and Linear(case, exact(case).at, changed.J, changed.blocks)


def one_site(case: Case) -> Linear | None:
    """Not in the list: a periodic condition is differentiated at one of its two points."""

    def partials(term: Term):  # type: ignore[no-untyped-def]
        def found(points, *fields, xp):  # type: ignore[no-untyped-def]
            return tuple(xp.concat([p[:1, ...], 0 * p[1:, ...]]) for p in term.partials(points, *fields, xp=xp))

        return found

    default = Term.__dataclass_fields__["sites"].default
    changed = _with_terms(case, lambda term: term if term.sites is default else replace(term, partials=partials(term)))
    return changed and Linear(case, exact(case).at, changed.J, changed.blocks)


class _Maimed(Patch):
    """A patch in whose jet σ^(k) meets fewer factors than it should."""

    @property
    def jet(self) -> jets.Jet:
        """The jet without the products of derivatives of the first order."""
        found = jets.jet(self.term.operators, False)
        channels = found.channels

        def kept(table: Table) -> Table:
            rows = tuple(
                tuple(t for t in row if sum(channels[f].degree == 1 for f in t.factors) < 2) or tuple(row[:1]) for row in table.rows
            )
            return Table(rows, table.inputs)

        return replace(found, table=kept(found.table), last=kept(found.last))


def no_square(case: Case) -> Linear | None:
    """25: σ(z)'' is taken for σ' z'', without σ'' z'²; J by central differences."""
    network = case.network
    orders = {sum(e) for term in case.problem.terms for operator in term.operators for e, _ in operator.terms}
    if network is None or max(orders) < 2 or len(network.sizes) < 3:
        return None
    right = exact(case)
    engine = get_engine("reference", xp=np)

    def at(theta: Vector) -> Vector:
        found = []
        for term in case.problem.terms:
            patch = _Maimed(term, network, case.points[term.name], _row_scale(case, term), slice(0), False)
            found.append(patch.forward(network.layers(theta), engine=engine, xp=np).residual(xp=np))
        return np.concatenate(found)

    return Linear(case, at, _differences(at, case.theta), right.blocks)


def _row_scale(case: Case, term: Term) -> float | Vector:
    n = case.points[term.name].shape[0] * term.components
    if case.quadrature is not None:
        return np.sqrt(case.quadrature[term.name])
    return 1 / np.sqrt(n) if case.scaling == "mean" else 1.0


def _differences(at: Callable[[Vector], Vector], theta: Vector) -> np.ndarray:
    """J by central differences of the fourth order."""
    columns = []
    for unit in np.eye(theta.size):
        h = 2.0**-10 * max(1.0, float(np.abs(theta @ unit)))
        near, far = (at(theta + k * h * unit) - at(theta - k * h * unit) for k in (1, 2))
        columns.append((8 * near - far) / (12 * h))
    return np.stack(columns, axis=1)


def quadrature(case: Case) -> Linear | None:
    """17: rows times quadrature weights, for their roots."""
    if case.quadrature is None:
        return None
    weights = case.quadrature
    return _scaled_rows(case, lambda lin, rows, term: np.repeat(np.sqrt(weights[term.name]), term.components))


def measure(case: Case, *, power: float) -> Linear | None:
    """17: rows times |∂Ω|, or its root."""
    measures = {getattr(term.domain, "measure", 1.0) for term in case.problem.terms}
    return None if measures == {1.0} else _scaled_rows(case, lambda lin, rows, term: getattr(term.domain, "measure", 1.0) ** power)


def mean_rows(case: Case, *, power: float, given: str) -> Linear | None:
    """10, 15: rows divided by a power of their number."""
    return None if case.scaling != given else _scaled_rows(case, lambda lin, rows, term: float(rows.stop - rows.start) ** power)


def safely(make: Callable[[Case], Linear | None], case: Case, /) -> Linear | None:
    """What a world makes of a case; None where that is nothing that can be computed."""
    try:
        return make(case)
    except InvalidInput:
        return None
