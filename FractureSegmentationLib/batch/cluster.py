"""All cases on the workers of a cluster, by Dask distributed.

Cases go to the workers by `Client.submit`. What Dask does not offer is here: workers of this
machine hold one case at a time, so that one that dies takes no other with it; a case is tried again
after its worker was lost or memory ran out, and only then; a run that is cancelled ends at once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from FractureSegmentationLib.batch.local_workers import (
    LocalWorkers,
    OnWorkers,
    local_workers,
    plan_for_this_machine,
)
from FractureSegmentationLib.batch.run_log import RunLog
from FractureSegmentationLib.config import PrecisionChoice
from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.progress import CancelToken

if TYPE_CHECKING:
    from distributed import Client


import queue
import secrets
import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from FractureSegmentationLib.batch.one_case import CaseJob, CaseRecord, failed
from FractureSegmentationLib.batch.worker import cancel_on_worker, run_on_worker
from FractureSegmentationLib.inference.engine import EngineChoice, choose_engine
from FractureSegmentationLib.io.folder import REPORT_NAME
from FractureSegmentationLib.io.temporary import clear_leftovers

if TYPE_CHECKING:
    from distributed import Client, Future


_CONNECT_SECONDS = 30


_LOOK_SECONDS = 0.1
_CANCEL_SECONDS = 0.6
_SHARED_DISK_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Which workers do the cases, and how often one is tried.

    Attributes:
        scheduler: address of a running Dask scheduler, or the path of its scheduler file; None
            starts workers on this machine.
        workers: how many to start on this machine; None takes one per GPU or per group of cores.
        engine: what the workers of this machine run the networks with.
        device: what they are to run on: auto, cpu, cuda, ...
        retries: how often a case is tried again after its worker was lost or memory ran out.

    Raises:
        ValueError: a number is impossible, or workers are asked of a foreign scheduler.
    """

    scheduler: str | None = None
    workers: int | None = None
    engine: EngineChoice = "auto"
    device: str = "auto"
    retries: int = 2

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        if self.retries < 0:
            raise ValueError(f"retries must be at least 0, got {self.retries}")
        if self.scheduler and self.workers:
            raise ValueError("a scheduler has workers of its own")


def run_on_cluster(
    run_log: RunLog,
    config: ClusterConfig,
    token: CancelToken,
    on_workers: OnWorkers | None = None,
) -> None:
    """Do every case of a run log on the workers of a cluster.

    A case whose worker is lost, or that runs out of memory, is tried again; what is wrong with the
    case itself is not. Neither stops the rest.

    Args:
        run_log: has the cases, with paths that every worker sees, and takes in how they went.
        config: which cluster.
        token: stops all cases.
        on_workers: given the workers that were started on this machine, to end them by force.

    Raises:
        EnvironmentProblemError: Dask is not installed, or the scheduler is not there.
        RunCancelledError: the token was raised; the records of finished cases are in the run_log.
    """
    require_dask()
    on_workers = on_workers or (lambda _: None)
    with _connected(config, run_log.out, token, on_workers) as (client, workers):
        scheduler = CaseScheduler(
            client,
            run_log,
            workers,
            retries=config.retries,
            precision=_settled_precision(config) if workers else "auto",
        )
        scheduler.finish_all(token)


def require_dask() -> None:
    """See that the engine is installed.

    Raises:
        EnvironmentProblemError: it is not.
    """
    if find_spec("distributed") is None:
        raise EnvironmentProblemError(
            "Dask distributed, which spreads the cases over workers, is not installed.",
            "Install it with: python -m pip install distributed, or use "
            "fracseg segment --list, which needs nothing more.",
        )


@contextlib.contextmanager
def _connected(
    config: ClusterConfig, out: Path, token: CancelToken, on_workers: OnWorkers
) -> Iterator[tuple[Client, LocalWorkers | None]]:
    from distributed import Client

    # Dask's own messages name tasks, addresses and files, and none of them is for our user.
    for name in ("distributed", "tornado"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if config.scheduler is None:
        plan = plan_for_this_machine(config.workers, config.device, choose_engine(config.engine))
        with (
            local_workers(plan, out, token, on_workers) as workers,
            Client(workers.cluster, set_as_default=False) as client,
        ):
            yield client, workers
        return
    where = (
        {"scheduler_file": config.scheduler}
        if Path(config.scheduler).is_file()
        else {"address": config.scheduler}
    )
    try:
        client = Client(**where, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise EnvironmentProblemError(
            "The Dask scheduler does not answer.",
            "Check its address, and that it runs and can be reached from this machine.",
        ) from error
    with client:
        yield client, None


def _settled_precision(config: ClusterConfig) -> PrecisionChoice:
    """What "auto" means for the processor of this machine; on a GPU every worker finds the same."""
    engine = choose_engine(config.engine)
    device = engine.device_named(config.device)
    return engine.precision_on(device) if device == "cpu" else "auto"


class CaseScheduler:
    """Hands cases out and takes records in; everything happens in the thread that asks for it.

    Args:
        client: connected to the scheduler.
        run_log: has the cases, and takes in how they went.
        workers: of this machine; None if the cluster is somebody else's.
        retries: how often a case is tried again after its worker was lost or memory ran out.
        precision: what the settings' "auto" means for all workers.
    """

    def __init__(
        self,
        client: Client,
        run_log: RunLog,
        workers: LocalWorkers | None,
        *,
        retries: int,
        precision: PrecisionChoice,
    ) -> None:
        self._client = client
        self._run_log = run_log
        self._workers = workers
        self._retries = retries
        self._precision = precision
        self._id = secrets.token_hex(4)
        self._finished: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._running: dict[Any, tuple[CaseJob, Future]] = {}
        self._waiting = deque(run_log.jobs)
        self._attempts: dict[str, int] = {}

    def finish_all(self, token: CancelToken) -> None:
        """Do all cases.

        Raises:
            EnvironmentProblemError: the scheduler was lost.
            RunCancelledError: the token was raised.
        """
        self._warn_about_workers()
        while self._waiting or self._running:
            while self._waiting and self._has_room():
                self._submit(self._waiting.popleft())
            try:
                future = self._finished.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                future = None
            if token.is_cancelled:
                self._cancel()
                token.raise_if_cancelled()
            if future is not None:
                self._take_in(future)
            elif self._client.status not in {"running", "connecting"}:
                raise _lost_scheduler()
        self._tidy()

    def _tidy(self) -> None:
        """Remove what workers of this machine left behind when they died."""
        if self._workers is not None:
            with contextlib.suppress(OSError):
                for job in self._run_log.jobs:
                    if self._attempts[job.name] > 1 or not job.out.exists():
                        clear_leftovers(job.out)

    def _has_room(self) -> bool:
        """Whether one more case may be handed out.

        Workers of this machine get a case each and no queue, so that one that dies takes no other
        case with it. A foreign cluster may grow with the cases that wait, so it gets them all.
        """
        return self._workers is None or len(self._running) < self._workers.ready_count

    def _submit(self, job: CaseJob) -> None:
        attempt = self._attempts.get(job.name, 0) + 1
        self._attempts[job.name] = attempt
        number = self._run_log.jobs.index(job) + 1
        # The key is in the logs of the cluster, so it holds no name that a user gave.
        key = f"fracseg-{self._id}-{number}-{attempt}"
        settled = self._settled(job)
        future = self._client.submit(run_on_worker, settled, self._id, key=key, pure=False)
        self._running[future.key] = (job, future)
        future.add_done_callback(self._finished.put)

    def _settled(self, job: CaseJob) -> CaseJob:
        """The job with the precision decided, so that all workers of a machine agree."""
        if job.settings.precision != "auto":
            return job
        return replace(job, settings=replace(job.settings, precision=self._precision))

    def _take_in(self, future: Future) -> None:
        job, _ = self._running.pop(future.key)
        record = self._record_of(job, future)
        if record.code == EnvironmentProblemError.code and self._may_retry(job, future):
            self._waiting.append(job)
            return
        if record.status == "done" and not _has_arrived(job):
            record = failed(job, _not_shared())
        self._run_log.finish(record)

    def _may_retry(self, job: CaseJob, future: Future) -> bool:
        """Whether to try again; a foreign scheduler has done so itself when a worker was lost."""
        was_retried = self._workers is None and _is_lost(future)
        return self._attempts[job.name] <= self._retries and not was_retried

    def _record_of(self, job: CaseJob, future: Future) -> CaseRecord:
        if future.status == "finished":
            record: CaseRecord = future.result()
            if record.status != "waiting":
                return record
            return failed(job, _lost_worker())
        if future.status in {"cancelled", "lost"}:
            raise _lost_scheduler()
        if _is_lost(future):
            return failed(job, _lost_worker())
        return failed(job, _unfit_worker(future.exception()))

    def _warn_about_workers(self) -> None:
        workers = self._client.scheduler_info()["workers"]
        if not workers:
            self._run_log.warn("The scheduler has no worker yet; the cases wait for the first one.")
        if any(worker["nthreads"] > 1 for worker in workers.values()):
            self._run_log.warn(
                "A worker has several Dask threads but does one case at a time; start workers with "
                "--nthreads 1."
            )

    def _cancel(self) -> None:
        """Stop what runs and take back what waits; workers of this machine end, heeding or not."""
        threading.Thread(target=self._ask_to_stop, daemon=True).start()
        end = time.monotonic() + _CANCEL_SECONDS
        while self._running and time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                self._take_last(self._finished.get(timeout=_LOOK_SECONDS))
        if self._workers is not None:
            self._workers.kill()

    def _take_last(self, future: Future) -> None:
        """A case that was done before it heard of the cancelling counts."""
        self._running.pop(future.key, None)
        if future.status == "finished" and future.result().status != "waiting":
            self._run_log.finish(future.result())

    def _ask_to_stop(self) -> None:
        # The cluster may be gone; its workers then have nobody left to work for.
        with contextlib.suppress(Exception):
            self._client.run(cancel_on_worker, self._id, on_error="ignore")


def _is_lost(future: Future) -> bool:
    """Whether Dask gave the case up because its workers died, after all retries of its own."""
    from distributed import KilledWorker

    return future.status == "error" and isinstance(future.exception(), KilledWorker)


def _has_arrived(job: CaseJob) -> bool:
    """Whether a result that a worker has written is seen here; shared disks may take a moment."""
    end = time.monotonic() + _SHARED_DISK_SECONDS
    while not (job.out / REPORT_NAME).is_file():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True


def _lost_worker() -> EnvironmentProblemError:
    return EnvironmentProblemError(
        "The worker that had this case was lost, each time it was tried.",
        "Most often memory ran out: start fewer workers, or give each more memory.",
    )


def _lost_scheduler() -> EnvironmentProblemError:
    return EnvironmentProblemError(
        "The connection to the Dask scheduler was lost.",
        "Give the same command again: finished cases are kept.",
    )


def _not_shared() -> EnvironmentProblemError:
    return EnvironmentProblemError(
        "A worker has written the result where this machine does not see it.",
        "Choose an output folder on a disk that all workers share under the same name.",
    )


def _unfit_worker(error: BaseException | None) -> EnvironmentProblemError:
    return EnvironmentProblemError(
        f"The worker could not begin the case ({type(error).__name__}).",
        "Install the same version of fracture-segmentation and of Python for all workers.",
    )
