"""The slow oracle: every residual once more, from the equations alone, on one point at a time, differentiated by JAX.

Nothing here reads refntk's jets, tables, terms or data. `u` is a function of one point x (d,) with values (outputs,); a row is a
function of u and x with values (components,); J is `jax.jacfwd` of the stacked rows. A problem is a dict of its terms in the order
of their rows, each a pair: the boxes that its points come from (per coordinate an interval or a number), and its row.
"""

import math
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

jax.config.update("jax_enable_x64", True)
pi, unit = math.pi, (0.0, 1.0)

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "swish": lambda z: z / (1 + jnp.exp(-z)),
    "softplus": lambda z: jnp.log1p(jnp.exp(z)),
    "polynomial": lambda z: z + z**2 / 2 - z**3 / 4 + z**4 / 8 + z**5 / 16,
}
# Where |z| is large, JAX's own derivatives lose their digits; these differ from the above by a factor 1 + O(exp(-|z|)).
TAILS = {
    "tanh": lambda z: jnp.sign(z) * (1 - 2 * jnp.exp(-2 * jnp.abs(z))),
    "swish": lambda z: jnp.where(z > 0, z - z * jnp.exp(-jnp.abs(z)), z * jnp.exp(-jnp.abs(z))),
    "softplus": lambda z: jnp.where(z > 0, z + jnp.exp(-jnp.abs(z)), jnp.exp(-jnp.abs(z))),
}


def network(mlp, theta, x, activations=ACTIVATIONS):
    """U at one point: layer by layer, W row-major as (in, out) and then b, the factor 1/√fan_in beyond the first under "ntk"."""
    a, start, depth = (x - jnp.array(mlp.shift)) / jnp.array(mlp.scale), 0, len(mlp.sizes) - 1
    for layer, (fan_in, fan_out) in enumerate(pairwise(mlp.sizes), start=1):
        W = theta[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
        b = theta[start + fan_in * fan_out : start + (fan_in + 1) * fan_out]
        s = 1 / math.sqrt(fan_in) if mlp.parametrization == "ntk" and layer > 1 else 1.0
        z = s * (mlp.output_scale if layer == depth else 1.0) * (a @ W) + b
        a, start = z if layer == depth else activations[mlp.activation.name](z), start + (fan_in + 1) * fan_out
    return a


def d(f, x, *axes):
    """∂f/∂x_axes at x, one forward derivative inside the other."""
    if not axes:
        return f(x)
    direction = jnp.eye(x.shape[0])[axes[0]]
    return jax.jvp(lambda y: d(f, y, *axes[1:]), (x,), (direction,))[1]


def zero(u, x):
    return u(x)


def poisson1d(p):
    k = p.frequency * pi
    return {
        "interior": ([(unit,)], lambda u, x: d(u, x, 0, 0) + k**2 * jnp.sin(k * x)),
        "boundary": ([(0.0,), (1.0,)], zero),
    }


def wave(p):
    def start(x):
        return jnp.sin(pi * x[:1]) + jnp.sin(4 * pi * x[:1]) / 2

    return {
        "interior": ([(unit, unit)], lambda u, x: d(u, x, 1, 1) - p.c**2 * d(u, x, 0, 0)),
        "initial": ([(unit, 0.0)], lambda u, x: u(x) - start(x)),
        "velocity": ([(unit, 0.0)], lambda u, x: d(u, x, 1)),
        "boundary": ([(0.0, unit), (1.0, unit)], zero),
    }


def qtensor(p):
    """With the matrices themselves: Q is 2×2, symmetric and trace-free, and the rows are its entries 11 and 12."""

    def matrix(u):
        return lambda x: jnp.array([[u(x)[0], u(x)[1]], [u(x)[1], -u(x)[0]]])

    def flow(u, x):
        Q, at = matrix(u), matrix(u)(x)
        R = d(Q, x, 2) - p.L * (d(Q, x, 0, 0) + d(Q, x, 1, 1)) + p.a * at + p.c * jnp.trace(at @ at) * at
        return R[0]

    def start(u, x):
        bump = (2 - x[0]) * (2 + x[0]) * (2 - x[1]) * (2 + x[1])
        v = jnp.array([bump, jnp.sin(pi * x[0]) * jnp.sin(pi * x[1])])
        v = v / jnp.sqrt(1 + v @ v)
        return u(x) - (jnp.outer(v, v) - (v @ v) / 2 * jnp.eye(2))[0]

    side, time = (-2.0, 2.0), (0.0, p.end)
    sides = [(-2.0, side, time), (2.0, side, time), (side, -2.0, time), (side, 2.0, time)]
    return {"interior": ([(side, side, time)], flow), "initial": ([(side, side, 0.0)], start), "boundary": (sides, zero)}


def heat(p):
    return {
        "interior": ([(unit, unit)], lambda u, x: d(u, x, 1) - p.diffusivity * d(u, x, 0, 0)),
        "initial": ([(unit, 0.0)], lambda u, x: u(x) - jnp.sin(pi * x[:1])),
        "boundary": ([(0.0, unit), (1.0, unit)], zero),
    }


def poisson2d(p):
    def source(x):
        return 2 * pi**2 * jnp.sin(pi * x[0]) * jnp.sin(pi * x[1])

    return {
        "interior": ([(unit, unit)], lambda u, x: -d(u, x, 0, 0) - d(u, x, 1, 1) - source(x)),
        "boundary": ([(0.0, unit), (1.0, unit), (unit, 0.0), (unit, 1.0)], zero),
    }


def nonlinear(p):
    def source(x):
        return pi**2 * jnp.cos(pi * x) + jnp.cos(pi * x) ** 3

    if p.form == "energy":
        return {"slope": ([((-1.0, 1.0),)], lambda u, x: d(u, x, 0)), "value": ([((-1.0, 1.0),)], lambda u, x: u(x))}
    return {
        "interior": ([((-1.0, 1.0),)], lambda u, x: -d(u, x, 0, 0) + u(x) ** 3 - source(x)),
        "boundary": ([(-1.0,), (1.0,)], lambda u, x: d(u, x, 0)),
    }


def transport(p):
    return {
        "interior": ([((0.0, 2 * pi), unit)], lambda u, x: d(u, x, 1) + p.c * d(u, x, 0)),
        "initial": ([((0.0, 2 * pi), 0.0)], lambda u, x: u(x) - jnp.sin(x[:1])),
        "boundary": ([(0.0, unit)], lambda u, x: u(x) - u(x + jnp.array([2 * pi, 0.0]))),
    }


def sine_gordon(p):
    def exact(x):
        if p.data == "kink":
            return 4 * jnp.arctan(jnp.exp((x[:1] - p.speed * x[1]) / math.sqrt(1 - p.speed**2)))
        rho = math.sqrt(1 - p.frequency**2)
        return 4 * jnp.arctan(rho * jnp.sin(p.frequency * x[1]) / (p.frequency * jnp.cosh(rho * x[:1])))

    side, time = (-5.0, 5.0), (0.0, 5.0)
    return {
        "interior": ([(side, time)], lambda u, x: d(u, x, 1, 1) - d(u, x, 0, 0) + jnp.sin(u(x))),
        "initial": ([(side, 0.0)], lambda u, x: u(x) - exact(x)),
        "velocity": ([(side, 0.0)], lambda u, x: d(u, x, 1) - d(exact, x, 1)),
        "boundary": ([(-5.0, time), (5.0, time)], lambda u, x: u(x) - exact(x)),
    }


def kdv(p):
    def phases(x):
        """Both vanish at the meeting, x = 0 and t = 3."""
        return [k * x[:1] - k**3 * (x[1] - 3.0) for k in (p.slow, p.fast)]

    def logarithm(x):
        """log τ of Hirota's τ = 1 + e^(η₁ + δ) + e^(η₂ + δ) + e^(η₁ + η₂), e^δ = (k₂ + k₁)/(k₂ - k₁)."""
        one, two = phases(x)
        shift = (p.fast + p.slow) / (p.fast - p.slow)
        return jnp.log(1 + shift * (jnp.exp(one) + jnp.exp(two)) + jnp.exp(one + two))

    def exact(x):
        return p.fast**2 / 2 / jnp.cosh(phases(x)[1] / 2) ** 2 if p.data == "one" else 2 * d(logarithm, x, 0, 0)

    side, time = (-10.0, 10.0), (0.0, 6.0)
    return {
        "interior": ([(side, time)], lambda u, x: d(u, x, 1) + 6 * u(x) * d(u, x, 0) + d(u, x, 0, 0, 0)),
        "initial": ([(side, 0.0)], lambda u, x: u(x) - exact(x)),
        "boundary": ([(-10.0, time), (10.0, time)], lambda u, x: u(x) - exact(x)),
        "slope": ([(10.0, time)], lambda u, x: d(u, x, 0) - d(exact, x, 0)),
    }


def eikonal(p):
    return {
        "interior": ([(unit, unit)], lambda u, x: d(u, x, 0) ** 2 + d(u, x, 1) ** 2 - 1),
        "boundary": (
            [(0.0, unit), (1.0, unit), (unit, 0.0), (unit, 1.0)],
            lambda u, x: u(x) - jnp.linalg.norm(x + p.away, keepdims=True),
        ),
    }


def quadratic(p):
    """No network: here u stands for θ itself, and a point is a pair (x, y) of which y is data, not a place."""
    return {"data": ([((-1.0, 1.0), 0.0)], lambda theta, x: (theta**2 @ jnp.array([1.0, x[0], x[0] ** 2]) - x[1])[None])}


PROBLEMS = (poisson1d, quadratic, wave, qtensor, heat, poisson2d, nonlinear, transport, sine_gordon, kdv, eikonal)
EQUATIONS = {f.__name__: f for f in PROBLEMS}


def residual(problem, mlp, theta, points, activations=ACTIVATIONS):
    """R(θ), unscaled rows (n,): term after term, point after point, component after component."""
    u = theta if mlp is None else lambda x: network(mlp, theta, x, activations)
    rows = EQUATIONS[problem.name](problem)
    return jnp.concatenate([jax.vmap(lambda x, row=row: row(u, x))(points[term]).reshape(-1) for term, (_, row) in rows.items()])


def linearization(problem, mlp, theta, points, activations=ACTIVATIONS):
    """R (n,) and J (n, p) at θ, float64 NumPy, compiled as one."""

    def twice(theta):
        r = residual(problem, mlp, theta, points, activations)
        return r, r

    J, r = jax.jit(jax.jacfwd(twice, has_aux=True))(jnp.asarray(theta))
    return np.asarray(r), np.asarray(J)


def blocks(problem, points):
    """The rows of every term."""
    found, start = {}, 0
    for term in EQUATIONS[problem.name](problem):
        stop = start + len(points[term]) * problem.outputs
        found[term], start = slice(start, stop), stop
    return found


def row_scales(problem, points, scaling):
    """The factor on every row (n,): 1, 1/√(rows of the term), or √(measure / points of the term)."""
    factors = []
    for term, (boxes, _) in EQUATIONS[problem.name](problem).items():
        measure = sum(math.prod(side[1] - side[0] for side in box if isinstance(side, tuple)) for box in boxes)
        n, rows = len(points[term]), len(points[term]) * problem.outputs
        factors.append(np.full(rows, {"sum": 1.0, "mean": rows**-0.5, "quadrature": (measure / n) ** 0.5}[scaling]))
    return np.concatenate(factors)
