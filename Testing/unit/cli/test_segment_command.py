"""`fracseg segment` and `fracseg info`, in this process and as a child process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.results.report import read_report
from Testing.tiny_cases import write_tiny_case


def write_case(folder: Path, size: int) -> tuple[Path, Path]:
    """A CT with a cube of bone, and its bone mask."""
    ct = write_tiny_case(folder, size)
    return ct, ct.with_name("bones.nii.gz")


@pytest.fixture
def case(tmp_path: Path) -> tuple[Path, Path]:
    return write_case(tmp_path / "Jane Döe 1970", 24)


@pytest.fixture
def arguments(
    case: tuple[Path, Path], tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setenv("FRACSEG_MODELS", str(tiny_models))
    ct, bones = case
    out = tmp_path / "Ergebnis ä"
    return ["segment", str(ct), str(out), "--bones", str(bones), "--device", "cpu"]


def test_a_case_is_segmented_and_told_in_words(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("Left hip bone: ")
    assert "Not for diagnosis" in printed.out
    report = read_report(tmp_path / "Ergebnis ä")
    assert report["bones"][0]["bone"] == "left_hip"
    assert "Jane" not in json.dumps(report, ensure_ascii=False)


@pytest.mark.parametrize(
    ("impossible", "status"),
    [(["--device", "cuda:99"], 4), (["--model", "nowhere"], 4), (["--device", "toaster"], 2)],
)
def test_what_cannot_run_here_is_refused_before_the_ct_is_read(
    arguments: list[str],
    impossible: list[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def reading(*_: object, **__: object) -> None:
        raise AssertionError("the CT was read")

    monkeypatch.setattr("FractureSegmentationLib.pipeline.segment.read_ct", reading)

    assert run([*arguments, *impossible]) == status


def test_the_same_run_twice_gives_the_same_labels(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 0
    first = (tmp_path / "Ergebnis ä" / "contact.nrrd").read_bytes()
    assert run(arguments) == 2
    assert "exists already" in capsys.readouterr().err
    assert run([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "Ergebnis ä" / "contact.nrrd").read_bytes() == first


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        (["--only", "elbow"], 2, "no bone is called 'elbow'"),
        (["--only", "sacrum"], 3, "found: left hip bone"),
        (["--method", "magic"], 2, "magic"),
        (["--device", "toaster"], 2, "no device called"),
        (["--model", "nowhere"], 4, "model"),
        (["--bones", "auto", "--bones-model", "nowhere"], 4, "no readable model.json"),
        (["--bones", "nowhere.nii.gz"], 2, "names neither a label file"),
        (["--bones", "thresh"], 2, "auto, threshold, totalsegmentator"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence_and_leaves_nothing(
    arguments: list[str],
    tmp_path: Path,
    change: list[str],
    status: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run([*arguments, *change]) == status
    printed = capsys.readouterr()
    assert words in printed.err
    assert "Jane" not in printed.err
    assert "Traceback" not in printed.err
    assert [path.name for path in tmp_path.iterdir()] == ["Jane Döe 1970"]


def test_json_tells_the_run_line_by_line_and_ends_with_the_result(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="utf-8"))  # noqa: PTH123, SIM115
    assert run([*arguments, "--progress", "json"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0] == {"event": "started", "protocol": 1, "version": "0.1.0"}
    values = [event["value"] for event in events if event["event"] == "progress"]
    assert values == sorted(values)
    assert [e["stage"] for e in events if e["event"] == "progress"][-1] == "write"
    assert events[-1]["event"] == "result"
    assert events[-1]["bones"][0]["bone"] == "left_hip"
    assert events[-1]["fragment_count"] == len(events[-1]["bones"][0]["labels"])
    assert "Jane" not in json.dumps(events)


def test_json_tells_a_failure_as_an_error_event(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", open(os.devnull, encoding="utf-8"))  # noqa: PTH123, SIM115
    assert run([*arguments, "--only", "sacrum", "--progress", "json"]) == 3
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["event"] == "error"
    assert last["code"] == "no_bone"
    assert last["remedy"]


def test_info_tells_geometry_and_content(
    case: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["info", str(case[0])]) == 0
    text = capsys.readouterr().out
    assert "24 x 24 x 24" in text
    assert "1.000 x 1.000 x 1.000 mm" in text
    assert "Left, Posterior, Superior" in text
    assert "40 to 500" in text
    assert run(["info", str(case[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hu_max"] == 500.0


@pytest.fixture
def child(tmp_path: Path, tiny_models: Path, repository: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that takes far longer than a test may: 216³ voxels of bone."""
    ct, bones = write_case(tmp_path / "in", 216)
    code = "from FractureSegmentationLib.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "segment", str(ct), str(tmp_path / "out"), "--bones",
         str(bones), "--device", "cpu", "--progress", "json", "--parent-pipe"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository), "FRACSEG_MODELS": str(tiny_models)},
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()


def read_until_fragments(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        assert event["event"] != "error", event
        if event.get("stage") == "fragments":
            return
    pytest.fail("the run ended before it began with the fragments")


@pytest.mark.parametrize("way", ["line", "end of stdin", "signal"])
def test_a_run_is_stopped_and_leaves_nothing(
    child: subprocess.Popen[str], tmp_path: Path, way: str
) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    read_until_fragments(child)
    if way == "line":
        child.stdin.write("cancel\n")
        child.stdin.flush()
    elif way == "end of stdin":
        child.stdin.close()
    elif sys.platform == "win32":
        pytest.skip("Windows ends a process without a signal")
    else:
        child.send_signal(signal.SIGTERM)
    last = json.loads(child.stdout.read().splitlines()[-1])
    assert child.wait(timeout=30) == 130
    assert last["code"] == "cancelled"
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
