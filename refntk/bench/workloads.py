"""What is measured: the computations of which studies are made, each as a function of a case that returns a call ready to be timed.

What such a function does itself is preparation and is not timed. A call returns its answer as a dict, so that whoever is timed can
be checked first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import Array
from ..calculus import jet as jets
from ..calculus.network import MLP
from ..estimation import probes
from ..kernel import ntk as kernel
from ..problems.base import Problem
from ..problems.domain import Count
from ..training.position import Position
from ..training.weightings import Sketched
from ..weights import trace_ratio
from .timing import Call

DT = 1e-4  # Algorithm 2's Δt
KEY = 17
TINY = 4  # width and points a term of a case that only warms up

Answer = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Case:
    """What workloads work on: `network` on `problem` at `theta` (p,) and `points`, computed by `engine`, rows unscaled."""

    problem: Problem
    network: MLP
    theta: Array
    points: Mapping[str, Array]
    engine: str = "reference"

    @classmethod
    def of(
        cls,
        problem: Problem,
        sizes: Sequence[int],
        /,
        *,
        counts: Mapping[str, Count] | None = None,
        engine: str = "reference",
        rng: int = 17,
    ) -> Case:
        """A tanh network of these sizes on normalised inputs, Xavier parameters, and points as `problem.sample` draws them."""
        network = MLP(sizes, **problem.normalization)  # type: ignore[arg-type]
        return cls(problem, network, network.init(rng=rng), problem.sample(rng=rng, counts=counts), engine)

    def at(self) -> Position:
        """The residual at θ, nothing computed yet."""
        return Position(self.problem, self.network, self.theta, self.points, "sum", self.engine)

    @cached_property
    def probe(self) -> Array:
        """A fixed vector of signs (n,), of the library and device of θ."""
        signs = probes.rademacher(self.at().lin.shape[0], 1, key=KEY)[:, 0]
        return arrays.like(signs, self.theta, xp=arrays.namespace(self.theta))

    @property
    def single(self) -> bool:
        """Whether θ, and so everything, is in less than double precision."""
        return arrays.namespace(self.theta).finfo(self.theta.dtype).bits < 64

    def cast(self, dtype: str) -> Case:
        """The same case with θ and points rounded, or widened, to the type of that name."""
        xp = arrays.namespace(self.theta)
        kind = getattr(xp, dtype)
        return replace(
            self, theta=xp.astype(self.theta, kind), points={name: xp.astype(x, kind) for name, x in self.points.items()}
        )

    def shrunk(self) -> Case:
        """The same kind of work and next to none of it: whatever is compiled or loaded at first use then is."""
        net = self.network
        options: dict[str, Any] = {
            name: getattr(net, name) for name in ("activation", "output_scale", "parametrization", "shift", "scale")
        }
        small = MLP([net.inputs, *(min(width, TINY) for width in net.sizes[1:-1]), net.outputs], **options)
        points = {name: x[:TINY, :] for name, x in self.points.items()}
        return replace(self, network=small, theta=self.theta[: small.size], points=points)


def unweighted_step(case: Case) -> Call:
    """R and `Jᵀ R`, a training step with all weights 1 less its optimizer: forward pass, adjoint pass, gradient."""

    def call() -> Answer:
        at = case.at()
        gradient = at.gradient(dict.fromkeys(at.lin.blocks, 1.0))
        return {"residual": at.lin.residual, "gradient": gradient}

    return call


def weighted_step(case: Case) -> Call:
    """R and `Jᵀ Λ R` with the weights of eq. (5) from the full kernel, out of one row space."""

    def call() -> Answer:
        at = case.at()
        weights = trace_ratio(at.traces)
        return {"residual": at.lin.residual, "weights": weights, "gradient": at.gradient(weights)}

    return call


def algorithm3_step(case: Case, *, dt: float | None = None) -> Call:
    """R and `Jᵀ Λ̂ R` as training makes them with "sketched" weights: a sample K g, the average, eq. (12), the gradient."""
    weighting = Sketched(every=1, alpha=0.01, samples=1, dt=dt, probe="rademacher", balance=True, seed=KEY)
    state = {"average": np.array(list(case.at().traces.values()))}

    def call() -> Answer:
        at = case.at()
        found = weighting.renew(1, at, state)["weights"].tolist()
        weights = dict(zip(at.lin.blocks, found, strict=True))
        return {"residual": at.lin.residual, "weights": weights, "gradient": at.gradient(weights)}

    return call


def algorithm3_difference_step(case: Case) -> Call:
    """The same with Algorithm 2's finite difference, Δt = 1e-4, in place of the exact product."""
    return algorithm3_step(case, dt=DT)


def sample(case: Case) -> Call:
    """`(R(θ + Δt Jᵀg) - R(θ)) / Δt ≈ K g`, Algorithm 2, given R(θ) and what its forward pass left: adjoint and forward pass."""
    at, probe = case.at(), case.probe
    _ = at.lin.residual
    return lambda: {"product": at.push(at.pull(probe), DT)}


def traces(case: Case) -> Call:
    """`Tr K_kk` for every term, from θ: forward pass, adjoint pass, point Grams."""
    return lambda: {"traces": kernel.ntk_traces(case.at().lin)}


def ntk(case: Case) -> Call:
    """K, from θ: forward pass, adjoint pass, Gram products of all pairs of rows."""
    return lambda: {"ntk": kernel.ntk(case.at().lin)}


def product(case: Case) -> Call:
    """`K v = J (Jᵀ v)`, from θ: forward, adjoint and tangent pass."""
    probe = case.probe
    return lambda: {"product": kernel.ntk_product(case.at().lin, probe)}


WORKLOADS: dict[str, Callable[[Case], Call]] = {
    f.__name__: f
    for f in (unweighted_step, weighted_step, algorithm3_step, algorithm3_difference_step, sample, traces, ntk, product)
}


def gemms(case: Case) -> Call:
    """The bare matrix products of an unweighted step, into memory that stands ready, on the library's own threads: the bound.

    For every term and affine map, with C channels of the jet (at the last map those read out), n points and sites: `A W` forward,
    `D Wᵀ` back (not beyond the first map) and `Aᵀ D` for the gradient, A and D being C n rows long.
    """
    xp, rng, work = arrays.namespace(case.theta), np.random.default_rng(KEY), []

    def matrix(*shape: int) -> Array:
        return arrays.like(rng.standard_normal(shape), case.theta, xp=xp)

    maps = list(pairwise(case.network.sizes))
    for term in case.problem.terms:
        jet, sites = jets.jet(term.operators), term.sites(case.points[term.name], xp=xp)
        for i, (fan_in, fan_out) in enumerate(maps):
            rows = sites.shape[0] * sites.shape[1] * len(jet.channels if i < len(maps) - 1 else jet.live)
            A, W, D = matrix(rows, fan_in), matrix(fan_in, fan_out), matrix(rows, fan_out)
            pairs = [(A, W), (A.T, D)] + ([(D, W.T)] if i else [])
            work += [(left, right, matrix(left.shape[0], right.shape[1])) for left, right in pairs]

    def call() -> None:
        for left, right, out in work:
            xp.matmul(left, right, out=out)

    return call


def disagreement(got: Answer, want: Answer, /) -> float:
    """The largest difference between two answers, every item in units of the largest entry of `want`'s; infinite for NaN.

    >>> disagreement({"K": [[1.0, 2.0]], "r": [0.0]}, {"K": [[1.0, 4.0]], "r": [0.0]})
    0.5
    """
    worst = 0.0
    for name, item in want.items():
        mine, theirs = _numbers(got[name]), _numbers(item)
        if mine.shape != theirs.shape:
            return math.inf
        error = float(np.max(np.abs(mine - theirs))) / (float(np.max(np.abs(theirs))) or 1.0)
        worst = max(worst, error) if math.isfinite(error) else math.inf
    return worst


def _numbers(value: Any) -> np.ndarray:
    """All numbers of nested dicts, lists and arrays in a row: layers `[(W, b), ...]` become θ."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return np.concatenate([_numbers(item) for item in value])
    return np.ravel(arrays.to_numpy(value))
