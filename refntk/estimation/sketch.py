"""Estimates of K and of its traces from products with random vectors: Hirsch & Pichi, Algorithm 2, and their Theorem 5.

Algorithm 2 takes θ̂ = θ + Δt Jᵀg and (R(θ̂) - R(θ))/Δt ≈ K g. It writes the step as -Δt Jᵀ Λ R with Λ = -diag(g) diag(R)⁻¹,
which is the same where no residual is zero and a division by zero elsewhere; so diag(R)⁻¹ is not formed here, and zero residuals
are harmless. The error of a product is O(Δt). The expectations of K̂ and Tr K̂ are off by O(Δt²) only: the leading term is even in
g and meets one more factor g, whose odd moments vanish. Rounding adds about |R|·1e-16/Δt.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus.network import MLP
from ..errors import ShapeError
from ..kernel.linearization import linearize
from ..kernel.operator import Linearization
from ..problems.base import Problem
from .difference import check_difference, check_step, slopes

BATCH_BYTES = 2**28  # what the directions Jᵀg of one batch of columns may take


@dataclass(frozen=True)
class Estimate:
    """A mean over samples, `value`, and its standard error, `stderr`: NaN where one sample says nothing about its own spread.

    >>> float(Estimate(2.0, 0.5))
    2.0
    """

    value: float
    stderr: float

    def __float__(self) -> float:
        return float(self.value)

    @classmethod
    def of(cls, samples: Array) -> Estimate:
        """The mean of independent samples (N,).

        >>> import numpy as np
        >>> Estimate.of(np.array([1.0, 3.0]))
        Estimate(value=2.0, stderr=1.0)
        """
        xp = arrays.namespace(samples)
        count, value = samples.shape[0], xp.mean(samples)
        spread = arrays.scalar(xp.sum((samples - value) ** 2))
        return cls(arrays.scalar(value), arrays.root(spread / (count - 1) / count) if count > 1 else math.nan)


def products(
    problem: Problem,
    network: MLP | None,
    theta: Array,
    points: Mapping[str, Array],
    probes: Array,
    /,
    dt: float | None = 1e-4,
    *,
    difference: str = "forward",
    scaling: str = "sum",
    quadrature: Mapping[str, Array] | None = None,
    engine: str = "reference",
) -> Array:
    """K G (n, N) up to the discretisation, for probes G (n, N), column by column: `(R(θ + Δt Jᵀg) - R(θ)) / Δt`.

    `difference="central"` takes `(R(θ + Δt Jᵀg) - R(θ - Δt Jᵀg)) / 2Δt`, whose error per product is O(Δt²) and not O(Δt).
    `dt=None` discretises nothing: K G = J (Jᵀ G) by an adjoint and a tangent pass a column. The other options are `linearize`'s.
    Source: Hirsch & Pichi 2025, Algorithm 2. Cost per column: an adjoint and a forward pass (central: two forward passes).
    Memory: products and a bounded batch of directions.

    Raises `ShapeError` and `NotFiniteError` for the probes, `InvalidInput` for a step that is not a positive number, that moves no
    parameter or that leads out of the floating-point numbers, and whatever `linearize` raises.

    >>> import numpy as np, refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
    >>> points = {"interior": [[0.3]], "boundary": [[0.0], [2.0]]}
    >>> z = products(problem, network, np.array([2.0, 0.5]), points, np.array([[1.0], [1.0], [-1.0]]), dt=0.5)
    >>> z[:, 0] + 0.0  # R is linear in θ, so every dt is exact: K = [[0, 0, 0], [0, 1, 1], [0, 1, 5]]
    array([ 0.,  0., -4.])
    """
    theta, probes = arrays.as_floats("theta", theta), arrays.as_floats("probes", probes)
    xp = arrays.namespace(theta, probes)

    def at(parameters: Array) -> Array:
        return linearize(problem, network, parameters, points, scaling=scaling, quadrature=quadrature, engine=engine)

    lin = at(theta)
    arrays.check_shape("probes", probes, (lin.shape[0], None))
    arrays.check_finite("probes", probes, xp=xp)
    check_step("dt", dt)
    check_difference(difference)
    step, J, found = max(1, BATCH_BYTES // (8 * lin.shape[1])), lin.jacobian, []
    for low in range(0, probes.shape[1], step):
        directions = J.T @ probes[:, low : min(low + step, probes.shape[1])]
        if dt is None:
            found.append(J @ directions)
        else:
            found.append(slopes(lambda t: at(t).residual, theta, directions, dt, difference=difference, start=lin.residual))
    return found[0] if len(found) == 1 else xp.concat(found, axis=1)


def estimate_ntk(probes: Array, products: Array, /) -> Array:
    """K̂ (n, n), symmetric to the last bit: the mean of `(z gᵀ + g zᵀ)/2` over the columns g of `probes` and z of `products` (n, N).

    Unbiased where z = K g, with the mean squared error `moments.ntk_mean_squared_error(K) / N`. Source: Hirsch & Pichi 2025,
    Algorithm 2. Raises `ShapeError` and `NotFiniteError`. Cost: one matrix product.

    >>> import numpy as np
    >>> estimate_ntk(np.array([[1.0], [-1.0]]), np.array([[3.0], [1.0]]))
    array([[ 3., -1.],
           [-1., -1.]])
    """
    probes, products, _ = _pair(probes, products)
    total = products @ probes.T  # (n, N) @ (N, n)
    return (total + total.T) / (2 * probes.shape[1])


def estimate_traces(probes: Array, products: Array, blocks: Mapping[str, slice], /) -> dict[str, Estimate]:
    """T̂_k = mean of g_kᵀ z_k for every term, `{term: Estimate(value, stderr)}`, from probes and products (n, N).

    Unbiased where z = K g, with the variances of `moments.trace_variances` divided by N. A small sample can be *negative*: then
    `weights.trace_ratio` raises, for no weight follows from it. With N = 1, `stderr` is NaN. The estimates of different terms are
    correlated; that of the whole trace, with its own standard error, is had with one block for all rows.
    Source: Hirsch & Pichi 2025, section 4. Raises `ShapeError` and `NotFiniteError`. Cost: n N products of numbers.

    >>> import numpy as np
    >>> g, z = np.array([[1.0, 1.0], [1.0, -1.0]]), np.array([[3.0, 1.0], [3.0, -1.0]])  # K = [[2, 1], [1, 2]]
    >>> estimate_traces(g, z, {"first": slice(0, 1), "second": slice(1, 2)})["first"]
    Estimate(value=2.0, stderr=1.0)
    """
    probes, products, xp = _pair(probes, products)
    return _over_blocks(probes * products, blocks, xp=xp)


def estimate_block_traces(lin: Linearization, probes: Array, /) -> dict[str, Estimate]:
    """Tr K_kk for every term as the mean of `‖J_kᵀ g_k‖² = g_kᵀ K_kk g_k` over probes (n, N), one term's rows at a time.

    Never negative, exact without any step, and free of the blocks K_km that make small traces noisy beside large ones: variance
    `moments.block_trace_variances(K, blocks) / N`, and independent from term to term. Raises `ShapeError` and `NotFiniteError`.
    Cost: an adjoint pass for every term and column, where Algorithm 2 has one and a forward pass for all terms.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> float(estimate_block_traces(lin, np.array([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]]))["boundary"])  # both signs
    6.0
    """
    probes = arrays.as_floats("probes", probes)
    xp = arrays.namespace(probes, lin.residual)
    arrays.check_shape("probes", probes, (lin.shape[0], None))
    arrays.check_finite("probes", probes, xp=xp)
    JT, found, step = lin.jacobian.T, {}, max(1, BATCH_BYTES // (8 * lin.shape[1]))
    for name, rows in lin.blocks.items():
        own = xp.zeros_like(probes)
        own[rows, :] = probes[rows, :]
        pulled = (JT @ own[:, low : min(low + step, own.shape[1])] for low in range(0, own.shape[1], step))
        found[name] = Estimate.of(xp.concat([xp.sum(p * p, axis=0) for p in pulled]))
    return found


def alternative_trace(
    problem: Problem,
    network: MLP | None,
    theta: Array,
    points: Mapping[str, Array],
    probes: Array,
    /,
    eps: float | None = 1e-4,
    *,
    scaling: str = "sum",
    quadrature: Mapping[str, Array] | None = None,
    engine: str = "reference",
) -> dict[str, Estimate]:
    """Tr K_kk for every term as the mean of `‖(R_k(θ + ε g) - R_k(θ)) / ε‖²`, g ~ N(0, I_p): `{term: Estimate(value, stderr)}`.

    `probes` (p, N) live in the space of the *parameters* and have variance 1. `eps=None` takes J g itself. The bias is O(ε²).
    Samples are never negative, and their variance as ε → 0 (`moments.alternative_trace_covariance`) is no larger than Algorithm 2's
    for any term; but nothing is learnt of K beside its diagonal. Source: Hirsch & Pichi 2025, Theorem 5, which writes N(0, ε² I_n)
    where p is meant, and whose (14) estimates the trace only after its norm is squared. Cost: one forward pass a column.

    Raises `ShapeError`, `NotFiniteError` and `InvalidInput` as `products` does.

    >>> import numpy as np, refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
    >>> points = {"interior": [[0.3]], "boundary": [[0.0], [2.0]]}
    >>> signs = np.array([[1.0, 1.0], [1.0, -1.0]])  # both, up to a common sign: nothing is left to chance
    >>> float(alternative_trace(problem, network, np.array([2.0, 0.5]), points, signs, eps=0.5)["boundary"])
    6.0
    """
    theta, probes = arrays.as_floats("theta", theta), arrays.as_floats("probes", probes)
    xp = arrays.namespace(theta, probes)

    def at(parameters: Array) -> Array:
        return linearize(problem, network, parameters, points, scaling=scaling, quadrature=quadrature, engine=engine)

    lin = at(theta)
    arrays.check_shape("probes", probes, (lin.shape[1], None))
    arrays.check_finite("probes", probes, xp=xp)
    check_step("eps", eps)
    if eps is None:
        tangents = lin.jacobian @ probes
    else:
        tangents = slopes(lambda t: at(t).residual, theta, xp.astype(probes, theta.dtype), eps, start=lin.residual)
    return _over_blocks(tangents * tangents, lin.blocks, xp=xp)


def clip(K: Array, /) -> Array:
    """Max(K, 0) entry by entry (Hirsch & Pichi 2025, Remark 6).

    Condition: the clipped estimate is nearer to K, sample by sample, if *K has no negative entry*. The remark leaves this out; but
    K_ij = ⟨∇R_i, ∇R_j⟩ is often negative, and clipping then adds a bias which no number of samples removes.

    >>> import numpy as np
    >>> clip(np.array([[2.0, -1.0], [-1.0, 2.0]]))
    array([[2., 0.],
           [0., 2.]])
    """
    K = arrays.as_floats("K", K)
    xp = arrays.namespace(K)
    arrays.check_finite("K", K, xp=xp)  # NaN > 0 is false: it would come out as 0
    return xp.where(K > 0, K, xp.zeros_like(K))


def _over_blocks(samples: Array, blocks: Mapping[str, slice], *, xp: Namespace) -> dict[str, Estimate]:
    """Samples (n, N) summed over the rows of each block, with mean and standard error over the columns."""
    for name, rows in blocks.items():
        if not 0 <= rows.start < rows.stop <= samples.shape[0]:
            raise ShapeError(f"blocks[{name!r}]", rows, f"there are {samples.shape[0]} rows")
    return {name: Estimate.of(xp.sum(samples[rows, :], axis=0)) for name, rows in blocks.items()}


def _pair(probes: Array, products: Array) -> tuple[Array, Array, Namespace]:
    """Probes and products as floating arrays of one library and one shape, finite."""
    probes, products = arrays.as_floats("probes", probes), arrays.as_floats("products", products)
    xp = arrays.namespace(probes, products)
    arrays.check_shape("probes", probes, (None, None))
    arrays.check_shape("products", products, tuple(probes.shape))
    arrays.check_finite("probes", probes, xp=xp)
    arrays.check_finite("products", products, xp=xp)
    probes, products = arrays.widen(probes, products, xp=xp)
    return probes, products, xp
