"""Training cases whose bones were found, not given: what the fragment network meets in a plain CT.

A bone that was found reaches over the gaps of its fractures, misses thin parts and takes in some
of its neighbours. No random change of an exact mask looks like that, so the networks that find
bones are run over CTs with known truth, and the masks that they lead to are kept beside it.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fracseg_training.bones.sources import read_bare_bones, read_bare_fragments
from fracseg_training.data.cases import SUFFIX, CaseInfo, make_case, save_case
from fracseg_training.data.done import is_done, mark_done, unmark
from fracseg_training.data.prepare import WORKING_SPACING_MM, numbered_from_one
from fracseg_training.data.sources import anatomy_of
from fracseg_training.simulate.truth_case import TruthCase
from fracseg_training.synthesis.embed import Surroundings, embed_real_bones
from fracseg_training.synthesis.fracture_ct import FracturedPelvisConfig, fractured_pelvis
from fracseg_training.synthesis.label_map import read_label_map
from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.bones.crop import BoneCrop, bone_crops
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import NoBoneError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.pipeline.bones import find_bones
from FractureSegmentationLib.pipeline.fragments import GROWTH_MM, others_of, reach_of
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.resample import nearest_labels

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.types import HuArray, LabelArray, Spacing

_SLICE_MM = (0.8, 1.6)
_PIXEL_MM = (0.75, 1.0)
_BROKEN_BONES = (2, 4)


def add_broken_ct(out: Path, labels: Path, names: Path, number: int, seed: int) -> int:
    """The found bones of a CT of a broken pelvis that is made from a label map.

    Args:
        out: folder of cases.
        labels: label image of a whole body.
        names: JSON of its structures' names.
        number: which of the CTs that can be made from it.
        seed: of the body, its fractures and the scanner.
    """
    anatomy = anatomy_of(labels)
    name = f"found_{anatomy}_{number}"
    if is_done(out, name, {"seed": seed}):
        return 0
    rng = np.random.default_rng([seed, number, zlib.crc32(name.encode())])
    pixel_mm = float(rng.uniform(*_PIXEL_MM))
    config = FracturedPelvisConfig(
        spacing_mm=(float(rng.uniform(*_SLICE_MM)), pixel_mm, pixel_mm),
        broken_count=_BROKEN_BONES,
    )
    body = read_label_map(labels, names)
    made = fractured_pelvis(body.labels, body.names, body.spacing_mm, rng, config)
    info = _info(name, anatomy, "label map", seed)
    known = _known(made.hu, made.bones, made.fragments, made.spacing_mm)
    return _save(out, known, info, {"seed": seed})


def add_embedded_patient(
    out: Path, folder: Path, labels: Path, names: Path, number: int, seed: int
) -> int:
    """The found bones of a patient of whom only the bones are known, in the body of a label map.

    Args:
        out: folder of cases.
        folder: the patient's, see `real_cases`.
        labels: label image of a whole body.
        names: JSON of its structures' names.
        number: which of the bodies that can be made around the bones.
        seed: of the body and the scanner.
    """
    name = f"found_real_{folder.name}_{number}"
    settings: dict[str, int | str] = {"seed": seed, "body": anatomy_of(labels)}
    if is_done(out, name, settings):
        return 0
    rng = np.random.default_rng([seed, number, zlib.crc32(name.encode())])
    bare = read_bare_bones(folder / "ct.nii.gz", folder / "bones.nii.gz", WORKING_SPACING_MM[0])
    fragments = read_bare_fragments(folder / "fragments.nii.gz", folder / "bones.nii.gz", bare)
    around = Surroundings()
    made = embed_real_bones(bare, read_label_map(labels, names), rng, surroundings=around)
    fragments = np.pad(fragments, around.voxels(bare.spacing_mm))
    info = _info(name, folder.name, "real", seed)
    known = _known(made.hu, made.bones, fragments, made.spacing_mm)
    return _save(out, known, info, settings)


def found_cases(known: TruthCase, info: CaseInfo) -> Iterator[Case]:
    """Find the bones of a CT as a run of the pipeline does; one case per bone with any truth.

    Args:
        known: the CT.
        info: what the cases share; each gets its bone, and that in its name.

    Raises:
        NoBoneError: the networks find no bone.
        EnvironmentProblemError: their weights are missing or damaged.
    """
    ct = Volume(voxels=known.hu, geometry=known.geometry)
    found = find_bones(ct, SegmentSettings(device="cpu"), Progress()).bones
    margin_mm = FRACSEGMENTATOR.margin_mm + GROWTH_MM
    for crop in bone_crops(ct, found, margin_mm=margin_mm, spacing_mm=WORKING_SPACING_MM):
        truth = _truth_in(crop, known)
        if truth.any():
            bone = crop.bone.slug
            yield make_case(
                replace(info, name=f"{info.name}_{bone}", bone=bone),
                np.rint(crop.ct.voxels).astype(np.int16),
                numbered_from_one(truth),
                found=reach_of(crop, others_of(crop, found)),
            )


def _truth_in(crop: BoneCrop, known: TruthCase) -> LabelArray:
    """(K, J, I) fragments of a crop's bone on its working grid."""
    of_bone = known.bones[crop.box] == crop.bone.mask_value
    inside = np.where(of_bone, known.fragments[crop.box], 0)
    return nearest_labels(LabelVolume(voxels=inside, geometry=crop.native), crop.working).voxels


def _known(hu: HuArray, bones: LabelArray, fragments: LabelArray, spacing_mm: Spacing) -> TruthCase:
    k, j, i = hu.shape
    return TruthCase(
        hu=np.asarray(hu, np.int16),
        bones=np.asarray(bones, np.uint8),
        fragments=np.asarray(fragments, np.uint16),
        geometry=Geometry(shape=(k, j, i), spacing_mm=spacing_mm),
    )


def _info(name: str, patient: str, source: str, seed: int) -> CaseInfo:
    """What the cases of a CT share; which bone it is follows."""
    return CaseInfo(
        name=name,
        patient=patient,
        bone="",
        source=source,
        is_simulated=source != "real",
        spacing_mm=WORKING_SPACING_MM,
        seed=seed,
    )


def _save(out: Path, known: TruthCase, info: CaseInfo, settings: Mapping[str, int | str]) -> int:
    """Save the cases of a CT once all are made; none where the networks find no bone.

    Those of another seed, which have the same names, are replaced.
    """
    try:
        made = list(found_cases(known, info))
    except NoBoneError:
        made = []
    unmark(out, info.name)
    for bone in BONES:
        (out / f"{info.name}_{bone.slug}{SUFFIX}").unlink(missing_ok=True)
    for case in made:
        save_case(out, case)
    mark_done(out, info.name, settings, (case.info.name for case in made))
    return len(made)
