"""The trace of a symmetric operator, with its large eigenvalues taken out of chance: Hutch++ and XTrace.

The range of A is sketched, the trace on it is exact, and only what is left is estimated: N products give an error of O(1/N) where
Hutchinson's have O(1/√N), and next to none where the spectrum falls fast, as that of a kernel does. A is `product(V) = A V`:
`lambda V: ntk_product(lin, V)` for K, `term_product(lin, term)` for a block on its diagonal. Probes are (n, N), from `probes.draw`.
"""

from __future__ import annotations

from collections.abc import Callable

from .. import arrays
from ..arrays import Array, Namespace
from ..errors import UnknownNameError
from ..kernel.ntk import ntk_product
from ..kernel.operator import Linearization
from .sketch import Estimate

Product = Callable[[Array], Array]


def term_product(lin: Linearization, term: str, /) -> Product:
    """`V (n_k, m) ↦ K_kk V`, of the rows of one term. Raises `UnknownNameError`. Cost: m adjoint and m tangent passes.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> term_product(lin, "boundary")(np.eye(2))
    array([[1., 1.],
           [1., 5.]])
    """
    if term not in list(lin.blocks):
        raise UnknownNameError("term", term, lin.blocks)
    rows, n = lin.blocks[term], lin.shape[0]

    def product(V: Array) -> Array:
        xp, m = arrays.namespace(V), V.shape[1]
        above, below = (arrays.zeros((size, m), V, xp=xp) for size in (rows.start, n - rows.stop))
        return ntk_product(lin, xp.concat([above, V, below]))[rows, :]

    return product


def hutch_plus_plus(product: Product, test: Array, probes: Array, /) -> Estimate:
    """Tr A: exact on the range Q of `A test`, and gᵀ(I - QQᵀ)A(I - QQᵀ)g in the mean over `probes` (n, N), independent of `test`.

    Unbiased. Given Q, its variance is `moments.trace_variance((I - QQᵀ) A (I - QQᵀ)) / N`. Raises `ShapeError`, `NotFiniteError`.
    Source: Meyer, Musco, Musco & Woodruff 2021, with as many columns in `test` (n, m) as probes. Cost: at most 2m + N products.

    >>> import numpy as np
    >>> A = np.outer([3.0, 4.0], [3.0, 4.0])  # of rank 1: nothing is left to chance
    >>> round(float(hutch_plus_plus(lambda V: A @ V, np.array([[1.0], [0.0]]), np.array([[1.0], [1.0]]))), 12)
    25.0
    """
    test, probes, xp = _checked(test, probes)
    Q, _ = _range(product(test), xp=xp)
    outside = probes - Q @ (Q.T @ probes)
    rest = Estimate.of(xp.sum(outside * product(outside), axis=0))
    return Estimate(float(xp.sum(Q * product(Q))) + rest.value, rest.stderr)


def xtrace(product: Product, probes: Array, /) -> Estimate:
    """Tr A from probes (n, N) that serve for everything: each is tried on what the range Q_i of the N - 1 others leaves.

    `t_i = Tr Q_iᵀ A Q_i + g_iᵀ(I - Q_iQ_iᵀ)A(I - Q_iQ_iᵀ)g_i`; their mean is unbiased, whatever the order of the probes. The
    standard error is that of independent t_i, which they are not quite. Raises `ShapeError`, `NotFiniteError`.
    Source: Epperly, Tropp & Webber 2024. Cost: at most 2N products.

    >>> import numpy as np
    >>> A = np.outer([3.0, 4.0], [3.0, 4.0])
    >>> round(float(xtrace(lambda V: A @ V, np.array([[1.0, 1.0], [1.0, -1.0]]))), 12)
    25.0
    """
    _, probes, xp = _checked(probes, probes)
    Y = product(probes)
    Q, left = _range(Y, xp=xp)
    Z, W = product(Q), Q.T @ probes
    # Q_iQ_iᵀ = Q(I - s_i s_iᵀ)Qᵀ, s_i the direction in Q that only product i reaches: no QR is done anew
    S = W - left * xp.sum(left * W, axis=0)  # (I - s_i s_iᵀ) Qᵀ g_i, column by column
    outside = xp.sum((probes - Q @ S) * (Y - Z @ S), axis=0)
    taken = xp.sum(left * (Q.T @ Z @ left), axis=0)
    return Estimate.of(xp.sum(Q * Z) - taken + outside)


def _range(Y: Array, *, xp: Namespace) -> tuple[Array, Array]:
    """An orthonormal basis Q (n, r) of the range of Y (n, N), and s (r, N): what of it is lost without column i, as a unit vector.

    Nothing is lost, and s_i is 0, where the other columns reach as far; V being the right singular vectors, unless row i of V has
    norm 1.
    """
    U, sigma, Vt = xp.linalg.svd(Y, full_matrices=False)
    eps = xp.finfo(Y.dtype).eps
    rank = max(1, int(xp.sum(xp.astype(sigma > sigma[0] * max(Y.shape) * eps, xp.int64))))
    Vt, sigma = Vt[:rank, :], sigma[:rank]
    alone = xp.sum(Vt * Vt, axis=0) > 1 - eps**0.5
    s = Vt / xp.where(sigma > 0, sigma, xp.ones_like(sigma))[:, None]
    norms = xp.sqrt(xp.sum(s * s, axis=0))
    Q = xp.where(sigma > 0, U[:, :rank], xp.zeros_like(U[:, :rank]))  # the range of zeros holds nothing
    return Q, xp.where(alone, s / xp.where(alone, norms, xp.ones_like(norms)), xp.zeros_like(s))


def _checked(test: Array, probes: Array) -> tuple[Array, Array, Namespace]:
    test, probes = arrays.as_floats("test", test), arrays.as_floats("probes", probes)
    xp = arrays.namespace(test, probes)
    arrays.check_shape("probes", probes, (None, None))
    arrays.check_shape("test", test, (probes.shape[0], None))
    arrays.check_finite("probes", probes, xp=xp)
    arrays.check_finite("test", test, xp=xp)
    test, probes = arrays.widen(test, probes, xp=xp)
    return test, probes, xp
