"""How much of the spectrum to trust, searched: one factorisation, many directions, and the loss says which is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from .. import arrays
from ..arrays import Array
from ..errors import InvalidInput, UnknownNameError
from ..kernel.ntk import ntk
from ..kernel.operator import Linearization
from .search import line_search
from .truncation import Direction, rank

DENSE = 30_000_000  # entries of J (240 MB) up to which its singular values are the default
CUTS = {"rows": (1e-22, 1e-19, 1e-16, 1e-13), "sample": (1e-15, 1e-14, 1e-13)}  # as fine as each space can tell from rounding
DAMPINGS = tuple(10.0**-k for k in range(2, 17))
WORTH = 0.8  # of the loss: a direction that gets below this is not followed by another
SHORT, LITTLE = 2.0**-8, 0.999  # step lengths and shares of the loss that lead nowhere
WORSE = 3  # dampings in a row that are worse than the best, after which the rest is left out


def searched(
    lin: Linearization,
    /,
    *,
    loss: Callable[[Array], float] | None = None,
    theta: Array | None = None,
    radius: float = 1.0,
    cuts: Sequence[float] | None = None,
    dampings: Sequence[float] = DAMPINGS,
    space: str | None = None,
) -> Direction:
    """The step d, its length included, that lowers `loss(d)`, the loss at θ - d, furthest among truncated and damped directions.

    With `J = U S Vᵀ`, `d = V S⁻¹ φ Uᵀ r`. First φ cuts: it is 1 where S² is above `cuts` times the largest, 0 elsewhere, and the
    step lengths are 1, ½, ...; the finest cut comes first, and where the loss falls by a fifth of ½‖r‖² no other is tried. If all
    good steps are at most 2^-8 and win less than a thousandth of it, truncated directions lead nowhere here, and φ = S²/(S² + μ),
    Levenberg's, is tried with μ of `dampings` times the largest S²: the more damping, the more the direction turns towards the
    gradient. (Tried always, it wins steps and loses the race: Poisson's equation, 4×20, 14×14 Gauss points, is at 1e-3 after 50
    steps, not at its floor.) If nothing is lower, d = 0, of rank 0.

    Where `theta` is given and is not 0, directions longer than `radius` ‖θ‖ are shortened to that before they are tried. Of a new
    network the finest cuts ask for hundreds of ‖θ‖; such a step may lower the loss and saturate tanh for good. Of twelve starts of
    Poisson's equation, 4×20, 20×20 points, 60 steps, two ended at 2e-6 and 1.6 with an infinite radius, none above 5e-8 with 1.

    `space="rows"` takes the singular values of J, n p numbers, whose condition number is not squared; "sample" the eigenvalues of
    K, n² numbers, known to ε of the largest, so that its cuts end at 1e-15; None the rows if they have at most 3e7 entries. Without
    a `loss` it is that of the linear model, ½‖r - J d‖². A network with few parameters wants coarse cuts: 2-12-12-1 on heat is at
    1e-3 in 30 steps with 1e-10 alone, at 2e-2 with the default. Raises `InvalidInput`. Cost: n p min(n, p) or n³, and the losses.

    >>> import numpy as np, refntk as rn
    >>> problem, network = rn.problems.get("poisson1d"), rn.MLP([1, 1])
    >>> points, theta = {"interior": [[0.3]], "boundary": [[0.0], [2.0]]}, np.array([2.0, 0.5])
    >>> def loss(d):  # u = w x + b, zero at both ends
    ...     return float(np.sum(rn.linearize(problem, network, theta - d, points).residual ** 2)) / 2
    >>> np.round(searched(rn.linearize(problem, network, theta, points), loss=loss).vector, 12)
    array([2. , 0.5])
    """
    if space not in (None, *CUTS):
        raise UnknownNameError("space", space, CUTS)
    n, p = lin.shape
    space = space or ("rows" if n * p <= DENSE else "sample")
    cuts = CUTS[space] if cuts is None else cuts
    for name, shares in (("cuts", cuts), ("dampings", dampings)):
        if any(isinstance(share, bool) or not isinstance(share, float) or not 0 <= share < float("inf") for share in shares):
            raise InvalidInput(name, repr(shares), "give shares of the largest eigenvalue, floats that are not negative")
    if isinstance(radius, bool) or not isinstance(radius, int | float) or not radius > 0:
        raise InvalidInput("radius", repr(radius), "give the length of the longest step as a share of that of theta, above 0")
    xp, J, r = arrays.namespace(lin.residual), lin.jacobian, lin.residual
    furthest = math.inf
    if theta is not None:
        arrays.check_shape("theta", theta := arrays.as_floats("theta", theta), (p,))
        furthest = radius * float(xp.linalg.vector_norm(theta)) or math.inf

    def linear(d: Array) -> float:
        return float(xp.sum((r - J @ d) ** 2)) / 2

    def within(d: Array) -> Array:
        length = float(xp.linalg.vector_norm(d))
        return d * (furthest / length) if length > furthest else d

    measure = linear if loss is None else loss
    eigenvalues, direction = _factored(lin, space)
    here = measure(still := arrays.zeros((p,), r, xp=xp))
    promised = float(xp.sum(r * r)) / 2  # by the linear model, at most: an energy's value says nothing, it has no zero
    lowest, best, longest = here, Direction(still, eigenvalues, 0), 0.0
    for cut in cuts:
        kept = rank(eigenvalues, tol=cut)
        d = within(direction(xp.astype(eigenvalues > cut * eigenvalues[0], r.dtype)))
        step, found = line_search(lambda x: measure(-x), still, d, start=here, exhaustive=False)
        if found < lowest:
            lowest, best, longest = found, Direction(step * d, eigenvalues, kept), max(longest, step)
        if lowest < here - (1 - WORTH) * promised:
            break
    if longest > SHORT or lowest < here - (1 - LITTLE) * promised:
        return best
    worse = 0
    for damping in dampings:
        d = within(direction(eigenvalues / (eigenvalues + damping * eigenvalues[0])))
        worse += 1
        if (found := measure(d)) < lowest:
            lowest, best, worse = found, Direction(d, eigenvalues, eigenvalues.shape[0]), 0
        elif best.rank and worse == WORSE:
            break
    return best


def _factored(lin: Linearization, space: str) -> tuple[Array, Callable[[Array], Array]]:
    """Eigenvalues of G, largest first, none negative, and the direction that filters φ of them make."""
    xp, r = arrays.namespace(lin.residual), lin.residual
    if space == "rows":
        U, s, Vh = xp.linalg.svd(lin.jacobian.dense(), full_matrices=False)
        b = _over(U.T @ r, s)
        return s * s, lambda phi: Vh.T @ (phi * b)
    eigenvalues, V = xp.linalg.eigh(ntk(lin))
    eigenvalues, V = xp.flip(xp.where(eigenvalues > 0, eigenvalues, xp.zeros_like(eigenvalues))), xp.flip(V, axis=1)
    b = _over(V.T @ r, eigenvalues)
    return eigenvalues, lambda phi: lin.jacobian.T @ (V @ (phi * b))


def _over(numerator: Array, denominator: Array) -> Array:
    """The quotient, 0 where the denominator is."""
    xp = arrays.namespace(denominator)
    none = denominator == 0
    return xp.where(none, xp.zeros_like(numerator), numerator / xp.where(none, xp.ones_like(denominator), denominator))
