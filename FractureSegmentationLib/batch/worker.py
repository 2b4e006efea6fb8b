"""What a worker of a cluster runs: one case at a time, with models that stay loaded.

Loads nothing of Dask; as a preload module of local workers it keeps Ctrl+C for the one process
that the user started, which stops the others in order.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from functools import lru_cache

from FractureSegmentationLib.batch.one_case import CaseJob, CaseRecord, run_case, waiting
from FractureSegmentationLib.errors import RunCancelledError
from FractureSegmentationLib.pipeline.models import ModelCache
from FractureSegmentationLib.progress import CancelToken, Progress

_one_at_a_time = threading.Lock()
_running: dict[str, set[CancelToken]] = {}
_cancelled: set[str] = set()


def run_on_worker(job: CaseJob, run_id: str) -> CaseRecord:
    """Do one case; a worker with several threads does one after the other all the same.

    Args:
        job: the case, with paths that this machine sees.
        run_id: of the run that the case belongs to, for `cancel_on_worker`.

    Returns:
        How it went; waiting, if the run was cancelled.
    """
    with _one_at_a_time, _cancellable(run_id) as token:
        if run_id in _cancelled:
            return waiting(job)
        try:
            return run_case(job, Progress(token=token), _model_cache())
        except RunCancelledError:
            return waiting(job)


def cancel_on_worker(run_id: str) -> None:
    """Ask the case of a run that this process is busy with to stop, and begin no other of it."""
    _cancelled.add(run_id)
    for token in list(_running.get(run_id, ())):
        token.cancel()


def dask_setup(worker: object) -> None:
    """Called by Dask when a local worker starts."""
    del worker
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@lru_cache(maxsize=1)
def _model_cache() -> ModelCache:
    """The models of this process, used by one thread at a time."""
    return ModelCache()


@contextlib.contextmanager
def _cancellable(run_id: str) -> Iterator[CancelToken]:
    token = CancelToken()
    _running.setdefault(run_id, set()).add(token)
    try:
        yield token
    finally:
        _running[run_id].discard(token)
        if not _running[run_id]:
            del _running[run_id]
