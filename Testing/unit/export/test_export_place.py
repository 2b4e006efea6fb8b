"""An export is there whole or not at all, and replaces nothing but an export."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    InputError,
    OutputExistsError,
    RunCancelledError,
)
from FractureSegmentationLib.export import formats
from FractureSegmentationLib.export.export import ExportRequest, export_segmentation, staged_export
from FractureSegmentationLib.progress import CancelToken, Progress


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def an_export(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("old")
    report = {"schema": "fracseg-export/1", "files": list(names)}
    (folder / "report.json").write_text(json.dumps(report))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def replace_with(out: Path, name: str = "new.glb", inputs: tuple[Path, ...] = ()) -> None:
    with staged_export(out, overwrite=True, inputs=inputs) as folder:
        (folder / name).write_text("new")


def test_an_export_is_replaced_whole(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb", "older.stl")

    replace_with(out)

    assert contents(out) == {"new.glb": b"new"}
    assert entries(tmp_path) == ["out"]


def test_an_empty_folder_or_a_new_name_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    for name in ("empty", "new"):
        replace_with(tmp_path / name)
        assert contents(tmp_path / name) == {"new.glb": b"new"}
    assert (tmp_path / "empty").stat().st_mode == (tmp_path / "new").stat().st_mode


def test_without_overwrite_nothing_is_replaced(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")

    with (
        pytest.raises(OutputExistsError, match="exists already"),
        staged_export(out, overwrite=False, inputs=()),
    ):
        pytest.fail("was let in")
    assert contents(out)["old.glb"] == b"old"


def test_a_failure_leaves_the_previous_export_and_nothing_else(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")
    before = contents(out)

    with (
        pytest.raises(ZeroDivisionError),
        staged_export(out, overwrite=True, inputs=()) as folder,
    ):
        (folder / "half.glb").write_text("half")
        raise ZeroDivisionError

    assert contents(out) == before
    assert entries(tmp_path) == ["out"]


def test_a_foreign_file_is_not_lost(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")
    (out / "thesis.txt").write_text("mine")

    with pytest.raises(OutputExistsError, match="did not write"):
        replace_with(out)

    assert contents(out)["thesis.txt"] == b"mine"
    assert entries(tmp_path) == ["out"]


def test_a_file_that_appears_while_exporting_is_not_lost(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")

    with (
        pytest.raises(OutputExistsError, match="did not write"),
        staged_export(out, overwrite=True, inputs=()) as folder,
    ):
        (folder / "new.glb").write_text("new")
        (out / "thesis.txt").write_text("mine")

    assert set(contents(out)) == {"old.glb", "report.json", "thesis.txt"}
    assert entries(tmp_path) == ["out"]


def test_a_list_of_files_that_points_elsewhere_makes_nothing_ours(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")
    (out / "sub").mkdir()
    (out / "sub" / "mine.txt").write_text("mine")
    report = {"schema": "fracseg-export/1", "files": ["old.glb", "sub/mine.txt", "sub"]}
    (out / "report.json").write_text(json.dumps(report))

    with pytest.raises(OutputExistsError, match="did not write"):
        replace_with(out)


@pytest.mark.parametrize(
    "report",
    [
        "",
        "[]",
        '{"schema": "fracseg-report/1", "files": ["fragments.nii.gz"]}',
        '{"schema": "fracseg-export/1"}',
        None,
    ],
)
def test_a_result_or_any_other_folder_is_not_replaced(tmp_path: Path, report: str | None) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "fragments.nii.gz").write_text("hours of work")
    if report is not None:
        (out / "report.json").write_text(report)

    with pytest.raises(OutputExistsError, match="is no export"):
        replace_with(out)

    assert contents(out)["fragments.nii.gz"] == b"hours of work"


def test_a_file_or_a_link_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(an_export(tmp_path / "target", "old.glb"))

    for name in ("file", "link"):
        with pytest.raises(OutputExistsError, match="a file or a link"):
            replace_with(tmp_path / name)
    assert (tmp_path / "link").is_symlink()


def test_an_export_that_is_being_read_is_not_replaced(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")

    for given in (out, out / "old.glb", tmp_path):
        with pytest.raises(OutputExistsError, match="is, holds or lies inside the input"):
            replace_with(out, inputs=(given,))
    assert "old.glb" in contents(out)


def test_an_export_that_a_dead_run_left_aside_is_put_back(tmp_path: Path) -> None:
    """The run died between its two renamings; its process is gone."""
    with staged_export(tmp_path / "probe", overwrite=False, inputs=()) as folder:
        machine = folder.name.split("-")[2][:4]
    aside = an_export(tmp_path / f".out.fracseg-999999999-{machine}00000000-old", "old.glb")
    (tmp_path / f".out.fracseg-999999999-{machine}00000000").mkdir()

    with (
        pytest.raises(OutputExistsError, match="exists already"),
        staged_export(tmp_path / "out", overwrite=False, inputs=()),
    ):
        pytest.fail("was let in")

    assert contents(tmp_path / "out")["old.glb"] == b"old"
    assert not aside.exists()
    assert entries(tmp_path) == ["out", "probe"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failing_writer_leaves_nothing_of_an_export(
    result: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    out = tmp_path / "out"
    if overwrite:
        an_export(out, "old.glb")

    def write_on_a_full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(formats, "write_glb", write_on_a_full_disk)
    request = ExportRequest(segmentation=result, out=out, format="glb", overwrite=overwrite)
    before = entries(tmp_path)

    with pytest.raises(EnvironmentProblemError, match="disk is full"):
        export_segmentation(request)

    assert entries(tmp_path) == before


@pytest.mark.skipif(
    sys.platform == "win32" or (hasattr(os, "geteuid") and os.geteuid() == 0),
    reason="nothing is forbidden to this user",
)
def test_a_folder_that_may_not_be_written_to_is_said(tmp_path: Path) -> None:
    out = an_export(tmp_path / "out", "old.glb")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(EnvironmentProblemError):
            replace_with(out)
    finally:
        tmp_path.chmod(0o700)


def test_cancel_leaves_nothing(result: Path, tmp_path: Path) -> None:
    token = CancelToken()
    token.cancel()
    request = ExportRequest(segmentation=result, out=tmp_path / "out", format="stl")

    with pytest.raises(RunCancelledError):
        export_segmentation(request, Progress(token=token))

    assert not (tmp_path / "out").exists()


def test_a_name_that_ends_like_a_file_is_not_made_a_folder(result: Path, tmp_path: Path) -> None:
    request = ExportRequest(segmentation=result, out=tmp_path / "hip.glb", format="glb")

    with pytest.raises(InputError, match="is a folder"):
        export_segmentation(request)
    assert not (tmp_path / "hip.glb").exists()
