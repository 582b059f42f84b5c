"""Many networks with one hidden layer at once: a sum over neurons does not ask whose neurons they are.

With fields Du, one operator at one point, and P = ∂(rows)/∂(fields), a network `u = q Σ_k a_k σ(w_k·x + b_k) + c` has

    J = P [q X, D1],    K = P (q² X Xᵀ + D1 D1ᵀ) Pᵀ,    X = [a ∇φ_D, φ_D],   φ_D = D σ(w·x + b),   ∇ with respect to (w, b),

three numbers or more for every neuron. So the neurons of all draws stand side by side in one array, and one X Xᵀ serves every
scale q and every output bias c. The numbers are those of `linearize` and `ntk` up to rounding; spared is the time between two
calls of NumPy, of which small networks take most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..calculus.network import MLP
from ..kernel import neuron
from ..kernel.residual import row_scales
from ..problems.base import Problem

Points = Mapping[str, np.ndarray]
NEURONS = 4096  # so many at once: their jets stay in the cache


def together(width: int, /) -> int:
    """How many networks of that width to take at once.

    >>> together(16), together(8192)
    (256, 1)
    """
    return max(1, NEURONS // width)


@dataclass(frozen=True, eq=False)
class Fields:
    """Of B networks of scale 1 and without output bias the fields (B, F) and X (B, F, p - 1), of the constant 1 the fields (F,).

    Fields are ordered by term, operator, site, point; X as θ without the output bias.
    """

    values: np.ndarray
    slopes: np.ndarray
    ones: np.ndarray

    @cached_property
    def gram(self) -> np.ndarray:
        """X Xᵀ, (B, F, F)."""
        return self.slopes @ self.slopes.mT


def fields(problem: Problem, network: MLP, theta: np.ndarray, points: Points, /) -> Fields:
    """The `Fields` of networks with one hidden layer and one output at θ (B, p).

    >>> from refntk import MLP, problems
    >>> theta = np.array([[1.0, 0.0, 2.0, 0.5]])  # 2 tanh x; the output bias is left out
    >>> x = {"interior": np.array([[0.0]]), "boundary": np.array([[0.0], [1.0]])}
    >>> at = fields(problems.get("poisson1d"), MLP([1, 1, 1]), theta, x)
    >>> bool(np.allclose(at.values, [[0, 0, 2 * np.tanh(1)]])), at.ones
    (True, array([0., 1., 1.]))
    """
    count, width = len(theta), network.sizes[1]
    hidden = theta[:, :-1].reshape(count, network.inputs + 2, width)  # rows of W, b, a
    a = hidden[:, -1]
    neurons = np.moveaxis(hidden[:, :-1], 1, 2).reshape(count * width, network.inputs + 1)
    stacks = [(term.operators, term.sites(points[term.name], xp=np).reshape(-1, network.inputs)) for term in problem.terms]
    slopes = np.empty((count, sum(len(operators) * len(x) for operators, x in stacks), *hidden.shape[1:]))
    start, zero = 0, (0,) * network.inputs
    for operators, x in stacks:
        for found in neuron.features(network, operators, x, neurons, xp=np):
            phi = np.moveaxis(found.reshape(-1, len(x), count, width), 2, 0)  # (B, 1 + dimension + 1, n, N)
            own = slopes[:, start : start + len(x)]
            np.multiply(np.moveaxis(phi[:, 1:], 1, 2), a[:, None, None], out=own[:, :, :-1])
            own[:, :, -1] = phi[:, 0]
            start += len(x)
    values = (slopes[:, :, -1] @ a[..., None])[..., 0]
    ones = [np.full(len(x), float(operator.coefficient(zero))) for operators, x in stacks for operator in operators]
    return Fields(values, slopes.reshape(*values.shape, -1), np.concatenate(ones))


def rows(problem: Problem, points: Points, at: np.ndarray, /, *, scaling: str = "sum") -> tuple[np.ndarray, np.ndarray]:
    """R (B, n) and P (B, n, F) where the fields are `at` (B, F), rows ordered and scaled as those of `linearize`.

    >>> from refntk import problems
    >>> points = {"interior": np.array([[0.5, 0.5]]), "boundary": np.array([[0.0, 0.0]])}
    >>> R, P = rows(problems.get("eikonal"), points, np.array([[3.0, 4.0, 0.0]]))  # u_x² + u_y² - 1
    >>> float(R[0, 0]), P[0, 0]
    (24.0, array([6., 8., 0.]))
    """
    count, scales = len(at), row_scales(problem, points, scaling)
    residuals, blocks, start = [], [], 0
    for term in problem.terms:
        x, m = points[term.name], term.components
        sites, n, dimension = term.sites(x, xp=np).shape
        many = np.broadcast_to(x, (count, n, dimension)).reshape(count * n, dimension)  # each network has points of its own
        stop = start + len(term.operators) * sites * n
        own = at[:, start:stop].reshape(count, len(term.operators), sites, n)
        own = np.moveaxis(own, 0, 2).reshape(-1, sites, count * n, 1)
        residuals.append(scales[term.name] * term.residual(many, *own, xp=np).reshape(count, n * m))
        partials = [np.broadcast_to(p, (sites, count * n, m, 1)) for p in term.partials(many, *own, xp=np)]
        by_point = np.stack(partials).reshape(-1, sites, count, n, m, 1) * np.eye(n)[:, None, :]
        block = np.zeros((count, n * m, at.shape[1]))
        block[:, :, start:stop] = scales[term.name] * np.moveaxis(by_point, (0, 1), (3, 4)).reshape(count, n * m, -1)
        blocks.append(block)
        start = stop
    return np.concatenate(residuals, axis=1), np.concatenate(blocks, axis=1)


def kernels(problem: Problem, points: Points, at: Fields, /, *, scale: float, bias: float | np.ndarray) -> np.ndarray:
    """K (B, n, n) of those networks with another scale of the output and output biases, one number or (B,).

    >>> from refntk import MLP, problems
    >>> x = {"interior": np.array([[0.0]]), "boundary": np.array([[0.0], [1.0]])}
    >>> at = fields(problems.get("poisson1d"), MLP([1, 1, 1]), np.zeros((1, 4)), x)
    >>> kernels(problems.get("poisson1d"), x, at, scale=0.5, bias=0.0)[0] + 0.0  # nothing acts but the output bias
    array([[0., 0., 0.],
           [0., 1., 1.],
           [0., 1., 1.]])
    """
    _, P = rows(problem, points, scale * at.values + np.multiply.outer(bias, at.ones))
    return P @ (scale**2 * at.gram + np.outer(at.ones, at.ones)) @ P.mT


def jacobians(
    problem: Problem, network: MLP, theta: np.ndarray, points: Points, /, *, scaling: str = "sum"
) -> tuple[np.ndarray, np.ndarray]:
    """R (B, n) and J (B, n, p) at θ (B, p), those of `linearize`.

    >>> from refntk import MLP, problems
    >>> theta, x = np.array([[1.0, 0.0, 2.0, 0.5]]), {"interior": np.array([[0.3]]), "boundary": np.array([[0.0], [1.0]])}
    >>> R, J = jacobians(problems.get("poisson1d"), MLP([1, 1, 1]), theta, x)
    >>> bool(np.allclose(R[0, 1:], [0.5, 2 * np.tanh(1.0) + 0.5])), J[0, :, -1]  # ∂/∂b has no effect on u''
    (True, array([0., 1., 1.]))
    """
    at, scale = fields(problem, network, theta, points), network.scales[-1]
    R, P = rows(problem, points, scale * at.values + theta[:, -1:] * at.ones, scaling=scaling)
    return R, np.concatenate([scale * (P @ at.slopes), (P @ at.ones)[..., None]], axis=2)
