"""Who is examined: what is installed, pinned; the module that asks it; what its users take its numbers for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """A class of a program: what it is, the quantity whose cost is measured, and a rule of `refntk.weights.RULES` if it is one."""

    name: str
    offers: str
    costs: str
    rule: str = ""


@dataclass(frozen=True)
class Library:
    """A library: the lines of `pip install`, the module that asks it, its candidates, and the Python that has wheels for it."""

    title: str
    requirements: tuple[str, ...]
    module: str
    candidates: tuple[Candidate, ...]
    python: str = "3.11"
    also: tuple[str, ...] = ()  # installed without their dependencies

    @property
    def package(self):
        """What is pinned first; the package itself where nothing is."""
        return self.requirements[0].partition("==")[0] if self.requirements else "refntk"


TORCH, NUMPY = "torch==2.13.0", "numpy==2.4.6"
K = "K of the residual"
WEIGHTS = "derivatives, residuals, weights"

LIBRARIES = {
    "torch_func": Library(
        "PyTorch, torch.func",
        (TORCH, NUMPY),
        "with_torch_func",
        (Candidate("Contraction", K, "ntk"),),
    ),
    "neural_tangents": Library(
        "neural-tangents",
        ("neural-tangents==0.6.5", "jax==0.4.23", "jaxlib==0.4.23", "numpy==1.26.4", "scipy==1.12.0"),
        "with_neural_tangents",
        (Candidate("Kept", K, "ntk"), Candidate("Default", K, "ntk")),
    ),
    "backpack": Library(
        "BackPACK", ("backpack-for-pytorch==1.7.1", TORCH, NUMPY), "with_backpack", (Candidate("Outputs", "K of u", "ntk"),)
    ),
    "curvlinops": Library(
        "curvlinops", ("curvlinops-for-pytorch==3.0.1", TORCH, NUMPY), "with_curvlinops", (Candidate("Operators", K, "ntk"),)
    ),
    "deepxde": Library(
        "DeepXDE",
        ("deepxde==1.15.0", TORCH, NUMPY),
        "with_deepxde",
        (Candidate("Loss", "derivatives, residuals, gradient", "gradient"),),
    ),
    "pina": Library(
        "PINA",
        ("pina-mathlab==0.3.2", TORCH),
        "with_pina",
        (Candidate("Weights", WEIGHTS, "weights/wang_2022"), Candidate("Averaged", WEIGHTS, "weights/wang_2022")),
    ),
    "pina_2025": Library(
        "PINA of 2025",
        ("pina-mathlab==0.2.3", TORCH),
        "with_pina",
        (Candidate("Weights", WEIGHTS, "weights/wang_2022"),),
    ),
    "paddlescience": Library(
        "PaddleScience",
        ("paddlesci==1.4.0", "paddlepaddle==3.2.2"),
        "with_paddlescience",
        (Candidate("Weights", WEIGHTS, "weights/wang_2022"),),
    ),
    "paddlescience_2024": Library(
        "PaddleScience of 2024",
        ("paddlesci==1.3.0", "paddlepaddle==2.6.2", "requests==2.32.3", "setuptools==75.8.0"),
        "with_paddlescience",
        (Candidate("Weights", WEIGHTS, "weights/wang_2022"),),
    ),
    "sciann": Library(
        "SciANN",
        ("SciANN==0.7.0.1", "tensorflow-cpu==2.10.1", "numpy==1.23.5", "matplotlib==3.7.5"),
        "with_sciann",
        (Candidate("Weights", "weights", "weights/wang_2022"), Candidate("Averaged", "weights", "weights/wang_2022")),
        python="3.10",
    ),
    "jinns": Library(
        "jinns",
        ("jinns==1.10.2", "jax==0.10.2", "jaxlib==0.10.2", "equinox==0.13.8", "optax==0.2.8", NUMPY),
        "with_jinns",
        (Candidate("Step", "residuals, J, gradient, natural gradient", "jacobian"),),
    ),
    "physicsnemo": Library("PhysicsNeMo-Sym", ("nvidia-physicsnemo-sym==2.4.0",), "", ()),
    "refntk": Library("refntk", (), "with_refntk", (Candidate("Reference", K, "ntk"), Candidate("Numba", K, "ntk"))),
}

FROM_SOURCE = {  # not run: the rule of `refntk.weights.RULES` as read in public source
    "PINNsNTK": "wang_2022",
    "jaxpi": "wang_2023",
    "PIRBN (in PaddleScience)": "bai_2023",
    "PINNacle": "hao_2023",
    "NeuralPDE.jl, pull request 673": "neuralpde_2023",
    "PhysicsNeMo-Sym": "physicsnemo_2026",
}

NOT_USED = {  # installed or unpacked, and why there is nothing to ask
    "nangs 0.1.2": "neither weights nor a kernel; pip installs it without PyTorch, which it imports",
    "TensorDiffEq 0.2.0": "weights are given or trained, none is computed",
    "IDRLnet 2.0.0": "weights are given, none is computed",
}
