"""All cases one after the other in this process."""

from __future__ import annotations

from functools import partial

from FractureSegmentationLib.batch.ledger import Ledger
from FractureSegmentationLib.batch.one_case import run_case
from FractureSegmentationLib.pipeline.models import ModelShelf
from FractureSegmentationLib.progress import CancelToken, Progress


def run_in_turn(ledger: Ledger, token: CancelToken) -> None:
    """Do every case of a ledger; models are loaded once.

    Args:
        ledger: has the cases, and takes in how they went.
        token: stops the case at hand and all that follow.

    Raises:
        RunCancelledError: the token was raised; the records of finished cases are in the ledger.
    """
    shelf = ModelShelf()
    for job in ledger.jobs:
        token.raise_if_cancelled()
        ledger.start(job)
        listener = partial(ledger.happened, job)
        ledger.finish(run_case(job, Progress(listener=listener, token=token), shelf))
