"""CuPy where it runs, and its `ElementwiseKernel` where it does not: evaluated by NumPy, or compiled by a C++ compiler.

As far as it is documented and used here: arguments are planes that broadcast, inputs first, then outputs, which must have the shape
of all; `T` is one type for all of them.
"""

import ctypes
import re
import shutil
import subprocess
from importlib.util import find_spec

import numpy as np
import pytest

from refntk import arrays
from refntk.calculus.fused import FUNCTIONS

TYPES = {"float64": "double", "float32": "float"}
DECLARATION = re.compile(r"T ([a-z]\d+)")
ASSIGNMENT = re.compile(r"(const T )?([a-z]\d+) = (.+);")


def cupy():
    """CuPy, where it is installed and has a device to run on."""
    if find_spec("cupy") is None:
        pytest.skip("CuPy is not installed")
    library = arrays.cupy()
    try:
        library.zeros(1)
    except Exception as error:
        pytest.skip(f"CuPy finds no device: {error}")
    return library


class Kernel:
    """What both have in common: what is declared, and what must be true of the arguments."""

    def __init__(self, inputs, outputs, body, name):
        assert name.isidentifier()
        self.body = body
        self.inputs, self.outputs = ([DECLARATION.fullmatch(d)[1] for d in names.split(", ")] for names in (inputs, outputs))
        assert len({*self.inputs, *self.outputs}) == len(self.inputs) + len(self.outputs)

    def __call__(self, *planes):
        assert len(planes) == len(self.inputs) + len(self.outputs)
        assert len({plane.dtype for plane in planes}) == 1, "CuPy refuses two types for one T"
        shape = np.broadcast_shapes(*(plane.shape for plane in planes))
        written = planes[len(self.inputs) :]
        assert {plane.shape for plane in written} == {shape}
        assert not any(np.may_share_memory(a, b) for a in written for b in planes if a is not b)
        self.run(shape, planes[: len(self.inputs)], written)


class Evaluated(Kernel):
    """Statement by statement, whole planes at a time."""

    def run(self, shape, read, written):
        names = (
            {name: getattr(np, function) for function, name in FUNCTIONS.items()}
            | {"T": written[0].dtype.type}
            | dict(zip(self.inputs, read, strict=True))
        )
        outputs = dict(zip(self.outputs, written, strict=True))
        with np.errstate(under="ignore"):
            for line in self.body.splitlines():
                constant, name, text = ASSIGNMENT.fullmatch(line).groups()
                assert bool(constant) == (name not in outputs)
                assert name not in names, "a name is given once"
                value = eval(text, {"__builtins__": {}}, names)
                if constant:
                    names[name] = value
                else:
                    outputs[name][...] = value


class Compiled(Kernel):
    """As a loop over contiguous planes, compiled with all its like when the first of them is called."""

    waiting, library = [], None

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.symbol = f"kernel_{id(self)}"
        Compiled.waiting.append(self)

    def source(self):
        """A template and its two instances."""
        declared = [f"const T* p_{name}" for name in self.inputs] + [f"T* p_{name}" for name in self.outputs]
        bound = [f"const T &{name} = p_{name}[i];" for name in self.inputs] + [f"T &{name} = p_{name}[i];" for name in self.outputs]
        loop = ["for (long i = 0; i < n; ++i) {", *bound, self.body, "}"]
        text = "\n".join([f"template <class T> void {self.symbol}(long n, {', '.join(declared)}) {{", *loop, "}"])
        names = ", ".join(f"p_{name}" for name in (*self.inputs, *self.outputs))
        for T in TYPES.values():
            arguments = ", ".join(d.replace("T*", f"{T}*") for d in declared)
            text += f'\nextern "C" void {self.symbol}_{T}(long n, {arguments}) {{ {self.symbol}<{T}>(n, {names}); }}'
        return text

    @classmethod
    def build(cls, folder):
        """All kernels made so far as one library."""
        file = folder / "kernels.cpp"
        file.write_text("\n".join(["#include <cmath>", "using namespace std;", *(k.source() for k in cls.waiting)]))
        command = [compiler(), "-O1", "-w", "-shared", "-fPIC", str(file), "-o", str(file.with_suffix(".so"))]
        subprocess.run(command, check=True, capture_output=True, text=True)
        cls.library, cls.waiting = ctypes.CDLL(str(file.with_suffix(".so"))), []

    def run(self, shape, read, written):
        results = [np.full(shape, np.nan, plane.dtype) for plane in written]
        planes = [*(np.ascontiguousarray(np.broadcast_to(plane, shape)) for plane in read), *results]
        function = getattr(self.library, f"{self.symbol}_{TYPES[written[0].dtype.name]}")
        function(ctypes.c_long(results[0].size), *(ctypes.c_void_p(plane.ctypes.data) for plane in planes))
        for plane, result in zip(written, results, strict=True):
            plane[...] = result


def compiler():
    """The path of a C++ compiler, or None."""
    return next(filter(None, map(shutil.which, ("g++", "clang++", "c++"))), None)
