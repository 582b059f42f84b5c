"""On what is measured: the machine and its libraries, and the memory that a call takes."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .timing import Call
from .workloads import WORKLOADS, Case

LIBRARIES = ("refntk", "numpy", "scipy", "numba", "threadpoolctl", "jax", "jaxlib", "torch", "cupy")  # told if they are loaded
VARIABLES = ("OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "XLA_FLAGS")

P = ParamSpec("P")
T = TypeVar("T")


def environment() -> dict[str, Any]:
    """Everything besides the code on which times depend, as JSON values: versions, processor, threads, BLAS, git revision.

    Only libraries that are loaded are told, so call it last. No path and no name of the machine is among them.

    >>> environment()["versions"]["numpy"] == np.__version__
    True
    """
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    loaded = {name: sys.modules[name] for name in LIBRARIES if name in sys.modules}
    versions = {name: str(getattr(module, "__version__", "unknown")) for name, module in loaded.items()}
    threads: dict[str, int | None] = {"cores": os.cpu_count()}
    if hasattr(os, "sched_getaffinity"):
        threads["usable cores"] = len(os.sched_getaffinity(0))
    if "numba" in loaded:
        threads["numba"] = int(loaded["numba"].get_num_threads())
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "threads": threads,
        "pools": _pools(),
        "blas": {key: blas.get(key) for key in ("name", "version", "openblas configuration")},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "versions": {"python": platform.python_version()} | versions,
        "revision": _revision(),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown"


def _pools() -> list[dict[str, Any]] | None:
    """The thread pools of native libraries with their sizes, and the kernels OpenBLAS chose; None without threadpoolctl."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return None
    keys = ("user_api", "internal_api", "version", "num_threads", "architecture", "threading_layer")
    return [{key: pool[key] for key in keys if key in pool} for pool in threadpool_info()]


def _revision() -> str | None:
    """The commit of the checkout this file stands in, marked if it was changed; None where there is none."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (", with changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def memory(workload: str, case: Case, /) -> int:
    """The bytes that a workload takes at its peak beyond θ, points and whatever its preparation holds; best in a `fresh` process.

    Whatever is compiled or loaded at first use is so beforehand, on a tiny case. Returns bytes.
    """
    prepare = WORKLOADS[workload]
    prepare(case.shrunk())()
    return added_bytes(prepare(case))


def added_bytes(call: Call, /) -> int:
    """How far the memory of this process rises above what it holds now, while `call` runs and its answer is held.

    On Linux from `/proc/self/status`. Elsewhere from `ru_maxrss`, which knows no way back: what rose higher before hides a call.
    (On Linux `ru_maxrss` would be worse: a child starts with the peak of its parent.)

    >>> added_bytes(lambda: np.ones(2**23)) > 0.9 * 2**26
    True
    """
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = _held()["now"]
    answer = call()
    after = _held()["peak"]
    del answer
    return max(0, after - before)


def _held() -> Mapping[str, int]:
    """Resident bytes of this process, now and at its peak."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        return {"now": peak, "peak": peak}
    sizes = dict(re.findall(r"^(VmRSS|VmHWM):\s*(\d+) kB$", status, re.MULTILINE))
    return {"now": 1024 * int(sizes["VmRSS"]), "peak": 1024 * int(sizes["VmHWM"])}


def fresh(function: Callable[P, T], /, *arguments: P.args, **options: P.kwargs) -> T:
    """`function(*arguments)` computed in a process of its own, started from nothing; all of it must be picklable.

    Raises what `function` raises, and `concurrent.futures.process.BrokenProcessPool` if the process is killed, as by a system that
    runs out of memory.

    >>> fresh(os.getpid) == os.getpid()
    False
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments, **options).result()
