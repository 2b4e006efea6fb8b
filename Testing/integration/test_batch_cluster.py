"""`fracseg batch` on real worker processes: same bytes as alone, killed workers, Ctrl+C."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationLib.batch.cluster import ClusterConfig, run_on_cluster
from FractureSegmentationLib.batch.one_case import CaseJob
from FractureSegmentationLib.batch.run_log import RunLog
from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.cli.segment_list import SilentWatcher
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.progress import CancelToken
from Testing.tiny_cases import damage, write_tiny_case

distributed = pytest.importorskip("distributed", reason="the extra batch is not installed")
pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(sys.platform == "win32", reason="kills processes by POSIX signals"),
]

SAME_BYTES = ("fragments.nii.gz", "bones.nii.gz", "contact.nrrd", "fragments.seg.nrrd")
FLAGS = ("--device", "cpu", "--precision", "fp32", "--no-meshes")


@pytest.fixture(autouse=True)
def _tiny_model(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))


@pytest.fixture(scope="module")
def scheduler_file(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cluster of two worker processes that somebody else has started."""
    with (
        pytest.MonkeyPatch.context() as patch,
        distributed.LocalCluster(
            n_workers=0, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0"
        ) as cluster,
    ):
        patch.setenv("FRACSEG_MODELS", str(tiny_models))
        cluster.scale(2)
        path = tmp_path_factory.mktemp("scheduler") / "scheduler.json"
        path.write_text(json.dumps({"address": cluster.scheduler_address}), encoding="utf-8")
        yield path


def write_list(folder: Path, count: int, *, size: int = 24) -> Path:
    rows = ["ct,bones"]
    for number in range(1, count + 1):
        ct = write_tiny_case(folder / "in" / f"Jane {number}", size, hu=400 + 50 * number)
        rows.append(f"{ct},{ct.with_name('bones.nii.gz')}")
    path = folder / "cases.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def statuses(out: Path) -> list[tuple[str, bool]]:
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return [(case["status"], case["is_kept"]) for case in summary["cases"]]


def test_two_processes_give_the_bytes_of_a_list_and_keep_what_is_done(
    scheduler_file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cases = write_list(tmp_path, 4)
    damage(tmp_path / "in" / "Jane 3" / "ct.nii.gz")
    alone, spread = tmp_path / "alone", tmp_path / "spread"
    where = ["--scheduler", str(scheduler_file)]

    assert run(["segment", "--list", str(cases), str(alone), *FLAGS]) == 5
    assert run(["batch", str(cases), str(spread), *where, *FLAGS]) == 5

    told = capfd.readouterr()
    assert "[4/4]" in told.out
    assert "Jane" not in told.out + told.err
    for name in ("case-001", "case-002", "case-004"):
        for file in SAME_BYTES:
            assert (spread / name / file).read_bytes() == (alone / name / file).read_bytes()
    assert statuses(spread) == statuses(alone)
    write_tiny_case(tmp_path / "in" / "Jane 3")
    assert run(["batch", str(cases), str(spread), *where, *FLAGS]) == 0
    kept, made = ("done", True), ("done", False)
    assert statuses(spread) == [kept, kept, made, kept]


class WorkerKiller(threading.Thread):
    """Kills the worker that has begun a case, as often as it is told to for that case."""

    def __init__(self, out: Path, times: dict[str, int]) -> None:
        super().__init__(daemon=True)
        self.killed: list[tuple[str, int]] = []
        self.is_over = threading.Event()
        self._out, self._times = out, times

    def run(self) -> None:
        while not self.is_over.wait(0.005):
            for folder in self._out.glob(".*.fracseg-*"):
                name, process = re.findall(r"\.(case-\d+)\.fracseg-(\d+)-", folder.name)[0]
                victim = (name, int(process))
                if self._times.get(name) and victim not in self.killed:
                    self._times[name] -= 1
                    os.kill(victim[1], signal.SIGKILL)
                    self.killed.append(victim)


def test_a_case_whose_worker_is_killed_is_tried_again_and_given_up_in_the_end(
    tmp_path: Path,
) -> None:
    """case-001 loses both its workers, case-002 one, case-003 none; one retry is allowed."""
    out = tmp_path / "out"
    out.mkdir()
    jobs = []
    for number in (1, 2, 3):
        ct = write_tiny_case(tmp_path / "in" / str(number), size=40)
        jobs.append(
            CaseJob(
                name=f"case-00{number}",
                line=number,
                ct=ct,
                out=out / f"case-00{number}",
                settings=SegmentSettings(device="cpu", precision="fp32"),
                bones_file=ct.with_name("bones.nii.gz"),
                writes_meshes=False,
            )
        )
    run_log = RunLog(out, jobs, SilentWatcher())
    killer = WorkerKiller(out, {"case-001": 2, "case-002": 1})
    killer.start()
    environment = dict(os.environ)

    run_on_cluster(run_log, ClusterConfig(workers=2, device="cpu", retries=1), CancelToken())

    killer.is_over.set()
    assert sorted(name for name, _ in killer.killed) == ["case-001", "case-001", "case-002"]
    first, second, third = run_log.records
    assert (first.status, first.code) == ("failed", "environment")
    assert "The worker that had this case was lost" in first.error
    assert second.status == third.status == "done"
    assert dict(os.environ) == environment
    assert sorted(path.name for path in out.iterdir()) == [
        "case-002",
        "case-003",
        "summary.csv",
        "summary.json",
    ]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the run and its workers put their temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def endless(
    tmp_path: Path, temporary: Path, tiny_models: Path, repository: Path
) -> Iterator[subprocess.Popen[str]]:
    """Two workers with a case each that takes far longer than a test may."""
    cases = write_list(tmp_path, 2, size=216)
    code = (
        "from FractureSegmentationLib.cli.main import main\nif __name__ == '__main__':\n    main()"
    )
    words = ["batch", str(cases), str(tmp_path / "out"), "--workers", "2", "--progress", "json"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, *FLAGS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": str(repository),
            "FRACSEG_MODELS": str(tiny_models),
            "TMPDIR": str(temporary),
        },
        start_new_session=True,
    )
    yield process
    process.kill()
    process.wait()


def wait_until(holds: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def has_processes(group: int) -> bool:
    """Whether anything that a run has started is still there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def interrupt(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """Press Ctrl+C, which a terminal sends to every process of the group.

    Returns:
        The last event, and what it wrote on stderr until it ended.
    """
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout is not None
    told = (json.loads(line) for line in iter(process.stdout.readline, ""))
    last = next(event for event in told if event["event"] == "error")
    process.wait(timeout=60)
    assert process.stderr is not None
    return last, process.stderr.read()


def test_ctrl_c_ends_the_workers_and_leaves_nothing_half_done(
    endless: subprocess.Popen[str], tmp_path: Path, temporary: Path
) -> None:
    out = tmp_path / "out"

    def working() -> list[Path]:
        return list(out.glob(".case-*.fracseg-*"))

    assert wait_until(lambda: len(working()) == 2, 120), endless.poll()
    workers = [int(folder.name.split("fracseg-")[1].split("-")[0]) for folder in working()]
    assert len(set(workers)) == 2
    time.sleep(1.0)

    last, errors = interrupt(endless)

    assert last["code"] == "cancelled"
    assert endless.returncode == 130
    assert "Traceback" not in errors
    assert wait_until(lambda: not has_processes(endless.pid), 10)
    assert sorted(path.name for path in out.iterdir()) == ["summary.csv", "summary.json"]
    assert statuses(out) == [("waiting", False)] * 2
    assert list(temporary.iterdir()) == []


def test_ctrl_c_while_the_workers_start_leaves_nothing_either(
    endless: subprocess.Popen[str], tmp_path: Path, temporary: Path
) -> None:
    assert wait_until(lambda: any(temporary.rglob("scheduler-*")), 120), endless.poll()
    time.sleep(0.5)

    last, errors = interrupt(endless)

    assert last["code"] == "cancelled"
    assert endless.returncode == 130
    assert "Traceback" not in errors
    assert wait_until(lambda: not has_processes(endless.pid), 10)
    assert statuses(tmp_path / "out") == [("waiting", False)] * 2
    assert list(temporary.iterdir()) == []
