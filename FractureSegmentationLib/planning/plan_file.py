"""`plan.json`: where each fragment is moved to, as a rigid pose in LPS and mm.

A plan is a JSON object:

    {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm",
     "poses": {"left_hip_2": [[1, 0, 0, 12.5], [0, 1, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]]}}

A pose takes a point (x, y, z, 1) of the CT to its planned place. Fragments are named by their id;
those that the plan does not name stay where they are.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib.errors import (
    EnvironmentProblemError,
    InputError,
    OutputExistsError,
)
from FractureSegmentationLib.io.json_object import read_json_object
from FractureSegmentationLib.planning.pose import Pose, pose_problem, rigid_pose

SCHEMA = "fracseg-plan/1"

_FAMILY = "fracseg-plan/"
_MOST_BYTES = 10_000_000


def read_plan(path: Path) -> dict[str, Pose]:
    """Read a plan.

    Returns:
        A pose per fragment id.

    Raises:
        InputError: it is not there, not a plan, or a pose is not a rigid motion.
    """
    entries = _object(path)
    schema = entries.get("schema")
    if schema != SCHEMA:
        is_other_version = isinstance(schema, str) and schema.startswith(_FAMILY)
        raise InputError(
            "The plan has another version than this program reads."
            if is_other_version
            else "The plan file does not say that it is a plan.",
            f'Give a file whose "schema" is "{SCHEMA}".',
        )
    for key, wanted in (("space", "LPS"), ("unit", "mm")):
        if entries.get(key) != wanted:
            raise InputError(
                f'The plan does not say that its "{key}" is "{wanted}".',
                "Convert its poses to LPS and mm, and say so in the file.",
            )
    poses = entries.get("poses")
    if not isinstance(poses, dict):
        raise InputError(
            'The plan holds no "poses" by fragment.', "Give one 4 x 4 matrix per fragment id."
        )
    return {fragment: _rigid(fragment, matrix) for fragment, matrix in poses.items()}


def write_plan(path: Path, poses: Mapping[str, Pose], *, overwrite: bool = False) -> None:
    """Write a plan; the file is there whole or not at all, and an earlier one stays until then.

    Args:
        path: the file to make.
        poses: (4, 4) rigid motion in LPS, mm by fragment id.
        overwrite: replace `path` if it is a plan.

    Raises:
        ValueError: a pose is no rigid motion.
        OutputExistsError: `path` may not be replaced.
        EnvironmentProblemError: it cannot be written.
    """
    lines = [
        f"  {json.dumps(fragment)}: {json.dumps(rigid_pose(pose).tolist())}"
        for fragment, pose in poses.items()
    ]
    head = f'{{\n "schema": "{SCHEMA}",\n "space": "LPS",\n "unit": "mm",\n "poses": {{'
    text = head + ("\n" + ",\n".join(lines) + "\n }\n}\n" if lines else "}\n}\n")
    _refuse_unreplaceable(path, overwrite=overwrite)
    # Hidden and short: the name of the plan may be as long as names can be.
    draft = path.with_name(f".fracseg-plan-{secrets.token_hex(8)}")
    try:
        with draft.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise EnvironmentProblemError(
            "The plan could not be written.",
            "Check that the folder is there, that you may write to it, and that the disk is not "
            "full.",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def _refuse_unreplaceable(path: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise OutputExistsError(
            "The plan file exists already.", "Choose another name, or allow it to be replaced."
        )
    plan = read_json_object(path) if path.is_file() and not path.is_symlink() else None
    if plan is None or not str(plan.get("schema")).startswith(_FAMILY):
        raise OutputExistsError(
            "What has the name of the plan file is no plan and is not replaced.",
            "Choose another name.",
        )


def _object(path: Path) -> dict[str, Any]:
    damaged = InputError("The plan file is no readable JSON object.", "Write the plan again.")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise damaged
        entries = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_doubles)
    except FileNotFoundError as error:
        raise InputError("The plan was not found.", "Check the name of the file.") from error
    except OSError as error:
        raise InputError("The plan could not be read.", "Check that you may read it.") from error
    except (ValueError, RecursionError) as error:
        raise damaged from error
    if not isinstance(entries, dict):
        raise damaged
    return entries


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; of two poses of one fragment, Python would take the second in silence."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise InputError("The plan names something twice.", "Keep one pose per fragment.")
    return dict(pairs)


def _rigid(fragment: str, matrix: Any) -> Pose:
    problem, pose = "", np.eye(4)
    if not _is_matrix(matrix):
        problem = "is not a matrix of 4 x 4 numbers"
    else:
        try:
            pose = np.array(matrix, np.float64)
            problem = pose_problem(pose)
        except OverflowError:
            problem = "holds a number that is too large"
    if problem:
        raise InputError(
            f"The pose of {fragment!r} in the plan {problem}.",
            "Give a rotation and a translation as a 4 x 4 matrix by rows, in LPS and mm.",
        )
    return pose


def _is_matrix(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(isinstance(row, list) and len(row) == 4 for row in value)
        and all(type(number) in {int, float} for row in value for number in row)
    )
