"""The quantities of a case, by the reference lines: in floats, or in balls; and the scales by which their errors are measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from .. import arrays
from ..arrays import Array, Namespace
from ..calculus.jet import Operator
from ..calculus.polynomial import Polynomial
from ..engine import get as get_engine
from ..errors import TraceError
from ..estimation import sketch
from ..estimation.average import average, moving_average
from ..estimation.probes import rademacher
from ..kernel.linearization import linearize
from ..kernel.ntk import ntk, ntk_spectrum, ntk_traces
from ..kernel.operator import Linearization
from ..kernel.residual import Patch
from ..natural import engd
from ..problems.base import DirectProblem, Term
from ..weights import RULES, trace_ratio
from .case import Case, Want

JACOBIAN_MOST, GRADIENT_MOST, AVERAGE_MOST = 200, 120, 8  # entries, parameters, rows: beyond, a quantity is left out
CONDITION_MOST = 2.0**30  # of K or of JᵀJ: beyond, double precision leaves a direction six digits or fewer
SAMPLES, SHIFT, SCALE_BITS, MOST_BITS = 4, 2.0**-40, 192, 3072  # of the inputs' perturbations, from which scales follow


def derivatives(term: Term) -> list[tuple[int, ...]]:
    """The exponents of the derivatives of u in a term's operators, sorted: what `jets/<term>` holds along its first axis."""
    return sorted({exponents for operator in term.operators for exponents, _ in operator.terms})


def quantities(
    case: Case, /, *, engine: str = "reference", convert: Callable[[np.ndarray], Array] | None = None
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """`({quantity: array}, names of the weights that do not exist)`. `convert` makes arrays of another library of the inputs.

    The names: `residual`, `jets/<term>` (derivatives, sites, points, outputs), `jacobian`, `ntk`, `traces`, `spectrum` (largest
    first), `gradient` Jᵀ Λ R, `weights/<rule>` (terms,); for the probes G `products` K G, `products_forward` and `products_central`
    with the step dt; and of the forward ones `trace_means`, `trace_errors` (standard errors), `sketched_weights`, and Algorithm
    3 with the first column as start and the others as samples, `average_ntk` and `average_traces`. Without `convert` there is
    `direction` J⁺R as well, by ENGD: its eigenvectors are nothing that balls have.
    """
    made = convert or (lambda array: array)
    theta, probes = made(case.theta), made(case.probes)
    points, options, lin = _linearized(case, engine, made)
    xp = arrays.namespace(theta)
    R, K, traces = lin.residual, ntk(lin), ntk_traces(lin)
    n, p = lin.shape
    found: dict[str, Array] = {"residual": R, "ntk": K, "traces": _vector(traces, xp), "spectrum": ntk_spectrum(lin)}
    if not isinstance(case.problem, DirectProblem):
        found |= {f"jets/{term.name}": _jets(term, case, theta, points, engine, xp) for term in case.problem.terms}
    if n * p <= JACOBIAN_MOST:
        found["jacobian"] = lin.jacobian.dense()
    if p <= GRADIENT_MOST:
        rows = [block.stop - block.start for block in lin.blocks.values()]
        found["gradient"] = lin.jacobian.T @ (made(np.repeat(case.loss_weights, rows)) * R)
        if convert is None:
            found["direction"] = engd(lin).vector
    refused = []

    def weigh(name: str, rule: Callable[[], Mapping[str, Any]]) -> None:
        try:
            found[name] = _vector(rule(), xp)
        except TraceError:
            refused.append(name)

    if case.scaling == "sum":
        for name, rule in RULES.items():
            weigh(f"weights/{name}", lambda rule=rule: rule(K, R, lin.blocks))  # type: ignore[misc]

    def products(dt: float | None, difference: str = "forward") -> Array:
        return sketch.products(case.problem, case.network, theta, points, probes, dt, difference=difference, **options)

    Z = products(case.dt)
    found |= {"products": products(None), "products_forward": Z, "products_central": products(case.dt, "central")}
    estimates = sketch.estimate_traces(probes, Z, lin.blocks)
    means = {name: estimate.value for name, estimate in estimates.items()}
    found["trace_means"] = _vector(means, xp)
    found["trace_errors"] = _vector({name: estimate.stderr for name, estimate in estimates.items()}, xp)
    weigh("sketched_weights", lambda: trace_ratio(means))
    samples = [(probes[:, j : j + 1], Z[:, j : j + 1]) for j in range(probes.shape[1])]
    columns = [{k: e.value for k, e in sketch.estimate_traces(g, z, lin.blocks).items()} for g, z in samples]
    *_, last = accumulate(columns, lambda old, new: moving_average(old, new, case.alpha))
    found["average_traces"] = _vector(last, xp)
    if n <= AVERAGE_MOST:
        mean = sketch.estimate_ntk(*samples[0])
        primitive = get_engine(engine, xp=xp).average if engine != "reference" else average
        for g, z in samples[1:]:
            mean = primitive(mean, z[:, 0], g[:, 0], case.alpha, xp=xp)
        found["average_ntk"] = mean
    return found, tuple(refused)


def _linearized(
    case: Case, engine: str, convert: Callable[[np.ndarray], Array]
) -> tuple[dict[str, Array], dict[str, Any], Linearization]:
    """The points, the options and the linearization of a case."""
    points = {name: convert(x) for name, x in case.points.items()}
    options: dict[str, Any] = {"scaling": case.scaling, "engine": engine}
    if case.quadrature is not None:
        options["quadrature"] = {name: convert(w) for name, w in case.quadrature.items()}
    return points, options, linearize(case.problem, case.network, convert(case.theta), points, **options)


def _vector(values: Mapping[str, Any], xp: Namespace) -> Array:
    """`{term: number}` as an array (terms,)."""
    return xp.stack([xp.asarray(value) for value in values.values()])


def _jets(term: Term, case: Case, theta: Array, points: Mapping[str, Array], engine: str, xp: Namespace) -> Array:
    """Every derivative of u that the term's operators hold, (derivatives, sites, points, outputs)."""
    assert case.network is not None
    monomials: list[Operator] = [Polynomial.collect([(e, 1)], len(e)) for e in derivatives(term)]
    patch = Patch(replace(term, operators=tuple(monomials)), case.network, points[term.name], 1.0, slice(0), False)
    evaluation = patch.forward(case.network.layers(theta), engine=get_engine(engine, xp=xp), xp=xp)
    return xp.stack(list(evaluation.fields))


def certified(case: Case) -> Case:
    """`case` with what it wants, certified. Cost: some six evaluations in balls."""
    from .. import balls

    refused: tuple[str, ...] = ()

    def evaluated() -> Mapping[str, Array]:
        nonlocal refused
        found, refused = quantities(case, convert=balls.exact)
        return found

    scale = scales(case)
    found = balls.certify(evaluated, scale=scale)
    if np.any(np.abs(found["trace_means"].mid) < 2.0**-30 * scale["trace_means"]):  # in floats, even their signs are chance
        found.pop("sketched_weights", None)
        refused = tuple(name for name in refused if name != "sketched_weights")
    smallest = found["spectrum"].mid[min(found["ntk"].mid.shape[0], case.theta.size) - 1]
    if case.theta.size <= GRADIENT_MOST and smallest * CONDITION_MOST > scale["spectrum"][0]:
        found |= balls.certify(lambda: {"direction": _regular_direction(case)})
        scale["direction"] = _direction_scale(found["direction"].mid, scale, smallest)
    want = {name: Want(e.mid, e.lower, e.upper, np.broadcast_to(scale[name], e.mid.shape)) for name, e in found.items()}
    signs = {"NegativeKernelEntry": np.any(want["ntk"].upper < 0), "NegativeSample": np.any(want["trace_means"].upper < 0)}
    flags = (*case.flags, *(flag for flag, holds in signs.items() if holds))
    return replace(case, want=want, refused=refused, flags=flags)


def _regular_direction(case: Case) -> Array:
    """J⁺R in balls, where K, or for more rows than parameters G = JᵀJ, is regular: `JᵀK⁻¹R` or `G⁻¹JᵀR`."""
    from .. import balls

    _, _, lin = _linearized(case, "reference", balls.exact)
    xp, J, R = arrays.namespace(lin.residual), lin.jacobian.dense(), lin.residual
    return J.T @ xp.linalg.solve(ntk(lin), R) if lin.shape[0] <= lin.shape[1] else xp.linalg.solve(J.T @ J, J.T @ R)


def _direction_scale(d: np.ndarray, scale: Mapping[str, np.ndarray], smallest: float) -> np.ndarray:
    """What K, J and R, each off by a unit of its scale, make of a direction: the condition of K times |d|, and R's share.

    `δ(JᵀK⁻¹R) = δJᵀ K⁻¹R - JᵀK⁻¹ δK K⁻¹R + JᵀK⁻¹ δR`, in norms with ‖J⁺‖ = λ^(-1/2), λ the smallest eigenvalue that is not 0.
    """
    K, J = scale["spectrum"][0], np.sqrt(np.trace(scale["ntk"]))
    size = (1 + K / smallest) * np.linalg.norm(d) + J * np.linalg.norm(scale["residual"]) / smallest
    return _rounded_up(np.full(d.shape, size))


def scales(case: Case) -> dict[str, np.ndarray]:
    """The scale of an error in each quantity: its size plus what rounding the inputs would do to it, in units of rounding.

    θ is multiplied by 1 ± 2⁻⁴⁰ and points are moved by that much of their box, all signs at random and fixed, four times over;
    the root mean square of the change over 2⁻⁴⁰ estimates the componentwise condition (Kenney & Laub 1994), and a backward stable
    evaluation errs by a few units of it. An entry shares the largest such number of its group: its term, its row of J, its pair of
    terms in K. A difference quotient adds what rounding R by one unit does to it; K g and Jᵀ Λ R are sums, and have the sum of
    the sizes of what is summed. Rounded up to five bits.
    """
    from .. import balls

    bits = SCALE_BITS
    while True:
        try:
            with balls.precision(bits):
                return {name: _rounded_up(group) for name, group in _grouped(case, _sizes(case)).items()}
        except balls.Undecided:
            if (bits := 2 * bits) > MOST_BITS:
                raise


def _sizes(case: Case) -> dict[str, np.ndarray]:
    """|value| plus the root mean square of its change, entry by entry."""
    from .. import balls

    base, _ = quantities(case, convert=balls.exact)
    square = {name: np.zeros(value.shape) for name, value in base.items()}
    for sample in range(SAMPLES):
        moved, _ = quantities(_moved(case, sample), convert=balls.exact)
        for name, value in base.items():
            square[name] += balls.midpoints((moved[name] - value) / SHIFT) ** 2 / SAMPLES
    return {name: np.abs(balls.midpoints(value)) + np.sqrt(square[name]) for name, value in base.items()}


def _moved(case: Case, sample: int) -> Case:
    """The case with every number of θ moved by ± 2⁻⁴⁰ of itself, and every coordinate by ± 2⁻⁴⁰ of what it may become."""
    box = np.maximum(np.abs(case.problem.domain.lower), np.abs(case.problem.domain.upper))
    inputs = [case.theta, *case.points.values()]
    sizes = [np.abs(case.theta), *(np.maximum(np.abs(x), box) for x in case.points.values())]
    signs = rademacher(sum(x.size for x in inputs), 1, key=sample)[:, 0]
    ends = [*accumulate(x.size for x in inputs)]
    theta, *points = (
        x + SHIFT * size * signs[end - x.size : end].reshape(x.shape) for x, size, end in zip(inputs, sizes, ends, strict=True)
    )
    return replace(case, theta=theta, points=dict(zip(case.points, points, strict=True)))


def _grouped(case: Case, size: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The sizes of entries, shared within groups; difference quotients with what cancellation costs them."""
    terms: list[int] = []
    for i, term in enumerate(case.problem.terms):
        terms += [i] * (case.points[term.name].shape[0] * term.components)
    term_of = np.array(terms)

    def by_term(values: np.ndarray) -> np.ndarray:
        """The largest over the rows of a term, for each column."""
        largest = np.stack([values[term_of == i].max(axis=0) for i in range(len(case.problem.terms))])
        return largest[term_of]

    R, root = by_term(size["residual"]), np.sqrt(by_term(np.diagonal(size["ntk"])))
    K = root[:, None] * root[None, :]
    quotient = 2 * R[:, None] / case.dt
    found = dict(size)
    found |= {"residual": R, "ntk": K}
    for name, extra in (("products", 0.0), ("products_forward", quotient), ("products_central", quotient)):
        found[name] = by_term(size[name]) + K @ np.abs(case.probes) + extra
    found["spectrum"] = np.full(size["spectrum"].shape, np.sqrt(np.sum(K**2)))
    for name in size:
        if name.startswith("jets/"):
            found[name] = np.broadcast_to(size[name].max(axis=(1, 2, 3), keepdims=True), size[name].shape)
    if "gradient" in size:  # a sum over the rows, whose entries are no larger than their norms
        weights = np.repeat(case.loss_weights, np.bincount(term_of))
        found["gradient"] = np.full(size["gradient"].shape, size["gradient"].max() + np.sum(root * weights * R))
    if "jacobian" in size:
        found["jacobian"] = np.broadcast_to(size["jacobian"].max(axis=1, keepdims=True), size["jacobian"].shape)
    noise = np.abs(case.probes) * found["products_forward"]  # (n, N): of one row's share in one sample of a trace
    share = np.stack([noise[term_of == i].sum(axis=0).max() for i in range(len(case.problem.terms))])
    found |= {"trace_means": share, "trace_errors": share, "average_traces": share}
    if "average_ntk" in size:
        Z = found["products_forward"].max(axis=1)
        found["average_ntk"] = (Z[:, None] + Z[None, :]) / 2 * np.abs(case.probes).max()
    if "sketched_weights" in size:
        means = np.abs(size["trace_means"])
        found["sketched_weights"] = size["sketched_weights"] * (1 + np.max(share / means))
    return found


def _rounded_up(values: np.ndarray) -> np.ndarray:
    """To five bits, upwards: short to write, and the same on every machine."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.ceil(mantissa * 32) / 32, exponent)
