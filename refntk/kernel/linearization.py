"""The residual and its Jacobian at θ: an operator, a shape and two products, never a matrix unless asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .. import arrays
from .. import engine as engines
from ..arrays import Array, Namespace
from ..calculus.network import MLP, Layer
from ..engine import Engine
from ..errors import InvalidInput, ShapeError
from ..problems.base import DirectProblem, Problem
from . import direct
from .gram import RowFactors
from .operator import Jacobian, Linearization, Seeds, pair
from .residual import Evaluation, Patch, blocks, row_scales

TAPE_BYTES = 2**29  # patches are cut so that the forward pass of one keeps about this much, and kept if all together do


@dataclass(frozen=True, eq=False)
class NetworkLinearization:
    """R and J of a problem for a network at θ. Built by `linearize`."""

    problem: Problem
    network: MLP
    theta: Array
    points: dict[str, Array]
    scaling: str
    scales: dict[str, Array | float]
    blocks: dict[str, slice]
    engine: Engine
    xp: Namespace
    collapse: bool | None = None
    tape_bytes: int = TAPE_BYTES

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p): rows of R, parameters."""
        return max(block.stop for block in self.blocks.values()), self.network.size

    @cached_property
    def layers(self) -> list[Layer]:
        """The network's affine maps at θ."""
        return self.network.layers(self.theta)

    @cached_property
    def patches(self) -> list[Patch]:
        """The terms, cut into stretches of points as long as the engine likes and as `tape_bytes` allows."""
        found = []
        for term in self.problem.terms:
            points, scale, start = self.points[term.name], self.scales[term.name], self.blocks[term.name].start
            whole = Patch(term, self.network, points, scale, self.blocks[term.name], self.collapse)
            size = self._bytes_per_point(whole)
            stride = max(1, min(self.engine.tile(points.shape[0], size), self.tape_bytes // size))
            for low in range(0, points.shape[0], stride):
                high = min(low + stride, points.shape[0])
                part = scale if isinstance(scale, float) else scale[low:high]
                rows = slice(start + low * term.components, start + high * term.components)
                found.append(Patch(term, self.network, points[low:high, :], part, rows, self.collapse))
        return found

    def _bytes_per_point(self, patch: Patch) -> int:
        """What one point of a patch leaves on the tape: per layer and channel its input, its pre-activation and σ's derivatives."""
        sites = patch.term.sites(patch.points[:1, :], xp=self.xp).shape[0]
        return 8 * sites * (2 * len(patch.jet.channels) + patch.jet.table.order + 2) * sum(self.network.sizes)

    @cached_property
    def compact(self) -> bool:
        """Whether all tapes together fit into `tape_bytes`; if so they are kept from one product to the next."""
        return sum(p.points.shape[0] * self._bytes_per_point(p) for p in self.patches) <= self.tape_bytes

    @cached_property
    def _kept(self) -> list[Evaluation]:
        return list(self.engine.map(self._evaluate, self.patches))

    def _evaluate(self, patch: Patch) -> Evaluation:
        return patch.forward(self.layers, engine=self.engine, xp=self.xp)

    def evaluations(self, after: int = 0) -> Iterable[Evaluation]:
        """Every patch at θ that ends beyond row `after`, in the order of the rows; one at a time if they do not fit together."""
        if self.compact:
            return (e for e in self._kept if e.patch.rows.stop > after)
        return (self._evaluate(patch) for patch in self.patches if patch.rows.stop > after)

    def _each(self, function: Callable[[Evaluation], Any], after: int = 0, *, once: bool = False) -> Iterable[Any]:
        """`function` of every evaluation, in order: at once through the engine if they fit, else one at a time.

        Evaluations that have not been made are made on the way, so that `function` finds each tape in the cache. They are kept, or
        for `once` let go, so that the next one finds its memory there too: of them only the residual remains.
        """
        if not self.compact:
            return map(function, self.evaluations(after))
        if after or "_kept" in vars(self):
            return self.engine.map(function, self.evaluations(after))

        def both(patch: Patch) -> tuple[Any, Any]:
            e = self._evaluate(patch)
            return e.residual(xp=self.xp) if once else e, function(e)

        kept, found = zip(*self.engine.map(both, self.patches), strict=True)
        if once:
            vars(self)["residual"] = self.xp.concat(kept)
        else:
            vars(self)["_kept"] = list(kept)
        return found

    @cached_property
    def residual(self) -> Array:
        """R(θ), scaled rows, (n,). Cost: one forward pass, of which the tape is kept for the products that follow."""
        return self.xp.concat([e.residual(xp=self.xp) for e in self.evaluations()])

    @property
    def jacobian(self) -> Jacobian:
        """J as an operator: `.shape`, `@`, `.T @`, `.dense()`."""
        return Jacobian(self)

    def jvp(self, directions: Array) -> Array:
        """J V for directions (p, k): (n, k). Cost: k tangent passes, some at once."""
        return self._in_batches(self._jvp, directions)

    def vjp(self, cotangents: Array) -> Array:
        """Jᵀ W for cotangents (n, k): (p, k). Cost: k adjoint passes, some at once."""
        return self._in_batches(self._vjp, cotangents)

    def _in_batches(self, product: Callable[[Array], Array], columns: Array) -> Array:
        """A product column batch by column batch, so that the batch axis does not outgrow `tape_bytes`."""
        most = max(sum(p.points.shape[0] * self._bytes_per_point(p) for p in self.patches), 8 * self.network.size)
        count, step = columns.shape[1], max(1, self.tape_bytes // most)
        found = [product(columns[:, low : min(low + step, count)]) for low in range(0, count, step)]
        return found[0] if len(found) == 1 else self.xp.concat(found, axis=1)

    def _jvp(self, directions: Array) -> Array:
        layers = self._directions(directions)
        rows = self._each(lambda e: e.tangent(layers, engine=self.engine, xp=self.xp))
        return self.xp.concat(list(rows), axis=1).T

    def _directions(self, directions: Array) -> list[tuple[Array, Array]]:
        """Columns of (p, k) as layers `[(Ẇ (k, in, out), ḃ (k, out)), ...]`."""
        xp, start, found = self.xp, 0, []
        columns = directions.T
        for layer in self.layers:
            fan_in, fan_out = layer.W.shape
            middle, stop = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            found.append((xp.reshape(columns[:, start:middle], (-1, fan_in, fan_out)), columns[:, middle:stop]))
            start = stop
        return found

    def _vjp(self, cotangents: Array) -> Array:
        rows = cotangents.T
        return self._combined(self._each(lambda e: e.factors(rows[:, e.patch.rows], engine=self.engine, xp=self.xp))).T

    def _combined(self, parts: Iterable[list[RowFactors]]) -> Array:
        """The sums of combined rows (S, p)."""
        if self.compact:
            return self.engine.combine(list(parts), xp=self.xp)
        return sum(self.engine.combine([factors], xp=self.xp) for factors in parts)

    def gradient(self, weights: Mapping[str, float]) -> Array:
        """`Jᵀ Λ R` (p,) with one weight a term: the gradient of `½ Σ λ_k ‖r_k‖²`. Cost: one forward and one adjoint pass."""

        def pulled(e: Evaluation) -> list[RowFactors]:
            seeds = weights[e.patch.term.name] * e.residual(xp=self.xp)
            return e.factors(seeds[None, :], engine=self.engine, xp=self.xp)

        return self._combined(self._each(pulled, once=True))[0, :]

    def factors(
        self, after: int = 0, *, seeds: Seeds | None = None, then: Callable[[slice, list[RowFactors]], Any] = pair
    ) -> Iterable[Any]:
        """Rows of J as Gram factors, patch after patch, from the one that holds row `after`. Cost: m adjoint passes each.

        With `seeds(rows, residual)` every row is multiplied by its seed. What comes is `then(rows, factors)`, made while they are
        at hand, or the pair.
        """

        def found(e: Evaluation) -> Any:
            scale = None if seeds is None else seeds(e.patch.rows, e.residual(xp=self.xp))
            return then(e.patch.rows, e.factors(scale=scale, engine=self.engine, xp=self.xp))

        return self._each(found, after, once=True)

    def dense(self) -> Array:
        """J itself, (n, p), row by row from `Σ_c A_c ⊗ D_c`."""
        xp = self.xp
        return xp.concat([xp.concat([f.dense(xp=xp) for f in factors], axis=1) for _, factors in self.factors()])


def linearize(
    problem: Problem,
    network: MLP | None,
    theta: Array,
    points: Mapping[str, Array],
    /,
    *,
    scaling: str = "sum",
    quadrature: Mapping[str, Array] | None = None,
    engine: str = "reference",
    collapse: bool | None = None,
) -> Linearization:
    """The residual of `problem` and its Jacobian for `network` at `theta` (p,) and `points` {term: (n_k, dimension)}.

    Returns an object with `.residual` (n,), `.blocks` {term: slice} and `.jacobian`, an operator of shape (n, p). Rows may be
    scaled: "sum" leaves them, "mean" divides term k by √n_k, "quadrature" multiplies by the square roots of quadrature weights
    (measure/n, or your own in `quadrature`). The kernel is always that of the scaled rows. `collapse` forces or forbids
    collapsed channels; left out, the smaller jet is taken. Arrays of any library that follows the array API may be passed,
    all of one; the answer is of the same. A problem that is no network ("quadratic") takes `network=None`.
    Cost: one forward pass; the tape is kept for the products if it fits into half a GiB.

    Raises `InvalidInput` (a `ValueError`) and its subclasses for wrong shapes, NaN, missing points and unknown names.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> network = rn.MLP([1, 1, 1])
    >>> theta = np.array([1.0, 0.0, 2.0, 0.5])  # u = 2 tanh x + 1/2
    >>> lin = rn.linearize(problem, network, theta, {"interior": [[0.3]], "boundary": [[0.0], [1.0]]})
    >>> bool(np.allclose(lin.residual[1:], [0.5, 2 * np.tanh(1.0) + 0.5]))
    True
    >>> bool(np.allclose(lin.jacobian @ np.array([0.0, 0.0, 0.0, 1.0]), [0.0, 1.0, 1.0]))  # ∂/∂b: no effect on u_xx
    True
    """
    if not isinstance(problem, Problem):
        raise InvalidInput("problem", type(problem).__name__, "pass a problem: refntk.problems.get(name)")
    theta = arrays.as_floats("theta", theta)
    chosen = engines.get(engine, xp=arrays.namespace(theta))
    if isinstance(problem, DirectProblem):
        return direct.linearize(problem, network, theta, points, scaling=scaling, quadrature=quadrature)
    if not isinstance(network, MLP):
        raise InvalidInput("network", type(network).__name__, f"problem {problem.name!r} needs an MLP")
    if network.inputs != len(problem.coordinates) or network.outputs != problem.outputs:
        raise ShapeError(
            "network",
            f"{network.inputs} inputs and {network.outputs} outputs",
            f"problem {problem.name!r} needs {len(problem.coordinates)} {problem.coordinates} and {problem.outputs}",
        )
    arrays.check_shape("theta", theta, (network.size,))
    checked = problem.check_points(points)
    xp = arrays.namespace(theta, *checked.values())
    arrays.check_finite("theta", theta, xp=xp)
    theta, *widened = arrays.widen(theta, *checked.values(), xp=xp)
    checked = dict(zip(checked, widened, strict=True))
    if collapse is not None and not isinstance(collapse, bool):
        raise InvalidInput("collapse", collapse, "choose True, False or None")
    return NetworkLinearization(
        problem,
        network,
        theta,
        checked,
        scaling,
        row_scales(problem, checked, scaling, quadrature),
        blocks(problem, checked),
        chosen,
        xp,
        collapse,
    )
