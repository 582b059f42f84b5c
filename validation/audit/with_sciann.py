"""SciANN: residuals as functionals, loss weights by `adaptive_weights={"method": "NTK"}` in a training that does not move θ."""

import numpy as np
import sciann as sn
from residual_rows import rows
from tensorflow.keras import backend

sn.set_floatx("float64")
PROBLEMS = ("poisson1d", "wave", "heat", "poisson2d")
ACTIVATIONS = {"tanh": "tanh", "sin": "sin", "swish": "swish"}


class Names:
    """What the equations call, by SciANN's names."""

    sin = staticmethod(sn.sin)


class Coordinates:
    """The variables as the equations take them: x[:1] and x[1], and x itself where there is one."""

    def __init__(self, variables):
        self.variables = variables

    def __getitem__(self, i):
        return self.variables[i.start or 0 if isinstance(i, slice) else i]

    def __rmul__(self, factor):
        return factor * self.variables[0]


class Weights:
    """`beta=1.0`: the weights that the rule gives, not averaged with those before."""

    beta = 1.0

    def model(self, q):
        q.need(batched=True, plain=True, unscaled=True)
        if q.problem.name not in PROBLEMS or q.activation not in ACTIVATIONS or len(q.sizes) < 3:
            raise NotImplementedError
        sn.reset_session()
        variables = [sn.Variable(name, dtype="float64") for name in q.problem.coordinates]
        inputs = [(x - float(a)) / float(s) for x, a, s in zip(variables, q.shift, q.scale)] if np.any(q.scale != 1) else variables
        u = sn.Functional("u", inputs, list(q.sizes[1:-1]), ACTIVATIONS[q.activation])
        dense = [layer for layer in u.layers if len(layer.get_weights()) == 2]
        for layer, (W, b) in zip(dense, q.layers()):
            layer.set_weights([W, b])

        def D(_, *axes):
            found = u
            for axis in axes:
                found = sn.diff(found, variables[axis])
            return found

        targets = [row(D, Coordinates(variables)) for row in rows(q.problem, Names).values()]
        return sn.SciModel(variables, targets, "mse", "sgd")

    def weights(self, q, rule):
        """Of Wang, Yu & Perdikaris 2022, as the option's documentation says."""
        if rule != "wang_2022":
            raise NotImplementedError
        model, x = self.model(q), np.concatenate(list(q.points.values()))
        ids = [np.arange(rows.start, rows.stop) for rows in q.rows().values()]
        adaptive = {"method": "NTK", "freq": 1, "beta": self.beta}
        given = {"epochs": 1, "batch_size": len(x), "learning_rate": 0.0, "shuffle": False, "verbose": 0}
        model.train([x[:, i : i + 1] for i in range(x.shape[1])], [(i, "zeros") for i in ids], adaptive_weights=adaptive, **given)
        return [float(backend.get_value(weight)) for weight in model._loss_weights]


class Averaged(Weights):
    """`beta=0.9`, the default: a tenth of the weights before, which are 1."""

    beta = 0.9
