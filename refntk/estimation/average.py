"""Algorithm 3's moving average of estimates, for matrices, for traces, and as the rank-one update of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from .. import arrays
from ..arrays import Array, Namespace
from ..errors import InvalidInput


def moving_average(old: Any, new: Any, alpha: float, /) -> Any:
    """`(1 - α) old + α new`: an array from arrays, `{term: float}` from dicts of traces (floats or `Estimate`s).

    Hirsch & Pichi 2025, Algorithm 3: `old` is the average at the step before (the mean of N samples at the first), `new` a sample.
    What is averaged are traces, or K; averaging the *weights* gives others. The variance is in `moments.moving_average_variance`.
    Raises `InvalidInput` for α outside (0, 1], for traces of other terms, and for arrays of other shapes.

    >>> moving_average({"interior": 8.0}, {"interior": 4.0}, 0.25)
    {'interior': 7.0}
    """
    check_alpha(alpha)
    if not isinstance(old, Mapping):
        old, new = arrays.as_floats("old", old), arrays.as_floats("new", new)
        arrays.check_shape("new", new, tuple(old.shape))
        old, new = arrays.widen(old, new, xp=arrays.namespace(old, new))
        return (1 - alpha) * old + alpha * new
    if not isinstance(new, Mapping) or set(new) != set(old):
        found = list(new) if isinstance(new, Mapping) else type(new).__name__
        raise InvalidInput("new", found, f"pass traces of the same terms as `old`: {list(old)}")
    return {name: (1 - alpha) * float(old[name]) + alpha * float(new[name]) for name in old}


def average(K: Array, z: Array, g: Array, alpha: float, *, xp: Namespace) -> Array:
    """`(1 - α) K + α (z gᵀ + g zᵀ)/2` (n, n), for z, g (n,): Algorithm 3 with one sample, K symmetric to the last bit if it was.

    A primitive of the reference engine. Raises `InvalidInput` for α outside (0, 1]. Cost: a few passes over n² numbers.

    >>> import numpy as np
    >>> average(np.zeros((2, 2)), np.array([2.0, 0.0]), np.array([1.0, 1.0]), 0.5, xp=np)
    array([[1. , 0.5],
           [0.5, 0. ]])
    """
    check_alpha(alpha)
    outer = z[:, None] * g[None, :]
    return (1 - alpha) * K + (alpha / 2) * (outer + outer.T)


@dataclass(frozen=True)
class MovingAverage:
    """The average after `steps` updates: `value` is a matrix or `{term: trace}`; α is the share of the newest sample.

    >>> average = MovingAverage({"interior": 8.0}, alpha=0.5)
    >>> average.update({"interior": 4.0}).update({"interior": 4.0})
    MovingAverage(value={'interior': 5.0}, alpha=0.5, steps=2)
    """

    value: Any
    alpha: float
    steps: int = 0

    def __post_init__(self) -> None:
        check_alpha(self.alpha)

    def update(self, new: Any) -> MovingAverage:
        """The average with one more sample, a matrix or traces like `value`."""
        return MovingAverage(moving_average(self.value, new, self.alpha), self.alpha, self.steps + 1)


def check_alpha(alpha: object) -> None:
    """Raises `InvalidInput` unless α is a number in (0, 1]."""
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 < float(alpha) <= 1:
        raise InvalidInput("alpha", alpha, "choose a number in (0, 1]")
