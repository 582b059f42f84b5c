"""torch.func: the recipe of PyTorch's tutorial on neural tangent kernels, for the residual at a point instead of an output."""

import torch
from measure import FromKernel, once
from torch.func import jacrev, vmap
from torch_mlp import columns, derivative, network


def residuals(q):
    """`{term: (f(params, x) at one point, points)}` and the parameters."""
    from residual_rows import rows

    q.need()
    net = network(q)
    params = {name: p.detach() for name, p in net.named_parameters()}
    found = {}
    for name, row in rows(q.problem, torch).items():
        found[name] = (lambda params, x, row=row: row(derivative(net, params), x), torch.tensor(q.points[name]))
    return found, params


class Contraction(FromKernel):
    """Contraction of Jacobians: `vmap(jacrev(f))` for every parameter, and a product of each with each."""

    @once
    def jacobians(self, q):
        fs, params = residuals(q)
        return {name: vmap(jacrev(f), (None, 0))(params, x) for name, (f, x) in fs.items()}

    def jacobian(self, q):
        rows = [columns([j.flatten(0, 1) for j in own.values()]) for own in self.jacobians(q).values()]
        return q.row_scale()[:, None] * torch.cat(rows).numpy()

    @once
    def unscaled_ntk(self, q):
        J = {name: [j.flatten(2) for j in own.values()] for name, own in self.jacobians(q).items()}  # (points, components, size)
        return {(a, b): self.contracted(J[a], J[b]) for a in J for b in J}

    def contracted(self, one, other):
        K = sum(torch.einsum("Naf,Mbf->NaMb", j, k) for j, k in zip(one, other))
        return K.flatten(2).flatten(0, 1).numpy()
