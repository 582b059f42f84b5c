"""When is a sketch of the loss weights worth it: error and operations of full, sketched and averaged weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..estimation import moments
from ..kernel.linearization import linearize
from ..kernel.ntk import ntk
from ..kernel.operator import Linearization
from ..training.train import train
from .figure import DASHED, Curves, Figure, Series, Slope
from .rates import Rate, fit_exact
from .study import Arrays, Cell, Claim, Outcome, Study

WORK = {
    "step": "a step without weights",
    "sketch": "a sketch besides",
    "traces": "all traces besides",
    "matrix": "all of K besides",
}


@dataclass(frozen=True)
class Config:
    """Sizes: networks of two hidden layers of each width, so many rows, a quarter for each term of the wave equation."""

    rows: tuple[int, ...] = (48, 96, 192, 384, 768)
    widths: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    alphas: tuple[float, ...] = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    steps: int = 200  # of Adam, after which traces are looked at
    span: int = 20  # over so many more steps it is seen how fast they move
    start: int = 17  # the seed of θ and points


class Costs(Study[Config]):
    """For which n, width and α does Algorithm 3 give weights at a cost that their error is worth, beside exact ones?

    Operations are additions and multiplications in matrix products, counted from the shapes of the factors of J's rows; what is
    done entry by entry is left out. `step` is forward, adjoint and the gradient's product; a sketch is Jᵀg from the adjoint pass
    that is kept, and a forward pass; the traces are `point_gram`, dot products of what that pass holds. The error of Algorithm 3's
    average comes in closed form, for balanced signs: variance α/(2 - α) of a sample's, and the lag (1 - α)/α times the traces'
    drift, which is measured along a training. Only the largest of the terms' relative errors counts.
    """

    name: ClassVar[str] = "costs"
    source: ClassVar[str] = "Hirsch & Pichi 2025, sections 4 and 6"
    scales: Mapping[str, Config] = {
        "smoke": Config(rows=(24, 48, 96), widths=(8, 16, 32), alphas=(1.0, 0.1, 0.01, 0.001), steps=40, span=10),
        "desk": Config(),
        "paper": Config(rows=(96, 192, 384, 900), widths=(64, 128, 256, 500), steps=1000),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Every width with every number of rows."""
        return [{"width": width, "rows": rows} for width, rows in product(config.widths, config.rows)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Operations by name, and relative errors: of one sample, the drift in a step, of averages (alphas,)."""
        problem = problems.get("wave")
        network = MLP([2, cell["width"], cell["width"], 1], **problem.normalization)  # type: ignore[arg-type]
        counts = {term.name: cell["rows"] // len(problem.terms) for term in problem.terms}
        points = problem.sample(rng=config.start, counts=counts)
        theta = network.init(rng=config.start)
        seen = []
        for steps in (config.steps, config.span):
            theta = train(
                problem,
                network,
                theta,
                steps=steps,
                lr=1e-3,
                decay=None,
                weighting="trace",
                points=points,
                engine="numba",
                record=steps,
            ).theta
            lin = linearize(problem, network, theta, points, engine="numba")
            K = ntk(lin)
            seen.append(np.array([np.trace(K[rows, rows]) for rows in lin.blocks.values()]))
        drift = float(np.abs(np.log(seen[1] / seen[0])).max()) / config.span
        sample = float(np.sqrt(_variances(K, lin.blocks).max()))
        averages = [_average(alpha, sample, drift) for alpha in config.alphas]
        work = {name: np.array(float(count)) for name, count in _work(lin).items()}
        return work | {"sample": np.array(sample), "drift": np.array(drift), "average": np.array(averages)}

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Which is cheaper, how that goes with width and n, and what error the best α leaves."""
        a, config = outcome.arrays, outcome.config
        worst = float(np.max(a["traces"] / a["sketch"]))
        found = [
            Claim(
                "operations for all traces over those for one sketch, largest over n and width",
                "below 1: exact is cheaper",
                worst,
                worst < 1,
            )
        ]
        orders = [("traces", "width", -1.0), ("matrix", "rows", 1.0)]
        for name, axis, claimed in orders:
            rate = _order(outcome, name, axis)
            told = f"order in {axis} of the operations for {WORK[name].removesuffix(' besides')} over those for a sketch"
            far = rate.low if abs(rate.low - claimed) > abs(rate.high - claimed) else rate.high
            found.append(Claim(told, f"{claimed:g} within 0.2", far, abs(far - claimed) <= 0.2))
        least = float(a["average"].min(axis=1).min())
        told = "relative error of the worst term that the best α leaves, least over n and width (full: 0)"
        found.append(Claim(told, "above rounding, 1e-12", least, least > 1e-12))
        inside = a["average"].argmin(axis=1)
        share = float(np.mean((inside > 0) & (inside < len(config.alphas) - 1)))
        found.append(
            Claim(
                "share of sizes whose best α lies between the first and the last",
                "lag against noise: above 1/2",
                share,
                share > 0.5,
            )
        )
        wide = outcome.where(width=config.widths[-1])
        fall = float(a["sample"][wide[-1]] / a["sample"][wide[0]])
        told = f"relative error of one sample at n = {config.rows[-1]} over that at n = {config.rows[0]}, width {config.widths[-1]}"
        found.append(Claim(told, "more points help little: above 1/2", fall, fall > 0.5))
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Operations over width and over n, and the error of averages over α."""
        a, config = outcome.arrays, outcome.config
        by = {"width": (config.widths, {"rows": config.rows[-1]}), "rows": (config.rows, {"width": config.widths[-1]})}
        panels = []
        for axis, (sizes, other) in by.items():
            at, x = outcome.where(**other), np.array(sizes, dtype=np.float64)
            (name, value), *_ = other.items()
            series = [Series(title, x, a[work][at]) for work, title in WORK.items()]
            slope = Slope(1.0, (float(x[0]), float(a["traces"][at[0]])), "order 1")
            panels.append(Curves(f"{name} = {value}", axis, "operations", series, [slope], "xy"))
        alphas, lines = np.array(config.alphas), []
        for width in (config.widths[0], config.widths[-1]):
            i = int(outcome.where(width=width, rows=config.rows[-1])[0])
            noise = [_average(alpha, float(a["sample"][i]), 0.0) for alpha in config.alphas]
            lines.append(Series(f"width {width}", alphas, a["average"][i], family=str(width)))
            lines.append(Series(f"width {width}, noise alone", alphas, np.array(noise), DASHED, family=str(width)))
        error = Curves(f"Algorithm 3's average, n = {config.rows[-1]}", "α", "relative error (dimensionless)", lines, log="xy")
        told = (
            "Operations in matrix products, and the error of the worst term: exact traces cost less than a sketch, and no α takes "
            "both noise and lag away. Only all of K, which no weight needs, costs more."
        )
        return [Figure("costs", told, [*panels, error], columns=3)]


def _work(lin: Linearization) -> dict[str, int]:
    """Additions and multiplications in matrix products."""
    passes = traces = 0
    inputs, outputs = np.zeros(0), np.zeros(0)
    for _, factors in lin.factors():
        shapes = [(*f.A.shape, f.D.shape[1], f.D.shape[3]) for f in factors]
        passes += sum(2 * C * n * fan_in * fan_out for C, n, fan_in, _, fan_out in shapes)
        traces += sum(2 * C * C * n * (fan_in + m * fan_out) for C, n, fan_in, m, fan_out in shapes)
        inputs, outputs = (
            np.concatenate([total, np.zeros(max(0, len(shapes) - len(total)))]) + np.array(columns)
            for total, columns in ((inputs, [C * n for C, n, *_ in shapes]), (outputs, [C * n * m for C, n, _, m, _ in shapes]))
        )
    widths = [(fan_in, fan_out) for *_, fan_in, _, fan_out in shapes]
    pairs = sum(i * i * fan_in + o * o * fan_out for i, o, (fan_in, fan_out) in zip(inputs, outputs, widths, strict=True))
    return {"step": 3 * passes, "sketch": 2 * passes, "traces": traces, "matrix": int(pairs)}


def _variances(K: np.ndarray, blocks: Mapping[str, slice]) -> np.ndarray:
    """Relative variances of one balanced sample of signs, (M,): Algorithm 2 on the kernel of the rows scaled to equal traces."""
    d = np.concatenate([np.full(b.stop - b.start, np.trace(K[b, b]) ** -0.5) for b in blocks.values()])
    return np.array(list(moments.trace_variances(K * np.outer(d, d), blocks, probe="rademacher").values()))


def _average(alpha: float, sample: float, drift: float) -> float:
    """The root mean square relative error of an average that has run long: noise `α/(2 - α)`, lag `(1 - α)/α` steps."""
    lag = moments.moving_average_lag(alpha) * drift
    return float(np.sqrt(moments.moving_average_factor(alpha) * sample**2 + lag**2))


def _order(outcome: Outcome[Config], name: str, axis: str) -> Rate:
    """The order of `name` over a sketch along an axis, the other at its largest."""
    other, size = ("rows", outcome.config.rows[-1]) if axis == "width" else ("width", outcome.config.widths[-1])
    at = outcome.where(**{other: size})
    return fit_exact(
        outcome.column(axis, **{other: size}).astype(np.float64), outcome.arrays[name][at] / outcome.arrays["sketch"][at]
    )
