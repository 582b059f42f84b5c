"""The Gramian of a linearization, G = JᵀJ, as an operator, and the same rows under another curvature."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import arrays
from ..arrays import Array
from ..engine import Engine
from ..errors import InvalidInput
from ..kernel.gram import RowFactors
from ..kernel.operator import Jacobian, Linearization, Seeds, pair


@dataclass(frozen=True)
class Gramian:
    """G = JᵀJ (p, p) of the scaled rows as an operator: `.shape`, `G @ v` for (p,) or (p, k), `.dense()`.

    With `scaling="quadrature"` it is the Gramian of Best McKay et al. 2025, eq. (6), and `G @ Y` is their eq. (7). G and the kernel
    K = JJᵀ share their non-zero eigenvalues. Cost of a product: a tangent and an adjoint pass a column. Names follow SciPy's
    LinearOperator.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> Gramian(lin).dense() + 0.0  # u = w x + b: rows of J are (0, 0), (0, 1), (2, 1)
    array([[4., 2.],
           [2., 2.]])
    """

    lin: Linearization

    @property
    def shape(self) -> tuple[int, int]:
        """(p, p)."""
        return self.lin.shape[1], self.lin.shape[1]

    @property
    def dtype(self) -> Any:
        """The type of the entries."""
        return self.lin.residual.dtype

    @property
    def T(self) -> Gramian:
        """Itself."""
        return self

    def __matmul__(self, other: Array) -> Array:
        """The product with a vector (p,) or a matrix (p, k). Raises `ShapeError`."""
        J = self.lin.jacobian
        return J.T @ (J @ other)

    def matvec(self, v: Array) -> Array:
        """`self @ v`, under SciPy's name."""
        return self @ v

    matmat = rmatvec = rmatmat = matvec

    def dense(self) -> Array:
        """The matrix itself, from stretches of rows. Cost: n p². Memory: p², and the rows of one stretch."""
        xp = arrays.namespace(self.lin.residual)
        G = arrays.zeros(self.shape, self.lin.residual, xp=xp)
        for _, factors in self.lin.factors():
            J = xp.concat([f.dense(xp=xp) for f in factors], axis=1)  # (rows, p)
            G = G + J.T @ J
        return G


@dataclass(frozen=True, eq=False)
class Curved:
    """The rows of `lin` for a loss Σ ℓ_i(R_i) other than ½‖R‖²: with c = ℓ'(R) and H = ℓ''(R) ≥ 0, both (n,), it stands for

        the Gramian JᵀHJ (rows scaled by √H) and the gradient Jᵀc (residual c/√H),

    so every direction made for ½‖R‖² serves: loss weights are H = λ and c = λR. A linearization itself; a row with H = 0 counts for
    nothing, its gradient neither. Raises `ShapeError`, `NotFiniteError`, `InvalidInput` for a negative curvature.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> weight = np.array([1.0, 1.0, 9.0])
    >>> rn.ntk_diagonal(Curved(lin, weight, weight * lin.residual))  # 0, 1, 5 with unit weights
    array([ 0.,  1., 45.])
    """

    lin: Linearization
    curvature: Array
    cotangent: Array

    def __post_init__(self) -> None:
        xp = arrays.namespace(self.lin.residual, self.curvature, self.cotangent)
        for name in ("curvature", "cotangent"):
            arrays.check_shape(name, getattr(self, name), (self.lin.shape[0],))
            arrays.check_finite(name, getattr(self, name), xp=xp)
        if bool(xp.any(self.curvature < 0)):
            raise InvalidInput("curvature", "a negative entry", "a Gramian needs a loss that is convex in every row")

    @cached_property
    def root(self) -> Array:
        """√H, (n,)."""
        return arrays.namespace(self.curvature).sqrt(self.curvature)

    @cached_property
    def residual(self) -> Array:
        """c/√H, (n,), 0 where H is."""
        xp = arrays.namespace(self.root)
        flat = self.root == 0
        return xp.where(flat, xp.zeros_like(self.root), self.cotangent / xp.where(flat, xp.ones_like(self.root), self.root))

    @property
    def engine(self) -> Engine:
        """That of the rows."""
        return self.lin.engine

    @property
    def blocks(self) -> Mapping[str, slice]:
        """Those of the rows."""
        return self.lin.blocks

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        return self.lin.shape

    @property
    def jacobian(self) -> Jacobian:
        """√H J as an operator."""
        return Jacobian(self)

    @property
    def compact(self) -> bool:
        """That of the rows."""
        return self.lin.compact

    def jvp(self, directions: Array) -> Array:
        """√H J V, (n, k)."""
        return self.root[:, None] * self.lin.jvp(directions)

    def vjp(self, cotangents: Array) -> Array:
        """Jᵀ √H W, (p, k)."""
        return self.lin.vjp(self.root[:, None] * cotangents)

    def dense(self) -> Array:
        """√H J, (n, p)."""
        return self.root[:, None] * self.lin.dense()

    def gradient(self, weights: Mapping[str, float]) -> Array:
        """`Jᵀ Λ c` (p,) with one weight a term."""
        xp = arrays.namespace(self.root)
        weighted = xp.concat([weights[name] * self.residual[rows] for name, rows in self.blocks.items()])
        return self.vjp(weighted[:, None])[:, 0]

    def factors(
        self, after: int = 0, *, seeds: Seeds | None = None, then: Callable[[slice, list[RowFactors]], Any] = pair
    ) -> Iterable[Any]:
        """`then` of the rows' Gram factors, each row scaled by its root (and by its seed)."""

        def scaled(rows: slice, residual: Array) -> Array:
            return self.root[rows] if seeds is None else self.root[rows] * seeds(rows, self.residual[rows])

        return self.lin.factors(after, seeds=scaled, then=then)
