"""The reader of vectors, which trusts neither their files nor the manifest that vouches for them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .. import problems, safetensors
from ..calculus.network import MLP
from ..calculus.polynomial import Polynomial
from ..errors import DamagedFile, UnknownNameError
from ..files import DISTRUST
from ..problems.base import Problem
from .case import Case, Operators, Want
from .encoding import PARTS, describe_network, describe_problem, stored
from .schema import validate
from .truth import derivatives

FOLDER = Path(__file__).parent / "data"  # a link to data/vectors of the repository; in the wheel, a folder of its own
MOST_BYTES, MANIFEST_BYTES = 2**25, 2**20


def read(folder: Path | str = FOLDER, /, *, only: str | None = None) -> Iterator[Case]:
    """The cases in `folder`, file by file; `only` one file, by its problem's name.

    Nothing is trusted: sizes and digests are those of the manifest, JSON has no name twice and no NaN, documents fit the schema,
    tensors lie beside the JSON that names them and no others do, shapes fit their numbers, numbers are finite, bounds are in order.
    Raises `DamagedFile` with what is wrong, and `UnknownNameError` for `only`.

    >>> case = next(read(only="wave"))
    >>> case.name, case.want["ntk"].mid.shape
    ('wave-001', (8, 8))
    """
    folder = Path(folder)
    listed = _manifest(folder)
    names = [name.removesuffix(".json") for name in listed if name.endswith(".json")]
    if only is not None and only not in names:
        raise UnknownNameError("only", only, names)
    for name in names if only is None else [only]:
        path = folder / f"{name}.json"
        data, beside = (_vouched(file, listed) for file in (path, path.with_suffix(".safetensors")))
        yield from decode(data, beside, path, name)


def _vouched(path: Path, listed: Mapping[str, Any]) -> bytes:
    """The bytes of a file for which the manifest vouches."""
    if path.name not in listed:
        raise DamagedFile("path", path, "the manifest does not name it; restore both from one copy")
    data = _bytes(path, listed[path.name]["bytes"])
    if hashlib.sha256(data).hexdigest() != listed[path.name]["sha256"]:
        raise DamagedFile("path", path, "its digest is not that of the manifest; restore both from one copy")
    return data


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    document = _json(_bytes(path, None), path, "manifest")
    return document["files"]


def _bytes(path: Path, size: int | None) -> bytes:
    """A file no larger than it says."""
    most = MANIFEST_BYTES if size is None else size
    try:
        with open(path, "rb") as file:
            data = file.read(min(most, MOST_BYTES) + 1)
    except OSError as error:
        raise DamagedFile("path", path, f"it cannot be read ({error.strerror}); run `refntk vectors make`") from error
    if len(data) > most or (size is not None and len(data) != size):
        raise DamagedFile("path", path, f"expected {most} bytes")
    return data


def _json(data: bytes, path: Path, kind: str) -> dict[str, Any]:
    """A JSON object that fits the schema: no name twice, no number but whole ones."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands twice")
        return dict(pairs)

    def never(constant: str) -> NoReturn:
        raise ValueError(f"{constant} is no number of this format")

    def whole(digits: str) -> int:
        if len(digits) > 12:
            raise ValueError("a whole number is too long")
        return int(digits)

    try:
        document = json.loads(data.decode(), object_pairs_hook=once, parse_constant=never, parse_float=never, parse_int=whole)
        validate(document, {"$ref": f"#/$defs/{kind}"}, _schema())
    except (ValueError, RecursionError) as error:
        raise DamagedFile("path", path, f"it is no {kind} of vectors ({error})") from error
    return document


@cache
def _schema() -> dict[str, Any]:
    return json.loads((FOLDER / "schema.json").read_text())


def decode(data: bytes, beside: bytes, path: Path, name: str) -> Iterator[Case]:
    """The cases in the bytes of a JSON file and of the safetensors file beside it. Raises `DamagedFile`."""
    document, aside, seen = _json(data, path, "file"), _tensors(beside, path.with_suffix(".safetensors")), set()
    try:
        if document["problem"] != name:
            raise ValueError(f"it holds the problem {document['problem']!r}")
        cases = [_case(document["problem"], group, test, aside) for group in document["groups"] for test in group["tests"]]
        for case in cases:
            if case.name in seen or any(flag not in document["notes"] for flag in case.flags):
                raise ValueError(f"{case.name}: its id stands twice, or a flag is not explained")
            seen.add(case.name)
        if document["numberOfTests"] != len(cases):
            raise ValueError(f"it holds {len(cases)} tests")
        if aside:
            raise ValueError(f"{len(aside)} tensors beside it are named nowhere: {', '.join(aside)[:200]}")
    except (ValueError, TypeError, LookupError, ArithmeticError) as error:
        raise DamagedFile("path", path, f"it cannot be trusted ({error})") from error
    yield from cases


def _tensors(data: bytes, path: Path) -> dict[str, np.ndarray]:
    try:
        return safetensors.decode(data)
    except DISTRUST as error:
        raise DamagedFile("path", path, f"it is no file of tensors ({error})") from error


def _case(name: str, group: Mapping[str, Any], test: Mapping[str, Any], aside: dict[str, np.ndarray]) -> Case:
    given, problem = test["given"], _rebuilt(name, group)
    network = _rebuilt_network(given["network"])
    points = {term: _array(tensor, aside) for term, tensor in given["points"].items()}
    case = Case(
        name=test["id"],
        comment=test["comment"],
        flags=tuple(test["flags"]),
        problem=problem,
        network=network,
        theta=_array(given["theta"], aside),
        points=problem.check_points(points),
        scaling=given["scaling"],
        quadrature={t: _array(w, aside) for t, w in given["quadrature"].items()} if "quadrature" in given else None,
        loss_weights=_array(given["loss_weights"], aside),
        probes=_array(given["probes"], aside),
        dt=_float(given["dt"]),
        alpha=_float(given["alpha"]),
        want={name: _want(name, want, aside) for name, want in test["want"].items()},
        refused=tuple(test["refused"]),
    )
    _check_shapes(case)
    return case


def _rebuilt(name: str, group: Mapping[str, Any]) -> Problem:
    if name == "operators":
        sums = [[(tuple(t["exponents"]), _float(t["coefficient"])) for t in term["operators"][0]] for term in group["terms"]]
        operators = tuple(Polynomial.collect(terms, len(terms[0][0])) for terms in sums)
        problem: Problem = Operators(operators=operators, components=group["terms"][0]["components"])
    else:
        text = {field for field, value in problems.get(name).parameters().items() if isinstance(value, str)}
        given = group["parameters"].items()
        problem = problems.get(name, **{key: value if key in text else _float(value) for key, value in given})
    if {key: group[key] for key in ("coordinates", "terms")} != describe_problem(problem):
        raise ValueError(f"coordinates or terms are not those of {name}")
    return problem


def _rebuilt_network(given: Mapping[str, Any] | None) -> MLP | None:
    if given is None:
        return None
    network = MLP(
        given["sizes"],
        activation=given["activation"],
        parametrization=given["parametrization"],
        output_scale=_float(given["output_scale"]),
        shift=[_float(x) for x in given["shift"]],
        scale=[_float(x) for x in given["scale"]],
    )
    if describe_network(network) != given:
        raise ValueError("the network's factors do not follow from its sizes")
    return network


def _float(text: str) -> float:
    value = float.fromhex(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def _array(tensor: Mapping[str, Any], aside: dict[str, np.ndarray], part: str = "value") -> np.ndarray:
    """The numbers of a tensor, its own or those that lie `aside`, from where they are taken, for nothing is there twice."""
    shape = tuple(tensor["shape"])
    if "safetensors" not in tensor:
        numbers = tensor[part]
        if math.prod(shape) != len(numbers) or min(shape) < 1:
            raise ValueError(f"{len(numbers)} numbers for the shape {shape}")
        return np.array([_float(number) for number in numbers]).reshape(shape)
    name = stored(tensor["safetensors"], part)
    if name not in aside:
        raise ValueError(f"{name} is not in the file of tensors, or is named twice")
    found = aside.pop(name)
    if found.shape != shape or found.dtype != np.float64 or not np.all(np.isfinite(found)):
        raise ValueError(f"{name} is {found.dtype} {found.shape}, or not finite; expected float64 {shape}")
    return found


def _want(name: str, tensor: Mapping[str, Any], aside: dict[str, np.ndarray]) -> Want:
    want = Want(**{part: _array(tensor, aside, part) for part in PARTS})
    if not (np.all(want.lower <= want.mid) and np.all(want.mid <= want.upper) and np.all(want.scale >= 0)):
        raise ValueError(f"{name}: its bounds are not in order")
    return want


def _check_shapes(case: Case) -> None:
    """Raises `ValueError` unless everything has the shape that the problem, the network and the points ask for."""
    terms = case.problem.terms
    n = sum(case.points[term.name].shape[0] * term.components for term in terms)
    p, m, count = case.network.size if case.network else getattr(case.problem, "size", 0), len(terms), case.probes.shape[-1]
    shapes = {"residual": (n,), "jacobian": (n, p), "ntk": (n, n), "traces": (m,), "spectrum": (n,)}
    shapes |= {"gradient": (p,), "direction": (p,)}
    shapes |= dict.fromkeys(("products", "products_forward", "products_central"), (n, count))
    shapes |= dict.fromkeys(("trace_means", "trace_errors", "average_traces", "sketched_weights"), (m,)) | {"average_ntk": (n, n)}
    got = {name: want.mid.shape for name, want in case.want.items()} | {"θ": case.theta.shape, "probes": case.probes.shape}
    got["loss_weights"] = case.loss_weights.shape
    wanted = shapes | {"θ": (p,), "probes": (n, count), "loss_weights": (m,)}
    for name, shape in got.items():
        if name.startswith("jets/"):
            term = next(term for term in terms if "jets/" + term.name == name)
            fits = shape[0] == len(derivatives(term)) and shape[2:] == (case.points[term.name].shape[0], case.problem.outputs)
        else:
            fits = shape == ((m,) if name.startswith("weights/") else wanted[name])
        if not fits:
            raise ValueError(f"{case.name}: {name} has the shape {shape}")
