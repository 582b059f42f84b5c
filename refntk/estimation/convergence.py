"""Section 3 of Hirsch & Pichi 2025: what `θ_{t+1} = θ_t - η J_tᵀ Λ_t R_t` does to residuals and gradients, from a run's numbers.

`F = ½‖R‖²`, `G_t = ½ R_tᵀ Λ_t R_t`, `∇G_t = J_tᵀ Λ_t R_t`; the eigenvalues of K_t lie in [k_min, k_max], those of Λ_t in
[ell_min, ell_max], and L is a Lipschitz constant of ∇F and, for all weights, of ∇G (Assumption 1). `form` chooses between

- "stated": as printed. Theorem 1 has lost the factor 1/(2c), Theorem 2 and Corollary 1 inherit it and lose 1/(1 - Lη/2).
- "proved": what the printed proof arrives at, with `c = k_min ell_min - (Lη/2) k_max ell_max²`.
- "corrected": what is true. The proof takes `Rᵀ K Λ R ≥ k_min ell_min ‖R‖²`, but KΛ is not symmetric. The least value of the form
  is `least_product`, negative where K and Λ are badly conditioned. There, the smallest step can make ‖R‖ larger, and weights
  that are functions of θ can keep ‖R_t‖ and ‖∇G_t‖ from ever falling: the limits of Theorems 1 and 2 fail with their bounds.
  (`R(θ) = Q(-2 ln‖θ‖) θ`, Q a rotation, with `Λ = Q_φ [[2, 1], [1, 1]] Q_φᵀ`, φ the angle of R: every step is along a tangent.)
  While K stands still there is `theorem_1_for_fixed_kernels`, for any conditions and weights.

At the largest rate that the paper admits c = 0, and nothing is bounded: the right side is infinite wherever c is not positive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..errors import ShapeError
from .assumptions import Bound, Constants, check_positive


def lemma_1(value: float, start: float, gradient: np.ndarray, step: np.ndarray, /, *, lipschitz: float) -> Bound:
    """Lemma 1: `F(x) - F(y) ≤ ⟨∇F(y), x - y⟩ + (L/2)‖x - y‖²`, from F(x), F(y), ∇F(y) and x - y.

    >>> lemma_1(9.0, 1.0, np.array([2.0]), np.array([2.0]), lipschitz=2.0)  # F = x², from 1 to 3: equal
    Bound(left=8.0, right=8.0, assumptions={'0 <= L': True})
    """
    right = float(np.vdot(gradient, step)) + lipschitz / 2 * float(np.vdot(step, step))
    return Bound(value - start, right, {"0 <= L": lipschitz >= 0})


def theorem_1(squares: Sequence[float], constants: Constants, /, *, eta: float, form: str = "corrected") -> Bound:
    """Theorem 1: `(1/T) Σ_{t<T} ‖R_t‖² ≤ (‖R_0‖² - ‖R_T‖²) / (2Tηc)`, from ‖R_0‖², …, ‖R_T‖²; "stated" has 1 for 2c.

    One parameter, `R = √k θ`, makes it an equality, which the statement then violates:

    >>> squares = [(1 - 0.25) ** (2 * t) for t in range(6)]  # k = 1/4, η = 1
    >>> k = Constants(0.25, 0.25, 1.0, 1.0, lipschitz=0.25)
    >>> [theorem_1(squares, k, eta=1.0, form=form).holds for form in ("stated", "proved", "corrected")]
    [False, True, True]
    """
    R = _squares("squares", squares, 2)
    T, c = len(R) - 1, constants.decrease(eta, form=form)
    fall = float(R[0] - R[-1])
    assumptions = constants.assume(eta, form)
    right = fall / (T * eta) if form == "stated" else _over(fall, 2 * T * eta * c, c)
    return Bound(float(np.mean(R[:-1])), right, assumptions)


def theorem_1_for_fixed_kernels(
    squares: Sequence[float], constants: Constants, /, *, eta: float, inverses: tuple[float, float]
) -> Bound:
    """`(1/T) Σ_{t<T} ‖R_t‖² ≤ (V_0 - V_T) / (Tη ell_min (2 - η k_max ell_max))`, V = Rᵀ K⁻¹ R, `inverses` = (V_0, V_T), K constant.

    Not in the paper: what is left of Theorem 1 for linear residuals and in the limit of infinite width, whatever the weights do.
    `V_{t+1} = V_t - 2η RᵀΛR + η² RᵀΛKΛR`, and the last form is at most k_max ell_max RᵀΛR. It needs η < 2/(k_max ell_max), no L,
    and of k_min only that it is positive.

    >>> squares = [(1 - 0.25) ** (2 * t) for t in range(6)]  # R = √k θ again: V = θ², and equal
    >>> k = Constants(0.25, 0.25, 1.0, 1.0, lipschitz=0.25)
    >>> bound = theorem_1_for_fixed_kernels(squares, k, eta=1.0, inverses=(4.0, 4 * squares[-1]))
    >>> bound.holds, round(bound.right / bound.left, 12)
    (True, 1.0)
    """
    R, slack = _squares("squares", squares, 2), 2 - check_positive("eta", eta) * constants.k_max * constants.ell_max
    right = _over(inverses[0] - inverses[1], (len(R) - 1) * eta * constants.ell_min * slack, min(slack, constants.ell_min))
    assumptions = {"0 < k_min": bool(constants.k_min > 0), "0 < ell_min": bool(constants.ell_min > 0)}
    return Bound(float(np.mean(R[:-1])), right, {**assumptions, "eta < 2/(k_max ell_max)": bool(slack > 0)})


def theorem_2(
    gradients: Sequence[float],
    constants: Constants,
    /,
    *,
    eta: float,
    losses: tuple[float, float],
    start: float,
    form: str = "corrected",
) -> Bound:
    """Theorem 2: `(1/T) Σ_{t<T} ‖∇G_t‖² ≤ (G_0 - G_T)/(Tη(1 - Lη/2)) + w ‖R_0‖²/(Tη²)`, from ‖∇G_t‖², t < T, (G_0, G_T) and ‖R_0‖².

    w is `2 ell_max` as stated, `ell_max / (c (1 - Lη/2))` as proved, and `(ell_max - ell_min) / (4c (1 - Lη/2))` corrected:
    λ_max(Λ' - Λ) ≤ ell_max - ell_min, and the sum over t = 1..T needs neither the proof's 2T/(T+1) ≤ 2 nor its other factor of two.
    Without assumptions on K and Λ there is `corollary_2`.

    >>> k = Constants(1.0, 1.0, 1.0, 1.0, lipschitz=1.0)  # R = θ = 1, 1/2, 1/4: G = θ²/2, ∇G = θ
    >>> theorem_2([1.0, 0.25], k, eta=0.5, losses=(0.5, 0.03125), start=1.0).right  # nothing is added where Λ stands still
    0.625
    """
    bound = corollary_2(gradients, lipschitz=constants.lipschitz, eta=eta, losses=losses, h=0.0)
    slack, c = 1 - constants.lipschitz * eta / 2, constants.decrease(eta, form=form)
    w, over = {
        "stated": (2 * constants.ell_max, 1.0),
        "proved": (constants.ell_max, c * slack),
        "corrected": ((constants.ell_max - constants.ell_min) / 4, c * slack),
    }[form]
    extra = _over(w * start / (len(gradients) * eta**2), over, min(over, slack))
    return Bound(bound.left, bound.right + extra, {**constants.assume(eta, form), **bound.assumptions})


def corollary_1(
    gradients: Sequence[float],
    constants: Constants,
    /,
    *,
    eta: float,
    losses: tuple[float, float],
    start: float,
    form: str = "corrected",
) -> Bound:
    """Corollary 1: `(1/T) Σ_{t<T} ‖∇F_t‖² ≤ (k_max/k_min) ·` right side of Theorem 2, from ‖∇F_t‖², t < T, and else as there.

    It takes ell_min ≥ 1, which eq. (5) grants. Corrected, the factor is `k_max / (k_min ell_min²)`, for any weights. Whether the
    weights of eq. (5) can keep ∇F from vanishing where `least_product` is negative, we do not know.

    >>> k = Constants(1.0, 4.0, 1.0, 1.0, lipschitz=1.0)
    >>> corollary_1([1.0, 0.25], k, eta=0.125, losses=(0.5, 0.03125), start=1.0).right  # 4 · (15/32) / (2/8 · 15/16)
    8.0
    """
    bound = theorem_2(gradients, constants, eta=eta, losses=losses, start=start, form=form)
    below = constants.k_min * (constants.ell_min**2 if form == "corrected" else 1)
    eq5 = {} if form == "corrected" else {"1 <= ell_min": constants.ell_min >= 1}
    return Bound(bound.left, _over(constants.k_max * bound.right, below, below), {**bound.assumptions, **eq5})


def corollary_2(gradients: Sequence[float], /, *, lipschitz: float, eta: float, losses: tuple[float, float], h: float) -> Bound:
    """Corollary 2: `(1/T) Σ_{t<T} ‖∇G_t‖² ≤ (G_0 - G_T + h(T)/2) / (Tη(1 - Lη/2))`, from ‖∇G_t‖², t < T.

    `h` is h(T), for weights under rule (11). With the run's own `weight_drift` in its place this is eq. (10), for any weights.
    Nothing is assumed of K.

    >>> corollary_2([1.0, 0.25], lipschitz=1.0, eta=0.5, losses=(0.5, 0.03125), h=0.0).right  # (15/32) / (2 · 1/2 · 3/4)
    0.625
    """
    squares, rate, slack = _squares("gradients", gradients, 1), check_positive("eta", eta), 1 - lipschitz * eta / 2
    right = _over(losses[0] - losses[1] + h / 2, len(squares) * rate * slack, slack)
    return Bound(float(np.mean(squares)), right, {"eta < 2/L": bool(slack > 0)})


def weight_drift(weights: Mapping[str, Sequence[float]], squares: Sequence[float], /) -> float:
    """`S = Σ_{t<T} λ_max(Λ_{t+1} - Λ_t) ‖R_{t+1}‖²` of rule (11), from `{term: λ_0, …, λ_T}` and ‖R_0‖², …, ‖R_T‖².

    >>> weight_drift({"a": [1.0, 2.0, 2.5], "b": [4.0, 3.0, 6.0]}, [9.0, 4.0, 1.0])  # 1 · 4 + 3 · 1
    7.0
    """
    R, ell = _squares("squares", squares, 2), np.array([list(values) for values in weights.values()], dtype=float)
    if ell.shape[1:] != R.shape:
        raise ShapeError("weights", f"shape {ell.shape}", f"expected one for each of the {len(R)} steps, for every term")
    return float(np.max(np.diff(ell, axis=1), axis=0) @ R[1:])


def _over(above: float, below: float, positive: float) -> float:
    """The quotient; infinite where what must be positive is not."""
    return float(above / below) if positive > 0 else math.inf


def _squares(argument: str, values: Sequence[float], least: int) -> np.ndarray:
    found = np.asarray(values, dtype=float)
    if found.ndim != 1 or len(found) < least:
        raise ShapeError(argument, f"shape {found.shape}", f"give squared norms, one for each step, at least {least}")
    return found
