from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    InputError,
    OutputExistsError,
    RunCancelledError,
)
from FractureSegmentationLib.io.folder import staged_folder
from FractureSegmentationLib.io.temporary import clear_leftovers, private_sibling, released


def _make_result(out: Path, content: str = "old") -> None:
    """A result folder of ours."""
    (out / "meshes").mkdir(parents=True)
    (out / "meshes" / "left_hip_12.stl").write_text(content)
    (out / "maps").mkdir()
    (out / "maps" / "sacrum_contact.nrrd").write_text(content)
    (out / "fragments.nii.gz").write_text(content)
    (out / "report.json").write_text(json.dumps({"schema": "fracseg-report/1", "made": content}))


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_only_when_the_work_is_done(tmp_path: Path) -> None:
    out = tmp_path / "result"

    with staged_folder(out, overwrite=False, inputs=()) as staging:
        assert staging.parent == tmp_path
        assert stat.S_IMODE(staging.stat().st_mode) == 0o700
        (staging / "report.json").write_text("{}")
        assert not out.exists()

    assert _names(tmp_path) == ["result"]
    assert _names(out) == ["report.json"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_the_finished_folder_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "ordinary").mkdir()

    with staged_folder(tmp_path / "result", overwrite=False, inputs=()):
        pass

    assert (tmp_path / "result").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, RunCancelledError, SystemExit])
def test_nothing_is_left_of_a_run_that_fails(tmp_path: Path, error: type[BaseException]) -> None:
    out = tmp_path / "new parent" / "deeper" / "result"

    with pytest.raises(error), staged_folder(out, overwrite=False, inputs=()) as staging:
        (staging / "report.json").write_text("{}")
        raise error("stop")

    assert _names(tmp_path) == []


def test_parents_that_others_filled_meanwhile_stay_after_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "parent" / "result"

    with pytest.raises(ValueError, match="stop"), staged_folder(out, overwrite=False, inputs=()):
        (tmp_path / "parent" / "other.txt").write_text("mine")
        raise ValueError("stop")

    assert _names(tmp_path / "parent") == ["other.txt"]


def test_an_existing_folder_is_refused_without_overwrite(tmp_path: Path) -> None:
    _make_result(tmp_path / "result")

    with (
        pytest.raises(OutputExistsError, match="--overwrite"),
        staged_folder(tmp_path / "result", overwrite=False, inputs=()),
    ):
        pytest.fail("the block must not run")

    assert (tmp_path / "result" / "fragments.nii.gz").read_text() == "old"


def test_a_result_of_ours_is_replaced_whole(tmp_path: Path) -> None:
    out = tmp_path / "result"
    _make_result(out)

    with staged_folder(out, overwrite=True, inputs=()) as staging:
        (staging / "preview.png").write_text("new")
        assert (out / "fragments.nii.gz").read_text() == "old"

    assert _names(out) == ["preview.png"]
    assert _names(tmp_path) == ["result"]


def test_the_previous_result_stays_when_its_replacement_fails(tmp_path: Path) -> None:
    out = tmp_path / "result"
    _make_result(out)

    with (
        pytest.raises(ValueError, match="stop"),
        staged_folder(out, overwrite=True, inputs=()) as staging,
    ):
        (staging / "fragments.nii.gz").write_text("half")
        raise ValueError("stop")

    assert (out / "fragments.nii.gz").read_text() == "old"
    assert _names(tmp_path) == ["result"]


def test_the_previous_result_is_put_back_when_renaming_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "result"
    _make_result(out)
    real_rename = Path.rename

    def fail_to_publish(self: Path, target: Path) -> Path:
        if target == out and not self.name.endswith("-old"):
            raise OSError(errno.ENOSPC, "no space")
        return real_rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_to_publish)
    with (
        pytest.raises(EnvironmentProblemError, match="disk is full"),
        staged_folder(out, overwrite=True, inputs=()),
    ):
        pass

    assert (out / "fragments.nii.gz").read_text() == "old"
    assert _names(tmp_path) == ["result"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda out: (out / "notes.txt").write_text("mine"),
        lambda out: (out / "meshes" / "plan.stl").write_text("mine"),
        lambda out: (out / "scene").mkdir(),
        lambda out: (out / "preview.png").symlink_to(out / "report.json"),
        lambda out: (out / "report.json").unlink(),
        lambda out: (out / "report.json").write_text("not json"),
        lambda out: (out / "report.json").write_text('{"schema": 3}'),
        lambda out: (out / "report.json").write_text("[]"),
    ],
)
def test_a_folder_that_is_not_purely_ours_is_never_replaced(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    out = tmp_path / "result"
    _make_result(out)
    spoil(out)
    before = _names(out)

    with (
        pytest.raises(OutputExistsError, match="not replaced"),
        staged_folder(out, overwrite=True, inputs=()),
    ):
        pytest.fail("the block must not run")

    assert _names(out) == before


def test_a_foreign_file_that_arrives_during_the_run_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "result"
    _make_result(out)

    with (
        pytest.raises(OutputExistsError),
        staged_folder(out, overwrite=True, inputs=()),
    ):
        (out / "notes.txt").write_text("mine")

    assert (out / "notes.txt").read_text() == "mine"
    assert (out / "fragments.nii.gz").read_text() == "old"


def test_a_folder_that_appears_during_the_run_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "result"

    with pytest.raises(OutputExistsError), staged_folder(out, overwrite=False, inputs=()):
        _make_result(out, "another run")

    assert (out / "fragments.nii.gz").read_text() == "another run"
    assert _names(tmp_path) == ["result"]


def test_an_empty_folder_may_be_replaced_when_allowed(tmp_path: Path) -> None:
    (tmp_path / "result").mkdir()

    with staged_folder(tmp_path / "result", overwrite=True, inputs=()) as staging:
        (staging / "report.json").write_text("{}")

    assert _names(tmp_path / "result") == ["report.json"]


def test_a_file_or_link_with_the_name_of_the_output_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    _make_result(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    for name in ("file", "link"):
        with (
            pytest.raises(OutputExistsError, match="file or a link"),
            staged_folder(tmp_path / name, overwrite=True, inputs=()),
        ):
            pytest.fail("the block must not run")

    assert _names(tmp_path) == ["file", "link", "real"]


def test_the_output_may_not_be_hold_or_lie_inside_the_input(tmp_path: Path) -> None:
    _make_result(tmp_path / "a" / "result")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    result = tmp_path / "a" / "result"

    for out, source in (
        (result, result),
        (result, result / "fragments.nii.gz"),
        (result, tmp_path / "a"),
        (tmp_path / "link" / "result", result),
        (tmp_path / "link" / "new", tmp_path / "a"),
        (tmp_path / "a" / ".." / "a" / "result", result),
    ):
        with (
            pytest.raises(OutputExistsError, match="input"),
            staged_folder(out, overwrite=True, inputs=(tmp_path / "elsewhere", source)),
        ):
            pytest.fail("the block must not run")

    assert (result / "fragments.nii.gz").read_text() == "old"


def test_the_output_may_lie_beside_the_input(tmp_path: Path) -> None:
    (tmp_path / "ct.nii.gz").write_text("ct")

    with staged_folder(tmp_path / "ct", overwrite=False, inputs=(tmp_path / "ct.nii.gz",)):
        pass

    assert _names(tmp_path) == ["ct", "ct.nii.gz"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "disk is full"),
        (errno.EROFS, "may not be written to"),
        (errno.EACCES, "may not be written to"),
        (errno.EIO, "EIO"),
    ],
)
def test_what_the_disk_refuses_becomes_a_sentence_without_a_path(
    tmp_path: Path, number: int, sentence: str
) -> None:
    with (
        pytest.raises(EnvironmentProblemError, match=sentence) as caught,
        staged_folder(tmp_path / "result", overwrite=False, inputs=()) as staging,
    ):
        raise OSError(number, "refused", str(staging))

    assert str(tmp_path) not in str(caught.value)
    assert caught.value.remedy
    assert _names(tmp_path) == []


def test_errors_for_the_user_pass_unchanged(tmp_path: Path) -> None:
    error = InputError("The CT is bad.", "Give another.")

    with (
        pytest.raises(InputError) as caught,
        staged_folder(tmp_path / "result", overwrite=False, inputs=()),
    ):
        raise error

    assert caught.value is error


@pytest.mark.parametrize("name", ["with space", "Beckenbruch – größer", "骨" * 80, "x" * 250])
def test_spaces_foreign_letters_and_long_names_work(tmp_path: Path, name: str) -> None:
    with staged_folder(tmp_path / name, overwrite=False, inputs=()) as staging:
        (staging / "report.json").write_text("{}")

    assert _names(tmp_path) == [name]


def test_a_relative_output_is_made_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with staged_folder(Path("result"), overwrite=False, inputs=()):
        pass

    assert _names(tmp_path) == ["result"]


def _killed_while_working(out: Path, code: str) -> None:
    """Start a child that stages `out`, kill it without warning, and wait for its end."""
    script = (
        "import sys, time; from pathlib import Path; "
        "from FractureSegmentationLib.io.folder import staged_folder; "
        "from FractureSegmentationLib.io import temporary; "
        f"{code}"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(out)])
    deadline = time.monotonic() + 30
    while not (out.parent / "ready").exists():
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (out.parent / "ready").unlink()


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_what_a_killed_run_left_is_removed_at_the_next_start(tmp_path: Path) -> None:
    out = tmp_path / "result"
    _killed_while_working(
        out,
        "c = staged_folder(Path(sys.argv[1]), overwrite=False, inputs=()); c.__enter__(); "
        "(Path(sys.argv[1]).parent / 'ready').touch(); time.sleep(60)",
    )
    assert len(_names(tmp_path)) == 1

    with staged_folder(out, overwrite=False, inputs=()) as staging:
        assert _names(tmp_path) == [staging.name]


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is POSIX's")
def test_a_result_set_aside_by_a_killed_run_comes_back_at_the_next_start(tmp_path: Path) -> None:
    out = tmp_path / "result"
    _make_result(out)
    _killed_while_working(
        out,
        "s = temporary.private_sibling(Path(sys.argv[1])); "
        "Path(sys.argv[1]).rename(temporary.backup_path(s)); "
        "(Path(sys.argv[1]).parent / 'ready').touch(); time.sleep(60)",
    )
    assert not out.exists()

    clear_leftovers(out)

    assert (out / "fragments.nii.gz").read_text() == "old"
    assert _names(tmp_path) == ["result"]


def test_a_running_process_keeps_its_working_folder(tmp_path: Path) -> None:
    """The parent of this test runner is alive; a folder with its id is not ours to remove."""
    out = tmp_path / "result"
    mine = private_sibling(out)
    released(mine)
    theirs = mine.with_name(mine.name.replace(str(os.getpid()), str(os.getppid()), 1))
    theirs.mkdir()

    clear_leftovers(out)

    assert _names(tmp_path) == [theirs.name]


def test_a_folder_this_process_works_in_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "result"
    mine = private_sibling(out)

    clear_leftovers(out)

    assert mine.is_dir()
    released(mine)


def test_leftovers_of_other_outputs_and_other_machines_are_kept(tmp_path: Path) -> None:
    ours = private_sibling(tmp_path / "result")
    released(ours)
    head, tail = ours.name.rsplit("-", 1)
    other_machine = "0000" if tail[:4] != "0000" else "1111"
    names = [
        ours.name.replace(".result.", ".results.", 1),
        f"{head}-{other_machine}{tail[4:]}",
        ".result.fracseg-notes",
    ]
    for name in names:
        (tmp_path / name).mkdir()

    clear_leftovers(tmp_path / "result")

    assert _names(tmp_path) == sorted(names)
