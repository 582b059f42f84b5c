"""A second witness to the certified numbers, sharing no line with the package: networks, equations and derivatives written again.

Two arithmetics. Polynomials over the rationals: u of a network with a polynomial activation is a polynomial in x, exactly, and a
parameter θ_j + ε with ε² = 0 gives ∂/∂θ_j. And numbers of 200 digits: every derivative, in x and in θ, is a central difference.
"""

import itertools
import math
from fractions import Fraction

import mpmath

DIGITS = 200
H = mpmath.mpf(10) ** -40  # of differences in x: errors of H² = 1e-80, and of 1e-200/H³ = 1e-80 in a third derivative
E = mpmath.mpf(10) ** -20  # of differences in θ: errors of 1e-40, and of 1e-80/E = 1e-60


# Rational polynomials: {exponents of x and of ε: coefficient}, powers of ε above the first dropped


def times(p, q):
    out = {}
    for (a, s), (b, t) in itertools.product(p.items(), q.items()):
        e = tuple(i + j for i, j in zip(a, b, strict=True))
        if e[-1] < 2:
            out[e] = out.get(e, 0) + s * t
    return out


def plus(p, q):
    return {e: p.get(e, 0) + q.get(e, 0) for e in {*p, *q}}


def compose(coefficients, p, one):
    out = {}
    for c in reversed(coefficients):  # Horner
        out = plus(times(out, p), {one: c})
    return out


def polynomial_outputs(sizes, theta, factors, shift, scale, coefficients, moved=None):
    """Outputs of the network as polynomials in x and ε; parameter number `moved` is θ + ε."""
    d = sizes[0]
    one, eps = (0,) * (d + 1), (0,) * d + (1,)
    rows = iter({one: Fraction(t)} | ({eps: Fraction(1)} if j == moved else {}) for j, t in enumerate(theta))
    a = []
    for i in range(d):
        x = tuple(int(k == i) for k in range(d + 1))
        a.append({x: 1 / Fraction(scale[i]), one: -Fraction(shift[i]) / Fraction(scale[i])})
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(sizes)):
        W = [[next(rows) for _ in range(fan_out)] for _ in range(fan_in)]
        b = [next(rows) for _ in range(fan_out)]
        z = []
        for k in range(fan_out):
            total = b[k]
            for i in range(fan_in):
                total = plus(total, times({one: Fraction(factors[layer])}, times(a[i], W[i][k])))
            z.append(total)
        a = z if layer == len(sizes) - 2 else [compose(coefficients, p, one) for p in z]
    return a


def derivative_at(p, exponents, point, order=0):
    """∂^exponents of the coefficient of ε^order, at a rational point."""
    total = Fraction(0)
    for e, c in p.items():
        if e[-1] == order and all(i >= k for i, k in zip(e, exponents, strict=False)):
            total += c * math.prod(math.perm(i, k) * x ** (i - k) for i, k, x in zip(e, exponents, point, strict=False))
    return total


def polynomial_jacobian(case, coefficients):
    """J of a case whose terms are each one operator on every output: rational numbers, row by row."""
    n, columns = case.network, []
    for j in range(n.size):
        u = polynomial_outputs(n.sizes, case.theta.tolist(), n.scales, n.shift, n.scale, coefficients, j)
        columns.append([])
        for term in case.problem.terms:
            (operator,) = term.operators
            for point in case.points[term.name].tolist():
                x = [Fraction(value) for value in point]
                columns[j] += [sum(Fraction(c) * derivative_at(p, e, x, 1) for e, c in operator.terms) for p in u]
    return list(zip(*columns, strict=True))


# Numbers of 200 digits


def outputs(case, theta, point):
    """U at a point, by mpmath."""
    n, sigma = case.network, ACTIVATIONS[case.network.activation.name]
    a = [(x - mpmath.mpf(m)) / mpmath.mpf(s) for x, m, s in zip(point, n.shift, n.scale, strict=True)]
    position = 0
    for layer, (fan_in, fan_out) in enumerate(itertools.pairwise(n.sizes)):
        W, b = theta[position : position + fan_in * fan_out], theta[position + fan_in * fan_out :][:fan_out]
        position += (fan_in + 1) * fan_out
        z = [mpmath.mpf(n.scales[layer]) * sum(a[i] * W[i * fan_out + k] for i in range(fan_in)) + b[k] for k in range(fan_out)]
        a = z if layer == len(n.sizes) - 2 else [sigma(value) for value in z]
    return a


ACTIVATIONS = {
    "tanh": mpmath.tanh,
    "sin": mpmath.sin,
    "swish": lambda x: x / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log(1 + mpmath.exp(x)),
    "polynomial": lambda x: x * (1 + x * (mpmath.mpf(1) / 2 + x * (-mpmath.mpf(1) / 4 + x * (mpmath.mpf(1) / 8 + x / 16)))),
}


def D(u, point, exponents):
    """∂^exponents u at a point by central differences."""
    stencil = [[((-1) ** j * math.comb(k, j), (k - 2 * j) * H / 2) for j in range(k + 1)] for k in exponents]
    total = 0
    for parts in itertools.product(*stencil):
        total += math.prod(c for c, _ in parts) * u([x + h for x, (_, h) in zip(point, parts, strict=True)])
    return total / H ** sum(exponents)


def wave(p, u, x):
    pi, c = mpmath.pi, mpmath.mpf(p["c"])
    return {
        "interior": lambda: [D(u[0], x, (0, 2)) - c**2 * D(u[0], x, (2, 0))],
        "initial": lambda: [u[0](x) - mpmath.sin(pi * x[0]) - mpmath.sin(4 * pi * x[0]) / 2],
        "velocity": lambda: [D(u[0], x, (0, 1))],
        "boundary": lambda: [u[0](x)],
    }


def poisson1d(p, u, x):
    k = mpmath.pi * mpmath.mpf(p["frequency"])
    return {"interior": lambda: [D(u[0], x, (2,)) + k**2 * mpmath.sin(k * x[0])], "boundary": lambda: [u[0](x)]}


def poisson2d(p, u, x):
    s = 2 * mpmath.pi**2 * mpmath.sin(mpmath.pi * x[0]) * mpmath.sin(mpmath.pi * x[-1])
    return {"interior": lambda: [-D(u[0], x, (2, 0)) - D(u[0], x, (0, 2)) - s], "boundary": lambda: [u[0](x)]}


def heat(p, u, x):
    return {
        "interior": lambda: [D(u[0], x, (0, 1)) - mpmath.mpf(p["diffusivity"]) * D(u[0], x, (2, 0))],
        "initial": lambda: [u[0](x) - mpmath.sin(mpmath.pi * x[0])],
        "boundary": lambda: [u[0](x)],
    }


def transport(p, u, x):
    return {
        "interior": lambda: [D(u[0], x, (0, 1)) + mpmath.mpf(p["c"]) * D(u[0], x, (1, 0))],
        "initial": lambda: [u[0](x) - mpmath.sin(x[0])],
        "boundary": lambda: [u[0](x) - u[0]([x[0] + 2 * mpmath.pi, x[1]])],
    }


def nonlinear(p, u, x):
    c = mpmath.cos(mpmath.pi * x[0])
    f = mpmath.pi**2 * c + c**3
    return {"interior": lambda: [-D(u[0], x, (2,)) + u[0](x) ** 3 - f], "boundary": lambda: [D(u[0], x, (1,))]}


def eikonal(p, u, x):
    a = mpmath.mpf(p["away"])
    return {
        "interior": lambda: [D(u[0], x, (1, 0)) ** 2 + D(u[0], x, (0, 1)) ** 2 - 1],
        "boundary": lambda: [u[0](x) - mpmath.sqrt((x[0] + a) ** 2 + (x[1] + a) ** 2)],
    }


def sine_gordon(p, u, x):
    v, w = mpmath.mpf(p["speed"]), mpmath.mpf(p["frequency"])
    gamma, rho = 1 / mpmath.sqrt(1 - v**2), mpmath.sqrt(1 - w**2)
    kink = lambda y: 4 * mpmath.atan(mpmath.exp(gamma * (y[0] - v * y[1])))  # noqa: E731
    breather = lambda y: 4 * mpmath.atan(rho / w * mpmath.sin(w * y[1]) / mpmath.cosh(rho * y[0]))  # noqa: E731
    exact = kink if p["data"] == "kink" else breather
    return {
        "interior": lambda: [D(u[0], x, (0, 2)) - D(u[0], x, (2, 0)) + mpmath.sin(u[0](x))],
        "initial": lambda: [u[0](x) - exact(x)],
        "velocity": lambda: [D(u[0], x, (0, 1)) - D(exact, x, (0, 1))],
        "boundary": lambda: [u[0](x) - exact(x)],
    }


def kdv(p, u, x):
    k2, k1 = mpmath.mpf(p["fast"]), mpmath.mpf(p["slow"]) if p["data"] == "two" else mpmath.mpf(0)

    def tau(y):
        eta = [k * y[0] - k**3 * (y[1] - 3) for k in (k1, k2)]
        return (k2 - k1) / 2 * mpmath.cosh((eta[1] + eta[0]) / 2) + (k2 + k1) / 2 * mpmath.cosh((eta[1] - eta[0]) / 2)

    exact = lambda y: 2 * D(lambda z: mpmath.log(tau(z)), y, (2, 0))  # noqa: E731
    slope = lambda y: 2 * D(lambda z: mpmath.log(tau(z)), y, (3, 0))  # noqa: E731
    return {
        "interior": lambda: [D(u[0], x, (0, 1)) + 6 * u[0](x) * D(u[0], x, (1, 0)) + D(u[0], x, (3, 0))],
        "initial": lambda: [u[0](x) - exact(x)],
        "boundary": lambda: [u[0](x) - exact(x)],
        "slope": lambda: [D(u[0], x, (1, 0)) - slope(x)],
    }


def qtensor(p, u, x):
    L, a, c = (mpmath.mpf(p[name]) for name in "Lac")

    def interior():
        square = u[0](x) ** 2 + u[1](x) ** 2
        return [D(q, x, (0, 0, 1)) - L * (D(q, x, (2, 0, 0)) + D(q, x, (0, 2, 0))) + (a + 2 * c * square) * q(x) for q in u]

    def initial():
        d1 = (2 - x[0]) * (2 + x[0]) * (2 - x[1]) * (2 + x[1])
        d2 = mpmath.sin(mpmath.pi * x[0]) * mpmath.sin(mpmath.pi * x[1])
        length = 1 + d1**2 + d2**2
        return [u[0](x) - (d1**2 - d2**2) / 2 / length, u[1](x) - d1 * d2 / length]

    return {"interior": interior, "initial": initial, "boundary": lambda: [q(x) for q in u]}


FOUND = (wave, poisson1d, poisson2d, heat, transport, nonlinear, eikonal, sine_gordon, kdv, qtensor)
EQUATIONS = {f.__name__: f for f in FOUND}


def residual(case, theta):
    """R(θ) as mpmath numbers."""
    rows = []
    for term, points in case.points.items():
        for point in points.tolist():
            x = [mpmath.mpf(value) for value in point]
            u = [lambda y, k=k: outputs(case, theta, y)[k] for k in range(case.problem.outputs)]
            rows += EQUATIONS[case.problem.name](case.problem.parameters(), u, x)[term]()
    return rows


def kernel(case):
    """R, J and K in 200 digits: lists, a list of columns, a list of rows."""
    theta = [mpmath.mpf(value) for value in case.theta.tolist()]
    R, columns = residual(case, theta), []
    for j in range(len(theta)):
        ahead, behind = ([t + s * E * (i == j) for i, t in enumerate(theta)] for s in (1, -1))
        columns.append([(a - b) / (2 * E) for a, b in zip(residual(case, ahead), residual(case, behind), strict=True)])
    J = list(zip(*columns, strict=True))
    return R, J, [[mpmath.fdot(zip(a, b, strict=True)) for b in J] for a in J]


def direction(R, J):
    """J⁺R in these digits: by the smaller of JJᵀ and JᵀJ, which is regular."""
    J, r = mpmath.matrix(J), mpmath.matrix(R)
    if J.rows <= J.cols:
        return list(J.T * mpmath.lu_solve(J * J.T, r))
    return list(mpmath.lu_solve(J.T * J, J.T * r))
