"""What a problem is: coordinates, outputs, and terms; a term is where it holds, what it needs of u, its residual and partials."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus.jet import Operator
from ..errors import InvalidInput, ShapeError, UnknownNameError
from .domain import Box, Count, Domain, check_count
from .parameter import check

Field = Array  # one operator applied to u: (n, outputs), or (sites, n, outputs) where a term has several sites


def _one_site(points: Array, *, xp: Namespace) -> Array:
    return points[None, ...]


@dataclass(frozen=True)
class Term:
    """One condition on u, with m components at every point.

    `residual(points, *fields, xp=...)` returns (n, m); there is one field for each of `operators`, `operator[u]` of shape
    (sites, n, outputs). `partials(points, *fields, xp=...)` returns, for each field, ∂residual/∂field, broadcastable to
    (sites, n, m, outputs). `sites(points, xp=...)` (sites, n, dimension) says where u is evaluated for each row: at the point
    itself, unless a row joins several (a periodic condition joins two). `loss(points, r, xp=...)` returns ℓ, ℓ' and ℓ'' ≥ 0, each
    (n, m), where a row r counts with ℓ(r) and not with ½ r²: so a term of an energy is written.
    """

    name: str
    domain: Domain
    count: Count
    operators: tuple[Operator, ...]
    residual: Callable[..., Array]
    partials: Callable[..., Sequence[Array]]
    components: int = 1
    sites: Callable[..., Array] = _one_site
    loss: Callable[..., tuple[Array, Array, Array]] | None = None

    @classmethod
    def linear(
        cls,
        name: str,
        domain: Domain,
        count: Count,
        operator: Operator,
        data: Callable[..., Array] | None = None,
        outputs: int = 1,
    ) -> Term:
        """The term `operator[u] - data(x)` on every output; `data(points, xp=...)` is (n, outputs), zero if left out."""

        def residual(points: Array, field: Field, *, xp: Namespace) -> Array:
            return field[0, ...] if data is None else field[0, ...] - data(points, xp=xp)

        def partials(points: Array, field: Field, *, xp: Namespace) -> Sequence[Array]:
            return (arrays.like(np.eye(outputs), field, xp=xp),)

        return cls(name, domain, count, (operator,), residual, partials, components=outputs)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A differential equation with its side conditions. Subclasses are frozen dataclasses whose fields are the PDE's parameters.

    They set `name`, `source` (paper and section, by which the registry is ordered), `coordinates`, `domain` and `terms`;
    `solution` where one is known; `outputs` where u has more than one. Parameters are finite numbers unless declared otherwise
    (`parameter.py`); one that is not admitted raises an `InvalidInput`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    source: ClassVar[tuple[str, str]]
    coordinates: ClassVar[tuple[str, ...]]
    outputs: ClassVar[int] = 1

    def __init_subclass__(cls) -> None:
        terms = cls.__dict__.get("terms")
        if isinstance(terms, property) and terms.fget is not None:  # operators are algebra: done once per problem, not per step
            cls.terms = property(lru_cache(maxsize=32)(terms.fget), doc=terms.__doc__)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for parameter in fields(self):
            check(parameter, getattr(self, parameter.name))

    @property
    def domain(self) -> Box:
        """The box in which u lives."""
        raise NotImplementedError

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms in the order of their rows."""
        raise NotImplementedError

    def solution(self, points: Array, *, xp: Namespace = np) -> Array | None:
        """The exact u at points (n, dimension), shape (n, outputs); None where none is known."""
        return None

    @property
    def normalization(self) -> dict[str, tuple[float, ...]]:
        """`shift` and `scale` for an `MLP` under which uniform points of the domain have mean 0 and standard deviation 1.

        >>> from refntk.problems import get
        >>> get("wave").normalization["shift"]
        (0.5, 0.5)
        """
        lower, upper = np.asarray(self.domain.lower), np.asarray(self.domain.upper)
        return {"shift": tuple((0.5 * (lower + upper)).tolist()), "scale": tuple(((upper - lower) / np.sqrt(12.0)).tolist())}

    def sample(
        self, *, rng: int | np.random.Generator | None = None, counts: Mapping[str, Count] | None = None
    ) -> dict[str, np.ndarray]:
        """Points for every term, `{term: (n, dimension)}`, drawn term by term in their order.

        `counts` overrides the paper's numbers: a whole number asks for uniform random points, a tuple for a grid of midpoints.
        Raises `UnknownNameError` for a term that does not exist, `InvalidInput` for a count that is not positive.

        >>> from refntk.problems import get
        >>> points = get("wave").sample(rng=17, counts={"interior": 64})
        >>> {name: x.shape for name, x in points.items()}
        {'interior': (64, 2), 'initial': (100, 2), 'velocity': (300, 2), 'boundary': (200, 2)}
        """
        counts = dict(counts or {})
        names = [term.name for term in self.terms]
        for name, count in counts.items():
            if name not in names:
                raise UnknownNameError("counts", name, names)
            check_count(name, count)
        generator = np.random.default_rng(rng)
        return {term.name: term.domain.sample(counts.get(term.name, term.count), rng=generator) for term in self.terms}

    def check_points(self, points: Mapping[str, Array]) -> dict[str, Array]:
        """`points` as floating arrays in the order of the terms. Raises an `InvalidInput` that names what is wrong."""
        if not isinstance(points, Mapping):
            raise InvalidInput("points", type(points).__name__, "pass a dict {term: array (n, dimension)}")
        names = [term.name for term in self.terms]
        for name in points:
            if name not in names:
                raise UnknownNameError("points", name, names)
        missing = [name for name in names if name not in points]
        if missing:
            raise ShapeError("points", f"no points for {', '.join(missing)}", "every term needs at least one point")
        checked = {}
        for name in names:
            array = arrays.as_floats(f"points[{name!r}]", points[name])
            arrays.check_shape(f"points[{name!r}]", array, (None, len(self.coordinates)))
            arrays.check_finite(f"points[{name!r}]", array, xp=arrays.namespace(array))
            checked[name] = array
        return checked

    def parameters(self) -> dict[str, Any]:
        """The PDE's parameters by name."""
        return dict(vars(self))


def columns(*parts: Array, xp: Namespace) -> Array:
    """Arrays (n,) side by side, (n, parts): what data and solutions return."""
    return xp.stack(parts, axis=-1)


@dataclass(frozen=True, kw_only=True)
class DirectProblem(Problem):
    """A problem whose residual is written down as a function of θ; it needs no network."""

    size: ClassVar[int]

    def init(self, *, rng: int | np.random.Generator | None = None) -> np.ndarray:
        """Parameters (size,) to start from."""
        raise NotImplementedError

    def residual(self, theta: Array, points: Mapping[str, Array], *, xp: Namespace) -> Array:
        """R(θ), (n,)."""
        raise NotImplementedError

    def jvp(self, theta: Array, points: Mapping[str, Array], directions: Array, *, xp: Namespace) -> Array:
        """J V, (n, k)."""
        raise NotImplementedError

    def vjp(self, theta: Array, points: Mapping[str, Array], cotangents: Array, *, xp: Namespace) -> Array:
        """Jᵀ W, (p, k)."""
        raise NotImplementedError
