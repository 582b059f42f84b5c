"""One matrix product that NumPy does not offer: `out += alphaᵀ beta`, summed in place, through the BLAS that SciPy ships.

Gradients are sums of products over stretches of rows. With NumPy every stretch makes a matrix and adds it; here BLAS adds.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numba import njit
from numba.extending import get_cython_function_address

from ..arrays import Array

_GEMM = ctypes.CFUNCTYPE(None, *([ctypes.c_void_p] * 13))
_dgemm = _GEMM(get_cython_function_address("scipy.linalg.cython_blas", "dgemm"))
_sgemm = _GEMM(get_cython_function_address("scipy.linalg.cython_blas", "sgemm"))


def _product(gemm: Any) -> Any:
    @njit(nogil=True, error_model="numpy")
    def add(A: Any, first: int, D: Any, keep: float, out: Any) -> None:
        # Row-major outᵀ = Dᵀ A is what BLAS, column-major, calls gemm("N", "T") on (D, A).
        plain, transposed = np.array([110], dtype=np.int8), np.array([116], dtype=np.int8)
        sizes = np.array([D.shape[1], out.shape[0], A.shape[0], D.shape[1], A.shape[1], out.shape[1]], dtype=np.int32)
        factors = np.array([1.0, keep], dtype=out.dtype)
        gemm(
            plain.ctypes,
            transposed.ctypes,
            sizes[0:].ctypes,
            sizes[1:].ctypes,
            sizes[2:].ctypes,
            factors[0:].ctypes,
            D.ctypes,
            sizes[3:].ctypes,
            A[0, first:].ctypes,
            sizes[4:].ctypes,
            factors[1:].ctypes,
            out.ctypes,
            sizes[5:].ctypes,
        )

    return add


_add = {np.dtype(np.float64): _product(_dgemm), np.dtype(np.float32): _product(_sgemm)}


def add_product(A: Array, block: slice, D: Array, out: Array, *, keep: bool) -> None:
    """`out = A[:, block]ᵀ D`, plus what `out` held if `keep`; A (rows, in), D (rows, columns), all C-contiguous and of one type."""
    if A.shape[0] != D.shape[0] or out.shape != (block.stop - block.start, D.shape[1]):
        raise AssertionError("shapes of a product in place")
    _add[out.dtype](A, block.start, D, float(keep), out)
