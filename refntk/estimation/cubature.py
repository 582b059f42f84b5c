"""Expectations over probes without chance: every sign vector, or a product of Gauss-Hermite rules, each node with its probability.

The sum of f(column) times probability over the columns is E f(g): for signs, whatever f is; for normals, if f is a polynomial whose
degree in each entry is below twice the number of nodes. Moments and biases are checked with these, to rounding.
"""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput

MOST = 2**22  # entries of the nodes, 32 MiB


def all_signs(n: int, /) -> tuple[np.ndarray, np.ndarray]:
    """Every sign vector, (n, 2ⁿ), and its probability, (2ⁿ,). Raises `InvalidInput` where there are too many to write down.

    >>> all_signs(2)
    (array([[-1., -1.,  1.,  1.],
           [-1.,  1., -1.,  1.]]), array([0.25, 0.25, 0.25, 0.25]))
    """
    return _product(np.array([-1.0, 1.0]), np.array([0.5, 0.5]), n)


def gauss_hermite(n: int, nodes: int, /) -> tuple[np.ndarray, np.ndarray]:
    """The product rule for g ~ N(0, I_n) with `nodes` abscissae an entry: (n, nodesⁿ) and (nodesⁿ,). Raises `InvalidInput`.

    >>> g, probability = gauss_hermite(2, 3)
    >>> [round(float(probability @ (g[0] ** k * g[1] ** 2)), 12) for k in (2, 4)]  # E g² = 1, E g⁴ = 3
    [1.0, 3.0]
    """
    abscissae, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return _product(abscissae, weights / np.sqrt(2 * np.pi), n)


def _product(nodes: np.ndarray, weights: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    if n < 1 or n * len(nodes) ** n > MOST:
        raise InvalidInput("n", n, f"with {len(nodes)} nodes an entry, choose n >= 1 with n · {len(nodes)}ⁿ <= {MOST}")
    grid = np.indices((len(nodes),) * n).reshape(n, -1)
    return nodes[grid], np.prod(weights[grid], axis=0)
