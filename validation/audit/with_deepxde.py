"""DeepXDE on PyTorch: derivatives by `dde.grad`, residuals by `Model.predict`, the gradient of its own loss; and a training."""

import os

os.environ.setdefault("DDE_BACKEND", "pytorch")

import deepxde as dde
import numpy as np
import torch
import torch_mlp
from measure import along, once
from residual_rows import rows
from trained import export

dde.config.set_default_float("float64")
torch.set_default_dtype(torch.float64)


def derivative(x, u):
    """`D(_, *axes)` at the points of a batch, (1, n)."""

    def D(_, *axes):
        found = u
        for axis in axes:
            found = dde.grad.jacobian(found, x, i=0, j=axis)
        return found.T

    return D


class Loss:
    """What `Model.compile` and a step of training hold."""

    @once
    def model(self, q):
        q.need(batched=True, plain=True, unscaled=True)
        net = dde.nn.FNN(list(q.sizes), torch_mlp.ACTIVATIONS[q.activation](), "Glorot normal")
        torch_mlp.load(net.linears, q.layers())
        net.apply_feature_transform(torch_mlp.Affine(q.shift, q.scale))
        return dde.Model(self.data(q), net)

    def data(self, q):
        first, *others = q.points
        operators = self.operators(q)
        conditions = [self.condition(q.points[name], operators[name]) for name in others]
        everywhere = dde.geometry.PointCloud(points=q.points[first])
        return dde.data.PDE(everywhere, operators[first], conditions, num_domain=0, num_test=None, anchors=q.points[first])

    def condition(self, x, operator):
        return dde.icbc.PointSetOperatorBC(x, np.zeros((len(x), 1)), lambda x, u, _: operator(x, u))

    def operators(self, q):
        """`{term: operator(x, u)}`."""

        def of(row):
            return lambda x, u: row(derivative(x, u), x.T).T

        return {name: of(row) for name, row in rows(q.problem, torch).items()}

    def residual(self, q):
        model = self.model(q)
        found = [model.predict(q.points[name], operator=operator) for name, operator in self.operators(q).items()]
        return np.concatenate([part[:, 0] for part in found])

    def jets(self, q, name):
        def of(exponents):
            return lambda x, u: derivative(x, u)(x, *along(exponents)).T

        term = next(t for t in q.problem.terms if t.name == name)
        found = [self.model(q).predict(q.points[name], operator=of(e)) for e in term.derivatives]
        return np.array(found)[:, None]  # (derivatives, sites, points, outputs)

    def gradient(self, q):
        """Of `Σ λ_k mean(r_k²)`, DeepXDE's loss."""
        model = self.model(q)
        model.compile("sgd", lr=0.0, loss_weights=list(q.loss_weights))
        given = model.data.train_next_batch()
        _, losses = model.outputs_losses_train(*given)
        model.net.zero_grad()
        losses.sum().backward()
        return torch_mlp.columns([p.grad[None] for p in model.net.parameters()]).numpy()[0]


class Trained:
    """The heat equation, trained by DeepXDE as its examples do, in single precision; what comes of it is kept in a file."""

    def train(self, path):
        dde.config.set_default_float("float32")
        torch.set_default_dtype(torch.float32)
        dde.config.set_random_seed(17)
        square = dde.geometry.GeometryXTime(dde.geometry.Interval(0, 1), dde.geometry.TimeDomain(0, 1))
        ends = dde.icbc.DirichletBC(square, lambda x: 0, lambda _, on_boundary: on_boundary)
        start = dde.icbc.IC(square, lambda x: np.sin(np.pi * x[:, :1]), lambda _, on_initial: on_initial)
        data = dde.data.TimePDE(square, self.heat, [ends, start], num_domain=400, num_boundary=80, num_initial=40)
        model = dde.Model(data, dde.nn.FNN([2, 20, 20, 1], "tanh", "Glorot normal"))
        model.compile("adam", lr=2e-3)
        model.train(iterations=3000, display_every=1000)
        return export(path, model.net, lambda points: {name: self.values(model.net, name, x) for name, x in points.items()})

    def heat(self, x, u):
        return dde.grad.jacobian(u, x, j=1) - 0.25 * dde.grad.hessian(u, x, i=0, j=0)

    def values(self, net, name, x):
        dde.grad.clear()
        x.requires_grad_()
        u = net(x)
        if name != "interior":
            return {"u": u, "residual": u - torch.sin(torch.pi * x[:, :1]) if name == "initial" else u}
        return {"u": u, "u_t": dde.grad.jacobian(u, x, j=1), "u_xx": dde.grad.hessian(u, x, i=0, j=0), "residual": self.heat(x, u)}
