"""How θ moves: gradient descent, Adam, L-BFGS, natural gradients, SPRING. Adding one is one entry of `OPTIMIZERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..natural import METHODS
from .natural import Natural
from .position import Position
from .spring import Spring

State = dict[str, Array]  # arrays by name and nothing else, so that a checkpoint is arrays and nothing else
Visit = Callable[[int, Array], None]


class Optimizer(Protocol):
    """Moves θ by a round of steps, during which weights and points stand still."""

    def fixed_points(self) -> bool:
        """Whether the points stand still unless they are asked to move."""

    def resamples(self) -> bool:
        """Whether other points may be drawn for another round."""

    def round(self, every: int) -> int:
        """How many steps a round has, weights being renewed every `every` steps; rounds begin at its multiples."""

    def start(self, theta: Array, *, xp: Namespace) -> State:
        """The state before the first step."""

    def advance(
        self, t: int, count: int, at: Position, weights: Mapping[str, float], state: State, *, rate: float, visit: Visit
    ) -> tuple[Array, State, int]:
        """θ and the state after at most `count` steps from step t, and how many were made; none means that none improves.

        Within a round, `visit(t, theta)` hears of every θ but the first and the last.
        """


@dataclass(frozen=True)
class FirstOrder:
    """`θ ← θ - rate · d` with a direction d from the gradient: a round is one step.

    `direction(gradient, t, state, xp=...)` returns d and the new state; `slots` names the arrays of the state, zero at first.
    """

    direction: Callable[..., tuple[Array, State]]
    slots: tuple[str, ...] = ()

    def fixed_points(self) -> bool:
        """No: every step sees others."""
        return False

    def resamples(self) -> bool:
        """Yes."""
        return True

    def round(self, every: int) -> int:
        """One."""
        return 1

    def start(self, theta: Array, *, xp: Namespace) -> State:
        """Zeros."""
        return {slot: xp.zeros_like(theta) for slot in self.slots}

    def advance(
        self, t: int, count: int, at: Position, weights: Mapping[str, float], state: State, *, rate: float, visit: Visit
    ) -> tuple[Array, State, int]:
        """One step. Cost: one gradient."""
        xp = arrays.namespace(at.theta)
        direction, state = self.direction(at.gradient(weights), t, state, xp=xp)
        return at.theta - rate * direction, state, 1


def learning_rate(t: int, lr: float, decay: tuple[float, int] | None) -> float:
    """The learning rate `lr · factor^(t / every)` at step t for `decay = (factor, every)`; without decay, `lr`.

    >>> learning_rate(500, 1e-3, (0.25, 1000))
    0.0005
    """
    return lr if decay is None else lr * decay[0] ** (t / decay[1])


def steepest(gradient: Array, t: int, state: State, *, xp: Namespace) -> tuple[Array, State]:
    """The gradient itself: eq. (4) of Hirsch & Pichi.

    >>> steepest(np.array([3.0]), 0, {}, xp=np)
    (array([3.]), {})
    """
    return gradient, state


MEAN, SQUARE, FLOOR = 0.9, 0.999, 1e-8  # Adam's β₁, β₂ and ε, as in the paper that named them


def adam(gradient: Array, t: int, state: State, *, xp: Namespace) -> tuple[Array, State]:
    """Kingma & Ba's direction `m̂ / (√v̂ + ε)`, with β = (0.9, 0.999), ε = 1e-8 and corrected bias; the first is the sign.

    >>> direction, state = adam(np.array([3.0, -2.0]), 0, {"m": np.zeros(2), "v": np.zeros(2)}, xp=np)
    >>> np.round(direction, 6)
    array([ 1., -1.])
    """
    m = MEAN * state["m"] + (1 - MEAN) * gradient
    v = SQUARE * state["v"] + (1 - SQUARE) * gradient * gradient
    direction = (m / (1 - MEAN ** (t + 1))) / (xp.sqrt(v / (1 - SQUARE ** (t + 1))) + FLOOR)
    return direction, {"m": m, "v": v}


LEAST = 1e-100  # a gradient below this is zero: SciPy's line search begins with its reciprocal


@dataclass(frozen=True)
class QuasiNewton:
    """L-BFGS through SciPy: rounds of `every` iterations with fixed points and weights; its memory begins anew with each round.

    Its line search finds its own rates; the one it is given is not used.
    """

    memory: int = 20

    def fixed_points(self) -> bool:
        """Yes: its line search compares losses."""
        return True

    def resamples(self) -> bool:
        """No."""
        return False

    def round(self, every: int) -> int:
        """As long as the weights stand still."""
        return every

    def start(self, theta: Array, *, xp: Namespace) -> State:
        """Nothing: a round leaves nothing behind but θ."""
        return {}

    def advance(
        self, t: int, count: int, at: Position, weights: Mapping[str, float], state: State, *, rate: float, visit: Visit
    ) -> tuple[Array, State, int]:
        """One round. Cost: a little more than one loss and gradient for each iteration."""
        from scipy.optimize import minimize

        xp = arrays.namespace(at.theta)
        begin, taken = arrays.to_numpy(at.theta).astype(np.float64), 0

        def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
            here = at if np.array_equal(x, begin) else at.moved(arrays.like(x, at.theta, xp=xp))
            return here.loss(weights), arrays.to_numpy(here.gradient(weights)).astype(np.float64)

        def iterated(x: np.ndarray) -> None:
            nonlocal taken
            taken += 1
            if taken < count:
                visit(t + taken, arrays.like(x.copy(), at.theta, xp=xp))

        options = {"maxiter": count, "maxfun": 10**9, "maxcor": self.memory, "ftol": 0.0, "gtol": LEAST}
        arguments: Any = {"jac": True, "method": "L-BFGS-B", "callback": iterated, "options": options}
        found = minimize(objective, begin, **arguments)
        return arrays.like(found.x, at.theta, xp=xp), state, min(taken, count)


OPTIMIZERS: dict[str, Optimizer] = {
    "gd": FirstOrder(steepest),
    "adam": FirstOrder(adam, ("m", "v")),
    "lbfgs": QuasiNewton(),
    **{method: Natural(method) for method in METHODS},
    "spring": Spring(),
}
