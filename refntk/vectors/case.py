"""Certified vectors: what a case gives, what it wants, and how far a result is from it.

`read()` returns every case that stands in `data/vectors/`, checked as if a stranger had written the files. A case is a problem, a
network, θ, points, probes; what it wants are quantities by name, each as floats nearest to the exact numbers, between certified
bounds, with the scale by which an error is measured: `|got - want| ≤ 30 u · scale`, u = 2⁻⁵³, is passed by every honest evaluation
in double precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..calculus.jet import Operator, identity
from ..calculus.network import MLP
from ..problems.base import Problem, Term
from ..problems.domain import Box

UNIT = 2.0**-53
TOLERANCE = 30.0


@dataclass(frozen=True, eq=False)
class Want:
    """A quantity: `mid` nearest to the exact numbers, `lower <= exact <= upper`, `scale` of an error; arrays of one shape."""

    mid: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    scale: np.ndarray

    def error(self, got: object, /) -> float:
        """The largest `|got - mid| / (u · scale)`; infinite for another shape, for NaN, and where an exact zero is missed.

        >>> one = np.ones(1)
        >>> Want(one, one, one, 2 * one).error([1 + 2.0**-52])
        1.0
        """
        found = np.asarray(got)
        if found.shape != self.mid.shape or found.dtype.kind not in "fiu" or not np.all(np.isfinite(found)):
            return np.inf
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            errors = np.abs(found - self.mid) / UNIT / self.scale
        return float(np.max(np.where(found == self.mid, 0.0, errors), initial=0.0))


@dataclass(frozen=True, eq=False, kw_only=True)
class Case:
    """One test vector.

    Given: `problem`, `network` (None for a problem without one), `theta` (p,), `points`, `scaling` and `quadrature` as in
    `linearize`, `loss_weights` (M,) λ_k of the gradient Jᵀ Λ R, `probes` (n, N), the step `dt` of Algorithm 2, `alpha` of
    Algorithm 3. Wanted: `want` {quantity: Want}; `refused` names the weights that do not exist.
    """

    name: str
    comment: str
    flags: tuple[str, ...]
    problem: Problem
    network: MLP | None
    theta: np.ndarray
    points: Mapping[str, np.ndarray]
    scaling: str
    quadrature: Mapping[str, np.ndarray] | None
    loss_weights: np.ndarray
    probes: np.ndarray
    dt: float
    alpha: float
    want: Mapping[str, Want] = field(default_factory=dict)
    refused: tuple[str, ...] = ()

    def errors(self, got: Mapping[str, object], /) -> dict[str, float]:
        """`{quantity: error}` of everything wanted; infinite for what `got` lacks."""
        return {name: want.error(got[name]) if name in got else np.inf for name, want in self.want.items()}


@dataclass(frozen=True, kw_only=True)
class Operators(Problem):
    """Not a registered problem: `operator[u] = 0` on the unit box, one term for each operator, for any number of outputs."""

    name, title, source = "operators", "operator[u] = 0", ("refntk", "vectors")

    operators: tuple[Operator, ...] = (identity(1),)
    components: int = 1

    @property
    def coordinates(self) -> tuple[str, ...]:  # type: ignore[override]
        """As many of x, y, z as the operators differentiate by."""
        return ("x", "y", "z")[: self.operators[0].variables]

    @property
    def outputs(self) -> int:  # type: ignore[override]
        """The outputs of the network, each of which a term has as a component."""
        return self.components

    @property
    def domain(self) -> Box:
        """The unit box."""
        return Box((0.0,) * len(self.coordinates), (1.0,) * len(self.coordinates))

    @property
    def terms(self) -> tuple[Term, ...]:
        """One for each operator."""
        return tuple(
            Term.linear(f"operator{i}", self.domain, 3, operator, outputs=self.components)
            for i, operator in enumerate(self.operators)
        )


FLAGS: dict[str, tuple[str, str]] = {  # flag: the mistake it is there for, and what that mistake does
    "OneNeuron": ("A width of 1 is squeezed away or broadcast.", "Shapes (n,) and (n, 1) are mixed and K is n times too large."),
    "OnePoint": ("A term with a single row is reduced to a scalar.", "Means and sums over points agree, so that only shapes fail."),
    "UnequalCounts": (
        "Traces are divided by the number of rows, or not, against the rule.",
        "Weights are off by the ratio of counts.",
    ),
    "UnequalWidths": ("W is read as (out, in).", "Reshaping fails; with equal widths it does not, and the network is another one."),
    "EqualWidths": ("W is read as (out, in).", "Nothing fails; every number is wrong."),
    "SeveralOutputs": ("Rows are ordered component by component, not point by point.", "Rows and columns of K are permuted."),
    "SeveralSites": ("A periodic condition is linearized at one of its two points.", "Its rows of J lack half of their terms."),
    "ThirdDerivative": (
        "The terms 3 σ'' z' z'' of Faà di Bruno are forgotten.",
        "Rows of the equation are wrong, the others right.",
    ),
    "MixedDerivative": ("∂²u/∂x∂y is taken for a product or counted twice.", "The term that holds it is off, often by a factor 2."),
    "Nonlinear": ("The residual is linearized as if it were linear in u.", "J lacks ∂r/∂u; R is right."),
    "Normalized": ("The chain rule of the input normalisation is forgotten.", "A derivative of order k is off by scale^k."),
    "OutputScale": ("The factor of the last layer is applied to its bias too, or not at all.", "K is off by its square."),
    "NtkParametrization": ("The factors 1/√fan_in are part of the initialisation only.", "Rows of J for W lack them."),
    "MeanScaling": ("Rows are divided by n and not by √n.", "K is off by 1/n."),
    "QuadratureScaling": ("Rows are multiplied by quadrature weights, not by their roots.", "K holds squares of the weights."),
    "RepeatedPoints": ("K is taken for regular.", "Cholesky factors fail, or hold noise; eigenvalues are multiple."),
    "MoreRowsThanParameters": ("K is taken for regular although n > p.", "Its small eigenvalues are noise where they must be 0."),
    "ZeroResidual": ("Algorithm 2 divides by the residual.", "NaN, though K g is finite. Rules made of gradients have no weight."),
    "Saturation": (
        "tanh' is formed as 1 - tanh².",
        "Relative accuracy is lost where tanh nears ±1, ten bits at |z| = 4. Often harmless: the rest of K hides it.",
    ),
    "HugeWeights": ("Tolerances are absolute, or exp(x) overflows.", "Inf or NaN, or a right answer called wrong."),
    "TinyWeights": (
        "Tolerances are absolute, or something is added to denominators.",
        "Weights of terms with small traces are wrong.",
    ),
    "NegativeSample": ("A trace estimate is taken to be positive.", "Weights are negative; no weight follows from this sample."),
    "NegativeKernelEntry": (
        "An estimate of K is clipped at 0 (Remark 6 without its condition).",
        "A bias that no sample size removes.",
    ),
}
ACCEPTABLE = (
    "Saturation",
)  # who fails only here is right, though not to the last digit: automatic differentiation forms 1 - tanh²
