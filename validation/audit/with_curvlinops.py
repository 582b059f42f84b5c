"""curvlinops: the Jacobian of a module and its transpose as linear operators, the module being a residual."""

import numpy as np
import torch
from curvlinops import JacobianLinearOperator, TransposedJacobianLinearOperator
from measure import FromKernel, once
from residual_rows import rows
from torch.func import jvp
from torch_mlp import network


class Residual(torch.nn.Module):
    """The rows of one term at a batch of points, (points, components)."""

    def __init__(self, net, row):
        super().__init__()
        self.net, self.row = net, row

    def forward(self, x):
        return self.row(self.D, x.T).T

    def D(self, x, *axes):
        """At points (d, n), (outputs, n)."""
        if not axes:
            return self.net(x.T).T
        direction = torch.zeros_like(x)
        direction[axes[0]] = 1.0
        return jvp(lambda y: self.D(y, *axes[1:]), (x,), (direction,))[1]


class Operators(FromKernel):
    """K as J times the transposed J, without a row of J."""

    @once
    def operators(self, q):
        """{term: (J, Jᵀ)}."""
        q.need(batched=True)
        net, found = network(q), {}
        for name, row in rows(q.problem, torch).items():
            x, residual = torch.tensor(q.points[name]), Residual(net, row)
            given = residual, list(net.parameters()), [(x, torch.zeros(len(x), 1))]
            found[name] = JacobianLinearOperator(*given), TransposedJacobianLinearOperator(*given)
        return found

    @once
    def unscaled_ntk(self, q):
        found = self.operators(q)
        columns = {b: transposed @ torch.eye(len(q.points[b])) for b, (_, transposed) in found.items()}
        return {(a, b): (J @ columns[b]).numpy() for a, (J, _) in found.items() for b in columns}

    def products(self, q):
        found = self.operators(q)
        G = torch.tensor(q.row_scale()[:, None] * q.probes)
        pulled = sum(transposed @ G[own] for (_, transposed), own in zip(found.values(), q.rows().values()))
        return q.row_scale()[:, None] * np.concatenate([(J @ pulled).numpy() for J, _ in found.values()])
