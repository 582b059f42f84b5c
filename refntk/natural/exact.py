"""Directions without chance: ENGD in either space, least squares, damped, and without squaring the condition number.

The loss ½‖r‖² has the gradient Jᵀr, the Gramian is G = JᵀJ, the kernel K = JJᵀ; then `G⁺Jᵀr = JᵀK⁺r`, also with both
pseudo-inverses truncated at the same eigenvalue. So ENGD costs an eigenproblem of the smaller of n and p.
"""

from __future__ import annotations

from .. import arrays
from ..arrays import Array
from ..errors import InvalidInput, UnknownNameError
from ..kernel.ntk import ntk
from ..kernel.operator import Linearization
from .gramian import Gramian
from .truncation import Direction, invert, rank

SPACES = ("sample", "parameter")


def engd(lin: Linearization, /, *, space: str | None = None, tol: float = 1e-13, relative: bool = True) -> Direction:
    """`G⁺Jᵀr` with the eigenvalues of G above `tol` times the largest (above `tol` where not `relative`).

    `space="parameter"`: from the eigenvectors of G, p² numbers. `space="sample"`: as JᵀK⁺r from those of K, n² numbers, without
    any array of n p or p² entries. The same direction; None takes the smaller. The cut decides where training ends: heat, 3×50, 990
    points, seed 17, ends at a relative L2 error of 1.6e-7 with 1e-13 and at 3.9e-8 with 1e-15, in about 30 steps either way.
    Raises `InvalidInput`.
    Source: Müller & Zeinhofer 2023, energy natural gradients; Best McKay et al. 2025, eqs. (4)-(6). Cost: n³ or p³.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(engd(lin).vector, 12)  # u = w x + b, zero at both ends: one step of length 1 solves it
    array([2. , 0.5])
    """
    if space not in (None, *SPACES):
        raise UnknownNameError("space", space, SPACES)
    xp, (n, p) = arrays.namespace(lin.residual), lin.shape
    if space == "sample" or (space is None and n <= p):
        eigenvalues, V = xp.linalg.eigh(ntk(lin))
        solved, kept = invert(eigenvalues, V, lin.residual, tol=tol, relative=relative)
        return Direction(lin.jacobian.T @ solved, xp.flip(eigenvalues), kept)
    eigenvalues, V = xp.linalg.eigh(Gramian(lin).dense())
    vector, kept = invert(eigenvalues, V, lin.jacobian.T @ lin.residual, tol=tol, relative=relative)
    return Direction(vector, xp.flip(eigenvalues), kept)


def least_squares(lin: Linearization, /, *, tol: float | None = None) -> Direction:
    """The shortest d that minimises ‖G d - Jᵀr‖, as Müller & Zeinhofer's code does.

    Singular values of G count above `tol` (None: p ε) times the largest. Cost: p³, several times that of `engd(space="parameter")`.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(least_squares(lin).vector, 12)
    array([2. , 0.5])
    """
    xp = arrays.namespace(lin.residual)
    U, s, Vh = xp.linalg.svd(Gramian(lin).dense(), full_matrices=False)
    kept = rank(s, tol=s.shape[0] * float(xp.finfo(s.dtype).eps) if tol is None else tol)
    return Direction(Vh[:kept, :].T @ ((U[:, :kept].T @ (lin.jacobian.T @ lin.residual)) / s[:kept]), s, kept)


def full_precision(lin: Linearization, /, *, tol: float = 1e-26, relative: bool = True, damping: float = 0.0) -> Direction:
    """The direction of `engd` from the singular values of J itself, whose condition number is not squared: `tol` may be 1e-26.

    `J = U S Vᵀ`, `d = V S(S² + μ)⁻¹ Uᵀ r`, truncated where S² is, so that one `tol` means the same everywhere; μ is
    `damping` times the largest S². Raises `InvalidInput`. Cost: n p min(n, p). Memory: n p numbers.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(full_precision(lin).vector, 12)
    array([2. , 0.5])
    """
    _check_damping(damping, damping >= 0.0)
    xp = arrays.namespace(lin.residual)
    U, s, Vh = xp.linalg.svd(lin.jacobian.dense(), full_matrices=False)
    kept = rank(s * s, tol=tol, relative=relative)
    U, S, Vh = U[:, :kept], s[:kept], Vh[:kept, :]
    return Direction(Vh.T @ ((U.T @ lin.residual) / (S + damping * s[0] ** 2 / S)), s * s, kept)


def damped(lin: Linearization, /, *, damping: float = 1e-12) -> Direction:
    """Levenberg's `(G + μI)⁻¹Jᵀr = Jᵀ(K + μI)⁻¹r`, μ = `damping` · Tr K, by one linear system of the smaller of n and p.

    No eigenvalue is computed and none is cut: λ counts with weight λ/(λ + μ). Source: Levenberg 1944, Marquardt 1963; Tr K is the
    scale because it costs nothing. Raises `InvalidInput`. Cost: n³/3 or p³/3, some ten times less than an eigenproblem.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(damped(lin).vector, 9)
    array([2. , 0.5])
    """
    _check_damping(damping, damping > 0.0)
    xp, (n, p) = arrays.namespace(lin.residual), lin.shape
    if n <= p:
        vector = lin.jacobian.T @ xp.linalg.solve(_shifted(ntk(lin), damping), lin.residual)
    else:
        vector = xp.linalg.solve(_shifted(Gramian(lin).dense(), damping), lin.jacobian.T @ lin.residual)
    return Direction(vector, arrays.zeros((0,), lin.residual, xp=xp), min(n, p))


def _shifted(matrix: Array, damping: float) -> Array:
    """The matrix plus `damping` times its trace on the diagonal."""
    xp = arrays.namespace(matrix)
    return matrix + damping * xp.linalg.trace(matrix) * arrays.like(xp.eye(matrix.shape[0]), matrix, xp=xp)


def _check_damping(value: float, fits: bool) -> None:
    if not fits:
        raise InvalidInput("damping", value, "give a share of the largest eigenvalue or of the trace that is not negative")
