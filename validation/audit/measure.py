"""A question as a library's adapter gets it. This side of the exchange needs NumPy and nothing of refntk.

An adapter is a class with some of the functions that `refntk.conformance.protocol` lists, each of a `Question`; what it lacks is
not judged. `answer.py` makes a program of it.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "adapters"))  # residual_rows.py: the equations, once for all libraries

BATCHED = ("poisson1d", "wave", "heat", "poisson2d", "nonlinear", "sine_gordon", "kdv")  # rows that hold for (d, n) as for (d,)


@dataclass(frozen=True)
class Operator:
    """`((exponents, coefficient), ...)`."""

    terms: tuple


@dataclass(frozen=True)
class Term:
    """One condition: its name, components, operators, and the derivatives of u that they hold."""

    name: str
    components: int
    operators: tuple
    derivatives: tuple


class Problem:
    """What `residual_rows.rows` asks of a problem."""

    def __init__(self, asked):
        self.name, self.coordinates, self._parameters = asked["problem"], asked["coordinates"], asked["parameters"]
        self.terms = [
            Term(t["name"], t["components"], tuple(map(_operator, t["operators"])), tuple(map(tuple, t["derivatives"])))
            for t in asked["terms"]
        ]

    def parameters(self):
        return self._parameters


def _operator(monomials):
    return Operator(tuple((tuple(m["exponents"]), m["coefficient"]) for m in monomials))


class Question:
    """A case as it was asked: arrays of NumPy, and the network layer by layer."""

    def __init__(self, asked):
        self.name, self.quantities, self.problem, self.scaling = asked["id"], asked["quantities"], Problem(asked), asked["scaling"]
        self.theta = np.array(asked["theta"], dtype=float)
        self.points = {name: np.array(x, dtype=float) for name, x in asked["points"].items()}
        self.quadrature, self.loss_weights = asked["quadrature"], np.array(asked["loss_weights"])
        self.probes, self.dt, self.alpha = np.array(asked["probes"]), asked["dt"], asked["alpha"]
        network = asked["network"]
        if network is not None:
            self.sizes, self.activation, self.factors = network["sizes"], network["activation"], network["factors"]
            self.shift, self.scale = np.array(network["shift"]), np.array(network["scale"])
        self.network = network

    def layers(self):
        """`[(W (in, out), b (out,)), ...]`."""
        start, found = 0, []
        for fan_in, fan_out in zip(self.sizes, self.sizes[1:]):
            stop = start + fan_in * fan_out
            found.append((self.theta[start:stop].reshape(fan_in, fan_out), self.theta[stop : stop + fan_out]))
            start = stop + fan_out
        return found

    def rows(self):
        """`{term: slice}`."""
        found, start = {}, 0
        for term in self.problem.terms:
            stop = start + len(self.points[term.name]) * term.components
            found[term.name], start = slice(start, stop), stop
        return found

    def row_scale(self):
        """(n,), by which rows are multiplied."""
        found = []
        for name, rows in self.rows().items():
            n = rows.stop - rows.start
            if self.scaling == "quadrature":
                weights = np.sqrt(self.quadrature[name])
                found.append(np.repeat(weights, n // len(weights)))
            else:
                found.append(np.full(n, n**-0.5 if self.scaling == "mean" else 1.0))
        return np.concatenate(found)

    def need(self, batched=False, plain=False, unscaled=False):
        """Raises `NotImplementedError` for what a library's own classes cannot say: nobody is judged by it."""
        if self.network is None:
            raise NotImplementedError("a problem without a network")
        if batched and self.problem.name not in BATCHED:
            raise NotImplementedError("several outputs, or u at two points in a row")
        if plain and set(self.factors) != {1.0}:
            raise NotImplementedError("factors of layers")
        if unscaled and self.scaling != "sum":
            raise NotImplementedError("scaled rows")


def once(method):
    """The method of one question, its last answer kept: the quantities of a question share it."""
    name = f"_{method.__name__}"

    def kept(self, q):
        if getattr(self, name, (None,))[0] is not q:
            setattr(self, name, (q, method(self, q)))
        return getattr(self, name)[1]

    return kept


def along(exponents):
    """The axes to differentiate by, one after the other: (2, 1) is (0, 0, 1)."""
    return tuple(axis for axis, n in enumerate(exponents) for _ in range(n))


class FromKernel:
    """What follows from K for whoever gives `unscaled_ntk(question)`, `{(term, term): block}`: its users sum and divide so."""

    def ntk(self, q):
        blocks = self.unscaled_ntk(q)
        scale = q.row_scale()
        return scale[:, None] * np.block([[blocks[a, b] for b in q.points] for a in q.points]) * scale

    def traces(self, q):
        K = self.ntk(q)
        return [np.trace(K[rows, rows]) for rows in q.rows().values()]

    def spectrum(self, q):
        return np.linalg.eigvalsh(self.ntk(q))[::-1]

    def weights(self, q, rule):
        return eq_5(self.traces(q), rule)


def eq_5(traces, rule):
    """`Σ Tr K_ll / Tr K_kk`, the rule of Wang, Yu & Perdikaris."""
    if rule != "wang_2022":
        raise NotImplementedError
    return np.sum(traces) / np.array(traces)
