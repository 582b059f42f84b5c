"""Natural-gradient directions: dualities, Algorithm 1 and its bound, appendix B; each check rejects a planted fault."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from cases import NETWORK_PROBLEMS, case
from scipy.sparse.linalg import aslinearoperator

import refntk as rn
from refntk import engine as engines
from refntk import natural, probes
from refntk.errors import InvalidInput, UnknownNameError
from refntk.natural import piecewise

TOL = 1e-7  # a truncation well above rounding: eigenvalues of K are known to about 1e-16 of the largest
each_problem = pytest.mark.parametrize("name", NETWORK_PROBLEMS)


def linearized(name, *, each=6, scaling="quadrature", hidden=(5, 4)):
    return case(name, each=each, hidden=hidden).linearize(scaling=scaling)


def truth(lin, tol=TOL, relative=True):
    """`G⁺Jᵀr` from the singular values of J."""
    J = lin.jacobian.dense()
    U, s, Vh = np.linalg.svd(J, full_matrices=False)
    keep = s**2 > (tol * s[0] ** 2 if relative else tol)
    return Vh[keep].T @ ((U[:, keep].T @ lin.residual) / s[keep])


def apart(got, want):
    """The relative distance."""
    return np.linalg.norm(got - want) / np.linalg.norm(want)


def operator(A, residual, theta=None):
    """A linear residual with the Jacobian A, through the public door."""
    A = np.asarray(A, dtype=float)
    theta = np.zeros(A.shape[1]) if theta is None else theta
    rows = {"data": slice(0, A.shape[0])}
    return rn.DirectLinearization(lambda t: residual + A @ t, lambda t, V: A @ V, lambda t, W: A.T @ W, theta, rows)


def with_spectrum(eigenvalues, n, p, rng=17):
    """A linear residual whose Gramian has these eigenvalues."""
    generator = np.random.default_rng(rng)
    k = len(eigenvalues)
    U, V = (np.linalg.qr(generator.standard_normal((m, k)))[0] for m in (n, p))
    return operator(U * np.sqrt(eigenvalues) @ V.T, generator.standard_normal(n))


# The Gramian and its two spaces


@each_problem
def test_the_gramian_is_that_of_the_rows(name):
    lin = linearized(name)
    J = lin.jacobian.dense()
    G, scale = natural.Gramian(lin), np.linalg.norm(J) ** 2
    V = np.random.default_rng(17).standard_normal((lin.shape[1], 3))
    assert np.linalg.norm(G.dense() - J.T @ J) < 1e-14 * scale
    assert np.linalg.norm(G @ V - J.T @ (J @ V)) < 1e-13 * scale * np.linalg.norm(V)
    np.testing.assert_array_equal(G @ V[:, 0], G.T.matvec(V[:, 0]))
    np.testing.assert_array_equal(aslinearoperator(G) @ V, G @ V)


@pytest.mark.parametrize("scaling", ["sum", "quadrature"])
def test_quadrature_weights_scale_the_gramian(scaling):
    """G ≈ ∫ (∂u)² counts every point with its share of the measure; without, with 1."""
    lin = linearized("heat", scaling=scaling)
    plain, problem = linearized("heat", scaling="sum").jacobian.dense(), rn.problems.get("heat")
    want = sum(term.domain.measure / 6 * plain[b].T @ plain[b] for term, b in zip(problem.terms, lin.blocks.values(), strict=True))
    assert (apart(natural.Gramian(lin).dense(), want) < 1e-12) == (scaling == "quadrature")


def untransposed(lin):
    """JᵀK⁺r without Jᵀ's scaled rows: a Jᵀ of the unscaled ones."""
    eigenvalues, V = np.linalg.eigh(rn.ntk(lin))
    return (
        linearized("heat", scaling="sum").jacobian.T
        @ natural.truncation.invert(eigenvalues, V, lin.residual, tol=TOL, relative=True)[0]
    )


def smallest_kept(lin):
    """The truncation on the wrong side: the small eigenvalues are inverted."""
    eigenvalues, V = np.linalg.eigh(rn.ntk(lin))
    keep = eigenvalues <= TOL * eigenvalues[-1]
    return lin.jacobian.T @ (V[:, keep] @ (V[:, keep].T @ lin.residual / np.abs(eigenvalues[keep])))


def kernel_of_the_gradient(lin):
    """K⁺ applied twice, as if Jᵀr were already K's."""
    eigenvalues, V = np.linalg.eigh(rn.ntk(lin))
    return lin.jacobian.T @ (V @ (V.T @ lin.residual / np.maximum(eigenvalues, TOL * eigenvalues[-1]) ** 2))


@each_problem
@pytest.mark.parametrize("space", ["sample", "parameter"])
@pytest.mark.parametrize("scaling", ["sum", "quadrature"])
def test_both_spaces_give_one_direction(name, space, scaling):
    """`G⁺Jᵀr = JᵀK⁺r` with the same eigenvalues cut."""
    lin = linearized(name, scaling=scaling)
    found = natural.solve(lin, "engd", options={"space": space, "tol": TOL})
    assert apart(found.vector, truth(lin)) < 1e-8
    assert found.rank == natural.rank(np.linalg.svd(lin.jacobian.dense())[1] ** 2, tol=TOL)


@pytest.mark.parametrize("fault", [untransposed, smallest_kept, kernel_of_the_gradient])
def test_a_wrong_dual_is_seen(fault):
    lin = linearized("heat")
    assert apart(fault(lin), truth(lin)) > 1e-2


def test_the_smaller_space_is_taken():
    sizes = [len(natural.solve(lin, "engd").eigenvalues) for lin in (with_spectrum([1.0], 3, 7), with_spectrum([1.0], 7, 3))]
    assert sizes == [3, 3]


@each_problem
def test_full_precision_is_the_singular_values(name):
    lin = linearized(name)
    assert apart(natural.direction(lin, "full_precision", tol=TOL), truth(lin)) < 1e-10


def graded(singular):
    """A residual whose Jacobian has these singular values: θ = 1 solves it."""
    rng, shape = np.random.default_rng(17), (len(singular),) * 2
    U, V = (np.linalg.qr(rng.standard_normal(shape))[0] for _ in range(2))
    return operator(U * singular @ V.T, U * singular @ V.T @ np.ones(len(singular)))


@pytest.mark.parametrize(("method", "right"), [("full_precision", True), ("engd", False), ("least_squares", False)])
def test_the_condition_number_is_not_squared(method, right):
    """κ(J) = 1e10: its square is beyond float64."""
    d = natural.direction(graded([1.0, 1e-3, 1e-10]), method, tol=1e-26)
    assert (apart(d, np.ones(3)) < 1e-5) == right


@each_problem
def test_damping_leads_from_the_gradient_to_engd(name):
    lin = linearized(name)
    J = lin.jacobian.dense()
    mu = 1e-3 * np.trace(J @ J.T)
    want = np.linalg.solve(J.T @ J + mu * np.eye(J.shape[1]), J.T @ lin.residual)
    assert apart(natural.direction(lin, "damped", damping=1e-3), want) < 1e-10
    share = 1e-3 * np.trace(J @ J.T) / np.linalg.norm(J, 2) ** 2
    assert apart(natural.direction(lin, "full_precision", tol=0.0, damping=share), want) < 1e-10
    gradient, large = J.T @ lin.residual, natural.direction(lin, "damped", damping=1e6)
    assert gradient @ large > (1 - 1e-5) * np.linalg.norm(gradient) * np.linalg.norm(large)


def test_least_squares_is_numpys():
    lin = linearized("heat")
    J = lin.jacobian.dense()
    want = np.linalg.lstsq(J.T @ J, J.T @ lin.residual, rcond=TOL)[0]
    assert apart(natural.direction(lin, "least_squares", tol=TOL), want) < 1e-8


@pytest.mark.parametrize("method", natural.METHODS)
@each_problem
def test_every_direction_descends(method, name):
    lin = linearized(name)
    d = natural.direction(lin, method)
    assert d.shape == (lin.shape[1],)
    assert d @ (lin.jacobian.T @ lin.residual) > 0
    assert -d @ (lin.jacobian.T @ lin.residual) < 0  # the other sign climbs


@pytest.mark.parametrize("method", natural.METHODS)
def test_directions_on_other_libraries(method):
    import array_api_strict as xp

    one = case("heat", each=6)
    points = {name: xp.asarray(x) for name, x in one.points.items()}
    lin = rn.linearize(one.problem, one.network, xp.asarray(one.theta), points, scaling="quadrature")
    known = natural.accepted(method)
    options = {"tol": 1e-6} if "tol" in known else {"damping": 1e-6} if "damping" in known else {"cuts": (1e-6,)}
    want = natural.direction(one.linearize(scaling="quadrature"), method, **options)
    assert apart(np.asarray(natural.direction(lin, method, **options)), want) < 1e-6


# Other losses


@each_problem
@pytest.mark.parametrize("engine", engines.names())
def test_weights_are_a_curvature(name, engine):
    """Rows scaled by √λ by hand."""
    lin = case(name, each=6).linearize(engine=engine)
    weight = np.random.default_rng(17).uniform(0.1, 9.0, lin.shape[0])
    by_hand = operator(np.sqrt(weight)[:, None] * lin.jacobian.dense(), np.sqrt(weight) * lin.residual)
    curved = natural.Curved(lin, weight, weight * lin.residual)
    K = rn.ntk(curved)
    assert np.linalg.norm(K - rn.ntk(by_hand)) < 1e-12 * np.linalg.norm(K)
    assert apart(curved.dense(), by_hand.dense()) < 1e-14
    weights = {name: 2.0 + i for i, name in enumerate(curved.blocks)}
    spread = np.concatenate([np.full(b.stop - b.start, weights[name]) for name, b in lin.blocks.items()])
    assert apart(curved.gradient(weights), by_hand.dense().T @ (spread * by_hand.residual)) < 1e-12
    assert apart(curved.jacobian @ np.ones(lin.shape[1]), by_hand.dense() @ np.ones(lin.shape[1])) < 1e-12
    assert curved.compact == lin.compact
    np.testing.assert_allclose(rn.ntk_diagonal(curved), np.diag(K), rtol=1e-10, atol=1e-13 * np.trace(K))
    d = natural.direction(lin, "engd", tol=TOL, curvature=weight, cotangent=weight * lin.residual)
    assert apart(d, truth(by_hand)) < 1e-8
    assert apart(natural.direction(lin, "engd", tol=TOL, curvature=weight), truth(by_hand)) > 1e-3  # a forgotten cotangent


def test_a_row_without_curvature_counts_for_nothing():
    lin = operator(np.eye(3), np.array([1.0, 2.0, 3.0]))
    d = natural.direction(lin, "engd", curvature=np.array([1.0, 0.0, 4.0]), cotangent=np.array([1.0, 5.0, 2.0]))
    np.testing.assert_allclose(d, [1.0, 0.0, 0.5], rtol=1e-14)


# Algorithm 1


def decaying(ratio=0.5, n=60, p=80):
    return with_spectrum(ratio ** np.arange(40), n, p)


@pytest.mark.parametrize("passes", [1, 2])
def test_a_sketch_of_the_whole_rank_is_engd(passes):
    """On exact low rank both formulas are exact."""
    lin = with_spectrum(np.linspace(1.0, 2.0, 12), 30, 50)
    d = natural.solve(lin, "sngd", options={"rank": 12, "oversampling": 4, "passes": passes, "tol": 1e-9})
    assert apart(d.vector, truth(lin)) < 1e-9
    assert d.rank == 12


def test_single_pass_needs_its_inverse():
    """T = QᵀA without (QᵀM)⁻¹ is a planted fault."""
    lin = with_spectrum(np.linspace(1.0, 2.0, 12), 30, 50)
    M = probes.normal(50, 12, key=17)
    A = natural.Gramian(lin) @ M
    Q, _ = np.linalg.qr(A)
    right, wrong = (
        Q @ np.linalg.solve(T, Q.T @ (lin.jacobian.T @ lin.residual)) for T in (Q.T @ A @ np.linalg.inv(Q.T @ M), Q.T @ A)
    )
    assert apart(right, truth(lin)) < 1e-9 < 1e-2 < apart(wrong, truth(lin))
    assert apart(natural.direction(lin, "sngd", rank=11, oversampling=1, passes=1), truth(lin)) < 1e-9


def test_the_two_pass_sketch_converges_to_engd_as_it_grows():
    lin = decaying()
    want = truth(lin, tol=1e-6, relative=False)
    errors = [apart(natural.direction(lin, "sngd", rank=rank, oversampling=10, tol=1e-6), want) for rank in (5, 10, 15, 20, 25, 50)]
    assert all(later < earlier for earlier, later in pairwise(errors))
    assert errors[0] > 0.5
    assert errors[-1] < 1e-8


@pytest.mark.parametrize("relative", [False, True])
def test_the_rank_is_that_of_the_next_step(relative):
    lin = decaying()
    found = natural.solve(lin, "sngd", options={"rank": 5, "oversampling": 6, "tol": 2.0**-20.5, "relative": relative})
    assert found.rank == 11  # all that a small sketch sees
    found = natural.solve(lin, "sngd", options={"rank": 30, "oversampling": 6, "tol": 2.0**-20.5, "relative": relative})
    assert found.rank == 21
    assert natural.initial_sketch(lin, size=38, tol=2.0**-20.5)[0] == 21
    assert natural.initial_sketch(with_spectrum(10.0 ** (-1.5 * np.arange(14)), 60, 80), size=14) == (9, 11)  # 1e-13 and 2e-16


def test_probes_are_functions_of_key_and_stream():
    lin = decaying()
    first, again, other = (natural.direction(lin, "sngd", rank=5, oversampling=5, key=3, stream=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert apart(other, first) > 1e-6


KEYS = range(40)


def ranges(lin, columns, *, sketched=True):
    """‖(I - QQᵀ) G‖ for independent sketches; without G, Q is a random subspace."""
    G = natural.Gramian(lin).dense()
    found = []
    for key in KEYS:
        M = probes.normal(G.shape[0], columns, key=key)
        Q, _ = np.linalg.qr(G @ M if sketched else M)
        found.append(np.linalg.norm(G - Q @ (Q.T @ G), 2))
    return np.array(found)


@pytest.mark.parametrize("ratio", [0.5, 0.8])
@pytest.mark.parametrize(("rank", "oversampling"), [(1, 2), (2, 2), (4, 2), (8, 4), (16, 8)])
def test_the_bound_of_equation_8_holds(ratio, rank, oversampling):
    """The mean of 40 norms, at 4 standard errors: a false alarm would need the bound to be tight, and it is not."""
    lin = decaying(ratio)
    bound = natural.error_bound(ratio ** np.arange(40), rank=rank, oversampling=oversampling)
    norms = ranges(lin, rank + oversampling)
    assert norms.mean() + 4 * norms.std(ddof=1) / np.sqrt(len(norms)) < bound


def test_two_passes_miss_at_most_twice_the_bound():
    """‖G - QQᵀGQQᵀ‖ ≤ 2 ‖(I - QQᵀ)G‖ (section 5.3 of Halko et al.), and more than once: the factor is not idle for every sketch."""
    lin = decaying(0.8)
    G = natural.Gramian(lin).dense()
    for_range, both = [], []
    for key in KEYS:
        Q, _ = np.linalg.qr(G @ probes.normal(G.shape[0], 8, key=key))
        for_range.append(np.linalg.norm(G - Q @ (Q.T @ G), 2))
        both.append(np.linalg.norm(G - Q @ (Q.T @ G @ Q) @ Q.T, 2))
    assert np.all(np.array(both) <= 2 * np.array(for_range))
    assert np.mean(both) > 1.02 * np.mean(for_range)


def test_the_root_of_the_sum_in_equation_9():
    """For λ_j = exp(-j/18) it is 3.1 λ_{r+1}: the bound less its first part, over e √(r+p)/p λ_{r+1}."""
    r, p, values = 10, 6, np.exp(-np.arange(1, 600) / 18)
    rest = natural.error_bound(values, rank=r, oversampling=p) - (1 + np.sqrt(r / (p - 1))) * values[r]
    assert rest / (np.e * np.sqrt(r + p) / p * values[r]) == pytest.approx(3.1, abs=0.03)


def test_a_sketch_that_never_saw_the_gramian_violates_it():
    norms = ranges(decaying(0.5), 12, sketched=False)
    assert norms.mean() - 4 * norms.std(ddof=1) / np.sqrt(len(norms)) > natural.error_bound(
        0.5 ** np.arange(40), rank=8, oversampling=4
    )


def test_a_bound_without_its_constants_is_violated():
    """λ_{r+1} alone, which no sketch of exactly r columns attains."""
    assert ranges(decaying(0.8), 8).mean() > 0.8**8


def test_the_bound_by_hand():
    """r = 1, p = 2: 2 λ₂ + (e √3 / 2) √(λ₂² + λ₃²), in any order of the eigenvalues."""
    assert natural.error_bound(np.array([3.0, 9.0, 4.0]), rank=1, oversampling=2) == pytest.approx(
        2 * 4 + np.e * np.sqrt(3) / 2 * 5, rel=1e-15
    )


def test_nystrom_converges_to_engd_from_below():
    lin = decaying()
    want = truth(lin, tol=1e-6)
    errors = [apart(natural.direction(lin, "nystrom", rank=rank, oversampling=10, tol=1e-6), want) for rank in (5, 15, 40)]
    assert errors[0] > errors[1] > 0.1
    assert errors[2] < 1e-6
    true = np.sort(np.linalg.eigvalsh(rn.ntk(lin)))[::-1]
    found = natural.solve(lin, "nystrom", options={"rank": 10, "oversampling": 4}).eigenvalues
    assert len(found) == 10
    assert np.all(found <= true[:10] * (1 + 1e-12))


def test_nothing_of_p_squared_or_n_p_is_made():
    """The largest array of a direction in sample space, and of a sketch of the kernel, by a counting residual."""
    widths = []
    generator = np.random.default_rng(17)
    A = generator.standard_normal((8, 500))

    def vjp(theta, W):
        widths.append(W.shape[1])
        return A.T @ W

    lin = rn.DirectLinearization(lambda t: np.ones(8), lambda t, V: A @ V, vjp, np.zeros(500), {"data": slice(0, 8)})
    natural.direction(lin, "nystrom", rank=3, oversampling=1)
    assert max(widths) == 4


def test_engd_in_sample_space_asks_for_one_adjoint(monkeypatch):
    lin = linearized("heat")
    monkeypatch.setattr(type(lin), "dense", None)
    seen = []
    original = type(lin).vjp
    monkeypatch.setattr(type(lin), "vjp", lambda self, W: seen.append(W.shape) or original(self, W))
    natural.direction(lin, "engd", space="sample")
    assert seen == [(lin.shape[0], 1)]


# The line search


def bowl(theta):
    return float(theta @ theta)


@pytest.mark.parametrize("exhaustive", [True, False])
@pytest.mark.parametrize(
    ("far", "want"), [(1.0, 1.0), (4.0, 0.25), (2.0**20, 2.0**-20), (2.0**29, 2.0**-29), (-1.0, 0.0), (3.0, 0.25)]
)
def test_the_best_halving_is_found(far, want, exhaustive):
    """θ = 1 and d = far: the minimum is at the step 1/far."""
    step, lowest = natural.line_search(bowl, np.ones(1), np.array([far]), exhaustive=exhaustive)
    assert step == want
    assert lowest == bowl(np.ones(1) - step * far)


def test_zero_is_the_floor_and_infinities_are_passed():
    def cliff(theta):
        return np.nan if theta[0] < 0.5 else float(theta[0])

    assert natural.line_search(cliff, np.ones(1), np.ones(1)) == (0.5, 0.5)
    assert natural.line_search(lambda theta: 1.0, np.ones(1), np.ones(1)) == (0.0, 1.0)
    calls = []
    natural.line_search(lambda theta: calls.append(1) or 1.0, np.ones(1), np.ones(1), start=1.0, halvings=4)
    assert len(calls) == 5


# The searched step


@pytest.mark.parametrize("space", ["rows", "sample"])
@each_problem
def test_of_one_cut_the_searched_step_is_engd_and_its_line_search(name, space):
    one = case(name, each=6, hidden=(5, 4))
    lin = one.linearize(scaling="quadrature")

    def loss(d):
        return float(np.sum(replace(one, theta=one.theta - d).linearize(scaling="quadrature").residual ** 2)) / 2

    found = natural.searched(lin, loss=loss, cuts=(TOL,), dampings=(), space=space)
    step, lowest = natural.line_search(lambda x: loss(-x), np.zeros(lin.shape[1]), truth(lin), exhaustive=False)
    assert step > 0
    assert loss(found.vector) == pytest.approx(lowest, rel=1e-5)
    assert apart(found.vector, step * truth(lin)) < 1e-6


@pytest.mark.parametrize(("space", "right"), [("rows", True), ("sample", False)])
def test_the_searched_cut_goes_below_rounding_from_the_rows_only(space, right):
    """κ(J) = 1e10: with the loss of the linear model the finest cut is best, which K cannot see."""
    d = natural.direction(graded([1.0, 1e-3, 1e-10]), "searched", space=space)
    assert (apart(d, np.ones(3)) < 1e-5) == right


@pytest.mark.parametrize("constant", [0.0, -1e3])  # which the value of an energy may have
def test_the_finest_cut_that_is_worth_it_is_taken_and_no_other_is_tried(constant):
    losses = []

    def loss(d):
        losses.append(1)
        return float(np.sum((graded([1.0, 0.1, 0.01]).residual * (1 - d[0])) ** 2)) + constant

    natural.searched(graded([1.0, 0.1, 0.01]), loss=loss)
    assert len(losses) <= 4  # at θ, at the step 1, and at 1/2, which is worse


def test_damping_helps_where_truncation_leads_nowhere():
    """Only steps of 2^-8 and less along any truncated direction lower this loss; damped ones are free of the flat one."""
    lin = operator(np.diag([1.0, 1e-6]), np.array([1.0, 1.0]))

    def loss(d):
        return 0.5 * (1 - d[0]) ** 2 + abs(d[1])

    cut = natural.searched(lin, loss=loss, cuts=(1e-22,), dampings=())
    damped = natural.searched(lin, loss=loss, cuts=(1e-22,))
    assert loss(cut.vector) > 0.499
    assert loss(damped.vector) < 1e-3


def test_where_nothing_is_lower_the_searched_step_is_none():
    found = natural.searched(operator(np.eye(2), np.ones(2)), loss=lambda d: float(d @ d))
    assert found.rank == 0
    assert not found.vector.any()


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"theta": np.full(2, 0.1), "radius": 2.0}, 0.2 * 2**0.5),
        ({"theta": np.full(2, 0.1)}, 0.1 * 2**0.5),
        ({"theta": np.full(2, 0.1), "radius": float("inf")}, 2**0.5),
        ({"theta": np.zeros(2)}, 2**0.5),  # whose length says nothing
        ({}, 2**0.5),
    ],
)
def test_no_direction_is_longer_than_its_share_of_theta(options, length):
    """The linear model's loss falls up to (1, 1), which only steps that long reach."""
    found = natural.searched(graded([1.0, 1e-3]), **options)
    assert np.linalg.norm(found.vector) == pytest.approx(length, rel=1e-9)


@pytest.mark.parametrize(("radius", "most"), [(1.0, 0.1), (float("inf"), 1.0)])
def test_no_damped_direction_is_longer_either(radius, most):
    lin = operator(np.diag([1.0, 1e-6]), np.array([1.0, 1.0]))
    options = {"theta": np.array([0.1, 0.0]), "radius": radius, "cuts": (1e-22,)}
    found = natural.searched(lin, loss=lambda d: 0.5 * (1 - d[0]) ** 2 + abs(d[1]), **options)
    assert found.rank == 2
    assert np.linalg.norm(found.vector) == pytest.approx(most, rel=1e-2)


def test_a_searched_step_in_sample_space_makes_no_rows(monkeypatch):
    lin = linearized("heat")
    monkeypatch.setattr(type(lin), "dense", None)
    assert natural.searched(lin, space="sample").rank > 0
    with pytest.raises(TypeError):
        natural.searched(lin, space="rows")


# What is refused


@pytest.mark.parametrize(
    ("method", "options", "argument"),
    [
        ("engd", {"tol": 1.5}, "tol"),
        ("engd", {"tol": -1.0}, "tol"),
        ("engd", {"tol": "small"}, "tol"),
        ("engd", {"space": "phase"}, "space"),
        ("sngd", {"passes": 3}, "passes"),
        ("sngd", {"rank": 2.5, "oversampling": 1}, "rank"),
        ("sngd", {"rank": 2, "oversampling": 0}, "oversampling"),
        ("sngd", {"size": 0}, "size"),
        ("sngd", {"probe": "cauchy"}, "kind"),
        ("damped", {"damping": 0.0}, "damping"),
        ("full_precision", {"damping": -1.0}, "damping"),
        ("nystrom", {"rank": 0}, "rank"),
        ("searched", {"cuts": (-1.0,)}, "cuts"),
        ("searched", {"dampings": (float("nan"),)}, "dampings"),
        ("searched", {"space": "phase"}, "space"),
        ("searched", {"radius": 0.0}, "radius"),
        ("searched", {"radius": True}, "radius"),
        ("searched", {"theta": np.ones(3)}, "theta"),
        ("engd", {"rank": 3}, "option of 'engd'"),
        ("newton", {}, "method"),
    ],
)
def test_what_cannot_be_used_is_named(method, options, argument):
    with pytest.raises(InvalidInput) as caught:
        natural.direction(with_spectrum([1.0, 0.5], 4, 5), method, **options)
    assert caught.value.argument == argument


def test_a_misspelt_option_finds_its_neighbour():
    with pytest.raises(UnknownNameError, match="did you mean 'oversampling'"):
        natural.direction(with_spectrum([1.0], 4, 5), "sngd", oversamplin=3)


@pytest.mark.parametrize(
    ("curvature", "cotangent"), [(-np.ones(4), np.ones(4)), (np.ones(3), np.ones(4)), (np.ones(4), np.full(4, np.nan))]
)
def test_bad_losses_are_refused(curvature, cotangent):
    with pytest.raises(InvalidInput):
        natural.direction(with_spectrum([1.0], 4, 5), curvature=curvature, cotangent=cotangent)


@pytest.mark.parametrize(
    "options", [{"rank": 0, "oversampling": 2}, {"rank": 1, "oversampling": 1}, {"rank": 3, "oversampling": 2}]
)
def test_bounds_that_are_not_proved_are_refused(options):
    with pytest.raises(InvalidInput):
        natural.error_bound(np.ones(4), **options)


@pytest.mark.parametrize("halvings", [-1, 2.5, True])
def test_halvings_are_counted(halvings):
    with pytest.raises(InvalidInput, match="halvings"):
        natural.line_search(bowl, np.ones(1), np.ones(1), halvings=halvings)


# Appendix B


def hats(x, N):
    """ψ_1, ..., ψ_N at x (m,), (m, N)."""
    nodes = -1 + 2 * np.arange(1, N + 1) / N
    return np.maximum(0, 1 - np.abs(x[:, None] - nodes) * N / 2)


def relus(x, N):
    return np.maximum(0, x[:, None] - (-1 + 2 * np.arange(N) / N))


def gauss(N):
    """Two Gauss points on every subinterval: exact for products of piecewise linear functions."""
    points, weights = np.polynomial.legendre.leggauss(2)
    middle = -1 + (2 * np.arange(N) + 1) / N
    return (middle[:, None] + points / N).ravel(), np.tile(weights / N, N)


@pytest.mark.parametrize("N", [2, 5, 16])
def test_the_closed_matrices_are_integrals(N):
    x, w = gauss(N)
    for basis, mass, stiffness in (
        (hats, piecewise.hat_mass, piecewise.hat_stiffness),
        (relus, piecewise.relu_mass, piecewise.relu_stiffness),
    ):
        values, step = basis(x, N), 1e-3 / N
        slopes = (basis(x + step, N) - basis(x - step, N)) / (2 * step)  # Gauss points are no nodes
        np.testing.assert_allclose(mass(N), values.T @ (w[:, None] * values), atol=1e-14)
        np.testing.assert_allclose(stiffness(N), slopes.T @ (w[:, None] * slopes), rtol=1e-10, atol=1e-10 * N)


@pytest.mark.parametrize("N", [4, 32, 128])
@pytest.mark.parametrize(("power", "right"), [(2, True), (0, False)])
def test_the_bases_are_joined_by_second_differences(N, power, right):
    """M₁ = B M₂ Bᵀ / h², and M₂ = h² B⁻¹ M₁ B⁻ᵀ; the paper's h⁰ is off by its factor."""
    B, scale = np.linalg.inv(piecewise.second_difference(N)), (2 / N) ** power
    mass = scale * B @ piecewise.hat_mass(N) @ B.T
    stiffness = scale * B @ piecewise.hat_stiffness(N) @ B.T
    assert (apart(mass, piecewise.relu_mass(N)) < 1e-12) == right
    assert (apart(stiffness, piecewise.relu_stiffness(N)) < 1e-12) == right


@pytest.mark.parametrize("N", [4, 64, 256])
def test_condition_numbers_of_appendix_b(N):
    """κ = 3 on a circle, just below 4 with a free end; κ(M₂) between 3.9 and 8 N⁴; K₂ = -(2/N) D₂⁻¹ with the ends as they are."""
    assert np.linalg.cond(piecewise.hat_mass(N, periodic=True)) == pytest.approx(3, rel=1e-12)
    assert 3 < np.linalg.cond(piecewise.hat_mass(N)) < 4
    assert 3.9 * N**4 < np.linalg.cond(piecewise.relu_mass(N)) < 8 * N**4
    D = -2 * np.eye(N) + np.eye(N, k=1) + np.eye(N, k=-1)
    D[0, 0] = -1
    inverse = np.linalg.inv(D)
    assert apart(-2 / N * inverse, piecewise.relu_stiffness(N)) < 1e-11
    assert apart(-N / 2 * inverse, piecewise.relu_stiffness(N)) > 0.5  # as printed


def test_gradient_descent_sees_it_and_engd_does_not():
    """Data fitting in both bases: one natural step solves either, whatever κ is."""
    N = 16
    x, w = gauss(N)
    data = np.sqrt(w) * np.sin(x)
    for basis in (hats, relus):
        A = np.sqrt(w)[:, None] * basis(x, N)
        d = natural.direction(operator(A, -data), "engd")
        assert apart(-d, np.linalg.lstsq(A, data)[0]) < 1e-8


@pytest.mark.parametrize("N", [1, 2.5, True])
def test_subintervals_are_counted(N):
    with pytest.raises(InvalidInput, match="subintervals"):
        piecewise.hat_mass(N)
