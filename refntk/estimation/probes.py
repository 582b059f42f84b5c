"""Random probes g from Philox integers: signs and normals that are functions of (key, stream) alone, with no state to carry.

Philox (Salmon et al. 2011) enciphers a counter. NumPy guarantees its raw 64-bit integers from release to release, and not the
methods of `Generator`, so signs and normals are made here from the integers. The counter's 256 bits are four words,
[block, block, stream, kind]: two streams, or two kinds, never meet, and each holds 2^130 integers.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

import numpy as np

from ..errors import InvalidInput, UnknownNameError


def rademacher(n: int, count: int, *, key: int, stream: int = 0) -> np.ndarray:
    """Independent signs ±1, (n, count) float64, the same bytes on every machine.

    `key`, a whole number in [0, 2^128), names the experiment; `stream`, in [0, 2^64), a part of it, such as a training step: draws
    of different keys or streams are independent. Column j does not depend on `count`. A set bit is -1, from the lowest bit up, and
    every column starts at a fresh integer. Raises `InvalidInput`. Cost: n·count/64 integers.

    >>> g = rademacher(5, 2, key=17)
    >>> g
    array([[-1.,  1.],
           [-1.,  1.],
           [ 1., -1.],
           [-1.,  1.],
           [ 1., -1.]])
    >>> bool((rademacher(5, 1, key=17) == g[:, :1]).all())
    True
    """
    _check_sizes(n, count)
    words = -(-n // 64)
    raw = _integers(words * count, key=key, stream=stream, kind=1).reshape(count, words, 1)
    bits = (raw >> np.arange(64, dtype=np.uint64)) & np.uint64(1)  # (count, words, 64)
    return np.ascontiguousarray(1.0 - 2.0 * bits.reshape(count, -1)[:, :n].T)


def normal(n: int, count: int, *, key: int, stream: int = 0) -> np.ndarray:
    """Independent standard normals, (n, count) float64: `Φ⁻¹((k + 1/2) / 2^52)`, k the upper 52 bits of an integer.

    `key`, `stream`, columns and errors as in `rademacher`. The uniforms are the same bytes everywhere, Φ⁻¹ (`scipy.special.ndtri`)
    is the same up to its last bits. They are symmetric about 1/2 and |g| stays below 8.21. Cost: n·count integers.

    >>> import math
    >>> g = normal(1, 1, key=17)[0, 0]
    >>> k = int(np.random.Philox(key=17, counter=0).random_raw()) >> 12
    >>> abs(math.erfc(-g / math.sqrt(2)) / 2 - (k + 0.5) / 2**52) < 1e-15  # Φ(g)
    True
    """
    from scipy.special import ndtri  # here, so that importing refntk does not load SciPy

    _check_sizes(n, count)
    raw = _integers(n * count, key=key, stream=stream, kind=0)
    # 52 bits and not 53: k + 1/2 must be a float64, or the largest uniforms would round to 1 and Φ⁻¹ to infinity.
    uniform = ((raw >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
    return np.ascontiguousarray(ndtri(uniform).reshape(count, n).T)


KINDS: dict[str, Callable[..., np.ndarray]] = {"normal": normal, "rademacher": rademacher}


def draw(kind: str, n: int, count: int, *, key: int, stream: int = 0) -> np.ndarray:
    """Probes (n, count) of a kind by name: "normal" (Hirsch & Pichi, Algorithm 2) or "rademacher" (their Remark 5).

    Raises `UnknownNameError` for the kind, `InvalidInput` for the rest.

    >>> bool((draw("rademacher", 3, 2, key=1, stream=9) == rademacher(3, 2, key=1, stream=9)).all())
    True
    """
    check_kind("kind", kind)
    return KINDS[kind](n, count, key=key, stream=stream)


def check_kind(argument: str, kind: object) -> None:
    """Raises `UnknownNameError` unless `kind` is a kind of probe."""
    if kind not in list(KINDS):
        raise UnknownNameError(argument, kind, KINDS)


def _integers(count: int, *, key: int, stream: int, kind: int) -> np.ndarray:
    """The first `count` integers, uint64, of one stream and kind."""
    _check_whole("key", key, 0, 2**128)
    _check_whole("stream", stream, 0, 2**64)
    counter = (int(stream) << 128) + (kind << 192)
    return np.random.Philox(key=int(key), counter=counter).random_raw(count)


def _check_sizes(n: int, count: int) -> None:
    _check_whole("n", n, 1, 2**63)
    _check_whole("count", count, 1, 2**63)


def _check_whole(argument: str, value: object, low: int, high: int) -> None:
    try:
        fits = not isinstance(value, bool) and low <= operator.index(value) < high  # type: ignore[arg-type]
    except TypeError:
        fits = False
    if not fits:
        raise InvalidInput(argument, repr(value), f"give a whole number in [{low}, 2^{high.bit_length() - 1})")
