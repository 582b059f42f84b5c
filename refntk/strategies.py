"""Hypothesis strategies for tests of other implementations: problems, networks, parameters, points, kernels, probes, traces.

Whatever stands in a registry is drawn: every problem, activation and kind of probe. A test of somebody's kernel against this one:

>>> from hypothesis import given, settings
>>> import numpy as np, refntk as rn
>>> from refntk import strategies
>>> def my_kernel(problem, network, theta, points):
...     J = rn.linearize(problem, network, theta, points).jacobian.dense()  # yours, from PyTorch, JAX, ...
...     return J @ J.T
>>> @settings(max_examples=5, database=None, derandomize=True)
... @given(strategies.cases())
... def test_my_kernel(case):
...     K = rn.ntk(rn.linearize(*case))
...     assert np.allclose(my_kernel(*case), K, rtol=1e-9, atol=1e-9 * np.trace(K))
>>> test_my_kernel()

No strategy is for the seed of a probabilistic assertion: what is drawn here is searched, and a search finds the worst of chances.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import problems as registry
from .calculus.activation import ACTIVATIONS
from .calculus.network import MLP
from .errors import MissingDependency, UnknownNameError
from .estimation.probes import check_kind
from .problems.base import DirectProblem, Problem

try:
    from hypothesis import strategies as st
    from hypothesis.extra import numpy as hnp
except ImportError as error:
    raise MissingDependency("hypothesis is not installed: pip install 'refntk[strategies]'") from error

Strategy = st.SearchStrategy
SIGNS = ("any", "nonnegative", "negative")


def problems(names: Iterable[str] | None = None, /) -> Strategy[Problem]:
    """Registered problems with their own parameters, of these `names` if given; they shrink to the first."""
    return st.sampled_from(registry.names() if names is None else list(names)).map(registry.get)


def networks(problem: Problem, /, *, width: int = 4, depth: int = 2) -> Strategy[Any]:
    """Networks that fit a problem: up to `depth` hidden layers of up to `width`, any activation; None where it takes no network."""
    if isinstance(problem, DirectProblem):
        return st.none()
    return st.builds(
        lambda hidden, activation, parametrization: MLP(
            [len(problem.coordinates), *hidden, problem.outputs],
            activation=activation,
            parametrization=parametrization,
            shift=problem.normalization["shift"],
            scale=problem.normalization["scale"],
        ),
        st.lists(st.integers(1, width), max_size=depth),
        st.sampled_from(sorted(ACTIVATIONS)),
        st.sampled_from(["standard", "ntk"]),
    )


def parameters(problem: Problem, network: MLP | None, /, *, bound: float = 1.0) -> Strategy[np.ndarray]:
    """θ (p,) for a problem and its network, entry by entry in [-bound, bound]."""
    size = problem.size if isinstance(problem, DirectProblem) else 0 if network is None else network.size
    return hnp.arrays(np.float64, size, elements=_floats(-bound, bound), fill=st.nothing())


def points(problem: Problem, /, *, most: int = 3) -> Strategy[dict[str, np.ndarray]]:
    """Points for every term, `{term: (n, dimension)}` with 1 to `most` of each, from the domains of the terms."""
    counts = st.fixed_dictionaries({term.name: st.integers(1, most) for term in problem.terms})
    return st.builds(lambda rng, counts: problem.sample(rng=rng, counts=counts), st.integers(0, 2**32 - 1), counts)


@st.composite
def cases(draw: st.DrawFn, names: Iterable[str] | None = None, /) -> tuple[Problem, MLP | None, np.ndarray, dict[str, np.ndarray]]:
    """What `refntk.linearize` takes: (problem, network, theta, points)."""
    problem = draw(problems(names))
    network = draw(networks(problem))
    return problem, network, draw(parameters(problem, network)), draw(points(problem))


@dataclass(frozen=True, eq=False)
class Kernel:
    """K = J Jᵀ (n, n) of the rank of J (n, r), whole numbers all of them, and the rows of every term."""

    K: np.ndarray
    J: np.ndarray
    blocks: dict[str, slice]


@st.composite
def kernels(
    draw: st.DrawFn, /, *, n: int | None = None, rank: int | None = None, signs: str = "any", terms: Sequence[str] | None = None
) -> Kernel:
    """Symmetric positive semidefinite kernels with blocks, of exactly this `rank`, up to 6 rows unless `n` is given.

    `signs` says what entries K has: "any", "nonnegative" ones only, or at least one "negative" (n > 1). Raises `UnknownNameError`.
    """
    if signs not in SIGNS:
        raise UnknownNameError("signs", signs, SIGNS)
    if n is None:
        n = draw(st.integers(max(rank or 1, 2 if signs == "negative" else 1, len(terms or ())), max(6, rank or 1)))
    r = draw(st.integers(1, n)) if rank is None else rank
    entries = st.integers(0 if signs == "nonnegative" else -3, 3)
    J = np.array([[float(j == i) or (draw(entries) if j < i else 0.0) for j in range(r)] for i in range(n)])
    if signs == "negative":
        J[1, 0] = draw(st.integers(-3, -1))  # K_10, for the first row is (1, 0, ..., 0)
    J = J[draw(st.permutations(range(n)))]
    return Kernel(J @ J.T, J, draw(blocks(n, terms)))


@st.composite
def blocks(draw: st.DrawFn, n: int, terms: Sequence[str] | None = None, /) -> dict[str, slice]:
    """`{term: slice}` that divide n rows among `terms`, up to three if they are not given, none of them empty."""
    if terms is None:
        terms = ("interior", "initial", "boundary")[: draw(st.integers(1, min(3, n)))]
    cuts = draw(st.permutations(range(1, n)))[: len(terms) - 1]
    edges = [0, *sorted(cuts), n]
    return {term: slice(edges[i], edges[i + 1]) for i, term in enumerate(terms)}


def probes(n: int, count: int, /, *, kind: str = "rademacher") -> Strategy[np.ndarray]:
    """Probes (n, count): any signs, or for "normal" any numbers that such a draw could give, |g| ≤ 8.

    For every sign vector at once, or for an expectation over normals, there is `refntk.estimation.cubature`.
    """
    check_kind("kind", kind)
    elements = st.sampled_from([1.0, -1.0]) if kind == "rademacher" else _floats(-8.0, 8.0)
    return hnp.arrays(np.float64, (n, count), elements=elements, fill=st.nothing())


def traces(terms: Sequence[str] = ("interior", "initial", "boundary"), /) -> Strategy[dict[str, float]]:
    """Positive traces `{term: float}`, up to twelve orders of magnitude apart."""
    return st.fixed_dictionaries({term: st.floats(-6.0, 6.0).map(lambda exponent: 10.0**exponent) for term in terms})


def _floats(low: float, high: float) -> Strategy[float]:
    return st.floats(low, high, allow_subnormal=False)
