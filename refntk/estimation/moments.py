"""What chance makes of the estimators of `sketch.py`, in closed form: variances, covariances, mean squared errors, biases.

All are for one probe g and exact products z = K g; divide variances and mean squared errors by N for a mean of N.
With `F = ‖K‖_F²`, `d = Σ K_ii²`, `T = Tr K`, and independent g_i of mean 0, variance 1, fourth moment 3 (normal) or 1 (rademacher):

    E z gᵀ = K,      E (gᵀA g)(gᵀB g) = Tr A Tr B + 2 ⟨A, B⟩ + (E g_i⁴ - 3) Σ A_ii B_ii      for symmetric A and B.

T̂_k = g_kᵀ z_k is the case A = (P_k K + K P_k)/2, P_k the projection on the rows of term k; its diagonal is K's on these rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .. import arrays
from ..arrays import Array, Namespace
from ..errors import InvalidInput, ShapeError
from .average import check_alpha, check_average, check_whole, shares
from .probes import check_kind
from .ratio import weight_bias


def trace_variance(K: Array, /, *, probe: str = "normal") -> float:
    """Var Tr K̂ = Var gᵀK g: `2F` for normal probes, `2(F - d)` for signs, for which a diagonal K is no chance at all.

    K is (n, n), symmetric. Raises `ShapeError`, `NotFiniteError`, `InvalidInput` (not symmetric), `UnknownNameError` (probe), as
    all functions here. Source: Hutchinson 1990; Hirsch & Pichi 2025, Theorem 4, bounds the first by 4F. Cost: n² products.

    >>> import numpy as np
    >>> K = np.array([[2.0, 1.0], [1.0, 2.0]])
    >>> trace_variance(K), trace_variance(K, probe="rademacher")
    (20.0, 4.0)
    """
    K, xp = _symmetric(K, probe)
    diagonal = xp.linalg.diagonal(K)
    F, d = float(xp.sum(K * K)), float(xp.sum(diagonal * diagonal))
    return 2 * F if probe == "normal" else 2 * (F - d)


def trace_variances(K: Array, blocks: Mapping[str, slice], /, *, probe: str = "normal") -> dict[str, float]:
    """Var T̂_k for every term: `2‖K_kk‖² + Σ_{m≠k} ‖K_km‖²`, for signs less `2 Σ_{i∈k} K_ii²`; the diagonal of `trace_covariance`.

    >>> import numpy as np
    >>> trace_variances(np.array([[2.0, 1.0], [1.0, 3.0]]), {"first": slice(0, 1), "second": slice(1, 2)})
    {'first': 9.0, 'second': 19.0}
    """
    covariance = trace_covariance(K, blocks, probe=probe)
    return {name: float(covariance[i, i]) for i, name in enumerate(blocks)}


def trace_covariance(K: Array, blocks: Mapping[str, slice], /, *, probe: str = "normal") -> Array:
    """Cov(T̂_k, T̂_l) (M, M), rows and columns in the order of `blocks`: `‖K_kl‖²` off the diagonal, for either probe.

    On it stand the variances, `‖K_kk‖² + Σ_m ‖K_km‖²`, for signs less `2 Σ_{i∈k} K_ii²`. Blocks must not overlap.
    If they cover all rows, the sum of all entries is `trace_variance`.

    >>> import numpy as np
    >>> trace_covariance(np.array([[2.0, 1.0], [1.0, 3.0]]), {"first": slice(0, 1), "second": slice(1, 2)}, probe="rademacher")
    array([[1., 1.],
           [1., 1.]])
    """
    K, xp = _symmetric(K, probe)
    squares, diagonal = K * K, xp.linalg.diagonal(K)
    rows = _rows(blocks, K.shape[0])
    covariance = [[float(xp.sum(squares[k, l])) for l in rows] for k in rows]
    for i, k in enumerate(rows):
        covariance[i][i] += float(xp.sum(squares[k, :]))
        if probe == "rademacher":
            covariance[i][i] -= 2 * float(xp.sum(diagonal[k] * diagonal[k]))
    return arrays.like(covariance, K, xp=xp)


def block_trace_variances(K: Array, blocks: Mapping[str, slice], /, *, probe: str = "normal") -> dict[str, float]:
    """Var ‖J_kᵀ g_k‖² = Var g_kᵀ K_kk g_k, the samples of `estimate_block_traces`: `2‖K_kk‖²`, for signs less `2 Σ_{i∈k} K_ii²`.

    Against `trace_variances`, the blocks beside the diagonal are gone. Those of different terms are independent.

    >>> import numpy as np
    >>> block_trace_variances(np.array([[2.0, 1.0], [1.0, 3.0]]), {"first": slice(0, 1), "second": slice(1, 2)})
    {'first': 8.0, 'second': 18.0}
    """
    K, _ = _symmetric(K, probe)
    _rows(blocks, K.shape[0])
    return {name: trace_variance(K[rows, rows], probe=probe) for name, rows in blocks.items()}


def alternative_trace_covariance(K: Array, blocks: Mapping[str, slice], /) -> Array:
    """The covariance `2‖K_kl‖²` (M, M) of the terms' samples `‖J_k g‖²`, g normal: of Theorem 5's estimator as ε → 0.

    The quadratic form is now that of J_kᵀ J_k, and Tr(J_kᵀJ_k J_lᵀJ_l) = ‖K_kl‖². Against `trace_covariance` with normal probes,
    the variance of the whole trace is the same, and every term's own is smaller by the blocks beside the diagonal.

    >>> import numpy as np
    >>> alternative_trace_covariance(np.array([[2.0, 1.0], [1.0, 3.0]]), {"first": slice(0, 1), "second": slice(1, 2)})
    array([[ 8.,  2.],
           [ 2., 18.]])
    """
    K, xp = _symmetric(K, "normal")
    rows = _rows(blocks, K.shape[0])
    return arrays.like([[2 * float(xp.sum(K[k, l] * K[k, l])) for l in rows] for k in rows], K, xp=xp)


def ntk_mean_squared_error(K: Array, /, *, probe: str = "normal") -> float:
    """`E‖K̂ - K‖_F²` of one sample `K̂ = (z gᵀ + g zᵀ)/2`: `((n+2)F + T²)/2` for normal probes, `(nF + T² - 2d)/2` for signs.

    Source: `‖K̂‖² = (‖z‖²‖g‖² + (zᵀg)²)/2`. Hirsch & Pichi 2025, Theorem 4, bounds it by 2n(n+2)F.

    >>> import numpy as np
    >>> ntk_mean_squared_error(np.eye(2)), ntk_mean_squared_error(np.eye(2), probe="rademacher")
    (6.0, 2.0)
    """
    K, xp = _symmetric(K, probe)
    n, diagonal = K.shape[0], xp.linalg.diagonal(K)
    F, d, T = float(xp.sum(K * K)), float(xp.sum(diagonal * diagonal)), float(xp.sum(diagonal))
    return ((n + 2) * F + T * T) / 2 if probe == "normal" else (n * F + T * T - 2 * d) / 2


def ratio_bias(K: Array, blocks: Mapping[str, slice], /, *, probe: str = "normal") -> dict[str, float]:
    """`E λ̂_k - λ_k` of λ̂_k = T̂ / T̂_k to second order, T̂ = Σ T̂_l: `λ_k (Var T̂_k / T_k² - Cov(T̂, T̂_k) / (T T_k))`.

    Divide by N for means of N, or multiply by `moving_average_factor`. The expansion needs Var T̂_k ≪ T_k²; at N = 1 the expectation
    may not exist. Since Cov(T̂, T̂_k) ≤ 2 Var T̂_k, it is never negative for a term with at most half of the trace: this bias makes
    the large weights larger. Raises `TraceError` for a trace that is not positive.

    >>> import numpy as np
    >>> ratio_bias(np.diag([1.0, 3.0]), {"first": slice(0, 1), "second": slice(1, 2)})  # 4(2 - 2/4), (4/3)(18/9 - 18/12)
    {'first': 6.0, 'second': 0.6666666666666666}
    """
    covariance = trace_covariance(K, blocks, probe=probe)
    K, xp = _symmetric(K, probe)
    return weight_bias({name: float(xp.linalg.trace(K[rows, rows])) for name, rows in blocks.items()}, covariance)


def moving_average_factor(alpha: float, /, *, steps: int | None = None, samples: int = 1, correction: str = "none") -> float:
    """What the moving average makes of the variance of a sample while K stands still: the sum of the squares of its shares.

    In the end (`steps=None`) `α/(2-α)`, with "lag" corrected `α (1 + 4q + 5q²)/(1+q)³`, q = 1 - α. After t steps of Algorithm 3
    from the mean of N samples `q^2t / N + α (1 - q^2t)/(2-α)`. Raises `InvalidInput`.

    >>> moving_average_factor(0.5), moving_average_factor(0.5, steps=1, samples=4)  # 1/3, 1/16 + 1/4
    (0.3333333333333333, 0.3125)
    """
    check_alpha(alpha)
    check_average(correction, samples)
    q = 1 - alpha
    if steps is None:
        return alpha * (1 + 4 * q + 5 * q**2) / (1 + q) ** 3 if correction == "lag" else alpha / (2 - alpha)
    if correction == "none":
        check_whole("steps", steps, 0)
        left = q ** (2 * steps)
        return left / samples + alpha * (1 - left) / (2 - alpha)
    return float(moving_average_variance([1.0] * (steps + 1), alpha, samples=samples, correction=correction))


def moving_average_variance(variances: Sequence[Any], alpha: float, /, *, samples: int = 1, correction: str = "none") -> Any:
    """`V̄_t = w_0² V_0/N + Σ_{s=1..t} w_s² V_s`: the variance after t steps while K moves, `w = shares(α, t)`.

    For Algorithm 3, `(1-α)^2t V_0/N + α² Σ_{s=1..t} (1-α)^2(t-s) V_s`. `variances` are V_0, …, V_t of single samples, or their
    covariances (M, M); the average starts from the mean of N samples at step 0. Samples are independent.

    >>> moving_average_variance([8.0, 4.0], 0.5, samples=4)  # 8/4/4 + 4/4
    1.5
    """
    check_alpha(alpha)
    if len(variances) == 0:
        raise ShapeError("variances", "none", "give V_0, the variance of a sample at the start, and one for every step")
    found = shares(alpha, len(variances) - 1, samples=samples, correction=correction).tolist()
    found = [found[0] / math.sqrt(samples), *found[1:]]
    return sum(share**2 * variance for share, variance in zip(found, variances, strict=True))


def moving_average_bias(traces: Sequence[Any], alpha: float, /, *, samples: int = 1, correction: str = "none") -> Any:
    """`Σ_s w_s T_s - T_t`: by how much the average's mean misses the trace of the last step, from T_0, …, T_t of the full kernel.

    >>> moving_average_bias([0.0, 1.0, 2.0], 0.5), moving_average_bias([0.0, 1.0, 2.0], 0.5, correction="lag")
    (-0.75, 0.0)
    """
    if len(traces) == 0:
        raise ShapeError("traces", "none", "give T_0, the trace at the start, and one for every step")
    found = shares(alpha, len(traces) - 1, samples=samples, correction=correction).tolist()
    return sum(share * (trace - traces[-1]) for share, trace in zip(found, traces, strict=True))


def moving_average_lag(alpha: float, /, *, correction: str = "none") -> float:
    """`(1-α)/α`: by how many steps the average's mean lags, in the end, behind a trace that grows linearly; 0 with "lag" corrected.

    >>> moving_average_lag(0.1), moving_average_lag(0.1, correction="lag")
    (9.0, 0.0)
    """
    check_alpha(alpha)
    check_average(correction, 1)
    return 0.0 if correction == "lag" else (1 - alpha) / alpha


def _symmetric(K: Array, probe: str) -> tuple[Array, Namespace]:
    """K as a floating array (n, n), and its namespace; the formulas hold for symmetric K only."""
    check_kind("probe", probe)
    K = arrays.as_floats("K", K)
    xp = arrays.namespace(K)
    arrays.check_shape("K", K, (None, None))
    arrays.check_shape("K", K, (K.shape[0], K.shape[0]))
    arrays.check_finite("K", K, xp=xp)
    off, size = float(xp.max(xp.abs(K - K.T))), float(xp.max(xp.abs(K)))
    if off > math.sqrt(xp.finfo(K.dtype).eps) * size:
        raise InvalidInput("K", f"K - Kᵀ up to {off:.2g}", "pass a symmetric matrix")
    return K, xp


def _rows(blocks: Mapping[str, slice], n: int) -> list[slice]:
    """The blocks' rows, in order. Raises `ShapeError` where they leave the matrix or overlap."""
    taken = 0
    for name, rows in sorted(blocks.items(), key=lambda item: item[1].start):
        if not taken <= rows.start < rows.stop <= n:
            raise ShapeError(f"blocks[{name!r}]", rows, f"blocks must not overlap, and there are {n} rows")
        taken = rows.stop
    return list(blocks.values())
