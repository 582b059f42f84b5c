"""Natural-gradient descent as an optimizer: a direction of `refntk.natural`, and the best step along it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import arrays, natural
from ..arrays import Array, Namespace
from ..errors import UnknownNameError
from ..kernel.operator import Linearization
from .position import Position

SEARCH = ("halvings", "exhaustive")  # the options of the line search; all others are the direction's


@dataclass(frozen=True)
class Natural:
    """`θ ← θ - η d` with a natural gradient d and the best η of 1, ½, ..., 2^-30 and 0: a round is one step.

    "searched" finds η itself, at most `radius` ‖θ‖ from θ. `method` and `options` are those of `natural.direction` and of
    `natural.line_search`; d is that of the weighted loss, with the Gramian JᵀΛJ. Methods that draw probes draw those of step t in
    the stream t of `seed`, so that another step is another sketch. Algorithm 1's rank and oversampling are the state, the first
    from `options` or from an initial sketch.
    """

    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 17

    def __post_init__(self) -> None:
        """Raises `UnknownNameError` for an option that neither the method nor the line search has."""
        search = () if self.searching else SEARCH
        known = [name for name in (*natural.accepted(self.method), *search) if name not in ("key", "stream", "loss", "theta")]
        for name in self.options:
            if name not in known:
                raise UnknownNameError("options", name, known)

    @property
    def random(self) -> bool:
        """Whether the direction depends on probes."""
        return "key" in natural.accepted(self.method)

    @property
    def searching(self) -> bool:
        """Whether the direction is a step already, found by losses."""
        return "loss" in natural.accepted(self.method)

    @property
    def adaptive(self) -> bool:
        """Whether a step sets the rank of the next."""
        return self.method == "sngd"

    def fixed_points(self) -> bool:
        """Yes, the quadrature points of the papers; random ones may be asked for."""
        return True

    def resamples(self) -> bool:
        """Yes: losses are compared within a step only."""
        return True

    def round(self, every: int) -> int:
        """One."""
        return 1

    def start(self, theta: Array, *, xp: Namespace) -> dict[str, Array]:
        """No sketch yet."""
        return {name: arrays.zeros((1,), theta, xp=xp) for name in ("rank", "oversampling")} if self.adaptive else {}

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
        """One step; none where no η lowers the loss and nothing but chance could change that. Cost: d, and a loss for each η."""
        options = {name: value for name, value in self.options.items() if name not in SEARCH}
        if self.random:
            options |= {"key": self.seed, "stream": t}
        lin = at.weighted(weights)
        if self.adaptive:
            options |= self._sizes(lin, state, options)
        if self.searching:
            options |= {"loss": lambda d: at.moved(at.theta - d).loss(weights), "theta": at.theta}
        found = natural.METHODS[self.method](lin, **options)
        if self.adaptive:
            sizes = (found.rank, options["oversampling"])
            state = {
                name: arrays.zeros((1,), at.theta, xp=arrays.namespace(at.theta)) + n for name, n in zip(state, sizes, strict=True)
            }
        if self.searching:
            return at.theta - found.vector, state, int(found.rank > 0)
        search = {name: value for name, value in self.options.items() if name in SEARCH}
        start = at.loss(weights)
        step, _ = natural.line_search(lambda x: at.moved(x).loss(weights), at.theta, found.vector, start=start, **search)
        return at.theta - step * found.vector, state, int(step > 0 or self.random)

    @staticmethod
    def _sizes(lin: Linearization, state: dict[str, Array], options: Mapping[str, Any]) -> dict[str, int]:
        """The rank and the oversampling of this step's sketch."""
        rank, oversampling = (int(state[name][0]) for name in ("rank", "oversampling"))
        if oversampling:
            return {"rank": rank, "oversampling": oversampling}
        given = {name: options[name] for name in ("rank", "oversampling") if name in options}
        if len(given) < 2:
            others = {name: value for name, value in options.items() if name not in given}
            given = dict(zip(("rank", "oversampling"), natural.initial_sketch(lin, **others), strict=True)) | given
        return given
