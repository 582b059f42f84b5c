"""SPRING as an optimizer: damped natural gradients that remember what earlier points asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from .. import natural
from ..arrays import Array, Namespace
from ..errors import InvalidInput, UnknownNameError
from .position import Position


@dataclass(frozen=True)
class Spring:
    """`θ ← θ - η φ` with `φ = β φ₋ + Jᵀ(K + μI)⁻¹(r - β J φ₋)`, β = `momentum`, μ = `damping` · Tr K, η the learning rate.

    φ has the least `‖r - J φ‖² + μ ‖φ - β φ₋‖²`: what this step's rows do not determine stays as earlier rows, at other points,
    would have it. With points drawn anew for every step that is a randomized block Kaczmarz method for all points together, which
    "damped" with its line search is not: there every step forgets the others for its own rows. J, K, r are those of the weighted
    loss, so that weights may change between steps. There is no line search, and a rate too large diverges.
    Source: Goldshlager, Abrahamsen & Lin 2024, Algorithm 1, μ in units of Tr K, without its bound on ‖η φ‖ and without the
    terms that only a mean energy has. Raises `InvalidInput`.
    """

    damping: float = 1e-7
    momentum: float = 0.9

    def __post_init__(self) -> None:
        """Raises `InvalidInput` for numbers out of range."""
        for name, fits, remedy in (
            ("damping", _number(self.damping) and self.damping > 0, "give a positive share of Tr K"),
            ("momentum", _number(self.momentum) and 0 <= self.momentum < 1, "choose the share of the last direction in [0, 1)"),
        ):
            if not fits:
                raise InvalidInput(name, repr(getattr(self, name)), remedy)

    def having(self, options: Mapping[str, Any]) -> Spring:
        """The same with other numbers, by name. Raises `InvalidInput`."""
        known = [field.name for field in fields(self)]
        for name in options:
            if name not in known:
                raise UnknownNameError("options", name, known)
        return replace(self, **options)

    def fixed_points(self) -> bool:
        """No: it is made for points that are drawn anew."""
        return False

    def resamples(self) -> bool:
        """Yes."""
        return True

    def round(self, every: int) -> int:
        """One."""
        return 1

    def start(self, theta: Array, *, xp: Namespace) -> dict[str, Array]:
        """No direction yet."""
        return {"direction": xp.zeros_like(theta)}

    def advance(
        self,
        t: int,
        count: int,
        at: Position,
        weights: Mapping[str, float],
        state: dict[str, Array],
        *,
        rate: float,
        visit: Callable[[int, Array], None],
    ) -> tuple[Array, dict[str, Array], int]:
        """One step. Cost: K, a linear system, a tangent and an adjoint pass; no loss."""
        lin, carried = at.weighted(weights), self.momentum * state["direction"]
        rest = lin.residual - lin.jacobian @ carried
        direction = carried + natural.direction(lin, "damped", cotangent=rest, damping=self.damping)
        return at.theta - rate * direction, {"direction": direction}, 1


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
