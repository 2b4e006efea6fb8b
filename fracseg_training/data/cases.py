"""One bone with its truth, ready for patches: the unit that training data is made of.

A case is stored as one `.npz` file. Its patient is the key of every split: whatever is simulated
from a patient carries that patient's name and stays out of that patient's fold.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.instances import bicm

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from FractureSegmentationLib.types import HuArray, LabelArray, MaskArray, Spacing

SUFFIX = ".npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseInfo:
    """What a case is, without its voxels.

    Attributes:
        name: unique in a folder of cases; also its file name.
        patient: whom the anatomy comes from: the key of every split.
        bone: slug of the bone.
        source: "real", "label map" or "phantom": where the anatomy comes from.
        is_simulated: whether the fracture (or its absence) was simulated.
        spacing_mm: voxel size along (k, j, i), in mm.
        seed: seed of the simulation, 0 for real truth.
    """

    name: str
    patient: str
    bone: str
    source: str
    is_simulated: bool
    spacing_mm: Spacing
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """A bone crop with its truth, axes k to Superior, j to Posterior, i to Left.

    Attributes:
        info: what it is.
        hu: (K, J, I) int16 Hounsfield units; meaningless outside the bone.
        fragments: (K, J, I) uint8, 1 to n inside the bone, 0 outside.
        classes: (K, J, I) uint8 BICM classes, see `bicm.CHANNELS`.
        found: (K, J, I) where the network looks if the bone was found, not given: `hu` is then
            meaningful outside the bone too. None where only the bone itself is known.
    """

    info: CaseInfo
    hu: HuArray
    fragments: LabelArray
    classes: LabelArray
    found: MaskArray | None = None

    def __post_init__(self) -> None:
        if not self.hu.shape == self.fragments.shape == self.classes.shape:
            raise ValueError(
                f"hu {self.hu.shape}, fragments {self.fragments.shape} and classes "
                f"{self.classes.shape} must share one grid"
            )
        if self.found is not None and self.found.shape != self.hu.shape:
            raise ValueError(f"found {self.found.shape} and hu {self.hu.shape} must share one grid")

    @property
    def contact_voxels(self) -> int:
        """Number of voxels on a contact fracture surface; 0 for a bone in one piece."""
        return int(np.count_nonzero(self.classes == bicm.CHANNELS.index("contact")))


def make_case(
    info: CaseInfo,
    hu: HuArray,
    fragments: LabelArray,
    margin: int = 4,
    *,
    found: MaskArray | None = None,
) -> Case:
    """A case from a bone crop: cropped to the bone, with its BICM classes.

    Args:
        info: what it is.
        hu: (K, J, I) Hounsfield units.
        fragments: (K, J, I) fragment labels, 0 outside the bone.
        margin: voxels kept around the bone.
        found: (K, J, I) where the network looks if the bone was found; kept whole.

    Raises:
        ValueError: there is no bone.
    """
    if not fragments.any():
        raise ValueError(f"case {info.name} holds no bone")
    box = tuple(
        slice(max(int(where.min()) - margin, 0), int(where.max()) + 1 + margin)
        for where in np.nonzero(fragments if found is None else (fragments > 0) | found)
    )
    labels = np.ascontiguousarray(fragments[box]).astype(np.uint8)
    return Case(
        info=info,
        hu=np.clip(hu[box], -32768, 32767).astype(np.int16),
        fragments=labels,
        classes=bicm.encode(labels, info.spacing_mm),
        found=None if found is None else np.ascontiguousarray(found[box]).astype(bool),
    )


def save_case(folder: Path, case: Case) -> Path:
    """Write a case into `folder`, whole or not at all; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.info.name}{SUFFIX}"
    partial = path.with_suffix(".partial")
    arrays = {
        "info": np.array(json.dumps(asdict(case.info))),
        "hu": case.hu,
        "fragments": case.fragments,
        "classes": case.classes,
    }
    if case.found is not None:
        arrays["found"] = case.found
    with partial.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
    partial.replace(path)
    return path


def load_case(path: Path) -> Case:
    """Read one case.

    Raises:
        InputError: the file is not a case, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            info = _info(json.loads(str(stored["info"])))
            return Case(
                info=info,
                hu=stored["hu"],
                fragments=stored["fragments"],
                classes=stored["classes"],
                found=stored.get("found"),
            )
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The training case {path.name} cannot be read.",
            "Delete it and run `fracseg prepare` again.",
        ) from error


def load_cases(folder: Path, *, exclude_patients: Sequence[str] = ()) -> list[Case]:
    """All cases of a folder, by name, without those of some patients.

    Args:
        folder: where `fracseg prepare` put them.
        exclude_patients: patients that are held out.

    Raises:
        InputError: nothing is left to train on.
    """
    cases = list(_wanted(sorted(folder.glob(f"*{SUFFIX}")), set(exclude_patients)))
    if not cases:
        raise InputError(
            "There is no training case in the folder given.", "Run `fracseg prepare` first."
        )
    return cases


def _wanted(paths: Iterable[Path], excluded: set[str]) -> Iterable[Case]:
    for path in paths:
        case = load_case(path)
        if case.info.patient not in excluded:
            yield case


def _info(fields: dict[str, Any]) -> CaseInfo:
    info = CaseInfo(**fields)
    k, j, i = (float(s) for s in info.spacing_mm)
    return replace(info, spacing_mm=(k, j, i))
