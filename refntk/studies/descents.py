"""Optimizers beside each other: from the same starts, down the same loss on the same Gauss points, looked at alike.

Cost is counted in passes over all points, forward, tangent or adjoint, as each algorithm asks for them; what comes besides, the
eigenproblem (n³), the singular values (n² p) or the sketch's QR (p l²), is linear algebra that machines do at other speeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .. import natural
from ..calculus.network import MLP
from ..kernel.operator import Jacobian, Linearization
from ..training.accuracy import relative_error
from ..training.optimizers import LEAST, adam, learning_rate
from .courses import TOL, Course, Walk
from .study import Arrays

SKETCH = 200  # columns of the sketch that sets rank and oversampling
SMALL = 500  # parameters
FIRST, GROWTH, MOST = 2.0, 1.3, 2.0  # of a continuation: the first speed, and by how much one is above the last, at most
EACH, LEARNT = 20, 1e-4  # steps at a speed, at most, and the loss that is enough


@dataclass(frozen=True)
class Counted:
    """A linearization whose adjoint products a walk counts."""

    lin: Linearization
    walk: Walk

    def __getattr__(self, name: str) -> Any:
        """All else is the linearization's."""
        return getattr(self.lin, name)

    @property
    def jacobian(self) -> Jacobian:
        """J as an operator."""
        return Jacobian(self)

    def vjp(self, cotangents: np.ndarray) -> np.ndarray:
        """Jᵀ W, a pass for every column."""
        self.walk.passes += cotangents.shape[1]
        return np.asarray(self.lin.vjp(cotangents))


@dataclass(frozen=True)
class Rows:
    """A linearization whose J (n, p) is an array: a product with as many columns as it has rows is one matrix product.

    `natural.sngd` asks for no more of it than this.
    """

    residual: np.ndarray
    matrix: np.ndarray = field(repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(n, p)."""
        n, p = self.matrix.shape
        return n, p

    @property
    def jacobian(self) -> Jacobian:
        """J as an operator."""
        return Jacobian(self)  # type: ignore[arg-type]

    def jvp(self, directions: np.ndarray) -> np.ndarray:
        """J V."""
        return self.matrix @ directions

    def vjp(self, cotangents: np.ndarray) -> np.ndarray:
        """Jᵀ W."""
        return self.matrix.T @ cotangents


def first_order(walk: Walk, steps: int, key: int) -> Iterator[None]:
    """Adam as in training: rate 3e-3, times 0.9 every thousand steps."""
    state = {"m": np.zeros_like(walk.theta), "v": np.zeros_like(walk.theta)}
    for t in range(steps):
        direction, state = adam(walk.gradient(), t, state, xp=np)
        walk.move(walk.theta - learning_rate(t, 3e-3, (0.9, 1000)) * direction)
        yield


def quasi_newton(walk: Walk, steps: int, key: int) -> Iterator[None]:
    """SciPy's BFGS, whose update costs p³, and beyond `SMALL` parameters L-BFGS-B with a memory of 50."""
    from scipy.optimize import minimize

    method = "BFGS" if walk.theta.size <= SMALL else "L-BFGS-B"
    path: list[tuple[np.ndarray, int]] = []
    evaluated = 0

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal evaluated
        evaluated += 1
        here = walk.course.at(x)
        return here.loss(walk.ones), np.asarray(here.gradient(walk.ones))

    own = {"gtol": LEAST} | ({"ftol": 0.0, "maxcor": 50, "maxfun": 10**9} if method == "L-BFGS-B" else {})
    arguments: Any = {"jac": True, "method": method, "options": own | {"maxiter": steps}}
    minimize(objective, walk.theta, callback=lambda x: path.append((x.copy(), evaluated)), **arguments)
    for theta, so_far in path:
        walk.move(theta)
        walk.passes = 2 * so_far  # a forward and an adjoint pass for each evaluation
        yield


def exact(walk: Walk, steps: int, key: int, *, absolute: bool) -> Iterator[None]:
    """ENGD through the kernel: its cut as the sketch's, absolute, or as that of a p×p least-squares solver, p ε λ_max."""
    p = walk.theta.size
    tol = TOL if absolute else p * float(np.finfo(np.float64).eps)
    while True:
        found = natural.engd(walk.lin, tol=tol, relative=not absolute)
        walk.passes += 2  # the rows of J, and one combination of them
        if not walk.search([found.vector], [found.rank]):
            return
        yield


def sketched(walk: Walk, steps: int, key: int, *, passes: int, absolute: bool = True) -> Iterator[None]:
    """Algorithm 1, another sketch at every step; where no step is lower, the next sketch may know one."""
    sizes: dict[str, Any] = {}
    for t in range(steps):
        lin: Any = Rows(walk.lin.residual, walk.lin.jacobian.dense())
        tol = TOL if absolute else lin.shape[1] * np.finfo(np.float64).eps
        options: dict[str, Any] = {"passes": passes, "tol": tol, "relative": not absolute, "key": key, "stream": t}
        sizes = sizes or dict(zip(("rank", "oversampling"), natural.initial_sketch(lin, size=SKETCH, **options), strict=True))
        found = natural.sngd(lin, **sizes, **options)
        walk.passes += 1 + min(sum(sizes.values()), *lin.shape) * (passes + 1)
        sizes["rank"] = found.rank
        walk.search([found.vector], [found.rank])
        yield


def searched(walk: Walk, steps: int, key: int, *, space: str) -> Iterator[None]:
    """Ours: `natural.searched`, from the singular values of J or, without any array of n p entries, from the eigenvalues of K."""
    while True:
        lin: Any = Counted(walk.lin, walk)
        found = natural.searched(lin, loss=lambda d: walk.loss(walk.theta - d), theta=walk.theta, space=space)
        walk.passes += 1  # the rows of J
        if not found.rank:
            return
        walk.rank = found.rank
        walk.move(walk.theta - found.vector)
        yield


def continued(walk: Walk, steps: int, key: int) -> Iterator[None]:
    """Ours for transport, by continuation in the speed: a slower wave is learnt first, then time is stretched, again and again.

    A network with u = sin(x - c t) has sin(x - c' t) with the first layer's weights of t times c'/c, up to t = c/c': only what lies
    beyond is new. Each stage has as many Gauss points in time as its wave asks for.
    """
    whole, speed = walk.course, walk.course.problem.parameters()["c"]
    c, theta = min(FIRST, speed), walk.theta
    while c < speed:
        walk.course = whole.slower(c)
        walk.move(theta)
        for _ in zip(range(EACH), searched(walk, EACH, key, space="sample"), strict=False):
            yield
            if walk.loss_here < LEARNT:
                break
        further = min(speed, c * GROWTH, c + MOST)
        theta, c = stretched(whole.network, walk.theta, further / c), further
    walk.course = whole
    walk.move(theta)
    yield from searched(walk, steps, key, space="sample")


def stretched(network: MLP, theta: np.ndarray, ratio: float) -> np.ndarray:
    """θ of x, t ↦ u(x, `ratio` t) for a network u of x and t.

    >>> network = MLP([2, 3, 1], shift=0.5, scale=0.3)
    >>> theta = network.init(rng=17)
    >>> there, here = network(stretched(network, theta, 4.0), np.array([[0.2, 0.1]])), network(theta, np.array([[0.2, 0.4]]))
    >>> bool(np.allclose(there, here))
    True
    """
    layers = [(W.copy(), b.copy()) for W, b in network.unflatten(theta)]
    W, b = layers[0]
    b += (ratio - 1) * network.shift[1] / network.scale[1] * W[1]  # t is normalised: its zero is not the weights'
    W[1] *= ratio
    return network.flatten(layers)


@dataclass(frozen=True)
class Method:
    """A way down: what a figure calls it, and `descend(walk, steps, key)`, which yields after every step."""

    label: str
    descend: Callable[[Walk, int, int], Iterator[None]]


METHODS = {
    "adam": Method("Adam", first_order),
    "bfgs": Method("BFGS, L-BFGS", quasi_newton),
    "engd": Method("ENGD, cut p ε λ_max", partial(exact, absolute=False)),
    "cut": Method("ENGD, cut 1e-13", partial(exact, absolute=True)),
    "single": Method("SNGD, single pass", partial(sketched, passes=1)),
    "two": Method("SNGD, two passes", partial(sketched, passes=2)),
    "coarse": Method("SNGD, two passes, cut p ε λ_max", partial(sketched, passes=2, absolute=False)),
    "ours": Method("searched, singular values", partial(searched, space="rows")),
    "sample": Method("searched, kernel", partial(searched, space="sample")),
    "continued": Method("searched, time stretched", continued),
}


def measure(course: Course, method: str | Method, /, *, start: Sequence[int], steps: int, records: int, key: int) -> Arrays:
    """How `method` goes down: "step", "loss", "error" (relative L2), "rank" and "passes", (records + 1,) each.

    `start` is the seed of θ, so that methods may share it, and `key` that of the method's own chance. A run that ends early,
    because no step is lower, stands where it ended. "final" () is the rank of G at the end, above `TOL`, from the singular
    values of J; 0 where J cannot be held.
    """
    walk, error = (
        Walk(course, course.network.init(rng=np.random.default_rng(start))),
        relative_error(course.problem, course.network),
    )
    way = METHODS[method] if isinstance(method, str) else method
    when, descent = np.linspace(0, steps, records + 1).round().astype(int), way.descend(walk, steps, key)
    rows = []
    for t in range(steps + 1):
        if t in when:
            rows.append((t, walk.loss_here, error(walk.theta), walk.rank, walk.passes))
        if t < steps and next(descent, "over") == "over":
            last = (walk.loss_here, error(walk.theta), walk.rank, walk.passes)
            rows += [(s, *last) for s in when[len(rows) :]]
            break
    names = ("step", "loss", "error", "rank", "passes")
    found = dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))
    return found | {"final": np.array(float(walk.final()))}
