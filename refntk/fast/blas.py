"""A matrix product added to what is there already, `out ← α A B + β out`: BLAS offers it and NumPy does not.

A gradient is a sum of such products, one for each stretch of rows. Summed by BLAS, the large products of a step of the wave problem
at the paper's size take 12.5 ms on two cores where NumPy's products and additions take 13.2 (AVX-512; with AVX2 19.8 and 19.4;
medians of 25). SciPy's own wrapper holds the interpreter's lock, so its function is called as it is.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from numba.extending import get_cython_function_address

from ..arrays import Array

NAMES = {"d": ("dgemm", ctypes.c_double), "f": ("sgemm", ctypes.c_float)}


@cache
def _gemm(kind: str) -> tuple[Callable[..., None], Callable[[float], Any]]:
    """The function for arrays of this type and its numbers."""
    name, number = NAMES[kind]
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 13)(get_cython_function_address("scipy.linalg.cython_blas", name))
    return call, number


def add_product(A: Array, B: Array, share: float, out: Array, *, fresh: bool = False) -> None:
    """`out ← share A B`, plus what is there unless `fresh`; matrices of one type, every row in one piece; A may be transposed.

    >>> import numpy as np
    >>> out = np.ones((2, 1))
    >>> add_product(np.array([[1.0, 2.0]]).T, np.array([[10.0]]), 0.5, out)
    >>> out
    array([[ 6.],
           [11.]])
    """
    transposed = not _in_rows(A)
    stored = A.T if transposed else A
    if A.shape[1] != B.shape[0] or out.shape != (A.shape[0], B.shape[1]) or not A.dtype == B.dtype == out.dtype:
        raise ValueError(f"product of {A.shape} {A.dtype} and {B.shape} {B.dtype} into {out.shape} {out.dtype}")
    if not all(map(_in_rows, (stored, B, out))):
        raise ValueError(f"product of strides {A.strides} and {B.strides} into {out.strides}: rows are not in one piece")
    call, number = _gemm(A.dtype.char)
    # BLAS reads columns where NumPy writes rows: what it sees is outᵀ = Bᵀ Aᵀ.
    sizes = [ctypes.c_int(size) for size in (B.shape[1], A.shape[0], A.shape[1])]
    (b, ld_b), (a, ld_a), (o, ld_o) = ((x.ctypes.data, ctypes.c_int(_leading(x))) for x in (B, stored, out))
    plain, other, alpha, beta = ctypes.c_char(b"N"), ctypes.c_char(b"T" if transposed else b"N"), number(share), number(not fresh)
    by = ctypes.byref
    call(by(plain), by(other), *map(by, sizes), by(alpha), b, by(ld_b), a, by(ld_a), by(beta), o, by(ld_o))


def _in_rows(x: Array) -> bool:
    """Whether every row is in one piece, and the next one behind it."""
    return bool((x.shape[1] < 2 or x.strides[1] == x.itemsize) and (x.shape[0] < 2 or x.strides[0] >= x.shape[1] * x.itemsize))


def _leading(x: Array) -> int:
    """From one row to the next; where there is but one row, its stride says nothing."""
    return int(x.strides[0]) // x.itemsize if x.shape[0] > 1 else max(1, x.shape[1])
