"""Worker processes on this machine: one per GPU, or one per group of processor cores."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.io.leftovers import remove_working_folders

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
_PRELOAD = "FractureSegmentationLib.batch.worker"
_HOST = "127.0.0.1"


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


class LocalWorkers:
    """A running cluster of processes of this machine.

    Args:
        cluster: the Dask cluster.
        scratch: a folder of its own, removed in the end.
        out: the folder of all cases.
    """

    def __init__(self, cluster: Any, scratch: Path, out: Path) -> None:
        self.cluster = cluster
        self._scratch = scratch
        self._out = out

    @property
    def ready_count(self) -> int:
        """How many workers are there; one that died is missing until it was started again."""
        return len(self.cluster.scheduler.workers)

    def process_ids(self) -> tuple[int, ...]:
        """Of the workers that run at the moment."""
        return tuple(nanny.pid for nanny in list(self.cluster.workers.values()) if nanny.pid)

    def kill(self) -> None:
        """End all workers at once, whatever they do, and remove what they were working in."""
        for nanny in list(self.cluster.workers.values()):
            nanny.auto_restart = False
        for number in self.process_ids():
            with contextlib.suppress(OSError):
                os.kill(number, getattr(signal, "SIGKILL", signal.SIGTERM))
            remove_working_folders(self._out, number)
        shutil.rmtree(self._scratch, ignore_errors=True)


@contextlib.contextmanager
def local_workers(plan: WorkerPlan, out: Path) -> Iterator[LocalWorkers]:
    """Start the workers of a plan, and end them with the block.

    Args:
        plan: how many, and with what.
        out: the folder of all cases.

    Yields:
        The workers; they listen on this machine's own address only.

    Raises:
        EnvironmentProblemError: they could not be started.
    """
    import dask
    from distributed import SpecCluster

    scratch = Path(tempfile.mkdtemp(prefix="fracseg-"))
    threads = {"distributed.nanny.pre-spawn-environ": plan.thread_variables()}
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        stack.enter_context(_environment_restored())
        stack.enter_context(dask.config.set(threads))
        try:
            cluster = stack.enter_context(
                SpecCluster(**_specification(plan, scratch), silence_logs="CRITICAL")
            )
        except (OSError, RuntimeError) as error:
            raise EnvironmentProblemError(
                "The workers could not be started.",
                "Start fewer with --workers, or use fracseg segment --list.",
            ) from error
        yield LocalWorkers(cluster, scratch, out)


def _specification(plan: WorkerPlan, scratch: Path) -> dict[str, Any]:
    """What Dask is told of the scheduler and the workers."""
    from distributed import Nanny, Scheduler

    shared = {"host": _HOST, "dashboard": False, "dashboard_address": f"{_HOST}:0"}
    worker = {
        **shared,
        "nthreads": 1,
        # Dask's own limits watch over Dask's own data, of which there is none.
        "memory_limit": 0,
        "local_directory": str(scratch),
        "preload": [_PRELOAD],
        "silence_logs": "CRITICAL",
    }
    return {
        "workers": {
            number: {"cls": Nanny, "options": {**worker, "env": plan.environment(number)}}
            for number in range(plan.count)
        },
        "scheduler": {
            "cls": Scheduler,
            # A case whose worker died comes back to us, who know how often it was tried.
            "options": {**shared, "port": 0, "allowed_failures": 0},
        },
    }


@contextlib.contextmanager
def _environment_restored() -> Iterator[None]:
    """Dask sets the variables of a worker in this process too, and leaves them there."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)
