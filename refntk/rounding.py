"""What the precision of the arrays costs: the numbers of a linearization against those of float64 at the same θ and points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from . import arrays, weights
from .arrays import Array, Namespace
from .errors import InvalidInput
from .kernel import ntk as kernel
from .kernel.linearization import NetworkLinearization
from .kernel.operator import Linearization


@dataclass(frozen=True)
class RoundingError:
    """Errors without dimension: the largest difference in units of the largest entry, or the relative error of a number.

    Term by term those of the rows of R, of Tr K_kk and of the weights of eq. (5); then of Jᵀ R, and of K if it was asked for.
    """

    residual: dict[str, float]
    traces: dict[str, float]
    weights: dict[str, float]
    gradient: float
    ntk: float | None = None


def rounding_error(lin: Linearization, /, *, ntk: bool = False) -> RoundingError:
    """How far the numbers of `lin` are from those of float64 at the same θ and points, which are widened as they are.

    In float64 all errors are zero: they tell what lower precision adds. They grow where terms cancel, in R near a solution most of
    all, so ask at the θ that matters. Cost: R, traces and Jᵀ R in both precisions, with `ntk` K as well.

    Raises `InvalidInput` for a linearization that is not `linearize`'s of a network, `TraceError` where a trace gives no weight.

    >>> import numpy as np, refntk as rn
    >>> theta = np.array([1.0, 2.0**-24, 0.0], dtype=np.float32)  # u = x + t/2²⁴, and u_t + u_x = 1 + 2⁻²⁴ rounds to 1
    >>> points = {name: np.ones((1, 2), dtype=np.float32) for name in ("interior", "initial", "boundary")}
    >>> lin = rn.linearize(rn.problems.get("transport", c=1.0), rn.MLP([2, 1]), theta, points)
    >>> rounding_error(lin).residual["interior"] == 2**-24 / (1 + 2**-24)
    True
    """
    if not isinstance(lin, NetworkLinearization):
        raise InvalidInput("lin", type(lin).__name__, "pass what refntk.linearize makes of a network")
    exact, xp = _widened(lin), lin.xp
    found, wanted = kernel.ntk_traces(lin), kernel.ntk_traces(exact)

    return RoundingError(
        residual={name: _distance(lin.residual[rows], exact.residual[rows], xp=xp) for name, rows in lin.blocks.items()},
        traces=_relative(found, wanted),
        weights=_relative(weights.trace_ratio(found), weights.trace_ratio(wanted)),
        gradient=_distance(lin.jacobian.T @ lin.residual, exact.jacobian.T @ exact.residual, xp=xp),
        ntk=_distance(kernel.ntk(lin), kernel.ntk(exact), xp=xp) if ntk else None,
    )


def _widened(lin: NetworkLinearization) -> NetworkLinearization:
    """The same rows from θ, points and row scales in float64."""

    def double(array: Array) -> Array:
        return lin.xp.astype(array, lin.xp.float64)

    scales = {name: scale if isinstance(scale, float) else double(scale) for name, scale in lin.scales.items()}
    return replace(lin, theta=double(lin.theta), points={name: double(x) for name, x in lin.points.items()}, scales=scales)


def _distance(got: Array, want: Array, *, xp: Namespace) -> float:
    got, want = arrays.widen(got, want, xp=xp)
    return float(xp.max(xp.abs(got - want))) / (float(xp.max(xp.abs(want))) or 1.0)


def _relative(got: Mapping[str, float], want: Mapping[str, float]) -> dict[str, float]:
    return {name: abs(got[name] - value) / (abs(value) or 1.0) for name, value in want.items()}
