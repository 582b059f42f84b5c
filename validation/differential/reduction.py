"""A case made small: any simpler case that still fails takes its place, until none of the simpler ones does."""

from dataclasses import replace

import numpy as np
from drawn import as_case

import refntk as rn

BUDGET, FEW = 150, 8  # evaluations; neurons
SMALL = 200  # parameters: what is larger after that is given ten times as many, and loses its neurons in ever smaller groups


def reduced(case, fails, budget=BUDGET):
    """A case for which `fails(case)` is still true, smaller in points, layers, widths and digits."""
    case = _reduced(case, fails, budget, (fewer_points, fewer_layers, narrower, plainer, rounder))
    if case.theta.size > SMALL:
        case = _reduced(case, fails, 10 * budget, (fewer_layers, thinner, plainer, fewer_layers, thinner, rounder))
    return case


def _reduced(case, fails, budget, kinds):
    for moves in kinds:
        while budget > 0:
            for simpler in moves(case):
                budget -= 1
                if fails(simpler):
                    case = simpler
                    break
                if budget <= 0:
                    break
            else:
                break
    return case


def fewer_points(case):
    """One point of a term."""
    for name, x in case.points.items():
        if len(x) > 1:
            yield from (_with(case, points={**case.points, name: x[i : i + 1]}) for i in range(len(x)))


def fewer_layers(case):
    """One hidden layer less: its neighbours are joined as far as they have the same neurons."""
    if case.network is None:
        return
    layers, sizes = case.network.unflatten(case.theta), list(case.network.sizes)
    for i in range(1, len(sizes) - 1):
        if len(sizes) > 3:
            less = [*sizes[:i], *sizes[i + 1 :]]
            kept = [*layers[: i - 1], *layers[i:]] if i > 1 else [layers[0], *layers[2:]]
            yield _cut(case, less, kept)


def narrower(case):
    """Half of a hidden layer's neurons, the first or the last ones; of few, all but one."""
    if case.network is None:
        return
    for i, width in enumerate(case.network.sizes[1:-1], start=1):
        halves = [range(width // 2), range(width // 2, width)] if width > 1 else []
        singles = [[k for k in range(width) if k != j] for j in range(width)] if 2 < width <= FEW else []
        yield from (_without(case, i, [k for k in range(width) if k not in kept]) for kept in (*halves, *singles))


def thinner(case):
    """A hidden layer without some of its neurons: a half of them, a quarter, ... one."""
    if case.network is None:
        return
    sizes = case.network.sizes
    for i in sorted(range(1, len(sizes) - 1), key=lambda i: -sizes[i]):
        size = sizes[i] // 2
        while size:
            for start in range(0, sizes[i], size):
                yield _without(case, i, range(start, min(start + size, sizes[i])))
            size //= 2


def _without(case, i, gone):
    """The case without these neurons of layer i."""
    layers, sizes = case.network.unflatten(case.theta), list(case.network.sizes)
    kept = [k for k in range(sizes[i]) if k not in gone]
    (W, b), (V, c) = layers[i - 1], layers[i]
    less = [*layers[: i - 1], (W[:, kept], b[kept]), (V[kept], c), *layers[i + 1 :]]
    return _cut(case, [*sizes[:i], len(kept), *sizes[i + 1 :]], less)


def plainer(case):
    """Inputs as they are, no factors of layers."""
    network = case.network
    if network is None:
        return
    plain = {"shift": 0.0, "scale": 1.0, "parametrization": "standard", "output_scale": 1.0}
    kept = {name: getattr(network, name) for name in plain}
    for changed in ({"shift": 0.0, "scale": 1.0}, {"parametrization": "standard"}, {"output_scale": 1.0}):
        other = rn.MLP(network.sizes, activation=network.activation, **kept | changed)
        if other != network:
            yield _with(case, network=other)


def rounder(case):
    """Numbers of few digits: all of them, then one by one; 0 before ±1 before two digits."""
    for digits in (0, 1):
        theta = np.array([float(f"{value:.{digits}e}") for value in case.theta])
        points = {name: np.array([[float(f"{v:.{digits}e}") for v in row] for row in x]) for name, x in case.points.items()}
        if np.any(theta != case.theta) or any(np.any(points[name] != x) for name, x in case.points.items()):
            yield _with(case, theta=theta, points=points)
    for i, value in enumerate(case.theta):
        for simple in _simpler(value):
            theta = case.theta.copy()
            theta[i] = simple
            yield _with(case, theta=theta)
    for name, x in case.points.items():
        for at, value in np.ndenumerate(x):
            for simple in _simpler(value):
                moved = x.copy()
                moved[at] = simple
                yield _with(case, points={**case.points, name: moved})


def _simpler(value):
    """Simpler numbers than this one; none is simpler than 0, only 0 than 1."""
    candidates = [0.0, 1.0, -1.0, float(f"{value:.0e}"), float(f"{value:.1e}")]
    rank = candidates.index(value) if value in candidates else len(candidates)
    return dict.fromkeys(candidates[:rank])


def _cut(case, sizes, layers):
    """A network of these sizes with as much of each layer as fits, zeros beyond."""
    network = case.network
    like = {name: getattr(network, name) for name in ("activation", "parametrization", "output_scale", "shift", "scale")}
    cut = []
    for (W, b), fan_in, fan_out in zip(layers, sizes, sizes[1:], strict=False):
        wide = np.zeros((fan_in, fan_out)), np.zeros(fan_out)
        part = W[:fan_in, :fan_out]
        wide[0][: part.shape[0], : part.shape[1]], wide[1][: len(b[:fan_out])] = part, b[:fan_out]
        cut.append(wide)
    other = rn.MLP(sizes, **like)
    return _with(case, network=other, theta=other.flatten(cut))


def _with(case, **changed):
    found = replace(case, **changed)
    return as_case(found.problem, found.network, found.theta, found.points, found.name)
