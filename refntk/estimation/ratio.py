"""The weight λ̂_k = T̂ / T̂_k as a random number: its bias to second order and its standard error to first, from means and covariance.

`T̂ = Σ T̂_l`. Both expansions are those of a ratio of two means (the delta method) and need `Var T̂_k ≪ T_k²`; what λ̂ is at fewer
samples than that, nobody can say: a trace near zero may stand in the denominator.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .. import arrays
from ..arrays import Array
from ..errors import ShapeError, TraceError
from .sketch import Estimate


def sample_covariance(probes: Array, products: Array, blocks: Mapping[str, slice], /) -> Array:
    """The covariance (M, M) of the means T̂_k of `estimate_traces` from the same probes and products (n, N), N > 1.

    Its diagonal holds the squares of their standard errors. In closed form it is `moments.trace_covariance(K, blocks) / N`.

    >>> import numpy as np
    >>> g, z = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[3.0, 1.0], [3.0, -1.0]])  # K = [[2, 1], [1, 2]]
    >>> sample_covariance(g, z, {"first": slice(0, 1), "second": slice(1, 2)})
    array([[1., 1.],
           [1., 1.]])
    """
    probes, products = arrays.as_floats("probes", probes), arrays.as_floats("products", products)
    xp = arrays.namespace(probes, products)
    arrays.check_shape("probes", probes, (None, None))
    arrays.check_shape("products", products, tuple(probes.shape))
    N = probes.shape[1]
    if N < 2:
        raise ShapeError("probes", f"{N} sample", "a spread needs at least two")
    samples = xp.stack([xp.sum((probes * products)[rows, :], axis=0) for rows in blocks.values()])  # (M, N)
    centred = samples - xp.mean(samples, axis=1, keepdims=True)
    return centred @ centred.T / (N * (N - 1))


def estimate_weights(traces: Mapping[str, float | Estimate], covariance: Array, /) -> dict[str, Estimate]:
    """Eq. (12) with standard errors: `λ̂_k = T̂ / T̂_k` and `Var λ̂_k = Σ_lm a_l C_lm a_m`, `a_l = (1 - λ̂_k [l = k]) / T̂_k`.

    `covariance` C (M, M) is that of the traces given, terms in their order: `sample_covariance`, or a closed form of `moments.py`.
    Raises `ShapeError`, and `TraceError` for a trace that is not positive.

    >>> import numpy as np
    >>> estimate_weights({"first": 2.0, "second": 6.0}, np.diag([0.25, 0.0]))  # λ = 1 + 6/T: |dλ/dT| = 6/4
    {'first': Estimate(value=4.0, stderr=0.75), 'second': Estimate(value=1.3333333333333333, stderr=0.08333333333333333)}
    """
    T, C = _checked(traces, covariance)
    total, found = sum(T.values()), {}
    for k, trace in enumerate(T.values()):
        weight = total / trace
        # a = (1 - λ e_k)/T_k, so aᵀCa = (1ᵀC1 - 2λ 1ᵀC e_k + λ² C_kk)/T_k²
        variance = (_sum(C) - 2 * weight * _sum(C[k, :]) + weight**2 * float(C[k, k])) / trace**2
        found[list(T)[k]] = Estimate(weight, math.sqrt(max(variance, 0.0)))
    return found


def weight_bias(traces: Mapping[str, float | Estimate], covariance: Array, /) -> dict[str, float]:
    """`E λ̂_k - λ_k` to second order, `λ_k (C_kk / T_k² - Σ_l C_kl / (T T_k))`, from traces and their covariance (M, M).

    >>> import numpy as np
    >>> weight_bias({"first": 1.0, "second": 3.0}, np.diag([2.0, 18.0]))  # 4(2 - 2/4), (4/3)(18/9 - 18/12)
    {'first': 6.0, 'second': 0.6666666666666666}
    """
    T, C = _checked(traces, covariance)
    total = sum(T.values())
    return {
        name: total / trace * (float(C[k, k]) / trace**2 - _sum(C[k, :]) / (total * trace))
        for k, (name, trace) in enumerate(T.items())
    }


def _checked(traces: Mapping[str, float | Estimate], covariance: Array) -> tuple[dict[str, float], Array]:
    C = arrays.as_floats("covariance", covariance)
    arrays.check_shape("covariance", C, (len(traces), len(traces)))
    values = {name: float(value) for name, value in traces.items()}
    for name, value in values.items():
        if not 0 < value < math.inf:
            raise TraceError(f"trace of {name!r}", value, "a weight, with its bias and error, needs a positive trace")
    return values, C


def _sum(array: Array) -> float:
    return float(arrays.namespace(array).sum(array))
