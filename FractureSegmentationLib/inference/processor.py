"""How much of the processor a run takes: threads, waiting without spinning, priority."""

from __future__ import annotations

import os
import sys
from typing import Final

THREADS_VARIABLE: Final = "OMP_NUM_THREADS"
_NICENESS = 10
_BELOW_NORMAL_PRIORITY = 0x4000
_PASSIVE_WAITING: Final = {
    # Threads that spin while they wait take the processor from whoever has work for it: a run
    # beside another one was almost five times slower than alone.
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "KMP_BLOCKTIME": "0",
}


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def inference_threads() -> int:
    """Threads for a network: what OMP_NUM_THREADS says, else all cores but one of three or more."""
    asked = os.environ.get(THREADS_VARIABLE, "").partition(",")[0].strip()
    if asked.isdigit() and int(asked) > 0:
        return int(asked)
    cores = usable_cores()
    return cores - 1 if cores > 2 else cores


def wait_passively() -> None:
    """Let OpenMP's threads sleep while they wait; call it before torch is loaded.

    Sets environment variables that OpenMP reads when it is loaded and that children inherit. What
    the user has set stays.
    """
    for name, value in _PASSIVE_WAITING.items():
        os.environ.setdefault(name, value)


def lower_priority() -> None:
    """Give this process, and those it starts, less of the processor than the programs in use."""
    if sys.platform == "win32":
        import ctypes

        kernel = ctypes.windll.kernel32
        kernel.GetCurrentProcess.restype = ctypes.c_void_p
        kernel.SetPriorityClass.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _BELOW_NORMAL_PRIORITY)
    else:
        os.nice(_NICENESS)
