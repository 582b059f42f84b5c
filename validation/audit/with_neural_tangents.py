"""neural-tangents: `empirical_ntk_fn` of a residual, its axis of outputs traced (the default, a mean) or kept."""

import jax
import jax.numpy as jnp
import neural_tangents as nt
import numpy as np
from measure import eq_5, once

jax.config.update("jax_enable_x64", True)

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "swish": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "polynomial": lambda z: z + z**2 / 2 - z**3 / 4 + z**4 / 8 + z**5 / 16,
}


def derivative(q, params):
    """`D(x, *axes)`: the derivative of u at one point."""

    def u(x):
        a = (x - q.shift) / q.scale
        for i, ((W, b), factor) in enumerate(zip(params, q.factors)):
            a = factor * (a @ W) + b
            if i < len(params) - 1:
                a = ACTIVATIONS[q.activation](a)
        return a

    def along(f, x, *axes):
        if not axes:
            return f(x)
        return jax.jvp(lambda y: along(f, y, *axes[1:]), (x,), (jnp.eye(len(x))[axes[0]],))[1]

    return lambda x, *axes: along(u, x, *axes)


class Kept:
    """`trace_axes=()`: K point by point and output by output."""

    trace_axes = ()

    @once
    def kernel(self, q):
        """`empirical_ntk_fn` takes one f for both of its arguments: the residuals of all terms, (points, components)."""
        from residual_rows import rows

        q.need()
        equations = rows(q.problem, jnp)

        def f(params, points):
            D = derivative(q, params)
            return jnp.concatenate([jax.vmap(lambda x, r=r: r(D, x).reshape(-1))(points[name]) for name, r in equations.items()])

        params = [tuple(map(jnp.asarray, layer)) for layer in q.layers()]
        points = {name: jnp.asarray(x) for name, x in q.points.items()}
        return np.asarray(nt.empirical_ntk_fn(f, trace_axes=self.trace_axes, vmap_axes=None)(points, None, params))

    def ntk(self, q):
        K = np.moveaxis(self.kernel(q), 2, 1)  # (points, outputs, points, outputs)
        scale = q.row_scale()
        return scale[:, None] * K.reshape(len(scale), -1) * scale

    def traces(self, q):
        K = self.ntk(q)
        return [np.trace(K[rows, rows]) for rows in q.rows().values()]

    def spectrum(self, q):
        return np.linalg.eigvalsh(self.ntk(q))[::-1]

    def weights(self, q, rule):
        return eq_5(self.traces(q), rule)


class Default(Kept):
    """`trace_axes=(-1,)`, which is the mean over outputs: a row and a column for each point."""

    trace_axes = (-1,)

    def ntk(self, q):
        q.need(unscaled=True)
        return self.kernel(q)

    def traces(self, q):
        q.need(unscaled=True)
        stops = np.cumsum([len(x) for x in q.points.values()])
        return [np.sum(part) for part in np.split(np.diagonal(self.kernel(q)), stops[:-1])]
