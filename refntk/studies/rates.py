"""Orders of convergence: y ≈ C x^order fitted on logarithms, and how well the data know it.

Three kinds of data, three intervals: `fit` where the spread of every y is known, `fit_repeats` where repeats show it, and
`fit_exact` where there is no chance and the orders between neighbouring points say how far the data are from a straight line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import InvalidInput, ShapeError

LEVEL = 0.95


@dataclass(frozen=True)
class Mean:
    """A mean, and the interval that holds the expectation with the probability `level`.

    >>> 2.0 in Mean(1.0, 0.5, 1.5)
    False
    """

    value: float
    low: float
    high: float
    level: float = LEVEL

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Rate:
    """`y ≈ constant · x^order`, the order in [low, high] with the probability `level`.

    `misfit` is the root mean square of the logarithms' distances from the line, over n - 2: in units of their spread where that
    is known (about 1 for a straight line), else as it stands.

    >>> -1.0 in Rate(-0.98, -1.03, -0.93, 2.0, 1.1)
    True
    """

    order: float
    low: float
    high: float
    constant: float
    misfit: float
    level: float = LEVEL

    def __contains__(self, order: float) -> bool:
        return self.low <= order <= self.high


def mean(samples: np.ndarray, /, *, level: float = LEVEL) -> Mean:
    """The `Mean` of independent samples (M,) of one law, with Student's interval.

    Exact for normal samples; for others up to O(skewness/√M) in the level. Raises `InvalidInput`, `ShapeError`.

    >>> found = mean(np.array([1.0, 3.0]))
    >>> found.value, round(found.high - found.value, 3)  # t = 12.706, standard error 1
    (2.0, 12.706)
    """
    Y = _table("samples", np.asarray(samples)[None], positive=False)
    value, half = float(Y.mean()), _student(level, Y.shape[1]) * float(Y.std(ddof=1)) / math.sqrt(Y.shape[1])
    return Mean(value, value - half, value + half, level)


def fit(x: np.ndarray, y: np.ndarray, spread: np.ndarray, /, *, level: float = LEVEL) -> Rate:
    """The `Rate` of y (n,) over x (n,), n ≥ 3, by generalised least squares on logarithms.

    `spread` is the standard deviation of every y (n,), if they are independent, or else their covariance (n, n): points that share
    samples are correlated, and an interval that is blind to it is wrong. To first order in spread/y, which must be small,

        log y = log C + order log x + e,   Cov(e_i, e_j) = Cov(y_i, y_j) / (y_i y_j),

    whose best unbiased estimate (Aitken 1936) has a normal law with the covariance `(Aᵀ Cov⁻¹ A)⁻¹`, A = [1, log x].
    Raises `InvalidInput`, `ShapeError`.

    >>> found = fit(np.array([1.0, 2.0, 4.0]), np.array([3.0, 12.0, 48.0]), np.array([0.03, 0.12, 0.48]))  # 3 x², 1 % each
    >>> round(found.order, 12), round(found.constant, 12)
    (2.0, 3.0)
    >>> round(found.high - found.order, 6)  # 1.959964 · 0.01 / (√2 log 2)
    0.019994
    """
    x, Y = _points(x, np.asarray(y)[:, None])
    y, s = Y[:, 0], np.asarray(spread, dtype=np.float64)
    if s.shape not in (y.shape, y.shape * 2):
        raise ShapeError("spread", f"shape {s.shape}", f"expected ({len(y)},) or ({len(y)}, {len(y)})")
    covariance = (np.diag(s * s) if s.ndim == 1 else s) / np.outer(y, y)
    try:
        root = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        raise InvalidInput("spread", "no covariance", "every y needs a positive spread of its own") from None
    white = np.linalg.solve(root, np.stack([np.ones_like(x), np.log(x), np.log(y)], axis=1))
    A, b = white[:, :2], white[:, 2]
    (start, order), *_ = np.linalg.lstsq(A, b)
    half = _normal(level) * math.sqrt(np.linalg.inv(A.T @ A)[1, 1])
    misfit = float(np.linalg.norm(b - A @ [start, order])) / math.sqrt(len(x) - 2)
    return Rate(float(order), float(order - half), float(order + half), math.exp(start), misfit, level)


def fit_repeats(x: np.ndarray, samples: np.ndarray, /, *, level: float = LEVEL) -> Rate:
    """The `Rate` of the means over M repeats, `samples` (n, M), n ≥ 3, each point weighted by its relative variance.

    Columns must be independent of each other and of one law; within a column, points may depend on one another as they like. The
    order is to first order the mean of M independent numbers, what each repeat contributes,

        order = Σ_i a_i log ȳ_i,   a_i = w_i (log x_i - m) / Σ_i w_i (log x_i - m)²,   contribution_j = Σ_i a_i y_ij / ȳ_i,

    m the weighted mean of log x, and Student's interval with M - 1 degrees of freedom follows from their spread. The logarithm of
    a mean is low by about half its relative variance, which moves `constant`, and the order only as far as points differ in it.
    Raises `InvalidInput`, `ShapeError`.

    >>> repeats = np.array([0.9, 1.1, 1.0, 1.0])
    >>> found = fit_repeats(np.array([1.0, 10.0, 100.0]), np.array([2.0, 0.2, 0.02])[:, None] * repeats)
    >>> round(found.order, 12), round(found.constant, 12), found.high - found.low < 1e-12  # all points move together
    (-1.0, 2.0, True)
    """
    x, Y = _points(x, samples)
    M = Y.shape[1]
    if M < 2:
        raise ShapeError("samples", f"shape {Y.shape}", "two repeats at least show a spread")
    y = Y.mean(axis=1)
    variance = Y.var(axis=1, ddof=1) / (M * y * y)
    if not variance.min() > 0:
        raise InvalidInput("samples", "repeats that are all equal", "data without chance are for fit_exact")
    a, order, start = _line(np.log(x), np.log(y), 1 / variance)
    half = _student(level, M) * float((a @ (Y / y[:, None])).std(ddof=1)) / math.sqrt(M)
    distance = (np.log(y) - start - order * np.log(x)) / np.sqrt(variance)
    misfit = float(np.linalg.norm(distance)) / math.sqrt(len(x) - 2)
    return Rate(order, order - half, order + half, math.exp(start), misfit, level)


def fit_exact(x: np.ndarray, y: np.ndarray, /) -> Rate:
    """The `Rate` of y (n,) over x (n,), n ≥ 3, that no chance has touched, by least squares on logarithms, with the level 1.

    `low` and `high` are the least and the largest order between neighbours, `log(y_{i+1}/y_i) / log(x_{i+1}/x_i)`: terms of higher
    order and rounding are no noise, and no confidence is had by averaging over them. Raises `InvalidInput`, `ShapeError`.

    >>> x = np.array([0.1, 0.2, 0.4])
    >>> found = fit_exact(x, x**2 + x**3)  # locally 2 + log(1.2/1.1)/log 2, 2 + log(1.4/1.2)/log 2
    >>> round(found.low, 4), round(found.order, 4), round(found.high, 4)
    (2.1255, 2.174, 2.2224)
    """
    x, Y = _points(x, np.asarray(y)[:, None])
    X, y = np.log(x), np.log(Y[:, 0])
    _, order, start = _line(X, y, np.ones_like(X))
    by = np.argsort(X)
    local = np.diff(y[by]) / np.diff(X[by])
    misfit = float(np.linalg.norm(y - start - order * X)) / math.sqrt(len(x) - 2)
    return Rate(order, float(local.min()), float(local.max()), math.exp(start), misfit, 1.0)


def _line(X: np.ndarray, y: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The weighted least-squares line: the slope as a functional `a @ y`, the slope, the value at 0."""
    middle = np.average(X, weights=w)
    a = w * (X - middle) / (w @ (X - middle) ** 2)
    slope = float(a @ y)
    return a, slope, float(np.average(y, weights=w) - slope * middle)


def _points(x: np.ndarray, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Abscissae (n,) and samples (n, M), positive, n ≥ 3."""
    x, Y = np.asarray(x, dtype=np.float64), _table("samples", samples, positive=True)
    if x.ndim != 1 or Y.shape[0] != len(x) or len(x) < 3:
        raise ShapeError("x", f"shape {x.shape} for {Y.shape[0]} values", "expected one for each value, and three at least")
    if not (np.isfinite(x).all() and x.min() > 0 and len(set(x.tolist())) == len(x)):
        raise InvalidInput("x", x, "give positive numbers, all different")
    return x, Y


def _table(name: str, samples: np.ndarray, *, positive: bool) -> np.ndarray:
    Y = np.asarray(samples, dtype=np.float64)
    if Y.ndim != 2 or not Y.size:
        raise ShapeError(name, f"shape {Y.shape}", "expected (points, repeats)")
    if not np.isfinite(Y).all() or (positive and not Y.mean(axis=1).min() > 0):
        raise InvalidInput(name, "values without a logarithm", "give finite numbers, positive in the mean")
    return Y


def _normal(level: float) -> float:
    """How many standard deviations hold the normal law with this probability."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + _level(level) / 2))


def _student(level: float, samples: int) -> float:
    """The same for Student's law of a mean of so many samples."""
    from scipy.special import stdtrit

    if samples < 2:
        raise ShapeError("samples", f"{samples} of them", "two at least show a spread")
    return float(stdtrit(samples - 1, 0.5 + _level(level) / 2))


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise InvalidInput("level", level, "choose a probability, more than 0 and less than 1")
    return level
