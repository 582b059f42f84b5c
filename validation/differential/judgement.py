"""Who is right: ball arithmetic, of a case as it was drawn and of one made small."""

import numpy as np
from contenders import CONTENDERS, QUANTITIES
from differences import SMALLEST, TOLERANCE, compared, disagreements, entrywise, scales
from drawn import Recipe
from reduction import SMALL, reduced

import refntk as rn
from refntk import balls
from refntk.errors import TraceError

EACH = 16  # entries in which a pair is judged


def found_in(record):
    """The disagreements of a record."""
    errors = {pair: {q: np.inf if e is None else e for q, e in of.items()} for pair, of in record["errors"].items()}
    return disagreements(errors)


def verdict(record):
    """Every quantity of a case in which two contenders differ, each contender beside the exact numbers."""
    case = Recipe(**record["recipe"]).case()
    found = {quantity for _, quantity in found_in(record)}
    return {"case": record["case"], "judged": judgements(case, [q for q in QUANTITIES if q in found])}


def judgements(case, quantities, contenders=CONTENDERS):
    """`{quantity: judgement}`: who is wrong, the largest error of each, and one entry with what is exact and what they gave.

    Judged are the entries in which two of them differ most, 16 for each pair.
    """
    with np.errstate(all="ignore"):
        got = {name: contender(case) for name, contender in contenders.items()}
        scale, _ = scales(case)
    return {q: judgement(case, q, {name: of[q] for name, of in got.items()}, scale[q]) for q in quantities}


def judgement(case, quantity, got, scale):
    """One quantity."""
    scale = np.broadcast_to(scale, np.shape(got["reference"]))
    entries = differing(got, scale)
    try:
        exact = certified(case, quantity, scale, entries)
    except (balls.Undecided, TraceError) as why:
        return {"undecided": str(why)}
    errors = {name: entrywise(value.ravel()[entries], exact, scale.ravel()[entries]) for name, value in got.items()}
    largest = {name: float(np.max(of)) for name, of in errors.items()}
    worst = int(np.argmax(np.max(list(errors.values()), axis=0)))
    return {
        "wrong": [name for name, value in largest.items() if not value <= TOLERANCE],
        "errors": {name: number(value) for name, value in largest.items()},
        "entry": [int(i) for i in np.unravel_index(entries[worst], scale.shape)],
        "exact": number(exact[worst]),
        "got": {name: number(value.ravel()[entries[worst]]) for name, value in got.items()},
        "scale": number(scale.ravel()[entries[worst]]),
    }


def number(value):
    """As JSON has it: null for what is no number."""
    return float(value) if np.isfinite(value) else None


def differing(got, scale):
    """The places, in a flat array, at which a pair differs most."""
    values, found = list(got.values()), set()
    for i, a in enumerate(values):
        for b in values[:i]:
            errors = entrywise(a, b, scale).ravel()
            found.update(np.argsort(-errors, kind="stable")[:EACH].tolist())
    return np.array(sorted(found))


def certified(case, quantity, scale, entries):
    """The floats nearest to what is true at these places: refntk's reference lines in ball arithmetic."""

    def evaluated():
        theta, points = balls.exact(case.theta), balls.exact(case.points)
        lin = rn.linearize(case.problem, case.network, theta, points)
        quantities = {
            "residual": lambda: lin.residual,
            "jacobian": lambda: lin.jacobian.dense(),
            "ntk": lambda: rn.ntk(lin),
            "traces": lambda: balls.exact(list(rn.ntk_traces(lin).values())),
            "gradient": lambda: lin.jacobian.T @ lin.residual,
            "weights": lambda: balls.exact(list(rn.weights.trace_ratio(rn.ntk_traces(lin)).values())),
        }
        found = quantities[quantity]()
        return {quantity: balls.Balls(found.entries.ravel()[entries])}

    scale = np.maximum(scale.ravel()[entries], SMALLEST)
    return balls.certify(evaluated, scale={quantity: scale})[quantity].mid


def finding(record, pair, quantity):
    """A case made small, with what each contender says of it and what is true."""
    pair_of = {name: CONTENDERS[name] for name in pair.split("-")}

    def fails(case):
        return not compared(case, pair_of)[0][pair][quantity] <= TOLERANCE

    case = reduced(Recipe(**record["recipe"]).case(), fails)
    network = case.network
    return {
        "from case": record["case"],
        "quantity": quantity,
        "problem": case.problem.name,
        "parameters": record["recipe"]["parameters"],
        "network": network and described(network),
        "theta": case.theta[:SMALL].tolist(),
        "points": {name: x.tolist() for name, x in case.points.items()},
    } | judgements(case, [quantity]).get(quantity, {})


def described(network):
    """As arguments of `refntk.MLP`."""
    kept = ("sizes", "parametrization", "output_scale", "shift", "scale")
    return {name: getattr(network, name) for name in kept} | {"activation": network.activation.name}
