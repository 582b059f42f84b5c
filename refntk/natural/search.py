"""How far along a direction: the best of the steps 1, 1/2, 1/4, ..., with no step at all as the floor."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..arrays import Array
from ..errors import InvalidInput

HALVINGS = 30


def line_search(
    loss: Callable[[Array], float],
    theta: Array,
    direction: Array,
    /,
    *,
    start: float | None = None,
    halvings: int = HALVINGS,
    exhaustive: bool = True,
) -> tuple[float, float]:
    """The step η of 0, 1, ½, ..., 2^-`halvings` with the lowest `loss(θ - η d)`, and that loss; `start` is the loss at θ, if known.

    Zero is taken only where no step is lower, so the loss never rises; a loss that is NaN counts as infinite. `exhaustive` tries
    all, as Müller & Zeinhofer 2023 and Best McKay et al. 2025 do (who lack the zero step, and may go uphill); otherwise the search
    ends at the first step that is lower than the floor and than the next shorter one. Raises `InvalidInput`.

    >>> import numpy as np
    >>> line_search(lambda theta: float(theta @ theta), np.array([1.0]), np.array([2.0]))
    (0.5, 0.0)
    >>> line_search(lambda theta: float(theta @ theta), np.array([1.0]), np.array([-2.0]))
    (0.0, 1.0)
    """
    if isinstance(halvings, bool) or not isinstance(halvings, int) or halvings < 0:
        raise InvalidInput("halvings", repr(halvings), "give a whole number that is not negative")
    best, lowest = 0.0, loss(theta) if start is None else start
    for k in range(halvings + 1):
        step = 0.5**k
        found = loss(theta - step * direction)
        if math.isnan(lowest) or found < lowest:
            best, lowest = step, found
        elif best > 0 and not exhaustive:
            break
    return best, lowest
