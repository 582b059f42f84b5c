"""The averaged kernel's update in numba: twin of `estimation.average.average`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from ..arrays import Array, Namespace


@njit(nogil=True, cache=True, error_model="numpy")
def _average(K: Any, z: Any, g: Any, alpha: float, out: Any) -> None:
    for i in range(K.shape[0]):
        for j in range(K.shape[1]):
            out[i, j] = (1 - alpha) * K[i, j] + (alpha / 2) * (z[i] * g[j] + g[i] * z[j])


def average(K: Array, z: Array, g: Array, alpha: float, *, xp: Namespace) -> Array:
    """Twin of `estimation.average.average`: one pass over K, no outer product formed."""
    out = np.empty_like(K)
    _average(K, z, g, alpha, out)
    return out
