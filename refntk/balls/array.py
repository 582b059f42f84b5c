"""Arrays of balls: an ndarray of python-flint's `arb` behind the operators that the reference lines use, and nothing more.

Sums, products, quotients and integer powers enclose their result. Whatever would turn a ball into a float in silence is refused:
`float()`, `astype`, NumPy's functions, the truth of an undecided comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral, Rational, Real
from typing import Any

import numpy as np
from flint import arb, arb_mat, fmpq

DTYPE = "ball"


class Undecided(ArithmeticError):
    """A comparison of balls that overlap; more precision may decide it."""


class Verdict:
    """The outcome of comparisons entry by entry: `certain` where it surely holds, `possible` where it is not refuted.

    >>> bool(Verdict(np.array([True]), np.array([True])).all())
    True
    >>> bool(Verdict(np.array([True, False]), np.array([True, True])).all())
    Traceback (most recent call last):
    refntk.balls.array.Undecided: ...
    """

    def __init__(self, certain: Any, possible: Any):
        self.certain, self.possible = np.asarray(certain), np.asarray(possible)

    def all(self) -> Verdict:
        """Whether it holds everywhere: refuted by one entry, certain only if every entry is."""
        return Verdict(self.certain.all(), self.possible.all())

    def any(self) -> Verdict:
        """Whether it holds somewhere."""
        return Verdict(self.certain.any(), self.possible.any())

    def __invert__(self) -> Verdict:
        return Verdict(~self.possible, ~self.certain)

    def __bool__(self) -> bool:
        if self.certain != self.possible:
            raise Undecided("the balls overlap: neither true nor false at this precision")
        return bool(self.certain)


class Balls:
    """An array of balls; `entries` is the ndarray of `arb`. Built by `refntk.balls.exact`, or `asarray` of its namespace.

    Numbers that meet it in an operation are taken exactly, as the rational numbers they are; ndarrays are refused.

    >>> from refntk.balls import exact, precision
    >>> with precision(64):
    ...     third = exact([1.0]) / 3
    ...     (3 * third).entries[0].contains(1), bool((third < 0.34).all())
    (True, True)
    >>> float(third[0])
    Traceback (most recent call last):
    TypeError: ...
    """

    __array_ufunc__ = None  # NumPy hands its operators over to ours
    __hash__ = None  # type: ignore[assignment]
    dtype, device = DTYPE, "cpu"

    def __init__(self, entries: Any):
        self.entries: np.ndarray = np.asarray(entries, dtype=object)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        from . import namespace

        return namespace

    def __array__(self, *args: object, **kwargs: object) -> np.ndarray:
        raise TypeError("balls do not become an ndarray: publish them with refntk.balls.certify")

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.entries.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.entries.ndim

    @property
    def T(self) -> Balls:
        """The transpose."""
        return Balls(self.entries.T)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, key: Any) -> Balls:
        return Balls(self.entries[key])

    def __setitem__(self, key: Any, value: Balls) -> None:
        self.entries[key] = value.entries

    def __repr__(self) -> str:
        return f"Balls({self.entries!r})"

    def __neg__(self) -> Balls:
        return Balls(-self.entries)

    def __abs__(self) -> Balls:
        return Balls(abs(self.entries))

    def __add__(self, other: Any) -> Balls:
        return Balls(self.entries + operand(other))

    def __sub__(self, other: Any) -> Balls:
        return Balls(self.entries - operand(other))

    def __rsub__(self, other: Any) -> Balls:
        return Balls(operand(other) - self.entries)

    def __mul__(self, other: Any) -> Balls:
        return Balls(self.entries * operand(other))

    def __truediv__(self, other: Any) -> Balls:
        return Balls(self.entries / operand(other))

    def __rtruediv__(self, other: Any) -> Balls:
        return Balls(operand(other) / self.entries)

    def __pow__(self, power: int) -> Balls:
        if not isinstance(power, Integral):
            raise TypeError("balls are raised to whole powers only")
        return Balls(self.entries ** int(power))

    __radd__, __rmul__ = __add__, __mul__

    def __matmul__(self, other: Balls) -> Balls:
        return Balls(matmul(self.entries, other.entries))

    def __eq__(self, other: object) -> Verdict:  # type: ignore[override]
        return self._compare(other, lambda a, b: a == b, lambda a, b: a != b)

    def __ne__(self, other: object) -> Verdict:  # type: ignore[override]
        return self._compare(other, lambda a, b: a != b, lambda a, b: a == b)

    def __lt__(self, other: object) -> Verdict:
        return self._compare(other, lambda a, b: a < b, lambda a, b: a >= b)

    def __le__(self, other: object) -> Verdict:
        return self._compare(other, lambda a, b: a <= b, lambda a, b: a > b)

    def __gt__(self, other: object) -> Verdict:
        return self._compare(other, lambda a, b: a > b, lambda a, b: a <= b)

    def __ge__(self, other: object) -> Verdict:
        return self._compare(other, lambda a, b: a >= b, lambda a, b: a < b)

    def _compare(self, other: object, holds: Callable[[Any, Any], bool], fails: Callable[[Any, Any], bool]) -> Verdict:
        """Arb's own comparisons are true only where they hold for all points of both balls."""
        pair = self.entries, operand(other)
        return Verdict(np.frompyfunc(holds, 2, 1)(*pair) == True, np.frompyfunc(fails, 2, 1)(*pair) != True)  # noqa: E712


def number(value: Any) -> Any:
    """A real number as a ball: exact for floats and integers, enclosed for rational ones. Raises `TypeError` for the rest."""
    if isinstance(value, arb):
        return value
    if isinstance(value, Balls) and value.ndim == 0:
        return value.entries[()]
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{type(value).__name__} is no number that a ball can take exactly")
    if isinstance(value, Integral):
        return arb(int(value))
    if isinstance(value, Rational):
        return arb(fmpq(int(value.numerator), int(value.denominator)))
    return arb(float(value))  # float64 and narrower: every value is one of arb's


def operand(value: Any) -> Any:
    """What may stand beside balls in an operation: the entries of balls, or a number."""
    if isinstance(value, Balls):
        return value.entries
    if isinstance(value, np.ndarray):
        raise TypeError("an ndarray beside balls: convert it with refntk.balls.exact")
    return number(value)


def matmul(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The product of ndarrays of balls, by `arb_mat`, with NumPy's rules for vectors and leading axes."""
    if right.ndim == 1:
        return matmul(left, right[:, None])[..., 0]
    if left.ndim == 1:
        return matmul(left[None, :], right)[..., 0, :]
    if right.ndim == 2:  # one matrix for all leading axes
        return _product(left.reshape(math.prod(left.shape[:-1]), left.shape[-1]), right).reshape(*left.shape[:-1], right.shape[-1])
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    lefts, rights = (
        np.broadcast_to(side, (*batch, *side.shape[-2:])).reshape(math.prod(batch), *side.shape[-2:]) for side in (left, right)
    )
    products = np.empty((math.prod(batch), left.shape[-2], right.shape[-1]), dtype=object)
    for product, a, b in zip(products, lefts, rights, strict=True):
        product[...] = _product(a, b)
    return products.reshape(*batch, left.shape[-2], right.shape[-1])


def _product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    if left.shape[1] != right.shape[0]:
        raise ValueError(f"matrices of shapes {left.shape} and {right.shape} have no product")
    (rows, inner), columns = left.shape, right.shape[1]
    found = arb_mat(rows, inner, left.ravel().tolist()) * arb_mat(inner, columns, right.ravel().tolist())
    entries = np.empty((rows, columns), dtype=object)
    entries.ravel()[:] = found.entries()
    return entries


def solve(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The solution of `matrix` (n, n) x = `right` (n,), ndarrays of balls; `Undecided` where the matrix may be singular."""
    n = right.shape[0]
    try:
        found = arb_mat(n, n, matrix.ravel().tolist()).solve(arb_mat(n, 1, right.tolist()))
    except ZeroDivisionError as error:
        raise Undecided("a matrix that may be singular") from error
    entries = np.empty(n, dtype=object)
    entries[:] = found.entries()
    return entries
