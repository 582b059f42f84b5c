"""What follows from R and J, written from the papers and the sources of published codes; who differentiates is left open.

A library gives `residual_at(case, theta)`, `jacobian(case)` and `derivatives(case, term, exponents)`, unscaled rows; the methods
here have the names that refntk's checks call. Each is a place for a mistake: `mutants.py` overrides one at a time.
"""

import numpy as np


class Candidate:
    def residual_at(self, case, theta):
        raise NotImplementedError

    def raw_jacobian(self, case):
        raise NotImplementedError

    def derivatives(self, case, term, exponents):
        raise NotImplementedError

    # Rows

    def rows(self, case):
        """`[slice, ...]` of the terms."""
        stops = np.cumsum([len(case.points[t.name]) * t.components for t in case.problem.terms])
        return [slice(int(stop) - len(case.points[t.name]) * t.components, int(stop)) for t, stop in zip(case.problem.terms, stops)]

    def row_scale(self, case):
        found = []
        for term in case.problem.terms:
            n = len(case.points[term.name]) * term.components
            if case.scaling == "quadrature":
                found.append(np.repeat(np.sqrt(case.quadrature[term.name]), term.components))
            else:
                found.append(np.full(n, n**-0.5 if case.scaling == "mean" else 1.0))
        return np.concatenate(found)

    def R(self, case, theta):
        return self.row_scale(case) * self.residual_at(case, theta)

    def J(self, case):
        return self.row_scale(case)[:, None] * self.raw_jacobian(case)

    def K(self, case):
        J = self.J(case)
        return J @ J.T

    # Quantities

    def jets(self, case, term):
        return self.derivatives(case, term)

    def residual(self, case):
        return self.R(case, case.theta)

    def jacobian(self, case):
        return self.J(case)

    def gradient(self, case):
        weights = np.repeat(case.loss_weights, [rows.stop - rows.start for rows in self.rows(case)])
        return self.J(case).T @ (weights * self.residual(case))

    def direction(self, case):
        """The shortest d that solves J d = R, or comes nearest."""
        return np.linalg.lstsq(self.J(case), self.residual(case), rcond=None)[0]

    def ntk(self, case):
        return self.K(case)

    def spectrum(self, case):
        return np.linalg.eigvalsh(self.K(case))[::-1]

    def traces(self, case):
        J = self.J(case)
        return np.array([np.sum(J[rows] ** 2) for rows in self.rows(case)])

    # Weights

    def weights(self, case, rule):
        J, r, rows = self.J(case), self.residual(case), self.rows(case)
        functional, given, aggregate = RULES[rule]
        own = {
            "own": rows,
            "lumped": [rows[0], *[slice(rows[1].start, rows[-1].stop)] * (len(rows) - 1)] if len(rows) > 1 else rows,
        }
        own["accumulated"] = [slice(0, row.stop) for row in rows]
        g = [2 / (row.stop - row.start) * r[row] @ J[row] for row in rows]  # of mean squares
        with np.errstate(all="ignore"):
            s = [functional(J[row], r[row], [v for v, w in zip(g, rows) if row.start <= w.start < row.stop]) for row in own[given]]
            groups = [(row.start, row.stop) for row in own[given]]
            first = [groups.index(group) for group in groups]
            of = np.array([s[i] for i in sorted(set(first))])
            found = aggregate(of)
            return np.array([found[sorted(set(first)).index(i)] for i in first])

    # Algorithms 2 and 3

    def step(self, case, dt):
        """(R(θ + dt Jᵀ G) - R(θ)) / dt, column by column."""
        J, R = self.J(case), self.residual(case)
        return np.stack([(self.R(case, case.theta + dt * (J.T @ g)) - R) / dt for g in case.probes.T], axis=1)

    def products(self, case):
        J = self.J(case)
        return J @ (J.T @ case.probes)

    def products_forward(self, case):
        return self.step(case, case.dt)

    def products_central(self, case):
        return (self.step(case, case.dt) + self.step(case, -case.dt)) / 2

    def samples(self, case):
        """g_kᵀ z_k, (terms, probes)."""
        products = case.probes * self.products_forward(case)
        return np.stack([products[rows].sum(axis=0) for rows in self.rows(case)])

    def trace_means(self, case):
        return self.samples(case).mean(axis=1)

    def trace_errors(self, case):
        s = self.samples(case)
        return s.std(axis=1, ddof=1) / np.sqrt(s.shape[1])

    def sketched_weights(self, case):
        T = self.trace_means(case)
        return T.sum() / T if np.all(T > 0) else np.full(T.size, np.nan)

    def average_traces(self, case):
        first, *others = self.samples(case).T
        for s in others:
            first = (1 - case.alpha) * first + case.alpha * s
        return first

    def average_ntk(self, case):
        columns = [(np.outer(z, g) + np.outer(g, z)) / 2 for z, g in zip(self.products_forward(case).T, case.probes.T)]
        found = columns[0]
        for K in columns[1:]:
            found = (1 - case.alpha) * found + case.alpha * K
        return found

    # The same with probes of its own: many samples at once, each the mean over some probes

    def draw(self, law, shape, rng):
        return rng.standard_normal(shape) if law == "normal" else rng.choice([-1.0, 1.0], shape)

    def sampled_traces(self, case, law, *, samples, probes, seed):
        J, rng = self.J(case), np.random.default_rng(seed)
        if law == "theorem_5":
            products = (J @ self.draw("normal", (J.shape[1], samples * probes), rng)) ** 2
        else:
            g = self.draw(law, (J.shape[0], samples * probes), rng)
            products = g * (J @ (J.T @ g))
        traces = np.stack([products[rows].sum(axis=0) for rows in self.rows(case)])
        return traces.reshape(-1, samples, probes).mean(axis=2).T

    def sampled_ntk(self, case, law, *, samples, probes, seed):
        J = self.J(case)
        g = self.draw(law, (J.shape[0], samples * probes), np.random.default_rng(seed))
        Z, G = (side.reshape(-1, samples, probes).transpose(1, 0, 2) for side in (J @ (J.T @ g), g))
        K = Z @ G.transpose(0, 2, 1) / probes
        return (K + K.transpose(0, 2, 1)) / 2


def trace(J, r, g):
    return np.sum(J**2)


def mean_trace(J, r, g):
    return np.mean(np.sum(J**2, axis=1))


def summed(J, r, g):
    return np.sum(J.sum(axis=0) ** 2)


def norm(J, r, g):
    return np.linalg.norm(sum(g))


def square(J, r, g):
    return np.sum(sum(g) ** 2)


def root(J, r, g):
    return np.linalg.norm(sum(g)) / (2 * np.sqrt(np.mean(r**2)))


def inverted(s):
    return s.sum() / s


def share(s):
    return s / s.sum()


RULES = {
    "wang_2022": (trace, "own", inverted),
    "haghighat_2021": (trace, "own", lambda s: len(s) / s / np.sum(1 / s)),
    "wang_2023": (mean_trace, "own", lambda s: np.mean(s) / s),
    "bai_2023": (mean_trace, "own", inverted),
    "hao_2023": (summed, "lumped", inverted),
    "neuralpde_2023": (square, "lumped", inverted),
    "paddlescience_2024": (norm, "accumulated", inverted),
    "paddlescience_2025": (norm, "own", inverted),
    "pina_2025_march": (norm, "accumulated", share),
    "pina_2025_november": (norm, "own", share),
    "physicsnemo_2026": (root, "own", inverted),
}


def axes(exponents):
    """(2, 1) → (0, 0, 1)."""
    return tuple(axis for axis, n in enumerate(exponents) for _ in range(n))
