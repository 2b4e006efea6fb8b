"""The summary of a list, its folder, and the run_log that keeps both."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from FractureSegmentationLib.batch import run_log as run_log_module
from FractureSegmentationLib.batch.one_case import CaseJob, CaseRecord, failed, waiting
from FractureSegmentationLib.batch.run_log import (
    CasesFailedError,
    RunLog,
    prepare_folder,
    write_summary,
)
from FractureSegmentationLib.cli.segment_list import SilentWatcher
from FractureSegmentationLib.errors import EnvironmentProblemError, InputError, OutputExistsError


def a_job(out: Path, name: str, line: int = 1) -> CaseJob:
    return CaseJob(name=name, line=line, ct=Path("/data/Jane Doe"), out=out / name)


DONE = CaseRecord(
    name="a",
    line=2,
    status="done",
    is_kept=True,
    fragment_count=3,
    seconds=12.345,
    warnings=("One thing.", "Another, thing."),
)
FAILED = CaseRecord(
    name="b",
    line=3,
    status="failed",
    seconds=0.2,
    code="bad_input",
    error="The image file is damaged.",
    remedy="Copy it again.",
)
WAITING = CaseRecord(name="c", line=9)


def test_the_table_has_one_row_per_case(tmp_path: Path) -> None:
    write_summary(tmp_path, [DONE, FAILED, WAITING])

    with (tmp_path / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["case", "line", "status", "kept", "fragments", "seconds", "warnings", "error"],
        ["a", "2", "done", "yes", "3", "12.3", "One thing. Another, thing.", ""],
        ["b", "3", "failed", "no", "", "0.2", "", "The image file is damaged. Copy it again."],
        ["c", "9", "waiting", "no", "", "0.0", "", ""],
    ]


def test_the_json_counts_and_keeps_the_parts_of_every_case(tmp_path: Path) -> None:
    write_summary(tmp_path, [DONE, FAILED, WAITING])

    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["schema"] == "fracseg-summary/1"
    assert summary["counts"] == {"cases": 3, "done": 1, "kept": 1, "failed": 1, "waiting": 1}
    assert summary["cases"][0]["warnings"] == ["One thing.", "Another, thing."]
    assert summary["cases"][1] == {
        "case": "b",
        "line": 3,
        "status": "failed",
        "is_kept": False,
        "fragment_count": None,
        "seconds": 0.2,
        "warnings": [],
        "code": "bad_input",
        "error": "The image file is damaged.",
        "remedy": "Copy it again.",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["summary.csv", "summary.json"]


def test_a_summary_that_cannot_be_written_leaves_the_previous_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_summary(tmp_path, [WAITING])
    before = (tmp_path / "summary.csv").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(EnvironmentProblemError, match="summary could not be written"):
        write_summary(tmp_path, [DONE])
    assert (tmp_path / "summary.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["summary.csv", "summary.json"]


def test_the_folder_is_made_and_drafts_of_killed_runs_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    prepare_folder(out, [tmp_path / "ct.nii.gz"])
    (out / ".summary.csv.0123abcd").write_text("half")
    (out / ".summary.csv.mine").write_text("kept")
    prepare_folder(out, [])
    assert [path.name for path in out.iterdir()] == [".summary.csv.mine"]


@pytest.mark.parametrize("given", ["", "sub", "summary.csv"])
def test_an_output_that_is_or_lies_inside_an_input_is_refused(tmp_path: Path, given: str) -> None:
    """The output is the input, lies inside it, or would be written over the list."""
    out = tmp_path / "a"
    read = {"": out, "sub": tmp_path, "summary.csv": out / "summary.csv"}[given]
    with pytest.raises(OutputExistsError, match="inside an input"):
        prepare_folder(out, [read])
    assert not out.exists()


def test_a_result_of_one_ct_and_a_foreign_summary_are_left_alone(tmp_path: Path) -> None:
    single, foreign = tmp_path / "single", tmp_path / "foreign"
    single.mkdir()
    foreign.mkdir()
    (single / "report.json").write_text("{}")
    (foreign / "summary.csv").write_text("my own figures")

    with pytest.raises(OutputExistsError, match="result of a single CT"):
        prepare_folder(single, [])
    with pytest.raises(OutputExistsError, match="did not write"):
        prepare_folder(foreign, [])


def test_the_folder_of_an_earlier_run_is_fit_for_the_next(tmp_path: Path) -> None:
    write_summary(tmp_path, [DONE])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    prepare_folder(tmp_path, [])

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


class WarningsHeard(SilentWatcher):
    def __init__(self) -> None:
        self.heard: list[str] = []
        self.finished: list[int] = []

    def on_warning(self, message: str) -> None:
        self.heard.append(message)

    def on_case_finished(self, record: CaseRecord, finished_count: int) -> None:
        self.finished.append(finished_count)


def test_a_run_log_writes_the_summary_after_every_case_and_says_what_failed(tmp_path: Path) -> None:
    jobs = [a_job(tmp_path, "a", 2), a_job(tmp_path, "b", 3)]
    watcher = WarningsHeard()
    run_log = RunLog(tmp_path, jobs, watcher)
    run_log.open()
    run_log.finish(failed(jobs[1], InputError("Damaged.", "Copy it.")))

    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert [case["status"] for case in summary["cases"]] == ["waiting", "failed"]
    run_log.finish(replace(waiting(jobs[0]), status="done", fragment_count=1))
    assert watcher.finished == [1, 2]
    with pytest.raises(CasesFailedError, match="1 of 2 cases could not be done") as caught:
        run_log.close()
    assert caught.value.exit_status == 5
    assert "Jane" not in (tmp_path / "summary.json").read_text(encoding="utf-8")


def test_a_summary_that_fails_for_a_while_does_not_stop_the_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [a_job(tmp_path, name) for name in "abc"]
    watcher = WarningsHeard()
    run_log = RunLog(tmp_path, jobs, watcher)

    def full(*_: object) -> None:
        raise EnvironmentProblemError("The summary could not be written.", "Check the disk.")

    with monkeypatch.context() as patch:
        patch.setattr(run_log_module, "write_summary", full)
        for job in jobs:
            run_log.finish(replace(waiting(job), status="done"))
        with pytest.raises(EnvironmentProblemError):
            run_log.close()
    assert len(watcher.heard) == 1
    run_log.close()
    summary = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["counts"]["done"] == 3
