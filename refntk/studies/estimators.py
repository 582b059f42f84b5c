"""What an estimate of a trace costs, and how good it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np

from .. import problems
from ..estimation import moments, probes, sketch
from ..estimation.deflation import hutch_plus_plus, term_product, xtrace
from ..kernel.ntk import ntk_product, ntk_traces
from .cases import Case, case
from .figure import LINE, Curves, Figure, Series, Slope
from .rates import fit_repeats, mean
from .study import Arrays, Cell, Claim, Outcome, Study

QUANTITIES = {"trace": "the whole trace", "terms": "the traces of all terms"}
LEVEL = 0.999  # of the intervals by which verdicts are reached
FULL = 2  # passes for the traces of the full kernel: forward and adjoint

Blocks = Mapping[str, slice]
Draw = Callable[[int, int], np.ndarray]  # standard normals (rows, N), anew with every call
Traces = Callable[[Case, str, float, Draw, int], np.ndarray]


@dataclass(frozen=True)
class Method:
    """An estimator: `traces(case, quantity, step, draw, N)` are those of all terms (M,) from N samples, or the whole trace (1,).

    `passes` are what a sample takes by quantity, beside one forward pass at θ; a quantity that is not estimated is left out.
    `covariance(K, blocks)` (M, M) is the closed form of the terms' samples, None where there is none.
    """

    title: str
    passes: Mapping[str, int]
    traces: Traces
    covariance: Callable[[np.ndarray, Blocks], np.ndarray] | None


def _algorithm_2(difference: str = "forward", discretised: bool = True) -> Traces:
    def traces(at: Case, quantity: str, step: float, draw: Draw, N: int) -> np.ndarray:
        G = draw(at.lin.shape[0], N)
        Z = sketch.products(*at.arguments, G, step if discretised else None, difference=difference)
        return _values(sketch.estimate_traces(G, Z, at.lin.blocks))

    return traces


def _theorem_5(at: Case, quantity: str, step: float, draw: Draw, N: int) -> np.ndarray:
    return _values(sketch.alternative_trace(*at.arguments, draw(at.lin.shape[1], N), step))


def _blocks(at: Case, quantity: str, step: float, draw: Draw, N: int) -> np.ndarray:
    return _values(sketch.estimate_block_traces(at.lin, draw(at.lin.shape[0], N)))


def _adjoint(at: Case, quantity: str, step: float, draw: Draw, N: int) -> np.ndarray:
    return np.array([np.mean(np.sum(at.lin.vjp(draw(at.lin.shape[0], N)) ** 2, axis=0))])


def _deflated(trace: Callable[..., sketch.Estimate], tests: int) -> Traces:
    """Hutch++ with as many test vectors as probes, or XTrace with no others; on K, or on one block of it after the other."""

    def traces(at: Case, quantity: str, step: float, draw: Draw, N: int) -> np.ndarray:
        def one(apply: Any, n: int) -> float:
            return float(trace(apply, *(draw(n, N) for _ in range(1 + tests))))

        if quantity == "trace":
            return np.array([one(lambda V: ntk_product(at.lin, V), at.lin.shape[0])])
        return np.array([one(term_product(at.lin, name), rows.stop - rows.start) for name, rows in at.lin.blocks.items()])

    return traces


def _values(estimates: Mapping[str, sketch.Estimate]) -> np.ndarray:
    return np.array([float(estimate) for estimate in estimates.values()])


def _independent(K: np.ndarray, blocks: Blocks) -> np.ndarray:
    return np.diag(list(moments.block_trace_variances(K, blocks).values()))


TERMS = len(problems.get("wave").terms)  # for methods that take one at a time
METHODS: dict[str, Method] = {
    "forward": Method("Algorithm 2", {"trace": 2, "terms": 2}, _algorithm_2(), moments.trace_covariance),
    "central": Method("central differences", {"trace": 3, "terms": 3}, _algorithm_2("central"), moments.trace_covariance),
    "tangent": Method("adjoint and tangent", {"trace": 2, "terms": 2}, _algorithm_2(discretised=False), moments.trace_covariance),
    "adjoint": Method("‖Jᵀg‖²", {"trace": 1}, _adjoint, moments.trace_covariance),
    "blocks": Method("block probes", {"trace": TERMS, "terms": TERMS}, _blocks, _independent),
    "alternative": Method("Theorem 5", {"trace": 1, "terms": 1}, _theorem_5, moments.alternative_trace_covariance),
    "hutch++": Method("Hutch++", {"trace": 6, "terms": 6 * TERMS}, _deflated(hutch_plus_plus, 1), None),
    "xtrace": Method("XTrace", {"trace": 4, "terms": 4 * TERMS}, _deflated(xtrace, 0), None),
}


@dataclass(frozen=True)
class Config:
    """Sizes; a budget is a number of passes. `least` as in the study of the Monte Carlo rate."""

    budgets: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    least: int = 32  # samples behind every number that is recorded
    blocks: int = 4
    repeats: int = 10  # numbers of a block
    rows: int = 200
    hidden: tuple[int, ...] = (20, 20)
    dt: float = 1e-6  # and ε
    start: int = 17  # the seed of θ and points


class Estimators(Study[Config]):
    """Which estimator of the kernel's traces is worth its passes, and is any, beside the full kernel's diagonal?

    The wave equation, normal probes, mean squared relative errors of `Tr K` and, in the mean over terms, of `Tr K_kk`. A pass is a
    sweep of all points through the network: forward, adjoint or tangent, each counted as one. Costs are those of the calls made,
    the same on every machine; block probes and deflation of terms are charged a whole pass for every term. Errors of Hutch++ and
    XTrace have no closed form here. Verdicts by 99.9 % intervals fail by chance 1 time in 1,000, a little more often for skewed
    squares.
    """

    name: ClassVar[str] = "estimators"
    source: ClassVar[str] = "Hirsch & Pichi 2025, Algorithm 2 and Theorem 5; Meyer et al. 2021; Epperly, Tropp & Webber 2024"
    scales: Mapping[str, Config] = {
        "smoke": Config(budgets=(8, 16, 32), least=8, blocks=2, repeats=10, rows=24, hidden=(4,)),
        "desk": Config(),
        "paper": Config(budgets=(8, 16, 32, 64, 128, 256, 512, 1024), blocks=10, rows=900, hidden=(100, 100)),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Quantity by quantity, method by method, budget by budget where it pays for a sample, block by block."""
        grid = product(QUANTITIES, METHODS, config.budgets, range(config.blocks))
        named = ({"quantity": quantity, "method": method, "budget": budget, "block": b} for quantity, method, budget, b in grid)
        return [cell for cell in named if _samples(cell)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Squared relative errors (repeats,), the passes for one, their closed form (0: none), the full kernel's own error."""
        at, quantity, method = case("wave", config.rows, config.hidden, config.start), cell["quantity"], METHODS[cell["method"]]
        N, blocks = _samples(cell), at.lin.blocks
        exact, stream = np.array([np.trace(at.K[rows, rows]) for rows in blocks.values()]), iter(range(2**63))
        squares = np.zeros(config.repeats)

        def draw(n: int, count: int) -> np.ndarray:
            return probes.normal(n, count, key=key, stream=next(stream))

        for i, _ in product(range(config.repeats), range(share := max(1, config.least // N))):
            squares[i] += _squared(method.traces(at, quantity, config.dt, draw, N), exact, quantity) / share
        expected = 0.0
        if method.covariance is not None:
            C = method.covariance(at.K, blocks) / N
            expected = np.sum(C) / np.sum(exact) ** 2 if quantity == "trace" else np.mean(np.diag(C) / exact**2)
        return {
            "squares": squares,
            "passes": np.array(1.0 + N * method.passes[quantity]),
            "expected": np.array(expected),
            "full": np.array(_squared(np.array(list(ntk_traces(at.lin).values())), exact, quantity)),
        }

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Orders, for which three budgets are needed, constants where there is a closed form, and the full kernel."""
        found, costs = [], {}
        for quantity, name, passes, squares, expected in _curves(outcome):
            costs[quantity, name] = float((passes - 1)[0] * expected[0])
            of, known = f"{METHODS[name].title}, {QUANTITIES[quantity]}: ", METHODS[name].covariance is not None
            if len(passes) >= 3:
                rate, judged = (fit_repeats(passes - 1, squares, level=level) for level in (0.95, LEVEL))
                told = f"{of}order of the squared error in the passes for samples"
                claimed = f"-1 in the {LEVEL:.1%} interval" if known else f"the {LEVEL:.1%} interval below -1"
                holds = -1 in judged if known else judged.high < -1
                found.append(Claim(told, claimed, rate.order, holds, (rate.low, rate.high)))
            if known:
                constant, wide = (mean((squares / expected[:, None]).ravel(), level=level) for level in (0.95, LEVEL))
                told, claimed = f"{of}squared error over its closed form", f"1 in the {LEVEL:.1%} interval"
                found.append(Claim(told, claimed, constant.value, 1 in wide, (constant.low, constant.high)))
        for quantity in QUANTITIES:
            told = f"passes times squared error, Theorem 5 over Algorithm 2, {QUANTITIES[quantity]}"
            ratio = costs[quantity, "alternative"] / costs[quantity, "forward"]
            claimed = "1/2 at most: half the passes, and no term's variance is larger"
            found.append(Claim(told, claimed, ratio, ratio <= 0.5 * (1 + 1e-12)))
            worst = float(np.sqrt(outcome.arrays["full"][outcome.where(quantity=quantity)].max()))
            told = f"full kernel's diagonal, {FULL} passes, {QUANTITIES[quantity]}: relative error"
            found.append(Claim(told, "0: at most 1e-12", worst, worst <= 1e-12))
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Errors over passes, one panel for each quantity."""
        panels: dict[str, list[Series]] = {quantity: [] for quantity in QUANTITIES}
        for quantity, name, passes, squares, _ in _curves(outcome):
            means = [mean(s) for s in squares]
            low, high = (np.sqrt([max(getattr(m, end), m.value / 100) for m in means]) for end in ("low", "high"))
            panels[quantity].append(Series(METHODS[name].title, passes, np.sqrt(squares.mean(axis=1)), LINE, low, high))
        caption = (
            "Root mean square relative errors with 95 % intervals against the passes they cost. The traces of the full kernel cost "
            f"{FULL} passes and have no error but rounding."
        )
        drawn = []
        for quantity, series in panels.items():
            start = (float(series[0].x[0]), float(series[0].y[0]))
            title, y = QUANTITIES[quantity], "root mean square relative error (dimensionless)"
            drawn.append(Curves(title, "passes through the network", y, series, [Slope(-0.5, start, "order -1/2")], "xy"))
        return [Figure("costs", caption, drawn)]


def _samples(cell: Cell) -> int:
    """How many the budget pays for; 0 where the method does not estimate that."""
    passes = METHODS[cell["method"]].passes.get(cell["quantity"])
    return 0 if passes is None else (cell["budget"] - 1) // passes


def _squared(found: np.ndarray, exact: np.ndarray, quantity: str) -> float:
    """The squared relative error, of the sum or in the mean over terms."""
    if quantity == "trace":
        return float((np.sum(found) / np.sum(exact) - 1) ** 2)
    return float(np.mean((found / exact - 1) ** 2))


def _curves(outcome: Outcome[Config]) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]:
    """For each quantity and method: passes (budgets,), squared errors (budgets, M), closed forms (budgets,)."""
    for quantity, name in product(QUANTITIES, METHODS):
        found = [outcome.where(quantity=quantity, method=name, budget=budget) for budget in outcome.config.budgets]
        rows = [cells for cells in found if len(cells)]
        if rows:
            squares = np.stack([outcome.arrays["squares"][cells].ravel() for cells in rows])
            passes, expected = (np.array([outcome.arrays[what][cells[0]] for cells in rows]) for what in ("passes", "expected"))
            yield quantity, name, passes, squares, expected
