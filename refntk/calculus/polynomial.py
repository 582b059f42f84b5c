"""Sparse polynomials in several variables: the symbols of differential operators and the derivatives of activations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Number
from typing import Any

Exponents = tuple[int, ...]


@dataclass(frozen=True)
class Polynomial:
    """A polynomial as its terms `(exponents, coefficient)`, sorted, without zeros; hashable.

    >>> x, y = symbols(2)
    >>> (x + 2 * y) ** 2 == x**2 + 4 * x * y + 4 * y**2
    True
    """

    terms: tuple[tuple[Exponents, Any], ...]
    variables: int

    @classmethod
    def collect(cls, terms: Iterable[tuple[Exponents, Any]], variables: int) -> Polynomial:
        """The sum of `terms`, equal exponents gathered, ordered by total degree and then by exponents."""
        total: dict[Exponents, Any] = {}
        for exponents, coefficient in terms:
            total[exponents] = total.get(exponents, 0) + coefficient
        kept = [(e, c) for e, c in total.items() if c != 0]
        return cls(tuple(sorted(kept, key=lambda term: (sum(term[0]), tuple(-e for e in term[0])))), variables)

    @classmethod
    def constant(cls, value: Any, variables: int) -> Polynomial:
        """The constant polynomial `value`."""
        return cls.collect([((0,) * variables, value)], variables)

    @property
    def degree(self) -> int:
        """The largest total degree of a term; 0 for the zero polynomial."""
        return max((sum(e) for e, _ in self.terms), default=0)

    def coefficient(self, exponents: Exponents) -> Any:
        """The coefficient of the monomial with these exponents, 0 where there is none."""
        return dict(self.terms).get(exponents, 0)

    def derivative(self, variable: int) -> Polynomial:
        """The partial derivative in one variable."""
        unit = tuple(int(i == variable) for i in range(self.variables))
        return self.collect(
            ((tuple(a - b for a, b in zip(e, unit, strict=True)), c * e[variable]) for e, c in self.terms if e[variable]),
            self.variables,
        )

    def _coerce(self, other: Any) -> Polynomial:
        return other if isinstance(other, Polynomial) else self.constant(other, self.variables)

    def __add__(self, other: Any) -> Polynomial:
        return self.collect(self.terms + self._coerce(other).terms, self.variables)

    def __mul__(self, other: Any) -> Polynomial:
        products = (
            (tuple(i + j for i, j in zip(a, b, strict=True)), c * d) for a, c in self.terms for b, d in self._coerce(other).terms
        )
        return self.collect(products, self.variables)

    def __pow__(self, power: int) -> Polynomial:
        result = self.constant(1, self.variables)
        for _ in range(power):
            result = result * self
        return result

    def __neg__(self) -> Polynomial:
        return self * -1

    def __sub__(self, other: Any) -> Polynomial:
        return self + -self._coerce(other)

    def __rsub__(self, other: Number) -> Polynomial:
        return -self + other

    def __truediv__(self, number: Number) -> Polynomial:
        return self.collect(((e, c / number) for e, c in self.terms), self.variables)

    __radd__, __rmul__ = __add__, __mul__


def symbols(count: int) -> tuple[Polynomial, ...]:
    """The variables themselves, as `count` polynomials.

    >>> [variable.terms for variable in symbols(2)]
    [(((1, 0), 1),), (((0, 1), 1),)]
    """
    return tuple(Polynomial.collect([(tuple(int(i == j) for j in range(count)), 1)], count) for i in range(count))
