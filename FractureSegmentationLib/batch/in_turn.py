"""All cases one after the other in this process."""

from __future__ import annotations

from functools import partial

from FractureSegmentationLib.batch.one_case import run_case
from FractureSegmentationLib.batch.run_log import RunLog
from FractureSegmentationLib.pipeline.models import ModelCache
from FractureSegmentationLib.progress import CancelToken, Progress


def run_in_turn(run_log: RunLog, token: CancelToken) -> None:
    """Do every case of a run log; models are loaded once.

    Args:
        run_log: has the cases, and takes in how they went.
        token: stops the case at hand and all that follow.

    Raises:
        RunCancelledError: the token was raised; the records of finished cases are in the run_log.
    """
    model_cache = ModelCache()
    for job in run_log.jobs:
        token.raise_if_cancelled()
        run_log.start(job)
        listener = partial(run_log.happened, job)
        run_log.finish(run_case(job, Progress(listener=listener, token=token), model_cache))
