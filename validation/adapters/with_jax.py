"""The candidate by JAX: u at one point, derivatives by nested `jvp`, rows and their Jacobian by `jacfwd`, compiled.

`refntk check with_jax:Jax` in this folder.
"""

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


class Jax(Candidate):
    def __init__(self):
        self.last = None, None  # the case that is compiled

    def unflatten(self, network, theta):
        for m, n in pairwise(network.sizes):
            W, b, theta = jnp.split(theta, [m * n, (m + 1) * n])
            yield W.reshape(m, n), b

    def factors(self, network):
        return list(network.scales)

    def normalized(self, network, x):
        return (x - jnp.array(network.shift)) / jnp.array(network.scale)

    def u(self, network, theta, x):
        a = self.normalized(network, x)
        *hidden, (W, b, s) = [(W, b, s) for (W, b), s in zip(self.unflatten(network, theta), self.factors(network))]
        for V, c, t in hidden:
            a = ACTIVATIONS[network.activation.name](t * (a @ V) + c)
        return s * (a @ W) + b

    def D(self, network, theta):
        def derivative(x, *along):
            if not along:
                return self.u(network, theta, x)
            direction = jnp.eye(x.shape[0])[along[0]]
            return jax.jvp(lambda y: derivative(y, *along[1:]), (x,), (direction,))[1]

        return derivative

    def equations(self, problem):
        return equations(problem, jnp)

    def compiled(self, case):
        """`θ → (R, J)`, kept by name: the same case comes again as another object."""
        if case.network is None:
            raise NotImplementedError("this candidate knows networks only")
        if self.last[0] != case.name:
            rows = self.equations(case.problem)

            def residual(theta):
                D = self.D(case.network, theta)
                return jnp.concatenate(
                    [
                        jax.vmap(lambda x, row=row: row(D, x).reshape(-1))(case.points[name]).reshape(-1)
                        for name, row in rows.items()
                    ]
                )

            self.last = case.name, jax.jit(lambda theta: (residual(theta), jax.jacfwd(residual)(theta)))
        return self.last[1]

    def residual_at(self, case, theta):
        return np.asarray(self.compiled(case)(theta)[0])

    def raw_jacobian(self, case):
        return np.asarray(self.compiled(case)(case.theta)[1])

    def derivatives(self, case, name):
        if case.network is None:
            raise NotImplementedError
        term = next(t for t in case.problem.terms if t.name == name)
        wanted = sorted({exponents for operator in term.operators for exponents, _ in operator.terms})
        D = self.D(case.network, jnp.asarray(case.theta))
        at = jax.jit(jax.vmap(jax.vmap(lambda y: jnp.stack([D(y, *axes(e)) for e in wanted]))))
        return np.moveaxis(np.asarray(at(jnp.asarray(term.sites(case.points[name], xp=np)))), 2, 0)
