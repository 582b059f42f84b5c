"""The candidates with one mistake each: AUDIT's mistakes at the places where people make them.

`MUTANTS` is `{name: (mistake, {method: replacement})}`, the mistake by its number in refntk's list; `mutant(name, of)` is the
class. A replacement takes the candidate first and may call what it replaces as `right(...)`.
"""

from itertools import pairwise

import numpy as np
from candidate import RULES


def factor(c):
    return lambda self, right, *a: c * right(*a)


def per_count(power):
    """Every term's number times a power of its number of rows."""
    return lambda self, right, case, *a: right(case, *a) * np.array([(r.stop - r.start) ** float(power) for r in self.rows(case)])


def single(self, right, *a):
    return right(*a).astype(np.float32).astype(float)


def half(self, right, *a):
    value = right(*a)
    size = np.max(np.abs(value))
    return (value / size).astype(np.float16).astype(float) * size


def with_rule(index, value):
    """All weights with another functional, rows or aggregate."""

    def weights(self, right, case, rule):
        kept = RULES[rule]
        RULES[rule] = (*kept[:index], value, *kept[index + 1 :])
        try:
            return right(case, rule)
        finally:
            RULES[rule] = kept

    return weights


def only(rule, replacement):
    """One rule; the others are not offered."""

    def weights(self, right, case, asked):
        if asked != rule:
            raise NotImplementedError(f"only {rule}")
        return replacement(self, right, case, asked)

    return weights


def of_terms(function):
    """A number of (J, r) for each term."""
    return lambda self, right, case: np.array([function(self.J(case)[rows], self.residual(case)[rows]) for rows in self.rows(case)])


def rows_times(function):
    """Rows times a number of each term."""
    return lambda self, right, case: (
        right(case)
        * np.concatenate([np.full(len(case.points[t.name]) * t.components, float(function(case, t))) for t in case.problem.terms])
    )


def components_first(self, case):
    order, start = [], 0
    for term in case.problem.terms:
        n = len(case.points[term.name]) * term.components
        order += (start + np.arange(n).reshape(-1, term.components).T.ravel()).tolist()
        start += n
    return order


def reversed_terms(self, case):
    return np.concatenate([np.arange(r.start, r.stop) for r in self.rows(case)[::-1]])


def rows_in(order):
    return {
        "J": lambda self, right, case: right(case)[order(self, case)],
        "R": lambda self, right, case, t: right(case, t)[order(self, case)],
    }


def missing(position):
    def zero(self, value, case):
        value = value.copy()
        value[self.rows(case)[position]] = 0
        return value

    return {
        "raw_jacobian": lambda self, right, case: zero(self, right(case), case),
        "residual_at": lambda self, right, case, t: zero(self, right(case, t), case),
    }


def transposed(self, right, network, theta):
    for W, b in right(network, theta):
        yield W.reshape(W.shape[::-1]).T, b


def biases_first(self, right, network, theta):
    start = 0
    for m, n in pairwise(network.sizes):
        yield theta[start + n : start + n + m * n].reshape(m, n), theta[start : start + n]
        start += n + m * n


def weights_first(self, right, network, theta):
    pairs = list(pairwise(network.sizes))
    start, at = 0, sum(m * n for m, n in pairs)
    for m, n in pairs:
        yield theta[start : start + m * n].reshape(m, n), theta[at : at + n]
        start, at = start + m * n, at + n


def column_order(self, right, case):
    J, found, start = right(case), [], 0
    for m, n in pairwise(case.network.sizes):
        found += [
            J[:, start : start + m * n].reshape(-1, m, n).transpose(0, 2, 1).reshape(-1, m * n),
            J[:, start + m * n : start + (m + 1) * n],
        ]
        start += (m + 1) * n
    return np.concatenate(found, axis=1)


def of_u(self, right, problem):
    return {term.name: lambda D, x: D(x) for term in problem.terms}


def constant(value):
    """The same number, with no derivative by θ."""
    if hasattr(value, "detach"):
        return value.detach()
    from jax.lax import stop_gradient

    return stop_gradient(value)


def frozen(self, right, problem):
    """Where a term is nonlinear, u is held constant while J is taken; R is right."""
    nonlinear = {term.name for term in problem.terms if len(term.operators) > 1}

    def hold(row):
        return lambda D, x: row(lambda y, *along: D(y, *along) if along else constant(D(y)), x)

    return {name: hold(row) if name in nonlinear else row for name, row in right(problem).items()}


def at_its_own_point(self, right, problem):
    """A row that joins two points has the derivatives of one; R is right."""

    def own(row):
        return lambda D, x: row(lambda y, *along: D(y, *along) if y is x else constant(D(y, *along)), x)

    return {name: own(row) for name, row in right(problem).items()}


def unchained(self, right, network, theta):
    D, scale = right(network, theta), network.scale
    return lambda x, *along: float(np.prod([scale[i] for i in along])) * D(x, *along)


def flat(self, right, network, theta):
    """Without σ'' z_x² every second derivative of a network vanishes, for those of its inputs do."""
    D = right(network, theta)
    return lambda x, *along: D(x, *along) if len(along) < 2 else 0 * D(x)


def folded(self, right, case):
    s = np.concatenate(
        [
            np.repeat([f, 1.0], [m * n, n])
            for f, m, n in zip(case.network.scales, case.network.sizes, case.network.sizes[1:], strict=False)
        ]
    )
    return right(case) / s


def average(start, old, new):
    def averaged(self, right, case):
        columns = list(self.samples(case).T)
        found = start(columns[0])
        for s in columns if start(1.0) == 0 else columns[1:]:
            found = old(case.alpha) * found + new(case.alpha) * s
        return found

    return averaged


def ratio(s):
    return s.sum() / s


def filtered(inverse):
    """A direction by another inverse of the eigenvalues of K, largest first."""

    def direction(self, right, case):
        U, s, Vh = np.linalg.svd(self.J(case), full_matrices=False)
        return Vh.T @ (inverse(s**2) * s * (U.T @ self.residual(case)))

    return direction


def conjugate_gradients(steps):
    """A direction from (JᵀJ) d = Jᵀ R, stopped early."""

    def direction(self, right, case):
        J = self.J(case)
        r = J.T @ self.residual(case)
        d, p = 0 * r, r
        for _ in range(steps):
            Ap = J.T @ (J @ p)
            step = r @ r / (p @ Ap)
            d, new = d + step * p, r - step * Ap
            r, p = new, new + (new @ new) / (r @ r) * p
        return d

    return direction


def least_squares_on_the_square(self, right, case):
    """As Müller & Zeinhofer's code solves, in the precision that JAX has by default."""
    J = self.J(case)
    return np.linalg.lstsq(J.T @ J, J.T @ self.residual(case), rcond=np.finfo(np.float32).eps * J.shape[1])[0]


def of_samples(change):
    """Samples after another step; `change(self, samples, case, law)`."""
    return lambda self, right, case, law: change(self, right(case, law), case, law)


def drawn(change):
    """Other probes."""
    return {"draw": lambda self, right, law, shape, rng: change(right(law, shape, rng), law, rng)}


def one_sided(self, right, case, law):
    J = self.J(case)
    n, (samples, probes) = len(J), (4096, 3)
    g = self.draw(law, (n, samples * probes), np.random.default_rng(7))
    Z, G = (side.reshape(n, samples, probes).transpose(1, 0, 2) for side in (J @ (J.T @ g), g))
    return Z @ G.transpose(0, 2, 1) / probes


def accumulate(case_rows, J):
    return np.cumsum([np.sum(J[rows] ** 2) for rows in case_rows])


MUTANTS = {
    "traces: loss-gradient norms": (1, {"traces": of_terms(lambda J, r: np.linalg.norm(2 / len(r) * r @ J))}),
    "traces: squared loss-gradient norms": (1, {"traces": of_terms(lambda J, r: np.sum((2 / len(r) * r @ J) ** 2))}),
    "weights: loss-gradient norms": (1, {"weights": only("wang_2022", with_rule(0, lambda J, r, g: np.linalg.norm(sum(g))))}),
    "weights: squared gradient norms (jaxpi)": (
        1,
        {"weights": only("wang_2023", with_rule(0, lambda J, r, g: np.sum(sum(g) ** 2)))},
    ),
    "traces: root": (2, {"traces": of_terms(lambda J, r: np.linalg.norm(J))}),
    "spectrum: singular values": (2, {"spectrum": lambda self, right, case: np.sqrt(np.maximum(right(case), 0))}),
    "weights: root of the trace": (2, {"weights": only("wang_2022", with_rule(0, lambda J, r, g: np.linalg.norm(J)))}),
    "weights: root of the root-loss norm": (
        2,
        {"weights": only("paddlescience_2025", with_rule(0, lambda J, r, g: np.sqrt(np.linalg.norm(sum(g)))))},
    ),
    "traces: gradient of summed residuals": (3, {"traces": of_terms(lambda J, r: np.sum(J.sum(axis=0) ** 2))}),
    "weights: gradient of summed residuals": (
        3,
        {"weights": only("wang_2022", with_rule(0, lambda J, r, g: np.sum(J.sum(axis=0) ** 2)))},
    ),
    "gradient: without the residual": (
        3,
        {
            "gradient": lambda self, right, case: (
                self.J(case).T @ np.repeat(case.loss_weights, [r.stop - r.start for r in self.rows(case)])
            )
        },
    ),
    "traces: accumulated": (4, {"traces": lambda self, right, case: accumulate(self.rows(case), self.J(case))}),
    "weights: accumulated gradients (PaddleScience)": (4, {"weights": only("paddlescience_2025", with_rule(1, "accumulated"))}),
    "weights: accumulated gradients (PINA)": (4, {"weights": only("pina_2025_november", with_rule(1, "accumulated"))}),
    "weights: not inverted": (5, {"weights": only("wang_2022", with_rule(2, lambda s: s / s.sum()))}),
    "weights: not inverted (PaddleScience)": (5, {"weights": only("paddlescience_2025", with_rule(2, lambda s: s / s.sum()))}),
    "weights: s_k itself (jaxpi)": (5, {"weights": only("wang_2023", with_rule(2, lambda s: s))}),
    "sketched weights: not inverted": (
        5,
        {"sketched_weights": lambda self, right, case: self.trace_means(case) / self.trace_means(case).sum()},
    ),
    "NTK of u": (6, {"equations": of_u}),
    "first term missing": (7, missing(0)),
    "second term missing": (7, missing(1)),
    "rows component by component": (8, rows_in(components_first)),
    "traces: components summed": (
        8,
        {
            "traces": lambda self, right, case: np.array(
                [
                    np.sum(self.J(case)[r].reshape(-1, t.components, case.theta.size).sum(axis=1) ** 2)
                    for r, t in zip(self.rows(case), case.problem.terms)
                ]
            )
        },
    ),
    "terms swapped": (9, rows_in(reversed_terms)),
    "traces: terms swapped": (9, {"traces": lambda self, right, case: right(case)[::-1]}),
    "traces: mean over rows": (10, {"traces": per_count(-1)}),
    "weights: mean for sum": (10, {"weights": only("wang_2022", with_rule(0, lambda J, r, g: np.mean(np.sum(J**2, axis=1))))}),
    "weights: sum for mean": (10, {"weights": only("wang_2023", with_rule(0, lambda J, r, g: np.sum(J**2)))}),
    "ntk: divided by the number of rows": (10, {"ntk": lambda self, right, case: right(case) / len(right(case))}),
    "trace means: sum over probes": (10, {"trace_means": lambda self, right, case: right(case) * case.probes.shape[1]}),
    "rows: √n left out": (
        10,
        {"row_scale": lambda self, right, case: np.sign(right(case)) if case.scaling == "mean" else right(case)},
    ),
    "weights: Σλ = M": (11, {"weights": only("wang_2022", with_rule(2, lambda s: len(s) / s / np.sum(1 / s)))}),
    "weights: mean over M": (11, {"weights": only("wang_2022", with_rule(2, lambda s: np.mean(s) / s))}),
    "weights: Σ for the mean": (11, {"weights": only("wang_2023", with_rule(2, ratio))}),
    "weights: max over own": (11, {"weights": only("paddlescience_2025", with_rule(2, lambda s: s.max() / s))}),
    "weights: conditions lumped": (12, {"weights": only("wang_2022", with_rule(1, "lumped"))}),
    "weights: conditions not lumped": (12, {"weights": only("neuralpde_2023", with_rule(1, "own"))}),
    "weights: conditions lumped (PINA)": (12, {"weights": only("pina_2025_november", with_rule(1, "lumped"))}),
    "average: α on the old": (13, {"average_traces": average(lambda s: s, lambda a: a, lambda a: 1 - a)}),
    "average: from zero": (13, {"average_traces": average(lambda s: 0 * s, lambda a: 1 - a, lambda a: a)}),
    "average: plain mean": (13, {"average_traces": lambda self, right, case: self.samples(case).mean(axis=1)}),
    "average: last alone": (13, {"average_traces": lambda self, right, case: self.samples(case)[:, -1]}),
    "average of K: α on the old": (
        13,
        {"average_ntk": lambda self, right, case: right(type(case)(**{**vars(case), "alpha": 1 - case.alpha}))},
    ),
    "average: weights": (
        13,
        {
            "average_traces": lambda self, right, case: (
                (1 - case.alpha) * ratio(self.samples(case)[:, 0]) + case.alpha * ratio(self.samples(case)[:, 1])
            )
        },
    ),
    "weights: zero at first": (14, {"weights": only("physicsnemo_2026", lambda self, right, case, rule: 0 * right(case, rule))}),
    "weights: one at first": (14, {"weights": only("wang_2022", lambda self, right, case, rule: np.ones(len(self.rows(case))))}),
    "weights: never updated": (14, {"weights": only("wang_2022", lambda self, right, case, rule: case.loss_weights)}),
    "average: never updated": (14, {"average_traces": lambda self, right, case: self.samples(case)[:, 0]}),
    "gradient: factor 2": (15, {"gradient": factor(2.0)}),
    "gradient: factor ½": (15, {"gradient": factor(0.5)}),
    "ntk: factor 2": (15, {"ntk": factor(2.0)}),
    "traces: factor ½": (15, {"traces": factor(0.5)}),
    "rows: 1/n for 1/√n": (
        15,
        {"row_scale": lambda self, right, case: right(case) ** 2 if case.scaling == "mean" else right(case)},
    ),
    "rows: √2": (15, {"traces": factor(4.0), "ntk": factor(4.0)}),
    "forward: step not divided by": (15, {"products_forward": lambda self, right, case: right(case) * case.dt}),
    "central: divided by the step": (15, {"products_central": factor(2.0)}),
    "trace errors: spread, not error": (15, {"trace_errors": lambda self, right, case: right(case) * case.probes.shape[1] ** 0.5}),
    "traces: mean over outputs": (16, {"traces": lambda self, right, case: right(case) / case.problem.outputs}),
    "ntk: mean over outputs": (16, {"ntk": lambda self, right, case: right(case) / case.problem.outputs}),
    "rows: quadrature weights for roots": (
        17,
        {"row_scale": lambda self, right, case: right(case) ** 2 if case.scaling == "quadrature" else right(case)},
    ),
    "rows: measure of the domain": (17, {"row_scale": rows_times(lambda case, t: getattr(t.domain, "measure", 1.0))}),
    "rows: root of the measure": (17, {"row_scale": rows_times(lambda case, t: getattr(t.domain, "measure", 1.0) ** 0.5)}),
    "normalisation without chain rule": (18, {"D": unchained}),
    "inputs not normalised": (18, {"normalized": lambda self, right, network, x: x}),
    "factors of layers left out": (
        18,
        {
            "factors": lambda self, right, network: [
                network.output_scale if l == len(network.sizes) - 2 else 1.0 for l in range(len(network.sizes) - 1)
            ]
        },
    ),
    "output scale left out": (
        18,
        {"factors": lambda self, right, network: [*right(network)[:-1], right(network)[-1] / network.output_scale]},
    ),
    "factors folded into W": (18, {"raw_jacobian": folded}),
    "ntk in float32": (19, {"ntk": single}),
    "residual in float32": (19, {"residual": single}),
    "traces in float16": (19, {"traces": half}),
    "jacobian in float32": (19, {"raw_jacobian": single}),
    "spectrum: JᵀJ": (21, {"spectrum": lambda self, right, case: np.linalg.eigvalsh(self.J(case).T @ self.J(case))[::-1]}),
    "ntk: JᵀJ": (21, {"ntk": lambda self, right, case: self.J(case).T @ self.J(case)}),
    "jacobian: Jᵀ": (21, {"jacobian": lambda self, right, case: right(case).T}),
    "spectrum: eig": (20, {"spectrum": lambda self, right, case: np.real(np.linalg.eig(self.K(case))[0])}),
    "direction: small eigenvalues cut off": (22, {"direction": filtered(lambda x: np.where(x > 1e-2 * x[0], 1 / x, 0))}),
    "direction: a shift that stays": (22, {"direction": filtered(lambda x: 1 / (x + 1e-3))}),
    "direction: a shift of the trace": (22, {"direction": filtered(lambda x: 1 / (x + 1e-6 * x.sum()))}),
    "direction: conjugate gradients stop": (22, {"direction": conjugate_gradients(3)}),
    "direction: lstsq on the squared system": (22, {"direction": least_squares_on_the_square}),
    "direction: factor ½": (15, {"direction": factor(0.5)}),
    "direction: without the residuals": (
        3,
        {"direction": lambda self, right, case: np.linalg.lstsq(self.J(case), np.ones(len(self.J(case))), rcond=None)[0]},
    ),
    "samples: ½ missing": (15, {"sampled_ntk": of_samples(lambda self, x, case, law: 2 * x)}),
    "samples: sum over probes": (
        10,
        {
            "sampled_traces": of_samples(lambda self, x, case, law: 3 * x),
            "sampled_ntk": of_samples(lambda self, x, case, law: 3 * x),
        },
    ),
    "samples: g of variance 1.5": (34, drawn(lambda g, law, rng: 1.5**0.5 * g)),
    "samples: uniform probes": (34, drawn(lambda g, law, rng: rng.uniform(-1, 1, g.shape) if law == "normal" else g)),
    "samples: signs for normal probes": (34, drawn(lambda g, law, rng: np.sign(g))),
    "samples: biased": (
        36,
        {"sampled_traces": of_samples(lambda self, x, case, law: x + 0.25 * self.traces(case))},
    ),
    "samples: the same probes again": (35, {"sampled_traces": of_samples(lambda self, x, case, law: np.tile(x[:64], (64, 1)))}),
    "samples: one probe for three": (
        35,
        drawn(lambda g, law, rng: np.repeat(g[:, ::3], 3, axis=1)),
    ),
    "samples: a walk": (
        35,
        {"sampled_traces": of_samples(lambda self, x, case, law: (x + np.roll(x, 1, axis=0)) / 2)},
    ),
    "samples: z gᵀ": (33, {"sampled_ntk": one_sided}),
    "W as (out, in)": (23, {"unflatten": transposed}),
    "biases before W": (23, {"unflatten": biases_first}),
    "all W before all b": (23, {"unflatten": weights_first}),
    "columns of J as (out, in)": (23, {"raw_jacobian": column_order}),
    "second derivatives without σ'' z_x²": (25, {"D": flat}),
    "u held constant in nonlinear terms": (26, {"equations": frozen}),
    "rows that join two points: one of them": (27, {"equations": at_its_own_point}),
    "biases left out": (
        24,
        {
            "raw_jacobian": lambda self, right, case: (
                right(case) * np.concatenate([np.repeat([1.0, 0.0], [m * n, n]) for m, n in pairwise(case.network.sizes)])
            )
        },
    ),
    "last layer alone": (
        24,
        {
            "raw_jacobian": lambda self, right, case: (
                right(case)
                * (np.arange(case.theta.size) >= case.theta.size - (case.network.sizes[-2] + 1) * case.network.sizes[-1])
            )
        },
    ),
}


def mutant(name, of):
    """The class `of` with the mistake."""
    _, methods = MUTANTS[name]

    def replaced(method, replacement):
        inherited = getattr(of, method)
        return lambda self, *a, **k: replacement(self, lambda *b: inherited(self, *b, **k), *a)

    return type("Mutant", (of,), {method: replaced(method, replacement) for method, replacement in methods.items()})
