"""Where and when something was measured."""

import datetime
import os
import platform
import re
from importlib import metadata
from pathlib import Path

from refntk.bench.machine import environment as machine


def environment():
    """Machine, date, version and revision, as every result holds them."""
    cpuinfo = Path("/proc/cpuinfo")
    cpu = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores",
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
        "refntk": metadata.version("refntk"),
        "revision": machine()["revision"],
    }
