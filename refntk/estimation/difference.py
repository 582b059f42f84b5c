"""Difference quotients of a residual along directions in the space of its parameters."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real

from .. import arrays
from ..arrays import Array, Namespace
from ..errors import InvalidInput, NotFiniteError, UnknownNameError

DIFFERENCES = ("forward", "central")


def slopes(
    residual_at: Callable[[Array], Array],
    theta: Array,
    directions: Array,
    dt: float,
    /,
    *,
    difference: str = "forward",
    start: Array | None = None,
) -> Array:
    """Difference quotients (n, k) of `residual_at(theta)` (n,) along the columns of `directions` (p, k): approximately J V.

    "forward" is `(R(θ + Δt v) - R(θ)) / Δt` (`start` is R(θ), where it is known), "central" `(R(θ + Δt v) - R(θ - Δt v)) / 2Δt`.
    Raises `InvalidInput` for a step that is not a positive number, moves no parameter or leads out of the floating-point numbers.
    Cost: one forward pass a column, central two.

    >>> import numpy as np
    >>> slopes(lambda t: t**2, np.array([1.0, 2.0]), np.array([[1.0], [1.0]]), 0.5)  # 2θ + Δt
    array([[2.5],
           [4.5]])
    >>> slopes(lambda t: t**2, np.array([1.0, 2.0]), np.array([[1.0], [1.0]]), 0.5, difference="central")
    array([[2.],
           [4.]])
    """
    check_step("dt", dt)
    check_difference(difference)
    xp = arrays.namespace(theta, directions)
    arrays.check_shape("directions", directions, (theta.shape[0], None))
    if difference == "forward" and start is None:
        start = residual_at(theta)
    columns = []
    for j in range(directions.shape[1]):
        ahead = residual_at(_moved(theta, directions[:, j], dt, xp=xp))
        if difference == "forward":
            columns.append((ahead - start) / dt)
        else:
            columns.append((ahead - residual_at(theta - dt * directions[:, j])) / (2 * dt))
    quotients = xp.stack(columns, axis=1)
    if not bool(xp.all(xp.isfinite(quotients))):
        raise NotFiniteError("dt", dt, "the residuals there are not finite; choose a smaller step")
    return quotients


def second_derivatives(residual_at: Callable[[Array], Array], theta: Array, directions: Array, dt: float, /) -> Array:
    """`∇²R[v_a, v_b]` (n, m, m) for the columns of `directions` (p, m), by central second differences along v_a and v_a ± v_b.

    The error is O(Δt²), and rounding adds about |R|·1e-16/Δt². Raises as `slopes` does. Cost: 2 m² + 1 forward passes.

    >>> import numpy as np
    >>> second_derivatives(lambda t: t[:1] * t[1:], np.array([3.0, 5.0]), np.eye(2), 0.5)  # of θ₁θ₂
    array([[[0., 1.],
            [1., 0.]]])
    """
    check_step("dt", dt)
    xp = arrays.namespace(theta, directions)
    arrays.check_shape("directions", directions, (theta.shape[0], None))
    m, start = directions.shape[1], residual_at(theta)

    def twice(direction: Array) -> Array:
        """`∇²R[v, v]`, (n,)."""
        ahead, behind = (residual_at(_moved(theta, sign * direction, dt, xp=xp)) for sign in (1, -1))
        return ((ahead - start) - (start - behind)) / dt**2

    rows = [[start] * m for _ in range(m)]
    for a in range(m):
        v = directions[:, a]
        rows[a][a] = twice(v)
        for b in range(a):
            w = directions[:, b]
            rows[a][b] = rows[b][a] = (twice(v + w) - twice(v - w)) / 4
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def _moved(theta: Array, direction: Array, dt: float, *, xp: Namespace) -> Array:
    """θ + Δt v. Raises `InvalidInput` where that is not finite, or is θ although a step of √(machine epsilon) is not."""
    there = theta + dt * direction
    if not bool(xp.all(xp.isfinite(there))):
        raise NotFiniteError("dt", dt, "the parameters it leads to are not finite; choose a smaller step")
    if bool(xp.all(there == theta)) and bool(xp.any(theta + xp.finfo(theta.dtype).eps ** 0.5 * direction != theta)):
        raise InvalidInput("dt", dt, "it moves no parameter: choose a larger step, or None for no discretisation")
    return there


def check_step(argument: str, value: object) -> None:
    """Raises `InvalidInput` unless `value` is a positive number or None."""
    if value is None:
        return
    if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value) or float(value) <= 0:
        raise InvalidInput(argument, value, "choose a positive number, or None for no discretisation")


def check_difference(difference: object) -> None:
    """Raises `UnknownNameError` unless `difference` is one of `DIFFERENCES`."""
    if difference not in DIFFERENCES:
        raise UnknownNameError("difference", difference, DIFFERENCES)
