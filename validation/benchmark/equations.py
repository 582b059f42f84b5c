"""The rows of the benchmark's problems as a user of an autodiff library writes them, once for all rivals.

`D(*axes)` is the derivative of u along these axes: `D()` is u itself, `D(1, 1)` its second derivative along the second coordinate.
The last axis of it, and of a row, is the output's; x has its coordinates there. So the same lines serve one point and many, and
`xp` is jax.numpy or torch. Terms stand in the order of refntk's rows.
"""

from math import pi


def wave(p, xp):
    """`u_tt = c² u_xx`, two initial conditions, zero at the ends."""
    return {
        "interior": lambda D, x: D(1, 1) - p.c**2 * D(0, 0),
        "initial": lambda D, x: D() - xp.sin(pi * x[..., :1]) - xp.sin(4 * pi * x[..., :1]) / 2,
        "velocity": lambda D, x: D(1),
        "boundary": lambda D, x: D(),
    }


def qtensor(p, xp):
    """`q_t = L Δq - (a + 2c |q|²) q` for two outputs, an initial condition, zero on the sides."""

    def flow(D, x):
        q = D()
        return D(2) - p.L * (D(0, 0) + D(1, 1)) + (p.a + 2 * p.c * (q * q).sum(-1)[..., None]) * q

    def start(D, x):
        d1 = (4 - x[..., 0] ** 2) * (4 - x[..., 1] ** 2)
        d2 = xp.sin(pi * x[..., 0]) * xp.sin(pi * x[..., 1])
        norm = 1 + d1**2 + d2**2
        return D() - xp.stack([(d1**2 - d2**2) / 2 / norm, d1 * d2 / norm], -1)

    return {"interior": flow, "initial": start, "boundary": lambda D, x: D()}


def heat(p, xp):
    """`u_t = k u_xx`, an initial condition, zero at the ends."""
    return {
        "interior": lambda D, x: D(1) - p.diffusivity * D(0, 0),
        "initial": lambda D, x: D() - xp.sin(pi * x[..., :1]),
        "boundary": lambda D, x: D(),
    }


def poisson2d(p, xp):
    """`-Δu = f`, zero on the boundary."""

    def interior(D, x):
        return -D(0, 0) - D(1, 1) - 2 * pi**2 * xp.sin(pi * x[..., :1]) * xp.sin(pi * x[..., 1:])

    return {"interior": interior, "boundary": lambda D, x: D()}


EQUATIONS = {f.__name__: f for f in (wave, qtensor, heat, poisson2d)}
