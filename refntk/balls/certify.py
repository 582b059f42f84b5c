"""From balls to published numbers: precision raised until every output is known, then rounded correctly, with both bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from flint import arb, ctx

from ..errors import InvalidInput
from . import namespace
from .array import Balls, Undecided

START, MOST = 128, 4096  # bits of precision: the first try, and where it ends
RELATIVE_BITS = 80  # a ball narrower than this beside its own value has one nearest float, but for odds of 2^-26 an entry


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Ball arithmetic with so many bits, in this block. The setting is python-flint's own, one for the whole process."""
    if isinstance(bits, bool) or not isinstance(bits, int) or bits < 2:
        raise InvalidInput("bits", bits, "give a whole number of bits, 2 or more")
    with ctx.workprec(bits):
        yield


def exact(values: Any) -> Any:
    """Numbers, lists or ndarrays as balls of radius 0, exactly; a dict entry by entry, so that points come out as points.

    >>> exact([0.1]).entries[0].is_exact()
    True
    """
    if isinstance(values, Mapping):
        return {name: exact(value) for name, value in values.items()}
    return namespace.asarray(values)


@dataclass(frozen=True, eq=False)
class Enclosure:
    """Real numbers by three float64 arrays of one shape: `lower <= x <= upper`, and `mid`, x rounded to nearest.

    Bounds are as narrow as floats allow: equal where x is a float, neighbours where it is not, two steps apart where x may be one.
    Where x cannot be told from 0, `mid` is 0 and the bounds are ± the tolerance of `certify`.
    """

    mid: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


def certify(
    function: Callable[[], Mapping[str, Balls]], /, *, bits: int = 60, scale: Mapping[str, Any] | None = None
) -> dict[str, Enclosure]:
    """`{name: Enclosure}` of what `function()` returns, a dict of `Balls`, at a precision that makes every entry known.

    The precision is doubled from 128 bits until every entry has a radius below 2^-80 of its own size, or contains 0 with a radius
    below 2^-`bits` of its scale: the largest magnitude in its array, or `scale[name]`. `function` must build its arrays anew from
    exact inputs on every call. Raises `Undecided` where 4096 bits are not enough: a comparison, or a quotient, hinges on numbers
    that agree. Cost: one evaluation, rarely two.

    >>> third = certify(lambda: {"x": exact([1.0, 0.0]) / 3})["x"]
    >>> [value.hex() for value in (third.lower[0], third.mid[0], third.upper[0])]
    ['0x1.5555555555555p-2', '0x1.5555555555555p-2', '0x1.5555555555556p-2']
    >>> float(third.upper[1])
    0.0
    """
    at, why = START, "the balls stay too wide"
    while at <= MOST:
        try:
            with precision(at):
                found = {name: balls.entries for name, balls in function().items()}
            sizes = {name: _size(entries) if scale is None else scale[name] for name, entries in found.items()}
            published = {name: _published(entries, sizes[name], bits) for name, entries in found.items()}
            if all(known is not None for known in published.values()):
                return {name: known for name, known in published.items() if known is not None}
        except Undecided as error:
            why = str(error)
        at *= 2
    raise Undecided(f"not certified with {MOST} bits: {why}")


def midpoints(x: Balls, /) -> np.ndarray:
    """The nearest floats to the midpoints, without a word about the radii: for estimates, never for a result.

    >>> midpoints(exact([1, 2]) / 4)
    array([0.25, 0.5 ])
    """
    found = [_nearest(_rational(entry.mid())) if entry.is_finite() else math.nan for entry in x.entries.ravel()]
    return np.array(found, dtype=np.float64).reshape(x.shape)


def _size(entries: np.ndarray) -> float:
    """The largest magnitude in an array."""
    return max((_nearest(abs(_rational(entry.mid()))) for entry in entries.ravel() if entry.is_finite()), default=0.0)


def _published(entries: np.ndarray, scale: Any, bits: int) -> Enclosure | None:
    """The enclosures, or None where one entry is not known well enough."""
    scales = np.broadcast_to(np.asarray(scale, dtype=np.float64), entries.shape)
    found = [_rounded(entry, float(size), bits) for entry, size in zip(entries.ravel(), scales.ravel(), strict=True)]
    if None in found:
        return None
    columns = np.array(found, dtype=np.float64).reshape(-1, 3).T
    mid, lower, upper = (column.reshape(entries.shape).copy() for column in columns)
    return Enclosure(mid, lower, upper)


def _rounded(ball: arb, scale: float, bits: int) -> tuple[float, float, float] | None:
    """`(mid, lower, upper)` of one ball, the same whatever led to it; None where it is too wide."""
    if not ball.is_finite():
        return None
    middle, radius = _rational(ball.mid()), _rational(ball.rad())
    near = _nearest(middle)
    if radius == 0 and near == middle:
        return near, near, near
    if abs(middle) <= radius:
        tolerance = math.ldexp(1.0, math.frexp(scale)[1] - bits - 1) if scale else 0.0
        return (0.0, -tolerance, tolerance) if radius <= tolerance else None
    if radius * 2**RELATIVE_BITS > abs(middle):
        return None
    down, up = math.nextafter(near, -math.inf), math.nextafter(near, math.inf)
    if abs(near) < math.inf and abs(Fraction(near) - middle) <= radius:  # x may be this float, and nobody can know
        return near, down, up
    return (near, near, up) if near < middle else (near, down, near)


def _rational(value: arb) -> Fraction:
    """An exact ball as the dyadic number it is."""
    mantissa, exponent = (int(part) for part in value.man_exp())
    return Fraction(mantissa) * Fraction(2) ** exponent


def _nearest(value: Fraction) -> float:
    """The nearest float64, ties to even, infinities beyond the largest."""
    try:
        return value.numerator / value.denominator
    except OverflowError:
        return math.inf if value > 0 else -math.inf
