"""Predicted maps of simulated bones, kept on disk: the networks run once, training runs often.

A bone is predicted under its exact mask, and under one that is a voxel off, from a flipped view or
as the mean over flips: what merging meets in use is no exact mask.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
import torch

from fracseg_training.data.cases import CaseInfo
from fracseg_training.fragments.score import changed_mask, predicted_map, truth_on_mask
from fracseg_training.training.augment import perturb_mask
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.volume import FragmentMap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.inference.predictor import Predictor
    from FractureSegmentationLib.types import LabelArray, MaskArray

View = Literal["exact", "flipped", "flips", "eroded", "dilated", "perturbed"]
VIEWS: tuple[View, ...] = get_args(View)
SUFFIX = ".map.npz"
_PERTURBED_MM = 2.0
_FLIPS: tuple[tuple[int, ...], ...] = ((), (2,), (1,), (0,))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneMap:
    """A bone with its truth, and what a network says of it under one view.

    Attributes:
        info: of the case.
        view: how it was looked at.
        hu: (K, J, I) int16 Hounsfield units.
        mask: (K, J, I) what was given as the bone.
        fragments: (K, J, I) uint8 true fragments on the extent of the mask.
        probabilities: (C, K, J, I) uint8 of `bicm.CHANNELS`, 255 = certain.
    """

    info: CaseInfo
    view: View
    hu: npt.NDArray[np.int16]
    mask: MaskArray
    fragments: LabelArray
    probabilities: npt.NDArray[np.uint8]

    def fragment_map(self) -> FragmentMap:
        """The map as recovery takes it."""
        k, j, i = self.mask.shape
        return FragmentMap(
            voxels=self.probabilities.astype(np.float16) / np.float16(255.0),
            geometry=Geometry(shape=(k, j, i), spacing_mm=self.info.spacing_mm),
            channels=bicm.CHANNELS,
        )


def predicted_views(case: Case, views: Sequence[View], predictor: Predictor) -> Iterator[BoneMap]:
    """Predict a bone under several views.

    Args:
        case: the bone with its truth.
        views: how to look at it.
        predictor: runs the network.
    """
    bone = case.fragments > 0
    for view in views:
        mask = _mask_of(case, bone, view)
        flips = {"flipped": _FLIPS[1:2], "flips": _FLIPS}.get(view, _FLIPS[:1])
        total = np.zeros((len(bicm.CHANNELS), *mask.shape), np.float32)
        for axes in flips:
            total += _predicted(case, mask, axes, predictor)
        yield BoneMap(
            info=case.info,
            view=view,
            hu=np.asarray(case.hu, np.int16),
            mask=mask,
            fragments=truth_on_mask(case.fragments, mask, case.info.spacing_mm),
            probabilities=np.rint(255.0 * total / len(flips)).astype(np.uint8),
        )


def save_map(folder: Path, bone: BoneMap) -> Path:
    """Write a map into a folder, whole or not at all; returns its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = map_path(folder, bone.info.name, bone.view)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(
            stream,
            allow_pickle=False,
            info=np.array(json.dumps({**asdict(bone.info), "view": bone.view})),
            hu=bone.hu,
            mask=np.packbits(bone.mask),
            fragments=bone.fragments,
            probabilities=np.where(bone.mask, bone.probabilities, 0),
        )
    partial.replace(path)
    return path


def load_map(path: Path) -> BoneMap:
    """Read a map.

    Raises:
        InputError: the file is none, or it is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            entries = json.loads(str(stored["info"]))
            view = entries.pop("view")
            k, j, i = (float(s) for s in entries.pop("spacing_mm"))
            hu = stored["hu"]
            mask = np.unpackbits(stored["mask"], count=hu.size).reshape(hu.shape).astype(bool)
            return BoneMap(
                info=CaseInfo(**entries, spacing_mm=(k, j, i)),
                view=view,
                hu=hu,
                mask=mask,
                fragments=stored["fragments"],
                probabilities=stored["probabilities"],
            )
    except (OSError, KeyError, ValueError, TypeError, EOFError, zlib.error) as error:
        raise InputError(
            f"The predicted map {path.name} cannot be read.",
            "Delete it and run the command again.",
        ) from error


def map_path(folder: Path, name: str, view: View) -> Path:
    """Where a folder holds the map of a case under a view."""
    return folder / f"{name}.{view}{SUFFIX}"


def _mask_of(case: Case, bone: MaskArray, view: View) -> MaskArray:
    if view in ("eroded", "dilated"):
        changed = changed_mask(bone, view)
        return changed if changed.any() else bone
    if view == "perturbed":
        rng = np.random.default_rng([case.info.seed, zlib.crc32(case.info.name.encode())])
        spacing_mm = float(np.mean(case.info.spacing_mm))
        mask = torch.from_numpy(bone)
        return np.asarray(perturb_mask(mask, rng, _PERTURBED_MM, spacing_mm).numpy(), bool)
    return bone


def _predicted(
    case: Case, mask: MaskArray, axes: tuple[int, ...], predictor: Predictor
) -> npt.NDArray[np.float32]:
    """The map of a bone seen with some axes turned round, turned back again."""
    turned = replace(
        case,
        hu=np.ascontiguousarray(np.flip(case.hu, axes)),
        fragments=np.ascontiguousarray(np.flip(case.fragments, axes)),
        classes=np.ascontiguousarray(np.flip(case.classes, axes)),
        found=None,
    )
    found = predicted_map(turned, np.ascontiguousarray(np.flip(mask, axes)), predictor)
    back = tuple(axis + 1 for axis in axes)
    return np.flip(np.asarray(found.voxels, np.float32), back)
