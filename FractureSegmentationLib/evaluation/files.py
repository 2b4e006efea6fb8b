"""Files that an evaluation writes: all of them or none, and nothing of others is replaced.

Each is made in a private sibling folder and takes its name when all are there. If one of them
cannot, the others give way to what was there before.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from FractureSegmentationLib.errors import EnvironmentProblemError, InputError, OutputExistsError
from FractureSegmentationLib.evaluation.run import Evaluation
from FractureSegmentationLib.evaluation.tables import TABLES
from FractureSegmentationLib.io.folder import absolute_place, parents_made, touches_input
from FractureSegmentationLib.io.temporary import (
    backup_path,
    clear_leftovers,
    working_folder,
)

_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A file or folder to write.

    Attributes:
        path: its name.
        write: makes it of an evaluation, under the name that it is given.
        mark: bytes near its beginning that only ours have.
        is_folder: whether it is a folder of tables.
    """

    path: Path
    write: Callable[[Path, Evaluation], None]
    mark: bytes
    is_folder: bool = False


def check_outputs(outputs: Sequence[Output], inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse, before anything is computed, what could not be written afterwards.

    Args:
        outputs: what will be written.
        inputs: what is read: no output may be it, lie inside it, or hold it.
        overwrite: allow files that an evaluation wrote to be replaced, and folders that hold its
            tables and nothing else.

    Raises:
        InputError: two outputs have one name, or one may not be made or replaced.
        EnvironmentProblemError: the place of an output may not be written to.
    """
    places = [absolute_place(output.path) for output in outputs]
    if len(set(places)) < len(places):
        raise InputError("Two outputs have the same name.", "Give each a name of its own.")
    for output, place in zip(outputs, places, strict=True):
        with _as_environment_problem():
            if touches_input(place, inputs):
                raise OutputExistsError(
                    "An output is, holds or lies inside the prediction or the truth.",
                    "Choose a place apart from them.",
                )
            if place.parent.is_dir():
                clear_leftovers(place)
            _refuse_unreplaceable(place, output, overwrite=overwrite)
            _refuse_locked(place)


def write_outputs(outputs: Sequence[Output], evaluation: Evaluation) -> None:
    """Write all, or leave everything as it was.

    Args:
        outputs: what was checked before.
        evaluation: what they hold.

    Raises:
        EnvironmentProblemError: one of them could not be written.
    """
    with _as_environment_problem(), contextlib.ExitStack() as stack:
        stagings: list[tuple[Output, Path]] = []
        for output in outputs:
            place = absolute_place(output.path)
            stack.enter_context(parents_made(place))
            stagings.append((output, stack.enter_context(working_folder(place))))
            output.write(stagings[-1][1] / place.name, evaluation)
        _publish(stagings)


def _publish(stagings: Sequence[tuple[Output, Path]]) -> None:
    """Give every output its name; take all back if one fails."""
    with contextlib.ExitStack() as undo:
        for output, staging in stagings:
            place = absolute_place(output.path)
            previous = backup_path(staging)
            if output.is_folder and place.is_dir():
                place.rename(previous)
                undo.callback(previous.rename, place)
            elif place.is_file():
                # A copy, so that there is no moment at which the name stands for nothing.
                previous = staging / "previous"
                shutil.copy2(place, previous)
                undo.callback(os.replace, previous, place)
            (staging / place.name).replace(place)
            undo.callback(_remove, place)
        undo.pop_all()
    for _, staging in stagings:
        shutil.rmtree(backup_path(staging), ignore_errors=True)


def _refuse_unreplaceable(place: Path, output: Output, *, overwrite: bool) -> None:
    if not os.path.lexists(place):
        return
    kind = "folder" if output.is_folder else "file"
    if not overwrite:
        raise OutputExistsError(
            f"An output {kind} exists already.",
            "Choose another name, or allow it to be replaced with --overwrite.",
        )
    is_ours = _holds_only_tables if output.is_folder else _is_marked
    if place.is_symlink() or not is_ours(place, output.mark):
        raise OutputExistsError(
            f"What has the name of an output {kind} was not written by fracseg evaluate.",
            "Choose another name.",
        )


def _is_marked(path: Path, mark: bytes) -> bool:
    if not path.is_file() or path.is_symlink():
        return False
    with path.open("rb") as file:
        return mark in file.read(_HEAD_BYTES)


def _holds_only_tables(folder: Path, mark: bytes) -> bool:
    return folder.is_dir() and all(
        path.name in TABLES and _is_marked(path, mark) for path in folder.iterdir()
    )


def _refuse_locked(place: Path) -> None:
    nearest = next(parent for parent in place.parents if os.path.lexists(parent))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise EnvironmentProblemError(
            "The folder of an output may not be written to.",
            "Choose a folder that you may write to.",
        )


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


@contextlib.contextmanager
def _as_environment_problem() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentProblemError(
            "The evaluation could not be written.",
            "Check the space on the disk and that you may write to the folder.",
        ) from error
