"""What a competent user of JAX writes for the same work: float64, everything jitted and compiled before the clock starts.

Parameters are a pytree of layers (not one long vector, whose slices would have to be put together again in every gradient), points
are arguments (not constants), derivatives in x are forward derivatives of the network at one point, and `vmap` makes matrix
products of them. Two ways to take them: "nested", one `jvp` inside the other, and "jet", `jax.experimental.jet`, Taylor mode, for
second derivatives along one axis. K is `J Jᵀ` with J from `vmap(grad)`, multiplied array by array of the parameters, so that J is
not put together once more.
"""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
from equations import EQUATIONS
from jax.experimental.jet import jet

jax.config.update("jax_enable_x64", True)

DERIVATIVES = ("nested", "jet")
DT = 1e-4


def workloads(case, derivatives="nested", device="cpu"):
    """`{workload: prepare}` for a refntk case; `prepare()` compiles and returns the call, whose answer has refntk's order."""
    place = partial(jax.device_put, device=jax.devices(device)[0])
    params = place([(jnp.asarray(W), jnp.asarray(b)) for W, b in case.network.unflatten(np.asarray(case.theta))])
    points = place({name: jnp.asarray(x) for name, x in case.points.items()})
    probe = place(jnp.asarray(np.asarray(case.probe)))
    rows = EQUATIONS[case.problem.name](case.problem, jnp)
    single = case.problem.outputs == 1

    def row(term, params, x):
        """The rows of one point, (outputs,)."""
        return rows[term](along(partial(network(case.network), params), x, derivatives), x)

    def residual(params, points):
        return jnp.concatenate([jax.vmap(partial(row, t, params))(points[t]).reshape(-1) for t in rows])

    def half_square(params, points):
        r = residual(params, points)
        return r @ r / 2, r

    def unweighted_step(params, points):
        (_, r), gradient = jax.value_and_grad(half_square, has_aux=True)(params, points)
        return {"residual": r, "gradient": gradient}

    def jacobian(term, params, points):
        """J of one term, a pytree of leaves (rows, ...)."""
        if single:
            return jax.vmap(jax.grad(lambda p, x: row(term, p, x)[0]), (None, 0))(params, points[term])
        J = jax.vmap(jax.jacrev(partial(row, term)), (None, 0))(params, points[term])  # leaves (points, outputs, ...)
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), J)

    def traces(params, points):
        return {"traces": [sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(jacobian(t, params, points))) for t in rows]}

    def ntk(params, points):
        def gram(*leaves):
            J = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in leaves])
            return J @ J.T

        blocks = jax.tree.map(gram, *(jacobian(t, params, points) for t in rows))
        return {"ntk": sum(jax.tree.leaves(blocks))}

    def product(params, points, v):
        _, pull = jax.vjp(lambda p: residual(p, points), params)
        return {"product": jax.jvp(lambda p: residual(p, points), (params,), pull(v))[1]}

    def start(params, points):
        return jax.vjp(lambda p: residual(p, points), params)

    def sample(r, pull, params, points, g):
        ahead = jax.tree.map(lambda a, d: a + DT * d, params, pull(g)[0])
        return {"product": (residual(ahead, points) - r) / DT}

    return {
        "unweighted_step": lambda: compiled(unweighted_step, params, points),
        "sample": lambda: compiled(sample, *compiled(start, params, points)(), params, points, probe),
        "traces": lambda: compiled(traces, params, points),
        "ntk": lambda: compiled(ntk, params, points),
        "product": lambda: compiled(product, params, points, probe),
    }


def compiled(function, *arguments):
    """A call of `function(*arguments)`, compiled here and now, that returns when the answer is there."""
    ready = jax.jit(function).lower(*arguments).compile()
    return lambda: jax.block_until_ready(ready(*arguments))


def network(mlp):
    """`u(params, x)` (outputs,) at one point x (inputs,)."""
    if mlp.activation.name != "tanh":
        raise ValueError(f"rivals are written for tanh, not {mlp.activation.name}")
    shift, scale = jnp.array(mlp.shift), jnp.array(mlp.scale)

    def u(params, x):
        a = (x - shift) / scale
        for (W, b), s in zip(params[:-1], mlp.scales[:-1], strict=True):
            a = jnp.tanh(s * (a @ W) + b)
        W, b = params[-1]
        return mlp.scales[-1] * (a @ W) + b

    return u


def along(u, x, derivatives):
    """`D(*axes)` of u at the point x, up to second order."""
    unit = jnp.eye(x.shape[0])

    def first(f, i):
        return lambda y: jax.jvp(f, (y,), (unit[i],))[1]

    @cache
    def D(*axes):
        if not axes:
            return u(x)
        if derivatives == "jet" and len(axes) == 2 and axes[0] == axes[1]:
            _, (_, second) = jet(u, (x,), ((unit[axes[0]], jnp.zeros_like(x)),))
            return second
        f = u
        for i in axes:
            f = first(f, i)
        return f(x)

    return D
