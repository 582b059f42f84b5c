"""The candidate by torch.func: u at one point, derivatives by nested `jvp`, rows and their Jacobian by `vmap(jacrev)`.

`refntk check with_torch:Torch` in this folder.
"""

from itertools import pairwise

import numpy as np
import torch
from candidate import Candidate, axes
from residual_rows import rows as equations
from torch.func import jacrev, jvp, vmap

ACTIVATIONS = {
    "tanh": torch.tanh,
    "sin": torch.sin,
    "swish": lambda z: z * torch.sigmoid(z),
    "softplus": lambda z: torch.logaddexp(z, torch.zeros_like(z)),
    "polynomial": lambda z: z + z**2 / 2 - z**3 / 4 + z**4 / 8 + z**5 / 16,
}


def double(array):
    return torch.tensor(np.asarray(array), dtype=torch.float64)


class Torch(Candidate):
    activations = ACTIVATIONS

    def __init__(self):
        self.last = None, None  # the case whose J is known

    def unflatten(self, network, theta):
        start = 0
        for fan_in, fan_out in pairwise(network.sizes):
            W = theta[start : start + fan_in * fan_out].reshape(fan_in, fan_out)
            start += fan_in * fan_out
            yield W, theta[start : start + fan_out]
            start += fan_out

    def factors(self, network):
        found = [1.0 if l == 0 or network.parametrization == "standard" else m**-0.5 for l, m in enumerate(network.sizes[:-1])]
        return [*found[:-1], found[-1] * network.output_scale]

    def normalized(self, network, x):
        return (x - double(network.shift)) / double(network.scale)

    def u(self, network, theta, x):
        sigma, a = self.activations[network.activation.name], self.normalized(network, x)
        maps = list(zip(self.unflatten(network, theta), self.factors(network)))
        for (W, b), s in maps[:-1]:
            a = sigma(s * (a @ W) + b)
        (W, b), s = maps[-1]
        return s * (a @ W) + b

    def D(self, network, theta):
        def derivative(x, *along):
            if not along:
                return self.u(network, theta, x)
            direction = torch.nn.functional.one_hot(torch.tensor(along[0]), x.shape[0]).to(x.dtype)
            return jvp(lambda y: derivative(y, *along[1:]), (x,), (direction,))[1]

        return derivative

    def equations(self, problem):
        return equations(problem, torch)

    def stacked(self, case, of):
        """`of(row(D, x))` over the points of all terms, as a NumPy array."""
        if case.network is None:
            raise NotImplementedError("this candidate knows networks only")
        found = [of(row, double(case.points[name])) for name, row in self.equations(case.problem).items()]
        return torch.cat([f.reshape(-1, *f.shape[2:]) for f in found]).numpy()

    def residual_at(self, case, theta):
        t = double(theta)
        return self.stacked(case, lambda row, x: vmap(lambda y: row(self.D(case.network, t), y).reshape(-1))(x))

    def raw_jacobian(self, case):
        if self.last[0] != case.name:
            t = double(case.theta)

            def jacobian(row, x):
                return vmap(lambda y: jacrev(lambda s: row(self.D(case.network, s), y).reshape(-1))(t))(x)

            self.last = case.name, self.stacked(case, jacobian)
        return self.last[1]

    def derivatives(self, case, name):
        if case.network is None or name not in self.equations(case.problem):
            raise NotImplementedError
        term = next(t for t in case.problem.terms if t.name == name)
        wanted = sorted({exponents for operator in term.operators for exponents, _ in operator.terms})
        x = double(np.asarray(term.sites(case.points[name], xp=np)))  # (sites, n, dimension)
        D = self.D(case.network, double(case.theta))
        return torch.stack([vmap(vmap(lambda y, e=e: D(y, *axes(e))))(x) for e in wanted]).numpy()
