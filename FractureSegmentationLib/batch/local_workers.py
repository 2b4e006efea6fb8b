"""Worker processes on this machine: how it is divided among them, their start and their end.

A `SpecCluster` and not a `LocalCluster`: each worker needs a GPU of its own in its environment, and
Ctrl+C has to end the processes while they still start.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference.engine import Engine
from FractureSegmentationLib.io.temporary import (
    clear_scratch,
    remove_scratch,
    remove_working_folders,
    scratch_folder,
)
from FractureSegmentationLib.progress import CancelToken

if TYPE_CHECKING:
    from distributed import Nanny, SpecCluster


from collections.abc import Sequence
from dataclasses import dataclass

_PRELOAD = "FractureSegmentationLib.batch.worker"
_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.1
_WARNINGS_VARIABLE = "PYTHONWARNINGS"

OnWorkers = Callable[["LocalWorkers"], None]


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


class LocalWorkers:
    """A cluster of processes of this machine.

    Args:
        plan: how many, and with what.
        scratch: a folder of their own.
        out: the folder of all cases.

    Attributes:
        cluster: the Dask cluster, once `start` has returned.
    """

    cluster: SpecCluster

    def __init__(self, plan: WorkerPlan, scratch: Path, out: Path) -> None:
        self._plan = plan
        self._scratch = scratch
        self._out = out
        self._nannies: list[Nanny] = []

    def start(self, token: CancelToken) -> SpecCluster:
        """Start the processes.

        Args:
            token: ends them while they start.

        Raises:
            OSError, RuntimeError: they could not be started.
        """
        from distributed import SpecCluster

        with ThreadPoolExecutor(max_workers=1, initializer=_keep_ctrl_c_out) as starter:
            specification = _specification(self._plan, self._scratch, self._nanny)
            starting = starter.submit(SpecCluster, **specification, silence_logs="CRITICAL")
            while not wait([starting], timeout=_LOOK_SECONDS).done:
                if token.is_cancelled:
                    self.kill()
        self.cluster = starting.result()
        return self.cluster

    @property
    def ready_count(self) -> int:
        """How many workers are there; one that died is missing until it was started again."""
        return len(self.cluster.scheduler.workers)

    def process_ids(self) -> tuple[int, ...]:
        """Of the workers that run at the moment."""
        return tuple(nanny.pid for nanny in list(self._nannies) if nanny.pid)

    def kill(self) -> None:
        """End all workers at once, whatever they do, and remove what they were working in."""
        for nanny in list(self._nannies):
            nanny.auto_restart = False
        numbers = self.process_ids()
        for number in numbers:
            with contextlib.suppress(OSError):
                os.kill(number, getattr(signal, "SIGKILL", signal.SIGTERM))
        for number in numbers:
            remove_working_folders(self._out, number)
            remove_scratch(number)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _nanny(self, *args: Any, **options: Any) -> Nanny:
        """A keeper of one process; the cluster knows it only once it has started all of them."""
        from distributed import Nanny

        self._nannies.append(Nanny(*args, **options))
        return self._nannies[-1]


@contextlib.contextmanager
def local_workers(
    plan: WorkerPlan, out: Path, token: CancelToken, on_workers: OnWorkers
) -> Iterator[LocalWorkers]:
    """Start the workers of a plan, and end them with the block.

    Args:
        plan: how many, and with what.
        out: the folder of all cases.
        token: ends them while they start.
        on_workers: given the workers before they start, to end them by force.

    Yields:
        The workers; they listen on this machine's own address only.

    Raises:
        EnvironmentProblemError: they could not be started.
        RunCancelledError: the token was raised.
    """
    import dask

    clear_scratch()
    with scratch_folder() as scratch, contextlib.ExitStack() as stack:
        workers = LocalWorkers(plan, scratch, out)
        on_workers(workers)
        stack.enter_context(_environment_restored())
        stack.enter_context(dask.config.set(_configuration(plan, scratch)))
        try:
            stack.enter_context(workers.start(token))
        except (OSError, RuntimeError) as error:
            token.raise_if_cancelled()  # Workers that were ended on request are no failure.
            raise EnvironmentProblemError(
                "The workers could not be started.",
                "Start fewer with --workers, or use fracseg segment --list.",
            ) from error
        yield workers


def _configuration(plan: WorkerPlan, scratch: Path) -> dict[str, Any]:
    """What holds for all that Dask starts here."""
    return {
        "distributed.nanny.pre-spawn-environ": plan.thread_variables(),
        "temporary-directory": str(scratch),
    }


def _specification(plan: WorkerPlan, scratch: Path, nanny: Callable[..., Nanny]) -> dict[str, Any]:
    """Specification of the scheduler and the workers for Dask."""
    from distributed import Scheduler

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
            number: {"cls": nanny, "options": {**worker, "env": plan.environment(number)}}
            for number in range(plan.count)
        },
        "scheduler": {
            "cls": Scheduler,
            # A case whose worker died comes back to us, who know how often it was tried.
            "options": {**shared, "port": 0, "allowed_failures": 0},
        },
    }


def _keep_ctrl_c_out() -> None:
    """Spare what this thread starts the Ctrl+C that a terminal sends to every process.

    The process that the user started ends the others in order.
    """
    if hasattr(signal, "pthread_sigmask"):
        _start_tracker()  # Its start would let Ctrl+C in again.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _start_tracker() -> None:
    """Start Python's own helper that clears semaphores up after a process that was ended by force.

    Its messages on what it cleared up are of no use to the user.
    """
    before = os.environ.get(_WARNINGS_VARIABLE)
    os.environ[_WARNINGS_VARIABLE] = "ignore::UserWarning:multiprocessing.resource_tracker"
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.pop(_WARNINGS_VARIABLE)
        if before is not None:
            os.environ[_WARNINGS_VARIABLE] = before


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


def plan_for_this_machine(wanted: int | None, device: str, engine: Engine) -> WorkerPlan:
    """Divide this machine among workers that run `engine` on `device` (auto, cpu, cuda, ...)."""
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    gpus = _gpus(engine) if device in {"auto", "cuda"} else ()
    return plan_workers(wanted, cores=CPU_COUNT, memory_bytes=MEMORY_LIMIT, gpus=gpus)


def _gpus(engine: Engine) -> tuple[str, ...]:
    """The GPUs that this process may use, by the names that a child process needs."""
    count = 0
    with contextlib.suppress(EnvironmentProblemError):
        while True:
            engine.device_named(f"cuda:{count}")
            count += 1
    named = [name for name in os.environ.get(_GPU_VARIABLE, "").split(",") if name]
    return tuple(named[:count]) or tuple(str(number) for number in range(count))
