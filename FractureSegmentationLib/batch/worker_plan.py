"""How a machine is divided among worker processes: one per GPU, or one per group of cores."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass

from FractureSegmentationLib.errors import EnvironmentProblemError

CORES_PER_WORKER = 4
MEMORY_PER_WORKER_BYTES = 6 * 1024**3
"""What a whole CT of 512 x 512 x 400 voxels may take."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
_GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerPlan:
    """How this machine is divided among worker processes.

    Attributes:
        count: how many there are.
        threads: processor threads for each.
        gpus: the GPUs as CUDA_VISIBLE_DEVICES names them; none for work on the processor.
    """

    count: int
    threads: int
    gpus: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.count < 1 or self.threads < 1:
            raise ValueError(f"need a worker and a thread, got {self.count} and {self.threads}")

    def thread_variables(self) -> dict[str, str]:
        """Variables that say how many threads a worker uses; what the user has set stays."""
        return {name: os.environ.get(name) or str(self.threads) for name in _THREAD_VARIABLES}

    def environment(self, number: int) -> dict[str, str]:
        """All variables of worker `number`, 0 = first."""
        if not self.gpus:
            return self.thread_variables()
        return {**self.thread_variables(), _GPU_VARIABLE: self.gpus[number % len(self.gpus)]}


def plan_workers(
    wanted: int | None, *, cores: int, memory_bytes: int, gpus: Sequence[str] = ()
) -> WorkerPlan:
    """Divide a machine.

    Args:
        wanted: number of workers; None takes one per GPU or else per group of cores, as far as
            the memory goes.
        cores: processor cores of the machine.
        memory_bytes: memory of the machine.
        gpus: its GPUs; none if the work is for the processor.
    """
    by_memory = memory_bytes // MEMORY_PER_WORKER_BYTES
    fitting = len(gpus) or max(1, min(cores // CORES_PER_WORKER, by_memory))
    count = wanted or fitting
    return WorkerPlan(count=count, threads=max(1, cores // count), gpus=tuple(gpus))


def plan_for_this_machine(wanted: int | None, device: str) -> WorkerPlan:
    """Divide this machine among workers that run on `device` (auto, cpu, cuda, ...)."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    gpus = _gpus() if device in {"auto", "cuda"} else ()
    return plan_workers(wanted, cores=CPU_COUNT, memory_bytes=MEMORY_LIMIT, gpus=gpus)


def _gpus() -> tuple[str, ...]:
    """The GPUs that this process may use, by the names that a child process needs."""
    from FractureSegmentationLib.inference.device import choose_device

    count = 0
    with contextlib.suppress(EnvironmentProblemError):
        while True:
            choose_device(f"cuda:{count}")
            count += 1
    named = [name for name in os.environ.get(_GPU_VARIABLE, "").split(",") if name]
    return tuple(named[:count]) or tuple(str(number) for number in range(count))
