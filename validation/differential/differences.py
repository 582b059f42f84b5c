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
    number of their term, row or pair of terms (as `refntk.vectors.truth.scales`, in floats). Where even that moves a quantity by a
    sixteenth, its digits are chance: it is undetermined.
    """
    reference = CONTENDERS["reference"]
    base = reference(case)
    change = {name: np.zeros(np.shape(value)) for name, value in base.items()}
    for sample in range(SAMPLES):
        moved = reference(shifted(case, sample))
        for name, value in base.items():
            change[name] += (moved[name] - value) ** 2 / SAMPLES
    change = {name: np.sqrt(square) for name, square in change.items()}
    undetermined = tuple(name for name in QUANTITIES if not _determined(base[name], change[name]))
    return grouped(case, {name: np.abs(value) + change[name] / SHIFT for name, value in base.items()}), undetermined


def _determined(value, change):
    """Whether digits are left; that weights are refused is an answer as well."""
    return bool(np.isnan(value).all()) or bool(np.max(change) <= np.max(np.abs(value)) / 16)


def shifted(case, sample):
    """The case with every input moved."""
    signs = np.random.Generator(np.random.Philox(key=sample)).integers
    box = np.maximum(np.abs(case.problem.domain.lower), np.abs(case.problem.domain.upper))

    def moved(x, size):
        return x + SHIFT * size * (2 * signs(2, size=x.shape) - 1)

    points = {name: moved(x, np.maximum(np.abs(x), box)) for name, x in case.points.items()}
    return replace(case, theta=moved(case.theta, np.abs(case.theta)), points=points)


def grouped(case, size):
    """The sizes of entries, shared within groups."""
    counts = [len(case.points[term.name]) * term.components for term in case.problem.terms]
    term_of = np.repeat(np.arange(len(counts)), counts)

    def by_term(values):
        return np.array([values[term_of == k].max() for k in range(len(counts))])[term_of]

    R, root = by_term(size["residual"]), np.sqrt(by_term(np.diagonal(size["ntk"])))
    row = size["jacobian"].max(axis=1, keepdims=True)
    gradient = np.full(size["gradient"].shape, size["gradient"].max() + np.sum(root * R))
    found = {"residual": R, "jacobian": np.broadcast_to(row, size["jacobian"].shape), "ntk": np.outer(root, root)}
    return found | {"traces": size["traces"], "gradient": gradient, "weights": size["weights"]}


def entrywise(a, b, scale):
    """`|a - b| / (u · scale)`; infinite where only one is a number. No scale is below the range of full precision."""
    with np.errstate(all="ignore"):
        found = np.abs(a - b) / UNIT / np.maximum(scale, SMALLEST)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
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


def disagreements(errors, undetermined):
    """`[(pair, quantity), ...]` beyond the tolerance, in the order of a derivation."""
    judged = [quantity for quantity in QUANTITIES if quantity not in undetermined]
    return [(pair, q) for q in judged for pair, of in errors.items() if not of[q] <= TOLERANCE]


def odd(found):
    """The fewest contenders without whom all others agree: who is odd, though not yet who is wrong."""
    edges = {frozenset(pair.split("-")) for pair, _ in found}
    names = sorted(
        {name for edge in edges for name in edge}, key=list(CONTENDERS).index, reverse=True
    )  # refntk last: it is judged too
    for count in range(len(names) + 1):
        for chosen in combinations(names, count):
            if all(edge & set(chosen) for edge in edges):
                return tuple(sorted(chosen))
    return ()
