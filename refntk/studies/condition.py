"""Best McKay et al. 2025, appendix B: two bases of one space, and what the change between them costs in conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..natural import piecewise
from .figure import POINTS, Curves, Figure, Series, Slope
from .rates import fit_exact
from .study import Arrays, Cell, Claim, Outcome, Study

MATRICES = {
    "M₁, hats": "hat_mass",
    "M₁, hats on a circle": "hat_mass_periodic",
    "M₂, ReLUs": "relu_mass",
    "K₁, hats": "hat_stiffness",
    "K₂, ReLUs": "relu_stiffness",
}


@dataclass(frozen=True)
class Config:
    """Numbers of subintervals, even: the highest mode of the circle needs that."""

    sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256)


class Condition(Study[Config]):
    """How ill-conditioned does a one-layer ReLU network make the Gramian of its space, and are the paper's closed forms right?

    Piecewise linear functions on N subintervals of (-1, 1) with u(-1) = 0, spanned by hats or by ReLUs; B is the second difference
    with `h ψ = B φ`. Condition numbers are ratios of eigenvalues, the largest of a matrix and the reciprocal of its inverse's
    largest, the inverse through B, so that κ = O(N⁴) costs no digits; identities are measured in units of what their sums round to.
    """

    name: ClassVar[str] = "condition"
    source: ClassVar[str] = "Best McKay et al. 2025, appendix B"
    scales: Mapping[str, Config] = {
        "smoke": Config((8, 16, 32, 64)),
        "desk": Config(),
        "paper": Config((8, 16, 32, 64, 128, 256, 512, 1024)),
    }

    def cells(self, config: Config) -> list[Cell]:
        """One N each."""
        return [{"N": N} for N in config.sizes]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Condition numbers of `MATRICES`, and how far each identity is from being one. Nothing here is chance."""
        N = int(cell["N"])
        h, B = 2 / N, piecewise.second_difference(N)
        M1, circle, K1 = piecewise.hat_mass(N), piecewise.hat_mass(N, periodic=True), piecewise.hat_stiffness(N)
        M2, K2 = piecewise.relu_mass(N), piecewise.relu_stiffness(N)
        L = _symmetric(N)

        def inverse(hats: np.ndarray) -> np.ndarray:
            """Of the ReLUs' matrix h² B⁻¹ (hats) B⁻ᵀ."""
            return np.asarray(B.T @ np.linalg.solve(hats, B)) / h**2

        matrices = {"M₁, hats": (M1, np.linalg.inv(M1)), "M₁, hats on a circle": (circle, np.linalg.inv(circle))}
        matrices |= {"M₂, ReLUs": (M2, inverse(M1)), "K₁, hats": (K1, np.linalg.inv(K1)), "K₂, ReLUs": (K2, inverse(K1))}
        return {
            "condition": np.array([_largest(A) * _largest(inverted) for A, inverted in (matrices[name] for name in MATRICES)]),
            "mass": np.array(_rounding(M1, B, M2, h)),
            "stiffness": np.array(_rounding(K1, B, K2, h)),
            "symmetric": np.array(np.linalg.norm((M1 - L @ M2 @ L)[:-1, :-1]) / np.linalg.norm(M1[:-1, :-1])),
            "factor": np.trace(K2 @ np.flip(K1) * h) / N,  # flip(K₁) h is the paper's -D₂ with the end c_1 - c_0
            "whole": np.linalg.norm(K2 @ np.flip(K1) - np.eye(N)) / np.linalg.norm(K2) / np.linalg.norm(K1),
        }

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """κ(M₁) = 3 where it holds and 4 where it does not, orders in N, and both identities with the h² that is not printed."""
        N, a = outcome.column("N").astype(float), outcome.arrays
        free, circle, mass, hats, relus = a["condition"].T
        half = len(N) // 2 - 1
        orders = {name: fit_exact(N[half:], kappa[half:]).order for name, kappa in (("M₂", mass), ("K₁", hats), ("K₂", relus))}
        far = float(np.abs(circle - 3).max())
        identities = float(max(a["mass"].max(), a["stiffness"].max()))
        far_factor = float(np.abs(a["factor"] * N / 2 - 1).max() + a["whole"].max())
        return [
            Claim("κ(M₁) on a circle, N even, farthest from the paper's 3", "0 to 1e-9", far, far < 1e-9),
            Claim(
                "κ(M₁) at the free end, at the largest N; the paper has 3 for all N",
                "4 in the limit: 4 within 0.1",
                free[-1],
                abs(free[-1] - 4) < 0.1 and bool((free > 3 + 1e-3).all()),
            ),
            Claim("order in N of κ(M₂)", "4 within 0.1, as printed", orders["M₂"], abs(orders["M₂"] - 4) < 0.1),
            Claim("order in N of κ(K₁)", "2 within 0.1", orders["K₁"], abs(orders["K₁"] - 2) < 0.1),
            Claim("order in N of κ(K₂)", "2 within 0.1", orders["K₂"], abs(orders["K₂"] - 2) < 0.1),
            Claim(
                "M₁ = B M₂ Bᵀ / h² and K₁ = B K₂ Bᵀ / h², largest error", "rounding: below 1e-14", identities, identities < 1e-14
            ),
            Claim(
                "M₁ = D₂ M₂ D₂ as printed, without h² and with a symmetric D₂: least relative error away from the last row",
                "above 0.1: it is no identity",
                a["symmetric"].min(),
                a["symmetric"].min() > 0.1,
            ),
            Claim(
                "K₂ = -f D₂⁻¹: f N/2, farthest from 1; the paper prints f = N/2", "f = 2/N to 1e-9", far_factor, far_factor < 1e-9
            ),
        ]

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """All condition numbers over N."""
        N, a = outcome.column("N").astype(float), outcome.arrays["condition"]
        series = [Series(name, N, a[:, i], POINTS if "circle" in name else "line") for i, name in enumerate(MATRICES)]
        slopes = [Slope(4, (N[0], a[0, 2] / 3), "N⁴"), Slope(2, (N[0], a[0, 3] / 3), "N²")]
        panel = Curves("Condition numbers", "subintervals N", "κ (dimensionless)", series, slopes, "xy")
        told = "Appendix B: mass and stiffness matrices of one space in two bases, hats and a one-layer network of ReLUs."
        return [Figure("condition", told, [panel])]


def _symmetric(N: int) -> np.ndarray:
    """The paper's D₂ (N, N), 1, -2, 1 about the diagonal."""
    return np.eye(N, k=1) - 2 * np.eye(N) + np.eye(N, k=-1)


def _largest(A: np.ndarray) -> float:
    return float(np.abs(np.linalg.eigvalsh((A + A.T) / 2)).max())


def _rounding(hats: np.ndarray, B: np.ndarray, relus: np.ndarray, h: float) -> float:
    """How far `hats` is from B (relus) Bᵀ / h², in units of the sum's absolute terms."""
    return float((np.abs(hats - B @ relus @ B.T / h**2)).max() / (np.abs(B) @ np.abs(relus) @ np.abs(B.T) / h**2).max())
