"""Infinitely wide layers one after the other: covariances, tangent kernels and their derivatives, in closed recursion.

Before each activation the values z(x) of infinitely many neurons are a Gaussian process with covariance Σ, and so are their
derivatives: the covariance of ∂^α z(x) and ∂^β z(x') is ∂^α_x ∂^β_x' Σ. A *kernel jet* `{(α, β): ∂^α_x ∂^β_x' Σ}` therefore says
all that an operator can ask. The next layer's is

    ∂^α_x ∂^β_x' E[σ(z) σ(z')] = E[∂^α σ(z(x)) ∂^β σ(z(x'))],

both factors by the formula of Faà di Bruno: σ^(k) times a product of derivatives of z. In terms of independent normals ξ, η,
`z = √q ξ` and `z' = (ρ/√q) ξ + √(q' - ρ²/q) η`, each derivative is `u ξ + v η` and a rest independent of both, so the mean is a sum
over pairings of the rests (Isserlis 1918) of two-dimensional quadratures. With `κ_k = E[σ^(k)(z) σ^(k)(z')]` the recursion is that
of Jacot et al. (2018), its product by Leibniz' rule, from Σ = std² Θ = std² (x·x' + 1) behind the first map:

    Σ ← std² (κ_0 + 1),        Θ ← κ_0 + 1 + std² κ_1 Θ.

(Price's theorem gives the same from derivatives of E[σ σ'] with respect to q, ρ, q' alone, through σ of twice the order and with
cancellation: for two second derivatives of tanh and 80 nodes its error was a million times as large.)
"""

from __future__ import annotations

import itertools
import math
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus.activation import Activation
from ..calculus.jet import Operator, faa_di_bruno
from ..calculus.network import MLP
from ..calculus.polynomial import Exponents
from .neuron import Stack
from .normal import Rule

KernelJet = dict[tuple[Exponents, Exponents], Array]
Factor = tuple[int, Exponents]  # a derivative of z at the first point (0) or at the second (1)
BYTES = 2**26  # what the quadrature grids of some rows may take
FLOOR = 2.0**-53  # the least part of z' that is independent of z: rounding, where the points coincide


def kernels(network: MLP, stacks: Sequence[Stack], *, std: float, rule: Rule, nodes: int, xp: Namespace) -> tuple[Array, Array]:
    """The kernels (fields, fields) of output weights and of all maps before, for any number of hidden layers.

    Fields are ordered by stack, operator, point, as in `neuron.kernels`. Cost: nodes² evaluations of σ and its derivatives for each
    layer and pair of points, and (points)² products for each term of the pairs of operators.
    """
    points = xp.concat([x for _, x in stacks])
    orders = _below([exponents for group, _ in stacks for operator in group for exponents, _ in operator.terms])
    forward = tangent = _affine(network, points, orders, xp=xp)
    for _ in network.sizes[1:-1]:
        covariance = {key: std**2 * kernel for key, kernel in forward.items()}
        value, slope = _activate(network.activation, covariance, orders, rule, nodes, xp=xp)
        inner = {key: std**2 * kernel for key, kernel in _product(slope, tangent, orders).items()}
        forward = {(a, b): kernel + (0 if any(a) or any(b) else 1) for (a, b), kernel in value.items()}  # the bias of the next map
        tangent = {key: kernel + inner[key] for key, kernel in forward.items()}
    return _read(value, stacks, xp=xp), _read(inner, stacks, xp=xp)


def _below(exponents: Sequence[Exponents]) -> list[Exponents]:
    """These multi-indices and all below them."""
    return sorted({beta for alpha in exponents for beta in itertools.product(*(range(a + 1) for a in alpha))})


def _affine(network: MLP, points: Array, orders: Sequence[Exponents], *, xp: Namespace) -> KernelJet:
    """The jet of x·x' + 1 in normalised coordinates."""
    x = network.normalize(points, xp=xp)

    def jet(alpha: Exponents) -> Array:
        """∂^alpha of the normalised coordinates, (n, dimension)."""
        slopes = [a / scale if sum(alpha) == 1 else 0.0 for a, scale in zip(alpha, network.scale, strict=True)]
        return xp.zeros_like(x) + arrays.like(slopes, x, xp=xp) if any(alpha) else x

    return {(a, b): jet(a) @ jet(b).T + (0 if any(a) or any(b) else 1) for a, b in itertools.product(orders, repeat=2)}


def _product(f: KernelJet, g: KernelJet, orders: Sequence[Exponents]) -> KernelJet:
    """The jet of a product of two kernels, by Leibniz' rule."""

    def splits(alpha: Exponents) -> list[tuple[int, Exponents, Exponents]]:
        pairs = [(a, tuple(map(operator.sub, alpha, a))) for a in _below([alpha])]
        return [(math.prod(map(math.comb, alpha, a)), a, rest) for a, rest in pairs]

    return {
        (alpha, beta): sum(m * n * f[a, b] * g[c, d] for (m, a, c), (n, b, d) in itertools.product(splits(alpha), splits(beta)))
        for alpha, beta in itertools.product(orders, repeat=2)
    }


def _read(kernel: KernelJet, stacks: Sequence[Stack], *, xp: Namespace) -> Array:
    """What pairs of operators make of a kernel at their points, (fields, fields)."""
    fields, start = [], 0
    for group, x in stacks:
        fields += [(op, slice(start, start + x.shape[0])) for op in group]
        start += x.shape[0]

    def pair(left: Operator, rows: slice, right: Operator, columns: slice) -> Array:
        return sum(c * e * kernel[alpha, beta][rows, columns] for alpha, c in left.terms for beta, e in right.terms)

    return xp.concat([xp.concat([pair(*left, *right) for right in fields], axis=1) for left in fields])


def _pairings(factors: Sequence[Factor]) -> Iterator[tuple[tuple[Factor, ...], tuple[tuple[Factor, Factor], ...]]]:
    """All ways to pair some of the factors, as (those left alone, pairs)."""
    if not factors:
        yield (), ()
        return
    first, rest = factors[0], factors[1:]
    for alone, pairs in _pairings(rest):
        yield (first, *alone), pairs
    for i, other in enumerate(rest):
        for alone, pairs in _pairings([*rest[:i], *rest[i + 1 :]]):
            yield alone, ((first, other), *pairs)


@cache
def expansion(alpha: Exponents, beta: Exponents) -> Counter[Any]:
    """The terms of `E[∂^alpha σ(z) ∂^beta σ(z')]`, with how often each occurs.

    A term `(a, b, along_xi, along_eta, pairs)` is `E[σ^(a)(z) σ^(b)(z') ξ^i η^j]` times the u of the i factors along ξ, the v of
    the j along η, and the covariances of the rests of each pair.

    >>> for term, count in expansion((1,), (0,)).items():  # E[σ'(z) z_x σ(z')]
    ...     print(count, term)
    1 (1, 0, ((0, (1,)),), (), ())
    1 (1, 0, (), ((0, (1,)),), ())
    """
    terms: Counter[Any] = Counter()
    for (left, m), (right, n) in itertools.product(faa_di_bruno(alpha), faa_di_bruno(beta)):
        for alone, pairs in _pairings([*((0, gamma) for gamma in left), *((1, gamma) for gamma in right)]):
            for choice in itertools.product((True, False), repeat=len(alone)):
                along = [tuple(f for f, xi in zip(alone, choice, strict=True) if xi is which) for which in (True, False)]
                terms[len(left), len(right), *along, tuple(sorted(pairs))] += m * n
    return terms


def _activate(
    activation: Activation, covariance: KernelJet, orders: Sequence[Exponents], rule: Rule, nodes: int, *, xp: Namespace
) -> tuple[KernelJet, KernelJet]:
    """The jets of E[σ(z) σ(z')] and of E[σ'(z) σ'(z')]."""
    zero = (0,) * len(orders[0])

    def between(one: Factor, other: Factor) -> Array:
        """The covariance of two derivatives of z, broadcastable to (n, n)."""
        (p, gamma), (q, delta) = one, other
        if p != q:
            return covariance[(gamma, delta) if p == 0 else (delta, gamma)]
        diagonal = xp.linalg.diagonal(covariance[gamma, delta])
        return diagonal[:, None] if p == 0 else diagonal[None, :]

    root = xp.sqrt(between((0, zero), (0, zero)))  # z = root ξ
    slope = between((0, zero), (1, zero)) / root  # z' = slope ξ + rest η
    q = between((1, zero), (1, zero))
    square, least = q - slope * slope, FLOOR * (q + 0 * slope)
    rest = xp.sqrt(xp.where(square > least, square, least))

    def along(factor: Factor) -> tuple[Array, Array]:
        """Its covariances u, v with ξ and η."""
        u = between(factor, (0, zero)) / root
        v = (between(factor, (1, zero)) - slope * u) / rest
        return u, v

    factors = [(side, gamma) for side in (0, 1) for gamma in orders if any(gamma)]
    xi, eta = ({f: along(f)[k] for f in factors} for k in (0, 1))
    order = max(map(sum, orders))
    means = _moments(activation, root, slope, rest, order + 1, 2 * order, rule(nodes), xp=xp)

    def jet(shift: int, alpha: Exponents, beta: Exponents) -> Array:
        total: Array = 0
        for (a, b, along_xi, along_eta, pairs), count in expansion(alpha, beta).items():
            term = count * means[a + shift][b + shift][..., len(along_xi), len(along_eta)]
            rests = [between(f, g) - xi[f] * xi[g] - eta[f] * eta[g] for f, g in pairs]
            total = total + math.prod([*(xi[f] for f in along_xi), *(eta[f] for f in along_eta), *rests], start=term)
        return total

    value, tangent = ({(a, b): jet(k, a, b) for a, b in itertools.product(orders, repeat=2)} for k in (0, 1))
    return value, tangent


def _moments(
    activation: Activation,
    root: Array,
    slope: Array,
    rest: Array,
    order: int,
    degree: int,
    rule: tuple[Any, Any],
    *,
    xp: Namespace,
) -> list[list[Array]]:
    """`[a][b]`: E[σ^(a)(z) σ^(b)(z') ξ^i η^j] (n, n, degree + 1, degree + 1) to the given order of σ."""
    n, nodes = slope.shape[0], len(rule[0])
    abscissae, weights = (arrays.like(part, slope, xp=xp) for part in rule)
    powers = xp.stack([weights * abscissae**k for k in range(degree + 1)], axis=-1)  # (nodes, degree + 1)
    step = max(1, BYTES // (8 * n * nodes**2 * (order + 2)))
    found: list[list[list[Array]]] = [[[] for _ in range(order + 1)] for _ in range(order + 1)]
    for low in range(0, n, step):
        part = slice(low, min(low + step, n))
        z = slope[part, :, None, None] * abscissae[:, None] + rest[part, :, None, None] * abscissae  # (r, n, ξ, η)
        left = [f[:, :, None] * powers for f in activation.derivatives(root[part, :] * abscissae, order, xp=xp)]  # (r, ξ, i)
        right = [f @ powers for f in activation.derivatives(z, order, xp=xp)]  # (r, n, ξ, j)
        for (a, f), (b, g) in itertools.product(enumerate(left), enumerate(right)):
            found[a][b].append(xp.matmul(xp.matrix_transpose(f)[:, None, ...], g))
    return [[xp.concat(parts) for parts in row] for row in found]
