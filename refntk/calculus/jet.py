"""Jets as data: which derivatives travel through a network, and the Faà di Bruno table that mixes them.

A *jet* holds derivatives of one quantity with respect to the inputs, one *channel* each. A channel is the symbol of a linear
constant-coefficient operator, a polynomial in ∂₁ … ∂_d: a plain derivative such as `∂x∂y`, or a *collapsed* one such as
`∂t² - 4∂x²`. Affine layers act on every channel alike (the bias on channel 1 alone). An activation mixes them: channel c of σ(z) is

    c[σ(z)] = Σ coefficient · σ^(k)(z) · Π_f z_f,        z_f the lower channels f of a multiset,

one term for each set partition of the derivatives in c into k blocks (Faà di Bruno). The partition into one block is linear in z,
which is why a whole operator can share one channel ("collapsing Taylor mode", NeurIPS 2025): `∂t² - 4∂x²` needs the channels
(1, x, t, itself) where its two derivatives would need five. The table is the whole of the calculus: the forward, tangent and
adjoint passes are three loops over it (`passes.py`).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from ..errors import InvalidInput
from .polynomial import Exponents, Polynomial, symbols

Operator = Polynomial  # a linear differential operator with constant coefficients, by its symbol


def partials(dimension: int) -> tuple[Operator, ...]:
    """The first derivatives ∂₁ … ∂_d, from which operators are built: `dt**2 - 4 * dx**2`.

    >>> dx, dt = partials(2)
    >>> (dt**2 - 4 * dx**2).terms
    (((2, 0), -4), ((0, 2), 1))
    """
    return symbols(dimension)


def identity(dimension: int) -> Operator:
    """The operator that leaves a function as it is."""
    return Polynomial.constant(1, dimension)


@dataclass(frozen=True, order=True)
class Term:
    """One term `coefficient · σ^(order) · Π z_f` of the table, `factors` the positions f of channels, sorted."""

    order: int
    factors: tuple[int, ...]
    coefficient: Any

    def derivative(self, channel: int) -> list[Term]:
        """∂(this)/∂z_channel; channel 0 is z itself, on which σ^(order) depends."""
        if channel == 0:
            return [Term(self.order + 1, self.factors, self.coefficient)]
        count = self.factors.count(channel)
        if not count:
            return []
        i = self.factors.index(channel)
        return [Term(self.order, self.factors[:i] + self.factors[i + 1 :], self.coefficient * count)]


@dataclass(frozen=True)
class Table:
    """The rows of the calculus: `rows[c]` are the terms of output channel c over `inputs` input channels."""

    rows: tuple[tuple[Term, ...], ...]
    inputs: int

    @property
    def order(self) -> int:
        """The highest derivative of σ that the forward pass needs; tangent and adjoint need one more."""
        return max(term.order for row in self.rows for term in row)

    @cached_property
    def jacobian(self) -> dict[tuple[int, int], tuple[Term, ...]]:
        """The terms of `∂(output c)/∂(input g)` for every pair (c, g) that has any: what tangent and adjoint loop over."""
        entries: dict[tuple[int, int], tuple[Term, ...]] = {}
        for c, row in enumerate(self.rows):
            for g in range(self.inputs):
                terms = tuple(t for term in row for t in term.derivative(g))
                if terms:
                    entries[c, g] = terms
        return entries

    def restrict(self, outputs: Sequence[int]) -> Table:
        """The table with these output channels only."""
        return Table(tuple(self.rows[c] for c in outputs), self.inputs)


@dataclass(frozen=True)
class Jet:
    """What must travel so that some operators can be read off at the end.

    `channels` are the symbols carried (the identity first); `table` mixes them at hidden activations, `last` at the final one,
    where only the channels that are read out go on; `readout[j]` gives operator j as pairs (position in `last`, coefficient).
    """

    channels: tuple[Operator, ...]
    table: Table
    last: Table
    readout: tuple[tuple[tuple[int, Any], ...], ...]
    live: tuple[int, ...]

    @property
    def dimension(self) -> int:
        """The number of input coordinates."""
        return self.channels[0].variables

    def seed(self, coordinate: int) -> tuple[Any, ...]:
        """The jet of the function x ↦ x_coordinate, less its value: channel by channel, what the channel makes of it."""
        unit = tuple(int(i == coordinate) for i in range(self.dimension))
        return tuple(channel.coefficient(unit) for channel in self.channels)


def set_partitions(items: Sequence[Any]) -> Iterator[list[list[Any]]]:
    """All partitions of a list into non-empty blocks, told apart by position: Bell(len(items)) of them."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in set_partitions(rest):
        yield [[first], *partition]
        for i, block in enumerate(partition):
            yield [*partition[:i], [first, *block], *partition[i + 1 :]]


@cache
def faa_di_bruno(alpha: Exponents) -> tuple[tuple[tuple[Exponents, ...], int], ...]:
    """The terms of ∂^alpha σ(z) as pairs (blocks, multiplicity): `multiplicity · σ^(#blocks) · Π ∂^block z`.

    >>> faa_di_bruno((3,))  # z''' σ' + 3 z' z'' σ'' + z'³ σ'''
    ((((1,), (1,), (1,)), 1), (((1,), (2,)), 3), (((3,),), 1))
    """
    positions = [i for i, power in enumerate(alpha) for _ in range(power)]
    blocks = (
        tuple(sorted(tuple(block.count(i) for i in range(len(alpha))) for block in partition))
        for partition in set_partitions(positions)
    )
    return tuple(sorted(Counter(blocks).items()))


def _products(channel: Operator) -> dict[tuple[Exponents, ...], Any]:
    """The terms of a channel that are products of at least two lower derivatives, gathered over its monomials."""
    total: dict[tuple[Exponents, ...], Any] = {}
    for alpha, coefficient in channel.terms:
        for blocks, multiplicity in faa_di_bruno(alpha):
            if len(blocks) > 1:
                total[blocks] = total.get(blocks, 0) + coefficient * multiplicity
    return {blocks: value for blocks, value in total.items() if value != 0}


def _close(channels: Sequence[Operator]) -> tuple[Operator, ...]:
    """`channels`, the identity and every lower derivative that their products need, in order of degree."""
    dimension = channels[0].variables
    found = {identity(dimension)}
    todo = list(channels)
    while todo:
        channel = todo.pop()
        if channel in found:
            continue
        found.add(channel)
        todo += [Polynomial.collect([(block, 1)], dimension) for blocks in _products(channel) for block in blocks]
    return tuple(sorted(found, key=lambda p: (p.degree, len(p.terms), [tuple(-i for i in e) for e, _ in p.terms], str(p))))


def _table(channels: tuple[Operator, ...]) -> Table:
    position = {channel: i for i, channel in enumerate(channels)}
    dimension = channels[0].variables
    rows: list[tuple[Term, ...]] = [(Term(0, (), 1),)]
    for i, channel in enumerate(channels[1:], start=1):
        row = [Term(1, (i,), 1)]
        for blocks, coefficient in _products(channel).items():
            factors = tuple(sorted(position[Polynomial.collect([(b, 1)], dimension)] for b in blocks))
            row.append(Term(len(blocks), factors, coefficient))
        rows.append(tuple(sorted(row)))
    return Table(tuple(rows), len(channels))


def _split(operator: Operator, collapse: bool) -> list[tuple[Operator, Any]]:
    """An operator as a sum of channels with coefficients. Its constant is always apart: a·u is not linear in z like the rest."""
    dimension = operator.variables
    constant = [(identity(dimension), c) for e, c in operator.terms if not any(e)]
    rest = [(e, c) for e, c in operator.terms if any(e)]
    if collapse and len(rest) > 1:
        return [*constant, (Polynomial.collect(rest, dimension), 1)]
    return constant + [(Polynomial.collect([(e, 1)], dimension), c) for e, c in rest]


@cache
def jet(operators: tuple[Operator, ...], collapse: bool | None = None) -> Jet:
    """The smallest jet from which all `operators` can be read off; `collapse=True` or `False` forces the choice.

    >>> dx, dt = partials(2)
    >>> len(jet((dt**2 - 4 * dx**2,)).channels), len(jet((dt**2 - 4 * dx**2,), collapse=False).channels)
    (4, 5)
    """
    if not operators or any(not operator.terms for operator in operators):
        raise InvalidInput("operators", operators, "pass at least one operator, none of them zero")
    ways = [(collapse,)] * len(operators) if collapse is not None else [(True, False)] * len(operators)
    candidates = []
    for choice in itertools.product(*ways):
        splits = [_split(operator, way) for operator, way in zip(operators, choice, strict=True)]
        channels = _close([channel for split in splits for channel, _ in split])
        candidates.append((len(channels), channels, splits))
    _, channels, splits = min(candidates, key=lambda candidate: candidate[0])
    position = {channel: i for i, channel in enumerate(channels)}
    live = tuple(sorted({position[channel] for split in splits for channel, _ in split}))
    readout = tuple(tuple((live.index(position[channel]), c) for channel, c in split) for split in splits)
    table = _table(channels)
    return Jet(channels, table, table.restrict(live), readout, live)
