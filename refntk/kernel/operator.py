"""What the rest of the house asks of a residual at some θ: R, and J as an operator, a shape and two products."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .. import arrays
from ..arrays import Array
from ..engine import Engine
from ..errors import ShapeError
from .gram import RowFactors

Seeds = Callable[[slice, Array], Array]  # rows and their residual -> what multiplies them, (rows,)


def pair(rows: slice, factors: list[RowFactors]) -> tuple[slice, list[RowFactors]]:
    """A stretch of rows with its factors."""
    return rows, factors


class Linearization(Protocol):
    """What the rest of the house asks of R and J at some θ; anything that offers this can be weighted, sketched and judged."""

    @property
    def engine(self) -> Engine:
        """Whose primitives form the Gram products."""

    @property
    def residual(self) -> Array:
        """R(θ), scaled rows, (n,)."""

    @property
    def blocks(self) -> Mapping[str, slice]:
        """The rows of every term."""

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p): rows of R, parameters."""

    @property
    def jacobian(self) -> Jacobian:
        """J as an operator."""

    def jvp(self, directions: Array) -> Array:
        """J V for directions (p, k): (n, k)."""

    def vjp(self, cotangents: Array) -> Array:
        """Jᵀ W for cotangents (n, k): (p, k)."""

    @property
    def compact(self) -> bool:
        """Whether the factors of all rows may be held at once."""

    def gradient(self, weights: Mapping[str, float]) -> Array:
        """`Jᵀ Λ R` (p,) with one weight a term."""

    def factors(
        self, after: int = 0, *, seeds: Seeds | None = None, then: Callable[[slice, list[RowFactors]], Any] = pair
    ) -> Iterable[Any]:
        """`then` of stretches of rows that end beyond row `after` and of the factors from which their Gram products are had.

        With `seeds(rows, residual)` every row is multiplied by its seed, at no cost: the adjoint pass begins with it.
        """

    def dense(self) -> Array:
        """J itself, (n, p)."""


@dataclass(frozen=True)
class Jacobian:
    """J = ∂R/∂θ as an operator: `.shape`, `J @ v`, `J.T @ w` for vectors and for matrices column by column, `.dense()`.

    It follows SciPy's LinearOperator in its names (`matvec`, `rmatvec`, `matmat`, `rmatmat`, `dtype`), so
    `scipy.sparse.linalg.aslinearoperator(J)` works.
    """

    linearization: Linearization
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p), or (p, n) for the transpose."""
        n, p = self.linearization.shape
        return (p, n) if self.transposed else (n, p)

    @property
    def dtype(self) -> Any:
        """The type of the entries."""
        return self.linearization.residual.dtype

    @property
    def T(self) -> Jacobian:
        """The transpose, also an operator."""
        return Jacobian(self.linearization, not self.transposed)

    def __matmul__(self, other: Array) -> Array:
        """The product with a vector (k,) or a matrix (k, columns).

        Raises `ShapeError` where k does not fit, `InvalidInput` for an operand of another library.
        """
        other, k = arrays.as_floats("operand", other), self.shape[1]
        if other.ndim not in (1, 2) or other.shape[0] != k or 0 in other.shape:
            raise ShapeError("operand", f"shape {tuple(other.shape)}", f"expected ({k},) or ({k}, columns)")
        xp = arrays.namespace(other, self.linearization.residual)
        if other.dtype != self.dtype:
            other = xp.astype(other, self.dtype)
        product = self.linearization.vjp if self.transposed else self.linearization.jvp
        return product(other[:, None])[:, 0] if other.ndim == 1 else product(other)

    def dense(self) -> Array:
        """The matrix itself. Cost and memory: n·p entries."""
        matrix = self.linearization.dense()
        return matrix.T if self.transposed else matrix

    def matvec(self, v: Array) -> Array:
        """`self @ v`, under SciPy's name."""
        return self @ v

    matmat = matvec

    def rmatvec(self, w: Array) -> Array:
        """`self.T @ w`, under SciPy's name."""
        return self.T @ w

    rmatmat = rmatvec
