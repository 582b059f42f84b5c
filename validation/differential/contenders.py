"""Who computes: refntk's two engines, JAX and PyTorch. Each takes a case to the same quantities, as NumPy arrays.

JAX runs eagerly: compiling a case would take a hundred times as long as its numbers. What it compiles are single operations, by
shape; so layers are padded with zeros to one width, and points with copies of the last.
"""

import sys
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import torch

import refntk as rn
from refntk.errors import TraceError

sys.path.append(str(Path(__file__).parent.parent / "adapters"))

import with_jax
import with_torch
from residual_rows import rows as equations

torch.set_num_threads(1)
QUANTITIES = ("residual", "jacobian", "ntk", "traces", "gradient", "weights")
WIDTH, POINTS = 64, 3  # what JAX sees


def weights(traces):
    """Eq. (5), NaN where it is refused."""
    try:
        return np.array(list(rn.weights.trace_ratio(dict(enumerate(traces.tolist()))).values()))
    except TraceError:
        return np.full(len(traces), np.nan)


def engine(name):
    """One of refntk's engines."""

    def quantities(case):
        lin = rn.linearize(case.problem, case.network, case.theta, case.points, engine=name)
        traces = np.array(list(rn.ntk_traces(lin).values()))
        return {
            "residual": lin.residual,
            "jacobian": lin.jacobian.dense(),
            "ntk": rn.ntk(lin),
            "traces": traces,
            "gradient": lin.gradient(dict.fromkeys(lin.blocks, 1.0)),
            "weights": weights(traces),
        }

    return quantities


def following(case, R, J, gradient):
    """What follows from R and J."""
    stops = np.cumsum([len(case.points[term.name]) * term.components for term in case.problem.terms])
    traces = np.array([np.sum(rows**2) for rows in np.split(J, stops[:-1])])
    return {"residual": R, "jacobian": J, "ntk": J @ J.T, "traces": traces, "gradient": gradient, "weights": weights(traces)}


def quadratic(points, theta, xp):
    """The residual of the one problem that has no network."""
    x, y = points["data"].T
    return theta[0] ** 2 + theta[1] ** 2 * x + theta[2] ** 2 * x**2 - y


def derivative(f, x, *along):
    """∂f/∂x along these axes, one `jvp` inside the other."""
    if not along:
        return f(x)
    direction = jnp.asarray(np.eye(len(x))[along[0]])
    return jax.jvp(lambda y: derivative(f, y, *along[1:]), (x,), (direction,))[1]


def by_jax(case, activations=with_jax.ACTIVATIONS):
    """Rows by nested `jvp`, J by `jacrev` point by point, the gradient by `grad`."""
    if case.network is None:

        def residual(theta):
            return quadratic(case.points, theta, jnp)

        R, J = residual(case.theta), jax.jacrev(residual)(case.theta)
        return following(
            case, np.asarray(R), np.asarray(J), np.asarray(jax.grad(lambda t: (residual(t) ** 2).sum() / 2)(case.theta))
        )
    network, layers = padded(case)
    rows = equations(case.problem, jnp)
    points = {name: np.concatenate([x, np.repeat(x[-1:], POINTS - len(x), axis=0)]) for name, x in case.points.items()}

    def u(layers, x):
        a = (x - np.array(network.shift)) / np.array(network.scale)
        for i, (W, b) in enumerate(layers):
            a = network.scales[i] * (a @ W) + b
            a = activations[network.activation](a) if i < len(layers) - 1 else a
        return a

    def row(name, layers, x):
        r = rows[name](lambda y, *along: derivative(lambda z: u(layers, z), y, *along), x).reshape(-1)
        return r, r

    def loss(layers):
        found = [jax.vmap(lambda x, name=name: row(name, layers, x)[0])(points[name])[: len(x)] for name, x in case.points.items()]
        return sum((r**2).sum() for r in found) / 2

    R, J = [], []
    for name, x in case.points.items():
        grads, r = jax.vmap(jax.jacrev(lambda layers, y, name=name: row(name, layers, y), has_aux=True), (None, 0))(
            layers, points[name]
        )
        R.append(np.asarray(r)[: len(x)].reshape(-1))
        J.append(cropped(case.network, grads, len(x)))
    gradient = cropped(case.network, [(W[None, None], b[None, None]) for W, b in jax.grad(loss)(layers)], 1)[0]
    return following(case, np.concatenate(R), np.concatenate(J), gradient)


def padded(case):
    """The network as JAX sees it, and its layers: every hidden width the same."""
    network = case.network
    sizes = [network.sizes[0], *[WIDTH] * (len(network.sizes) - 2), network.sizes[-1]]
    layers = []
    for (W, b), (fan_in, fan_out) in zip(network.unflatten(case.theta), pairwise(sizes), strict=True):
        wide = np.zeros((fan_in, fan_out)), np.zeros(fan_out)
        wide[0][: W.shape[0], : W.shape[1]], wide[1][: len(b)] = W, b
        layers.append(tuple(map(jnp.asarray, wide)))
    seen = {"scales": network.scales, "shift": network.shift, "scale": network.scale, "activation": network.activation.name}
    return SimpleNamespace(**seen), layers


def cropped(network, grads, count):
    """Rows of J (rows, p) from derivatives by padded layers (points, components, ...)."""
    parts = []
    for (W, b), (fan_in, fan_out) in zip(grads, pairwise(network.sizes), strict=True):
        W, b = np.asarray(W)[:count, :, :fan_in, :fan_out], np.asarray(b)[:count, :, :fan_out]
        parts += [W.reshape(-1, fan_in * fan_out), b.reshape(-1, fan_out)]
    return np.concatenate(parts, axis=1)


def by_torch(case, candidate=with_torch.Torch):
    """The adapter of `refntk check`, and the gradient by `grad`."""
    theta = with_torch.double(case.theta)
    if case.network is None:
        points = {name: with_torch.double(x) for name, x in case.points.items()}
        R, J = quadratic(points, theta, torch), torch.func.jacrev(lambda t: quadratic(points, t, torch))(theta)
        gradient = torch.func.grad(lambda t: (quadratic(points, t, torch) ** 2).sum() / 2)(theta)
        return following(case, R.numpy(), J.numpy(), gradient.numpy())
    found = candidate()
    rows = found.equations(case.problem)

    def loss(t):
        D = found.D(case.network, t)
        parts = [torch.func.vmap(lambda y, row=row: row(D, y))(with_torch.double(case.points[name])) for name, row in rows.items()]
        return sum((r**2).sum() for r in parts) / 2

    return following(case, found.residual(case), found.jacobian(case), torch.func.grad(loss)(theta).numpy())


CONTENDERS = {"reference": engine("reference"), "numba": engine("numba"), "jax": by_jax, "torch": by_torch}
