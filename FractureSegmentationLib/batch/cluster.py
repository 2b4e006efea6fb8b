"""All cases on a cluster of workers, by Dask distributed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from FractureSegmentationLib.batch.dealer import CaseDealer
from FractureSegmentationLib.batch.ledger import Ledger
from FractureSegmentationLib.batch.local_workers import LocalWorkers, OnWorkers, local_workers
from FractureSegmentationLib.batch.worker_plan import plan_for_this_machine
from FractureSegmentationLib.config import PrecisionChoice
from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.progress import CancelToken

if TYPE_CHECKING:
    from distributed import Client

_CONNECT_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterConfig:
    """Which workers do the cases, and how often one is tried.

    Attributes:
        scheduler: address of a running Dask scheduler, or the path of its scheduler file; None
            starts workers on this machine.
        workers: how many to start on this machine; None takes one per GPU or per group of cores.
        device: what the workers of this machine are to run on: auto, cpu, cuda, ...
        retries: how often a case is tried again after its worker was lost or memory ran out.

    Raises:
        ValueError: a number is impossible, or workers are asked of a foreign scheduler.
    """

    scheduler: str | None = None
    workers: int | None = None
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
    ledger: Ledger,
    config: ClusterConfig,
    token: CancelToken,
    on_workers: OnWorkers | None = None,
) -> None:
    """Do every case of a ledger on the workers of a cluster.

    A case whose worker is lost, or that runs out of memory, is tried again; what is wrong with the
    case itself is not. Neither stops the rest.

    Args:
        ledger: has the cases, with paths that every worker sees, and takes in how they went.
        config: which cluster.
        token: stops all cases.
        on_workers: given the workers that were started on this machine, to end them by force.

    Raises:
        EnvironmentProblemError: Dask is not installed, or the scheduler is not there.
        RunCancelledError: the token was raised; the records of finished cases are in the ledger.
    """
    require_dask()
    on_workers = on_workers or (lambda _: None)
    with _connected(config, ledger.out, token, on_workers) as (client, workers):
        dealer = CaseDealer(
            client,
            ledger,
            workers,
            retries=config.retries,
            precision=_settled_precision(config.device) if workers else "auto",
        )
        dealer.finish_all(token)


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
        plan = plan_for_this_machine(config.workers, config.device)
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


def _settled_precision(device: str) -> PrecisionChoice:
    """What "auto" means for the processor of this machine; on a GPU every worker finds the same."""
    from FractureSegmentationLib.inference.device import choose_device, choose_precision

    chosen = choose_device(device)
    return choose_precision(chosen) if chosen.type == "cpu" else "auto"
