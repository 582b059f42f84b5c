"""Multilayer perceptrons: their sizes, their parameters in order, how they start and how they are scaled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, SupportsFloat

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..errors import InvalidInput, ShapeError, UnknownNameError
from . import activation as activations
from .activation import Activation


@dataclass(frozen=True)
class Layer:
    """One affine map `z = s · (a @ W) + b`: W is (in, out), b is (out,), s a number that is part of the architecture."""

    W: Array
    b: Array
    scale: float


@dataclass(frozen=True, init=False)
class MLP:
    """A multilayer perceptron `u = A_L σ A_{L-1} … σ A_0 ((x - shift) / scale)` with affine maps `A_l a = s_l (a W_l) + b_l`.

    `sizes` lists the widths from the inputs to the outputs. `activation` is a name or an `Activation`. `output_scale` is s_L;
    `1 / sqrt(N)` with `scheme="ntk"` is the NTK scaling of Wang, Yu & Perdikaris, `N**-s` that of Zhou & Yan. With
    `parametrization="ntk"` every map beyond the first, the last one included, has the factor 1/√fan_in besides.
    `shift` and `scale` (one number or one per input) normalise the inputs: an affine layer of its own without parameters, so that
    derivatives stay derivatives with respect to x. Problems offer theirs: `MLP(sizes, **problem.normalization)`.

    θ holds layer after layer, `W` row-major as (in, out) and then `b`. Raises `InvalidInput` for sizes that are no network.

    >>> network = MLP([1, 2, 1])
    >>> network.size  # 1·2 + 2 + 2·1 + 1
    7
    >>> theta = np.array([1.0, -1.0, 0.0, 0.0, 0.5, 0.5, 3.0])
    >>> float(network(theta, np.array([[0.7]]))[0, 0])  # (tanh x - tanh x)/2 + 3
    3.0
    """

    sizes: tuple[int, ...]
    activation: Activation
    output_scale: float
    parametrization: str
    shift: tuple[float, ...]
    scale: tuple[float, ...]

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        activation: str | Activation = "tanh",
        output_scale: float = 1.0,
        parametrization: str = "standard",
        shift: float | Sequence[float] = 0.0,
        scale: float | Sequence[float] = 1.0,
    ):
        try:
            widths = tuple(int(size) for size in sizes)
            whole = all(width == size for width, size in zip(widths, sizes, strict=True))
        except (TypeError, ValueError, OverflowError):
            widths, whole = (), False
        if len(widths) < 2 or min(widths) < 1 or not whole:
            raise InvalidInput("sizes", sizes, "give at least two positive whole numbers, inputs first: [2, 100, 100, 1]")
        if parametrization not in ("standard", "ntk"):
            raise UnknownNameError("parametrization", parametrization, ("standard", "ntk"))
        if not isinstance(output_scale, SupportsFloat) or not 0 < float(output_scale) < math.inf:
            raise InvalidInput("output_scale", output_scale, "choose a positive number")
        for name, value in (
            ("sizes", widths),
            ("activation", activations.get(activation)),
            ("output_scale", float(output_scale)),
            ("parametrization", parametrization),
            ("shift", _per_input("shift", shift, widths[0])),
            ("scale", _per_input("scale", scale, widths[0])),
        ):
            object.__setattr__(self, name, value)
        if min(self.scale) <= 0:
            raise InvalidInput("scale", scale, "choose positive numbers")

    @property
    def inputs(self) -> int:
        """The number of input coordinates."""
        return self.sizes[0]

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.sizes[-1]

    @cached_property
    def size(self) -> int:
        """The number of parameters p."""
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(self.sizes))

    @cached_property
    def scales(self) -> tuple[float, ...]:
        """The factor s_l of each affine map."""
        ntk = self.parametrization == "ntk"
        hidden = [1 / math.sqrt(fan_in) if ntk and i else 1.0 for i, fan_in in enumerate(self.sizes[:-1])]
        return (*hidden[:-1], hidden[-1] * self.output_scale)

    def init(self, *, rng: int | np.random.Generator | None = None, scheme: str = "xavier", std: float = 1.0) -> np.ndarray:
        """Parameters (p,) to start from, float64.

        Schemes: "xavier" (normal, variance 2/(in + out), zero biases; Glorot & Bengio 2010), "xavier_uniform" (the same variance),
        "ntk" (every entry N(0, 1); Jacot et al. 2018), "normal" (every entry N(0, std²), the ENGD scripts' with std=0.1).
        Raises `UnknownNameError`, or `InvalidInput` for a `std` that is negative, not finite, or not asked for by the scheme.

        >>> MLP([2, 3, 1]).init(rng=17).shape
        (13,)
        """
        try:
            draw = INITIALIZATIONS[scheme]
        except (KeyError, TypeError):
            raise UnknownNameError("scheme", scheme, INITIALIZATIONS) from None
        if not isinstance(std, SupportsFloat) or not 0 <= float(std) < math.inf:
            raise InvalidInput("std", std, "choose a number that is not negative")
        if std != 1 and scheme != "normal":
            raise InvalidInput("std", std, f"scheme {scheme!r} has its own; only 'normal' takes one")
        generator = np.random.default_rng(rng)
        layers = [draw(generator, fan_in, fan_out, std) for fan_in, fan_out in pairwise(self.sizes)]
        return self.flatten(layers)

    def unflatten(self, theta: Array) -> list[tuple[Array, Array]]:
        """`[(W, b), ...]` from θ (p,), W of shape (in, out), b of shape (out,). Raises `ShapeError`."""
        arrays.check_shape("theta", theta, (self.size,))
        xp = arrays.namespace(theta)
        layers, start = [], 0
        for fan_in, fan_out in pairwise(self.sizes):
            middle, stop = start + fan_in * fan_out, start + (fan_in + 1) * fan_out
            layers.append((xp.reshape(theta[start:middle], (fan_in, fan_out)), theta[middle:stop]))
            start = stop
        return layers

    def flatten(self, layers: Sequence[tuple[Array, Array]]) -> Array:
        """θ (p,) from `[(W, b), ...]`, the inverse of `unflatten`. Raises `ShapeError`."""
        if len(layers) != len(self.sizes) - 1:
            raise ShapeError("layers", f"{len(layers)} layers", f"expected {len(self.sizes) - 1}")
        for i, ((W, b), (fan_in, fan_out)) in enumerate(zip(layers, pairwise(self.sizes), strict=True)):
            arrays.check_shape(f"layers[{i}][0]", W, (fan_in, fan_out))
            arrays.check_shape(f"layers[{i}][1]", b, (fan_out,))
        xp = arrays.namespace(*(array for layer in layers for array in layer))
        return xp.concat([xp.reshape(array, (-1,)) for layer in layers for array in layer])

    def layers(self, theta: Array) -> list[Layer]:
        """The affine maps at θ, each with its factor s_l."""
        return [Layer(W, b, s) for (W, b), s in zip(self.unflatten(theta), self.scales, strict=True)]

    def normalize(self, points: Array, *, xp: Namespace) -> Array:
        """`(x - shift) / scale`, shape of `points` (n, inputs)."""
        if set(self.shift) == {0.0} and set(self.scale) == {1.0}:
            return points
        return (points - arrays.like(self.shift, points, xp=xp)) / arrays.like(self.scale, points, xp=xp)

    def __call__(self, theta: Array, points: Array) -> Array:
        """U at points (n, inputs): (n, outputs)."""
        xp = arrays.namespace(theta, points)
        arrays.check_shape("points", points, (None, self.inputs))
        a = self.normalize(points, xp=xp)
        *hidden, last = self.layers(theta)
        for layer in hidden:
            a = self.activation.derivatives(layer.scale * (a @ layer.W) + layer.b, 0, xp=xp)[0]
        return last.scale * (a @ last.W) + last.b


def _per_input(name: str, value: float | Sequence[float], inputs: int) -> tuple[float, ...]:
    values = arrays.as_floats(name, value)
    values = np.broadcast_to(values, (inputs,)) if values.ndim == 0 else values
    arrays.check_shape(name, values, (inputs,))
    arrays.check_finite(name, values, xp=np)
    return tuple(values.tolist())


def _xavier(rng: np.random.Generator, fan_in: int, fan_out: int, std: float) -> tuple[Array, Array]:
    return rng.standard_normal((fan_in, fan_out)) * math.sqrt(2 / (fan_in + fan_out)), np.zeros(fan_out)


def _xavier_uniform(rng: np.random.Generator, fan_in: int, fan_out: int, std: float) -> tuple[Array, Array]:
    limit = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-limit, limit, (fan_in, fan_out)), np.zeros(fan_out)


def _ntk(rng: np.random.Generator, fan_in: int, fan_out: int, std: float) -> tuple[Array, Array]:
    return rng.standard_normal((fan_in, fan_out)), rng.standard_normal(fan_out)


def _normal(rng: np.random.Generator, fan_in: int, fan_out: int, std: float) -> tuple[Array, Array]:
    W, b = _ntk(rng, fan_in, fan_out, std)
    return std * W, std * b


INITIALIZATIONS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "xavier": _xavier,
    "xavier_uniform": _xavier_uniform,
    "ntk": _ntk,
    "normal": _normal,
}
