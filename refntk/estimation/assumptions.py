"""Assumption 1 of Hirsch & Pichi 2025 in numbers: spectra of K_t and Λ_t, a Lipschitz constant, and the decrease they grant."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from ..errors import InvalidInput, ShapeError, UnknownNameError

FORMS = ("stated", "proved", "corrected")  # what they mean is told in `convergence.py` and `bounds.py`


@dataclass(frozen=True)
class Bound:
    """An inequality `left ≤ right`, and which of its assumptions the numbers fulfil: `{assumption: bool}`.

    >>> bound = Bound(1.0, 2.0, {"eta < 2/L": True})
    >>> bound.holds, bound.admitted
    (True, True)
    """

    left: float
    right: float
    assumptions: Mapping[str, bool]

    @property
    def holds(self) -> bool:
        """Left ≤ right, up to a rounding of 1e-12 of the larger."""
        return self.left <= self.right + 1e-12 * max(abs(self.left), abs(self.right))

    @property
    def admitted(self) -> bool:
        """All assumptions are fulfilled."""
        return all(self.assumptions.values())


@dataclass(frozen=True)
class Constants:
    """Assumption 1 in numbers: eigenvalues of K_t in [k_min, k_max], of Λ_t in [ell_min, ell_max], Lipschitz constant L.

    Raises `InvalidInput` for what is not finite, negative, or the wrong way round; zeros are admitted, and bound nothing.

    >>> Constants(0.25, 0.25, 1.0, 1.0, lipschitz=0.25).decrease(2.0, form="proved")  # 1/4 - 1/4 · 1/4
    0.1875
    """

    k_min: float
    k_max: float
    ell_min: float
    ell_max: float
    lipschitz: float

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise InvalidInput(field.name, value, "give a finite number that is not negative")
        for name in ("k", "ell"):
            if getattr(self, f"{name}_min") > getattr(self, f"{name}_max"):
                raise InvalidInput(f"{name}_min", getattr(self, f"{name}_min"), f"it is larger than {name}_max")

    @classmethod
    def along(cls, eigenvalues: np.ndarray, weights: Mapping[str, Sequence[float]], /, *, lipschitz: float) -> Constants:
        """The constants of a run, from the spectra of K (R, n) and the weights `{term: (R,)}` that a `History` holds.

        A spectrum computed with rounding may end just below zero: that is a k_min of 0, as for every K with more rows than rank.

        >>> Constants.along(np.array([[3.0, 1.0], [4.0, 2.0]]), {"a": [1.0, 2.0], "b": [5.0, 3.0]}, lipschitz=1.0)
        Constants(k_min=1.0, k_max=4.0, ell_min=1.0, ell_max=5.0, lipschitz=1.0)
        """
        K, ell = np.asarray(eigenvalues, dtype=float), np.array([list(values) for values in weights.values()], dtype=float)
        if K.ndim != 2 or not K.size or not ell.size:
            raise ShapeError("eigenvalues", f"shape {K.shape}", "pass spectra (R, n), and one weight for each term and record")
        return cls(max(float(K.min()), 0.0), float(K.max()), float(ell.min()), float(ell.max()), lipschitz)

    def product(self, form: str) -> float:
        """A lower bound of `Rᵀ K Λ R / ‖R‖²`: the paper's `k_min ell_min`, or for "corrected" the true one, `least_product`."""
        check_form(form)
        if form == "corrected":
            return least_product(self.k_min, self.k_max, self.ell_min, self.ell_max)
        return self.k_min * self.ell_min

    def decrease(self, eta: float, *, form: str = "corrected") -> float:
        """`c = product - (Lη/2) k_max ell_max²`: a step makes F smaller by at least η c ‖R‖²."""
        return self.product(form) - self.lipschitz * eta / 2 * self.k_max * self.ell_max**2

    def largest_rate(self, *, form: str = "corrected") -> float:
        """The rate at which c = 0, `2 product / (L k_max ell_max²)`; below it the theorems hold."""
        curvature = self.lipschitz * self.k_max * self.ell_max**2
        return 2 * self.product(form) / curvature if curvature > 0 else math.inf

    def assume(self, eta: float, form: str) -> dict[str, bool]:
        """The assumptions of Theorem 1, checked."""
        rate = check_positive("eta", eta)
        return {
            "0 < k_min": bool(self.k_min > 0),
            "0 < ell_min": bool(self.ell_min > 0),
            "eta admitted": bool(rate < self.largest_rate(form=form)),
        }


def least_product(k_min: float, k_max: float, ell_min: float, ell_max: float, /) -> float:
    """The least `xᵀ K Λ x` over unit vectors x and all symmetric K, Λ with eigenvalues in [k_min, k_max] and [ell_min, ell_max].

    With `a = (k_min + k_max)/2`, `σ = (k_max - k_min)/(k_max + k_min)`, and b and τ likewise for Λ, it is `k_min ell_min` where
    σ + τ ≤ 1 and `½ a b (1 - σ² - τ²)` elsewhere, which is negative once σ² + τ² > 1. Both are attained by 2×2 matrices.
    Derivation: K = a(1 + σX), Λ = b(1 + τY) with ‖X‖, ‖Y‖ ≤ 1, and `⟨Xx, Yx⟩ ≥ ξy - √(1-ξ²)√(1-y²)` for ξ = ⟨Xx, x⟩, y = ⟨Yx, x⟩;
    what remains is the least `σ cos p + τ cos q + στ cos(p + q)`. Cf. Strang 1962, Nicholson 1979.

    >>> least_product(1.0, 2.0, 1.0, 2.0), least_product(1.0, 3.0, 1.0, 7.0)  # σ = τ = 1/3; σ = 1/2, τ = 3/4
    (1.0, 0.75)
    >>> least_product(1.0, 7.0, 1.0, 7.0)  # σ = τ = 3/4: 8 (1 - 9/8)
    -1.0
    """
    a, b = (k_min + k_max) / 2, (ell_min + ell_max) / 2
    if a == 0 or b == 0:
        return 0.0
    sigma, tau = (k_max - k_min) / (2 * a), (ell_max - ell_min) / (2 * b)
    return k_min * ell_min if sigma + tau <= 1 else a * b * (1 - sigma**2 - tau**2) / 2


def lipschitz_estimate(thetas: np.ndarray, gradients: np.ndarray, /) -> float:
    """`max ‖∇F(θ_{t+1}) - ∇F(θ_t)‖ / ‖θ_{t+1} - θ_t‖` over a run, from θ and ∇F (T+1, p): a lower bound of L, in hope close.

    >>> lipschitz_estimate(np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0], [6.0]]))  # F = θ²
    2.0
    """
    moves, turns = (np.linalg.norm(np.diff(np.asarray(array, dtype=float), axis=0), axis=1) for array in (thetas, gradients))
    return float(np.max(turns[moves > 0] / moves[moves > 0], initial=0.0))


def descent_constant(values: Sequence[float], thetas: np.ndarray, gradients: np.ndarray, /) -> float:
    """The least L with which Lemma 1 holds at every step of a run, from F (T+1,), θ and ∇F (T+1, p); never negative, at most L.

    The proofs use L for nothing else: with this number in its place their bounds hold for this run, whatever L is elsewhere.

    >>> descent_constant([0.0, 1.0, 9.0], np.array([[0.0], [1.0], [3.0]]), np.array([[0.0], [2.0], [6.0]]))  # F = θ²
    2.0
    """
    F, steps = np.asarray(values, dtype=float), np.diff(np.asarray(thetas, dtype=float), axis=0)
    squares = np.sum(steps * steps, axis=1)
    above = np.diff(F) - np.sum(np.asarray(gradients, dtype=float)[:-1] * steps, axis=1)
    return float(np.max(2 * above[squares > 0] / squares[squares > 0], initial=0.0))


def check_positive(argument: str, value: float) -> float:
    """`value`. Raises `InvalidInput` unless it is finite and positive."""
    if not math.isfinite(value) or value <= 0:
        raise InvalidInput(argument, value, "choose a positive number")
    return value


def check_form(form: str) -> None:
    """Raises `UnknownNameError` unless `form` is one of `FORMS`."""
    if form not in FORMS:
        raise UnknownNameError("form", form, FORMS)
