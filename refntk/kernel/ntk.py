"""The neural tangent kernel K = J Jᵀ of a linearization: whole, by blocks, its diagonal, traces and spectrum, never through J."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from .. import arrays
from ..arrays import Array
from ..engine import Engine
from ..errors import UnknownNameError
from .gram import RowFactors
from .operator import Linearization

TILE_BYTES = 2**20  # of the Gram products of one tile: what a core's own cache holds (K of heat in 27 ms; with 2**25 in 66)
DEVICE_TILE_BYTES = 2**25  # where arrays live on a device, a small product costs as much as a large one


def ntk(lin: Linearization, /) -> Array:
    """K (n, n), symmetric to the last bit, by Gram products layer by layer; no n×p array is made.

    `K_ij = Σ_l [Σ_c,e (A_c,i · A_e,j)(D_c,i · D_e,j) + D_1,i · D_1,j]` with the layer inputs A and adjoints D of `gram.py`.
    Cost: O(n² C² width) per layer. Memory: K, and a bounded number of bytes beside it
    (adjoints are computed anew for every pair of stretches when they would not all fit).

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> rn.ntk(lin)  # u = w x + b: rows of J are (0, 0), (0, 1), (2, 1)
    array([[0., 0., 0.],
           [0., 1., 1.],
           [0., 1., 5.]])
    """
    xp = arrays.namespace(lin.residual)
    K = arrays.zeros((lin.shape[0], lin.shape[0]), lin.residual, xp=xp)

    def fill(pair: tuple[slice, list[RowFactors], slice, list[RowFactors]]) -> None:
        rows, left, columns, right = pair
        block = tile_gram(left, right, engine=lin.engine)
        if rows == columns:
            block = (block + block.T) / 2
        else:
            K[columns, rows] = block.T
        K[rows, columns] = block

    for _ in (lin.engine.map if lin.compact else map)(fill, _pairs(lin)):
        pass
    return K


def _pairs(lin: Linearization) -> Iterator[tuple[slice, list[RowFactors], slice, list[RowFactors]]]:
    """Tiles of rows against themselves and all later ones."""
    held = list(row_tiles(lin)) if lin.compact else None
    for i, (rows, left) in enumerate(held or row_tiles(lin)):
        yield rows, left, rows, left
        for columns, right in held[i + 1 :] if held else row_tiles(lin, after=rows.stop):
            yield rows, left, columns, right


def ntk_block(lin: Linearization, row_term: str, column_term: str, /) -> Array:
    """The block K_kl (n_k, n_l) between two terms. Raises `UnknownNameError`.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> rn.ntk_block(lin, "interior", "boundary")
    array([[0., 0.]])
    """
    for name in (row_term, column_term):
        if name not in list(lin.blocks):
            raise UnknownNameError("term", name, lin.blocks)
    xp = arrays.namespace(lin.residual)

    def tiles(name: str) -> Iterator[list[RowFactors]]:
        block = lin.blocks[name]
        inside = takewhile(lambda tile: tile[0].stop <= block.stop, row_tiles(lin, after=block.start))
        return (factors for _, factors in inside)

    held = list(tiles(column_term)) if lin.compact else None

    def row(left: list[RowFactors]) -> Array:
        return xp.concat([tile_gram(left, right, engine=lin.engine) for right in held or tiles(column_term)], axis=1)

    return xp.concat([row(left) for left in tiles(row_term)])


def ntk_diagonal(lin: Linearization, /) -> Array:
    """The diagonal K_ii (n,): squared norms of the rows of J. Cost: one adjoint pass and C² dot products per point and layer.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> rn.ntk_diagonal(lin)
    array([0., 1., 5.])
    """
    found = list(lin.factors(then=lambda _, factors: _point_gram(lin, factors)))
    return arrays.namespace(*found).concat(found)


def ntk_traces(lin: Linearization, /) -> dict[str, float]:
    """Tr K_kk for every term, `{term: float}`: what the weights of eq. (5) are made of. Cost: that of the diagonal.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> rn.ntk_traces(lin)
    {'interior': 0.0, 'boundary': 6.0}
    """
    return traces(ntk_diagonal(lin), lin.blocks)


def traces(diagonal: Array, blocks: Mapping[str, slice]) -> dict[str, float]:
    """The sums of a diagonal over the rows of each term."""
    xp = arrays.namespace(diagonal)
    return {name: arrays.scalar(xp.sum(diagonal[rows])) for name, rows in blocks.items()}


def ntk_product(lin: Linearization, vectors: Array, /) -> Array:
    """K V = J (Jᵀ V) for V (n,) or (n, k): one adjoint and one tangent pass a column, K never formed. Raises `ShapeError`.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> rn.ntk_product(lin, np.array([1.0, 1.0, -1.0])) + 0.0  # K = [[0, 0, 0], [0, 1, 1], [0, 1, 5]]
    array([ 0.,  0., -4.])
    """
    J = lin.jacobian
    return J @ (J.T @ vectors)


def ntk_spectrum(lin: Linearization, /) -> Array:
    """The eigenvalues of K (n,), largest first. Cost: K and a symmetric eigenvalue problem, O(n³).

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [1.0]]})
    >>> np.round(rn.ntk_spectrum(lin), 6) + 0.0  # of [[1, 1], [1, 2]] and a zero row
    array([2.618034, 0.381966, 0.      ])
    """
    K = ntk(lin)
    xp = arrays.namespace(K)
    return xp.flip(xp.linalg.eigvalsh(K))


@dataclass(frozen=True)
class RowSpace:
    """One adjoint pass, kept: the diagonal of K, the gradient of a weighted loss and any combination of rows come from it.

    This is why weights from the full kernel cost about nothing in training. The pass begins with the residual, so that what is
    kept are the rows `r_i J_i`: their squared norms are `r_i² K_ii`, from which the weights follow, and the gradient is their sum
    with one factor a term, `Jᵀ Λ R = Σ_k λ_k Σ_i r_i J_i`. A row without a residual is kept as it is. Rows that do not fit into
    memory together are not kept: each answer is a pass of its own then.
    """

    lin: Linearization

    @cached_property
    def stretches(self) -> list[tuple[slice, list[RowFactors]]]:
        """The rows, each times its seed, as Gram factors."""
        return list(self.lin.factors(seeds=_seeds))

    @cached_property
    def seeds(self) -> Array:
        """What the rows are kept times, (n,): r_i, or 1 where that is too small to divide by."""
        return _seeds(slice(0, self.lin.shape[0]), self.lin.residual)

    @cached_property
    def diagonal(self) -> Array:
        """K_ii (n,). If it is what is asked first, norms are taken on the way, while the rows are at hand."""
        if not self.lin.compact:
            return ntk_diagonal(self.lin)
        if "stretches" in vars(self):
            norms = list(self.lin.engine.map(lambda part: _point_gram(self.lin, part[1]), self.stretches))
        else:
            found = self.lin.factors(seeds=_seeds, then=lambda rows, factors: ((rows, factors), _point_gram(self.lin, factors)))
            vars(self)["stretches"], norms = map(list, zip(*found, strict=True))
        return arrays.namespace(*norms).concat(norms) / self.seeds**2

    @property
    def traces(self) -> dict[str, float]:
        """Tr K_kk for every term."""
        return traces(self.diagonal, self.lin.blocks)

    def combine(self, weights: Array) -> Array:
        """Jᵀ w for weights (n,): (p,), equal to `lin.jacobian.T @ w` up to rounding."""
        if not self.lin.compact:
            return self.lin.vjp(weights[:, None])[:, 0]
        engine, xp = self.lin.engine, arrays.namespace(self.lin.residual)
        w = weights / self.seeds
        return engine.combine([factors for _, factors in self.stretches], [w[rows] for rows, _ in self.stretches], xp=xp)[0, :]

    def gradient(self, weights: Mapping[str, float]) -> Array:
        """`Jᵀ Λ R` (p,) with one weight a term, equal to `lin.gradient(weights)` up to rounding.

        Rows with one component and a residual need no further pass over memory: their sums are taken as they stand.
        """
        if not self.lin.compact:
            return self.lin.gradient(weights)
        engine, xp = self.lin.engine, arrays.namespace(self.lin.residual)
        ratio = self.lin.residual / self.seeds  # 1 but for rows that were kept as they are
        spread = {rows.start: weights[name] for name, rows in self.lin.blocks.items()}
        starts = sorted(spread)

        def share(rows: slice, factors: list[RowFactors]) -> float | Array:
            weight = float(spread[starts[bisect(starts, rows.start) - 1]])
            return weight if factors[0].D.shape[1] == 1 and bool(xp.all(ratio[rows] == 1)) else weight * ratio[rows]

        shares = [share(rows, factors) for rows, factors in self.stretches]
        return engine.combine([factors for _, factors in self.stretches], shares, xp=xp)[0, :]


def _seeds(rows: slice, residual: Array) -> Array:
    """r_i, or 1 where its square would have few digits left, or none."""
    xp = arrays.namespace(residual)
    least = float(xp.finfo(residual.dtype).smallest_normal) ** 0.25
    return xp.where(xp.abs(residual) > least, residual, xp.ones_like(residual))


def _point_gram(lin: Linearization, factors: list[RowFactors]) -> Array:
    """The share of K's diagonal that belongs to the rows of these factors."""
    xp = arrays.namespace(factors[0].D)
    return sum(lin.engine.point_gram(f, xp=xp) for f in factors)


def row_tiles(lin: Linearization, after: int = 0) -> Iterator[tuple[slice, list[RowFactors]]]:
    """The rows from `after` on with their factors, in tiles small enough for a Gram product: the tiles of which K is made.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> [rows for rows, _ in row_tiles(lin)]  # a tile never holds rows of two terms
    [slice(0, 1, None), slice(1, 3, None)]
    """
    most = TILE_BYTES if arrays.is_numpy(arrays.namespace(lin.residual)) else DEVICE_TILE_BYTES
    for rows, factors in lin.factors(after):
        channels, m = max(f.D.shape[0] for f in factors), factors[0].D.shape[1]
        step = max(1, math.isqrt(most // (8 * channels**2 * m**2)))
        for low in range(0, factors[0].points, step):
            high = min(low + step, factors[0].points)
            tile = slice(rows.start + low * m, rows.start + high * m)
            if tile.start >= after:
                yield tile, [f[low:high] for f in factors]


def tile_gram(left: list[RowFactors], right: list[RowFactors], *, engine: Engine) -> Array:
    """The entries of K between two tiles: the sum over the affine maps.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> (_, interior), (_, boundary) = row_tiles(lin)
    >>> tile_gram(boundary, boundary, engine=lin.engine)
    array([[1., 1.],
           [1., 5.]])
    """
    xp = arrays.namespace(left[0].D)
    return sum(engine.pair_gram(a, b, xp=xp) for a, b in zip(left, right, strict=True))
