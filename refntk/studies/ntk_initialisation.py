"""Zhou & Yan 2024, Theorems on initialisation: from which s on does the kernel of a network with `N^-s` converge?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np

from ..kernel.limits import limit
from .figure import DASHED, LINE, POINTS, Curves, Figure, Series
from .rates import Mean, mean
from .shallow import fields, kernels, together
from .study import Arrays, Cell, Claim, Outcome, Study
from .widths import BIAS, BLOCKS, RANDOM, few, network, norms, order, published, start, typical, vanishing

CLASSES = {
    "poisson1d": "linear",
    "eikonal": "nonlinear, homogeneous",
    "sine_gordon": "no polynomial",
    "kdv": "polynomial, not homogeneous",
    "nonlinear": "polynomial, not homogeneous",
}
OTHERS = ("poisson1d", "sine_gordon")  # on which other activations are tried
FALLING = 0.05  # an order below minus this is that of something that vanishes
MUCH = 3.0
NEAR = 0.03  # how far finite widths may move an order or a threshold


@dataclass(frozen=True)
class Config:
    """Sizes. `least` is the least width that enters an order; `batches` of 2 `pairs` networks each for every width.

    `exponents` must hold the theorem's: 1/2, s₂ = 2/3 and s₁ = 3/4 of the eikonal equation, 1.
    """

    exponents: tuple[float, ...] = (0.25, 0.375, 0.45, 0.5, 0.55, 0.625, 2 / 3, 0.75, 1.0)
    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
    least: int = 64
    batches: int = 10
    pairs: int = 5
    problems: tuple[str, ...] = tuple(CLASSES)
    activations: tuple[str, ...] = ("tanh", "sin", "swish", "softplus")  # the first for every problem, the rest for `OTHERS`


class Initialisation(Study[Config]):
    """From which s on does K at initialisation converge as N grows, block by block, and is that the theorem's s?

    One hidden layer, all parameters N(0, 1), the output scaled by N^-s. Two sizes for every draw: the *distance* of K from the
    share of the output bias, which no scaling touches, and the *spread*, the distance of two independent draws, over √2. K
    converges in probability to a fixed kernel where the distance does not grow and the spread falls. What is fitted are orders in
    N of geometric means over draws.

    The theorem is taken to say that K converges for s not below its own, and diverges below (the text at hand says both). By the
    count of `problems.homogeneity` the first holds; the second only where it is 1/2, since sums of mean zero are of order √N.

    The output bias is set to 0.7: where ∂r/∂u depends on u, a drawn one makes the limit random at every s. Once more, at the
    largest s, it is drawn like all others.
    """

    name: ClassVar[str] = "ntk_initialisation"
    source: ClassVar[str] = "Zhou & Yan 2024, Theorems on initialisation; open questions 2 and 3"
    scales: Mapping[str, Config] = {
        "smoke": Config(
            (0.25, 0.5, 2 / 3, 0.75, 1.0), (64, 256, 1024), 64, 10, 3, ("poisson1d", "eikonal", "sine_gordon"), ("tanh", "sin")
        ),
        "desk": Config(),
        "paper": Config(widths=tuple(2**k for k in range(4, 14)), batches=20),
    }

    def cells(self, config: Config) -> list[Cell]:
        """Problem by problem, activation by activation, width by width."""
        first, *rest = config.activations
        pairs = [*product(config.problems, [first]), *product(OTHERS, rest)]
        return [{"problem": name, "activation": σ, "width": N} for (name, σ), N in product(pairs, config.widths)]

    def measure(self, config: Config, cell: Cell, *, key: int) -> Arrays:
        """Typical distance and spread (settings, batches, 3); norms of the mean and total variance (settings, 3) of each block."""
        problem, points = few(cell["problem"])
        inside, rng, draws = points["interior"].shape[0], np.random.default_rng(key), 2 * config.pairs * config.batches
        N, exponents = cell["width"], (*config.exponents, config.exponents[-1])
        at = network(problem, N, 0.0, activation=cell["activation"])
        found = []
        for low in range(0, draws, together(N)):
            theta = np.stack([start(at, rng, bias=None) for _ in range(min(together(N), draws - low))])
            here, biases = fields(problem, at, theta, points), [BIAS] * len(config.exponents) + [theta[:, -1]]
            each = [kernels(problem, points, here, scale=N**-s, bias=b) for s, b in zip(exponents, biases, strict=True)]
            found.append(np.stack(each, axis=1))
        K = np.concatenate(found)  # (draws, settings, n, n)
        share = limit(problem, at, points, nodes=1).shares(bias=BIAS).bias  # this one needs no quadrature
        far, apart = norms(K - share, inside), norms(K[1::2] - K[::2], inside) / np.sqrt(2)
        return {
            "distance": np.moveaxis(typical(far, config.batches), 0, 1),
            "spread": np.moveaxis(typical(apart, config.batches), 0, 1),
            "mean": norms(K.mean(axis=0), inside),
            "variance": np.mean(apart**2, axis=0),
        }

    def claims(self, outcome: Outcome[Config]) -> list[Claim]:
        """The theorem's s as sufficient and as necessary; a drawn output bias; divergence; other activations; recommended s."""
        s, (first, *rest) = outcome.config.exponents, outcome.config.activations
        found = [claim for name in outcome.config.problems for claim in _theorem(outcome, name, first)]
        far = [_orders(outcome, "distance", name, first, block)[0] for name, block in product(outcome.config.problems, BLOCKS)]
        least = min(far, key=lambda one: one.low)
        told = f"order of K - K_bias at s = {s[0]:g}, least of all blocks of all problems"
        found.append(Claim(told, "above 0: K diverges", least.value, least.low > 0, _ends(least)))
        for name, activation in product(OTHERS, rest):
            root = vanishing(s, _orders(outcome, "distance", name, activation, "ff")[:-1])
            found.append(_located(f"{name} with {activation}, K_ff: s below which K diverges", f"0.5, as with {first}", root))
        return [*found, *(_recommended(outcome, name, first) for name in outcome.config.problems)]

    def figures(self, outcome: Outcome[Config]) -> list[Figure]:
        """Orders over s, sizes over N, other activations, and what each s costs."""
        s, N = np.array(outcome.config.exponents), np.array(outcome.config.widths, dtype=np.float64)
        first, zero = outcome.config.activations[0], Series("0", s, 0 * s, DASHED)
        told = {"distance": "K - K_bias", "spread": "the spread"}
        panels = []
        for what, block in product(told, BLOCKS):
            lines = [_bars(name, s, _orders(outcome, what, name, first, block)[: len(s)]) for name in outcome.config.problems]
            linear_order = (1.0 if what == "distance" else 0.5) - 2 * s
            law = [Series(f"{'1' if what == 'distance' else '1/2'} - 2s", s, linear_order)] if block == "bb" else []
            panels.append(Curves(f"K_{block}: {told[what]}", "s", f"order in N of {told[what]}", [*law, *lines, zero]))
        sizes = []
        for name in outcome.config.problems:
            rows = outcome.where(problem=name, activation=first)
            series = []
            for i, e in enumerate(s):
                if e in (0.25, 0.5, 0.75, 1.0):
                    average, variance = (outcome.arrays[what][rows, i, 2] for what in ("mean", "variance"))
                    series.append(Series(f"mean, s = {e:g}", N, average, LINE, family=f"{e:g}"))
                    series.append(Series(f"standard deviation, s = {e:g}", N, np.sqrt(variance), POINTS, family=f"{e:g}"))
            sizes.append(Curves(f"{name}: K_ff", "width N", "‖·‖ of K_ff (dimensionless)", series, log="xy"))
        half = _nearest(s.tolist(), 0.5)
        noise = [
            Series(σ, N, _relative(outcome, name, σ)[:, half, 2])
            for name, σ in [("poisson1d", σ) for σ in outcome.config.activations]
        ]
        by_activation = [Curves("poisson1d, s = 1/2: K_ff", "width N", "standard deviation / mean", noise, log="xy")]
        for name in OTHERS:
            lines = [_bars(σ, s, _orders(outcome, "distance", name, σ, "ff")[: len(s)]) for σ in outcome.config.activations]
            by_activation.append(Curves(f"{name}: K_ff", "s", "order in N of K - K_bias", [*lines, zero]))
        cost = [Series(name, s, _relative(outcome, name, first)[-1, : len(s), 2]) for name in outcome.config.problems]
        beyond = [Series(name, s, _beyond(outcome, name, first)) for name in outcome.config.problems]
        last = f"N = {outcome.config.widths[-1]}"
        return [
            Figure(
                "orders",
                "Orders in N of the distance of K from the share of the output bias, and of the spread between draws, with 95 % "
                "intervals. K converges where the first is not above 0 and the second below it.",
                panels,
                3,
            ),
            Figure("sizes", "Mean and standard deviation of K_ff over draws: what diverges, and what does not.", sizes, 3),
            Figure("activations", "Other activations: the same threshold, other constants.", by_activation, 3),
            Figure(
                "choice",
                "What s buys and costs at the largest width: K less random, and less of it but the output bias.",
                [
                    Curves(f"K_ff, {last}", "s", "standard deviation / mean", cost, log="y"),
                    Curves(f"K_bb, {last}", "s", "‖K - K_bias‖ / ‖mean of K‖", beyond, log="y"),
                ],
            ),
        ]


def _theorem(outcome: Outcome[Config], name: str, activation: str) -> Iterator[Claim]:
    """For every block: does K converge at the theorem's s, from which s on does it? And what a drawn output bias does."""
    s = outcome.config.exponents
    for block in BLOCKS:
        far, apart = (_orders(outcome, what, name, activation, block) for what in ("distance", "spread"))
        at, root, of = published(few(name)[0], block), vanishing(s, far[:-1]), f"{name}, K_{block}: "
        i = _nearest(s, at)
        told = f"{of}order of the spread at the theorem's s = {at:.3g}, where K - K_bias has {far[i].value:+.2f}"
        yield Claim(told, "below 0: K converges", apart[i].value, _converges(far[i], apart[i]), _ends(apart[i]))
        beside = "as the theorem has it" if at == 0.5 else f"the theorem's {at:.3g} is {'' if root.high < at else 'not '}excluded"
        yield _located(f"{of}s below which K diverges", f"0.5; {beside}", root)
    if name in RANDOM:
        ratio = mean(np.log(np.divide(*_largest(outcome, name, activation)[::-1])))
        told = f"{name}, K_ff: spread at s = {s[-1]:g}, N = {outcome.config.widths[-1]}, output bias drawn, over that with {BIAS}"
        claimed = f"above {MUCH:g}: the limit is random"
        yield Claim(told, claimed, np.exp(ratio.value), np.exp(ratio.low) > MUCH, (np.exp(ratio.low), np.exp(ratio.high)))
    else:
        told = f"{name}, K_ff: order of the spread at s = {s[-1]:g} with the output bias drawn"
        yield Claim(told, "below 0: K converges", apart[-1].value, apart[-1].high < 0, _ends(apart[-1]))


def _recommended(outcome: Outcome[Config], name: str, activation: str) -> Claim:
    """The least s tried from which on every block converges; twice the largest where there is none."""
    s, at = outcome.config.exponents, max(published(few(name)[0], block) for block in BLOCKS)
    settled = np.ones(len(s), dtype=bool)
    for block in BLOCKS:
        far, apart = (_orders(outcome, what, name, activation, block)[:-1] for what in ("distance", "spread"))
        settled &= np.array([_converges(one, other) for one, other in zip(far, apart, strict=True)])
    failing = np.flatnonzero(~settled)
    least = [*s, 2 * s[-1]][int(failing[-1]) + 1 if failing.size else 0]
    told = f"{name} ({CLASSES[name]}): least s tried from which on every block converges"
    return Claim(told, f"at most {at:.3g}, the theorem's", least, least <= at)


def _converges(far: Mean, apart: Mean) -> bool:
    """Whether K tends to the share of the bias, or stays as far from it and draws become alike.

    That the spread falls a little says nothing: where it tends to a number, it does so from above.
    """
    return far.high < 0 or (far.low < NEAR and apart.high < -FALLING)


def _largest(outcome: Outcome[Config], name: str, activation: str) -> np.ndarray:
    """The spread of K_ff (2, batches) at the largest width and s, with the output bias set and drawn."""
    row = outcome.where(problem=name, activation=activation, width=outcome.config.widths[-1])[0]
    return np.array(outcome.arrays["spread"][row, -2:, :, 2])


def _orders(outcome: Outcome[Config], what: str, name: str, activation: str, block: str) -> list[Mean]:
    """The order in N for every setting: the exponents, and at last the largest one with a drawn output bias."""
    widths = [N for N in outcome.config.widths if outcome.config.least <= N]
    rows = [int(outcome.where(problem=name, activation=activation, width=N)[0]) for N in widths]
    sizes = outcome.arrays[what][rows, ..., BLOCKS.index(block)]  # (widths, settings, batches)
    return [order(np.array(widths, dtype=np.float64), sizes[:, i]) for i in range(sizes.shape[1])]


def _relative(outcome: Outcome[Config], name: str, activation: str) -> np.ndarray:
    """Standard deviation over mean, in norms, (widths, settings, 3)."""
    rows = outcome.where(problem=name, activation=activation)
    return np.array(np.sqrt(outcome.arrays["variance"][rows]) / outcome.arrays["mean"][rows])


def _beyond(outcome: Outcome[Config], name: str, activation: str) -> np.ndarray:
    """The typical share of K_bb that is not the output bias', (exponents,), at the largest width."""
    row = outcome.where(problem=name, activation=activation)[-1]
    return np.array(outcome.arrays["distance"][row, :-1, :, 0].mean(axis=-1) / outcome.arrays["mean"][row, :-1, 0])


def _located(statement: str, claimed: str, found: Mean) -> Claim:
    return Claim(statement, claimed, found.value, found.low - NEAR <= 0.5 <= found.high + NEAR, _ends(found))


def _bars(label: str, s: np.ndarray, orders: list[Mean]) -> Series:
    values, low, high = (np.array([getattr(one, end) for one in orders]) for end in ("value", "low", "high"))
    return Series(label, s, values, POINTS, low, high)


def _nearest(s: tuple[float, ...] | list[float], at: float) -> int:
    return int(np.argmin(np.abs(np.array(s) - at)))


def _ends(found: Mean) -> tuple[float, float]:
    return found.low, found.high
