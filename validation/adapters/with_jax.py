"""The candidate by JAX: u at one point, derivatives by nested `jvp`, rows and their Jacobian by `jacfwd`, compiled.

`refntk check with_jax:Jax` in this folder.
"""

from functools import lru_cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from candidate import Candidate, axes
from residual_rows import rows as equations

jax.config.update("jax_enable_x64", True)

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "swish": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "polynomial": lambda z: z + z**2 / 2 - z**3 / 4 + z**4 / 8 + z**5 / 16,
}


def u(network, theta, x):
    a = (x - jnp.array(network.shift)) / jnp.array(network.scale)
    *hidden, last = zip(pairwise(network.sizes), network.scales)
    for i, ((m, n), s) in enumerate([*hidden, last]):
        W, theta = theta[: m * n].reshape(m, n), theta[m * n :]
        a = s * (a @ W) + theta[:n]
        theta = theta[n:]
        if i < len(hidden):
            a = ACTIVATIONS[network.activation.name](a)
    return a


def derivative(f, x, *along):
    if not along:
        return f(x)
    direction = jnp.eye(x.shape[0])[along[0]]
    return jax.jvp(lambda y: derivative(f, y, *along[1:]), (x,), (direction,))[1]


@lru_cache(maxsize=4)
def compiled(case):
    """`R(θ)` and `J(θ)` of a case."""
    rows = equations(case.problem, jnp)

    def residual(theta):
        def D(x, *along):
            return derivative(lambda y: u(case.network, theta, y), x, *along)

        found = [jax.vmap(lambda x, row=row: row(D, x).reshape(-1))(case.points[name]).reshape(-1) for name, row in rows.items()]
        return jnp.concatenate(found)

    J = jax.jit(jax.jacfwd(residual))(case.theta)
    return jax.jit(residual), np.asarray(J)


class Jax(Candidate):
    def __init__(self):
        self.case = None, None

    def compiled(self, case):
        """By name: the same case comes again as another object."""
        if case.network is None:
            raise NotImplementedError("this candidate knows networks only")
        if self.case[0] != case.name:
            self.case = case.name, compiled(case)
        return self.case[1]

    def residual_at(self, case, theta):
        return np.asarray(self.compiled(case)[0](theta))

    def raw_jacobian(self, case):
        return self.compiled(case)[1]

    def derivatives(self, case, name):
        if case.network is None:
            raise NotImplementedError
        term = next(t for t in case.problem.terms if t.name == name)
        wanted = sorted({exponents for operator in term.operators for exponents, _ in operator.terms})
        x = jnp.asarray(term.sites(case.points[name], xp=np))

        def at(y):
            return jnp.stack([derivative(lambda z: u(case.network, jnp.asarray(case.theta), z), y, *axes(e)) for e in wanted])

        return np.moveaxis(np.asarray(jax.jit(jax.vmap(jax.vmap(at)))(x)), 2, 0)
