"""`fracseg segment --list`: many CTs, one folder each, one table."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.inference.engine import Engine
from FractureSegmentationLib.pipeline import models
from Testing.tiny_cases import damage, write_tiny_case

LABELS = ("fragments.nii.gz", "bones.nii.gz", "contact.nrrd", "fragments.seg.nrrd")


@pytest.fixture(autouse=True)
def _tiny_model(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture
def three_cases(tmp_path: Path) -> Path:
    """A list of three cases, the second of them damaged, the third with a name."""
    rows = ["ct,bones,name"]
    for number, name in enumerate(("", "", "wanted name"), start=1):
        ct = write_tiny_case(tmp_path / "in" / f"Jane Doe {number}", hu=400 + 100 * number)
        rows.append(f"{ct.relative_to(tmp_path)},{ct.with_name('bones.nii.gz')},{name}")
    damage(tmp_path / "in" / "Jane Doe 2" / "ct.nii.gz")
    path = tmp_path / "Jane's cases.csv"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def arguments(list_file: Path, *more: str) -> list[str]:
    out = str(list_file.with_name("out"))
    return ["segment", "--list", str(list_file), out, "--device", "cpu", "--no-meshes", *more]


def summary_of(list_file: Path) -> dict[str, Any]:
    path = list_file.with_name("out") / "summary.json"
    summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return summary


def statuses(list_file: Path) -> list[tuple[str, bool]]:
    return [(case["status"], case["is_kept"]) for case in summary_of(list_file)["cases"]]


def test_a_list_gives_a_folder_per_case_and_a_table_then_goes_on_where_it_was(
    three_cases: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    load = models._load

    def counted(folder: Path | None, name: str, engine: Engine) -> object:
        loads.append(name)
        return load(folder, name, engine)

    monkeypatch.setattr(models, "_load", counted)
    out = three_cases.with_name("out")

    assert run(arguments(three_cases)) == 5

    printed = capsys.readouterr()
    assert "[1/3] case-001: " in printed.out
    assert "[2/3] case-002: failed. The image file is damaged" in printed.out
    assert "1 of 3 cases could not be done." in printed.err
    assert loads == ["fracsegmentator-small"]
    assert sorted(path.name for path in out.iterdir()) == [
        "case-001",
        "summary.csv",
        "summary.json",
        "wanted_name",
    ]
    with (out / "summary.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["done", "failed", "done"]
    assert [row["line"] for row in rows] == ["2", "3", "4"]
    assert int(rows[0]["fragments"]) >= 1
    assert "damaged" in rows[1]["error"]
    written = printed.out + printed.err + (out / "summary.json").read_text() + str(rows)
    assert "Jane Doe" not in written

    # The same list again, the damaged case mended.
    write_tiny_case(three_cases.parent / "in" / "Jane Doe 2", hu=600)
    marks = {name: (out / name / "report.json").stat().st_ino for name in ("case-001",)}
    assert run(arguments(three_cases)) == 0
    assert statuses(three_cases) == [("done", True), ("done", False), ("done", True)]
    assert marks["case-001"] == (out / "case-001" / "report.json").stat().st_ino
    assert "3 cases done, 2 of them by an earlier run." in capsys.readouterr().out


def test_a_case_of_a_list_has_the_bytes_of_a_single_run(three_cases: Path, tmp_path: Path) -> None:
    shutil.copy(
        tmp_path / "in" / "Jane Doe 1" / "ct.nii.gz", tmp_path / "in" / "Jane Doe 2" / "ct.nii.gz"
    )
    single = tmp_path / "single"
    case = tmp_path / "in" / "Jane Doe 3"
    words = ["segment", str(case / "ct.nii.gz"), str(single), "--no-meshes", "--device", "cpu"]

    assert run([*words, "--bones", str(case / "bones.nii.gz"), "--progress", "none"]) == 0
    assert run(arguments(three_cases, "--progress", "none")) == 0

    # The third case: the model has been run before.
    out = three_cases.with_name("out") / "wanted_name"
    for name in LABELS:
        assert (out / name).read_bytes() == (single / name).read_bytes(), name


def test_events_carry_the_case_and_value_never_falls(
    three_cases: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments(three_cases, "--progress", "json")) == 5

    text = capsys.readouterr().out
    events = [json.loads(line) for line in text.splitlines()]
    assert events[0]["event"] == "started"
    assert [e["case"] for e in events if e["event"] == "case_started"] == [
        "case-001",
        "case-002",
        "wanted_name",
    ]
    values = [event["value"] for event in events if event["event"] == "progress"]
    assert values == sorted(values)
    assert values[-1] == 1.0
    assert {event["case"] for event in events if event["event"] == "progress"} >= {
        "case-001",
        "wanted_name",
    }
    ends = [event for event in events if event["event"] == "case_finished"]
    assert [(end["status"], end["finished"], end["count"]) for end in ends] == [
        ("done", 1, 3),
        ("failed", 2, 3),
        ("done", 3, 3),
    ]
    assert ends[1]["code"] == "bad_input"
    assert (events[-1]["event"], events[-1]["code"], events[-1]["exit_status"]) == (
        "error",
        "cases_failed",
        5,
    )
    assert "Jane" not in text


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (["--device", "toaster"], 2, "no device called"),
        (["--bones", "bones.nii.gz"], 2, "column bones"),
        (["another"], 2, "--list FILE takes one more place"),
    ],
)
def test_what_holds_for_no_case_is_said_once(
    three_cases: Path,
    change: list[str],
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(arguments(three_cases, *change)) == status
    assert words in capsys.readouterr().err
    assert not list(three_cases.parent.glob("out/case-*"))


def test_one_ct_needs_two_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["segment", str(tmp_path / "ct.nii.gz")]) == 2
    assert "Give two places, CT and OUT." in capsys.readouterr().err


@pytest.fixture
def long_list(
    tmp_path: Path, tiny_models: Path, repository: Path
) -> Iterator[subprocess.Popen[str]]:
    """A run whose first case is short, and whose second takes far longer than a test may."""
    small = write_tiny_case(tmp_path / "small")
    large = write_tiny_case(tmp_path / "large", size=216)
    rows = [f"{ct},{ct.with_name('bones.nii.gz')}" for ct in (small, large)]
    (tmp_path / "cases.csv").write_text("\n".join(["ct,bones", *rows]), encoding="utf-8")
    code = "from FractureSegmentationLib.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments(tmp_path / "cases.csv", "--progress", "json")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository), "FRACSEG_MODELS": str(tiny_models)},
    )
    yield process
    process.kill()
    process.wait()


def test_cancel_stops_at_once_and_keeps_the_finished_cases(
    long_list: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert long_list.stdin is not None
    assert long_list.stdout is not None
    for line in long_list.stdout:
        event = json.loads(line)
        assert event["event"] != "error", event
        if event.get("case") == "case-002" and event.get("stage") == "fragments":
            break
    long_list.stdin.write("cancel\n")
    long_list.stdin.flush()

    events = (json.loads(line) for line in long_list.stdout)
    last = next(event for event in events if event["event"] == "error")

    assert long_list.wait(timeout=30) == 130
    assert (last["code"], last["exit_status"]) == ("cancelled", 130)
    assert "Finished cases are kept" in last["remedy"]
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "case-001",
        "summary.csv",
        "summary.json",
    ]
    assert statuses(tmp_path / "cases.csv") == [("done", False), ("waiting", False)]
