"""What is tried again, what is not, and what is reported, on a cluster inside this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationLib.batch import cluster as cluster_module
from FractureSegmentationLib.batch import one_case
from FractureSegmentationLib.batch.cluster import ClusterConfig, run_on_cluster
from FractureSegmentationLib.batch.one_case import CaseJob
from FractureSegmentationLib.batch.run_log import RunLog
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.cli.segment_list import SilentWatcher
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import EnvironmentProblemError, RunCancelledError
from FractureSegmentationLib.pipeline import CaseRequest, segment_case
from FractureSegmentationLib.progress import CancelToken
from Testing.tiny_cases import damage, write_tiny_case

distributed = pytest.importorskip("distributed", reason="the extra batch is not installed")


@pytest.fixture(autouse=True)
def _tiny_model(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with one worker, both in this process, so that tests can reach into it."""
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


class Heard(SilentWatcher):
    def __init__(self) -> None:
        self.warnings: list[str] = []

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)


def a_run_log(tmp_path: Path, count: int) -> RunLog:
    jobs = []
    for number in range(1, count + 1):
        ct = write_tiny_case(tmp_path / f"Jane {number}")
        jobs.append(
            CaseJob(
                name=f"case-00{number}",
                line=number,
                ct=ct,
                out=tmp_path / "out" / f"case-00{number}",
                settings=SegmentSettings(device="cpu", precision="fp32"),
                bones_file=ct.with_name("bones.nii.gz"),
                writes_meshes=False,
            )
        )
    (tmp_path / "out").mkdir()
    return RunLog(tmp_path / "out", jobs, Heard())


def outcomes(run_log: RunLog) -> list[tuple[str, str]]:
    return [(record.status, record.code) for record in run_log.records]


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each case was segmented; case-001 runs out of memory at the first attempt."""
    seen: dict[str, int] = {}

    def scarce(request: CaseRequest, *arguments: Any) -> object:
        name = request.out.name
        seen[name] = seen.get(name, 0) + 1
        if name == "case-001" and seen[name] == 1:
            raise MemoryError
        return segment_case(request, *arguments)

    monkeypatch.setattr(one_case, "segment_case", scarce)
    return seen


def test_too_little_memory_is_tried_again_and_bad_input_is_not(
    address: str, tmp_path: Path, attempts: dict[str, int]
) -> None:
    run_log = a_run_log(tmp_path, 2)
    damage(run_log.jobs[1].ct)

    run_on_cluster(run_log, ClusterConfig(scheduler=address, retries=1), CancelToken())

    assert outcomes(run_log) == [("done", ""), ("failed", "bad_input")]
    assert attempts == {"case-001": 2, "case-002": 1}


def test_without_retries_the_first_failure_counts_and_the_rest_is_done(
    address: str, tmp_path: Path, attempts: dict[str, int]
) -> None:
    run_log = a_run_log(tmp_path, 2)

    run_on_cluster(run_log, ClusterConfig(scheduler=address, retries=0), CancelToken())

    assert outcomes(run_log) == [("failed", "environment"), ("done", "")]
    assert attempts == {"case-001": 1, "case-002": 1}


def test_a_result_that_does_not_arrive_here_is_a_failure(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_log = a_run_log(tmp_path, 1)
    monkeypatch.setattr(cluster_module, "_SHARED_DISK_SECONDS", 0.0)
    monkeypatch.setattr(cluster_module, "REPORT_NAME", "on-another-disk.json")

    run_on_cluster(run_log, ClusterConfig(scheduler=address), CancelToken())

    (record,) = run_log.records
    assert (record.status, record.code) == ("failed", "environment")
    assert "disk that all workers share" in record.remedy


def test_cancelling_stops_the_case_and_those_that_wait(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_log = a_run_log(tmp_path, 3)
    token, begun = CancelToken(), threading.Event()
    started: list[str] = []

    def endless(request: CaseRequest, progress: Any, *_: Any) -> None:
        started.append(request.out.name)
        begun.set()
        while True:
            progress.token.raise_if_cancelled()

    monkeypatch.setattr(one_case, "segment_case", endless)
    threading.Thread(target=lambda: (begun.wait(30), token.cancel())).start()

    with pytest.raises(RunCancelledError):
        run_on_cluster(run_log, ClusterConfig(scheduler=address), token)

    assert outcomes(run_log) == [("waiting", "")] * 3
    assert started == ["case-001"]
    # The worker is free for the next run.
    monkeypatch.setattr(one_case, "segment_case", segment_case)
    run_on_cluster(run_log, ClusterConfig(scheduler=address), CancelToken())
    assert outcomes(run_log) == [("done", "")] * 3


def test_a_scheduler_that_does_not_answer_is_an_environment_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "_CONNECT_SECONDS", 1)
    with pytest.raises(EnvironmentProblemError, match="scheduler does not answer"):
        run_on_cluster(
            a_run_log(tmp_path, 1), ClusterConfig(scheduler="tcp://127.0.0.1:9"), CancelToken()
        )


def test_doubts_about_the_workers_are_told(tmp_path: Path) -> None:
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address="127.0.0.1:0"
    ) as two_threads:
        run_log = a_run_log(tmp_path, 1)
        run_on_cluster(
            run_log, ClusterConfig(scheduler=two_threads.scheduler_address), CancelToken()
        )
    watcher = run_log._watcher
    assert isinstance(watcher, Heard)
    assert len(watcher.warnings) == 1
    assert "--nthreads 1" in watcher.warnings[0]


@pytest.mark.parametrize(
    "values",
    [{"workers": 0}, {"retries": -1}, {"scheduler": "tcp://host:8786", "workers": 2}],
)
def test_a_cluster_that_cannot_be_is_a_bug(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least|of its own"):
        ClusterConfig(**values)


def test_without_dask_the_command_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cluster_module, "find_spec", lambda _: None)

    assert run(["batch", str(tmp_path / "cases.csv"), str(tmp_path / "out")]) == 4

    errors = capsys.readouterr().err
    assert "pip install distributed" in errors
    assert "--list" in errors
    assert list(tmp_path.iterdir()) == []


def test_workers_cannot_be_asked_of_a_foreign_scheduler(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["batch", str(tmp_path / "a.csv"), str(tmp_path / "out")]
    assert run([*words, "--workers", "2", "--scheduler", "tcp://host:8786"]) == 2
    assert "--scheduler has its own" in capsys.readouterr().err
