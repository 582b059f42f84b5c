"""At the door: one library for all arrays, real numbers, finite, of the right shape, and an error that says which is not."""

import sys
from importlib.util import find_spec
from types import ModuleType

import array_api_strict
import numpy as np
import pytest
import torch
from array_api_compat import torch as torch_namespace

from refntk import arrays
from refntk.errors import InvalidInput, MissingDependency, NotFiniteError, ShapeError

LIBRARIES = {"numpy": np, "strict": array_api_strict, "torch": torch_namespace}
library = pytest.mark.parametrize("xp", LIBRARIES.values(), ids=LIBRARIES)


@library
def test_namespace_is_that_of_the_arrays(xp):
    found = arrays.namespace(xp.asarray([1.0]), xp.asarray([2.0]))
    assert type(found.asarray([1.0])) is type(xp.asarray([1.0]))
    assert arrays.is_numpy(found) == (xp is np)


def test_arrays_of_two_libraries_are_refused_by_name():
    with pytest.raises(InvalidInput, match=r"numpy\.ndarray, torch\.Tensor"):
        arrays.namespace(np.ones(1), torch.ones(1))


@pytest.mark.parametrize("values", [[1, 2], (1.0, 2.0), [True, False], np.array([1, 2]), np.array([True, False])])
def test_lists_and_integers_become_float64(values):
    found = arrays.as_floats("theta", values)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    assert found.tolist() == [float(v) for v in values]


@library
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floating_arrays_pass_untouched(xp, dtype):
    values = xp.asarray([1.0, 2.0], dtype=getattr(xp, dtype))
    assert arrays.as_floats("theta", values) is values


@library
def test_integer_arrays_become_float64_of_their_library(xp):
    found = arrays.as_floats("theta", xp.asarray([1, 2]))
    assert type(found) is type(xp.asarray([1.0]))
    assert found.dtype == xp.float64


@pytest.mark.parametrize(
    "values", [np.array([1j]), torch.tensor([1j]), np.array(["a"]), np.array([None]), "abc", [[1], [1, 2]], {}, object()]
)
def test_what_is_not_real_is_refused(values):
    with pytest.raises(InvalidInput, match=r"theta: got .* real numbers"):
        arrays.as_floats("theta", values)


@library
def test_like_and_zeros_take_dtype_and_library_of_the_reference(xp):
    reference = xp.asarray([1.0], dtype=xp.float32)
    for made in (arrays.like([[1, 2]], reference, xp=xp), arrays.zeros((1, 2), reference, xp=xp)):
        assert (type(made), made.dtype, tuple(made.shape)) == (type(reference), xp.float32, (1, 2))


@library
def test_to_numpy_copies_the_values(xp):
    found = arrays.to_numpy(xp.asarray([[1.0, 2.0]]))
    assert isinstance(found, np.ndarray)
    assert found.tolist() == [[1.0, 2.0]]


def test_to_numpy_detaches():
    assert arrays.to_numpy(torch.ones(1, requires_grad=True)).tolist() == [1.0]


@library
def test_widen_promotes_to_the_widest_and_leaves_equals_alone(xp):
    single, double = xp.ones(1, dtype=xp.float32), xp.ones(1, dtype=xp.float64)
    assert [a.dtype for a in arrays.widen(single, double, xp=xp)] == [xp.float64, xp.float64]
    assert arrays.widen(single, single, xp=xp)[0] is single


@pytest.mark.parametrize(("shape", "wanted"), [((2, 3), (2, 3)), ((2, 3), (None, 3)), ((), ())])
def test_shapes_that_fit(shape, wanted):
    arrays.check_shape("points", np.ones(shape), wanted)


@pytest.mark.parametrize(("shape", "wanted"), [((2, 3), (3, 2)), ((0, 3), (None, 3)), ((3,), (3, 1)), ((2, 3, 1), (2, 3))])
def test_shapes_that_do_not(shape, wanted):
    with pytest.raises(ShapeError, match="points: got shape"):
        arrays.check_shape("points", np.ones(shape), wanted)


def test_what_is_no_array_has_no_shape():
    with pytest.raises(InvalidInput, match="theta: got list; pass an array"):
        arrays.check_shape("theta", [1.0], (1,))


@library
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_counted(xp, bad):
    with pytest.raises(NotFiniteError, match="2 of 3 entries"):
        arrays.check_finite("theta", xp.asarray([1.0, bad, bad]), xp=xp)


@library
def test_finite_arrays_pass(xp):
    arrays.check_finite("theta", xp.asarray([1.0, 1e308], dtype=xp.float64), xp=xp)


@library
def test_most_libraries_make_no_kernels(xp):
    assert arrays.elementwise(xp) is None


@pytest.mark.parametrize("name", ["cupy", "array_api_compat.cupy"])
def test_kernels_are_cupys(name, monkeypatch):
    planted = ModuleType("cupy")
    planted.ElementwiseKernel = object()
    monkeypatch.setitem(sys.modules, "cupy", planted)
    assert arrays.elementwise(ModuleType(name)) is planted.ElementwiseKernel


@pytest.mark.skipif(find_spec("cupy") is None, reason="CuPy is not installed")
def test_cupy_is_found():
    assert arrays.cupy().__name__ == "array_api_compat.cupy"


def test_cupy_is_missed_by_name_and_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.delitem(sys.modules, "array_api_compat.cupy", raising=False)
    with pytest.raises(MissingDependency, match=r"refntk\[gpu\]"):
        arrays.cupy()
