"""Why the paper's largest loss weight is under-approximated (Hirsch & Pichi 2025, Figure 8): lag, ratio, resampling, told apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..estimation import probes
from ..kernel.linearization import linearize
from ..kernel.ntk import ntk, ntk_traces, traces
from ..problems.base import Problem
from ..training.optimizers import adam
from ..weights import trace_ratio
from .figure import DASHED, Curves, Figure, Series
from .rates import mean
from .study import Arrays, Cell, Claim, Outcome, Study

TERMS = ("interior", "initial", "velocity", "boundary")


@dataclass(frozen=True)
class Config:
    """Sizes: a wave network small enough for the exact kernel at every step, and for many probes beside each other."""

    trainings: int = 4
    steps: int = 3000
    alphas: tuple[float, ...] = (0.1, 0.01, 0.001)
    replicates: int = 32  # averages of Algorithm 3 along the same training, each with its own probes
    samples: int = 100  # behind each first average
    hidden: tuple[int, ...] = (40, 40)
    counts: tuple[int, ...] = (60, 20, 60, 40)  # points of TERMS
    many: int = 20  # times as many points, for the kernel's expectation over points
    record: int = 50
    rate: float = 3e-3


class WeightBias(Study[Config]):
    """What does Algorithm 3's largest weight miss, and why: the average's lag, the ratio's bias, or the points drawn anew?

    A wave network is trained with weights of the full kernel, so that its path does not depend on any estimate; along it run
    averages with their own probes, "joint" as printed and "balanced" as in training here. At a record, λ being eq. (5),

        resampling  λ(E traces over points) / λ(traces at this step's points) - 1
        lag         λ(average of the exact traces) / λ(E traces over points) - 1
        ratio       closed-form bias of T̂ / T̂_k, to second order, over λ(average of the exact traces)

    and to first order their sum is what λ̂ / λ - 1 is on average over probes.
    """

    name: ClassVar[str] = "weightbias"
    source: ClassVar[str] = "Hirsch & Pichi 2025, section 5.2.2, Figure 8"
    scales: Mapping[str, Config] = {
        "smoke": Config(2, 400, (0.3, 0.003), 16, 20, (16,), (12, 4, 12, 8), 4, 50),
        "desk": Config(),
        "paper": Config(trainings=8, steps=20_000, alphas=(0.1, 0.01, 0.001, 0.0001), replicates=100),
    }

    def cells(self, config: Config) -> list[Cell]:
        """One training each."""
        return [{"training": i} for i in range(config.trainings)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """The exact weights (records, M), and for every mode and α what became of them, (records, modes, alphas, M)."""
        problem = problems.get("wave")
        network = MLP([2, *config.hidden, 1], **problem.normalization)  # type: ignore[arg-type]
        theta, state = network.init(rng=key), {"m": np.zeros(network.size), "v": np.zeros(network.size)}
        followers: list[Follower] = []
        rows = []
        for t in range(config.steps + 1):
            lin = linearize(problem, network, theta, _points(problem, config, key, t), engine="numba")
            K = ntk(lin)
            exact = np.array(list(traces(np.diagonal(K), lin.blocks).values()))
            squares = np.array([[np.sum(K[k, l] ** 2) for l in lin.blocks.values()] for k in lin.blocks.values()])
            if not t:
                followers = [Follower(balanced, alpha, exact, config) for _, balanced, alpha in _modes(config)]
            G = probes.normal(len(K), config.replicates * (config.samples if not t else 1), key=key, stream=t)
            for follower in followers:
                follower.follow(K, lin.blocks, G, exact, squares)
            if t % config.record == 0 and t:
                many = _points(problem, config, key, t, many=config.many)
                expected = np.array(list(ntk_traces(linearize(problem, network, theta, many, engine="numba")).values()))
                parts = [follower.weights() for follower in followers]
                stacked = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
                rows.append({"step": t, "exact": _ratio(exact), "expected": _ratio(expected)} | stacked)
            gradient = lin.gradient(trace_ratio(dict(zip(lin.blocks, exact.tolist(), strict=True))))
            direction, state = adam(gradient, t, state, xp=np)
            theta = theta - config.rate * direction
        return {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Second half, largest weight: that lag and not the ratio explains what it misses, and that the parts add up."""
        found, least = [], np.inf
        half = outcome.config.steps // outcome.config.record // 2
        for j, (of, balanced, alpha) in enumerate(_modes(outcome.config)):
            lost = float(outcome.arrays["lost"][:, half:, j].max())
            if alpha == max(outcome.config.alphas) and not balanced:
                told = f"{of}: share of averages with a trace below 0, from which no weight follows"
                found.append(Claim(told, "above 0: joint probes are of no use there", lost, lost > 0))
            if lost:
                continue
            seen = {name: values[:, half:].mean(axis=1) for name, values in _parts(outcome, j).items()}  # one for each training
            total, size = mean(seen["λ̂/λ - 1"]), sum(float(np.abs(values).mean()) for values in seen.values())
            parts = {name: float(seen[name].mean()) for name in ("lag", "ratio", "resampling")}
            told = f"{of}: λ̂/λ - 1 = {total.value:+.3g} = " + " ".join(f"{value:+.3g} ({name})" for name, value in parts.items())
            left, least = abs(total.value - sum(parts.values())), min(least, parts["ratio"])
            found.append(
                Claim(f"{told}; left over", f"0 to second order: below {0.02 + size / 10:.2g}", left, left < 0.02 + size / 10)
            )
            if alpha == min(outcome.config.alphas) and balanced:
                share = abs(parts["lag"]) / sum(map(abs, parts.values()))
                ends = (total.low, total.high)
                found.append(Claim(f"{of}: λ̂/λ - 1", "of the sign of the lag", total.value, total.value * parts["lag"] > 0, ends))
                found.append(Claim(f"{of}: share of the lag in all parts", "more than half", share, share > 0.5))
        found.append(
            Claim("part of the ratio, least over probes and α", "above 0: it cannot explain a lack", least, 0 < least < np.inf)
        )
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Weights of the first training, exact and estimated, and the three parts for the largest, mean of the trainings."""
        a, modes = outcome.arrays, _modes(outcome.config)
        step, weights, parts = a["step"][0], [], []
        for j, (label, _, _) in enumerate(modes):
            exact = [Series(f"{term}, full kernel", step, a["exact"][0, :, k], DASHED, family=term) for k, term in enumerate(TERMS)]
            average = [Series(f"{term}, average", step, a["estimated"][0, :, j, k], family=term) for k, term in enumerate(TERMS)]
            weights.append(Curves(label, "step", "λ (dimensionless)", [*exact, *average], log="y"))
            lines = [Series(name, step, values.mean(axis=0)) for name, values in _parts(outcome, j).items()]
            parts.append(Curves(label, "step", "relative to λ", lines))
        return [
            Figure(
                "weights", "Figure 8's counterpart: weights of the full kernel dashed, means of Algorithm 3's solid.", weights, 3
            ),
            Figure("parts", "The largest weight: λ̂/λ - 1, mean over trainings and probes, and its three parts.", parts, 3),
        ]


class Follower:
    """Algorithm 3's averages for one mode and α, many beside each other, and in closed form their common mean and covariance."""

    def __init__(self, balanced: bool, alpha: float, exact: np.ndarray, config: Config):
        self.balanced, self.alpha, self.config = balanced, alpha, config
        self.mean, self.covariance = exact, np.zeros((len(exact), len(exact)))
        self.average = np.zeros((config.replicates, len(exact)))

    def follow(self, K: np.ndarray, blocks: Mapping[str, slice], G: np.ndarray, exact: np.ndarray, squares: np.ndarray) -> None:
        """One more sample in every average; in the first, the mean of several."""
        first = not self.average.any()
        alpha, count = (1.0, G.shape[1] // len(self.average)) if first else (self.alpha, 1)
        sizes = exact if first else np.maximum(self.mean, 0)  # what the balance rests on
        d = np.sqrt(sizes.max() / sizes) if self.balanced else np.ones_like(sizes)
        rows = np.concatenate([np.full(b.stop - b.start, x) for b, x in zip(blocks.values(), d, strict=True)])
        Z = K @ (rows[:, None] * G)
        samples = np.array([np.sum(G[b] * Z[b], axis=0) for b in blocks.values()]) / d[:, None]  # (M, replicates · count)
        samples = samples.reshape(len(d), -1, count).mean(axis=-1).T
        spread = squares + np.diag((squares * (d / d[:, None]) ** 2).sum(axis=1))
        self.average = (1 - alpha) * self.average + alpha * samples
        self.mean = (1 - alpha) * self.mean + alpha * exact
        self.covariance = (1 - alpha) ** 2 * self.covariance + alpha**2 * spread / count

    def weights(self) -> dict[str, np.ndarray]:
        """Mean weight over the averages, the weight of their mean, the ratio's bias, and the share that gives none."""
        whole = (self.average > 0).all(axis=1)
        nothing = np.full(len(self.mean), np.nan)
        variance, with_total, T = np.diag(self.covariance), self.covariance.sum(axis=1), self.mean.sum()
        return {
            "estimated": (self.average.sum(axis=1)[whole, None] / self.average[whole]).mean(axis=0) if whole.any() else nothing,
            "lagging": _ratio(self.mean),
            "ratio": variance / self.mean**2 - with_total / (T * self.mean),
            "lost": np.mean(~whole),
        }


def _parts(outcome: Outcome[Config], j: int) -> dict[str, np.ndarray]:
    """λ̂/λ - 1 of the largest weight for mode and α number j, and its parts, (trainings, records) each."""
    a = outcome.arrays
    largest = a["exact"].mean(axis=(0, 1)).argmax()
    exact, expected = a["exact"][..., largest], a["expected"][..., largest]
    estimated, lagging, ratio = (a[name][:, :, j, largest] for name in ("estimated", "lagging", "ratio"))
    parts = {"λ̂/λ - 1": estimated / exact, "resampling": expected / exact, "lag": lagging / expected}
    return {name: values - 1 for name, values in parts.items()} | {"ratio": ratio}


def _points(problem: Problem, config: Config, key: int, t: int, many: int = 1) -> dict[str, np.ndarray]:
    """The points of a step, or `many` times as many."""
    counts = {term: many * count for term, count in zip(TERMS, config.counts, strict=True)}
    return problem.sample(rng=np.random.default_rng([key, t, many]), counts=counts)


def _ratio(values: np.ndarray) -> np.ndarray:
    """Eq. (5), (M,)."""
    return np.array(values.sum() / values)


def _modes(config: Config) -> list[tuple[str, bool, float]]:
    """What it is called, whether balanced, and α, in the order in which a cell follows them."""
    return [(f"{'balanced' if mode else 'joint'}, α = {alpha:g}", mode, alpha) for mode in (False, True) for alpha in config.alphas]
