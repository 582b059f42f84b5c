"""What the step Δt does to single samples, and to their mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from ..estimation import sketch
from ..estimation.difference import slopes
from ..kernel.linearization import linearize
from .cases import Case, case
from .figure import DASHED, Curves, Figure, Series, Slope
from .rates import Rate, fit_exact
from .study import Arrays, Cell, Claim, Outcome, Study

PROBLEMS = {"quadratic": "quadratic predictor", "wave": "wave network"}
METHODS = {"forward": "Algorithm 2", "central": "central differences", "alternative": "Theorem 5"}
QUANTITIES = {"sample": "one product", "trace": "mean of the traces", "kernel": "mean of the kernels"}
ORDERS = {  # in Δt of the errors of one product and of the means; 0: there is no error
    "quadratic": {"forward": (1, 0, 0), "central": (0, 0, 0), "alternative": (1, 2, 2)},
    "wave": {"forward": (1, 2, 2), "central": (2, 2, 2), "alternative": (1, 2, 2)},
}
UNIT = 2.0**-52
WINDOW = (2.0**-13, 2.0**-7)  # of h: where leading terms outweigh both higher orders and rounding
TOLERANCE = 0.05  # of a local order there
THRESHOLD = 30.0  # LAPACK's: how many units of rounding an error may have


@dataclass(frozen=True)
class Config:
    """Sizes: 2^rows and 2^parameters sign vectors are enumerated; `halvings` k means the step h = 2^-k."""

    halvings: tuple[int, ...] = tuple(range(2, 41, 2))
    rows: int = 8
    hidden: tuple[int, ...] = (3,)
    start: int = 17  # the seed of θ and points


class Bias(Study[Config]):
    """Of which order in Δt are the error of a sample and the bias of the mean, and where does rounding take over?

    Means are over all sign vectors, so that no chance is left. h = Δt √(Tr K), for Theorem 5 ε √p, is the root mean square length
    of the step in θ: one axis for all. `(R(θ + Δt v) - R(θ))/Δt - J v = ½ Δt ∇²R[v, v] + O(Δt²)`, whose leading term is even in
    v = Jᵀg and meets one more factor g in K̂: so samples are off by O(Δt), as Theorem 3 says, and means by O(Δt²) only, by nothing
    where R is quadratic in θ. Theorem 5 squares the quotient, and keeps `¼ ε² E‖∇²R[g, g]‖²` even then. Central differences are the
    mean over ±g: better samples, the same mean. All errors are relative to the size of what is estimated.
    """

    name: ClassVar[str] = "bias"
    source: ClassVar[str] = "Hirsch & Pichi 2025, Theorems 3 and 5"
    scales: Mapping[str, Config] = {
        "smoke": Config(halvings=(2, 7, 9, 11, 13, *range(15, 31, 3)), rows=4, hidden=(1,)),
        "desk": Config(),
        "paper": Config(halvings=tuple(range(1, 46)), rows=12, hidden=(2, 2)),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Problem by problem, method by method, from long steps to short ones."""
        grid = product(PROBLEMS, METHODS, config.halvings)
        return [{"problem": problem, "method": method, "halvings": halvings} for problem, method, halvings in grid]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Relative errors of products (root mean square), of mean traces and of mean kernels, with a unit of rounding for each."""
        at, h = case(cell["problem"], config.rows, config.hidden, config.start), 2.0 ** -cell["halvings"]
        return _theorem_5(at, h) if cell["method"] == "alternative" else _algorithm_2(at, h, cell["method"])

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """Orders, zeros, central differences against forward ones, and the step of the least error."""
        every = list(product(PROBLEMS, METHODS, QUANTITIES))
        found = [(self._order if _claimed(*which) else self._zero)(outcome, *which) for which in every]
        h = _steps(outcome)
        inside = (WINDOW[0] <= h) & (h <= WINDOW[1])
        forward, central = (_column(outcome, "wave", method, "trace")[inside] for method in ("forward", "central"))
        worst = float(np.max(np.abs(central / forward - 1)))
        told = f"{PROBLEMS['wave']}: the bias of mean traces by central differences over that of Algorithm 2, less 1"
        found.append(Claim(told, "0 within 0.001", worst, worst <= 1e-3))
        return found + [self._turn(outcome, which) for which in (("wave", method, "sample") for method in METHODS)]

    def _order(self, outcome: Outcome[Config], problem: str, method: str, quantity: str) -> Claim:
        claimed = _claimed(problem, method, quantity)
        rate = _fit(outcome, problem, method, quantity)
        worst = max(rate.low, rate.high, key=lambda order: abs(order - claimed))
        told = f"{_told(problem, method, quantity)}: order in Δt between neighbours, the one farthest from what is claimed"
        return Claim(told, f"{claimed} within {TOLERANCE}", worst, abs(worst - claimed) <= TOLERANCE)

    def _zero(self, outcome: Outcome[Config], problem: str, method: str, quantity: str) -> Claim:
        units = _column(outcome, problem, method, quantity) / _column(outcome, problem, method, f"{quantity}_rounding")
        worst = float(units.max())
        told = f"{_told(problem, method, quantity)}: error at every Δt in units of rounding"
        return Claim(told, f"0: at most {THRESHOLD:g}", worst, worst <= THRESHOLD)

    def _turn(self, outcome: Outcome[Config], which: tuple[str, str, str]) -> Claim:
        """C h^q and c/h are equal at `(c/C)^(1/(q+1))`."""
        problem, method, quantity = which
        rate, h = _fit(outcome, *which), _steps(outcome)
        rounding = _column(outcome, problem, method, f"{quantity}_rounding")
        q = round(rate.order)
        predicted = float((rounding[-1] * h[-1] / rate.constant) ** (1 / (q + 1)))
        ratio = float(h[np.argmin(_column(outcome, *which))]) / predicted
        told = f"{_told(*which)}: the step of the least error over (c/C)^(1/{q + 1}), where C h^{q} meets rounding c/h"
        return Claim(told, "1 within a factor of 10", ratio, 0.1 <= ratio <= 10)

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Errors over h: a row of panels for each problem, with the orders claimed and the units of rounding."""
        h, panels = _steps(outcome), []
        for problem, quantity in product(PROBLEMS, QUANTITIES):
            series = [Series(METHODS[method], h, _column(outcome, problem, method, quantity)) for method in METHODS]
            units = _column(outcome, problem, "forward", f"{quantity}_rounding")
            series.append(Series("unit of rounding, Algorithm 2", h, units, DASHED))
            top = (float(h[0]), float(max(s.y[0] for s in series)))
            claimed = sorted({_claimed(problem, method, quantity) for method in METHODS} - {0})
            orders = [Slope(float(q), top, f"order {q}") for q in claimed]
            title = f"{PROBLEMS[problem]}: {QUANTITIES[quantity]}"
            panels.append(Curves(title, "length h of the step in θ", "relative error (dimensionless)", series, orders, "xy"))
        caption = (
            "Error of single samples and of their mean over all sign vectors against the step. Samples of Algorithm 2 are off by "
            "O(Δt), their mean by O(Δt²), or by nothing but rounding where R is quadratic."
        )
        return [Figure("orders", caption, panels, columns=3)]


def _algorithm_2(at: Case, h: float, difference: str) -> Arrays:
    """Products K g for all signs g (n,)."""
    K, R, n = at.K, at.lin.residual, at.K.shape[0]
    T, size, G = float(np.trace(K)), float(np.linalg.norm(K)), signs(n)
    dt = h / T**0.5
    found = sketch.products(*at.arguments, G, dt, difference=difference)
    rounding = UNIT * float(np.linalg.norm(R)) / dt  # of one product
    return _arrays(
        (float(np.sqrt(np.mean(np.sum((found - K @ G) ** 2, axis=0)))) / size, UNIT + rounding / size),  # E‖K g‖² = ‖K‖²
        (abs(float(np.mean(np.sum(G * found, axis=0))) - T) / T, UNIT + rounding * n**0.5 / T),
        (float(np.linalg.norm(sketch.estimate_ntk(G, found) - K)) / size, UNIT + rounding * n**0.5 / size),
    )


def _theorem_5(at: Case, h: float) -> Arrays:
    """Products J g for all signs g (p,); their squares have the diagonal of K for a mean, and their sums its trace."""
    d, R, p = np.diag(at.K), at.lin.residual, at.lin.shape[1]
    T, size, G = float(np.sum(d)), float(np.linalg.norm(d)), signs(p)
    eps = h / p**0.5
    problem, network, theta, points = at.arguments
    found = slopes(lambda t: linearize(problem, network, t, points).residual, theta, G, eps, start=R)
    rounding = UNIT * float(np.linalg.norm(R)) / eps
    mean = np.mean(found**2, axis=1)
    return _arrays(
        (float(np.sqrt(np.mean(np.sum((found - at.lin.jvp(G)) ** 2, axis=0)) / T)), UNIT + rounding / T**0.5),  # E‖J g‖² = T
        (abs(float(np.sum(mean)) - T) / T, UNIT + 2 * rounding / T**0.5),
        (float(np.linalg.norm(mean - d)) / size, UNIT + 2 * rounding * T**0.5 / size),
    )


def signs(n: int, /) -> np.ndarray:
    """All sign vectors, (n, 2^n): the mean over them is the expectation over independent signs.

    >>> signs(2)
    array([[-1., -1.,  1.,  1.],
           [-1.,  1., -1.,  1.]])
    """
    return np.array(list(product([-1.0, 1.0], repeat=n))).T


def _arrays(*errors: tuple[float, float]) -> Arrays:
    """Each error and its unit of rounding under the names of the quantities."""
    named = zip(QUANTITIES, errors, strict=True)
    return {f"{name}{end}": np.array(value) for name, pair in named for end, value in zip(("", "_rounding"), pair, strict=True)}


def _claimed(problem: str, method: str, quantity: str) -> int:
    return dict(zip(QUANTITIES, ORDERS[problem][method], strict=True))[quantity]


def _steps(outcome: Outcome[Config]) -> np.ndarray:
    return np.array([2.0**-halvings for halvings in outcome.config.halvings])


def _column(outcome: Outcome[Config], problem: str, method: str, quantity: str) -> np.ndarray:
    """An array of the cells over the steps."""
    return outcome.arrays[quantity][outcome.where(problem=problem, method=method)]


def _fit(outcome: Outcome[Config], problem: str, method: str, quantity: str) -> Rate:
    """The order inside the window."""
    h = _steps(outcome)
    inside = (WINDOW[0] <= h) & (h <= WINDOW[1])
    return fit_exact(h[inside], _column(outcome, problem, method, quantity)[inside])


def _told(problem: str, method: str, quantity: str) -> str:
    return f"{PROBLEMS[problem]}, {METHODS[method]}, {QUANTITIES[quantity]}"
