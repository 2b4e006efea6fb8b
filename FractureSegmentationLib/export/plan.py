"""Reduction plans: where each fragment is moved to, as a rigid pose in LPS and mm.

A plan is a JSON object:

    {"schema": "fracseg-plan/1", "space": "LPS", "unit": "mm",
     "poses": {"left_hip_2": [[1, 0, 0, 12.5], [0, 1, 0, 0], [0, 0, 1, -3], [0, 0, 0, 1]]}}

A pose takes a point (x, y, z, 1) of the CT to its planned place. Fragments are named by their id;
those that the plan does not name stay where they are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.errors import InputError

SCHEMA = "fracseg-plan/1"
RIGID_TOLERANCE = 1e-4
"""A rotation written with five digits passes; over a hip bone it amounts to 0.03 mm."""

Pose = npt.NDArray[np.float64]
"""(4, 4) rigid motion in LPS, mm."""

_MOST_BYTES = 10_000_000
_LONGEST_LIST = 8


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
        is_other_version = isinstance(schema, str) and schema.startswith("fracseg-plan/")
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


def moving_poses(poses: Mapping[str, Pose], known: Iterable[str]) -> dict[str, Pose]:
    """The poses that move something.

    Args:
        poses: a pose per fragment id.
        known: ids of the fragments there are.

    Raises:
        InputError: a fragment is not among them; the message names it.
    """
    ids = list(known)
    strange = [repr(fragment) for fragment in poses if fragment not in set(ids)]
    if strange:
        raise InputError(
            f"The plan moves fragments that the segmentation does not hold: {_listed(strange)}.",
            f"It holds: {_listed(ids)}.",
        )
    return {name: pose for name, pose in poses.items() if not np.array_equal(pose, np.eye(4))}


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
    def refusal(what: str) -> InputError:
        return InputError(
            f"The pose of {fragment!r} in the plan {what}.",
            "Give a rotation and a translation as a 4 x 4 matrix by rows, in LPS and mm.",
        )

    if not _is_matrix(matrix):
        raise refusal("is not a matrix of 4 x 4 numbers")
    try:
        pose = np.array(matrix, np.float64)
    except OverflowError as error:
        raise refusal("holds a number that is too large") from error
    if not np.isfinite(pose).all():
        raise refusal("holds a number that is not finite")
    if not np.array_equal(pose[3], [0.0, 0.0, 0.0, 1.0]):
        raise refusal("does not end in the row 0 0 0 1")
    rotation = pose[:3, :3]
    if not np.allclose(rotation @ rotation.T, np.eye(3), rtol=0.0, atol=RIGID_TOLERANCE):
        raise refusal("scales or shears the fragment")
    if np.linalg.det(rotation) < 0:
        raise refusal("mirrors the fragment")
    return pose


def _is_matrix(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 4
        and all(isinstance(row, list) and len(row) == 4 for row in value)
        and all(type(number) in {int, float} for row in value for number in row)
    )


def _listed(names: list[str]) -> str:
    more = len(names) - _LONGEST_LIST
    return ", ".join(names[:_LONGEST_LIST]) + (f" and {more} more" if more > 0 else "")
