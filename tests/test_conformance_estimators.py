"""Estimators with probes of their own: right ones pass, planted faults are rejected and named; the rate is a bound."""

from functools import cache

import numpy as np
import pytest

from refntk import moments as closed
from refntk.conformance import Engine, Functions, diagnose, estimators, examine, laws, told
from refntk.conformance.estimators import LAW, NORMAL, PROBES, SAMPLED, SAMPLES, SIGNS, asked, forms, moments, sampled, worst
from refntk.conformance.variants import RIGHT, linearized
from refntk.estimation.cubature import all_signs, gauss_hermite
from refntk.vectors import plan, read


@cache
def cases(problem="wave"):
    return [case for case in read(only=problem) if sampled(case)]


class Estimator:
    """Right, but for what is overridden."""

    def draw(self, law, shape, rng):
        return rng.standard_normal(shape) if law == "normal" else rng.choice([-1.0, 1.0], shape)

    def total(self, samples, axis):
        return samples.mean(axis=axis)

    def after(self, samples, case):
        return samples

    def probes(self, law, rows, samples, probes, seed):
        return self.draw(law, (rows, samples * probes), np.random.default_rng(seed))

    def sampled_traces(self, case, law, *, samples, probes, seed):
        lin = linearized(RIGHT, case)
        if law == "theorem_5":
            products = (lin.J @ self.probes("normal", lin.J.shape[1], samples, probes, seed)) ** 2
        else:
            g = self.probes(law, len(lin.K), samples, probes, seed)
            products = g * (lin.K @ g)
        traces = np.stack([products[rows].sum(axis=0) for rows in lin.blocks.values()])
        return self.after(self.total(traces.reshape(-1, samples, probes), 2).T, case)

    def sampled_ntk(self, case, law, *, samples, probes, seed):
        lin = linearized(RIGHT, case)
        g = self.probes(law, len(lin.K), samples, probes, seed)
        Z, G = (side.reshape(-1, samples, probes).transpose(1, 0, 2) for side in (lin.K @ g, g))
        K = np.stack([self.total(Z[:, i, None, :] * G, 2) for i in range(len(lin.K))], axis=1)
        return self.after(self.symmetric(K), case)

    def symmetric(self, K):
        return (K + K.transpose(0, 2, 1)) / 2


def fault(**methods):
    return type("Fault", (Estimator,), methods)()


FAULTS = {  # what is wrong, and the number of the mistake
    "missing ½": (15, {"symmetric": lambda self, K: K + K.transpose(0, 2, 1)}),
    "sum for the mean": (10, {"total": lambda self, x, axis: x.sum(axis=axis)}),
    "variance 1.5": (34, {"draw": lambda self, law, shape, rng: 1.5**0.5 * Estimator.draw(self, law, shape, rng)}),
    "variance 1.25": (34, {"draw": lambda self, law, shape, rng: 1.25**0.5 * Estimator.draw(self, law, shape, rng)}),
    "uniform": (34, {"draw": lambda self, law, shape, rng: rng.uniform(-1, 1, shape)}),
    "signs for normals": (34, {"draw": lambda self, law, shape, rng: rng.choice([-1.0, 1.0], shape)}),
    "normals for signs": (34, {"draw": lambda self, law, shape, rng: rng.standard_normal(shape)}),
    "biased": (36, {"after": lambda self, x, case: x + 0.3 * np.sqrt(x.var(axis=0))}),
    "the same probes every time": (35, {"after": lambda self, x, case: np.broadcast_to(x[:1], x.shape)}),
    "few probes, again and again": (35, {"after": lambda self, x, case: np.tile(x[:256], (16, *(1,) * (x.ndim - 1)))}),
    "one probe for three": (
        35,
        {"probes": lambda self, law, rows, n, m, seed: np.repeat(Estimator.probes(self, law, rows, n, 1, seed), m, axis=1)},
    ),
    "a walk": (35, {"after": lambda self, x, case: (x + np.roll(x, 1, axis=0)) / 2}),
    "z gᵀ": (33, {"symmetric": lambda self, K: K}),
    "accumulated": (4, {"after": lambda self, x, case: np.cumsum(x, axis=1) if x.ndim == 2 else x}),
    "reversed": (9, {"after": lambda self, x, case: x[:, ::-1] if x.ndim == 2 else x}),
}


@pytest.mark.parametrize("problem", plan.names())
def test_right_estimators_pass(problem):
    engine = Engine("reference")
    found = {(case.name, q): engine.answers(case, [q])[q].value for case in cases(problem)[:2] for q in sampled(case)}
    shares = {
        (name, q): worst(value, forms(q, linearized(RIGHT, case)), LAW[q.partition("/")[2]], PROBES).share
        for case in cases(problem)[:2]
        for (name, q), value in found.items()
        if name == case.name
    }
    assert {key: share for key, share in shares.items() if share > 1} == {}


def test_another_hand_written_estimator_passes():
    assert examine(Functions("right", Estimator()), cases()).passed


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_rejected_and_named(name):
    mistake, methods = FAULTS[name]
    examination = examine(Functions(name, fault(**methods)), cases())
    said = diagnose(examination)
    assert examination.failed
    assert [d for d in said if mistake in d.mistakes], "; ".join(map(str, said))
    assert said[0].chance < -6
    assert "%" in told.told(examination, said)


def test_the_declared_rate_covers_all_vectors():
    assert sum(len(sampled(case)) for name in plan.names() for case in read(only=name)) <= estimators.QUANTITIES_MOST


@pytest.mark.parametrize("problem", plan.names())
def test_most_problems_have_a_case(problem):
    assert cases(problem) or problem == "operators"


@pytest.mark.parametrize("factor", [0.0, 1e100, 1e200, -1.0])
def test_strange_samples_end_in_a_verdict(factor):
    examination = examine(Functions("strange", fault(after=lambda self, x, case: factor * x)), cases())
    assert "WRONG" in told.told(examination, diagnose(examination))
    assert "null" in told.written(examination, diagnose(examination))


def test_shapes_and_numbers_that_are_none_fail_with_a_reason():
    short = examine(Functions("short", fault(after=lambda self, x, case: x[:10])), cases()[:1])
    broken = examine(Functions("broken", fault(after=lambda self, x, case: x * np.nan)), cases()[:1])
    assert "has the shape" in short.failed[0].worst.why
    assert "not finite" in broken.failed[0].worst.why


# The closed forms and the bound


@pytest.mark.parametrize("quantity", SAMPLED)
def test_moments_are_those_of_quadrature(quantity):
    """Mean, variance and fourth cumulant of every form of a small kernel, by all signs or by a product of Gauss-Hermite rules."""
    lin = linearized(RIGHT, next(case for case in read(only="quadratic") if sampled(case)))
    law = LAW[quantity.partition("/")[2]]
    for form in forms(quantity, lin):
        g, probability = all_signs(len(form.A)) if law == SIGNS else gauss_hermite(len(form.A), 5)
        X = np.sum(g * (form.A @ g), axis=0)
        mean = float(probability @ X)
        second, fourth = (float(probability @ (X - mean) ** k) for k in (2, 4))
        found, scale = moments(form.A, law, PROBES), np.sum(form.A**2)
        assert found.mean == pytest.approx(mean, abs=1e-12 * scale**0.5)
        assert found.variance == pytest.approx(second / PROBES, abs=1e-12 * scale)
        assert found.cumulant == pytest.approx((fourth - 3 * second**2) / PROBES**3, abs=1e-10 * scale**2)


def test_variances_are_those_of_the_moments_room():
    case = cases()[0]
    lin = linearized(RIGHT, case)
    for quantity, kind in (("sampled_traces/normal", "normal"), ("sampled_traces/rademacher", "rademacher")):
        want = closed.trace_variances(lin.K, lin.blocks, probe=kind)
        found = {f.at[0]: moments(f.A, LAW[kind], 1).variance for f in forms(quantity, lin) if len(f.at) == 1}
        assert list(found.values()) == pytest.approx(list(want.values()), rel=1e-12)


@pytest.mark.parametrize("law", ["normal", "heavy"])
def test_the_bound_holds_and_is_not_empty(law):
    """At a rate of 1 %, of 4,000 means of laws with the right variance: at most 1 % fail (70 would be 4.8 deviations more than 40),
    and of those that are off by five deviations nearly all."""
    rng = np.random.default_rng(20261121)
    Y = rng.standard_normal((4000, 256)) if law == "normal" else rng.standard_t(4.1, (4000, 256)) / (4.1 / 2.1) ** 0.5
    shares = np.array([estimators._deviation("", "", 0.0, 0.0, y, 1.0, 0.0, 0.01).share for y in Y])
    off = np.array([estimators._deviation("", "", 0.0, 0.0, y + 5 / 16, 1.0, 0.0, 0.01).share for y in Y])
    assert np.sum(shares > 1) < 70
    assert np.mean(off > 1) > 0.9


def test_the_stated_chance_is_a_bound():
    """Of 4,000 right means, at most a tenth says that it is less likely than 1/10, and so on."""
    rng = np.random.default_rng(20261122)
    chances = np.array([estimators._deviation("", "", 0, 0, y, 1.0, 0.0, 0.01).chance for y in rng.standard_normal((4000, 256))])
    assert [np.mean(chances < -k) <= 10.0**-k for k in (1, 2, 3)] == [True] * 3


def test_every_law_has_words_of_its_own():
    assert len({law.words for law in laws.LAWS}) == len(laws.LAWS)
    assert asked(cases()[0])["samples"] == SAMPLES
    assert NORMAL != SIGNS
