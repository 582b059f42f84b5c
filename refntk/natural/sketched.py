"""Directions by chance: SNGD as in Algorithm 1 of Best McKay et al. 2025, its error bound, and the Nyström approximation of K.

Algorithm 1 sketches the Gramian, A = G M, in parameter space; the Nyström method sketches the kernel in sample space.
"""

from __future__ import annotations

import math

from .. import arrays
from ..arrays import Array
from ..errors import InvalidInput, ShapeError
from ..estimation import probes
from ..kernel.ntk import ntk_product
from ..kernel.operator import Linearization
from .gramian import Gramian
from .truncation import Direction, invert
from .truncation import rank as numerical_rank


def sngd(
    lin: Linearization,
    /,
    *,
    rank: int | None = None,
    oversampling: int | None = None,
    size: int = 200,
    passes: int = 2,
    tol: float = 1e-13,
    relative: bool = False,
    probe: str = "normal",
    key: int = 17,
    stream: int = 0,
) -> Direction:
    """`U D⁺ Uᵀ Jᵀr` from a sketch A = G M of `rank + oversampling` columns: one step of Algorithm 1.

    `A = Q R`, `T = QᵀA (QᵀM)⁻¹` with `passes=1` and `T = QᵀGQ` with 2, `T = S Λ Sᵀ`, `U = Q S`, and the eigenvalues above `tol`
    (absolute, as there) are inverted; the `rank` of the answer is that of the next step. Where either number is missing, both
    come from `initial_sketch`. M is drawn by `probes.draw(probe, ..., key=key, stream=stream)`. With one pass T is symmetric in
    exact arithmetic only, so its symmetric part is taken. Columns beyond min(n, p) are left out: G has no larger rank.
    Raises `InvalidInput`. Cost: `passes` tangent and adjoint passes a column, p columns². Memory: p numbers a column.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(sngd(lin, rank=1, oversampling=1).vector, 9)  # all of G: ENGD's direction
    array([2. , 0.5])
    """
    if rank is None or oversampling is None:
        rank, oversampling = initial_sketch(
            lin, size=size, passes=passes, tol=tol, relative=relative, probe=probe, key=key, stream=stream
        )
    _check_whole("rank", rank, 0)
    _check_whole("oversampling", oversampling, 1)
    eigenvalues, U = _sketch(lin, rank + oversampling, passes=passes, probe=probe, key=key, stream=stream)
    vector, kept = invert(eigenvalues, U, lin.jacobian.T @ lin.residual, tol=tol, relative=relative)
    return Direction(vector, arrays.namespace(eigenvalues).flip(eigenvalues), kept)


def initial_sketch(
    lin: Linearization,
    /,
    *,
    size: int = 200,
    passes: int = 2,
    tol: float = 1e-13,
    relative: bool = False,
    probe: str = "normal",
    key: int = 17,
    stream: int = 0,
) -> tuple[int, int]:
    """Algorithm 1's first `rank` and its `oversampling`, from one sketch of `size` columns.

    The rank is the number of eigenvalues above `tol`, the oversampling the first index at which they fall below machine precision
    (`size` if none does): section 4.1 of the paper, "Choosing the hyperparameters".

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> initial_sketch(lin)
    (2, 2)
    """
    _check_whole("size", size, 1)
    eigenvalues, _ = _sketch(lin, size, passes=passes, probe=probe, key=key, stream=stream)
    precision = float(arrays.namespace(eigenvalues).finfo(eigenvalues.dtype).eps)
    return (
        numerical_rank(eigenvalues, tol=tol, relative=relative),
        max(1, numerical_rank(eigenvalues, tol=precision, relative=relative)),
    )


def _sketch(lin: Linearization, columns: int, *, passes: int, probe: str, key: int, stream: int) -> tuple[Array, Array]:
    """Eigenvalues (l,), ascending, and vectors (p, l) of the Gramian as a sketch of l columns sees it."""
    if passes not in (1, 2):
        raise InvalidInput("passes", repr(passes), "choose 1 (T = QᵀA (QᵀM)⁻¹) or 2 (T = QᵀGQ)")
    xp, G = arrays.namespace(lin.residual), Gramian(lin)
    M = arrays.like(probes.draw(probe, lin.shape[1], min(columns, *lin.shape), key=key, stream=stream), lin.residual, xp=xp)
    A = G @ M
    Q, _ = xp.linalg.qr(A, mode="reduced")
    if passes == 1:
        T = xp.linalg.solve((Q.T @ M).T, (Q.T @ A).T).T  # T (QᵀM) = QᵀA
    else:
        JQ = lin.jacobian @ Q
        T = JQ.T @ JQ
    eigenvalues, S = xp.linalg.eigh((T + T.T) / 2)
    return eigenvalues, Q @ S


def error_bound(eigenvalues: Array, /, *, rank: int, oversampling: int) -> float:
    """The right side of eq. (8): `(1 + √(r/(p-1))) λ_{r+1} + (e √(r+p)/p) √(Σ_{j>r} λ_j²)`, r = `rank`, p = `oversampling`.

    `eigenvalues` (k,) are those of G, in any order. It bounds `E ‖(I - QQᵀ) G‖` over normal M with r + p columns: theorem 10.6 of
    Halko, Martinsson & Tropp 2011, constants and all (theirs has r ≥ 2). The paper states it for `E ‖G - QQᵀGQQᵀ‖`, of two passes,
    which by their section 5.3 is at most twice as much; for one pass neither says anything. In its (9) the root of the sum is
    λ_{r+1}: for λ_j ∝ exp(-j/18), as in its Figure 1, it is 3.1 λ_{r+1}. Raises `InvalidInput` where p < 2, r < 1 or r + p > k.

    >>> import numpy as np
    >>> error_bound(np.array([4.0, 2.0, 0.0, 0.0]), rank=2, oversampling=2)
    0.0
    """
    _check_whole("rank", rank, 1)
    _check_whole("oversampling", oversampling, 2)
    xp = arrays.namespace(eigenvalues)
    if rank + oversampling > eigenvalues.shape[0]:
        raise ShapeError("eigenvalues", f"{eigenvalues.shape[0]} of them", f"a sketch has {rank + oversampling} columns here")
    tail = xp.flip(xp.sort(eigenvalues))[rank:]
    spread = math.e * math.sqrt(rank + oversampling) / oversampling
    return (1 + math.sqrt(rank / (oversampling - 1))) * float(tail[0]) + spread * math.sqrt(float(xp.sum(tail * tail)))


def nystrom(
    lin: Linearization,
    /,
    *,
    rank: int = 200,
    oversampling: int = 20,
    tol: float = 1e-13,
    relative: bool = True,
    probe: str = "normal",
    key: int = 17,
    stream: int = 0,
) -> Direction:
    """`Jᵀ K̂⁺ r` with the Nyström approximation `K̂ = Y (ΩᵀY)⁺ Yᵀ`, Y = K Ω with orthonormal Ω (n, rank + oversampling): for large n.

    K̂ ≤ K, and of all its eigenvalues at most `rank` are used. Neither K nor any n p array is made; memory n numbers a column.
    Source: Tropp, Yurtsever, Udell & Cevher 2017; where they shift by machine precision, `(ΩᵀY)⁺` is truncated there.
    Raises `InvalidInput`. Cost: a tangent and an adjoint pass a column, n columns².

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(nystrom(lin, rank=2, oversampling=1).vector, 9)
    array([2. , 0.5])
    """
    _check_whole("rank", rank, 1)
    _check_whole("oversampling", oversampling, 0)
    xp, n = arrays.namespace(lin.residual), lin.shape[0]
    columns = min(rank + oversampling, n)
    probe_columns = arrays.like(probes.draw(probe, n, columns, key=key, stream=stream), lin.residual, xp=xp)
    Omega, _ = xp.linalg.qr(probe_columns, mode="reduced")
    Y = ntk_product(lin, Omega)
    T = Omega.T @ Y
    small, W = xp.linalg.eigh((T + T.T) / 2)
    kept = numerical_rank(small, tol=columns * float(xp.finfo(small.dtype).eps))
    U, s, _ = xp.linalg.svd((Y @ W[:, columns - kept :]) / xp.sqrt(small[columns - kept :]), full_matrices=False)
    used = min(rank, kept)
    eigenvalues, U = xp.flip((s * s)[:used]), xp.flip(U[:, :used], axis=1)
    solved, kept = invert(eigenvalues, U, lin.residual, tol=tol, relative=relative)
    return Direction(lin.jacobian.T @ solved, xp.flip(eigenvalues), kept)


def _check_whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidInput(name, repr(value), f"give a whole number of at least {least}")
