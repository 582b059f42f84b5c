"""Other equations: of u itself, without a term, without parts of the chain rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ...calculus import jet as jets
from ...calculus.jet import Table, identity
from ...calculus.polynomial import Polynomial
from ...engine import get as get_engine
from ...kernel.residual import Patch
from ...problems.base import DirectProblem, Problem, Term
from ...vectors.case import Case
from .case import Linearized, Variant, Vector, exact


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


def _with_terms(case: Case, change: Callable[[Term], Term]) -> Linearized | None:
    terms = tuple(change(term) for term in case.problem.terms)
    if isinstance(case.problem, DirectProblem) or all(a is b for a, b in zip(terms, case.problem.terms, strict=True)):
        return None
    return exact(replace(case, problem=Rewritten(of=case.problem, to=terms)))


def of_u(case: Case) -> Linearized | None:
    """6: u at the points for the residual."""
    outputs = case.problem.outputs
    if any(term.components != outputs for term in case.problem.terms):
        return None
    return _with_terms(
        case, lambda term: Term.linear(term.name, term.domain, term.count, identity(len(case.problem.coordinates)), outputs=outputs)
    )


def without_term(case: Case, *, position: int) -> Linearized | None:
    """7: the rows of a term are zero."""
    right = exact(case)
    if position >= len(right.blocks):
        return None
    kept = np.ones(right.J.shape[0])
    kept[list(right.blocks.values())[position]] = 0.0
    return Linearized(case, lambda theta: kept * right.at(theta), kept[:, None] * right.J, right.blocks)


def unscaled_chain(case: Case) -> Linearized | None:
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


def no_square(case: Case) -> Linearized | None:
    """25: σ(z)'' is taken for σ' z'', without σ'' z'²; J by central differences of the fourth order."""
    network = case.network
    orders = {sum(e) for term in case.problem.terms for operator in term.operators for e, _ in operator.terms}
    if network is None or max(orders) < 2 or len(network.sizes) < 3:
        return None
    right, engine = exact(case), get_engine("reference", xp=np)

    def at(theta: Vector) -> Vector:
        found = []
        for term in case.problem.terms:
            patch = _Maimed(term, network, case.points[term.name], _row_scale(case, term), slice(0), False)
            found.append(patch.forward(network.layers(theta), engine=engine, xp=np).residual(xp=np))
        return np.concatenate(found)

    columns = []
    for unit in np.eye(case.theta.size):
        h = 2.0**-10 * max(1.0, float(np.abs(case.theta @ unit)))
        near, far = (at(case.theta + k * h * unit) - at(case.theta - k * h * unit) for k in (1, 2))
        columns.append((8 * near - far) / (12 * h))
    return Linearized(case, at, np.stack(columns, axis=1), right.blocks)


def _row_scale(case: Case, term: Term) -> float | Vector:
    n = case.points[term.name].shape[0] * term.components
    if case.quadrature is not None:
        return np.sqrt(case.quadrature[term.name])
    return 1 / np.sqrt(n) if case.scaling == "mean" else 1.0


def frozen(case: Case) -> Linearized | None:
    """26: the residual is linearised by its highest operator alone, as if it were linear in u."""
    if all(len(term.operators) == 1 for term in case.problem.terms):
        return None

    def partials(term: Term):  # type: ignore[no-untyped-def]
        def found(points, *fields, xp):  # type: ignore[no-untyped-def]
            first, *others = term.partials(points, *fields, xp=xp)
            return (first, *(0 * other for other in others))

        return found

    changed = _with_terms(case, lambda term: replace(term, partials=partials(term)) if len(term.operators) > 1 else term)
    return changed and Linearized(case, exact(case).at, changed.J, changed.blocks)


def one_site(case: Case) -> Linearized | None:
    """27: a periodic condition is differentiated at one of its two points."""

    def partials(term: Term):  # type: ignore[no-untyped-def]
        def found(points, *fields, xp):  # type: ignore[no-untyped-def]
            return tuple(xp.concat([p[:1, ...], 0 * p[1:, ...]]) for p in term.partials(points, *fields, xp=xp))

        return found

    default = Term.__dataclass_fields__["sites"].default
    changed = _with_terms(case, lambda term: term if term.sites is default else replace(term, partials=partials(term)))
    return changed and Linearized(case, exact(case).at, changed.J, changed.blocks)


EQUATIONS: tuple[Variant, ...] = (
    Variant("the NTK of u, not of the residual", 6, of_u),
    *(Variant(f"the residual of term {i + 1} is missing", 7, partial(without_term, position=i)) for i in range(4)),
    Variant("derivatives are by the normalised inputs: its chain rule is left out", 18, unscaled_chain),
    Variant("second derivatives miss σ'' z_x²", 25, no_square),
    Variant("the residual is linearised as if it were linear in u", 26, frozen),
    Variant("rows that join two points are differentiated at the first alone", 27, one_site),
)
