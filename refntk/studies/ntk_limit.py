"""The kernel of infinite width, by quadrature and by recursion, against finite networks (Zhou & Yan 2024)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

import numpy as np
from scipy.special import stdtrit

from ..kernel.limits import Limit, limit
from ..kernel.linearization import linearize
from ..kernel.ntk import ntk
from .figure import BAND, POINTS, Curves, Figure, Series, Slope
from .rates import Mean, fit_repeats
from .study import Arrays, Cell, Claim, Outcome, Study
from .widths import BIAS, BLOCKS, few, network, norms, order, start

CASES = {  # problem, hidden layers, s
    "poisson1d": ("poisson1d", 1, 0.5),
    "wave": ("wave", 1, 0.5),
    "poisson1d, two layers": ("poisson1d", 2, 0.5),
    "sine_gordon": ("sine_gordon", 1, 1.0),
    "kdv": ("kdv", 1, 1.0),
    "eikonal": ("eikonal", 1, 1.0),
}
ORDERS = {  # of K - K∞ in N, for each of BLOCKS; at s = 1/2 always -1/2, that of a mean of N independent neurons
    "sine_gordon": (-1.0, -0.5, -0.5),  # cos u at a bias that u leaves by N^(1/2 - s)
    "kdv": (-1.0, -0.5, -1.0),  # 6 u_x, which vanishes in the limit: of order N^(1/2 - s), twice in K_ff
    "eikonal": (-1.0, -1.5, -2.0),  # gain N^(1 - 2s), and once or twice 2 u_x
}
ERRORS = 3.0  # standard errors within which a block must agree
ALARM = 1e-3  # the chance that some entry of a right case is called wrong
NEAR = 0.05  # how far finite widths may move an order


@dataclass(frozen=True)
class Config:
    """Sizes: `draws` networks for every width; two layers up to the width `deep`."""

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048, 4096)
    deep: int = 512
    draws: int = 500


class FiniteAndInfinite(Study[Config]):
    """Is the kernel of infinite width, by quadrature, the one to which finite networks tend, and how fast do they?

    Problems that are linear at s = 1/2, others at s = 1, all parameters N(0, 1) but the output bias, 0.7. At the largest width the
    mean over draws is compared with `Limit.mean`, entry by entry and, in every block, along what is expected of it (a block whose
    mean is zero: along its sum): the bare limit differs from it by terms of order N^(1 - 2s), at s = 1 far beyond the standard
    errors. Two layers: `Limit` is off by O(1/N) there.

    Orders in N are those of ‖K - K∞‖ with the bare limit: at s = 1/2 of its root mean square, which falls as N^(-1/2) at every N;
    at s = 1, where K is a product of several sums over neurons, of its geometric mean, since means are those of rare large values.
    """

    name: ClassVar[str] = "ntk_limit"
    source: ClassVar[str] = "Zhou & Yan 2024, Theorems on initialisation: the limits"
    scales: Mapping[str, Config] = {
        "smoke": Config((64, 128, 256, 512), 256, 40),
        "desk": Config(),
        "paper": Config((64, 256, 1024, 4096, 8192), deep=1024),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Case by case, width by width."""
        return [{"case": case, "width": N} for case in CASES for N in _widths(config, case)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Distances from the limit (draws, 3); how far the mean over draws is from the expected one, in standard errors."""
        name, depth, s = CASES[cell["case"]]
        problem, points = few(name)
        at, inside, rng = network(problem, cell["width"], s, depth=depth), points["interior"].shape[0], np.random.default_rng(key)
        wide = _limit(name, depth)
        end, want = wide.ntk(s=s, bias=BIAS), wide.mean(gain=cell["width"] ** (1 - 2 * s), bias=BIAS)
        K = np.stack([ntk(linearize(problem, at, start(at, rng), points)) for _ in range(config.draws)])
        error = K.std(axis=0, ddof=1) / np.sqrt(config.draws)
        rounding = 1e-12 * np.abs(want).max()  # an entry without chance
        far = np.abs(K.mean(axis=0) - want) / (error + rounding)
        f, b = slice(0, inside), slice(inside, None)
        parts = [(b, b), (b, f), (f, f)]
        along = [want[part] if want[part].any() else np.ones_like(want[part]) for part in parts]
        found = np.stack([np.sum((K - want)[:, i, j] * D, axis=(1, 2)) for (i, j), D in zip(parts, along, strict=True)], axis=1)
        standard = found.std(axis=0, ddof=1) / np.sqrt(config.draws)
        sizes = np.sqrt(np.mean(norms(K, inside) ** 2, axis=0)) * np.array([np.linalg.norm(D) for D in along])
        return {
            "distance": norms(K - end, inside),
            "deviation": found.mean(axis=0) / standard,
            "precision": standard / sizes,
            "entry": np.array([far[part].max() for part in parts]),
            "entries": np.array(len(want) * (len(want) + 1) // 2),
        }

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Agreement at the largest width, block by block and in the worst entry; orders in N."""
        found = []
        draws = outcome.config.draws
        for case, (_, _, s) in CASES.items():
            rows, N = outcome.where(case=case), np.array(_widths(outcome.config, case), dtype=np.float64)
            a = {name: values[rows] for name, values in outcome.arrays.items()}
            of = f"{case}, s = {s:g}"
            for k, block in enumerate(BLOCKS):
                z, one = a["deviation"][-1, k], a["precision"][-1, k]
                told = f"{of}, N = {N[-1]:g}: mean of K_{block} less the quadrature's, in standard errors, each {one:.1e} of it"
                found.append(Claim(told, f"0 within {ERRORS:g}", z, abs(z) <= ERRORS))
            bound = float(stdtrit(draws - 1, 1 - ALARM / (2 * a["entries"][-1])))
            worst = a["entry"][-1].max()
            told = f"{of}, N = {N[-1]:g}: largest deviation of an entry of K, in standard errors"
            found.append(Claim(told, f"at most {bound:.2f}, of all entries", worst, worst <= bound))
            for k, block in enumerate(BLOCKS):
                rate, expected = _order(N, a["distance"][:, :, k], s), ORDERS.get(case, (-0.5,) * 3)[k]
                holds = rate.low - NEAR <= expected <= rate.high + NEAR
                told = f"{of}: order in N of ‖K_{block} - K∞‖"
                found.append(Claim(told, f"{expected:g}", rate.value, holds, (rate.low, rate.high)))
        return found

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Distances from the limit over N; deviations of the mean over draws."""
        away, close = [], []
        for case, (_, _, s) in CASES.items():
            rows, N = outcome.where(case=case), np.array(_widths(outcome.config, case), dtype=np.float64)
            distance, slopes, series, deviations = outcome.arrays["distance"][rows], [], [], []
            for k, block in enumerate(BLOCKS):
                y = distance[:, :, k]
                y = np.exp(np.log(y).mean(axis=1)) if s > 0.5 else np.sqrt(np.mean(y**2, axis=1))
                expected = ORDERS.get(case, (-0.5,) * 3)[k]
                series.append(Series(f"K_{block}", N, y, POINTS))
                slopes.append(Slope(expected, (float(N[-1]), float(y[-1])), f"{expected:g}"))
                deviations.append(
                    Series(f"K_{block}", N * 1.06 ** (k - 1), outcome.arrays["deviation"][rows, k], POINTS)
                )  # side by side
            away.append(Curves(f"{case}, s = {s:g}", "width N", "‖K - K∞‖ (dimensionless)", series, slopes, "xy"))
            within = Series("0 within 3", N, 0 * N, BAND, np.full_like(N, -ERRORS), np.full_like(N, ERRORS))
            close.append(Curves(f"{case}, s = {s:g}", "width N", "deviation (standard errors)", [within, *deviations], log="x"))
        return [
            Figure("distance", "Distance of K from its limit, and lines of the orders expected.", away, 3),
            Figure("deviation", "How far the mean of K over draws is from the quadrature's, block by block.", close, 3),
        ]


def _order(N: np.ndarray, distance: np.ndarray, s: float) -> Mean:
    """The order in N of distances (widths, draws)."""
    if s > 0.5:
        return order(N, distance)
    squares = fit_repeats(N, distance**2)
    return Mean(squares.order / 2, squares.low / 2, squares.high / 2)


def _widths(config: Config, case: str) -> list[int]:
    depth = CASES[case][1]
    return [N for N in config.widths if depth == 1 or config.deep >= N]


@cache
def _limit(name: str, depth: int) -> Limit:
    problem, points = few(name)
    return limit(problem, network(problem, 1, 0.5, depth=depth), points)
