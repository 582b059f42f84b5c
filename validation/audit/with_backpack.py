"""BackPACK: gradients of a network's outputs, point by point. It goes through layers, not through derivatives by coordinates."""

import torch
from backpack import backpack, extend
from backpack.extensions import BatchGrad
from measure import FromKernel, once
from torch_mlp import columns, network


class Outputs(FromKernel):
    """The NTK of u at the points of all terms, which is all that can be had: a user takes it for that of the residual."""

    @once
    def J(self, q):
        """{term: (points, p)}."""
        q.need(batched=True)
        net = extend(network(q))
        return {name: self.gradients(net, torch.tensor(x)) for name, x in q.points.items()}

    def gradients(self, net, x):
        net.zero_grad()
        with backpack(BatchGrad()):
            net(x).sum().backward()
        return columns([p.grad_batch for p in net.parameters()])

    def unscaled_ntk(self, q):
        J = self.J(q)
        return {(a, b): (J[a] @ J[b].T).numpy() for a in J for b in J}
