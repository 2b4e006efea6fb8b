"""The jobs of `fracseg prepare`: one patient, one synthesised CT or one phantom each.

Each job fills up what is missing in a folder and says how many cases it made.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from fracseg_training.data.cases import save_case
from fracseg_training.data.done import is_done, mark_done
from fracseg_training.data.prepare import (
    WORKING_SPACING_MM,
    bones_of,
    box_around,
    real_cases,
    save_missing,
    simulated_name,
    whole_bones,
)
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.volume import LabelVolume, Volume

_MARGIN_MM = 25.0

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from fracseg_training.data.prepare import WholeBone
    from FractureSegmentationLib.types import HuArray, LabelArray, Spacing


def add_patient(out: Path, folder: Path, per_bone: int, seed: int) -> int:
    """A patient's bones with their truth, and fractures simulated on those in one piece.

    Args:
        out: folder of cases.
        folder: the patient's, see `real_cases`.
        per_bone: simulations on each bone in one piece.
        seed: first seed of the simulations.
    """
    cases = list(real_cases(folder))
    for case in cases:
        save_case(out, case)
    return len(cases) + _simulate(out, whole_bones(cases), per_bone, seed)


def add_label_map_ct(
    out: Path, labels: Path, names: Path, number: int, per_bone: int, seed: int
) -> int:
    """Fractures on the bones of a CT synthesised from a label map.

    Args:
        out: folder of cases.
        labels: label image of a whole body.
        names: JSON of its structures' names.
        number: which of the CTs that can be made from it.
        per_bone: simulations on each bone.
        seed: of the synthesis and the simulations.
    """
    anatomy = anatomy_of(labels)
    ground = label_map_bones(labels, names, number, seed)
    return _complete(out, f"{anatomy}_{number}", ground, number, per_bone, seed)


def label_map_bones(labels: Path, names: Path, number: int, seed: int) -> Iterator[WholeBone]:
    """The bones of one of the CTs that can be made from a label map.

    Args:
        labels: label image of a whole body.
        names: JSON of its structures' names.
        number: which CT.
        seed: of the synthesis.
    """
    from fracseg_training.synthesis.config import SynthesisConfig
    from fracseg_training.synthesis.ct import image_body
    from fracseg_training.synthesis.deform import DeformConfig, deform_body
    from fracseg_training.synthesis.label_map import read_label_map

    anatomy = anatomy_of(labels)
    rng = np.random.default_rng([seed, number, zlib.crc32(anatomy.encode())])
    body = read_label_map(labels, names)
    around = box_around(body.bones() > 0, body.spacing_mm, _MARGIN_MM)
    body = deform_body(body.cropped(around), rng, DeformConfig(), WORKING_SPACING_MM)
    bones = smoothed(body.bones())
    ct = image_body(body, bones, rng, SynthesisConfig())
    yield from made_bones(
        ct.hu,
        bones,
        ct.spacing_mm,
        name=f"{anatomy}_{number}",
        patient=anatomy,
        source="label map",
    )


def add_phantom(out: Path, number: int, per_bone: int, seed: int) -> int:
    """Fractures on the bones of an analytic pelvis.

    Args:
        out: folder of cases.
        number: which phantom.
        per_bone: simulations on each bone.
        seed: of the phantom and the simulations.
    """
    from fracseg_training.phantoms.pelvis import pelvis_phantom

    name = f"phantom_{number}"

    def ground() -> Iterator[WholeBone]:
        phantom = pelvis_phantom(np.random.default_rng([seed, number]), (1.0, 1.0, 1.0))
        yield from made_bones(
            phantom.hu,
            phantom.bones,
            phantom.spacing_mm,
            name=name,
            patient=name,
            source="phantom",
        )

    return _complete(out, name, ground(), number, per_bone, seed)


def anatomy_of(labels: Path) -> str:
    """The patient that a label map stands for: its file name up to the first underscore."""
    return labels.name.split("_")[0]


def made_bones(
    hu: HuArray,
    bones: LabelArray,
    spacing_mm: Spacing,
    *,
    name: str,
    patient: str,
    source: str,
) -> Iterator[WholeBone]:
    """The bones of a CT that was made, see `bones_of`.

    Args:
        hu: (K, J, I) Hounsfield units, canonical axes.
        bones: (K, J, I) the catalogue's mask values.
        spacing_mm: voxel size along (k, j, i), in mm.
        name: prefix of the cases made from them.
        patient: whose anatomy it is.
        source: where it comes from, see `CaseInfo`.
    """
    k, j, i = hu.shape
    geometry = Geometry(shape=(k, j, i), spacing_mm=spacing_mm)
    ct = Volume(voxels=hu, geometry=geometry)
    mask = LabelVolume(voxels=bones, geometry=geometry)
    return bones_of(ct, mask, name=name, patient=patient, source=source)


def smoothed(bones: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Bones without the steps that their coarse label map leaves on a finer grid."""
    smooth = np.zeros_like(bones)
    for value in np.unique(bones[bones > 0]):
        smooth[gaussian_filter((bones == value).astype(np.float32), 0.9) > 0.5] = value
    return smooth


def _simulate(out: Path, ground: Iterable[WholeBone], per_bone: int, seed: int) -> int:
    return sum(save_missing(out, bone, range(seed, seed + per_bone)) for bone in ground)


def _complete(
    out: Path, name: str, ground: Iterable[WholeBone], number: int, per_bone: int, seed: int
) -> int:
    """Fill up the cases of a made CT, whose `ground` is drawn only if it is not complete."""
    settings = {"seed": seed, "per_bone": per_bone}
    if is_done(out, name, settings):
        return 0
    first = seed + 1000 * number
    seeds = range(first, first + per_bone)
    made, cases = 0, []
    for bone in ground:
        made += save_missing(out, bone, seeds)
        cases += [held for one in seeds if (held := simulated_name(out, bone, one))]
    mark_done(out, name, settings, cases)
    return made
