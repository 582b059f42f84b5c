import itertools
import math

import numpy as np
import pytest

import refntk as rn
from refntk.errors import TraceError
from refntk.training.position import Position
from refntk.training.weightings import WEIGHTINGS, Fixed, Sketched, Spaced, Trace, ratio

STEPS = 8


def position(theta_rng=17, rng=17, counts=(3, 2, 2, 2)):
    problem = rn.problems.get("wave")
    network = rn.MLP([2, 6, 6, 1], **problem.normalization)
    points = problem.sample(rng=rng, counts=dict(zip([t.name for t in problem.terms], counts, strict=True)))
    return Position(problem, network, network.init(rng=theta_rng), points, "sum", "reference")


def sketched(**options):
    defaults = {"every": 1, "alpha": 0.25, "samples": 4, "dt": None, "probe": "rademacher", "balance": True, "seed": 17}
    return Sketched(**(defaults | options))


MADE = {
    "fixed": Fixed(weights=None),
    "trace": Trace(every=2),
    "sketched": sketched(samples=400),
    "spaced": Spaced(every=1, h=1.0),
}


def walk(weighting, steps=STEPS):
    """States and positions along a path of parameters."""
    state, at = {}, position()
    for t in range(steps):
        here = at.moved(at.theta * (1 + 0.05 * math.sin(t)))
        state = weighting.renew(t, here, state)
        yield here, state


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_weights_are_positive_one_per_term_and_states_are_arrays(name):
    states = [state for _, state in walk(MADE[name])]
    assert all(isinstance(value, np.ndarray) for state in states for value in state.values())
    assert all(state["weights"].shape == (4,) and (state["weights"] > 0).all() for state in states)


@pytest.mark.parametrize("name", WEIGHTINGS)
def test_renewing_changes_no_older_state_and_can_be_repeated(name):
    (_, state), (there, _) = itertools.islice(walk(MADE[name]), 2)
    kept = {slot: array.copy() for slot, array in state.items()}
    first, second = (MADE[name].renew(1, there, state) for _ in range(2))
    assert all(np.array_equal(state[slot], kept[slot]) for slot in kept)
    assert all(np.array_equal(first[slot], second[slot]) for slot in first)


def test_fixed_weights_are_those_given():
    (_, state), *_, (_, last) = walk(Fixed(weights={"velocity": 7.0}))
    assert state["weights"].tolist() == last["weights"].tolist() == [1.0, 1.0, 7.0, 1.0]


def test_weights_from_traces_are_equation_5_on_multiples_of_every():
    found = list(walk(Trace(every=3)))
    fresh = [np.allclose(state["weights"], ratio(at, rn.ntk_traces(at.lin)), rtol=1e-13, atol=0) for at, state in found]
    assert fresh == [t % 3 == 0 for t in range(STEPS)]


# Algorithm 3


def all_samples(at, weighting, sizes):
    """`T̂_k` for every sign vector."""
    n = at.lin.shape[0]
    return np.array([weighting._sample(at, np.array(signs), sizes) for signs in itertools.product((1.0, -1.0), repeat=n)])


class Unscaled(Sketched):
    """A planted fault: the probe is balanced, its estimate is not brought back."""

    def _sample(self, at, g, sizes):
        return super()._sample(at, g, sizes) * np.sqrt(sizes.max() / sizes)


class Transposed(Sketched):
    """Another: the balance multiplied in a second time where it should be divided out."""

    def _sample(self, at, g, sizes):
        return super()._sample(at, g, 1 / sizes)


@pytest.mark.parametrize("balance", [True, False])
def test_samples_are_unbiased_whatever_they_are_balanced_by(balance):
    at = position()
    found = all_samples(at, sketched(balance=balance), np.array([5.0, 0.1, 2.0, 30.0])).mean(axis=0)
    np.testing.assert_allclose(found, list(at.traces.values()), rtol=1e-11)


def test_that_check_rejects_an_estimate_not_brought_back():
    at = position()
    planted = Unscaled(1, 0.25, 4, None, "rademacher", True, 17)
    found = all_samples(at, planted, np.array([5.0, 0.1, 2.0, 30.0])).mean(axis=0)
    assert np.max(np.abs(found / list(at.traces.values()) - 1)) > 0.1


def claimed_variance(K, blocks, d):
    """2 (‖K_kk‖² - Σ K_ii²) + Σ_m (d_m / d_k)² ‖K_km‖² for every term."""
    blocks = list(blocks.values())
    own = [2 * (np.sum(K[b, b] ** 2) - np.sum(np.diag(K)[b] ** 2)) for b in blocks]
    cross = [sum((d[m] / d[k]) ** 2 * np.sum(K[b, c] ** 2) for m, c in enumerate(blocks) if m != k) for k, b in enumerate(blocks)]
    return np.add(own, cross)


@pytest.mark.parametrize(("kind", "right"), [(Sketched, True), (Transposed, False)])
def test_the_variance_of_balanced_samples(kind, right):
    at, sizes = position(), np.array([5.0, 0.1, 2.0, 30.0])
    weighting = kind(1, 0.25, 4, None, "rademacher", True, 17)
    want = claimed_variance(rn.ntk(at.lin), at.lin.blocks, 1 / np.sqrt(sizes))
    found = all_samples(at, weighting, sizes).var(axis=0)
    assert np.allclose(found, want, rtol=1e-9) == right


def test_balance_bounds_the_share_of_other_terms():
    """With d_k = T_k^-½ every other term adds at most 1 to the relative variance; without, one adds more than 10."""
    at = position(counts=(30, 10, 10, 10))
    K, blocks, T = rn.ntk(at.lin), at.lin.blocks, np.array(list(at.traces.values()))
    own = np.array([2 * (np.sum(K[b, b] ** 2) - np.sum(np.diag(K)[b] ** 2)) for b in blocks.values()])
    cross = {name: (claimed_variance(K, blocks, d) - own) / T**2 for name, d in (("balanced", T**-0.5), ("plain", np.ones(4)))}
    assert cross["balanced"].max() <= 3.0
    assert cross["plain"].max() > 10.0


def test_the_first_average_is_the_mean_of_the_samples_and_the_next_move_by_alpha():
    weighting = sketched()
    (first, state), (second, moved) = itertools.islice(walk(weighting), 2)
    probes = rn.probes.draw("rademacher", first.lin.shape[0], 5, key=17, stream=0).T
    sizes = weighting._sizes(first, probes[0])
    samples = [weighting._sample(first, g, sizes) for g in probes[1:]]
    np.testing.assert_allclose(state["average"], np.mean(samples, axis=0), rtol=1e-13)
    g = rn.probes.draw("rademacher", first.lin.shape[0], 1, key=17, stream=1)[:, 0]
    want = 0.75 * state["average"] + 0.25 * weighting._sample(second, g, state["average"])
    np.testing.assert_allclose(moved["average"], want, rtol=1e-15)
    np.testing.assert_allclose(moved["weights"], want.sum() / want, rtol=1e-15)


def test_sizes_are_squared_norms_of_blocks():
    at, g = position(), np.ones(9)
    K = rn.ntk(at.lin)
    want = [np.sum(K[b, b]) for b in at.lin.blocks.values()]
    np.testing.assert_allclose(sketched()._sizes(at, g), want, rtol=1e-12)


def test_a_small_step_agrees_with_none():
    exact, quotient = (list(walk(sketched(dt=dt)))[-1][1]["average"] for dt in (None, 1e-9))
    assert not np.array_equal(exact, quotient)
    np.testing.assert_allclose(quotient, exact, rtol=1e-4)


@pytest.mark.parametrize("probe", rn.probes.KINDS)
def test_averages_come_near_the_traces(probe):
    """400 samples, six standard errors, four terms: a false alarm in 10⁷ keys."""
    at = position()
    weighting = sketched(probe=probe, balance=False)
    samples = np.array([weighting._sample(at, g, np.ones(4)) for g in weighting._probes(at, 400, 0)])
    error = np.abs(samples.mean(axis=0) - list(at.traces.values()))
    assert (error < 6 * samples.std(axis=0) / math.sqrt(400)).all()


def test_a_trace_that_is_not_positive_never_becomes_a_weight():
    with pytest.raises(TraceError, match=r"averaged trace of term '\w+': got -.* at step \d+; lower alpha=1.0, raise samples=1,"):
        list(walk(sketched(alpha=1.0, samples=1, balance=False), steps=60))


def test_a_step_too_large_is_named_among_the_remedies():
    with pytest.raises(TraceError, match=r", or lower dt=10.0"):
        list(walk(sketched(dt=10.0, samples=1), steps=60))


def test_no_sample_between_multiples_of_every():
    states = [state for _, state in walk(sketched(every=3))]
    changed = [not np.array_equal(a["average"], b["average"]) for a, b in itertools.pairwise(states)]
    assert changed == [t % 3 == 0 for t in range(1, STEPS)]


# Corollary 2


def violations(states, positions, h):
    """Steps t at which rule (11) was not followed, recomputed from its statement with S summed anew."""
    S, wrong = 0.0, []
    for t in range(len(states) - 1):
        predicted = ratio(positions[t + 1], rn.ntk_traces(positions[t + 1].lin))
        old, new = states[t]["weights"], states[t + 1]["weights"]
        squared = 2 * sum(positions[t + 1].losses.values())
        allowed = S + np.max(predicted - old) * squared <= h(t)
        S += np.max(new - old) * squared
        if not np.allclose(new, predicted if allowed else old, rtol=1e-13, atol=0):
            wrong.append(t)
    return wrong


class Late(Spaced):
    """A planted fault: the bound one step too late."""

    def _bound(self, t, unit):
        return super()._bound(t + 1, unit)


class Forgetful(Spaced):
    """Another: the sum is not kept."""

    def renew(self, t, at, state):
        return super().renew(t, at, state | {"sum": np.array(0.0)} if state else state)


def bound(t):
    return 3e5 * math.sqrt(t)


@pytest.mark.parametrize(("kind", "right"), [(Spaced, True), (Late, False), (Forgetful, False)])
def test_rule_11(kind, right):
    positions, states = zip(*walk(kind(every=1, h=bound), steps=40), strict=True)
    kept = sum(a["weights"] is b["weights"] for a, b in itertools.pairwise(states))
    assert 0 < kept < 39  # both branches are taken
    assert (violations(states, positions, bound) == []) == right


def test_a_number_h_is_a_root_in_units_of_the_first_loss():
    (at, state), *_ = walk(Spaced(every=1, h=2.5))
    unit = sum(w * 2 * half for w, half in zip(state["weights"], at.losses.values(), strict=True))
    assert Spaced(every=1, h=2.5)._bound(9, float(state["unit"])) == pytest.approx(7.5 * unit, rel=1e-14)


def test_no_room_keeps_the_first_weights_and_much_room_takes_all():
    nothing = [state["weights"] for _, state in walk(Spaced(every=1, h=lambda t: 0.0))]
    everything = [state["weights"] for _, state in walk(Spaced(every=1, h=lambda t: 1e300))]
    assert all(np.array_equal(w, nothing[0]) for w in nothing)
    np.testing.assert_array_equal(everything, [state["weights"] for _, state in walk(Trace(every=1))])
