"""How far two of them are apart, in units of rounding of a scale that says how well the inputs determine each number."""

from dataclasses import replace
from itertools import combinations

import numpy as np
from contenders import CONTENDERS, QUANTITIES

UNIT, TOLERANCE = 2.0**-53, 60.0  # twice what `refntk check` allows one of them
SHIFT, SAMPLES = 2.0**-44, 4
SMALLEST = 2.0**-1022 / UNIT
PAIRS = tuple(combinations(CONTENDERS, 2))


def scales(case):
    """`({quantity: scale}, undetermined)`: the size of a number plus the root mean square of its change over the inputs' change.

    The inputs change by 2⁻⁴⁴ of themselves, points by that much of their box, signs at random and fixed; entries share the largest
    number of their term, row or pair of terms (as `refntk.vectors.truth.scales`, in floats). Where even that moves one of them by a
    sixteenth of the largest, their digits are chance, as those of the cosine of 1e12: the scale is infinite, the quantity named.
    Nothing is squared before it is divided by the largest of its kind: a residual may be 1e-209, or 1e180.
    """
    reference = CONTENDERS["reference"]
    base, moved = reference(case), [reference(shifted(case, sample)) for sample in range(SAMPLES)]
    J, others = base["jacobian"], [other["jacobian"] for other in moved]
    change = {name: _root_mean_square([other[name] - value for other in moved]) for name, value in base.items()}
    sizes = grouped(case, {name: np.abs(value) for name, value in base.items()}, _roots(J, []))
    scale = grouped(case, {name: np.abs(value) + change[name] / SHIFT for name, value in base.items()}, _roots(J, others))
    chance = {name: ~(change[name] <= sizes[name] / 16) for name in QUANTITIES}
    chance["weights"] &= ~np.isnan(base["weights"])  # that there are none is an answer as well
    chance = grouped(case, {name: of.astype(float) for name, of in chance.items()}, None)
    undetermined = tuple(name for name in QUANTITIES if np.any(chance[name]))
    return {name: np.where(chance[name] > 0, np.inf, scale[name]) for name in QUANTITIES}, undetermined


def _root_mean_square(values, axis=0):
    """Along an axis."""
    most = np.max(np.abs(values), axis=axis, keepdims=True, initial=0.0)
    most = np.where((most > 0) & np.isfinite(most), most, 1.0)
    return np.squeeze(most, axis) * np.sqrt(np.mean((np.asarray(values) / most) ** 2, axis=axis))


def _roots(J, moved):
    """√(K_ii + its change / 2⁻⁴⁴) from rows of J, whose squares may not be numbers."""
    norm, *others = (_root_mean_square(rows, axis=1) * rows.shape[1] ** 0.5 for rows in (J, *moved))
    if not others:
        return norm
    most = np.max([norm, *others], axis=0)
    most = np.where((most > 0) & np.isfinite(most), most, 1.0)
    change = _root_mean_square([(other - norm) / most * ((other + norm) / most) for other in others])
    return most * np.sqrt((norm / most) ** 2 + change / SHIFT)


def shifted(case, sample):
    """The case with every input moved."""
    signs = np.random.Generator(np.random.Philox(key=sample)).integers
    box = np.maximum(np.abs(case.problem.domain.lower), np.abs(case.problem.domain.upper))

    def moved(x, size):
        return x + SHIFT * size * (2 * signs(2, size=x.shape) - 1)

    points = {name: moved(x, np.maximum(np.abs(x), box)) for name, x in case.points.items()}
    return replace(case, theta=moved(case.theta, np.abs(case.theta)), points=points)


def grouped(case, size, roots):
    """The sizes of entries, shared within groups; a pair of terms in K has at least the product of the `roots` of its diagonal.

    The diagonal alone would not do: where a row of J is ill conditioned and another is not, the product of roots grows like a root
    of the condition number, and the entries between them like that number itself.
    """
    counts = [len(case.points[term.name]) * term.components for term in case.problem.terms]
    term_of = np.repeat(np.arange(len(counts)), counts)

    def by_term(values):
        return np.array([values[term_of == k].max(axis=0) for k in range(len(counts))])[term_of]

    R = by_term(size["residual"])
    K = by_term(by_term(size["ntk"]).T).T
    if roots is not None:
        K = np.maximum(K, np.outer(by_term(roots), by_term(roots)))
    row = size["jacobian"].max(axis=1, keepdims=True)
    gradient = size["gradient"].max() + (0.0 if roots is None else np.sum(by_term(roots) * R))
    found = {"residual": R, "jacobian": np.broadcast_to(row, size["jacobian"].shape), "ntk": K}
    return found | {"traces": size["traces"], "gradient": np.full(size["gradient"].shape, gradient), "weights": size["weights"]}


def entrywise(a, b, scale):
    """`|a - b| / (u · scale)`; infinite where only one is a number, 0 where that is chance. No scale is below full precision."""
    with np.errstate(all="ignore"):
        found = np.abs(a - b) / UNIT / np.maximum(scale, SMALLEST)
    same = (a == b) | (np.isnan(a) & np.isnan(b)) | np.isinf(scale)
    return np.where(same, 0.0, np.where(np.isnan(found), np.inf, found))


def error(a, b, scale):
    """The largest of all entries."""
    return float(np.max(entrywise(a, b, scale), initial=0.0))


def compared(case, contenders=CONTENDERS):
    """`({pair: {quantity: error}}, undetermined)` of all pairs."""
    with np.errstate(all="ignore"):
        found = {name: contender(case) for name, contender in contenders.items()}
        scale, undetermined = scales(case)
    pairs = combinations(contenders, 2)
    return {f"{a}-{b}": {q: error(found[a][q], found[b][q], scale[q]) for q in QUANTITIES} for a, b in pairs}, undetermined


def disagreements(errors):
    """`[(pair, quantity), ...]` beyond the tolerance, in the order of a derivation."""
    return [(pair, q) for q in QUANTITIES for pair, of in errors.items() if not of[q] <= TOLERANCE]
