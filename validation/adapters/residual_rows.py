"""The rows of every problem of the vectors as a user of an autodiff library writes them, once for PyTorch and for JAX.

`D(x, *axes)` is the derivative of u at the one point x along these axes, an array of outputs; `x` an array of coordinates, `p` the
problem's parameters, `xp` jax.numpy or torch. A row returns its components; terms stand in the order of the rows of the residual.
"""

from math import pi


def poisson1d(p, xp):
    k = p["frequency"] * pi
    return {"interior": lambda D, x: D(x, 0, 0) + k**2 * xp.sin(k * x), "boundary": lambda D, x: D(x)}


def wave(p, xp):
    return {
        "interior": lambda D, x: D(x, 1, 1) - p["c"] ** 2 * D(x, 0, 0),
        "initial": lambda D, x: D(x) - xp.sin(pi * x[:1]) - xp.sin(4 * pi * x[:1]) / 2,
        "velocity": lambda D, x: D(x, 1),
        "boundary": lambda D, x: D(x),
    }


def qtensor(p, xp):
    def flow(D, x):
        q = D(x)
        return D(x, 2) - p["L"] * (D(x, 0, 0) + D(x, 1, 1)) + (p["a"] + 2 * p["c"] * (q * q).sum()) * q

    def start(D, x):
        d1 = (4 - x[0] ** 2) * (4 - x[1] ** 2)
        d2 = xp.sin(pi * x[0]) * xp.sin(pi * x[1])
        return D(x) - xp.stack([(d1**2 - d2**2) / 2, d1 * d2]) / (1 + d1**2 + d2**2)

    return {"interior": flow, "initial": start, "boundary": lambda D, x: D(x)}


def heat(p, xp):
    return {
        "interior": lambda D, x: D(x, 1) - p["diffusivity"] * D(x, 0, 0),
        "initial": lambda D, x: D(x) - xp.sin(pi * x[:1]),
        "boundary": lambda D, x: D(x),
    }


def poisson2d(p, xp):
    def interior(D, x):
        return -D(x, 0, 0) - D(x, 1, 1) - 2 * pi**2 * xp.sin(pi * x[:1]) * xp.sin(pi * x[1:])

    return {"interior": interior, "boundary": lambda D, x: D(x)}


def nonlinear(p, xp):
    if p["form"] == "energy":
        return {"slope": lambda D, x: D(x, 0), "value": lambda D, x: D(x)}
    return {
        "interior": lambda D, x: -D(x, 0, 0) + D(x) ** 3 - pi**2 * xp.cos(pi * x) - xp.cos(pi * x) ** 3,
        "boundary": lambda D, x: D(x, 0),
    }


def transport(p, xp):
    def across(x):
        return x + xp.stack([0 * x[0] + 2 * pi, 0 * x[1]])

    return {
        "interior": lambda D, x: D(x, 1) + p["c"] * D(x, 0),
        "initial": lambda D, x: D(x) - xp.sin(x[:1]),
        "boundary": lambda D, x: D(x) - D(across(x)),
    }


def eikonal(p, xp):
    def distance(x):
        return ((x + p["away"]) ** 2).sum() ** 0.5

    return {
        "interior": lambda D, x: D(x, 0) ** 2 + D(x, 1) ** 2 - 1,
        "boundary": lambda D, x: D(x) - distance(x),
    }


def sine_gordon(p, xp):
    def exact(x):
        """The solution and its derivative by t."""
        if p["data"] == "kink":
            gamma = (1 - p["speed"] ** 2) ** -0.5
            e = xp.exp(gamma * (x[:1] - p["speed"] * x[1]))
            return 4 * xp.arctan(e), -4 * gamma * p["speed"] * e / (1 + e * e)
        w = p["frequency"]
        rho = (1 - w**2) ** 0.5
        v = rho * xp.sin(w * x[1]) / (w * xp.cosh(rho * x[:1]))
        return 4 * xp.arctan(v), 4 / (1 + v * v) * rho * xp.cos(w * x[1]) / xp.cosh(rho * x[:1])

    return {
        "interior": lambda D, x: D(x, 1, 1) - D(x, 0, 0) + xp.sin(D(x)),
        "initial": lambda D, x: D(x) - exact(x)[0],
        "velocity": lambda D, x: D(x, 1) - exact(x)[1],
        "boundary": lambda D, x: D(x) - exact(x)[0],
    }


def kdv(p, xp):
    slow, fast = p["slow"], p["fast"]

    def moments(x):
        """2 ∂x² log τ and its derivative by x: with weights w of exponents k, twice their variance and third central moment.

        τ = 1 + a (e^η₁ + e^η₂) + e^(η₁+η₂), a = (k₂+k₁)/(k₂-k₁), η = k x - k³ (t - 3); one soliton is τ = 1 + e^η₂.
        """
        one, two = (k * x[0] - k**3 * (x[1] - 3) for k in (slow, fast))
        a = (fast + slow) / (fast - slow)
        if p["data"] == "one":
            exponents, weights = [0.0, fast], [0 * two + 1, xp.exp(two)]
        else:
            exponents, weights = [0.0, slow, fast, slow + fast], [0 * one + 1, a * xp.exp(one), a * xp.exp(two), xp.exp(one + two)]
        total = sum(weights)
        mean = sum(k * w for k, w in zip(exponents, weights)) / total
        return [2 * sum((k - mean) ** power * w for k, w in zip(exponents, weights)) / total for power in (2, 3)]

    return {
        "interior": lambda D, x: D(x, 1) + 6 * D(x) * D(x, 0) + D(x, 0, 0, 0),
        "initial": lambda D, x: D(x) - moments(x)[0],
        "boundary": lambda D, x: D(x) - moments(x)[0],
        "slope": lambda D, x: D(x, 0) - moments(x)[1],
    }


def operators(terms):
    """`operator[u]` on every output, from the exponents and coefficients of the question."""

    def row(operator):
        monomials = [([axis for axis, n in enumerate(exponents) for _ in range(n)], float(c)) for exponents, c in operator]
        return lambda D, x: sum(c * D(x, *axes) for axes, c in monomials)

    return {term.name: row(term.operators[0].terms) for term in terms}


EQUATIONS = {f.__name__: f for f in (poisson1d, wave, qtensor, heat, poisson2d, nonlinear, transport, eikonal, sine_gordon, kdv)}


def rows(problem, xp):
    """`{term: row(D, x)}` of a problem."""
    return operators(problem.terms) if problem.name == "operators" else EQUATIONS[problem.name](problem.parameters(), xp)
