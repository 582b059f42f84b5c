"""Section 4 of Hirsch & Pichi 2025: bounds on the errors of Algorithm 2 and of Theorem 5's estimator, with their constants.

The paper's C bounds a remainder: `‖(R(θ + Δt Jᵀg) - R(θ))/Δt - K g‖ ≤ C Δt ‖g‖²` (13). `curvature` gives it from second directional
derivatives. Its odd part in g is O(Δt²): a constant C₃ with `‖(R(θ + Δt Jᵀg) - R(θ - Δt Jᵀg))/2Δt - K g‖ ≤ C₃ Δt² ‖g‖³`, called
`odd` here, is 0 where R is quadratic in θ. `form` chooses between

- "stated": as printed, with C for every constant that the paper calls C.
- "proved": what the printed proof arrives at.
- "corrected": what is true, or a sharper truth by the same means: biases pair an even remainder with an odd factor and are O(Δt²).

Probes are normal, and p is the number of parameters. The exact moments at Δt = 0 are in `moments.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .. import arrays
from ..arrays import Array
from .assumptions import Bound, check_form
from .difference import second_derivatives
from .moments import ntk_mean_squared_error, trace_variance
from .sketch import clip


def curvature(residual_at: Callable[[Array], Array], theta: Array, directions: Array, dt: float, /) -> float:
    """C of (13) at θ, at least `½ ‖∇²R[V g, V g]‖ / ‖g‖²` for all g: half the spectral norm of Q = ∇²R[v_a, v_b], (n, m, m).

    Q is read as (n, m²) and as (n m, m), either of which will do, and the smaller norm taken. `directions` V (p, m) are Jᵀ for
    Theorems 3 and 4, the identity for Theorem 5. The derivatives are differences with step `dt`. For residuals quadratic in θ this
    is a bound for every Δt, otherwise for Δt → 0. Cost: 2 m² + 1 forward passes.

    >>> import numpy as np
    >>> round(curvature(lambda theta: theta**2, np.array([1.0, 3.0]), np.eye(2), 0.5), 12)  # ½ · 2
    1.0
    """
    Q = second_derivatives(residual_at, theta, directions, dt)
    xp = arrays.namespace(Q)
    n, m = Q.shape[:2]
    return min(float(xp.max(xp.linalg.svdvals(xp.reshape(Q, shape)))) for shape in ((n, m * m), (n * m, m))) / 2


def theorem_3(n: int, dt: float, /, *, constant: float, odd: float = 0.0, form: str = "corrected") -> dict[str, float]:
    """Theorem 3, right sides: ≥ E‖error‖ and E‖error‖² of a product, ≥ ‖E K̂ - K‖_F and |E Tr K̂ - Tr K|, n rows.

    Both biases are `C n(n+1) Δt` as stated and proved, and `C₃ E‖g‖⁴ Δt² = C₃ n(n+2) Δt²` corrected.

    >>> theorem_3(2, 0.5, constant=1.0)  # R quadratic: no bias
    {'product': 1.0, 'product_squared': 2.0, 'ntk': 0.0, 'trace': 0.0}
    >>> theorem_3(2, 0.5, constant=1.0, form="stated")["trace"]
    3.0
    """
    check_form(form)
    bias = odd * n * (n + 2) * dt**2 if form == "corrected" else constant * n * (n + 1) * dt
    return {"product": constant * n * dt, "product_squared": constant**2 * n * (n + 2) * dt**2, "ntk": bias, "trace": bias}


def theorem_4(K: Array, dt: float, /, *, constant: float, samples: int, form: str = "corrected") -> dict[str, float]:
    """Theorem 4, right sides: ≥ E‖K̂ - K‖_F² and E|Tr K̂ - Tr K|² for the mean of N samples.

    With `m = n(n+2)(n+4) = E‖g‖⁶`: stated `C n m Δt² + 2n(n+2)F/N` for K and `C m Δt² + 4F/N` for the trace; proved, 2C² for C.
    Corrected, `(C √m Δt + √(V/N))²`, V being the exact variances of a sample, ((n+2)F + T²)/2 and 2F: Minkowski's inequality for
    Young's, and no factor n, since `Σ_i E g_i² ‖·‖² = E ‖g‖² ‖·‖²`. (The proof takes that sum for n times its first term. It is
    not, but the bound is large enough.)

    >>> import numpy as np
    >>> theorem_4(np.eye(2), 0.0, constant=1.0, samples=4, form="proved")
    {'ntk': 8.0, 'trace': 2.0}
    >>> theorem_4(np.eye(2), 0.0, constant=1.0, samples=4)["trace"]
    1.0
    """
    check_form(form)
    exact = {"ntk": ntk_mean_squared_error(K), "trace": trace_variance(K)}
    n, F = K.shape[0], exact["trace"] / 2
    sixth = n * (n + 2) * (n + 4)
    if form == "corrected":
        return {name: (constant * math.sqrt(sixth) * dt + math.sqrt(V / samples)) ** 2 for name, V in exact.items()}
    remainder = (constant if form == "stated" else 2 * constant**2) * sixth * dt**2
    return {"ntk": n * remainder + 2 * n * (n + 2) * F / samples, "trace": remainder + 4 * F / samples}


def theorem_5(
    count: int, eps: float, /, *, constant: float, slope: float = 1.0, odd: float = 0.0, form: str = "corrected"
) -> tuple[float, float]:
    """Theorem 5: (lower, upper) bounds of `E‖(R(θ + ε g) - R(θ))/ε‖² - Tr K`, g ~ N(0, I); `count` is n as stated, else p.

    Stated `-C(n+1)² ε` and `C(n+1)² (ε + ε²)`: the text draws g in Rⁿ, where θ has no room for it. Proved, `∓2Cσ p(p+2) ε` and on
    the upper side also `C² p(p+2) ε²`, with C = `curvature` along the axes and σ = ‖J‖ (`slope`), which the paper calls C too.
    Corrected, `∓2σC₃ p(p+2) ε²`, and on the upper side also `C² p(p+2) ε² + C₃² p(p+2)(p+4) ε⁴`: the term in ε is odd and vanishes.

    >>> theorem_5(3, 0.5, constant=1.0)  # R quadratic in three parameters
    (-0.0, 3.75)
    >>> theorem_5(1, 0.5, constant=1.0, form="stated")
    (-2.0, 3.0)
    """
    check_form(form)
    if form == "stated":
        return -constant * (count + 1) ** 2 * eps, constant * (count + 1) ** 2 * (eps + eps**2)
    fourth = count * (count + 2)
    even = constant**2 * fourth * eps**2
    if form == "proved":
        return -2 * constant * slope * fourth * eps, 2 * constant * slope * fourth * eps + even
    mixed = 2 * slope * odd * fourth * eps**2
    return -mixed, mixed + even + odd**2 * fourth * (count + 4) * eps**4


def remark_6(estimates: Array, K: Array, /, *, form: str = "corrected") -> Bound:
    """Remark 6: mean of `‖clip K̂ - K‖_F` ≤ mean of `‖K̂ - K‖_F`, over estimates (N, n, n) of K (n, n).

    It holds where K has no negative entry, for every single estimate. Corrected, the right side has `‖min(K, 0)‖_F` besides, and
    holds for every K: clipping is a projection, so `‖clip K̂ - clip K‖ ≤ ‖K̂ - K‖`, and ‖clip K - K‖ is what was added.

    >>> import numpy as np
    >>> K = np.array([[1.0, -0.5], [-0.5, 1.0]])
    >>> [remark_6(K[None], K, form=form).holds for form in ("stated", "corrected")]  # the estimate without error
    [False, True]
    """
    check_form(form)
    estimates, K = arrays.as_floats("estimates", estimates), arrays.as_floats("K", K)
    xp = arrays.namespace(estimates, K)
    arrays.check_shape("K", K, (None, None))
    arrays.check_shape("estimates", estimates, (None, *K.shape))

    def mean_error(found: Array) -> float:
        return float(xp.mean(xp.sqrt(xp.sum((found - K) ** 2, axis=(1, 2)))))

    lost = K - clip(K)
    added = float(xp.sqrt(xp.sum(lost * lost))) if form == "corrected" else 0.0
    assumptions = {} if form == "corrected" else {"0 <= K": bool(xp.all(K >= 0))}
    return Bound(mean_error(clip(estimates)), mean_error(estimates) + added, assumptions)
