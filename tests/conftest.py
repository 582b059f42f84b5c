"""What every test stands on: one thread for BLAS, 64 bits for JAX, a hypothesis that repeats itself, and one measure of error."""

import os
import signal
import threading

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported: the same sums in the same order everywhere
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from hypothesis import HealthCheck, settings

settings.register_profile(
    "refntk",
    derandomize=True,  # a failure today is a failure tomorrow; probabilistic assertions have keys of their own
    deadline=None,
    database=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("refntk")
