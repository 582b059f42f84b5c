"""Best McKay et al. 2025, section 5.1, Tables 1 and 2, Figure 2: the heat equation with 261 to 1,085,761 parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np

from . import comparison, descents
from .courses import Course, width
from .figure import POINTS, Curves, Figure, Series, Slope
from .study import Arrays, Cell, Claim, Outcome, Study

PRINTED = {  # Table 1, median relative L2 errors by parameters
    261: "the paper's ENGD 2.78e-6, single pass 3.62e-7, two passes 1.49e-7",
    5301: "the paper's ENGD 5.66e-7, single pass 7.87e-9, two passes 1.24e-8",
    1085761: "the paper's single pass 1.48e-8, two passes 1.49e-7; its ENGD does not fit in memory",
}


@dataclass(frozen=True)
class Config:
    """Hidden layers; targets and steps in the order of `small` and then `large`; `first` steps of Adam and BFGS."""

    small: tuple[str, ...] = ("65", "50-50-50")
    targets: tuple[float, ...] = (1e-6, 2e-8, 1e-6)
    steps: tuple[int, ...] = (100, 50, 60)
    methods: tuple[str, ...] = ("adam", "bfgs", "engd", "single", "two", "ours")
    large: str = "520-520-520-520-520"
    runs: int = 5
    few: int = 1  # runs of `large`
    first: int = 300
    nodes: int = 20
    records: int = 24
    start: int = 19  # variants were tried on starts 17 and 18


class SngdHeat(Study[Config]):
    """How far down does each optimizer come on the heat equation, from 261 parameters to a million?

    All start at the same θ for a run and go down half the integral of the squared residual on the same tensor Gauss points. The
    paper prints no points. Its "ENGD" is G⁺ with the cut p ε λ_max of a least-squares solver; ours is `natural.searched`, the best
    of many steps from the singular values of J, whose condition number is not squared. The largest network is trained through the
    kernel K, n² numbers: no array of p² or n p entries is made.
    """

    name: ClassVar[str] = "sngd_heat"
    source: ClassVar[str] = "Best McKay et al. 2025, section 5.1, Tables 1 and 2, Figure 2"
    scales: Mapping[str, Config] = {
        "smoke": Config(
            ("12-12",), (1e-3, 1e-2), (60, 40), ("adam", "engd", "two", "ours"), "24-24", runs=1, first=40, nodes=10, records=8
        ),
        "desk": Config(),
        "paper": Config(
            methods=("adam", "bfgs", "engd", "cut", "single", "two", "ours"),
            steps=(2500, 2500, 1000),
            first=100_000,
            few=5,
            records=100,
        ),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Every method from every start; of the largest network, ours through the kernel."""
        small = [
            {"hidden": hidden, "method": method, "run": i}
            for hidden in config.small
            for method in config.methods
            for i in range(config.runs)
        ]
        return [*small, *({"hidden": config.large, "method": "sample", "run": i} for i in range(config.few))]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """One descent."""
        course = _course(cell["hidden"], config.nodes)
        steps = dict(zip((*config.small, config.large), config.steps, strict=True))[cell["hidden"]]
        if cell["method"] in ("adam", "bfgs"):
            steps = config.first
        return descents.measure(
            course, cell["method"], start=[config.start, cell["run"]], steps=steps, records=config.records, key=key
        )

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """How far ours comes, and whether it comes further than what the paper has."""
        config, found = outcome.config, []
        for hidden, target in zip(config.small, config.targets[:-1], strict=True):
            p = _course(hidden, config.nodes).network.size
            printed = PRINTED.get(p, "a small network")
            ours = {"hidden": hidden, "method": "ours"}
            found.append(comparison.reached(outcome, f"{p:,} parameters, ours", target, printed, **ours))
            for method in ("engd", "two", "adam") if config.runs >= comparison.MEDIANS else ("adam",):
                told = f"{p:,} parameters: error of ours over that of {descents.METHODS[method].label}"
                found.append(comparison.lead(outcome, told, "below 1", ours, ours | {"method": method}, 1.0))
        p, n = _course(config.large, config.nodes).network.size, self._rows(config)
        printed = PRINTED.get(p, "a small network")
        told = f"{p:,} parameters, through the kernel"
        found.append(comparison.reached(outcome, told, config.targets[-1], printed, hidden=config.large))
        share = n * n / p**2
        found.append(Claim(f"{p:,} parameters: numbers in K over numbers in G", f"below 1: n = {n}", share, share < 1))
        return found

    @staticmethod
    def _rows(config: Config) -> int:
        course = _course(config.large, config.nodes)
        return sum(len(points) for points in course.points.values())

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Figure 2 with errors, by steps and by passes; and the memory of each way over p."""
        config, panels = outcome.config, []
        for hidden in config.small:
            p = _course(hidden, config.nodes).network.size
            panels += [
                comparison.curves(outcome, f"{p:,} parameters", "passes", y, config.methods, hidden=hidden)
                for y in ("loss", "error")
            ]
        p = _course(config.large, config.nodes).network.size
        panels += [
            comparison.curves(outcome, f"{p:,} parameters", "passes", y, ["sample"], hidden=config.large) for y in ("loss", "error")
        ]
        told = (
            "Figure 2's counterpart, medians in bands from the least to the largest over the starts; Adam and BFGS take more steps."
        )
        return [
            Figure("descent", told, panels),
            Figure("memory", "Numbers that each way to a direction holds at once.", [self._memory(outcome)]),
        ]

    def _memory(self, outcome: Outcome[Config]) -> Curves:
        config, n = outcome.config, self._rows(outcome.config)
        p = np.array([_course(hidden, config.nodes).network.size for hidden in (*config.small, config.large)], dtype=float)
        sketch = min(n, 2 * descents.SKETCH)
        ways = {
            "G: ENGD in parameter space, p²": p**2,
            f"Algorithm 1 with {sketch} columns, 3 p l": 3 * p * sketch,
            "J: ours, n p": n * p,
            "K: through the kernel, n² + 5 p": n * n + 5 * p,
        }
        series = [Series(label, p, values, POINTS if len(p) < 2 else "line") for label, values in ways.items()]
        return Curves("Memory", "parameters p", "numbers held (float64)", series, [Slope(2, (p[0], p[0] ** 2 / 3), "p²")], "xy")


@cache
def _course(hidden: str, nodes: int) -> Course:
    return Course.of("heat", width(hidden), [nodes, nodes])
