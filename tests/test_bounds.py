"""Hirsch & Pichi's theorems as functions: what is stated, what is proved, what is true, each separated from the others by a case.

Bounds on runs are checked over runs of gradient descent with weights that jump about; bounds on expectations over every sign
vector or by Gauss-Hermite products. Nothing is left to chance.
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, find, given
from hypothesis import strategies as st

import refntk as rn
from refntk import sketch, strategies
from refntk.errors import InvalidInput, ShapeError, UnknownNameError
from refntk.estimation import bounds, convergence
from refntk.estimation.assumptions import FORMS, Constants, descent_constant, least_product, lipschitz_estimate
from refntk.estimation.cubature import all_signs, gauss_hermite
from refntk.weights import trace_ratio

ROUNDING = 1e-11


# Section 3: the constants ------------------------------------------------------------------------------------


def rotated(low, high, angle):
    """The symmetric 2×2 matrix with these eigenvalues, the eigenvectors turned by an angle."""
    c, s = math.cos(angle), math.sin(angle)
    Q = np.array([[c, -s], [s, c]])
    return Q @ np.diag([low, high]) @ Q.T


spectra = st.tuples(st.floats(1e-3, 1.0), st.floats(1.0, 100.0))
angles = st.floats(0.0, math.pi)


def check_least_product(formula, k, ell, angle):
    M = rotated(*k, angle) @ np.diag(ell)
    assert np.linalg.eigvalsh((M + M.T) / 2)[0] >= formula(*k, *ell) - ROUNDING * k[1] * ell[1]


@given(spectra, spectra, angles)
def test_least_product_is_a_lower_bound(k, ell, angle):
    check_least_product(least_product, k, ell, angle)


@given(st.integers(2, 5), st.data())
def test_in_more_than_two_dimensions(n, data):
    J = data.draw(strategies.kernels(n=n, rank=n)).J
    ell = data.draw(st.lists(st.floats(0.1, 10.0), min_size=n, max_size=n))
    K = J @ J.T
    k = np.linalg.eigvalsh(K)
    M = K * np.array(ell)
    least = least_product(max(k[0], 0.0), k[-1], min(ell), max(ell))
    assert np.linalg.eigvalsh((M + M.T) / 2)[0] >= least - ROUNDING * k[-1] * max(ell)


@pytest.mark.parametrize("k", [(1.0, 2.0), (1.0, 9.0), (0.1, 1.9), (1.0, 1.0), (0.0, 1.0)])
@pytest.mark.parametrize("ell", [(1.0, 2.0), (1.0, 100.0), (3.0, 3.0)])
def test_least_product_is_attained(k, ell):
    """On a grid of 2000 angles, to their square."""
    forms = (rotated(*k, angle) @ np.diag(ell) for angle in np.linspace(0, math.pi, 2000))
    least = min(np.linalg.eigvalsh((M + M.T) / 2)[0] for M in forms)
    assert abs(least - least_product(*k, *ell)) <= 1e-5 * k[1] * ell[1]


@pytest.mark.parametrize(
    "formula",
    [lambda k, K, l, L: k * l, lambda k, K, l, L: 0.0, lambda k, K, l, L: least_product(k, K, l, L) / 2],
    ids=["the paper's", "not negative", "half"],
)
def test_larger_products_are_refuted(formula):
    with pytest.raises(AssertionError):
        check_least_product(formula, (0.1, 1.9), (1.0, 100.0), math.pi / 4)


# Section 3: runs ---------------------------------------------------------------------------------------------


def descend(A, weights, eta, start):
    """‖R_t‖², ‖∇F_t‖², t ≤ T, and ‖∇G_t‖², G_t along a run of R(θ) = A θ with weights (T+1, n): K = A Aᵀ throughout."""
    theta, found = np.asarray(start, dtype=float), []
    for ell in weights:
        R = A @ theta
        g = A.T @ (ell * R)
        found.append((R @ R, np.sum((A.T @ R) ** 2), g @ g, R @ (ell * R) / 2))
        theta = theta - eta * g
    return np.array(found).T


def constants(A, weights):
    """Assumption 1 for R(θ) = A θ; ∇F and ∇G are Lipschitz with the largest eigenvalues of AᵀA and AᵀΛA."""
    k = np.linalg.eigvalsh(A @ A.T)
    ell = np.asarray(weights)
    L = max(np.linalg.norm(A.T @ (w[:, None] * A), 2) for w in [np.ones(len(A)), *ell])
    return Constants(max(k[0], 0.0), k[-1], ell.min(), ell.max(), lipschitz=L)


@st.composite
def runs(draw):
    """(A, weights (T+1, 2), start, share of the largest rate)."""
    A = np.linalg.cholesky(rotated(draw(st.floats(0.5, 1.0)), draw(st.floats(1.0, 3.0)), draw(angles)))
    T = draw(st.integers(1, 12))
    weights = np.array(draw(st.lists(st.tuples(*[st.floats(1.0, 3.0)] * 2), min_size=T + 1, max_size=T + 1)))
    start = np.array(draw(st.tuples(*[st.floats(-2.0, 2.0)] * 2)))
    assume(np.linalg.norm(start) > 1e-3)
    return A, weights, start, draw(st.floats(0.01, 0.99))


def check_run(run):
    """Both theorems, both corollaries and eq. (10) on one run, at an admitted rate."""
    A, weights, start, share = run
    k = constants(A, weights)
    eta = share * min(k.largest_rate(), 2 / k.lipschitz)
    R, F, G, loss = descend(A, weights, eta, start)
    terms = {"a": weights[:, 0], "b": weights[:, 1]}
    about = {"eta": eta, "losses": (loss[0], loss[-1])}
    drift = convergence.weight_drift(terms, R)
    found = {
        "theorem 1": convergence.theorem_1(R, k, eta=eta),
        "theorem 2": convergence.theorem_2(G[:-1], k, **about, start=R[0]),
        "corollary 1": convergence.corollary_1(F[:-1], k, **about, start=R[0]),
        "eq. (10)": convergence.corollary_2(G[:-1], lipschitz=k.lipschitz, **about, h=drift),
    }
    assert all(bound.admitted for bound in found.values()), found
    assert all(bound.holds for bound in found.values()), found


@given(runs())
def test_what_is_corrected_holds_on_every_run(run):
    check_run(run)


@given(runs(), st.floats(0.1, 10.0), st.floats(1.0, 30.0))
def test_while_the_kernel_stands_still_no_condition_is_needed(run, stretch, spread):
    """Eigenvalues of K and weights as far apart as you like."""
    A, weights, start, share = run
    A, weights = A @ np.diag([1.0, stretch]), weights * np.array([1.0, spread])
    k = constants(A, weights)
    eta = share * 2 / (k.k_max * k.ell_max)
    R, *_ = descend(A, weights, eta, start)
    # R = Aθ, so V = Rᵀ(AAᵀ)⁻¹R = ‖θ‖², whose last value takes one more look at the run
    theta = np.array(start)
    for ell in weights[:-1]:
        theta = theta - eta * A.T @ (ell * (A @ theta))
    inverses = float(start @ start), float(theta @ theta)
    bound = convergence.theorem_1_for_fixed_kernels(R, k, eta=eta, inverses=inverses)
    assert bound.admitted
    assert bound.holds


def test_the_same_where_the_proof_fails():
    A, weights = COUNTEREXAMPLE
    k, start = constants(A, weights), np.linalg.solve(A, np.array([10.0, -1.0]))
    eta = 1 / (k.k_max * k.ell_max)
    R, *_ = descend(A, weights, eta, start)
    theta = start - eta * A.T @ (weights[0] * (A @ start))
    assert R[1] > R[0]
    assert convergence.theorem_1_for_fixed_kernels(R, k, eta=eta, inverses=(start @ start, theta @ theta)).holds
    wrong = convergence.theorem_1_for_fixed_kernels(R, k, eta=eta, inverses=(R[0], R[1]))  # the norm for V
    assert not wrong.holds


COUNTEREXAMPLE = np.linalg.cholesky(np.array([[1.0, 0.9], [0.9, 1.0]])), np.array([[1.0, 100.0]] * 2)


def test_a_step_that_the_proof_forbids():
    """K = [[1, .9], [.9, 1]], Λ = diag(1, 100): sym(KΛ) is indefinite, and at every admitted rate ‖R‖ grows in the first step."""
    A, weights = COUNTEREXAMPLE
    k = constants(A, weights)
    R0 = np.array([10.0, -1.0])  # R₀ᵀKΛR₀ = 100 - 909 + 100
    eta = k.largest_rate(form="proved") / 2
    R, *_ = descend(A, weights, eta, np.linalg.solve(A, R0))
    assert R[1] > R[0]
    proved, corrected = (convergence.theorem_1(R, k, eta=eta, form=form) for form in ("proved", "corrected"))
    assert proved.admitted
    assert not proved.holds
    assert k.product("corrected") < 0
    assert (corrected.admitted, corrected.holds, corrected.right) == (False, True, math.inf)


def twisted(theta):
    """R and J of `R(θ) = Q(-2 ln‖θ‖) θ`, Q a rotation: ‖R‖ = ‖θ‖ and `K = Q_φ [[1, -2], [-2, 5]] Q_φᵀ`, φ the angle of R."""
    r = math.hypot(*theta)
    c, s = math.cos(2 * math.log(r)), math.sin(2 * math.log(r))
    Q, turn = np.array([[c, s], [-s, c]]), np.array([[0.0, 1.0], [-1.0, 0.0]])
    return Q @ theta, Q + turn @ np.outer(Q @ theta, 2 * theta / r**2)


def turned(R):
    """`Λ = Q_φ [[2, 1], [1, 1]] Q_φᵀ`, φ the angle of R: smooth, and its eigenvalues never change."""
    Q = np.array([[R[0], -R[1]], [R[1], R[0]]]) / np.linalg.norm(R)
    return Q @ np.array([[2.0, 1.0], [1.0, 1.0]]) @ Q.T


def test_the_limits_of_theorems_1_and_2_fail():
    """All of Assumption 1 holds, and neither ‖R_t‖ nor ‖∇G_t‖ falls: every step is tangent to a circle, at every rate.

    F = ½‖θ‖², so ∇F = θ. G(·; z) is homogeneous of degree 2, so ∇G is Lipschitz with the largest Hessian on the circle.
    """
    circle = np.stack([np.cos(a := np.linspace(0, 2 * math.pi, 201)), np.sin(a)], axis=1)
    weight = turned(np.array([1.0, 0.0]))  # any z will do: turning θ and z together changes nothing

    def slope(theta):
        R, J = twisted(theta)
        return J.T @ weight @ R

    step = 1e-5 * np.eye(2)
    hessians = [[(slope(theta + h) - slope(theta - h)) / 2e-5 for h in step] for theta in circle]
    lipschitz = max(1.0, *(np.linalg.norm(np.array(H), 2) for H in hessians))
    k = Constants(3 - 8**0.5, 3 + 8**0.5, (3 - 5**0.5) / 2, (3 + 5**0.5) / 2, lipschitz=1.01 * lipschitz)
    eta, theta, found = k.largest_rate(form="proved") / 2, np.array([1.0, 0.0]), []
    for _ in range(1001):
        R, J = twisted(theta)
        Lambda = turned(R)
        assert np.abs(J.T @ R - theta).max() <= ROUNDING
        assert np.abs(np.linalg.eigvalsh(J @ J.T) - [k.k_min, k.k_max]).max() <= ROUNDING
        gradient = J.T @ Lambda @ R
        found.append((R @ R, gradient @ gradient, R @ Lambda @ R / 2))
        theta = theta - eta * gradient
    R, G, loss = np.array(found).T
    assert np.abs(R / (1 + eta**2) ** np.arange(1001) - 1).max() <= ROUNDING
    assert np.abs(G / R - 1).max() <= ROUNDING
    for form, holds in {"stated": False, "proved": False, "corrected": True}.items():
        one = convergence.theorem_1(R, k, eta=eta, form=form)
        assert (one.holds, one.admitted) == (holds, not holds), form
        short, long = (
            convergence.theorem_2(G[:T], k, eta=eta, losses=(loss[0], loss[T]), start=R[0], form=form) for T in (500, 1000)
        )
        assert (long.admitted, long.left >= 1) == (not holds, True), form
        assert holds or 1000 * long.right < 500 * short.right, form  # O(1/T) at most: below 1 in the end


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_theorem_1_as_stated_is_violated(share):
    """R = √k θ, k = ¼, λ = 1: what is proved is an equality, what is stated is 2c < 1 times that."""
    A, weights = np.array([[0.5]]), np.ones((11, 1))
    k = constants(A, weights)
    eta = share * k.largest_rate(form="stated")
    R, *_ = descend(A, weights, eta, [1.0])
    found = {form: convergence.theorem_1(R, k, eta=eta, form=form) for form in FORMS}
    assert all(bound.admitted for bound in found.values())
    assert {form: bound.holds for form, bound in found.items()} == {"stated": False, "proved": True, "corrected": True}
    assert abs(found["proved"].right / found["proved"].left - 1) <= ROUNDING


def test_theorem_2_as_stated_is_violated():
    """One parameter, k = 1e-4, and a weight that goes from 1 to 4 at once: what was lost, 1/c, is large."""
    A, weights = np.array([[0.01]]), np.array([[1.0]] + [[4.0]] * 100)
    k = constants(A, weights)
    eta = 0.5 * k.largest_rate(form="stated")
    R, _, G, loss = descend(A, weights, eta, [1.0])
    found = {form: convergence.theorem_2(G[:-1], k, eta=eta, losses=(loss[0], loss[-1]), start=R[0], form=form) for form in FORMS}
    assert all(bound.admitted for bound in found.values())
    assert {form: bound.holds for form, bound in found.items()} == {"stated": False, "proved": True, "corrected": True}
    assert found["corrected"].right < found["proved"].right


def test_at_the_largest_rate_nothing_is_bounded():
    k = Constants(1.0, 1.0, 1.0, 1.0, lipschitz=1.0)
    assert k.largest_rate() == 2.0
    assert convergence.theorem_1([1.0, 1.0], k, eta=2.0, form="proved").right == math.inf
    assert convergence.theorem_1([1.0, 1.0], k, eta=2.0, form="stated").holds is False  # θ ↦ -θ: ‖R‖ stays


def check_one_parameter(theorem_1=convergence.theorem_1, theorem_2=convergence.theorem_2):
    """R = θ/2 from 1, ten steps, weight 1, a tenth of the largest rate: an equality in Theorem 1 and in Theorem 2."""
    A, weights = np.array([[0.5]]), np.ones((11, 1))
    k = constants(A, weights)
    eta = 0.1 * k.largest_rate()
    R, _, G, loss = descend(A, weights, eta, [1.0])
    one, two = theorem_1(R, k, eta=eta), theorem_2(G[:-1], k, eta=eta, losses=(loss[0], loss[-1]), start=R[0])
    assert one.holds
    assert two.holds
    assert abs(one.right / one.left - 1) + abs(two.right / two.left - 1) <= ROUNDING


def test_one_parameter():
    check_one_parameter()


def of_roots(G, k, **options):
    return convergence.theorem_2(np.sqrt(G), k, **options)


def of_halves(G, k, losses, **options):
    return convergence.theorem_2(G, k, losses=(losses[0] / 2, losses[1] / 2), **options)


def of_a_sum(R, k, **options):
    bound = convergence.theorem_1(R, k, **options)
    return replace(bound, left=bound.left * (len(R) - 1))


RUN_FAULTS = {
    "a sum for the mean": {"theorem_1": of_a_sum},
    "the statement for the proof": {"theorem_1": lambda R, k, eta: convergence.theorem_1(R, k, eta=eta, form="stated")},
    "½ twice": {"theorem_2": of_halves},
    "a norm for its square": {"theorem_2": of_roots},
    "another rate": {"theorem_1": lambda R, k, eta: convergence.theorem_1(R, k, eta=1.1 * eta)},
}


@pytest.mark.parametrize("fault", RUN_FAULTS)
def test_faults_are_found_on_a_run(fault):
    with pytest.raises(AssertionError):
        check_one_parameter(**RUN_FAULTS[fault])


@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 5.0))
def test_lemma_1(x, y, a):
    """F = a (1 - cos θ), F'' ≤ a; with half the constant it fails at the bottom."""
    F, slope = a * (1 - math.cos(y)), np.array([a * math.sin(y)])
    assert convergence.lemma_1(a * (1 - math.cos(x)), F, slope, np.array([x - y]), lipschitz=a).holds
    assert not convergence.lemma_1(a * (1 - math.cos(0.1)), 0.0, np.zeros(1), np.array([0.1]), lipschitz=a / 2).holds


@st.composite
def spaced(draw):
    """A run under rule (11), h(t) = c √t, with proposals that jump about."""
    A, proposals, start, share = draw(runs())
    k, c = constants(A, proposals), draw(st.floats(0.0, 2.0))
    eta, theta, ell, S, used = share * 2 / k.lipschitz, start, proposals[0], 0.0, [proposals[0]]
    for t, proposal in enumerate(proposals[1:]):
        theta = theta - eta * A.T @ (ell * (A @ theta))
        growth = np.max(proposal - ell) * np.sum((A @ theta) ** 2)
        if S + growth <= c * math.sqrt(t):
            S, ell = S + growth, proposal
        used.append(ell)
    return A, np.array(used), start, eta, k.lipschitz, c * math.sqrt(len(proposals) - 1)


@given(spaced())
def test_corollary_2(run):
    A, weights, start, eta, L, h = run
    R, _, G, loss = descend(A, weights, eta, start)
    drift = convergence.weight_drift({"a": weights[:, 0], "b": weights[:, 1]}, R)
    assert drift <= h + ROUNDING * R[0]
    bound = convergence.corollary_2(G[:-1], lipschitz=L, eta=eta, losses=(loss[0], loss[-1]), h=h)
    assert bound.admitted
    assert bound.holds


def network_run(steps=20, lr=1e-4):
    """θ, R, ∇F, weights of eq. (5) and ∇G along gradient descent of a network for the heat problem."""
    problem = rn.problems.get("heat")
    network = rn.MLP([len(problem.coordinates), 5, 1], **problem.normalization)
    theta, points = network.init(rng=3), problem.sample(rng=3, counts={term.name: 3 for term in problem.terms})
    found = []
    for _ in range(steps + 1):
        lin = rn.linearize(problem, network, theta, points)
        weights = trace_ratio(rn.ntk_traces(lin))
        Lambda = np.concatenate([np.full(rows.stop - rows.start, weights[name]) for name, rows in lin.blocks.items()])
        gradient = lin.jacobian.T @ (Lambda * lin.residual)
        found.append((theta, lin.residual, lin.jacobian.T @ lin.residual, Lambda, gradient, rn.ntk_spectrum(lin)))
        theta = theta - lr * gradient
    return [np.array(column) for column in zip(*found, strict=True)]


def test_a_network_with_the_constant_of_its_own_run():
    """`descent_constant` is all that eq. (10) needs: for G(·; θ_t) from step t to t + 1, the largest over the run."""
    lr = 1e-4
    theta, R, dF, Lambda, dG, spectrum = network_run(lr=lr)
    after = np.sum(Lambda[:-1] * R[1:] ** 2, axis=1) / 2  # G(θ_{t+1}; θ_t)
    loss, squares = np.sum(Lambda * R**2, axis=1) / 2, np.sum(R**2, axis=1)
    L = max(descent_constant([loss[t], after[t]], theta[t : t + 2], dG[t : t + 2]) for t in range(len(after)))
    drift = convergence.weight_drift({str(i): row for i, row in enumerate(Lambda.T)}, squares)
    about = {"eta": lr, "losses": (loss[0], loss[-1])}
    tight = convergence.corollary_2(np.sum(dG[:-1] ** 2, axis=1), lipschitz=L, **about, h=drift)
    assert tight.admitted
    assert tight.holds
    F = descent_constant(squares / 2, theta, dF)
    assert 0 < F <= 2 * lipschitz_estimate(theta, dF)
    k = Constants.along(spectrum, {str(i): row for i, row in enumerate(Lambda.T)}, lipschitz=F)
    assert k.ell_min >= 1
    assert convergence.theorem_1(squares, k, eta=lr).holds  # K is badly conditioned: infinite
    assert convergence.theorem_1(squares, k, eta=lr).right == math.inf


# Section 4 ---------------------------------------------------------------------------------------------------


class Cubic:
    """R(θ) = A θ + ½ c (w·θ)² + ⅙ d (w·θ)³ with small whole numbers: even and odd remainders in closed form."""

    def __init__(self, cubic):
        self.A = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]])
        self.c, self.d, self.w = np.array([2.0, -1.0]), cubic * np.array([1.0, 3.0]), np.array([1.0, -1.0, 2.0])
        self.theta = np.array([0.5, -0.25, 0.125])

    def __call__(self, theta):
        s = self.w @ theta
        return self.A @ theta + self.c * s**2 / 2 + self.d * s**3 / 6

    @property
    def J(self):
        s = self.w @ self.theta
        return self.A + np.outer(self.c * s + self.d * s**2 / 2, self.w)

    def second(self):
        """‖∇²R[Jᵀ·, Jᵀ·]‖ / 2 = |c + d w·θ| ‖J w‖² / 2, of rank 1."""
        return np.linalg.norm(self.c + self.d * (self.w @ self.theta)) * np.sum((self.J @ self.w) ** 2) / 2

    def third(self):
        return np.linalg.norm(self.d) * np.linalg.norm(self.J @ self.w) ** 3 / 6

    def products(self, G, dt):
        directions = self.J.T @ G
        return np.stack([(self(self.theta + dt * v) - self(self.theta)) / dt for v in directions.T], axis=1)


@pytest.mark.parametrize("cubic", [0.0, 0.5])
def test_curvature(cubic):
    R = Cubic(cubic)
    assert abs(bounds.curvature(R, R.theta, R.J.T, 1e-3) / R.second() - 1) <= 1e-7


@given(st.tuples(*[st.floats(-5, 5)] * 2), st.floats(1e-3, 10.0))
def test_equation_13(g, dt):
    """For a quadratic residual, at every step; with half the constant it fails along w."""
    R, G = Cubic(0.0), np.array([g]).T
    error = np.linalg.norm(R.products(G, dt)[:, 0] - R.J @ (R.J.T @ G[:, 0]))
    C = bounds.curvature(R, R.theta, R.J.T, 1.0)
    scale = np.sum(G**2) + 1 / dt**2
    assert error <= C * dt * np.sum(G**2) + 1e-13 * scale * dt
    along = (R.J @ R.w)[:, None]
    error = np.linalg.norm(R.products(along, 1.0)[:, 0] - R.J @ (R.J.T @ along[:, 0]))
    assert error > C / 2 * np.sum(along**2)


def check_theorem_3(rights, cubic, dt):
    """All four left sides; ‖error‖ is no polynomial, so that its mean stands below the root of its mean square."""
    R = Cubic(cubic)
    G, probability = gauss_hermite(2, 5)
    Z, K = R.products(G, dt), R.J @ R.J.T
    squared = np.sum((Z - K @ G) ** 2, axis=0) @ probability
    mean = ((Z * probability) @ G.T + G @ (Z * probability).T) / 2
    found = {"product_squared": squared, "ntk": np.linalg.norm(mean - K), "trace": abs(np.trace(mean) - np.trace(K))}
    right = rights(2, dt, constant=R.second(), odd=R.third())
    assert {name for name in found if found[name] > right[name] + 1e-10 * np.trace(K)} == set()


@pytest.mark.parametrize("dt", [1e-2, 0.1, 1.0])
def test_theorem_3_for_a_quadratic_residual(dt):
    check_theorem_3(bounds.theorem_3, 0.0, dt)
    check_theorem_3(lambda *a, **o: bounds.theorem_3(*a, **o, form="stated"), 0.0, dt)


@pytest.mark.parametrize("dt", [1e-3, 3e-3])
def test_theorem_3_corrected_has_biases_of_second_order(dt):
    def rights(n, dt, *, constant, odd):
        biases = bounds.theorem_3(n, dt, constant=constant, odd=odd)
        stated = bounds.theorem_3(n, dt, constant=constant, form="stated")
        assert biases["trace"] < stated["trace"]
        return biases | {"product_squared": 2 * biases["product_squared"]}  # the cubic's share of single products

    check_theorem_3(rights, 0.5, dt)


THEOREM_3_FAULTS = {
    "no bias of a cubic": lambda n, dt, **o: bounds.theorem_3(n, dt, constant=o["constant"]),
    "of third order": lambda n, dt, **o: {
        k: v * (dt if k in ("ntk", "trace") else 1) for k, v in bounds.theorem_3(n, dt, **o).items()
    },
    "C for C²": lambda n, dt, **o: bounds.theorem_3(n, dt, **o) | {"product_squared": o["constant"] * 8 * dt**2},
}


@pytest.mark.parametrize("fault", THEOREM_3_FAULTS)
def test_faults_of_theorem_3_are_found(fault):
    with pytest.raises(AssertionError):
        check_theorem_3(THEOREM_3_FAULTS[fault], 0.5, 1e-3)


def check_theorem_4(rights, dt):
    """E of squared errors of the mean of two samples of two rows: polynomials of degree 6 in each of four normals."""
    R = Cubic(0.0)
    K = R.J @ R.J.T
    G, probability = gauss_hermite(4, 4)
    left = {"ntk": 0.0, "trace": 0.0}
    for g, share in zip(G.T, probability, strict=True):
        pair = g.reshape(2, 2)
        error = sketch.estimate_ntk(pair, R.products(pair, dt)) - K
        left["ntk"] += share * np.sum(error**2)
        left["trace"] += share * np.trace(error) ** 2
    right = rights(K, dt, constant=R.second(), samples=2)
    assert {name for name in left if left[name] > right[name] * (1 + 1e-10)} == set()
    return left, right


@pytest.mark.parametrize("form", ["proved", "corrected"])
@pytest.mark.parametrize("dt", [1e-3, 0.01, 0.1])
def test_theorem_4(form, dt):
    check_theorem_4(lambda *a, **o: bounds.theorem_4(*a, **o, form=form), dt)


def test_theorem_4_corrected_is_exact_without_discretisation():
    left, right = check_theorem_4(bounds.theorem_4, 1e-7)
    assert all(abs(left[name] / right[name] - 1) <= 1e-4 for name in left)


THEOREM_4_FAULTS = {
    "F for 2F": lambda K, dt, **o: {k: v / 2 for k, v in bounds.theorem_4(K, dt, **o).items()},
    "N²": lambda K, dt, **o: (
        {k: v / 2 for k, v in bounds.theorem_4(K, dt, **o, form="proved").items()} | {"trace": (K**2).sum() / 4}
    ),
    "no remainder": lambda K, dt, constant, **o: bounds.theorem_4(K, dt, constant=0.0, **o),
}


@pytest.mark.parametrize("fault", THEOREM_4_FAULTS)
def test_faults_of_theorem_4_are_found(fault):
    with pytest.raises(AssertionError):
        check_theorem_4(THEOREM_4_FAULTS[fault], 0.01)


def alternative_bias(p, eps):
    """E‖(R(θ + εg) - R(θ))/ε‖² - Tr K for one row, R = ‖θ‖², θ = (1, ..., 1)/√p, over p normals: C = 1."""
    theta, (G, probability) = np.full(p, p**-0.5), gauss_hermite(p, 3)
    samples = ((np.sum((theta[:, None] + eps * G) ** 2, axis=0) - 1) / eps) ** 2
    return samples @ probability - 4.0


@pytest.mark.parametrize("eps", [0.1, 1.0])
@pytest.mark.parametrize("p", [1, 2, 5])
def test_theorem_5_with_p(p, eps):
    """Corrected an equality, for C = ‖∇²R‖/2 = 1 along the axes and no odd remainder."""
    bias = alternative_bias(p, eps)
    constant = bounds.curvature(lambda t: np.array([t @ t]), np.full(p, p**-0.5), np.eye(p), 0.5)
    assert abs(constant - 1) <= ROUNDING
    low, high = bounds.theorem_5(p, eps, constant=constant)
    assert abs(bias - high) <= ROUNDING * (4 + high)
    assert low == 0
    low, high = bounds.theorem_5(p, eps, constant=1.0, slope=2.0, form="proved")
    assert low <= bias <= high


def test_theorem_5_as_stated_is_violated():
    """n = 1 row and p = 5 parameters: the bias is 35 ε², and 4 (ε + ε²) was stated. No constant free of p would do."""
    assert alternative_bias(5, 1.0) > bounds.theorem_5(1, 1.0, constant=1.0, form="stated")[1]
    assert alternative_bias(5, 1.0) <= bounds.theorem_5(5, 1.0, constant=1.0, form="stated")[1]
    exact = [bounds.theorem_5(p, 1.0, constant=1.0)[1] for p in (10, 100, 1000)]
    assert exact == [120, 10200, 1002000]


def test_theorem_5_of_a_cubic():
    """R = θ³/6 at 1, by hand: E((g²/2 + g³/6 ε) ...)²; the slope is ½, C = ½, C₃ = 1/6."""
    g, probability = gauss_hermite(1, 8)
    for eps in (0.1, 1.0, 3.0):
        bias = (((1 + eps * g[0]) ** 3 / 6 - 1 / 6) / eps) ** 2 @ probability - 0.25
        low, high = bounds.theorem_5(1, eps, constant=0.5, slope=0.5, odd=1 / 6)
        assert low <= bias <= high * (1 + ROUNDING), eps


# Remark 6 ----------------------------------------------------------------------------------------------------


def means_of_four(K):
    """K̂ from four independent signs of two rows, over all 256 outcomes, equally likely."""
    signs, _ = all_signs(8)
    return np.array([sketch.estimate_ntk(g.reshape(2, 4), K @ g.reshape(2, 4)) for g in signs.T])


def stated_holds(kernel):
    return bounds.remark_6(means_of_four(kernel.K), kernel.K, form="stated").holds


def test_remark_6_as_stated_is_violated_by_a_kernel_that_is_easily_found():
    kernel = find(strategies.kernels(n=2), lambda kernel: not stated_holds(kernel))
    assert kernel.K.min() < 0
    assert not bounds.remark_6(means_of_four(kernel.K), kernel.K, form="stated").admitted


@given(strategies.kernels(n=2, signs="nonnegative"))
def test_remark_6_holds_without_negative_entries(kernel):
    bound = bounds.remark_6(means_of_four(kernel.K), kernel.K, form="stated")
    assert bound.admitted
    assert bound.holds


@given(strategies.kernels(n=2))
def test_remark_6_corrected_holds(kernel):
    assert bounds.remark_6(means_of_four(kernel.K), kernel.K).holds


# Errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda: convergence.theorem_1([1.0, 0.5], K1, eta=0.1, form="printed"),
        lambda: convergence.theorem_2([1.0], K1, eta=0.1, losses=(1.0, 0.5), start=1.0, form="printed"),
        lambda: bounds.theorem_3(2, 0.1, constant=1.0, form="printed"),
        lambda: bounds.theorem_4(np.eye(2), 0.1, constant=1.0, samples=1, form="printed"),
        lambda: bounds.theorem_5(2, 0.1, constant=1.0, form="printed"),
        lambda: bounds.remark_6(np.eye(2)[None], np.eye(2), form="printed"),
    ],
)
def test_unknown_form(call):
    with pytest.raises(UnknownNameError, match=r"^form: "):
        call()


K1 = Constants(1.0, 1.0, 1.0, 1.0, lipschitz=1.0)


@pytest.mark.parametrize(
    ("change", "argument"),
    [({"k_min": 2.0}, "k_min"), ({"ell_min": 2.0}, "ell_min"), ({"k_max": math.inf}, "k_max"), ({"lipschitz": -1.0}, "lipschitz")],
)
def test_constants_that_are_none(change, argument):
    with pytest.raises(InvalidInput, match=f"^{argument}: "):
        replace(K1, **change)


def test_shapes():
    with pytest.raises(ShapeError, match=r"^squares: "):
        convergence.theorem_1([1.0], K1, eta=0.1)
    with pytest.raises(ShapeError, match=r"^gradients: "):
        convergence.theorem_2([], K1, eta=0.1, losses=(1.0, 0.5), start=1.0)
    with pytest.raises(ShapeError, match=r"^weights: "):
        convergence.weight_drift({"a": [1.0]}, [1.0, 0.5])
    with pytest.raises(ShapeError, match=r"^eigenvalues: "):
        Constants.along(np.ones(3), {"a": [1.0]}, lipschitz=1.0)
    with pytest.raises(ShapeError, match=r"^estimates: "):
        bounds.remark_6(np.eye(2), np.eye(2))
    with pytest.raises(InvalidInput, match=r"^eta: "):
        convergence.theorem_1([1.0, 0.5], K1, eta=math.nan)
    with pytest.raises(InvalidInput, match=r"^eta: "):
        convergence.theorem_2([1.0], K1, eta=0.0, losses=(1.0, 0.5), start=1.0)
    with pytest.raises(InvalidInput, match=r"^n: "):
        all_signs(30)
