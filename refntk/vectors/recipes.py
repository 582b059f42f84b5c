"""What the vectors are of: networks, parameters of problems, operators; each recipe is applied to every registered problem.

Parameters are such that whatever a problem computes of them in float64 (c², 2c, ...) is exact, and so are the factors of layers:
what is certified is then the equation, not its rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..calculus.jet import Operator, identity, partials

PARAMETERS: dict[str, list[dict[str, Any]]] = {  # by turns; a problem that is not here keeps its defaults
    "poisson1d": [{}, {"frequency": 1.0}],
    "wave": [{}, {"c": 0.5}, {"c": 3.0}],
    "heat": [{}, {"diffusivity": 0.0625}],
    "transport": [{}, {"c": -1.5}],
    "sine_gordon": [{}, {"data": "breather"}],
    "kdv": [{}, {"data": "two"}],
}


@dataclass(frozen=True)
class Recipe:
    """A network and its points, up to the problem: hidden widths, points for each term (by turns), what is special."""

    hidden: tuple[int, ...]
    counts: tuple[int, ...] = (3,)
    comment: str = ""
    activation: str = "tanh"
    std: float = 0.5
    normalized: bool = True
    scaling: str = "sum"
    twist: str = ""
    network: dict[str, Any] = field(default_factory=dict)


RECIPES = (
    Recipe((1,), (2,), "one neuron"),
    Recipe((1,), (7, 5), "one neuron, more rows than parameters"),
    Recipe((1, 1, 1), (2,), "a chain of single neurons"),
    Recipe((2,), (3,), "two neurons"),
    Recipe((3,), (1,), "one point a term"),
    Recipe((4,), (2, 5, 3, 1), "unequal numbers of points"),
    Recipe((8,), (3,), "one hidden layer"),
    Recipe((16,), (2, 1), "one hidden layer, wider"),
    Recipe((64,), (2,), "one hidden layer of width 64"),
    Recipe((4, 3), (3,), "two hidden layers"),
    Recipe((4, 3), (2,), "inputs as they are", normalized=False),
    Recipe((3, 5), (4, 1, 2), "two hidden layers, the second wider"),
    Recipe((5, 5), (2,), "equal widths: a transposed W goes unnoticed"),
    Recipe((12, 9), (2,), "two hidden layers, wider", normalized=False),
    Recipe((32, 32), (2, 1), "two hidden layers of width 32", std=0.25),
    Recipe((4, 3, 2), (3, 2), "three hidden layers, narrowing"),
    Recipe((3, 4, 5), (2,), "three hidden layers, widening", normalized=False),
    Recipe((8, 8, 8), (2, 3), "three hidden layers of width 8"),
    Recipe((3, 3, 3, 3), (2,), "four hidden layers"),
    Recipe((2, 3, 4, 3, 2), (2, 1), "five hidden layers"),
    Recipe((6, 6, 6, 6, 6), (1, 2), "five hidden layers of width 6"),
    Recipe((24, 24, 24, 24), (1,), "four hidden layers of width 24", std=0.25),
    Recipe((64, 64, 64), (1,), "three hidden layers of width 64", std=0.125),
    Recipe((4, 3), (2,), "sine", activation="sin"),
    Recipe((6,), (3,), "sine, one hidden layer", activation="sin", normalized=False),
    Recipe((4, 3), (2,), "swish", activation="swish"),
    Recipe((4, 3), (2,), "softplus", activation="softplus"),
    Recipe((4, 3), (2,), "a polynomial: rational arithmetic can check it", activation="polynomial"),
    Recipe((4, 3), (2,), "every point twice", twist="repeated"),
    Recipe((4, 3), (2,), "the last layer is zero, and u with it", twist="zero"),
    Recipe((4, 3), (2,), "half saturated", std=3.0),
    Recipe((2,), (2,), "all neurons saturated", twist="saturated"),
    Recipe((4, 3), (2,), "the last layer times 2²⁰", twist="huge"),
    Recipe((4, 3), (2,), "tiny weights", twist="tiny"),
    Recipe((16,), (2,), "last layer times N^(-1/2), N = 16", std=1.0, network={"output_scale": 0.25}),
    Recipe((4, 16), (2,), "NTK parametrisation", std=1.0, network={"parametrization": "ntk"}),
    Recipe((16, 4), (2, 1), "NTK, last layer halved", std=1.0, network={"parametrization": "ntk", "output_scale": 0.5}),
    Recipe((4, 3), (4,), "rows divided by √n", scaling="mean"),
    Recipe((5,), (3,), "rows times roots of quadrature weights", scaling="quadrature"),
)

DIRECT_RECIPES = tuple(
    Recipe((), (count,), comment, scaling=scaling, twist=twist, std=std)
    for count, comment, scaling, twist, std in (
        (1, "one point", "sum", "", 1.0),
        (2, "fewer rows than parameters", "sum", "", 1.0),
        (3, "as many rows as parameters", "sum", "", 1.0),
        (9, "more rows than parameters", "sum", "", 1.0),
        (4, "every point twice", "sum", "repeated", 1.0),
        (4, "rows divided by √n", "mean", "", 1.0),
        (5, "rows times roots of quadrature weights", "quadrature", "", 1.0),
        (6, "huge parameters", "sum", "", 1024.0),
        (6, "tiny parameters", "sum", "tiny", 1.0),
    )
)

(d1,) = partials(1)
dx, dy = partials(2)
ex, ey, ez = partials(3)
OPERATORS: tuple[tuple[Operator, ...], ...] = (
    (identity(1), d1, d1**2),
    (d1**3, d1**4),
    (d1**2 - 3 * d1 + identity(1),),
    (dx * dy, identity(2)),
    (dx**2 - 2 * dx * dy + dy**2, dx + dy),
    (dx**2 * dy, dy**3),
    (dx**4 + 2 * dx**2 * dy**2 + dy**4,),
    (ex**2 + ey**2 + ez**2, ex * ey - ez),
)
OUTPUTS = (1, 2, 3)
OPERATOR_RECIPES = (
    Recipe((4,), (2,), "one hidden layer"),
    Recipe((3, 4), (2, 1), "two hidden layers"),
    Recipe((3,), (1, 2), "a polynomial: rational arithmetic can check it", activation="polynomial"),
)
