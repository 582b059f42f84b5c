"""Hirsch & Pichi 2025, section 5.2.1, Figures 4, 5 and 7: what Algorithms 2 and 3 see of a kernel that moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import engine
from ..estimation import moments, probes, sketch
from ..problems.quadratic import Quadratic
from .cases import Case, case
from .figure import DASHED, POINTS, Curves, Figure, Image, Series
from .rates import mean
from .study import Arrays, Cell, Claim, Outcome, Study

RECORDS = 1000  # of a training
WIDE = 0.999  # the level of the interval by which the verdict is reached


@dataclass(frozen=True)
class Config:
    """Sizes; `start` is the seed of θ and of the noise in the data, `rate` the paper's unprinted learning rate."""

    samples: tuple[int, ...] = (1, 2000, 20000)  # of the means at time 0, Figure 5
    steps: int = 100_000  # T
    alpha: float = 1e-4
    first: int = 20000  # samples behind the first average
    trainings: int = 8
    rate: float = 1e-4
    dt: float = 1e-4
    rows: int = 50
    start: int = 17


class QuadraticPredictor(Study[Config]):
    """How close are the means of Algorithm 2's samples at time 0, and Algorithm 3's average at time T, to the exact kernel?

    `R_i = Σ_j θ_j² u_j(x_i) - y_i` with one term: all weights are 1, gradient descent does not feel the estimates, and the average
    is compared with a kernel that moves as it does for anybody. Squared errors are given over their expectations in closed form,
    `estimation.moments`, for the average `Σ_s (share of s)² E‖K̂_s - K_s‖² + ‖Σ_s (share of s) K_s - K_T‖²`: chance and lag.
    Rates in N, Figure 6, are the study `montecarlo`.
    """

    name: ClassVar[str] = "quadratic"
    source: ClassVar[str] = "Hirsch & Pichi 2025, section 5.2.1, Figures 4, 5, 7"
    scales: Mapping[str, Config] = {
        "smoke": Config(samples=(1, 20, 200), steps=400, alpha=1e-2, first=200, trainings=2, rate=1e-3),
        "desk": Config(),
        "paper": Config(trainings=32),
    }

    def cells(self, config: Config) -> list[Cell]:
        """The means at time 0, and independent trainings."""
        return [
            *({"part": "mean", "number": N} for N in config.samples),
            *({"part": "training", "number": i} for i in range(config.trainings)),
        ]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """A mean of samples at θ_0, or all of a training."""
        at = case("quadratic", config.rows, (), config.start)
        if cell["part"] == "mean":
            return {"estimate": _mean(at, cell["number"], config.dt, key)}
        return _algorithm_3(at, config, key)

    def combine(self, config: Config, cells: Sequence[Cell], found: Sequence[Arrays]) -> Outcome[Config]:
        """Both parts, each stacked, and what is exact."""
        at, arrays = case("quadratic", config.rows, (), config.start), {"K": case("quadratic", config.rows, (), config.start).K}
        for part in ("mean", "training"):
            some = [array for cell, array in zip(cells, found, strict=True) if cell["part"] == part]
            arrays |= {f"{part}.{name}": np.stack([one[name] for one in some]) for name in some[0]}
        return Outcome(config, cells, arrays | {"theta": at.theta, "data": at.points["data"]})

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Squared errors over their expectations, and a predictor that is learned."""
        config, a = outcome.config, outcome.arrays
        one, found = moments.ntk_mean_squared_error(a["K"]), []
        for N, estimate in zip(config.samples, a["mean.estimate"], strict=True):
            ratio = N * float(np.sum((estimate - a["K"]) ** 2)) / one
            size = float(np.linalg.norm(estimate - a["K"]) / np.linalg.norm(a["K"]))
            found.append(
                Claim(
                    f"squared error of the mean of {N}, relative error {size:.3g}, over its expectation",
                    "1, within 0.02 and 8",
                    ratio,
                    0.02 < ratio < 8,
                )
            )
        final = a["training.error"][:, -1] / a["training.expected"][:, -1]
        seen, judged = mean(final), mean(final, level=WIDE)
        told = "squared error of Algorithm 3's average at T over its expectation, mean of the trainings"
        found.append(Claim(told, f"1 in the {WIDE:.1%} interval", seen.value, 1 in judged, (seen.low, seen.high)))
        theta, target = np.abs(a["training.theta"][0]), _least_squares(a["data"])
        miss = float(np.abs(theta**2 - target).max())
        found.append(Claim("coefficients θ² at T: distance from least squares", "trained: below 0.1", miss, miss < 0.1))
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """The predictor, the kernels at time 0 and at T, and the error of the average between them."""
        config, a = outcome.config, outcome.arrays
        x, y = a["data"].T
        curves = {
            "sampled data": (y, POINTS),
            "true output": (np.pi * x**2 + math.e * x + np.sqrt(2.0), DASHED),
            "predictor at T": (_features(x) @ a["training.theta"][0] ** 2, "line"),
        }
        drawn = [Series(label, x, values, style) for label, (values, style) in curves.items()]
        means = [_matrix(f"mean of {N:,}", e) for N, e in zip(config.samples, a["mean.estimate"], strict=True)]
        t, first = a["training.time"][0], a["training.error"]
        size = np.sum(a["training.K"][0] ** 2)
        errors = Curves(
            "Algorithm 3's average",
            "step",
            "‖average - K‖² / ‖K_T‖² (dimensionless)",
            [
                *(Series(f"training {i}", t, error / size) for i, error in enumerate(first[:3])),
                Series("expected", t, a["training.expected"][0] / size, DASHED),
                Series("of which lag", t, a["training.lag"][0] / size, DASHED),
            ],
            log="y",
        )
        return [
            Figure("predictor", "Figure 4's counterpart.", [Curves("Predictor", "x", "y (dimensionless)", drawn)]),
            Figure("start", "Figure 5's counterpart: K at time 0, and means of samples of it.", [_matrix("exact", a["K"]), *means]),
            Figure(
                "end",
                f"Figure 7's counterpart: exact kernel and average, α = {config.alpha:g}, at time 0 and at T = {config.steps:,}.",
                [
                    _matrix("exact, t = 0", a["K"]),
                    _matrix("average, t = 0", a["training.first"][0]),
                    _matrix("exact, t = T", a["training.K"][0]),
                    _matrix("average, t = T", a["training.average"][0]),
                ],
            ),
            Figure("average", "Squared error of the average while K moves, beside its expectation in closed form.", [errors]),
        ]


def _matrix(title: str, K: np.ndarray) -> Image:
    """A kernel to look at, all on one scale."""
    return Image(title, K, x="column", y="row", family="K")


def _mean(at: Case, samples: int, dt: float, key: int) -> np.ndarray:
    """The mean of Algorithm 2's samples, some at a time."""
    n, total, done, step = at.K.shape[0], np.zeros_like(at.K), 0, 1000
    while done < samples:
        count = min(step, samples - done)
        G = probes.normal(n, count, key=key, stream=done)
        total += count * sketch.estimate_ntk(G, sketch.products(*at.arguments, G, dt))
        done += count
    return total / samples


def _algorithm_3(at: Case, config: Config, key: int) -> dict[str, np.ndarray]:
    """Gradient descent with a moving average of samples of K, and what is expected of its squared error on the way.

    With one term Λ = 1 whatever is estimated, so that K_t, known in closed form, is the same for every probe: mean and chance of
    the average follow the same recursion as the average, `m ← (1-α) m + α K_t` and `v ← (1-α)² v + α² V_t`.
    """
    problem, points, theta, update = at.problem, at.points, at.theta, engine.get("numba", xp=np).average
    assert isinstance(problem, Quadratic)
    G = probes.normal(config.rows, config.steps + 1, key=key)
    average = _mean(at, config.first, config.dt, key ^ 1)
    K, followed, chance = at.K, at.K, moments.ntk_mean_squared_error(at.K) / config.first
    first, rows = average, []
    records = set(np.linspace(0, config.steps, min(RECORDS, config.steps) + 1).astype(int).tolist())
    for t in range(config.steps + 1):
        J = 2 * theta * _features(points["data"][:, 0])
        R = problem.residual(theta, points, xp=np)
        K = J @ J.T
        if t:
            g = G[:, t]
            z = (problem.residual(theta + config.dt * (J.T @ g), points, xp=np) - R) / config.dt
            average = update(average, z, g, config.alpha, xp=np)
            followed = (1 - config.alpha) * followed + config.alpha * K
            chance = (1 - config.alpha) ** 2 * chance + config.alpha**2 * _one_sample(K)
        if t in records:
            lag = np.sum((followed - K) ** 2)
            rows.append((t, np.sum((average - K) ** 2), lag + chance, lag))
        theta = theta - config.rate * (J.T @ R)
    time, error, expected, lag = np.array(rows, dtype=np.float64).T
    kept: dict[str, Any] = {"time": time, "error": error, "expected": expected, "lag": lag}
    return kept | {"K": K, "average": average, "first": first, "theta": theta}


def _one_sample(K: np.ndarray) -> float:
    """`moments.ntk_mean_squared_error` for normal probes without its checks: `((n+2)F + T²)/2`."""
    return ((len(K) + 2) * float(np.sum(K * K)) + float(np.trace(K)) ** 2) / 2


def _features(x: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(x), x, x * x], axis=1)


def _least_squares(data: np.ndarray) -> np.ndarray:
    """The coefficients that gradient descent goes to, were they all positive."""
    return np.linalg.lstsq(_features(data[:, 0]), data[:, 1])[0]
