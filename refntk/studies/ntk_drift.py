"""Zhou & Yan 2024, Theorem 2.3: does the kernel stand still in training for s > 1/4, and does the residual follow e^(-KΛt)?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from ..calculus.network import MLP
from ..kernel.limits import limit
from ..kernel.linearization import linearize
from ..kernel.ntk import ntk
from ..problems.base import Problem
from ..problems.homogeneity import linear
from .figure import DASHED, POINTS, Curves, Figure, Series
from .rates import Mean
from .shallow import Points, jacobians, together
from .study import Arrays, Cell, Claim, Outcome, Study
from .widths import BIAS, BLOCKS, RANDOM, few, network, norms, order, start, vanishing

CASES = {  # problem, hidden layers, whether the output bias is trained
    "heat": ("heat", 1, True),
    "eikonal": ("eikonal", 1, True),
    "kdv": ("kdv", 1, True),
    "sine_gordon": ("sine_gordon", 1, True),
    "sine_gordon, bias held": ("sine_gordon", 1, False),
    "heat with two layers": ("heat", 2, True),
    "eikonal with two layers": ("eikonal", 2, True),
}
THEOREM = 0.25
NEAR = 0.03  # how far finite widths may move a threshold


@dataclass(frozen=True)
class Config:
    """Sizes: `runs` trainings of every width, for `horizon` times the inverse of Tr K at infinite width and gain 1.

    A step is `part` of the inverse of K's largest eigenvalue at the time, and at most 1/`least` of all the time. `exponents`
    must hold 1/2.
    """

    exponents: tuple[float, ...] = (0.1875, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
    widths: tuple[int, ...] = (64, 256, 1024)
    runs: int = 16
    horizon: float = 5.0
    part: float = 0.5
    least: int = 40
    cases: tuple[str, ...] = tuple(CASES)[:5]  # those with one layer


class Drift(Study[Config]):
    """How far does K move in training as N grows, and from which s on does it stand still, as Theorem 2.3 has it for s > 1/4?

    Gradient descent of `½ ‖R‖²`, rows scaled by 1/√n_k, with steps short enough to follow the gradient flow, for a time that
    depends on the problem alone, on neither N nor s; the largest `‖K(t) - K(0)‖` of each block on the way. One hidden layer, or two
    of one width, the second with the factor 1/√N; all parameters N(0, 1) but the output bias, 0.7 at first. For s > 1/2 u tends to
    that bias, whose gradient no scaling touches: where ∂r/∂u depends on u, K moves with it. So there is also a case whose bias is
    held.

    Were K constant, the residual would be `e^(-KΛt) R(0)`, Λ = 1, and after steps of lengths η `Π (1 - ηK) R(0)`.
    """

    name: ClassVar[str] = "ntk_drift"
    source: ClassVar[str] = "Zhou & Yan 2024, Theorem 2.3"
    scales: Mapping[str, Config] = {
        "smoke": Config((0.25, 0.5, 1.0), (16, 128, 1024), 8, 5.0, 0.5, 10),
        "desk": Config(),
        "paper": Config((0.25, 0.375, 0.5, 0.625, 0.75, 1.0), runs=32),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Case by case, s by s, width by width."""
        return [{"case": case, "s": s, "width": N} for case, s, N in product(config.cases, config.exponents, config.widths)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """For each run: largest ‖K(t) - K(0)‖ and ‖K(0)‖ (runs, 3), distances from both constant-K residuals, steps taken."""
        name, depth, trained = CASES[cell["case"]]
        problem, points = few(name)
        at, rng = network(problem, cell["width"], cell["s"], depth=depth), np.random.default_rng(key)
        unit = np.trace(limit(problem, at, points, scaling="mean", nodes=40).mean(gain=1.0, bias=BIAS))
        theta, size = np.stack([start(at, rng) for _ in range(config.runs)]), together(cell["width"])
        parts = [theta[low : low + size] for low in range(0, config.runs, size)]
        runs = [_descend(problem, at, part, points, config, config.horizon / unit, trained) for part in parts]
        return {what: np.concatenate([run[what] for run in runs]) for what in runs[0]}

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Linear problems and K_bb stand still at s = 1/2; from which s on each block does, or that it never does; residuals."""
        found = []
        for case in outcome.config.cases:
            name, _, trained = CASES[case]
            straight = linear(few(name)[0])
            for block in BLOCKS:
                if straight or block == "bb":
                    found.append(_at(outcome, case, block, 0.5, "below 0: Theorem 2.3"))
                if straight:
                    found.append(_from(outcome, case, block, 0.0, f"{THEOREM:g} or less: Theorem 2.3"))
                elif block != "bb" and name in RANDOM and trained:
                    last = outcome.config.exponents[-1]
                    found.append(_at(outcome, case, block, last, "0: it moves at every s, with the output bias"))
                elif block != "bb":
                    found.append(_from(outcome, case, block, 0.5, "0.5"))
            if straight:
                N, away, flow = (_constant(outcome, case, what) for what in ("width", "recursion", "exponential"))
                rate = order(N, away)
                told = f"{case}, s = 1/2: order in N of the residual's distance from that of a constant K"
                found.append(Claim(told, "below 0", rate.value, rate.high < 0, (rate.low, rate.high)))
                told = f"{case}, s = 1/2, N = {N[-1]:g}: largest distance of R(t) from e^(-KΛt) R(0), of ‖R(0)‖, mean of the runs"
                found.append(Claim(told, "below 0.05", flow[-1].mean(), flow[-1].mean() < 0.05))
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Drift over N, its orders over s, and residuals beside those of a constant K."""
        s, N = np.array(outcome.config.exponents), np.array(outcome.config.widths, dtype=np.float64)
        drifts, orders, zero = [], [], Series("0", s, 0 * s, DASHED)
        for case in outcome.config.cases:
            lines = []
            for e in s.tolist():
                values = _drift(outcome, case, e, "ff")
                lines.append(Series(f"s = {e:g}", N, np.exp(np.log(values).mean(axis=1))))
            drifts.append(Curves(f"{case}: K_ff", "width N", "sup ‖K_ff(t) - K_ff(0)‖ (dimensionless)", lines, log="xy"))
            bars = []
            for block in BLOCKS:
                found = [_order(outcome, case, e, block) for e in s.tolist()]
                values, low, high = (np.array([getattr(one, end) for one in found]) for end in ("value", "low", "high"))
                bars.append(Series(f"K_{block}", s, values, POINTS, low, high))
            orders.append(Curves(case, "s", "order in N of sup ‖K(t) - K(0)‖", [zero, *bars]))
        residuals = []
        for case in outcome.config.cases:
            if linear(few(CASES[case][0])[0]):
                lines = []
                for what, told in (("recursion", "Π (1 - ηK) R(0)"), ("exponential", "e^(-Kt) R(0)")):
                    lines.append(Series(told, N, np.exp(np.log(_constant(outcome, case, what)).mean(axis=1)), POINTS))
                residuals.append(Curves(f"{case}, s = 1/2", "width N", "sup ‖R(t) - ·‖ / ‖R(0)‖", lines, log="xy"))
        return [
            Figure("drift", "How far K_ff moves in training, typical run.", drifts, 3),
            Figure("orders", "Orders in N with 95 % intervals: K stands still in the limit where they are below zero.", orders, 3),
            Figure("residual", "The residual in training beside that of a constant K.", residuals),
        ]


def _look(
    problem: Problem, network: MLP, theta: np.ndarray, points: Points, trained: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R (B, n), K (B, n, n) and the gradient of ½ ‖R‖² (B, p) at θ (B, p). The share of a bias that is held is no part of K."""
    if len(network.sizes) == 3:
        R, J = jacobians(problem, network, theta, points, scaling="mean")
        J[..., network.size - network.outputs :] *= trained
        return R, J @ J.mT, (R[:, None] @ J)[:, 0]
    found = []
    for one in theta:
        lin = linearize(problem, network, one, points, scaling="mean")
        found.append((lin.residual, ntk(lin), lin.jacobian.T @ lin.residual))
    R, K, gradient = (np.stack(part) for part in zip(*found, strict=True))
    return R, K, gradient


def _descend(
    problem: Problem, network: MLP, theta: np.ndarray, points: Points, config: Config, time: float, trained: bool
) -> dict[str, np.ndarray]:
    """Gradient descent from every θ (B, p) for that time, and what `measure` tells of each run."""
    inside, theta = points["interior"].shape[0], theta.copy()
    R, K, gradient = _look(problem, network, theta, points, trained)
    R0, K0 = R, K
    spectrum, axes = np.linalg.eigh(K0)
    along, factors = (R0[:, None] @ axes)[:, 0], np.ones_like(spectrum)
    t, steps, drift, away, flow = (np.zeros((len(theta), *shape)) for shape in ((), (), (3,), (), ()))
    on = np.arange(len(theta))  # the runs under way
    while on.size:
        step = np.minimum(config.part / np.linalg.eigvalsh(K)[:, -1], np.minimum(time / config.least, time - t[on]))
        theta[on] -= step[:, None] * gradient
        t[on], steps[on] = t[on] + step, steps[on] + 1
        factors[on] *= np.clip(1 - step[:, None] * spectrum[on], -1, 1)  # where K shrinks, steps grow
        R, K, gradient = _look(problem, network, theta[on], points, trained)
        drift[on] = np.maximum(drift[on], norms(K - K0[on], inside))
        for largest, decayed in ((away, factors[on]), (flow, np.exp(-spectrum[on] * t[on, None]))):
            constant = (axes[on] @ (decayed * along[on])[..., None])[..., 0]
            largest[on] = np.maximum(largest[on], np.linalg.norm(R - constant, axis=1))
        left = t[on] < time * (1 - 1e-12)
        on, K, gradient = on[left], K[left], gradient[left]
    size = np.linalg.norm(R0, axis=1)
    kernel = norms(K0, inside)
    return {"drift": drift, "kernel": kernel, "recursion": away / size, "exponential": flow / size, "steps": steps.astype(np.int64)}


def _drift(outcome: Outcome[Config], case: str, s: float, block: str) -> np.ndarray:
    """Largest distances (widths, runs)."""
    return np.array(outcome.arrays["drift"][outcome.where(case=case, s=s), :, BLOCKS.index(block)])


def _order(outcome: Outcome[Config], case: str, s: float, block: str) -> Mean:
    return order(_constant(outcome, case, "width"), _drift(outcome, case, s, block))


def _at(outcome: Outcome[Config], case: str, block: str, s: float, claimed: str) -> Claim:
    """That the order at s is below zero, or about zero."""
    one = _order(outcome, case, s, block)
    holds = one.high < 0 if claimed.startswith("below") else one.low - NEAR <= 0 <= one.high + NEAR
    told = f"{case}: order in N of sup ‖K_{block}(t) - K_{block}(0)‖ at s = {s:g}"
    return Claim(told, claimed, one.value, holds, (one.low, one.high))


def _from(outcome: Outcome[Config], case: str, block: str, least: float, claimed: str) -> Claim:
    """That the s above which a block stands still is `least`, or the theorem's or less."""
    s = outcome.config.exponents
    root = vanishing(s, [_order(outcome, case, e, block) for e in s])
    holds = root.low - NEAR <= max(least, THEOREM) and least <= root.high + NEAR
    beside = f"; Theorem 2.3's {THEOREM:g} is {'' if root.low > THEOREM + NEAR else 'not '}excluded" if least else ""
    told = f"{case}: s above which sup ‖K_{block}(t) - K_{block}(0)‖ tends to 0, of those from {s[0]:.3g} on"
    return Claim(told, claimed + beside, root.value, holds, (root.low, root.high))


def _constant(outcome: Outcome[Config], case: str, what: str) -> np.ndarray:
    """At s = 1/2 the widths (widths,), or distances of residuals (widths, runs)."""
    if what == "width":
        return np.array(outcome.config.widths, dtype=np.float64)
    return np.array(outcome.arrays[what][outcome.where(case=case, s=0.5)])
