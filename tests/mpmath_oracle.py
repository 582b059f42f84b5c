"""Slow oracles that more than one test asks: activations and networks in mpmath, operators applied by numerical differentiation."""

import mpmath
import numpy as np

SIGMA = {  # every registered activation, written down once more and differently
    "tanh": mpmath.tanh,
    "sin": mpmath.sin,
    "swish": lambda x: x / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "polynomial": lambda x: x + x**2 / 2 - x**3 / 4 + x**4 / 8 + x**5 / 16,
}


def outputs(network, theta):
    """The outputs of a network as functions of mpmath coordinates."""

    def output(k):
        def u(*point):
            a = [(x - m) / s for x, m, s in zip(point, network.shift, network.scale, strict=True)]
            for i, layer in enumerate(layers):
                z = [
                    layer.scale * mpmath.fdot(zip(a, W, strict=True)) + b
                    for W, b in zip(layer.W.T.tolist(), layer.b.tolist(), strict=True)
                ]
                a = z if i == len(layers) - 1 else [SIGMA[network.activation.name](v) for v in z]
            return a[k]

        return u

    layers = network.layers(theta)
    return [output(k) for k in range(network.outputs)]


def applied(operator, u, point):
    """operator[u](point) in 30 digits, rounded."""
    point = tuple(map(float, point))
    with mpmath.workdps(30):
        return float(sum(c * mpmath.diff(u, point, alpha) for alpha, c in operator.terms))


def fields(term, network, theta, points):
    """What `term.residual` asks for: each operator of the term applied to u, (sites, n, outputs)."""
    us, sites = outputs(network, theta), term.sites(points, xp=np)
    return [np.array([[[applied(o, u, x) for u in us] for x in site] for site in sites]) for o in term.operators]
