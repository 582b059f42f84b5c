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
from ..problems.base import Problem
from ..problems.homogeneity import linear
from .figure import DASHED, POINTS, Curves, Figure, Series, Slope
from .rates import Mean
from .study import Arrays, Cell, Claim, Outcome, Study
from .widths import BIAS, BLOCKS, RANDOM, few, network, norms, order, start, vanishing

CASES = {  # problem, whether the output bias is trained
    "heat": ("heat", True),
    "eikonal": ("eikonal", True),
    "kdv": ("kdv", True),
    "sine_gordon": ("sine_gordon", True),
    "sine_gordon, bias held": ("sine_gordon", False),
}
THEOREM = 0.25
NEAR = 0.03  # how far finite widths may move a threshold


@dataclass(frozen=True)
class Config:
    """Sizes: `runs` trainings of every width, for `horizon` times the inverse of Tr K at infinite width and gain 1.

    A step is `part` of the inverse of K's largest eigenvalue at the time, and at most 1/`least` of all the time. `exponents` must
    hold 1/2.
    """

    exponents: tuple[float, ...] = (0.1875, 0.25, 0.375, 0.5, 0.625, 0.75, 1.0)
    widths: tuple[int, ...] = (64, 256, 1024)
    runs: int = 16
    horizon: float = 5.0
    part: float = 0.5
    least: int = 40


class Drift(Study[Config]):
    """How far does K move in training as N grows, and from which s on does it stand still, as Theorem 2.3 has it for s > 1/4?

    Gradient descent of `½ ‖R‖²`, rows scaled by 1/√n_k, with steps short enough to follow the gradient flow, for a time that
    depends on the problem alone, on neither N nor s; the largest `‖K(t) - K(0)‖` of each block on the way. One hidden layer, all
    parameters N(0, 1) but the output bias, 0.7 at first. For s > 1/2 u tends to that bias, whose gradient no scaling touches: where
    ∂r/∂u depends on u, K moves with it. So there is also a case whose bias is held.

    Were K constant, the residual would be `e^(-KΛt) R(0)`, Λ = 1, and after steps of lengths η `Π (1 - ηK) R(0)`.
    """

    name: ClassVar[str] = "ntk_drift"
    source: ClassVar[str] = "Zhou & Yan 2024, Theorem 2.3"
    scales: Mapping[str, Config] = {
        "smoke": Config((0.25, 0.5, 1.0), (16, 128, 1024), 8, 5.0, 0.5, 10),
        "desk": Config(),
        "paper": Config(widths=tuple(2**k for k in range(4, 13)), runs=20, horizon=20.0),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Case by case, s by s, width by width."""
        return [{"case": case, "s": s, "width": N} for case, s, N in product(CASES, config.exponents, config.widths)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """For each run: largest ‖K(t) - K(0)‖ and ‖K(0)‖ (runs, 3), distances from both constant-K residuals, steps taken."""
        name, trained = CASES[cell["case"]]
        problem, points = few(name)
        at, rng = network(problem, cell["width"], cell["s"]), np.random.default_rng(key)
        unit = np.trace(limit(problem, at, points, scaling="mean", nodes=40).mean(gain=1.0, bias=BIAS))
        runs = [_descend(problem, at, start(at, rng), points, config, config.horizon / unit, trained) for _ in range(config.runs)]
        return {what: np.stack([run[what] for run in runs]) for what in runs[0]}

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Linear problems and K_bb stand still at s = 1/2; from which s on each block does, or that it never does; residuals."""
        found = []
        for case, (name, trained) in CASES.items():
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
        for case in CASES:
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
        lines = []
        for what, told in (("recursion", "Π (1 - ηK) R(0)"), ("exponential", "e^(-Kt) R(0)")):
            lines.append(Series(told, N, np.exp(np.log(_constant(outcome, "heat", what)).mean(axis=1)), POINTS))
        through = (float(N[-1]), float(lines[0].y[-1]))
        residual = Curves("heat, s = 1/2", "width N", "sup ‖R(t) - ·‖ / ‖R(0)‖", lines, [Slope(-1.0, through, "order -1")], "xy")
        return [
            Figure("drift", "How far K_ff moves in training, typical run.", drifts, 3),
            Figure("orders", "Orders in N with 95 % intervals: K stands still in the limit where they are below zero.", orders, 3),
            Figure("residual", "The residual in training beside that of a constant K.", [residual]),
        ]


def _descend(
    problem: Problem,
    network: MLP,
    theta: np.ndarray,
    points: Mapping[str, np.ndarray],
    config: Config,
    time: float,
    trained: bool,
) -> dict[str, np.ndarray]:
    """Gradient descent for that time, and what `measure` tells of one run. The share of a bias that is held is no part of K."""
    inside, used = points["interior"].shape[0], network.size - (0 if trained else network.outputs)

    def here() -> tuple[np.ndarray, np.ndarray]:
        lin = linearize(problem, network, theta, points, scaling="mean")
        return np.asarray(lin.jacobian.dense())[:, :used], np.asarray(lin.residual)

    J, R = here()
    K0, R0 = J @ J.T, R
    spectrum, axes = np.linalg.eigh(K0)
    along, factors = axes.T @ R0, np.ones_like(spectrum)
    t, steps, drift, away, flow = 0.0, 0, np.zeros(3), 0.0, 0.0
    while t < time * (1 - 1e-12):
        step = min(config.part / np.linalg.eigvalsh(J @ J.T)[-1], time / config.least, time - t)
        theta = theta.copy()
        theta[:used] -= step * (J.T @ R)
        t, steps, factors = t + step, steps + 1, factors * np.clip(1 - step * spectrum, -1, 1)  # where K shrinks, steps grow
        J, R = here()
        drift = np.maximum(drift, norms(J @ J.T - K0, inside))
        away = max(away, float(np.linalg.norm(R - axes @ (factors * along))))
        flow = max(flow, float(np.linalg.norm(R - axes @ (np.exp(-spectrum * t) * along))))
    size = np.linalg.norm(R0)
    return {
        "drift": drift,
        "kernel": norms(K0, inside),
        "recursion": np.array(away / size),
        "exponential": np.array(flow / size),
        "steps": np.array(steps),
    }


def _drift(outcome: Outcome[Config], case: str, s: float, block: str) -> np.ndarray:
    """Largest distances (widths, runs)."""
    return np.array(outcome.arrays["drift"][outcome.where(case=case, s=s), :, BLOCKS.index(block)])


def _order(outcome: Outcome[Config], case: str, s: float, block: str) -> Mean:
    return order(np.array(outcome.config.widths, dtype=np.float64), _drift(outcome, case, s, block))


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
