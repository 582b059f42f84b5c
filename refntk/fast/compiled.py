"""Kernels from source that is spelled out where it is needed, compiled by numba when first asked for and kept on disk.

They are kept in `REFNTK_CACHE`, or in the user's cache folder; where neither can be written, every process compiles its own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit

Kernel = Callable[..., None]


@cache
def compiled(source: str, *freedoms: str) -> Kernel:
    r"""The function `kernel` of the source, compiled so that it releases the GIL, with these of LLVM's `fastmath` freedoms.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0])
    >>> compiled("def kernel(x):\n    for i in range(len(x)):\n        x[i] *= x[i]")(x)
    >>> x
    array([1., 4.])
    """
    path = _folder() / f"kernel_{hashlib.sha256(repr((source, freedoms)).encode()).hexdigest()[:32]}.py"
    kept = True
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file() or path.read_text() != source:
            scratch = path.with_suffix(f".{os.getpid()}")
            scratch.write_text(source)
            os.replace(scratch, path)
    except OSError:
        kept = False  # nowhere to keep it
    scope: dict[str, Any] = {"__name__": __name__}  # numba imports a kept kernel's module by this name
    exec(compile(source, str(path), "exec"), scope)  # the source is ours: it comes from a table or a number of channels
    return njit(nogil=True, cache=kept, error_model="numpy", fastmath=set(freedoms))(scope["kernel"])


def _folder() -> Path:
    chosen = os.environ.get("REFNTK_CACHE")
    return Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "refntk"
