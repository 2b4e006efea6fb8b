"""Worker processes on this machine, from the first start to the last end."""

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

from FractureSegmentationLib.batch.worker_plan import WorkerPlan
from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.io.leftovers import remove_working_folders
from FractureSegmentationLib.io.scratch import clear_scratch, remove_scratch, scratch_folder
from FractureSegmentationLib.progress import CancelToken

if TYPE_CHECKING:
    from distributed import Nanny, SpecCluster

_PRELOAD = "FractureSegmentationLib.batch.worker"
_HOST = "127.0.0.1"
_LOOK_SECONDS = 0.1
_WARNINGS_VARIABLE = "PYTHONWARNINGS"

OnWorkers = Callable[["LocalWorkers"], None]


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
    """What Dask is told of the scheduler and the workers."""
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

    It would tell the user what it cleared up, who cannot do anything about it.
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
