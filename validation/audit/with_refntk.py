"""refntk's own engines through the same door, so that their cost is measured as that of the others."""

import numpy as np
from measure import eq_5

import refntk as rn


class Reference:
    engine = "reference"

    def lin(self, q):
        if q.problem.name == "operators" or q.network is None:
            raise NotImplementedError
        names = {name: q.network[name] for name in ("activation", "parametrization", "output_scale", "shift", "scale")}
        problem, network = rn.problems.get(q.problem.name, **q.problem.parameters()), rn.MLP(q.sizes, **names)
        quadrature = q.quadrature and {name: np.array(w) for name, w in q.quadrature.items()}
        return rn.linearize(problem, network, q.theta, q.points, scaling=q.scaling, quadrature=quadrature, engine=self.engine)

    def ntk(self, q):
        return rn.ntk(self.lin(q))

    def traces(self, q):
        return list(rn.ntk_traces(self.lin(q)).values())

    def weights(self, q, rule):
        return eq_5(self.traces(q), rule)


class Numba(Reference):
    engine = "numba"
