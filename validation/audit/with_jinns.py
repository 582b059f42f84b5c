"""jinns: residuals and their gradients sample by sample, the gradient of its loss, and the step of its natural gradient descent.

Its own losses have one initial condition and facets of a box; here every term is a `LossPDEStatio` over all coordinates, whose
dynamic loss is the term's equation, and the step is given all of them.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jinns
import numpy as np
from jinns.data import PDEStatioBatch
from jinns.loss import LossPDEStatio, LossWeightsPDEStatio, PDEStatio
from jinns.nn import PINN_MLP
from jinns.optimizers import vanilla_ngd
from jinns.optimizers._utils_ngd import _get_sqrt_weights_per_sample
from measure import once
from residual_rows import rows

jax.config.update("jax_enable_x64", True)

ACTIVATIONS = {
    "tanh": jnp.tanh,
    "sin": jnp.sin,
    "swish": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "polynomial": lambda z: z + z**2 / 2 - z**3 / 4 + z**4 / 8 + z**5 / 16,
}


class Equation(PDEStatio):
    """The rows of one term."""

    row: callable = eqx.field(static=True, kw_only=True)

    def equation(self, x, u, params):
        def D(y, *axes):
            if not axes:
                return u(y, params)
            return jax.jvp(lambda z: D(z, *axes[1:]), (y,), (jnp.eye(len(y))[axes[0]],))[1]

        return self.row(D, x).reshape(-1)


class Step:
    """What a step of training holds."""

    @once
    def losses(self, q):
        """`{term: (loss, batch)}` and the parameters."""
        q.need(plain=True)
        activation = (ACTIVATIONS[q.activation],)
        layers = [part for pair in zip(q.sizes, q.sizes[1:]) for part in ((eqx.nn.Linear, *pair), activation)][:-1]
        u, start = PINN_MLP.create(
            key=jax.random.key(0),
            eqx_list=tuple(layers),
            eq_type="PDEStatio",
            input_transform=lambda x, params: (x - q.shift) / q.scale,
        )
        arrays = [jnp.asarray(a) for W, b in q.layers() for a in (W.T, b)]
        params = jinns.parameters.Params(nn_params=jax.tree.unflatten(jax.tree.structure(start), arrays), eq_params={})
        found = {}
        for (name, row), weight in zip(rows(q.problem, jnp).items(), q.loss_weights.tolist()):
            loss = LossPDEStatio(
                u=u, dynamic_loss=Equation(row=row), loss_weights=LossWeightsPDEStatio(dyn_loss=weight), params=params
            )
            found[name] = loss, PDEStatioBatch(domain_batch=jnp.asarray(q.points[name]), border_batch=None)
        return found, params

    @once
    def samples(self, q):
        """Residuals and their gradients, `{term: component}` both, as jinns hands them to a natural gradient."""
        losses, params = self.losses(q)
        found = {name: eqx.filter_jit(loss.values_and_grad_per_sample)(params, batch) for name, (loss, batch) in losses.items()}
        return {name: r for name, (r, _) in found.items()}, {name: g for name, (_, g) in found.items()}

    def residual(self, q):
        q.need(unscaled=True)
        return np.concatenate([np.ravel(leaf) for r in self.samples(q)[0].values() for leaf in jax.tree.leaves(r)])

    def jacobian(self, q):
        q.need(unscaled=True)
        return np.concatenate([columns(jax.tree.leaves(g)) for g in self.samples(q)[1].values()])

    def gradient(self, q):
        """Of `Σ λ_k mean(r_k²)`, the mean over points, jinns' loss."""
        q.need(unscaled=True)
        losses, params = self.losses(q)
        terms = [(loss, eqx.filter_jit(loss.values_and_grads)(params, batch)[1]) for loss, batch in losses.values()]
        found = [loss.ponderate_and_sum_gradient(gradients) for loss, gradients in terms]
        return sum(columns([leaf[None, None] for leaf in jax.tree.leaves(g.nn_params)])[0] for g in found)

    def direction(self, q):
        """A step of rate 1, no line search. Rows come divided by √n; where they are asked as they are, n is the loss weight."""
        if q.scaling == "quadrature":
            raise NotImplementedError("rows with weights of their own")
        _, params = self.losses(q)
        r, g = self.samples(q)
        loss_weights = jax.tree.map(lambda leaf: float(leaf.size) if q.scaling == "sum" else 1.0, r)
        descent = vanilla_ngd(linesearch=None)
        samples = r, g, _get_sqrt_weights_per_sample(loss_weights, r)
        step, _ = descent.update(samples, descent.init(params), params, None, None, None)
        return -columns([leaf[None, None] for leaf in jax.tree.leaves(step.nn_params)])[0]


def columns(leaves):
    """(rows, p) in the order of θ from leaves (points, components, out, in) and (points, components, out)."""
    parts = [np.asarray(leaf) for leaf in leaves]
    return np.concatenate(
        [(np.swapaxes(a, 2, 3) if a.ndim == 4 else a).reshape(a.shape[0] * a.shape[1], -1) for a in parts], axis=1
    )
