"""Hirsch & Pichi 2025, section 5.2.2, Figures 8 and 9: the wave equation with no weights, the full kernel's, and sketched ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from .. import problems
from ..calculus.network import MLP
from ..errors import TraceError
from ..training.deviation import full_weights
from ..training.history import History
from ..training.train import train
from .figure import DASHED, LINE, Curves, Figure, Image, Series
from .start import spread
from .study import Arrays, Cell, Claim, Outcome, Study

TERMS = ("interior", "initial", "velocity", "boundary")
OPTIMIZERS = {"adam": "Adam", "damped": "damped natural gradient", "spring": "SPRING"}
WEIGHTINGS = {"fixed": "no weights", "trace": "full kernel", "balanced": "Algorithm 3, balanced", "joint": "Algorithm 3 as printed"}
PASSES = {"fixed": 2, "trace": 2, "balanced": 4, "joint": 4}  # a step of Adam: forward and adjoint; Algorithm 3: another of each
RECORDS = 60
START = 17  # the seed of the first θ, the same for all trainings of one network: only weights and points differ
SIDE = 64  # of the grid on which û is kept
SPREAD: dict[str, Any] = {"slopes": (0.35, 0.7), "gain": 3.0, "bias": 0.5}  # of SPRING's first features, in x and t
FIT = 1e-15  # the damping of the step by which its last layer is fitted to them


@dataclass(frozen=True)
class Config:
    """Trainings: `steps`, `hidden` and `alphas` of Adam, and with `natural_` of natural gradients; the last two judge errors."""

    optimizers: tuple[str, ...] = ("damped", "adam")
    natural_steps: int = 240
    natural_hidden: tuple[int, ...] = (40, 40)
    natural_alphas: tuple[float, ...] = (0.3, 0.1, 0.03)
    damping: float = 1e-9
    momentum: float = 0.95  # of SPRING
    natural_rate: float = 0.1  # of SPRING
    exhaustive: bool = True  # whether the line search tries all of its 31 steps, or ends at the first that is better than the next
    steps: int = 6000
    hidden: tuple[int, ...] = (100, 100, 100)
    alphas: tuple[float, ...] = (0.1, 0.01, 0.001)
    rate: float = 3e-3
    decay: float = 0.9  # of the rate in 1,000 steps
    samples: int = 100  # behind the first average
    counts: tuple[int, ...] = (300, 100, 300, 200)  # points of TERMS: the paper's
    natural_accuracy: float = 0.01
    accuracy: float = 0.2


class Wave(Study[Config]):
    """What do sketched weights do for the wave equation that no weights, and those of the full kernel, do not?

    Points are drawn anew for every step. Algorithm 3 runs balanced, as `training.weightings.Sketched` tells, and as printed, with
    one normal probe for all terms, where a trace that comes out negative ends the training. The paper prints neither optimizer nor
    rate; besides Adam there is Levenberg's natural gradient, for which the same weights scale the rows of J. Errors are relative L2
    distances from the solution on a 50 × 50 grid. A pass is a sweep of all points through the network; the full kernel's traces are
    dot products of what the gradient's adjoint pass holds anyway and take none, a sketch takes two more.

    At the paper's scale 503,001 parameters follow SPRING, natural gradients in sample space with a memory: a step costs K and a
    linear system of its 900 rows. It begins where the features vary over the domain already (`start.spread`) and one step more, all
    but undamped, has fitted the last layer to them. 80,040 steps of Adam cost more (`--set optimizers=spring,adam`).
    """

    name: ClassVar[str] = "wave"
    source: ClassVar[str] = "Hirsch & Pichi 2025, section 5.2.2, Figures 8-9"
    scales: Mapping[str, Config] = {
        "smoke": Config(
            natural_steps=120,
            natural_hidden=(24, 24),
            natural_alphas=(0.3, 0.1),
            damping=1e-7,
            steps=120,
            hidden=(20, 20),
            alphas=(0.1, 0.01),
            rate=1e-2,
            counts=(150, 50, 60, 60),
            natural_accuracy=0.2,
            accuracy=2.0,
        ),
        "desk": Config(),
        "paper": Config(
            optimizers=("spring",),
            natural_steps=160,
            natural_hidden=(500, 500, 500),
            natural_alphas=(0.3, 0.1),
            damping=1e-8,
            steps=80_040,
            hidden=(500, 500, 500),
            alphas=(0.01, 0.001, 0.0001),
            rate=1e-3,
            accuracy=0.01,
        ),
    }

    def cells(self, config: Config) -> list[Cell]:
        """One training each."""
        found: list[Cell] = []
        for optimizer in config.optimizers:
            alphas = config.natural_alphas if natural(optimizer) else config.alphas
            ways = [("fixed", 1.0), ("trace", 1.0), *(("balanced", alpha) for alpha in alphas), ("joint", alphas[1])]
            found += [{"optimizer": optimizer, "weighting": weighting, "alpha": alpha} for weighting, alpha in ways]
        return found

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Errors (records,), weights in force and the full kernel's (records, terms), NaN after the end; û on a grid, the end."""
        optimizer, sketched = cell["optimizer"], cell["weighting"] in ("balanced", "joint")
        problem, steps = problems.get("wave"), config.natural_steps if natural(optimizer) else config.steps
        hidden = config.natural_hidden if natural(optimizer) else config.hidden
        network = MLP([2, *hidden, 1], **problem.normalization)  # type: ignore[arg-type]
        seed = key % 2**63
        options: dict[str, dict[str, Any]] = {
            "adam": {"lr": config.rate},
            "damped": {"options": {"damping": config.damping, "exhaustive": config.exhaustive}},
            "spring": {"options": {"damping": config.damping, "momentum": config.momentum}, "lr": config.natural_rate},
        }
        how: dict[str, Any] = {
            "decay": (config.decay, 1000),
            "weighting": "sketched" if sketched else cell["weighting"],
            "alpha": cell["alpha"],
            "samples": config.samples,
            "balance": cell["weighting"] != "joint",
            "probe": "normal" if cell["weighting"] == "joint" else "rademacher",
            "resample": True,
            "counts": dict(zip(TERMS, config.counts, strict=True)),
            "engine": "numba",
            "record": -(-steps // RECORDS),
        }
        theta = network.init(rng=START)
        found: History | None
        try:
            if optimizer == "spring":
                theta = spread(network, problem.domain, **SPREAD, rng=START)
                fit = how | {"weighting": "trace" if sketched else cell["weighting"], "options": {"damping": FIT}}
                theta = train(problem, network, theta, steps=1, optimizer="damped", rng=seed ^ 1, **fit).theta
            found = train(problem, network, theta, steps=steps, optimizer=optimizer, rng=seed, **how, **options[optimizer])
            done = steps
        except TraceError as error:  # at step 0 already, if there is no history
            found = getattr(error, "history", None)
            done = 0 if found is None else found.config["completed"]
        return _arrays(found, network, theta, steps, done)

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """For each optimizer errors, what the weights are worth, and how smooth they are; then what one probe for all does."""
        both = [Trainings(outcome, optimizer) for optimizer in outcome.config.optimizers]
        of = min(both, key=Trainings.printed)
        told = f"{OPTIMIZERS[of.optimizer]}, Algorithm 3 as printed: share of the steps it made before a trace came out negative"
        worse = Claim(told, "below 1: one probe for all terms does not serve", of.printed(), of.printed() < 1)
        return [*(claim for of in both for claim in _judge(of)), worse]

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Figure 8's and 9's counterparts for each optimizer, and errors on the way."""
        errors, figures = [], []
        for optimizer in outcome.config.optimizers:
            of = Trainings(outcome, optimizer)
            ran = [i for i in range(len(of.cells)) if np.isfinite(of.error[i, 1])]
            unit = {i: 1 if natural(optimizer) else PASSES[of.weighting(i)] for i in ran}
            series = [of.series(of.title(i), of.error[i], unit[i]) for i in ran]
            x = "step" if natural(optimizer) else "passes through the network"
            errors.append(Curves(OPTIMIZERS[optimizer], x, "relative L2 error (dimensionless)", series, log="y"))
            weights = [of.curves(i) for i in ran if of.weighting(i) in ("balanced", "joint")]
            told = f"Figure 8's counterpart, {OPTIMIZERS[optimizer]}: weights in force solid, the full kernel's there dashed."
            figures.append(Figure(f"weights-{optimizer}", told, weights, len(weights)))
            figures.append(of.solution())
        return [Figure("errors", "Errors of all trainings, for Adam against deterministic time.", errors), *figures]


def natural(optimizer: str) -> bool:
    """Whether it follows natural gradients."""
    return optimizer != "adam"


def _arrays(found: History | None, network: MLP, start: np.ndarray, steps: int, done: int) -> Arrays:
    """Records 0, 1, ..., as many for every cell, NaN where there are none."""
    M, error = len(TERMS), np.full(RECORDS + 1, np.nan)
    used, full, theta = np.full((RECORDS + 1, M), np.nan), np.full((RECORDS + 1, M), np.nan), start
    if found is not None:
        rows, theta = len(found.steps), found.theta
        error[:rows] = found.errors
        used[:rows], full[:rows] = (np.stack([of[term] for term in TERMS], axis=1) for of in (found.weights, full_weights(found)))
    u = network(theta, problems.get("wave").domain.sample((SIDE, SIDE), rng=np.random.default_rng(0)))
    return {
        "step": np.minimum(np.arange(RECORDS + 1) * -(-steps // RECORDS), steps),
        "error": error,
        "weights": used,
        "full": full,
        "field": u.reshape(SIDE, SIDE).astype(np.float32),
        "done": np.array(done / steps),
    }


class Trainings:
    """The trainings by one optimizer."""

    def __init__(self, outcome: Outcome[Config], optimizer: str):
        self.optimizer, self.config = optimizer, outcome.config
        at = outcome.where(optimizer=optimizer)
        self.cells = [outcome.cells[i] for i in at]
        self.error, self.weights, self.full, self.field, self.done = (
            outcome.arrays[name][at] for name in ("error", "weights", "full", "field", "done")
        )
        self.steps = outcome.arrays["step"][at[0]].astype(np.float64)

    def weighting(self, i: int) -> str:
        """Of training i."""
        return str(self.cells[i]["weighting"])

    def title(self, i: int) -> str:
        """Of training i."""
        cell = self.cells[i]
        end = f", α = {cell['alpha']:g}" if cell["weighting"] in ("balanced", "joint") else ""
        return WEIGHTINGS[cell["weighting"]] + end

    def those(self, weighting: str) -> list[int]:
        """The trainings with that weighting."""
        return [i for i in range(len(self.cells)) if self.weighting(i) == weighting]

    def final(self, i: int) -> float:
        """The error at the last record."""
        return float(self.error[i][np.isfinite(self.error[i])][-1])

    def printed(self) -> float:
        """The share of its steps that the printed form makes."""
        return float(self.done[self.those("joint")[0]])

    def deviation(self, i: int) -> float:
        """`|λ̂/λ - 1|`, the largest of the terms' medians over the records after the first."""
        off = np.abs(self.weights[i, 1:] / self.full[i, 1:] - 1)
        return float(np.nanmedian(off[np.isfinite(off).all(axis=1)], axis=0).max())

    def roughness(self, i: int) -> float:
        """Root mean square second difference of log λ̂ from record to record: a trend has none."""
        return float(np.sqrt(np.nanmean(np.diff(np.log(self.weights[i, 1:]), 2, axis=0) ** 2)))

    def series(self, label: str, values: np.ndarray, unit: int = 1, style: str = LINE, family: str = "") -> Series:
        """Numbers of a training over its steps, `unit` each, as far as it came."""
        there = np.isfinite(values)
        return Series(label, self.steps[there] * unit, values[there], style, family=family)

    def curves(self, i: int) -> Curves:
        """The weights of training i on their way."""
        exact = [self.series(f"{term}, full kernel", self.full[i, :, k], 1, DASHED, term) for k, term in enumerate(TERMS)]
        used = [self.series(f"{term}, in force", self.weights[i, :, k], family=term) for k, term in enumerate(TERMS)]
        return Curves(self.title(i), "step", "λ (dimensionless)", [*exact, *used], log="y")

    def solution(self) -> Figure:
        """The solution, and û and its error without weights and with Algorithm 3's."""
        problem = problems.get("wave")
        exact = problem.solution(problem.domain.sample((SIDE, SIDE), rng=np.random.default_rng(0)))
        assert exact is not None
        u, extent, images = exact.reshape(SIDE, SIDE), (0.0, 1.0, 0.0, 1.0), []
        label = {"extent": extent, "x": "t", "y": "x", "signed": True, "z": "u (dimensionless)"}
        for i in (self.those("fixed")[0], self.those("balanced")[1]):
            images.append(Image("solution", u, **label))  # type: ignore[arg-type]
            images.append(Image(f"network, {self.title(i)}", self.field[i], **label))  # type: ignore[arg-type]
            images.append(Image("error", self.field[i] - u, **label))  # type: ignore[arg-type]
        told = f"Figure 9's counterpart, {OPTIMIZERS[self.optimizer]}: without weights above, with Algorithm 3's below."
        return Figure(f"solution-{self.optimizer}", told, images, columns=3)


def _judge(of: Trainings) -> list[Claim]:
    limit, name = of.config.natural_accuracy if natural(of.optimizer) else of.config.accuracy, OPTIMIZERS[of.optimizer]
    (none,), (full,), balanced, _ = (of.those(weighting) for weighting in WEIGHTINGS)
    found = []
    for i in balanced:
        found.append(Claim(f"{name}, {of.title(i)}: relative L2 error", f"below {limit:g}", of.final(i), of.final(i) < limit))
        ratio = of.final(i) / of.final(full)
        told = f"{name}, {of.title(i)}: its error over that with the full kernel's weights"
        found.append(Claim(told, "little matter: between 1/3 and 3", ratio, 1 / 3 < ratio < 3))
        off = of.deviation(i)
        found.append(Claim(f"{name}, {of.title(i)}: how far its weights are off, median, worst term", "below 1", off, off < 1))
    gain = of.final(none) / min(of.final(i) for i in balanced)
    found.append(Claim(f"{name}: error without weights over the least with sketched ones", "above 1", gain, gain > 1))
    rough = [of.roughness(i) for i in balanced]
    told = f"{name}: roughness of the weights, largest ratio of one α to the next larger"
    worst = max(b / a for a, b in pairwise(rough))
    found.append(Claim(told, "smoother with smaller α: below 1", worst, worst < 1))
    return found
