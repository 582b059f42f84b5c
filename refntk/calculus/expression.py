"""The passes over a table as source: whoever compiles them, for a processor or a graphics card, compiles the same lines.

Their names: `z<f>` is channel f of z, `s<k>` is σ^(k), `g<i>` is generator i of the activation, `o<c>` channel c of what a linear
pass takes, `a<c>` channel c of its result. Numbers are written `T(...)`, T the type of the arrays: single precision stays single.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from .activation import Activation
from .jet import Table, Term


@dataclass(frozen=True)
class Pass:
    """One pass: `rows[c]` is the expression of `a<c>`. The others say which `z<f>`, `s<k>` and `o<c>` are read."""

    rows: tuple[str, ...]
    factors: tuple[int, ...]
    orders: tuple[int, ...]
    sources: tuple[int, ...] = ()


@cache
def forward(table: Table) -> Pass:
    """`a_c = Σ terms`.

    >>> from .jet import jet, partials
    >>> forward(jet((partials(1)[0] ** 2,)).table).rows
    ('s0', 's1 * z1', 's1 * z2 + s2 * z1 * z1')
    """
    return _pass((_sum(row) for row in table.rows), (term for row in table.rows for term in row))


@cache
def tangent(table: Table) -> Pass:
    """`a_c = Σ_g (∂a_c/∂z_g) o_g`."""
    return _linear([(c, g, terms) for (c, g), terms in table.jacobian.items()], len(table.rows))


@cache
def adjoint(table: Table) -> Pass:
    """`a_g = Σ_c (∂a_c/∂z_g) o_c`."""
    return _linear([(g, c, terms) for (c, g), terms in table.jacobian.items()], table.inputs)


def _linear(entries: list[tuple[int, int, tuple[Term, ...]]], targets: int) -> Pass:
    rows = (
        " + ".join(f"({_sum(terms)}) * o{source}" for c, source, terms in entries if c == target) or number(0)
        for target in range(targets)
    )
    sources = sorted({source for _, source, _ in entries})
    return _pass(rows, (term for _, _, terms in entries for term in terms), sources)


def _pass(rows: Iterable[str], terms: Iterable[Term], sources: Iterable[int] = ()) -> Pass:
    used = list(terms)
    factors, orders = sorted({f for term in used for f in term.factors}), sorted({term.order for term in used})
    return Pass(tuple(rows), tuple(factors), tuple(orders), tuple(sources))


def _sum(terms: Iterable[Term]) -> str:
    """`T(coefficient) * s<order> * z<factor> * ... + ...`."""
    return " + ".join(" * ".join([*_factor(t.coefficient), f"s{t.order}", *(f"z{f}" for f in t.factors)]) for t in terms)


def derivatives(activation: Activation, orders: Iterable[int]) -> list[str]:
    """The assignments of `s<k>` for k in `orders`, in the generators `g<i>`.

    >>> from .activation import get
    >>> derivatives(get("tanh"), (1, 2))
    ['s1 = g1', 's2 = T(-2.0) * g0 * g1']
    """
    return [f"s{k} = {_polynomial(activation, k)}" for k in orders]


def _polynomial(activation: Activation, order: int) -> str:
    products = (
        " * ".join([*_factor(c), *(f"g{i}" for i, power in enumerate(e) for _ in range(power))]) or number(1)
        for e, c in activation.derivative(order).terms
    )
    return " + ".join(products) or number(0)


def _factor(coefficient: Any) -> list[str]:
    """A coefficient as a factor, unless it is 1."""
    return [] if coefficient == 1 else [number(coefficient)]


def number(value: Any) -> str:
    """A number of type T; exact for float64, because repr of a float is.

    >>> number(-2)
    'T(-2.0)'
    """
    return f"T({float(value)!r})"
