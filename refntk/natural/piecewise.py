"""Two bases of the piecewise linear functions, one of them ill-conditioned: the closed matrices of Best McKay et al., appendix B.

On N equal subintervals of (-1, 1), h = 2/N, x_i = -1 + i h, functions with u(-1) = 0 are spanned by the hats ψ_1, ..., ψ_N, which
are 1 at one node and 0 at the others, and by the one-layer network of ReLUs φ_j = max(x - x_j, 0), j = 0, ..., N-1. Their Gramians
are mass matrices for data (M) and stiffness matrices for -u'' = f (K). With the second difference B (N, N), whose rows are 1, -2, 1
from the diagonal on, `h ψ = B φ`, so that

    M₁ = B M₂ Bᵀ / h²,    K₁ = B K₂ Bᵀ / h².

Where we depart from the paper: it has a symmetric D₂ for B, leaves out h², and is "not careful" at the ends. Its κ(M₁) = 3 is that
of the periodic M₁ (N even); at the free end κ → 4. Its K₂ = -(N/2) D₂⁻¹ should read -(2/N) D₂⁻¹ (the h² again), and its
D₂ c_{N-1} = 2 c_{N-1} - c_{N-2} has the wrong sign. κ(M₂) = O(N⁴) stands.
"""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput


def second_difference(N: int, /) -> np.ndarray:
    """B (N, N) with `h ψ = B φ`.

    >>> second_difference(3)
    array([[ 1., -2.,  1.],
           [ 0.,  1., -2.],
           [ 0.,  0.,  1.]])
    """
    _check(N)
    return np.eye(N) - 2 * np.eye(N, k=1) + np.eye(N, k=2)


def hat_mass(N: int, /, *, periodic: bool = False) -> np.ndarray:
    """M₁ (N, N) = ∫ ψ_i ψ_j: h/6 times 1, 4, 1; the last hat is cut in half, or all are whole on a circle.

    >>> 3 * hat_mass(2)
    array([[2. , 0.5],
           [0.5, 1. ]])
    """
    _check(N)
    M = 4 * np.eye(N) + np.eye(N, k=1) + np.eye(N, k=-1)
    if periodic:
        M[0, -1] += 1
        M[-1, 0] += 1
    else:
        M[-1, -1] = 2
    return M * (2 / N) / 6


def hat_stiffness(N: int, /) -> np.ndarray:
    """K₁ (N, N) = ∫ ψ_i' ψ_j': 1/h times -1, 2, -1, with 1 for the half hat.

    >>> hat_stiffness(2)
    array([[ 2., -1.],
           [-1.,  1.]])
    """
    _check(N)
    K = 2 * np.eye(N) - np.eye(N, k=1) - np.eye(N, k=-1)
    K[-1, -1] = 1
    return K * N / 2


def relu_mass(N: int, /) -> np.ndarray:
    """M₂ (N, N) = ∫ φ_i φ_j = l³/3 + l² |x_i - x_j|/2 with l = 1 - max(x_i, x_j).

    >>> 6 * relu_mass(2)
    array([[16.,  5.],
           [ 5.,  2.]])
    """
    length, apart = relu_stiffness(N), np.abs(np.subtract.outer(_nodes(N), _nodes(N)))
    return length**3 / 3 + length**2 * apart / 2


def relu_stiffness(N: int, /) -> np.ndarray:
    """K₂ (N, N) = ∫ φ_i' φ_j' = 1 - max(x_i, x_j).

    >>> relu_stiffness(2)
    array([[2., 1.],
           [1., 1.]])
    """
    return 1 - np.maximum.outer(_nodes(N), _nodes(N))


def _nodes(N: int) -> np.ndarray:
    """Where the ReLUs begin, x_0, ..., x_{N-1}."""
    _check(N)
    return -1 + 2 * np.arange(N) / N


def _check(N: int) -> None:
    if isinstance(N, bool) or not isinstance(N, int) or N < 2:
        raise InvalidInput("N", repr(N), "give a whole number of subintervals, at least 2")
