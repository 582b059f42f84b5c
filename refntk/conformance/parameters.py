"""Other people's parameters as θ: names and layouts of PyTorch, Flax, Equinox, DeepXDE and PINA, proved by a probe.

A matrix says nothing about its layout where it is square, so the layout is always given; and a probe, an input with the output that
the other library computed, proves that the network is the same one before anything is compared.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .. import arrays, safetensors
from ..calculus.network import MLP
from ..errors import DamagedFile, InvalidInput, ShapeError, UnknownNameError
from ..files import DISTRUST

LAYOUTS = ("in,out", "out,in")
NAMES: dict[str, tuple[str, str, str]] = {  # library: the names of W and b with the number of the layer, and the layout of W
    "torch": (r"(?:.*\.)?(\d+)\.weight", r"(?:.*\.)?(\d+)\.bias", "out,in"),  # nn.Sequential, ModuleList
    "flax": (r"(?:params[./])?Dense_(\d+)[./]kernel", r"(?:params[./])?Dense_(\d+)[./]bias", "in,out"),  # linen; nnx by `names`
    "equinox": (r"\.?layers[.\[](\d+)\]?\.weight", r"\.?layers[.\[](\d+)\]?\.bias", "out,in"),  # eqx.nn.MLP
    "deepxde": (r"linears\.(\d+)\.weight", r"linears\.(\d+)\.bias", "out,in"),  # FNN of the PyTorch backend
    "pina": (r"(?:_?model|models?\.\d+)\.(\d+)\.weight", r"(?:_?model|models?\.\d+)\.(\d+)\.bias", "out,in"),  # FeedForward
}
MOST_BYTES = 2**30


def theta_from(
    parameters: Mapping[str, Any],
    network: MLP,
    /,
    *,
    layout: str,
    probe: tuple[Any, Any],
    names: str | tuple[str, str] = "torch",
    tolerance: float = 1e-5,
) -> np.ndarray:
    """θ (p,) float64 of `network` from a mapping of names to arrays; nested mappings are walked into, names joined by dots.

    `layout` is that of every W, "in,out" or "out,in". `names` is a library of `NAMES`, or two patterns with the number of the layer
    in a group. `probe` is a pair (points (n, inputs), outputs (n, outputs)) of the other library: the outputs at θ must agree to
    `tolerance` of their largest, so that a transposed square matrix, another activation or a missing normalisation cannot pass.
    Raises `UnknownNameError`, `ShapeError` with the names that are there, and `InvalidInput` where the probe disagrees.

    >>> network = MLP([1, 2, 1])
    >>> given = {"0.weight": [[1.0], [-1.0]], "0.bias": [0.0, 0.0], "2.weight": [[0.5, 0.5]], "2.bias": [3.0]}
    >>> theta_from(given, network, layout="out,in", probe=([[0.7]], [[3.0]]))
    array([ 1. , -1. ,  0. ,  0. ,  0.5,  0.5,  3. ])
    """
    if layout not in LAYOUTS:
        raise UnknownNameError("layout", layout, LAYOUTS)
    if isinstance(names, str):
        if names not in NAMES:
            raise UnknownNameError("names", names, NAMES)
        names = NAMES[names][:2]
    flat = dict(_flat(parameters))
    weights, biases = (_numbered(flat, pattern) for pattern in names)
    depth = len(network.sizes) - 1
    if list(weights) != list(biases) or len(weights) != depth:
        told = f"layers {list(weights)} with a matrix, {list(biases)} with a bias, among {', '.join(flat)[:200]}"
        raise ShapeError("parameters", told, f"the network has {depth} layers; give `names` two patterns that find them")
    layers = []
    for l, (W, b, (fan_in, fan_out)) in enumerate(zip(weights.values(), biases.values(), pairwise(network.sizes), strict=True)):
        shape = (fan_in, fan_out) if layout == "in,out" else (fan_out, fan_in)
        if W.shape != shape:
            raise ShapeError(f"W of layer {l}", f"shape {W.shape}", f"{layout!r} asks for {shape}; is it the other layout?")
        if b.size != fan_out:
            raise ShapeError(f"b of layer {l}", f"shape {b.shape}", f"expected {fan_out} numbers")
        layers.append((W if layout == "in,out" else W.T, b.reshape(-1)))
    theta = network.flatten(layers)
    _prove(network, theta, probe, tolerance)
    return theta


def _prove(network: MLP, theta: np.ndarray, probe: tuple[Any, Any], tolerance: float) -> None:
    points, outputs = (arrays.as_floats("probe", np.asarray(part)) for part in probe)
    found = network(theta, points.astype(float))
    arrays.check_shape("outputs of the probe", outputs, tuple(found.shape))
    off = float(np.max(np.abs(found - outputs)) / max(float(np.max(np.abs(outputs))), 1e-300))
    if not off <= tolerance:
        remedy = "look at the layout of W, the activation, the normalisation of inputs and the factor of the last layer"
        raise InvalidInput("probe", f"outputs that are off by {off:.1e} of their largest", remedy)


def _flat(parameters: Mapping[str, Any], prefix: str = "") -> list[tuple[str, np.ndarray]]:
    found: list[tuple[str, np.ndarray]] = []
    for name, value in parameters.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            detached = value.detach().cpu() if hasattr(value, "detach") else value
            found.append((f"{prefix}{name}", np.asarray(detached, dtype=float)))
    return found


def _numbered(flat: Mapping[str, np.ndarray], pattern: str) -> dict[int, np.ndarray]:
    """The arrays whose names fit, by number; 2 stands before 10."""
    found = {int(match[1]): array for name, array in flat.items() if (match := re.fullmatch(pattern, name))}
    return dict(sorted(found.items()))


def load_parameters(path: Path | str, /) -> dict[str, np.ndarray]:
    """The named arrays of a file `.npz` or `.safetensors`, for `theta_from`; nothing in it is run.

    Raises `DamagedFile` for what cannot be read, `UnknownNameError` for another kind of file.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mine.npz"
    >>> np.savez(path, **{"0.weight": np.ones((2, 1))})
    >>> load_parameters(path)["0.weight"].shape
    (2, 1)
    """
    path = Path(path)
    if path.suffix not in (".npz", ".safetensors"):
        raise UnknownNameError("kind of file", path.suffix, (".npz", ".safetensors"))
    try:
        if path.stat().st_size > MOST_BYTES:
            raise DamagedFile("path", path, f"a file of more than {MOST_BYTES} bytes is not read")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as found:
                return {name: found[name] for name in found.files}
        return safetensors.decode(path.read_bytes())
    except DamagedFile:
        raise
    except (*DISTRUST, MemoryError) as error:
        raise DamagedFile("path", path, f"it cannot be read ({error})") from error
