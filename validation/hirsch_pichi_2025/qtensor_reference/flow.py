"""The Q-tensor flow of Hirsch & Pichi 2025, section 5.2.3, by finite elements and by sines, which share the equation alone.

Q = [[q₁, q₂], [q₂, -q₁]], so Tr(Q²) = 2 |q|² and q flows down its energy, q = 0 on the boundary of (-2, 2)²:

    q_t = L Δq - (a + 2c |q|²) q,   E(q) = ∫ (L/2) |∇q|² + (a/2) |q|² + (c/2) |q|⁴,   dE/dt = -‖q_t‖².
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import dstn, idstn
from scipy.sparse import csc_matrix, csr_matrix
from scipy.sparse.linalg import splu
from skfem import Basis, ElementQuad2, MeshQuad
from skfem.models.poisson import laplace, mass

from refntk.problems.qtensor import QTensor

SETTLED = 1e-13  # a step's fixed-point iteration ends when no degree of freedom moves by more


def start(problem: QTensor, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Its q at time 0, (2, ...), at points of these coordinates."""
    points = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    return np.asarray(problem._initial(points, xp=np)).T.reshape(2, *x.shape)


@dataclass(frozen=True)
class Elements:
    """Biquadratic elements on `cells` × `cells` squares, and the Crank-Nicolson scheme with a secant of the quartic energy.

    A step from q to p solves, with every integral by one and the same quadrature,

        (p - q)/Δt = L Δ(p + q)/2 - [a + c (|p|² + |q|²)] (p + q)/2,

    Du & Nicolaides' scheme (SIAM J. Numer. Anal. 28, 1991). Tested with p - q it gives `E(p) - E(q) = -‖p - q‖²/Δt`: the energy
    itself falls at every step, whatever Δt. Second order in Δt, third in h.
    """

    problem: QTensor
    cells: int

    @cached_property
    def basis(self) -> Basis:
        """The elements, with Gauss's 4 × 4 points in each."""
        side = np.linspace(-2.0, 2.0, self.cells + 1)
        return Basis(MeshQuad.init_tensor(side, side), ElementQuad2(), intorder=7)

    @cached_property
    def inside(self) -> np.ndarray:
        """The degrees of freedom that are not held at zero."""
        return self.basis.complement_dofs(self.basis.get_dofs())

    @cached_property
    def matrices(self) -> tuple:
        """Mass and stiffness of the free degrees of freedom, and the matrix (points, degrees) that evaluates at its points."""
        M, K = (form.assemble(self.basis)[self.inside][:, self.inside].tocsc() for form in (mass, laplace))
        shapes = [np.broadcast_to(np.asarray(shape[0]), self.basis.dx.shape).ravel() for shape in self.basis.basis]
        columns = np.concatenate([np.repeat(dofs, self.basis.dx.shape[1]) for dofs in self.basis.element_dofs])
        rows = np.tile(np.arange(self.basis.dx.size), len(shapes))
        at = csr_matrix((np.concatenate(shapes), (rows, columns)), shape=(self.basis.dx.size, self.basis.N))
        return M, K, at[:, self.inside]

    @cached_property
    def points(self) -> np.ndarray:
        """The quadrature's points, (2, elements, 16)."""
        return self.basis.mapping.F(self.basis.X)

    @cached_property
    def measure(self) -> np.ndarray:
        """The weights of the quadrature."""
        return self.basis.dx.ravel()

    def begin(self) -> np.ndarray:
        """The L2 projection of the initial condition, (2, free degrees)."""
        M, _, at = self.matrices
        wanted = start(self.problem, *self.points).reshape(2, -1)
        return np.stack([_factor(M)(at.T @ (self.measure * q)) for q in wanted])

    def energy(self, q: np.ndarray) -> float:
        """E(q)."""
        _, K, at = self.matrices
        square = sum((at @ part) ** 2 for part in q)
        own = self.measure @ (self.problem.a / 2 * square + self.problem.c / 2 * square**2)
        return float(self.problem.L / 2 * sum(part @ (K @ part) for part in q) + own)

    def evolve(self, steps: int, end: float, times: Sequence[float]) -> tuple[list[np.ndarray], np.ndarray]:
        """Both components at these times, multiples of Δt = end/steps, and the energy before and after every step, (steps + 1,)."""
        M, K, at = self.matrices
        p, dt = self.problem, end / steps
        solve = _factor(M / dt + p.L / 2 * K + p.a / 2 * M)
        forward = M / dt - p.L / 2 * K - p.a / 2 * M
        wanted = {round(t / dt) for t in times}
        q = older = self.begin()
        kept, energies = [q] if 0 in wanted else [], [self.energy(q)]
        for step in range(1, steps + 1):
            values = np.stack([at @ part for part in q])
            right, new, change = np.stack([forward @ part for part in q]), 2 * q - older, np.inf
            while change > SETTLED:
                ahead = np.stack([at @ part for part in new])
                pull = p.c / 2 * self.measure * (np.sum(ahead**2, axis=0) + np.sum(values**2, axis=0))
                before, new = new, np.stack([solve(r - at.T @ (pull * m)) for r, m in zip(right, ahead + values, strict=True)])
                change = float(np.abs(new - before).max())
            q, older = new, q
            energies.append(self.energy(q))
            if step in wanted:
                kept.append(q)
        return kept, np.array(energies)

    def at(self, x: np.ndarray, y: np.ndarray) -> csr_matrix:
        """The matrix (points, free degrees) that evaluates at these points."""
        return self.basis.probes(np.stack([x.ravel(), y.ravel()])).tocsr()[:, self.inside]


def _factor(matrix: csc_matrix) -> Callable[[np.ndarray], np.ndarray]:
    """A solver for a symmetric matrix."""
    return splu(matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve


def sines(problem: QTensor, modes: int, steps: int, end: float, times: Sequence[float]) -> list[np.ndarray]:
    """Both components at these times on the inner nodes of (modes + 1)² squares, (2, modes, modes) each, by collocation with sines.

    Strang's splitting of two flows that are both exact: diffusion is diagonal in the sines, and what is left turns no q but
    scales it, `q(t) = q e^(-at) / √(1 + 2c |q|² (1 - e^(-2at)) / a)`.
    """
    side = np.linspace(-2.0, 2.0, modes + 2)[1:-1]
    q, dt = start(problem, *np.meshgrid(side, side, indexing="ij")), end / steps
    k = np.arange(1, modes + 1) * np.pi / 4
    decay = np.exp(-problem.L * dt / 2 * (k[:, None] ** 2 + k[None, :] ** 2))
    growth = -np.expm1(-2 * problem.a * dt) / problem.a if problem.a else 2 * dt

    def diffuse(q: np.ndarray) -> np.ndarray:
        return idstn(decay * dstn(q, type=1, axes=(-2, -1)), type=1, axes=(-2, -1))

    wanted = {round(t / dt) for t in times}
    kept = [q] if 0 in wanted else []
    for step in range(1, steps + 1):
        q = diffuse(q)
        q = diffuse(q * np.exp(-problem.a * dt) / np.sqrt(1 + 2 * problem.c * growth * np.sum(q**2, axis=0)))
        if step in wanted:
            kept.append(q)
    return kept
