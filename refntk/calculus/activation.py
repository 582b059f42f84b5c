"""Activations and all their derivatives, each from a closed set of functions and the rules that differentiate them.

An activation is a polynomial in a few *generators* whose derivatives are polynomials in the same generators. For tanh they are
`s = tanh x` and `d = 1 - tanh² x` with `s' = d`, `d' = -2 s d`; so `σ'' = -2 s d`, `σ''' = 4 s² d - 2 d²`, and so on without end.
No derivative is typed in, and none loses its relative accuracy at saturation, because `d` is never formed as `1 - s²`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..arrays import Array, Namespace
from ..errors import UnknownNameError
from .polynomial import Polynomial, symbols


@dataclass(frozen=True)
class Activation:
    """A function σ of one variable with its derivatives of every order.

    `generators(x, xp=...)` evaluates the generators at an array, `rules` are their derivatives, `value` is σ itself.
    """

    name: str
    generators: Callable[..., tuple[Array, ...]]
    rules: tuple[Polynomial, ...]
    value: Polynomial

    def derivative(self, order: int) -> Polynomial:
        """σ^(order) as a polynomial in the generators, by the chain rule `(P)' = Σ ∂P/∂g · g'`.

        >>> get("tanh").derivative(3).terms  # 4 s² d - 2 d²
        (((0, 2), -2), ((2, 1), 4))
        """
        return _derivative(self.value, self.rules, order)

    def derivatives(self, x: Array, order: int, *, xp: Namespace) -> list[Array]:
        """`[σ(x), σ'(x), ..., σ^(order)(x)]`, each of the shape of x. Cost: the generators once, then products.

        >>> import numpy as np
        >>> s, d, dd = get("tanh").derivatives(np.array([40.0]), 2, xp=np)
        >>> float(d[0] / (4 * np.exp(-80.0)))  # 1 - tanh² would be 0 here
        1.0
        """
        generators = self.generators(x, xp=xp)
        return [evaluate(self.derivative(k), generators, xp=xp) for k in range(order + 1)]


@cache
def _derivative(value: Polynomial, rules: tuple[Polynomial, ...], order: int) -> Polynomial:
    if order == 0:
        return value
    previous = _derivative(value, rules, order - 1)
    zero = Polynomial.constant(0, len(rules))
    return sum((previous.derivative(i) * rule for i, rule in enumerate(rules)), start=zero)


def evaluate(polynomial: Polynomial, generators: Sequence[Array], *, xp: Namespace) -> Array:
    """The value of a polynomial at arrays of equal shape, term by term."""
    total = xp.zeros_like(generators[0])
    for exponents, coefficient in polynomial.terms:
        product = coefficient
        for generator, exponent in zip(generators, exponents, strict=True):
            for _ in range(exponent):
                product = generator * product
        total = total + product
    return total


def _tanh(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    e = xp.exp(-2 * xp.abs(x))
    return xp.tanh(x), 4 * e / ((1 + e) * (1 + e))


def _sin(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    return xp.sin(x), xp.cos(x)


def _logistic(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    """The logistic function p, its derivative q and m = 1 - 2p = -tanh(x/2), without a branch and without overflow."""
    e = xp.exp(-xp.abs(x))
    p = xp.exp((x - xp.abs(x)) / 2) / (1 + e)
    return p, e / ((1 + e) * (1 + e)), -xp.tanh(x / 2)


def _swish(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    return (x, *_logistic(x, xp=xp))


def _softplus(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    return ((x + xp.abs(x)) / 2 + xp.log1p(xp.exp(-xp.abs(x))), *_logistic(x, xp=xp))


def _identity(x: Array, *, xp: Namespace) -> tuple[Array, ...]:
    return (x,)


def polynomial(coefficients: Sequence[Any], name: str = "polynomial") -> Activation:
    """The activation `Σ c_k x^k`: everything downstream of it is exact in rational arithmetic.

    >>> import numpy as np
    >>> polynomial([0, 1, 0, 2]).derivatives(np.array([3.0]), 2, xp=np)  # x + 2x³, 1 + 6x², 12x
    [array([57.]), array([55.]), array([36.])]
    """
    terms = (((k,), c) for k, c in enumerate(coefficients))
    return Activation(name, _identity, (Polynomial.constant(1, 1),), Polynomial.collect(terms, 1))


_s, _d = symbols(2)
_x, _p, _q, _m = symbols(4)
_one = Polynomial.constant(1, 4)

ACTIVATIONS = {
    a.name: a
    for a in (
        Activation("tanh", _tanh, (_d, -2 * _s * _d), _s),
        Activation("sin", _sin, (_d, -_s), _s),
        Activation("swish", _swish, (_one, _q, _q * _m, -2 * _q), _x * _p),
        Activation("softplus", _softplus, (_p, _q, _q * _m, -2 * _q), _x),  # here the first generator is σ itself
        polynomial([0, 1, 0.5, -0.25, 0.125, 0.0625]),  # dyadic coefficients: exact in binary floating point
    )
}


def get(activation: str | Activation) -> Activation:
    """The activation of that name; an `Activation` is returned as it is. Raises `UnknownNameError`."""
    if isinstance(activation, Activation):
        return activation
    try:
        return ACTIVATIONS[activation]
    except (KeyError, TypeError):
        raise UnknownNameError("activation", activation, ACTIVATIONS) from None
