"""Algorithm 3's moving average of estimates, for matrices, for traces, and as the rank-one update of an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..errors import InvalidInput, UnknownNameError


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
    return {name: (1 - alpha) * arrays.scalar(old[name]) + alpha * arrays.scalar(new[name]) for name in old}


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


CORRECTIONS = ("none", "bias", "lag")


@dataclass(frozen=True)
class MovingAverage:
    """The average after `steps` updates: `value` is a matrix or `{term: trace}`; α is the share of the newest sample.

    `correction` says which average, with q = 1 - α and samples s = 0, ..., t:

    - "none": Algorithm 3. The start keeps the share q^t, however poor it is.
    - "bias": sample s in proportion to q^(t-s), the start being the mean of `samples` of them: nothing is favoured.
    - "lag": the end of the line fitted to the samples with those same weights. It follows a linear trend without lag, where the
      others are q/α steps behind in the end, and pays with 5/2 of their variance (α small), with more in the first 1/α steps.

    What each makes of the samples is `shares`; variance, lag and bias are in `moments`. Raises `InvalidInput`.

    >>> average = MovingAverage({"interior": 8.0}, alpha=0.5)
    >>> average.update({"interior": 4.0}).update({"interior": 4.0}).value
    {'interior': 5.0}
    >>> average = MovingAverage({"interior": 8.0}, alpha=0.5, correction="lag")
    >>> average.update({"interior": 6.0}).update({"interior": 4.0}).value
    {'interior': 4.0}
    """

    value: Any
    alpha: float
    steps: int = 0
    correction: str = "none"
    samples: int = 1
    trend: Any = None
    sums: tuple[float, float, float] | None = None  # `_sums` so far, kept so that a step costs as much as any other

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        check_average(self.correction, self.samples)

    def update(self, new: Any) -> MovingAverage:
        """The average with one more sample, a matrix or traces like `value`."""
        A0, A1, A2 = self.sums or _sums(*_proportions(self.alpha, self.steps, self.samples))
        q = 1 - self.alpha
        sums = (1 + q * A0, q * (A1 + A0), q * (A2 + 2 * A1 + A0))
        gain, turn = _gains(sums, self.alpha, self.correction)
        ahead = self.value if self.trend is None else _sum(self.value, self.trend)
        found = replace(self, value=moving_average(ahead, new, gain), steps=self.steps + 1, sums=sums)
        if self.correction != "lag":
            return found
        change = _sum(_times(turn, new), _times(-turn, ahead))
        return replace(found, trend=change if self.trend is None else _sum(self.trend, change))


def shares(alpha: float, steps: int, /, *, samples: int = 1, correction: str = "none") -> np.ndarray:
    """What the average after `steps` updates is made of: the share of each sample, oldest first, (steps + 1,); they add up to 1.

    The first belongs to the start, the mean of `samples`. Raises `InvalidInput`.

    >>> shares(0.5, 2), shares(0.5, 2, correction="bias")  # proportions 1 : 2 : 4
    (array([0.25, 0.25, 0.5 ]), array([0.14285714, 0.28571429, 0.57142857]))
    >>> ages = np.arange(2, -1, -1)
    >>> abs(float(shares(0.5, 2, correction="lag") @ ages)) < 1e-15
    True
    """
    check_alpha(alpha)
    check_average(correction, samples)
    check_whole("steps", steps, 0)
    if correction == "none":
        weights, _ = _proportions(alpha, steps, 1)
        return np.concatenate([weights[:1], alpha * weights[1:]])
    weights, ages = _proportions(alpha, steps, samples)
    gain, turn = _gains(_sums(weights, ages), alpha, correction)
    return weights * (gain - turn * ages)


def _proportions(alpha: float, steps: int, samples: int) -> tuple[np.ndarray, np.ndarray]:
    """`w_s = q^(t-s)`, the start `samples` times, and the ages t - s, both (steps + 1,)."""
    ages = np.arange(steps, -1.0, -1.0)
    weights = (1 - alpha) ** ages
    weights[0] *= samples
    return weights, ages


def _sums(weights: np.ndarray, ages: np.ndarray) -> tuple[float, float, float]:
    """`Σ_s w_s (t-s)^k` for k = 0, 1, 2."""
    return float(np.sum(weights)), float(weights @ ages), float(weights @ ages**2)


def _gains(sums: tuple[float, float, float], alpha: float, correction: str) -> tuple[float, float]:
    """What the newest sample adds to value and trend: `(A₂, A₁)/(A₀A₂ - A₁²)` of the normal equations of the weighted line."""
    A0, A1, A2 = sums
    if correction == "none":
        return alpha, 0.0
    determinant = A0 * A2 - A1 * A1
    if correction == "bias" or determinant <= 0:  # one sample alone, or α = 1: no line
        return 1 / A0, 0.0
    return min(A2 / determinant, 1.0), A1 / determinant


def _sum(a: Any, b: Any) -> Any:
    return {name: float(a[name]) + float(b[name]) for name in a} if isinstance(a, Mapping) else a + b


def _times(factor: float, a: Any) -> Any:
    return {name: factor * float(a[name]) for name in a} if isinstance(a, Mapping) else factor * a


def check_alpha(alpha: object) -> None:
    """Raises `InvalidInput` unless α is a number in (0, 1]."""
    if not isinstance(alpha, Real) or isinstance(alpha, bool) or not 0 < float(alpha) <= 1:
        raise InvalidInput("alpha", alpha, "choose a number in (0, 1]")


def check_average(correction: object, samples: object) -> None:
    """Raises `InvalidInput` unless `correction` is one of `CORRECTIONS` and `samples` a positive whole number."""
    if correction not in CORRECTIONS:
        raise UnknownNameError("correction", correction, CORRECTIONS)
    check_whole("samples", samples, 1)


def check_whole(name: str, value: object, least: int) -> None:
    """Raises `InvalidInput` unless `value` is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(name, value, f"give a whole number, {least} or more")
