"""The list of mistakes by number: what implementations of these quantities get wrong, as found in public code and in issues.

A diagnosis names them by number and in words. A mistake can be named if it can be computed: as another residual or another Jacobian
(`variants`), as another functional of them (`readings`), as a factor, or as another law of a random estimate (`laws`). What cannot:

- 19 is told by the size of the errors alone, for rounding is nobody's functional.
- 20 is told only where the order of a nonsymmetric solver's eigenvalues, or their imaginary parts, show.
- 22 is told where the cut, the shift or the early stop of a solver changes digits that double precision has. A cut at p times the
  epsilon of double precision changes none where K is regular; where K is not, no such direction is right, and none is asked for.
"""

from __future__ import annotations

MISTAKES: dict[int, str] = {
    1: "the norm of a loss gradient for a trace",
    2: "a square root or a square too many",
    3: "the gradient of summed residuals",
    4: "gradients accumulated over terms, and dependent on their order",
    5: "a ratio that is not inverted",
    6: "the NTK of u for that of the residual",
    7: "a term whose residual is missing",
    8: "rows or outputs summed before they are squared, or in another order",
    9: "blocks of terms swapped",
    10: "a sum for a mean, or a mean for a sum",
    11: "an overall scale of weights: Σλ = M, the mean over M",
    12: "terms lumped together, or not",
    13: "the moving average: of weights and not of traces, α on the old value, its first step, the ones it starts from",
    14: "weights that are zero, one or stale before an update",
    15: "a factor 2 or ½, 1/n for 1/√n",
    16: "a mean over outputs for their sum",
    17: "quadrature weights for their roots, or the measure of the boundary",
    18: "the chain rule of the input normalisation left out, or another parametrisation",
    19: "single or half precision",
    20: "a nonsymmetric eigensolver",
    21: "JᵀJ for JJᵀ",
    22: "a solver that cuts small eigenvalues off, stops early, or whose shift is never removed",
    23: "the order of parameters or of coordinates, or a transposed matrix",
    24: "biases, or whole layers, left out",
    25: "a second derivative without σ'' z_x²",
    26: "a nonlinear residual linearised as if it were linear",
    27: "a row that joins two points, differentiated at one",
    28: "clipping at 0, absolute values",
    29: "blocks between terms left out",
    30: "loss weights inside of K",
    31: "eigenvalues in another order",
    32: "another finite difference, or none",
    33: "an estimate that is not made symmetric",
    34: "probes of another law: their variance, their kind",
    35: "probes that come again, samples that hang together",
    36: "a bias",
}
