"""The array namespace of balls: the functions that the reference lines use, and no other.

A name that is missing here raises `AttributeError`, which is the point: every function below encloses its result, and whoever
uses another one in the mathematics is told, rather than handed a number that is not certified.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from flint import arb, ctx

from .array import DTYPE, Balls, Verdict, number
from .array import matmul as _matmul
from .array import solve as _solved
from .spectrum import eigenvalues


def __getattr__(name: str) -> Any:
    """`pi`, at the precision of the moment."""
    if name == "pi":
        return Balls(arb.pi())
    raise AttributeError(f"{name!r} is not among the functions of balls")


def asarray(values: Any, *, dtype: object = None, device: object = None) -> Balls:
    """Numbers, nested lists of numbers and ndarrays, exactly; NaN and infinities stay what they are."""
    if isinstance(values, Balls):
        return values
    if isinstance(values, np.ndarray):
        return Balls(_each(number, values))
    if isinstance(values, list | tuple):
        return stack([asarray(value) for value in values]) if values else Balls(np.empty((0,), dtype=object))
    return Balls(number(values))


def zeros(shape: tuple[int, ...], *, dtype: object = None, device: object = None) -> Balls:
    """Exact zeros."""
    return Balls(np.full(shape, arb(0), dtype=object))


def zeros_like(x: Balls, /) -> Balls:
    """Exact zeros of the shape of x."""
    return zeros(x.shape)


def ones_like(x: Balls, /) -> Balls:
    """Exact ones of the shape of x."""
    return Balls(np.full(x.shape, arb(1), dtype=object))


def isdtype(dtype: object, kind: str | Sequence[str]) -> bool:
    """Whether `kind` is that of real floating-point numbers, for which balls stand."""
    return "real floating" in ([kind] if isinstance(kind, str) else kind)


def astype(x: Balls, dtype: object, /) -> Balls:
    """X itself: there is nothing to convert to. Raises `TypeError` for another type."""
    if dtype != DTYPE:
        raise TypeError(f"balls do not become {dtype}")
    return x


def finfo(dtype: object, /) -> SimpleNamespace:
    """`eps` at the precision of the moment."""
    return SimpleNamespace(eps=2.0 ** (1 - ctx.prec))


def isfinite(x: Balls, /) -> Verdict:
    """Whether the balls are bounded."""
    found = np.frompyfunc(arb.is_finite, 1, 1)(x.entries) == True  # noqa: E712
    return Verdict(found, found)


def all(x: Verdict, /) -> Verdict:
    """Whether a comparison holds everywhere."""
    return x.all()


def any(x: Verdict, /) -> Verdict:
    """Whether a comparison holds somewhere."""
    return x.any()


def _each(function: Callable[[Any], arb], entries: np.ndarray) -> np.ndarray:
    """`function` of every entry: also of none, and of an array without axes."""
    found = np.empty(entries.shape, dtype=object)
    found.ravel()[:] = [function(entry) for entry in entries.ravel()]
    return found


def _elementwise(name: str) -> Callable[[Balls], Balls]:
    function = getattr(arb, name)

    def apply(x: Balls, /) -> Balls:
        return Balls(_each(function, x.entries))

    apply.__name__, apply.__doc__ = name, f"The enclosure of {name}, entry by entry."
    return apply


exp, log1p, sqrt = _elementwise("exp"), _elementwise("log1p"), _elementwise("sqrt")
sin, cos, atan = _elementwise("sin"), _elementwise("cos"), _elementwise("atan")
sinh, cosh, tanh = _elementwise("sinh"), _elementwise("cosh"), _elementwise("tanh")


def abs(x: Balls, /) -> Balls:
    """|x|, also of balls that contain 0."""
    return builtins.abs(x)


def sum(x: Balls, /, *, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Balls:
    """The sums along axes."""
    zero: Any = arb(0)
    return Balls(np.sum(x.entries, axis=axis, keepdims=keepdims, initial=zero))


def mean(x: Balls, /) -> Balls:
    """The mean of all entries."""
    return sum(x) / x.entries.size


def matmul(a: Balls, b: Balls, /) -> Balls:
    """The product of matrices, or of stacks of them."""
    return Balls(_matmul(a.entries, b.entries))


def stack(arrays: Sequence[Balls], /, *, axis: int = 0) -> Balls:
    """Arrays of one shape along a new axis."""
    return Balls(np.stack([x.entries for x in arrays], axis=axis))


def concat(arrays: Sequence[Balls], /, *, axis: int = 0) -> Balls:
    """Arrays one behind the other."""
    return Balls(np.concatenate([x.entries for x in arrays], axis=axis))


def reshape(x: Balls, shape: tuple[int, ...], /) -> Balls:
    """The same entries in another shape."""
    return Balls(x.entries.reshape(shape))


def permute_dims(x: Balls, axes: tuple[int, ...], /) -> Balls:
    """The axes in another order."""
    return Balls(x.entries.transpose(axes))


def moveaxis(x: Balls, source: int, destination: int, /) -> Balls:
    """One axis elsewhere."""
    return Balls(np.moveaxis(x.entries, source, destination))


def broadcast_to(x: Balls, shape: tuple[int, ...], /) -> Balls:
    """The entries repeated along axes that x lacks."""
    return Balls(np.broadcast_to(x.entries, shape))


def flip(x: Balls, /) -> Balls:
    """All axes reversed."""
    return Balls(np.flip(x.entries))


def _solve(A: Balls, b: Balls, /) -> Balls:
    """The solution (n,) of every system in A (n, n), b (n,)."""
    return Balls(_solved(A.entries, b.entries))


linalg = SimpleNamespace(
    diagonal=lambda x, /: Balls(np.diagonal(x.entries).copy()),
    eigvalsh=lambda x, /: Balls(eigenvalues(x.entries)),
    solve=_solve,
)
