"""Array namespaces: the same lines on NumPy, CuPy, torch, array_api_strict or balls. The only file that names CuPy.

`xp` is found once at the door of a public function and handed on as a keyword; what comes in decides what goes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from typing import Any

import array_api_compat
import numpy as np

from .errors import InvalidInput, MissingDependency, NotFiniteError, ShapeError

Array = Any  # an array of any namespace that follows the array API standard
Namespace = Any
Maker = Callable[[str, str, str, str], Callable[..., Any]]  # of a kernel: from its inputs, outputs, body and name


def namespace(*arrays: Array) -> Namespace:
    """The array namespace that all `arrays` share. Raises `InvalidInput` when they come from different libraries.

    >>> namespace(np.ones(2)).__name__
    'array_api_compat.numpy'
    """
    try:
        return array_api_compat.array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({type(a).__module__ + "." + type(a).__qualname__ for a in arrays}))
        raise InvalidInput("arrays", kinds, "pass arrays of one library (NumPy, CuPy, torch, ...)") from error


def is_numpy(xp: Namespace) -> bool:
    """Whether `xp` is NumPy's namespace, the only one whose arrays the numba engine takes."""
    return array_api_compat.is_numpy_namespace(xp)


def cupy() -> Namespace:
    """CuPy's namespace. Raises `MissingDependency` where it is not installed."""
    try:
        return import_module("array_api_compat.cupy")
    except ImportError as error:
        raise MissingDependency("CuPy is not installed: pip install 'refntk[gpu]'") from error


def elementwise(xp: Namespace) -> Maker | None:
    """The maker of elementwise kernels that `xp` has: CuPy's, from C++; None for any other namespace.

    >>> elementwise(np) is None
    True
    """
    return import_module("cupy").ElementwiseKernel if array_api_compat.is_cupy_namespace(xp) else None


def to_numpy(array: Array) -> np.ndarray:
    """`array` on the host, as NumPy's: for files, figures and SciPy, never inside the mathematics."""
    if array_api_compat.is_cupy_array(array):
        return array.get()
    if array_api_compat.is_torch_array(array):
        return array.detach().cpu().numpy()
    return np.asarray(array)


def scalar(value: Any) -> Any:
    """An array without axes, or whatever `float` takes, as a Python float; a ball, which is no float, stays a ball.

    >>> scalar(np.sum(np.ones(3)))
    3.0
    """
    return float(value) if hasattr(value, "__float__") else value


def root(value: Any) -> Any:
    """The square root of what `scalar` returns.

    >>> root(4.0)
    2.0
    """
    return math.sqrt(value) if isinstance(value, float) else namespace(value).sqrt(value)


def like(values: Any, reference: Array, *, xp: Namespace) -> Array:
    """`values` as an array of the namespace, dtype and device of `reference`."""
    device = array_api_compat.device(reference)
    return xp.asarray(values, dtype=reference.dtype, device=device)


def zeros(shape: tuple[int, ...], reference: Array, *, xp: Namespace) -> Array:
    """Zeros of the namespace, dtype and device of `reference`."""
    return xp.zeros(shape, dtype=reference.dtype, device=array_api_compat.device(reference))


def as_floats(argument: str, values: Any) -> Array:
    """`values` as a floating-point array: lists and integers become float64 NumPy, arrays stay in their library."""
    if not array_api_compat.is_array_api_obj(values):
        try:
            values = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InvalidInput(argument, type(values).__name__, "pass an array of real numbers") from error
    xp = namespace(values)
    if not hasattr(xp, "isdtype") or xp.isdtype(values.dtype, "real floating"):
        return values
    if xp.isdtype(values.dtype, ("integral", "bool")):
        return xp.astype(values, xp.float64)
    raise InvalidInput(argument, values.dtype, "pass an array of real numbers")


def widen(*values: Array, xp: Namespace) -> list[Array]:
    """`values` in the widest of their floating dtypes: what NumPy does unasked, and what torch's products refuse to do.

    >>> [array.dtype.name for array in widen(np.ones(1, np.float32), np.ones(1), xp=np)]
    ['float64', 'float64']
    """
    if len({array.dtype for array in values}) == 1:
        return list(values)
    widest = xp.result_type(*values)
    return [array if array.dtype == widest else xp.astype(array, widest) for array in values]


def check_shape(argument: str, array: Array, shape: tuple[int | None, ...]) -> None:
    """Raises `ShapeError` unless `array` has `shape`, where None stands for any positive size; `InvalidInput` if it is no array."""
    if not hasattr(array, "shape"):
        raise InvalidInput(argument, type(array).__name__, "pass an array")
    fits = len(array.shape) == len(shape) and all(
        size > 0 if want is None else size == want for size, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = "(" + ", ".join("any > 0" if s is None else str(s) for s in shape) + ("," if len(shape) == 1 else "") + ")"
        raise ShapeError(argument, f"shape {tuple(array.shape)}", f"expected {wanted}")


def check_finite(argument: str, array: Array, *, xp: Namespace) -> None:
    """Raises `NotFiniteError` if `array` holds NaN or an infinity."""
    if hasattr(xp, "isfinite") and not bool(xp.all(xp.isfinite(array))):
        bad = int(xp.sum(xp.astype(~xp.isfinite(array), xp.int64)))
        raise NotFiniteError(argument, f"{bad} of {math.prod(array.shape)} entries not finite", "remove NaN and infinities")
