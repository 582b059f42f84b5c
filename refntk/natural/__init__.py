"""Natural gradients: Gramians and the directions that follow from them, exact in either space, or sketched.

Adding a method is one entry of `METHODS`: a function of a linearization with keyword options that returns a `Direction`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from .. import arrays
from ..arrays import Array
from ..errors import UnknownNameError
from ..kernel.operator import Linearization
from .exact import damped, engd, full_precision, least_squares
from .gramian import Curved, Gramian
from .search import line_search
from .searched import searched
from .sketched import error_bound, initial_sketch, nystrom, sngd
from .truncation import Direction, rank

__all__ = [
    "METHODS",
    "Curved",
    "Direction",
    "Gramian",
    "damped",
    "direction",
    "engd",
    "error_bound",
    "full_precision",
    "initial_sketch",
    "least_squares",
    "line_search",
    "nystrom",
    "rank",
    "searched",
    "sngd",
]

METHODS: dict[str, Callable[..., Direction]] = {
    "engd": engd,
    "sngd": sngd,
    "least_squares": least_squares,
    "full_precision": full_precision,
    "damped": damped,
    "nystrom": nystrom,
    "searched": searched,
}


def direction(
    lin: Linearization,
    /,
    method: str = "engd",
    *,
    curvature: Array | None = None,
    cotangent: Array | None = None,
    **options: Any,
) -> Array:
    """The natural gradient d (p,) of the loss ½‖R‖² at a linearization: `d = G⁺Jᵀr`, G = JᵀJ. Note the sign: θ - η d descends.

    `method` is one of `METHODS` and `options` are its own: "engd" exactly, "sngd" sketched (Algorithm 1), "least_squares",
    "full_precision", "damped", "nystrom", "searched" (the best of many steps by a given `loss`). A loss Σ ℓ_i(R_i) other than
    ½‖R‖² gives its `cotangent` ℓ'(R) and `curvature` ℓ''(R), both (n,): then `d = (JᵀHJ)⁺Jᵀc`. With `scaling="quadrature"` G is
    that of Best McKay et al. 2025, eq. (6), and d the direction of (4) up to the factor 2 of losses without ½. Raises
    `UnknownNameError` for methods and options, `InvalidInput`.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> np.round(direction(lin, method="engd"), 12)  # u = w x + b, zero at both ends: one step of length 1 solves it
    array([2. , 0.5])
    """
    return solve(lin, method, curvature=curvature, cotangent=cotangent, options=options).vector


def solve(
    lin: Linearization,
    method: str,
    /,
    *,
    curvature: Array | None = None,
    cotangent: Array | None = None,
    options: Mapping[str, Any] | None = None,
) -> Direction:
    """What `direction` returns, with the eigenvalues and the rank it was made of.

    >>> import numpy as np, refntk as rn
    >>> problem = rn.problems.get("poisson1d")
    >>> lin = rn.linearize(problem, rn.MLP([1, 1]), np.array([2.0, 0.5]), {"interior": [[0.3]], "boundary": [[0.0], [2.0]]})
    >>> solve(lin, "engd").rank
    2
    """
    check_options(method, options or {})
    if curvature is not None or cotangent is not None:
        xp = arrays.namespace(lin.residual)
        lin = Curved(
            lin,
            xp.ones_like(lin.residual) if curvature is None else arrays.as_floats("curvature", curvature),
            lin.residual if cotangent is None else arrays.as_floats("cotangent", cotangent),
        )
    return METHODS[method](lin, **(options or {}))


def accepted(method: str) -> list[str]:
    """The options of a method. Raises `UnknownNameError`.

    >>> accepted("damped")
    ['damping']
    """
    if method not in list(METHODS):
        raise UnknownNameError("method", method, METHODS)
    return [p.name for p in inspect.signature(METHODS[method]).parameters.values() if p.kind is p.KEYWORD_ONLY]


def check_options(method: str, options: Mapping[str, Any]) -> None:
    """Raises `UnknownNameError` for a method that does not exist or an option that it does not have."""
    known = accepted(method)
    for name in options:
        if name not in known:
            raise UnknownNameError(f"option of {method!r}", name, known)
