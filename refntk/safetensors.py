"""safetensors, a format of named arrays that many languages read, in NumPy alone: a length, a header, the numbers.

The first 8 bytes hold the length of the header, a JSON object `{name: {"dtype", "shape", "data_offsets"}}`; offsets count from its
end. Equal arrays give equal bytes, those that the library of this name writes: names sorted, the header filled up with blanks to a
multiple of 8.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .files import parse_json

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1", "U8": "|u1"}
ENTRY = {"dtype", "shape", "data_offsets"}


def encode(tensors: Mapping[str, np.ndarray], /) -> bytes:
    """The bytes of a file of these arrays, as float64.

    >>> encode({"b": np.ones(2), "a": np.zeros((1, 1))})[8:120]
    b'{"a":{"dtype":"F64","shape":[1,1],"data_offsets":[0,8]},"b":{"dtype":"F64","shape":[2],"data_offsets":[8,24]}}  '
    """
    header: dict[str, Any] = {}
    arrays, offset = [], 0
    for name in sorted(tensors):
        array = np.asarray(tensors[name], dtype="<f8")
        header[name] = {"dtype": "F64", "shape": list(array.shape), "data_offsets": [offset, offset := offset + array.nbytes]}
        arrays.append(array.tobytes())
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(arrays)


def decode(data: bytes, /) -> dict[str, np.ndarray]:
    """`{name: array}` in the order in which they lie, from the bytes of a file that is not trusted.

    The arrays must fill the file from the end of the header on, without a gap, and none may hold more or fewer bytes than its shape
    asks for; nothing is allocated before. Raises `ValueError`, or what else is in `files.DISTRUST`.

    >>> decode(encode({"b": np.ones(2), "a": np.zeros((1, 1))}))
    {'a': array([[0.]]), 'b': array([1., 1.])}
    """
    start = 8 + int.from_bytes(data[:8], "little")
    if start > len(data) or len(data) < 8:
        raise ValueError(f"it has {len(data)} bytes and would need {start} for its header")
    header = parse_json(data[8:start])
    header.pop("__metadata__", None)
    found, at = {}, start
    for low, high, name in sorted((*_offsets(name, entry), name) for name, entry in header.items()):
        dtype, shape = np.dtype(DTYPES[header[name]["dtype"]]), header[name]["shape"]
        if start + low != at or high - low != math.prod(shape) * dtype.itemsize or start + high > len(data):
            raise ValueError(f"{name}: the shape {shape} does not fit the bytes {low} to {high}, or other bytes are expected there")
        found[name] = np.frombuffer(data, dtype, math.prod(shape), start + low).reshape(shape).copy()
        at = start + high
    if at != len(data):
        raise ValueError(f"{len(data) - at} of its bytes belong to no array")
    return found


def _offsets(name: str, entry: Any) -> tuple[int, int]:
    """Where an array begins and ends, of an entry that is one: two offsets, whole lengths, numbers that NumPy has."""
    if not isinstance(entry, dict) or set(entry) != ENTRY:
        raise ValueError(f"{name}: its entry is not made of {', '.join(sorted(ENTRY))}")
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"{name} holds {entry['dtype']!r}; of numbers only {', '.join(DTYPES)} are read")
    lengths = [*entry["shape"], *entry["data_offsets"]]
    if len(entry["data_offsets"]) != 2 or any(type(length) is not int or length < 0 for length in lengths):
        raise ValueError(f"{name}: {entry['shape']} at {entry['data_offsets']} are no lengths")
    return lengths[-2], lengths[-1]
