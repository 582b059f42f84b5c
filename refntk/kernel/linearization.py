"""The residual and its Jacobian at θ: an operator, a shape and two products, never a matrix unless asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .. import arrays
from .. import engine as engines
from ..arrays import Array, Namespace
from ..calculus.network import MLP, Layer
from ..engine import Engine
from ..errors import InvalidInput, ShapeError
from ..problems.base import DirectProblem, Problem
from . import direct
from .gram import RowFactors
from .operator import Jacobian, Linearization
from .residual import Evaluation, Patch, blocks, row_scales

TAPE_BYTES = 2**29  # patches are cut so that the forward pass of one keeps about this much, and kept if all together do


@dataclass(frozen=True)
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
    _kept: dict[int, Evaluation] = field(default_factory=dict, repr=False, compare=False)

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
        """The terms, cut into stretches of points whose tapes fit into `tape_bytes`."""
        found = []
        for term in self.problem.terms:
            points, scale, start = self.points[term.name], self.scales[term.name], self.blocks[term.name].start
            whole = Patch(term, self.network, points, scale, self.blocks[term.name], self.collapse)
            stride = max(1, self.tape_bytes // self._bytes_per_point(whole))
            for low in range(0, points.shape[0], stride):
                high = min(low + stride, points.shape[0])
                part = scale if isinstance(scale, float) else scale[low:high]
                rows = slice(start + low * term.components, start + high * term.components)
                found.append(Patch(term, self.network, points[low:high, :], part, rows, self.collapse))
        return found

    def _bytes_per_point(self, patch: Patch) -> int:
        """What one point of a patch leaves on the tape: per layer and channel its input, its pre-activation and σ's derivatives."""
        sites = patch.term.sites(patch.points[:1, :], xp=self.xp).shape[0]
        channels = len(patch.jet.channels)
        return 8 * sites * (2 * channels + patch.jet.table.order + 2) * sum(self.network.sizes)

    @cached_property
    def compact(self) -> bool:
        """Whether all tapes together fit into `tape_bytes`; if so they are kept from one product to the next."""
        return sum(p.points.shape[0] * self._bytes_per_point(p) for p in self.patches) <= self.tape_bytes

    def evaluations(self, after: int = 0) -> Iterator[Evaluation]:
        """Every patch at θ that ends beyond row `after`, in the order of the rows."""
        for i, patch in enumerate(self.patches):
            if patch.rows.stop <= after:
                continue
            found = self._kept.get(i) or patch.forward(self.layers, engine=self.engine, xp=self.xp)
            if self.compact:
                self._kept[i] = found
            yield found

    @cached_property
    def residual(self) -> Array:
        """R(θ), scaled rows, (n,). Cost: one forward pass."""
        return self.xp.concat([e.residual(xp=self.xp) for e in self.evaluations()])

    @property
    def jacobian(self) -> Jacobian:
        """J as an operator: `.shape`, `@`, `.T @`, `.dense()`."""
        return Jacobian(self)

    def jvp(self, directions: Array) -> Array:
        """J V for directions (p, k): (n, k). Cost: k tangent passes, batched."""
        layers = self._directions(directions)
        rows = [e.tangent(layers, engine=self.engine, xp=self.xp) for e in self.evaluations()]
        return self.xp.concat(rows, axis=1).T

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

    def vjp(self, cotangents: Array) -> Array:
        """Jᵀ W for cotangents (n, k): (p, k). Cost: k adjoint passes, batched."""
        rows = cotangents.T
        parts = (e.cotangent(rows[:, e.patch.rows], engine=self.engine, xp=self.xp) for e in self.evaluations())
        return sum(parts, start=arrays.zeros((rows.shape[0], self.network.size), self.theta, xp=self.xp)).T

    def factors(self, after: int = 0) -> Iterator[tuple[slice, list[RowFactors]]]:
        """Rows of J as Gram factors, patch after patch, from the one that holds row `after`. Cost: m adjoint passes each."""
        for e in self.evaluations(after):
            yield e.patch.rows, list(_row_factors(e, engine=self.engine, xp=self.xp))

    def dense(self) -> Array:
        """J itself, (n, p), row by row from `Σ_c A_c ⊗ D_c`."""
        xp = self.xp
        return xp.concat([xp.concat([f.dense(xp=xp) for f in factors], axis=1) for _, factors in self.factors()])


def _row_factors(evaluation: Evaluation, *, engine: Engine, xp: Namespace) -> Iterator[RowFactors]:
    """The factors of one patch, affine map by affine map, with the sites of a row among its channels."""
    tape, sites = evaluation.tape, evaluation.fields[0].shape[0]
    adjoints = evaluation.row_adjoints(engine=engine, xp=xp)
    for i, (layer, a, d) in enumerate(zip(tape.layers, tape.inputs, adjoints, strict=True)):
        channels, m, _, fan_out = d.shape
        A = xp.reshape(a, (channels * sites, -1, a.shape[-1]))
        D = xp.permute_dims(xp.reshape(d, (channels, m, sites, -1, fan_out)), (0, 2, 1, 3, 4))
        D = xp.reshape(D, (channels * sites, m, -1, fan_out))
        has_bias = i < len(tape.layers) - 1 or tape.jet.live[0] == 0
        B = xp.sum(D[:sites, ...], axis=0) if has_bias else xp.zeros_like(D[0, ...])
        yield RowFactors(A, D, B, layer.scale)


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
    all of one; the answer is of the same. A problem that is no network ("quadratic") takes `network=None`. Cost: one forward pass; the tape is kept for the products if it fits into half a GiB.

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
    theta = arrays.as_floats("theta", theta)
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
    if collapse not in (None, True, False):
        raise InvalidInput("collapse", collapse, "choose True, False or None")
    return NetworkLinearization(
        problem,
        network,
        theta,
        checked,
        scaling,
        row_scales(problem, checked, scaling, quadrature),
        blocks(problem, checked),
        engines.get(engine, xp=xp),
        xp,
        collapse,
    )
