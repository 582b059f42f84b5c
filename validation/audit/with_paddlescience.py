"""PaddleScience: derivatives by `ppsci.autodiff`, loss weights by `ppsci.loss.mtl.NTK` of mean squares."""

from importlib.metadata import version

import numpy as np
import paddle
import ppsci
from measure import along, once
from residual_rows import rows

paddle.set_default_dtype("float64")
BY_NAME = version("paddlesci") >= "1.4"  # how losses are handed over


class Names:
    """What the equations call, by Paddle's names."""

    sin, cos, exp, cosh, arctan, stack = map(
        staticmethod, (paddle.sin, paddle.cos, paddle.exp, paddle.cosh, paddle.atan, paddle.stack)
    )


ACTIVATIONS = {"tanh": "tanh", "sin": "sin", "swish": "silu"}


class Weights:
    @once
    def model(self, q):
        q.need(batched=True, plain=True, unscaled=True)
        if q.activation not in ACTIVATIONS or len(q.sizes) < 3:
            raise NotImplementedError("not a network of ppsci.arch.MLP")
        keys, hidden = tuple(q.problem.coordinates), list(q.sizes[1:-1])
        model = ppsci.arch.MLP(keys, ("u",), None, hidden, ACTIVATIONS[q.activation])
        model.register_input_transform(
            lambda given: {key: (given[key] - a) / s for key, a, s in zip(keys, q.shift.tolist(), q.scale.tolist())}
        )
        for linear, (W, b) in zip([*model.linears, model.last_fc], q.layers()):
            linear.weight.set_value(W)
            linear.bias.set_value(b)
        return model

    def evaluated(self, q, name):
        """`D(_, *axes)`, (1, n), and the points (d, n)."""
        keys, x = q.problem.coordinates, paddle.to_tensor(q.points[name])
        given = {key: x[:, i : i + 1] for i, key in enumerate(keys)}
        for column in given.values():
            column.stop_gradient = False
        u = self.model(q)(dict(given))["u"]

        def D(_, *axes):
            found = u
            for axis in axes:
                found = ppsci.autodiff.jacobian(found, given[keys[axis]])
            return found.T

        return D, x.T

    def rows_of(self, q):
        """`{term: (1, n)}`."""
        self.model(q)  # is it one of ours?
        found = {name: row(*self.evaluated(q, name)) for name, row in rows(q.problem, Names).items()}
        ppsci.autodiff.clear()
        return found

    def residual(self, q):
        return np.concatenate([part.numpy()[0] for part in self.rows_of(q).values()])

    def jets(self, q, name):
        D, x = self.evaluated(q, name)
        term = next(t for t in q.problem.terms if t.name == name)
        found = np.array([D(x, *along(e)).numpy().T for e in term.derivatives])[:, None]
        ppsci.autodiff.clear()
        return found

    def weights(self, q, rule):
        """Of Wang et al., as the class says."""
        if rule != "wang_2022":
            raise NotImplementedError
        mse = ppsci.loss.MSELoss("mean")
        losses = {}
        for name, part in self.rows_of(q).items():
            found = mse({name: part.T}, {name: paddle.zeros_like(part.T)})
            losses[name] = found[name] if isinstance(found, dict) else found
        aggregator = ppsci.loss.mtl.NTK(self.model(q), len(losses))
        aggregator(losses if BY_NAME else list(losses.values()), 0)
        return aggregator.weight.numpy()
