"""Natural gradients as optimizers, and energies: what a step is, what resumes, and how far a small network comes."""

import numpy as np
import pytest

import refntk as rn
from refntk import natural
from refntk.errors import InvalidInput
from refntk.studies.courses import Course
from refntk.training.natural import Natural
from refntk.training.optimizers import OPTIMIZERS
from refntk.training.position import Position

HEAT, NETWORK = rn.problems.get("heat"), rn.MLP([2, 12, 12, 1], **rn.problems.get("heat").normalization)
GRID = {"interior": (10, 10), "initial": (10,), "boundary": (10,)}


def run(steps, *, problem=HEAT, network=NETWORK, optimizer="engd", seed=17, **options):
    theta = network.init(rng=seed)
    fixed = {"weighting": "fixed", "scaling": "quadrature", "counts": GRID, "rng": seed}
    return rn.train(problem, network, theta, steps=steps, optimizer=optimizer, **(fixed | options))


def test_every_method_is_an_optimizer():
    assert set(natural.METHODS) <= set(OPTIMIZERS)


@pytest.mark.parametrize("weights", [{}, {"boundary": 9.0, "initial": 0.25}])
def test_what_a_step_is(weights):
    """θ - η (JᵀΛJ)⁺JᵀΛr with the η of the lowest loss, for the Gramian with quadrature weights."""
    theta, points = NETWORK.init(rng=17), HEAT.sample(counts=GRID)

    def linearized(at):
        return rn.linearize(HEAT, NETWORK, at, points, scaling="quadrature")

    lin = linearized(theta)
    roots = np.concatenate([np.full(b.stop - b.start, weights.get(name, 1.0) ** 0.5) for name, b in lin.blocks.items()])
    J, r = roots[:, None] * lin.jacobian.dense(), roots * lin.residual
    U, s, Vh = np.linalg.svd(J, full_matrices=False)
    keep = s**2 > 1e-9 * s[0] ** 2
    d = Vh[keep].T @ ((U[:, keep].T @ r) / s[keep])
    losses = {step: 0.5 * np.sum((roots * linearized(theta - step * d).residual) ** 2) for step in 0.5 ** np.arange(31)}
    step = min(losses, key=losses.get)
    history = run(1, weights=weights, options={"tol": 1e-9})
    assert np.linalg.norm(history.theta - (theta - step * d)) < 1e-7 * np.linalg.norm(d)
    assert history.loss[-1] == pytest.approx(losses[step], rel=1e-6)


LEARNT = {"engd": {"tol": 1e-10}, "damped": {"damping": 1e-8}, "full_precision": {"tol": 1e-10}, "sngd": {"size": 80}}
LEARNT |= {"searched": {"cuts": (1e-10,)}}


@pytest.mark.parametrize("optimizer", LEARNT)
def test_a_small_network_learns_heat_in_a_few_steps(optimizer):
    history = run(30, optimizer=optimizer, options=LEARNT[optimizer], record=1)
    assert history.errors[0] > 1
    assert history.errors[-1] < 1e-3
    assert np.all(np.diff(history.loss) <= 0)


def test_a_searched_step_is_taken_as_it_is():
    """θ - d with the d of `natural.searched`, searched by the weighted loss."""
    at, weights = position(NETWORK.init(rng=17)), {"interior": 1.0, "initial": 4.0, "boundary": 0.5}
    optimizer = Natural("searched", {"space": "sample"})
    theta, _, taken = optimizer.advance(0, 1, at, weights, {}, rate=1.0, visit=lambda *_: None)
    options = {"loss": lambda d: at.moved(at.theta - d).loss(weights), "theta": at.theta, "space": "sample"}
    found = natural.searched(at.weighted(weights), **options)
    np.testing.assert_array_equal(theta, at.theta - found.vector)
    assert taken == 1
    assert at.moved(theta).loss(weights) < at.loss(weights)
    assert at.moved(at.theta + found.vector).loss(weights) > at.loss(weights)  # the other sign climbs


@pytest.mark.parametrize(("radius", "kept"), [(1.0, True), (float("inf"), False)])
def test_a_first_step_does_not_saturate_a_network(radius, kept):
    """Start 4 of twelve of the Poisson study: the best step of the finest cuts is a thousand ‖θ‖ long, and wins."""
    course = Course.of("poisson2d", [20] * 4, [20, 20])
    at = course.at(course.network.init(rng=np.random.default_rng([17, 4])))
    optimizer = Natural("searched", {"radius": radius})
    theta, _, taken = optimizer.advance(0, 1, at, dict.fromkeys(at.points, 1.0), {}, rate=1.0, visit=lambda *_: None)
    assert taken == 1
    assert (np.linalg.norm(theta - at.theta) <= np.linalg.norm(at.theta) * (1 + 1e-12)) == kept


@pytest.mark.parametrize("name", ["halvings", "loss", "theta", "key"])
def test_a_searched_step_has_no_line_search_of_its_own(name):
    with pytest.raises(InvalidInput):
        Natural("searched", {name: 3})


def test_adam_does_not_learn_it_in_as_many():
    assert run(30, optimizer="adam").errors[-1] > 0.3


def uphill(lin, tol):
    return natural.Direction(-natural.engd(lin, tol=tol).vector, None, 0)


def rows_without_their_roots(lin, tol):
    """Jᵀ of the weighted rows with the kernel of the plain ones."""
    solved = np.linalg.pinv(rn.ntk(lin.lin), rcond=tol, hermitian=True) @ lin.residual
    return natural.Direction(lin.vjp(solved[:, None])[:, 0], None, 0)


@pytest.mark.parametrize("fault", [None, uphill, rows_without_their_roots])
def test_a_wrong_step_does_not_learn_it(fault, monkeypatch):
    if fault:
        monkeypatch.setattr(natural, "accepted", lambda method: ["tol"])
        monkeypatch.setitem(natural.METHODS, "engd", fault)
    errors = run(30, options={"tol": 1e-10}, weights={"boundary": 100.0}, points=HEAT.sample(counts=GRID), counts=None).errors
    assert (errors[-1] < 1e-3) == (fault is None)


@pytest.mark.parametrize("passes", [1, 2])
def test_the_rank_adapts_and_resumes(tmp_path, passes):
    options = {"optimizer": "sngd", "options": {"size": 40, "passes": passes}, "record": 3}
    run(7, checkpoint=tmp_path / "run.npz", **options)
    resumed = run(12, checkpoint=tmp_path / "run.npz", resume=True, **options)
    np.testing.assert_array_equal(resumed.theta, run(12, **options).theta)


def position(theta):
    return Position(HEAT, NETWORK, theta, HEAT.sample(counts=GRID), "quadrature", "reference")


def test_the_state_is_rank_and_oversampling():
    at, weights = position(NETWORK.init(rng=17)), dict.fromkeys(("interior", "initial", "boundary"), 1.0)
    optimizer = Natural("sngd", {"size": 50, "tol": 1e-10}, seed=3)
    _, state, taken = optimizer.advance(5, 1, at, weights, optimizer.start(at.theta, xp=np), rate=1.0, visit=lambda *_: None)
    rank, oversampling = natural.initial_sketch(at.lin, size=50, tol=1e-10, key=3, stream=5)
    found = natural.sngd(at.lin, rank=rank, oversampling=oversampling, tol=1e-10, key=3, stream=5)
    assert {name: float(value[0]) for name, value in state.items()} == {"rank": found.rank, "oversampling": oversampling}
    assert taken == 1
    given = Natural("sngd", {"rank": 7, "oversampling": 4}, seed=3)
    _, state, _ = given.advance(5, 1, at, weights, given.start(at.theta, xp=np), rate=1.0, visit=lambda *_: None)
    assert state["oversampling"][0] == 4
    assert state["rank"][0] <= 11


def test_where_nothing_is_lower_an_exact_run_ends_and_a_sketched_one_goes_on():
    line = rn.problems.get("poisson1d")
    points = {"interior": np.array([[0.0]]), "boundary": np.array([[0.0], [1.0]])}
    theta = np.zeros(2)  # u = 0 has the smallest residual there is
    ends = {
        name: rn.train(line, rn.MLP([1, 1]), theta, steps=4, optimizer=name, weighting="fixed", points=points).config
        for name in ("engd", "sngd")
    }
    assert ends["engd"]["converged"]
    assert ends["engd"]["completed"] == 0
    assert not ends["sngd"]["converged"]
    assert ends["sngd"]["completed"] == 4


def test_points_may_be_drawn_anew():
    """Another step sees other points, so a step of length 0 does not end the run."""
    history = run(6, counts={"interior": 60, "initial": 10, "boundary": 10}, resample=True)
    assert history.config["resample"]
    assert history.config["completed"] == 6
    assert history.errors[-1] < history.errors[0]


@pytest.mark.parametrize(
    ("optimizer", "options"), [("engd", {"rank": 3}), ("adam", {"tol": 1e-3}), ("sngd", {"key": 3}), ("lbfgs", {"memory": 3})]
)
def test_options_that_are_not_theirs_are_refused(optimizer, options):
    with pytest.raises(InvalidInput, match="options"):
        run(1, optimizer=optimizer, options=options)


# Energies

ENERGY, CURVE = rn.problems.get("nonlinear", form="energy"), rn.MLP([1, 10, 10, 1])
CELLS = {"slope": (200,), "value": (200,)}


def energy(theta):
    """E by itself: midpoints of ½ u'² + ¼ u⁴ - f u, with u' by central differences."""
    x, h = ENERGY.sample(counts=CELLS)["value"], 1e-5
    u, exact = CURVE(theta, x), np.cos(np.pi * x)
    slope = (CURVE(theta, x + h) - CURVE(theta, x - h)) / (2 * h)
    return float(np.mean(slope**2 / 2 + u**4 / 4 - (np.pi**2 * exact + exact**3) * u)) * 2


def curve(theta):
    return Position(ENERGY, CURVE, theta, ENERGY.sample(counts=CELLS), "quadrature", "reference")


ONES = {"slope": 1.0, "value": 1.0}


def test_the_loss_is_the_energy():
    theta = CURVE.init(rng=17)
    assert curve(theta).loss(ONES) == pytest.approx(energy(theta), rel=1e-8)


@pytest.mark.parametrize("weights", [ONES, {"slope": 0.5, "value": 3.0}])
def test_its_gradient_is_the_derivative(weights):
    theta, d = CURVE.init(rng=17), np.random.default_rng(17).standard_normal(CURVE.size)
    at, h = curve(theta), 1e-5
    slope = (curve(theta + h * d).loss(weights) - curve(theta - h * d).loss(weights)) / (2 * h)
    scale = np.linalg.norm(at.gradient(weights)) * np.linalg.norm(d)
    assert abs(at.gradient(weights) @ d - slope) < 1e-7 * scale
    assert abs(at.lin.gradient(weights) @ d - slope) > 1e-3 * scale  # the gradient of half squares


def test_its_gramian_is_the_papers():
    """`∫ v' w' + 3 u² v w`, from plain rows of u' and u."""
    theta = CURVE.init(rng=17)
    points = ENERGY.sample(counts=CELLS)
    lin = rn.linearize(ENERGY, CURVE, theta, points)
    slope, value = (lin.dense()[b] for b in lin.blocks.values())
    u = lin.residual[lin.blocks["value"]][:, None]
    want = (slope.T @ slope + (3 * u * u * value).T @ value) * 2 / 200
    assert np.linalg.norm(natural.Gramian(curve(theta).weighted(ONES)).dense() - want) < 1e-13 * np.linalg.norm(want)


@pytest.mark.parametrize(("change", "right"), [(0.0, True), (1e-3, False)])
def test_the_solution_is_stationary(change, right):
    """dE(u)[v] at u = cos πx + change cos 3x, for v = cos(1 + 2x), by midpoints."""
    x = ENERGY.sample(counts={"slope": (2000,), "value": (2000,)})["value"]
    (_, value) = ENERGY.terms
    slope = -np.pi * np.sin(np.pi * x) - 3 * change * np.sin(3 * x)
    force = value.loss(x, np.cos(np.pi * x) + change * np.cos(3 * x), xp=np)[1]
    total = 2 * np.mean(-2 * slope * np.sin(1 + 2 * x) + force * np.cos(1 + 2 * x))
    assert (abs(total) < 1e-5) == right


def test_the_losses_of_rows_are_differentiated():
    (_, value), x, h = ENERGY.terms, np.linspace(-0.9, 0.8, 7)[:, None], 1e-5
    r = np.random.default_rng(3).standard_normal((7, 1))
    (low, first, second), (high, ahead, _) = (value.loss(x, at, xp=np) for at in (r, r + h))
    assert np.max(np.abs((high - low) / h - (first + ahead) / 2)) < 1e-8
    assert np.max(np.abs((ahead - first) / h - second)) < 1e-3


@pytest.mark.parametrize("form", ["energy", "strong"])
def test_the_nonlinear_problem_is_learnt(form):
    problem = rn.problems.get("nonlinear", form=form)
    counts = CELLS if form == "energy" else {"interior": (200,), "boundary": 2}
    history = run(40, problem=problem, network=CURVE, counts=counts, options={"tol": 1e-8})
    assert history.errors[-1] < 1e-4 < 0.5 < history.errors[0]
