"""The kernel of an infinitely wide network: what K = J Jᵀ tends to, as a second oracle for it.

All parameters are independent normals of variance std² (schemes "ntk" and "normal"), but the output bias is a number. The last
hidden layer has N neurons, the last map the factor s_L, and the *gain* is `N s_L²`: `N^(1 - 2s)` for Zhou & Yan's
`output_scale=N**-s`. With the operators D, E of the terms, by the law of large numbers,

    K(x, x') = Σ_D,E ∂r/∂(Du) ∂r'/∂(Eu) { D1 E1 + gain · (output_DE(x, x') + inner_DE(x, x')) }.

The first share is that of the output bias, which no scaling touches (D1 is what D makes of the constant 1: the coefficient of u in
it). The others are expectations over one neuron (`neuron.py`) or follow from layer to layer (`recursion.py`). So

- a linear problem has a limit at s = 1/2, where the gain is 1. With one hidden layer the formula is the mean of K for all N and s.
- every problem has one for s > 1/2 (Zhou & Yan's theorem: s ≥ 1): the gain tends to 0 and u to its output bias, K to the share of
  the bias. It is no more random than the bias, on which ∂r/∂u may depend.
- at s = 1/2 the fields Du of a wide network are a Gaussian process; where the partials depend on them, K tends to no fixed kernel.
- for s < 1/2 K grows as N^(1 - 2s), or faster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus.network import MLP
from ..errors import InvalidInput, ShapeError, UnknownNameError
from ..problems.base import DirectProblem, Problem, Term
from ..problems.homogeneity import linear
from . import neuron, recursion
from .normal import RULES
from .residual import row_scales

METHODS = {"neuron": (neuron.kernels, 80), "recursion": (recursion.kernels, 160)}  # each with its number of nodes if none is given


@dataclass(frozen=True)
class Shares:
    """The shares (n, n) of K: of the output bias, of the output weights, of all parameters before them; the last two for gain 1."""

    bias: Array
    output: Array
    inner: Array


@dataclass(frozen=True, eq=False)
class Limit:
    """The kernels (fields, fields) of an infinitely wide network, a field being one operator at one point. Built by `limit`.

    `output` is also the covariance of the fields in units of gain · std². Methods take the value `bias` of the output bias.
    """

    problem: Problem
    network: MLP
    points: dict[str, Array]
    scales: dict[str, Array | float]
    std: float
    constants: Array
    output: Array
    inner: Array

    @property
    def gain(self) -> float:
        """N s_L² of the network as it stands."""
        return self.network.sizes[-2] * self.network.scales[-1] ** 2

    def shares(self, *, bias: float = 0.0) -> Shares:
        """The shares of K where u is the constant `bias`."""
        P = self._partials(self._fields(bias))
        return Shares(*(_contract(P, kernel) for kernel in (self._ones, self.output, self.inner)))

    def ntk(self, *, s: float, bias: float = 0.0) -> Array:
        """The limit (n, n) of K for `output_scale=N**-s`, rows as those of `linearize`.

        Raises `InvalidInput` where there is none: for s < 1/2, and for s = 1/2 unless the problem is linear.

        >>> import numpy as np, refntk as rn
        >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1, 1], activation="sin")
        >>> wide = limit(problem, network, {"interior": [[0.3]], "boundary": [[0.0], [1.0]]})
        >>> want = 1 + np.exp(-1) * (np.sinh(1) + np.cosh(1))  # x = 0, z ~ N(0, 1): the bias, E sin² z and E cos² z
        >>> bool(abs(wide.ntk(s=0.5)[1, 1] / want - 1) < 1e-12)
        True
        >>> wide.ntk(s=1.0) + 0.0
        array([[0., 0., 0.],
               [0., 1., 1.],
               [0., 1., 1.]])
        >>> problem = rn.problems.get("sine_gordon")  # u_tt - u_xx + sin u: ∂r/∂u = cos u at the output bias
        >>> wide = limit(problem, rn.MLP([2, 1, 1]), {term.name: [[0.3, 0.2]] for term in problem.terms}, nodes=1)
        >>> bool(np.allclose(wide.ntk(s=1.0, bias=0.7)[0, :2], [np.cos(0.7) ** 2, np.cos(0.7)], rtol=1e-14))
        True
        """
        if not s >= 0.5 or (s == 0.5 and not linear(self.problem)):
            raise InvalidInput(
                "s", s, f"choose s > 1/2, or s = 1/2 for a linear problem: else K of {self.problem.name!r} has no limit"
            )
        found = self.shares(bias=bias)
        return found.bias + found.output + found.inner if s == 0.5 else found.bias

    def mean(self, *, gain: float | None = None, bias: float = 0.0) -> Array:
        """The mean (n, n) of K over wide networks of this gain (left out: that of `network`).

        Linear problems: exact at every width, for one hidden layer. Otherwise partials depend on fields, which are normal with
        covariance gain · std² · `output`; their products are averaged by a cubature of degree 3, so this is the mean to first order
        in the gain, and to all where the partials are of degree 1 in u; terms of order gain/N are left out.
        Cost: two contractions for each field unless the problem is linear.

        >>> import numpy as np, refntk as rn
        >>> problem = rn.problems.get("eikonal")  # the partials are 2 u_x and 2 u_y, of covariance 4 gain · output
        >>> wide = limit(problem, rn.MLP([2, 1, 1]), {"interior": [[0.3, 0.2]], "boundary": [[0.0, 0.0]]}, nodes=30)
        >>> want = 4 * 0.1**2 * np.sum((wide.output * (wide.output + wide.inner))[:2, :2])
        >>> bool(abs(wide.mean(gain=0.1)[0, 0] / want - 1) < 1e-12)
        True
        """
        gain, start = self.gain if gain is None else gain, self._fields(bias)
        kernel = self._ones + gain * (self.output + self.inner)
        if linear(self.problem):
            return _contract(self._partials(start), kernel)
        xp = arrays.namespace(kernel)
        variance, axes = xp.linalg.eigh(gain * self.std**2 * self.output)
        count = variance.shape[0] * self.network.outputs
        steps = axes * xp.sqrt(xp.where(variance > 0, count * variance, xp.zeros_like(variance)))
        unit = arrays.like(np.eye(self.network.outputs), kernel, xp=xp)  # outputs are independent
        moves = [steps[:, i, None] * unit[o, :] for i in range(variance.shape[0]) for o in range(self.network.outputs)]
        return sum(_contract(self._partials(start + sign * move), kernel) for move in moves for sign in (1, -1)) / (2 * count)

    @property
    def _ones(self) -> Array:
        return self.constants[:, None] * self.constants[None, :]

    def _fields(self, bias: float) -> Array:
        """The fields (fields, outputs) of the constant `bias`."""
        xp = arrays.namespace(self.constants)
        return xp.stack([self.constants * bias] * self.network.outputs, axis=-1)

    def _partials(self, fields: Array) -> list[list[Array]]:
        """∂(scaled rows)/∂(fields) at `fields` (fields, outputs): term by term, one (rows, fields of the term) for each output."""
        xp, found, start = arrays.namespace(fields), [], 0
        for term in self.problem.terms:
            points, scale = self.points[term.name], self.scales[term.name]
            shape = (*term.sites(points, xp=xp).shape[:2], self.network.outputs)
            size = shape[0] * shape[1]
            own = [xp.reshape(fields[start + i * size : start + (i + 1) * size, :], shape) for i in range(len(term.operators))]
            start += size * len(own)
            found.append(_projection(term, term.partials(points, *own, xp=xp), shape, scale, points, xp=xp))
        return found


def limit(
    problem: Problem,
    network: MLP,
    points: Mapping[str, Array],
    /,
    *,
    std: float = 1.0,
    method: str | None = None,
    rule: str = "trapezoid",
    nodes: int | None = None,
    scaling: str = "sum",
    quadrature: Mapping[str, Array] | None = None,
) -> Limit:
    """The limit of infinite width for networks of this depth, activation and normalisation; their widths do not enter.

    `std` is that of every parameter. `method` is "neuron" (one hidden layer: `nodes` in each of the 1 + dimension variables) or
    "recursion" (any depth: `nodes`² for each pair of points); left out, the first where it applies and is cheap. `rule` is
    "trapezoid" or "hermite" (`normal.py`). Doubling `nodes` tells the error, which is the smaller the closer the points are to 0:
    normalise inputs. Rows are scaled as by `linearize`.

    Raises `InvalidInput` and its subclasses: for networks without hidden layer, for deeper ones whose hidden maps have no factor
    1/√fan_in (`parametrization="ntk"`), for points and options that cannot be used.

    >>> import numpy as np, refntk as rn
    >>> problem, points = rn.problems.get("poisson1d"), {"interior": [[0.3]], "boundary": [[0.0], [1.0]]}
    >>> one, two = (limit(problem, rn.MLP([1, 1, 1]), points, method=m).ntk(s=0.5) for m in ("neuron", "recursion"))
    >>> bool(np.allclose(one, two, rtol=0, atol=1e-10 * np.max(one)))
    True
    >>> deep = limit(problem, rn.MLP([1, 1, 1, 1], activation="sin", parametrization="ntk"), points)
    >>> variance = tangent = 1.0  # of x·x' + 1 at x = 0, and then layer by layer with E sin² z and E cos² z
    >>> for _ in range(2):
    ...     value, slope = np.exp(-variance) * np.sinh(variance), np.exp(-variance) * np.cosh(variance)
    ...     variance, tangent = value + 1, value + 1 + slope * tangent
    >>> bool(abs(deep.ntk(s=0.5)[1, 1] / tangent - 1) < 1e-12)
    True
    """
    _check(problem, network, std)
    checked = problem.check_points(points)
    xp = arrays.namespace(*checked.values())
    compute, default = METHODS[_method(network, method)]
    nodes = default if nodes is None else nodes
    if rule not in list(RULES):
        raise UnknownNameError("rule", rule, RULES)
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise InvalidInput("nodes", nodes, "choose a positive whole number")
    scales = row_scales(problem, checked, scaling, quadrature)
    sites = [term.sites(checked[term.name], xp=xp) for term in problem.terms]
    stacks = [(term.operators, xp.reshape(x, (-1, x.shape[-1]))) for term, x in zip(problem.terms, sites, strict=True)]
    output, inner = compute(network, stacks, std=std, rule=RULES[rule], nodes=nodes, xp=xp)
    zero = (0,) * network.inputs
    constants = xp.concat([0 * x[:, 0] + operator.coefficient(zero) for operators, x in stacks for operator in operators])
    return Limit(problem, network, checked, scales, std, constants, output, inner)


def _check(problem: Problem, network: MLP, std: float) -> None:
    if not isinstance(problem, Problem) or isinstance(problem, DirectProblem):
        raise InvalidInput("problem", type(problem).__name__, "pass a problem that needs a network")
    if not isinstance(network, MLP):
        raise InvalidInput("network", type(network).__name__, "pass an MLP")
    if network.inputs != len(problem.coordinates) or network.outputs != problem.outputs:
        wanted = f"problem {problem.name!r} needs {len(problem.coordinates)} and {problem.outputs}"
        raise ShapeError("network", f"{network.inputs} inputs and {network.outputs} outputs", wanted)
    if len(network.sizes) < 3:
        raise InvalidInput("network", f"sizes {network.sizes}", "a limit of many neurons needs a hidden layer")
    if len(network.sizes) > 3 and network.parametrization != "ntk":
        raise InvalidInput("network", "parametrization 'standard'", "beyond one hidden layer a limit needs 'ntk'")
    if not 0 < std < math.inf:
        raise InvalidInput("std", std, "choose a positive number")


def _method(network: MLP, method: str | None) -> str:
    if method is None:
        return "neuron" if len(network.sizes) == 3 and network.inputs <= 2 else "recursion"
    if method not in METHODS:
        raise UnknownNameError("method", method, METHODS)
    if method == "neuron" and len(network.sizes) > 3:
        raise InvalidInput("method", repr(method), "one neuron tells the limit of one hidden layer; choose 'recursion'")
    return method


def _projection(
    term: Term, partials: Sequence[Array], shape: tuple[int, ...], scale: Array | float, points: Array, *, xp: Namespace
) -> list[Array]:
    """The partials of a term as matrices (n m, fields), one for each output: a row knows the fields of its own point only."""
    sites, n, outputs = shape
    diagonal = (arrays.like(np.eye(n), points, xp=xp) * scale)[:, None, :]  # (n, 1, n)
    full = [xp.broadcast_to(p, (sites, n, term.components, outputs)) for p in partials]
    return [
        xp.concat(
            [xp.reshape(diagonal * p[site, ..., o, None], (n * term.components, n)) for p in full for site in range(sites)], axis=1
        )
        for o in range(outputs)
    ]


def _contract(partials: list[list[Array]], kernel: Array) -> Array:
    """`Σ_outputs P kernel Pᵀ`, (n, n), P block-diagonal in the terms; outputs have weights of their own, and the rest in common."""
    xp = arrays.namespace(kernel)
    stops = np.cumsum([0, *(term[0].shape[1] for term in partials)]).tolist()
    parts = [(term, slice(low, high)) for term, (low, high) in zip(partials, pairwise(stops), strict=True)]

    def block(left: list[Array], rows: slice, right: list[Array], columns: slice) -> Array:
        return sum(p @ kernel[rows, columns] @ q.T for p, q in zip(left, right, strict=True))

    K = xp.concat([xp.concat([block(*row, *column) for column in parts], axis=1) for row in parts])
    return (K + K.T) / 2
