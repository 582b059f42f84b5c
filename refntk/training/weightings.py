"""How the loss weights λ_k follow training. Adding a way is one class and one entry of `WEIGHTINGS`.

A weighting is a frozen dataclass whose fields are the options of `train` that it uses. Its state is a dict of arrays, of which
`"weights"` (one per term, in their order) are those in force.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from .. import arrays
from ..arrays import Array
from ..errors import TraceError
from ..estimation import probes
from ..estimation.average import moving_average
from ..weights import trace_ratio
from .position import Position

State = dict[str, np.ndarray]


class Weighting(Protocol):
    """Renews the weights before a step."""

    def renew(self, t: int, at: Position, state: State) -> State:
        """The state at step t, where `at` stands, from that of the step before, which is not changed; empty before step 0."""


@dataclass(frozen=True)
class Fixed:
    """The weights given, or 1 for every term."""

    weights: Mapping[str, float] | None

    def renew(self, t: int, at: Position, state: State) -> State:
        """The same at every step."""
        return state or {"weights": np.array([(self.weights or {}).get(name, 1.0) for name in at.lin.blocks])}


@dataclass(frozen=True)
class Trace:
    """Eq. (5) from the full kernel, every `every` steps: Algorithm 1. Cost: C² dot products per point and layer."""

    every: int

    def renew(self, t: int, at: Position, state: State) -> State:
        """New weights on the multiples of `every`."""
        return state if t % self.every else {"weights": ratio(at, at.traces)}


@dataclass(frozen=True)
class Sketched:
    """Algorithm 3 on traces: `samples` of Algorithm 2 averaged at θ₀, then one new sample with share `alpha`, weights by eq. (12).

    Where we depart from the paper, to be undone by `balance=False` and `dt=1e-4`:

    - Samples are *balanced*: the probe is D g with `D = diag(d_k)`, `d_k ∝ T̂_k^-½` from the average so far, and
      `T̂_k = g_kᵀ (K D g)_k / d_k`. That is Algorithm 2 on the kernel of the weighted residual. It is unbiased for the same reason,
      and the share of another term m in the variance of T̂_k / T_k becomes `‖K_km‖² / (T_k T_m)`, at most 1, where it was
      `‖K_km‖² / T_k²`, as large as T_m / T_k, the ratio of two weights. On the wave equation that ratio passes 10⁴ and single
      samples of small traces scatter by 700 %; no α can average that away and still follow the kernel.
    - `dt=None` takes J (Jᵀ g) exactly. The step Δt Jᵀ g has length Δt √T, and with Δt = 1e-4 and T = 1e8 that is no small step.

    Cost: one more Jᵀ v and one more forward (or tangent) pass a step. Raises `TraceError` before a trace that is not positive
    becomes a weight.
    """

    every: int
    alpha: float
    samples: int
    dt: float | None
    probe: str
    balance: bool
    seed: int

    def renew(self, t: int, at: Position, state: State) -> State:
        """A new average and its weights on the multiples of `every`."""
        if t % self.every:
            return state
        if t == 0:
            average = self._first(at)
        else:
            (g,) = self._probes(at, 1, t)
            average = moving_average(state["average"], self._sample(at, g, state["average"]), self.alpha)
        for name, trace in zip(at.lin.blocks, average, strict=True):
            if not trace > 0:
                raise TraceError(
                    f"averaged trace of term {name!r}",
                    float(trace),
                    f"no weight follows from it at step {t}; lower alpha={self.alpha}, raise samples={self.samples}, "
                    "use balance=True with probe='rademacher'" + ("" if self.dt is None else f", or lower dt={self.dt}"),
                )
        return {"weights": ratio(at, dict(zip(at.lin.blocks, average.tolist(), strict=True))), "average": average}

    def _first(self, at: Position) -> np.ndarray:
        """The mean of the initial samples, balanced by the sizes `‖J_kᵀ g_k‖²` of one more probe."""
        pilot, *rest = self._probes(at, self.samples + 1, 0)
        sizes = self._sizes(at, pilot)
        return np.mean([self._sample(at, g, sizes) for g in rest], axis=0)

    def _probes(self, at: Position, count: int, t: int) -> list[Array]:
        """`count` probes (n,) of step t."""
        xp = arrays.namespace(at.lin.residual)
        drawn = probes.draw(self.probe, at.lin.shape[0], count, key=self.seed, stream=t)
        return [arrays.like(g, at.lin.residual, xp=xp) for g in drawn.T]

    def _sizes(self, at: Position, g: Array) -> np.ndarray:
        """`‖J_kᵀ g_k‖²`, an unbiased estimate of T_k that is never negative."""
        xp, unit = arrays.namespace(g), dict.fromkeys(at.lin.blocks, 0.0)
        pulled = (at.pull(at.spread(unit | {name: 1.0}) * g) for name in unit)
        sizes = np.array([float(xp.sum(p * p)) for p in pulled])
        return np.where(sizes > 0, sizes, max(sizes.max(), 1.0))

    def _sample(self, at: Position, g: Array, sizes: np.ndarray) -> np.ndarray:
        """T̂_k for every term from one probe, balanced by the sizes of the traces, (K,)."""
        at.lin.residual  # noqa: B018  -- keeps the tape: a sample needs more than the adjoint pass
        at.rows  # noqa: B018  -- one adjoint pass for this sample and for the gradient
        xp = arrays.namespace(g)
        balance = np.sqrt(sizes.max() / sizes) if self.balance else np.ones(len(sizes))
        scales = dict(zip(at.lin.blocks, balance.tolist(), strict=True))
        products = at.push(at.pull(at.spread(scales) * g), self.dt)  # K D g, (n,)
        return np.array([float(xp.sum(g[b] * products[b])) / scales[name] for name, b in at.lin.blocks.items()])


@dataclass(frozen=True)
class Spaced:
    """Corollary 2's rule (11): the weights of eq. (5) are taken only where they keep the sum S below h(t) = o(t).

    `S(t) = Σ_r λ_max(Λ_{r+1} - Λ_r) ‖R_{r+1}‖²`, and Λ̃_{t+1} is taken if `S(t) + λ_max(Λ̃_{t+1} - Λ_t) ‖R_{t+1}‖² ≤ h(t)`.
    `h` is a non-decreasing function, or a number c that means `c √t R_0ᵀ Λ_0 R_0`, twice the first loss.
    """

    every: int
    h: float | Callable[[float], float]

    def renew(self, t: int, at: Position, state: State) -> State:
        """The rule on the multiples of `every`; at step 0, the weights of eq. (5)."""
        if t % self.every:
            return state
        predicted = ratio(at, at.traces)
        if t == 0:
            loss = at.loss(dict(zip(at.lin.blocks, predicted.tolist(), strict=True)))
            return {"weights": predicted, "sum": np.array(0.0), "unit": np.array(2 * loss)}
        growth = state["sum"] + np.max(predicted - state["weights"]) * 2 * sum(at.losses.values())
        if growth > self._bound(t - 1, float(state["unit"])):
            return state
        return state | {"weights": predicted, "sum": np.asarray(growth)}

    def _bound(self, t: int, unit: float) -> float:
        return float(self.h(t)) if callable(self.h) else self.h * math.sqrt(t) * unit


def ratio(at: Position, traces: Mapping[str, float]) -> np.ndarray:
    """Eq. (5) as an array (K,) in the order of the terms."""
    found = trace_ratio(traces)
    return np.array([float(found[name]) for name in at.lin.blocks])


WEIGHTINGS: dict[str, Callable[..., Weighting]] = {"fixed": Fixed, "trace": Trace, "sketched": Sketched, "spaced": Spaced}
