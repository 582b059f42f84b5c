"""Kernels at initialisation: exact laws of what is measured, verdicts on sizes of known orders, and faults that claims find."""

import numpy as np
import pytest
from conducted import failed, outcome

from refntk import studies
from refntk.studies.ntk_initialisation import CLASSES, OTHERS
from refntk.studies.study import Outcome
from refntk.studies.widths import BLOCKS, RANDOM, few, published

STUDY = studies.get("ntk_initialisation")


@pytest.mark.parametrize(("name", "block", "power"), [("poisson1d", "bb", 2), ("poisson1d", "ff", 2), ("eikonal", "ff", 4)])
def test_scaling_the_output_scales_the_kernel(name, block, power):
    """Without the share of the bias K is exactly N^(-2s) times something without s, and for the eikonal equation N^(-4s)."""
    found = outcome("ntk_initialisation")
    s, k = np.array(found.config.exponents), BLOCKS.index(block)
    rows = found.where(problem=name, activation="tanh")
    N = found.column("width", problem=name, activation="tanh")
    right, wrong = (
        found.arrays["distance"][rows][:, :-1, :, k] * N[:, None, None] ** (p * s[:, None]) for p in (power, power + 0.1)
    )
    assert np.ptp(right / right[:, :1], axis=1).max() < 1e-8
    assert np.ptp(wrong / wrong[:, :1], axis=1).max() > 0.1


def test_the_drawn_bias_changes_linear_problems_not_and_sine_gordon_much():
    found = outcome("ntk_initialisation")

    def last(name):
        return found.arrays["spread"][found.where(problem=name, activation="tanh"), -2:, :, 2]

    assert np.allclose(last("poisson1d")[:, 0], last("poisson1d")[:, 1], rtol=1e-10)
    assert (last("sine_gordon")[-1, 1] > 2 * last("sine_gordon")[-1, 0]).all()


DRAWN = 9.0  # stands for the setting with a drawn output bias


def known(distance, spread):
    """The desk's outcome for sizes of orders `law(name, block, s)`, with 2 % of noise."""
    config, rng = STUDY.configure("desk"), np.random.default_rng(8)
    cells, settings = STUDY.cells(config), (*config.exponents, DRAWN)

    def sizes(law):
        orders = [[[law(cell["problem"], block, s) for block in BLOCKS] for s in settings] for cell in cells]
        N = np.array([cell["width"] for cell in cells], dtype=float)[:, None, None]
        noise = np.exp(0.02 * rng.standard_normal((len(cells), len(settings), config.batches, len(BLOCKS))))
        return (N ** np.array(orders))[:, :, None] * noise

    return Outcome(config, cells, {"distance": sizes(distance), "spread": sizes(spread)})


def half(name, block, s):
    return 1 - 2 * s


def falling(name, block, s):
    """Spreads that fall where K converges, and with a drawn bias where it may."""
    if s == DRAWN:
        return 0.0 if name in RANDOM and block != "bb" else -1.0
    return half(name, block, s) - (0.5 if name == "poisson1d" or block == "bb" else 0.0)


def told(found):
    return {claim.statement for claim in STUDY.claims(found) if not claim.holds}


def test_claims_hold_for_the_orders_that_theory_has():
    assert told(known(half, falling)) == set()


def test_a_threshold_where_the_theorem_has_it_would_be_seen():
    def sharp(name, block, s):
        return 2 * (published(few(name)[0], block) - s)

    nonlinear = set(CLASSES) - {"poisson1d"}
    elsewhere = {f"{name}, K_{block}: s below which K diverges" for name in nonlinear for block in ("bf", "ff")}
    assert elsewhere <= told(known(sharp, falling))


def test_a_drawn_bias_that_mattered_where_it_should_not_would_be_seen():
    def always(name, block, s):
        return 0.0 if s == DRAWN else falling(name, block, s)

    calm = set(CLASSES) - set(RANDOM)
    assert told(known(half, always)) == {f"{name}, K_ff: order of the spread at s = 1 with the output bias drawn" for name in calm}


def test_a_drawn_bias_that_did_not_matter_where_it_should_would_be_seen():
    def never(name, block, s):
        return falling(name, block, 1.0 if s == DRAWN else s)

    told_of = {one.split(",")[0] for one in told(known(half, never))}
    assert told_of == set(RANDOM)


def grown(what, power):
    """Sizes times N^power."""

    def change(found):
        N = np.array([cell["width"] for cell in found.cells], dtype=float)
        return found.arrays[what] * N[:, None, None, None] ** power

    return {what: change}


FAULTS = {
    "nothing": ({}, "", 0),
    "a spread that stays": (grown("spread", 1.5), "order of the spread at the theorem's s", 5),
    "a factor 1/√N too many": (grown("distance", -0.5), "K_bb: s below which K diverges", 3),
    "entries that do not grow": (grown("distance", -0.6), "order of K - K_bias at s = 0.25", 1),
    "an activation with a scaling of its own": (grown("distance", 0.5), " with sin, K_ff", 2),
    "no s at which anything converges": (grown("distance", 4), "least s tried", 3),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(fault):
    changed, statement, least = FAULTS[fault]
    found = [one for one in failed("ntk_initialisation", **changed) if statement in one]
    assert len(found) >= least
    assert bool(found) == bool(changed)


def test_figures_can_be_drawn_from_a_stored_outcome():
    assert [figure.name for figure in STUDY.figures(outcome("ntk_initialisation"))] == ["orders", "sizes", "activations", "choice"]


def test_other_activations_are_among_those_asked_for():
    cells = STUDY.cells(STUDY.configure("desk"))
    assert {cell["problem"] for cell in cells if cell["activation"] != "tanh"} == set(OTHERS)
