"""Simulated CTs with exact fragments: the case, drawing cases, and writing them as NIfTI."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fracseg_training.simulate.config import SimulationConfig
from fracseg_training.simulate.whole_ct import break_bones
from FractureSegmentationLib.anatomy.catalogue import BONES, bone_of_mask_value
from FractureSegmentationLib.errors import InputError, NoBoneError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.folder import staged_folder
from FractureSegmentationLib.io.read import CtInput
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.types import Spacing
from FractureSegmentationLib.volume import LabelVolume, Volume


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruthCase:
    """A CT with its bones and fragments.

    Attributes:
        hu: (K, J, I) int16 Hounsfield units.
        bones: (K, J, I) uint8 catalogue mask values.
        fragments: (K, J, I) uint16 in the project's own numbering; an unbroken bone is fragment 1.
        geometry: the grid of all three.
    """

    hu: npt.NDArray[np.int16]
    bones: npt.NDArray[np.uint8]
    fragments: npt.NDArray[np.uint16]
    geometry: Geometry

    @property
    def spacing_mm(self) -> Spacing:
        """Voxel size along (k, j, i), in mm."""
        return self.geometry.spacing_mm


def simulated_cases(
    ct: CtInput, bones: LabelVolume, seed: int, count: int, broken: Sequence[int] = ()
) -> Iterator[TruthCase]:
    """Break bones of one CT again and again.

    Args:
        ct: the CT of whole bones; of a CT that holds bone only, the outside stays 0 HU.
        bones: catalogue mask values on its grid.
        seed: of the first case; case n does not depend on how many are made.
        count: how many.
        broken: mask values of the bones to break; drawn for each case if empty.

    Yields:
        The cases.

    Raises:
        InputError: the masks hold values of no known bone, or a bone to break is not there.
        NoBoneError: the masks are empty.
    """
    _check_bones(bones, broken)
    config = SimulationConfig(outside_hu=0.0 if ct.is_already_masked else None)
    geometry = ct.volume.geometry
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        made = break_bones(ct.volume.voxels, bones.voxels, geometry.spacing_mm, rng, config, broken)
        yield TruthCase(hu=made.hu, bones=made.bones, fragments=made.fragments, geometry=geometry)


def write_truth(
    out: Path, cases: Iterable[TruthCase], *, is_single: bool, inputs: Sequence[Path]
) -> None:
    """Write cases into a new folder, whole or not at all.

    Args:
        out: the folder; a single case's files lie in it, several in subfolders 000, 001, ...
        cases: what to write.
        is_single: whether there is one case only.
        inputs: what the run reads; `out` keeps away from it.

    Raises:
        OutputExistsError: the folder is there already.
        EnvironmentProblemError: the disk is full or fails otherwise.
    """
    with staged_folder(out, overwrite=False, inputs=inputs) as folder:
        for number, case in enumerate(cases):
            place = folder if is_single else folder / f"{number:03d}"
            place.mkdir(exist_ok=True)
            write_volume(place / "ct.nii.gz", Volume(voxels=case.hu, geometry=case.geometry))
            for name, labels in (("bones", case.bones), ("fragments", case.fragments)):
                volume = LabelVolume(voxels=labels, geometry=case.geometry)
                write_volume(place / f"{name}.nii.gz", volume)


def _check_bones(bones: LabelVolume, broken: Sequence[int]) -> None:
    there = bones.values()
    if not there:
        raise NoBoneError("The bone masks are empty.", "Give the masks of unbroken bones.")
    unknown = [value for value in there if value > len(BONES)]
    if unknown:
        raise InputError(
            f"The bone masks hold the value {unknown[0]}, which stands for no bone.",
            f"Use 1 to {len(BONES)}: sacrum, left hip, right hip, left femur, right femur, ...",
        )
    missing = [bone_of_mask_value(value).name for value in broken if value not in there]
    if missing:
        raise InputError(
            f"The bone masks do not hold the {missing[0].lower()}.", "Name a bone that they hold."
        )
