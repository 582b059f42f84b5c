"""PINA: residuals by its operators, `NeuralTangentKernelWeighting` in a `Trainer` that does not move θ; and a training."""

import logging
import warnings

import numpy as np
import torch
import torch_mlp
from measure import along, once
from pina import Condition, LabelTensor, Trainer
from pina.domain import CartesianDomain
from pina.equation import Equation, FixedValue
from pina.loss import NeuralTangentKernelWeighting
from pina.model import FeedForward
from pina.operator import grad, laplacian
from pina.optim import TorchOptimizer
from pina.problem import SpatialProblem
from pina.solver import PINN
from residual_rows import rows
from trained import export

warnings.simplefilter("ignore")
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
QUIET = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}


def derivative(given, u, coordinates):
    """`D(_, *axes)` at the points of a batch, (1, n)."""

    def D(_, *axes):
        found = u
        for axis in axes:
            found = grad(found, given, components=list(found.labels), d=[coordinates[axis]])
        return found.as_subclass(torch.Tensor).T

    return D


class Normalized(torch.nn.Module):
    """PINA's network behind a fixed affine map, and behind the order of the coordinates: a solver hands them on by alphabet."""

    def __init__(self, q):
        super().__init__()
        d, *hidden, outputs = q.sizes
        self.coordinates = q.problem.coordinates
        self.map = torch_mlp.Affine(q.shift, q.scale)
        self.net = FeedForward(d, outputs, layers=hidden, func=torch_mlp.ACTIVATIONS[q.activation])
        torch_mlp.load([m for m in self.net.modules() if isinstance(m, torch.nn.Linear)], q.layers())

    def forward(self, x):
        x = torch.cat([x.extract([name]).as_subclass(torch.Tensor) for name in self.coordinates], dim=1)
        return self.net(self.map(x))


class Weights:
    """`alpha=0.0`: the weights that the rule gives, not averaged with those before."""

    alpha = 0.0

    def problem(self, q):
        coordinates, equations = q.problem.coordinates, rows(q.problem, torch)

        def condition(name, row):
            def equation(given, u):
                return row(derivative(given, u, coordinates), given.as_subclass(torch.Tensor).T).T

            return Condition(input=LabelTensor(torch.tensor(q.points[name]), coordinates), equation=Equation(equation))

        class Given(SpatialProblem):
            output_variables = ["u"]
            spatial_domain = CartesianDomain({name: [0, 1] for name in coordinates})
            conditions = {name: condition(name, row) for name, row in equations.items()}

        return Given()

    @once
    def solver(self, q):
        q.need(batched=True, plain=True, unscaled=True)
        weighting = NeuralTangentKernelWeighting(alpha=self.alpha)
        return PINN(self.problem(q), Normalized(q), optimizer=TorchOptimizer(torch.optim.SGD, lr=0.0), weighting=weighting)

    def given(self, q, name):
        return LabelTensor(torch.tensor(q.points[name]), q.problem.coordinates).requires_grad_()

    def residual(self, q):
        solver = self.solver(q)
        found = []
        for name, condition in solver.problem.conditions.items():
            given = self.given(q, name)
            found.append(condition.equation.residual(given, solver.forward(given)).detach().numpy()[:, 0])
        return np.concatenate(found)

    def jets(self, q, name):
        given = self.given(q, name)
        D = derivative(given, self.solver(q).forward(given), q.problem.coordinates)
        term = next(t for t in q.problem.terms if t.name == name)
        return np.array([D(given, *along(e)).detach().numpy().T for e in term.derivatives])[:, None]

    @once
    def trained(self, q):
        solver = self.solver(q)
        Trainer(solver, max_epochs=1, accelerator="cpu", **QUIET).train()
        return solver.weighting.last_saved_weights()

    def weights(self, q, rule):
        """Of Wang, Yu & Perdikaris 2022, as the class says."""
        if rule != "wang_2022":
            raise NotImplementedError
        found = self.trained(q)
        return [float(found[name]) for name in q.points]


class Averaged(Weights):
    """`alpha=0.5`, the default."""

    alpha = 0.5


class Trained:
    """The heat equation, trained by PINA as its tutorials do, in single precision; what comes of it is kept in a file."""

    def train(self, path):
        torch.set_default_dtype(torch.float32)
        torch.manual_seed(17)
        heat = self.heat

        class Heat(SpatialProblem):
            output_variables = ["u"]
            spatial_domain = CartesianDomain({"x": [0, 1], "t": [0, 1]})
            domains = {
                "interior": CartesianDomain({"x": [0, 1], "t": [0, 1]}),
                "initial": CartesianDomain({"x": [0, 1], "t": 0}),
                "left": CartesianDomain({"x": 0, "t": [0, 1]}),
                "right": CartesianDomain({"x": 1, "t": [0, 1]}),
            }
            conditions = {
                "interior": Condition(domain="interior", equation=Equation(heat)),
                "initial": Condition(
                    domain="initial", equation=Equation(lambda given, u: u - torch.sin(torch.pi * given.extract(["x"])))
                ),
                "left": Condition(domain="left", equation=FixedValue(0.0)),
                "right": Condition(domain="right", equation=FixedValue(0.0)),
            }

        problem = Heat()
        problem.discretise_domain(400, "random", domains=["interior"])
        problem.discretise_domain(40, "random", domains=["initial", "left", "right"])
        net = FeedForward(2, 1, layers=[20, 20], func=torch.nn.Tanh)
        solver = PINN(problem, net, optimizer=TorchOptimizer(torch.optim.Adam, lr=2e-3))
        Trainer(solver, max_epochs=3000, accelerator="cpu", **QUIET).train()
        return export(path, net, lambda points: {name: self.values(solver, name, x) for name, x in points.items()})

    def heat(self, given, u):
        return grad(u, given, d=["t"]) - 0.25 * laplacian(u, given, d=["x"])

    def values(self, solver, name, x):
        given = LabelTensor(x, ["x", "t"]).requires_grad_()
        u = solver.forward(given)
        plain = u.as_subclass(torch.Tensor)
        if name != "interior":
            return {"u": plain, "residual": plain - torch.sin(torch.pi * x[:, :1]) if name == "initial" else plain}
        found = {"u_t": grad(u, given, d=["t"]), "u_xx": laplacian(u, given, d=["x"]), "residual": self.heat(given, u)}
        return {"u": plain} | {key: value.as_subclass(torch.Tensor) for key, value in found.items()}
