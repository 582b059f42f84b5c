"""Descents beside each other: points are Gauss points, passes are those that are made, and claims fail where they should."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from conducted import failed, outcome

import refntk as rn
from refntk import engine, natural, probes
from refntk.problems.domain import Box
from refntk.studies import courses, descents
from refntk.studies.courses import Course, Walk
from refntk.studies.descents import METHODS, Rows
from refntk.studies.sngd_spectrum import _missed

HEAT = Course.of("heat", [6], [5, 5])


def walk():
    return Walk(HEAT, HEAT.network.init(rng=17))


# Points


@pytest.mark.parametrize(("power", "right"), [(0, True), (9, True), (10, False)])
def test_gauss_points_are_exact_up_to_their_degree_and_no_further(power, right):
    """∫ x^k y² over (0, 2) × (1, 3) with five points along x."""
    points, weights = courses.gauss([Box((0.0, 1.0), (2.0, 3.0))], [5, 2])
    want = 2 ** (power + 1) / (power + 1) * 26 / 3
    assert (abs(weights @ (points[:, 0] ** power * points[:, 1] ** 2) - want) < 1e-12 * want) == right


def test_weights_add_up_to_the_measure_of_every_term():
    measures = {term.name: term.domain.measure for term in HEAT.problem.terms}
    assert {name: round(float(w.sum()), 12) for name, w in HEAT.quadrature.items()} == measures


def test_the_loss_is_half_the_integral():
    """Of the squared residual of u = 0, whose only part is sin² πx at t = 0: ½ · ½, which five midpoints would give too."""
    assert HEAT.at(np.zeros(HEAT.network.size)).loss(walk().ones) == pytest.approx(0.25, abs=1e-4)


def test_training_with_the_same_weights_goes_the_same_way():
    at = walk()
    next(METHODS["engd"].descend(at, 1, 0))
    options = {"tol": HEAT.network.size * np.finfo(float).eps}
    how = {"weighting": "fixed", "scaling": "quadrature", "engine": "numba", "points": HEAT.points, "optimizer": "engd"}
    theta = HEAT.network.init(rng=17)
    trained = rn.train(HEAT.problem, HEAT.network, theta, steps=1, quadrature=HEAT.quadrature, options=options, **how)
    assert trained.loss[-1] <= at.loss_here * (1 + 1e-9)  # it tries every step
    without = rn.train(HEAT.problem, HEAT.network, theta, steps=1, options=options, **how)
    assert abs(without.loss[0] / trained.loss[0] - 1) > 1e-3


def test_weights_without_points_are_refused():
    with pytest.raises(rn.errors.InvalidInput, match="quadrature"):
        rn.train(HEAT.problem, HEAT.network, HEAT.network.init(rng=17), steps=1, quadrature=HEAT.quadrature)


# Cost


@pytest.fixture
def passes(monkeypatch):
    """How many passes over all points the engine makes."""
    counted, get = Counter(), engine.get
    rows = sum(len(points) for points in HEAT.points.values())

    def counting(name, *, xp):
        chosen = get(name, xp=xp)

        def forward(network, layers, jet, points, **options):
            counted["forward"] += points.shape[0] / rows
            return chosen.forward(network, layers, jet, points, **options)

        def adjoint(tape, seeds, **options):
            counted["adjoint"] += seeds.shape[1] * seeds.shape[2] / rows
            return chosen.adjoint(tape, seeds, **options)

        return replace(chosen, forward=forward, adjoint=adjoint)

    monkeypatch.setattr(engine, "get", counting)
    return counted


@pytest.mark.parametrize(("method", "apart"), [("adam", 0), ("engd", 0), ("cut", 0), ("ours", 0), ("sample", 0)])
def test_passes_are_those_that_are_made(passes, method, apart):
    at = walk()
    for _ in zip(range(4), METHODS[method].descend(at, 4, 0), strict=False):
        at.loss_here  # noqa: B018  # the pass of the last move is made when somebody asks
    assert sum(passes.values()) == pytest.approx(at.passes + apart, rel=1e-9)


def test_a_run_that_ends_stands_where_it_ended(monkeypatch):
    """After three steps, of which the last is no record."""

    def three(walk, steps, key):
        for _ in range(3):
            next(METHODS["engd"].descend(walk, steps, key))
            yield

    monkeypatch.setitem(METHODS, "three", descents.Method("three steps", three))
    found = descents.measure(HEAT, "three", start=[17], steps=8, records=4, key=0)
    assert found["step"].tolist() == [0, 2, 4, 6, 8]
    assert found["loss"][1] > found["loss"][2] == found["loss"][4]
    assert found["passes"][1] < found["passes"][2] == found["passes"][4]


# Directions


@pytest.mark.parametrize("passes_made", [1, 2])
def test_a_sketch_of_rows_is_that_of_the_operator(passes_made):
    lin = walk().lin
    options = {"rank": 10, "oversampling": 5, "passes": passes_made, "tol": 1e-3, "key": 3}
    got, want = natural.sngd(Rows(lin.residual, lin.jacobian.dense()), **options), natural.sngd(lin, **options)
    assert np.linalg.norm(got.vector - want.vector) < 1e-6 * np.linalg.norm(want.vector)


def test_ours_is_an_optimizer():
    """The walk's steps are those of `rn.train(optimizer="searched")`."""
    at = walk()
    for _ in zip(range(2), METHODS["ours"].descend(at, 2, 0), strict=False):
        pass
    how = {"weighting": "fixed", "scaling": "quadrature", "engine": "numba", "points": HEAT.points, "quadrature": HEAT.quadrature}
    trained = rn.train(HEAT.problem, HEAT.network, walk().theta, steps=2, optimizer="searched", options={"space": "rows"}, **how)
    np.testing.assert_allclose(trained.theta, at.theta, rtol=1e-12, atol=1e-12)


def test_a_slower_wave_is_learnt_first():
    """Stage by stage, and what was learnt is kept: a stage begins below where a network of its own would."""
    course = Course.of("transport", [12, 12], [9, 12], c=3.0, activation="sin")
    at, speeds, began = Walk(course, course.network.init(rng=17)), [], []
    for _ in zip(range(40), METHODS["continued"].descend(at, 40, 0), strict=False):
        if not speeds or speeds[-1] != at.course.problem.c:
            speeds.append(at.course.problem.c)
            began.append(at.loss_here)
    assert speeds == pytest.approx([2.0, 2.6, 3.0])
    assert max(began[1:]) < 0.01 * began[0]
    assert at.course is course


@pytest.mark.parametrize("fault", [0.0, 1.0])
def test_time_is_stretched_about_its_beginning(fault):
    """u(x, 3 t); weights stretched without the bias would be stretched about the middle."""
    course = Course.of("transport", [5], [4, 4])
    network, theta = course.network, course.network.init(rng=17)
    layers = [(W.copy(), b.copy()) for W, b in network.unflatten(descents.stretched(network, theta, 3.0))]
    layers[0] = (layers[0][0], (1 - fault) * layers[0][1] + fault * network.unflatten(theta)[0][1])
    got = network(network.flatten(layers), np.array([[2.0, 0.3], [4.0, 0.1]]))
    right = np.allclose(got, network(theta, np.array([[2.0, 0.9], [4.0, 0.3]])), rtol=1e-12)
    assert right == (fault == 0)


@pytest.mark.parametrize("columns", [3, 8])
def test_what_a_sketch_misses_is_that_of_the_matrix(columns):
    """Against G, Q and their difference as (p, p) arrays."""
    rng = np.random.default_rng(17)
    J = rng.standard_normal((12, 20)) * 0.5 ** np.arange(12)[:, None]
    _, s, Vh = np.linalg.svd(J, full_matrices=False)
    G = J.T @ J
    Q, _ = np.linalg.qr(G @ probes.normal(20, columns, key=5, stream=2))
    want = np.linalg.norm(G - Q @ Q.T @ G, 2), np.linalg.norm(G - Q @ Q.T @ G @ Q @ Q.T, 2)
    assert _missed(s, Vh, columns, 5, 2) == pytest.approx(want, rel=1e-9)
    assert _missed(s, Vh, columns, 6, 2) != pytest.approx(want, rel=1e-3)


# Claims


def of(method, factor):
    """The errors of one method times a factor."""
    return {
        "error": lambda found: np.where([[cell["method"] == method] for cell in found.cells], factor, 1.0) * found.arrays["error"]
    }


def way(name, factor):
    """The errors of one way of `sngd_transport` times a factor."""
    return {"error": lambda found: np.where([[cell["way"] == name] for cell in found.cells], factor, 1.0) * found.arrays["error"]}


def kind(name, factor):
    """The losses of one kind of `sngd_cut` times a factor."""
    return {"loss": lambda found: np.where([[cell["kind"] == name] for cell in found.cells], factor, 1.0) * found.arrays["loss"]}


FAULTS = {
    "sngd_heat": of("ours", 1e6),
    "sngd_poisson": of("ours", 1e6),
    "sngd_nonlinear": of("ours", 1e9),
    "sngd_transport": way("sine stretched", 1e5),
    "sngd_cut": kind("fresh", 1e3),
    "sngd_spectrum": {"heat.missed": lambda found: 1e3 * found.arrays["heat.missed"]},
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_refuted(name):
    assert not failed(name)
    assert failed(name, **FAULTS[name])


def test_a_spectrum_that_does_not_decay_is_found():
    """λ_k ∝ k^-3, as of a kernel that is not analytic."""

    def slow(found):
        values = found.arrays["heat.eigenvalues"]
        return values[:, :1] * np.arange(1.0, values.shape[1] + 1) ** -3.0

    assert any("order of a power" in told for told in failed("sngd_spectrum", **{"heat.eigenvalues": slow}))


def test_outcomes_have_all_methods():
    found = outcome("sngd_nonlinear")
    assert sorted({cell["method"] for cell in found.cells}) == sorted(found.config.methods)
