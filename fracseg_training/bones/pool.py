"""A folder of synthetic CTs, made once: the material of both bone networks.

Every volume is a function of the sources, the seed and its index; a pool can be filled by several
processes, interrupted and filled up again.
"""

from __future__ import annotations

import os
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fracseg_training.bones.bodies import SPACING_MM
from FractureSegmentationLib.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from fracseg_training.bones.bodies import CtSource
    from fracseg_training.synthesis.ct import SyntheticCt
    from FractureSegmentationLib.types import HuArray, LabelArray

_SUFFIX = ".npz"
_BONE_MARGIN_MM = 36.0
_COARSE_FACTOR = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolVolume:
    """One synthetic CT of a pool at the spacing of one stage, in canonical axes.

    Attributes:
        name: its file.
        hu: (K, J, I) int16 Hounsfield units.
        bones: (K, J, I) uint8 mask values 0 to 5.
    """

    name: str
    hu: HuArray
    bones: LabelArray


def fill_pool(source: CtSource, folder: Path, indices: range, seed: int, prefix: str = "") -> None:
    """Make the volumes of `indices` that are not there yet, for both stages.

    Args:
        source: makes the synthetic CT of an index.
        folder: the pool; gets the subfolders `coarse` and `fine`.
        indices: which volumes.
        seed: of the pool.
        prefix: begins the name of every volume; sources that share a pool need different ones.
    """
    for index in indices:
        name = f"{prefix}{index:04d}{_SUFFIX}"
        if (folder / "coarse" / name).exists() and (folder / "fine" / name).exists():
            continue
        ct = source.make(index, np.random.default_rng([seed, index]))
        _save(folder / "fine" / name, *_around_bones(ct))
        _save(folder / "coarse" / name, *halved(ct.hu, ct.bones))


def read_pool(folder: Path, stage: str) -> list[PoolVolume]:
    """All volumes of one stage, by name.

    Raises:
        InputError: there is none, or one is damaged.
    """
    paths = sorted((folder / stage).glob(f"*{_SUFFIX}"))
    if not paths:
        raise InputError(
            "There is no synthetic CT in the pool given.", "Run `fracseg train-bones pool` first."
        )
    return [_load(path) for path in paths]


def halved(hu: HuArray, bones: LabelArray) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint8]]:
    """Half the resolution: mean HU of every 2 x 2 x 2 block, and the label most of it has.

    A last odd slice, row or column is left out.

    Args:
        hu: (K, J, I) Hounsfield units.
        bones: (K, J, I) labels.

    Returns:
        (K // 2, J // 2, I // 2) HU and labels; of labels that tie, the smallest.
    """
    mean = _blocks(hu).mean(axis=(1, 3, 5), dtype=np.float32)
    blocks = _blocks(bones)
    votes = np.zeros(mean.shape, np.uint8)
    winner = np.zeros(mean.shape, np.uint8)
    for value in np.unique(bones):
        count = (blocks == value).sum(axis=(1, 3, 5), dtype=np.uint8)
        winner[count > votes] = value
        np.maximum(votes, count, out=votes)
    return np.rint(mean).astype(np.int16), winner


def _blocks(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    k, j, i = (n // _COARSE_FACTOR for n in array.shape)
    even = array[: 2 * k, : 2 * j, : 2 * i]
    return even.reshape(k, _COARSE_FACTOR, j, _COARSE_FACTOR, i, _COARSE_FACTOR)


def _around_bones(ct: SyntheticCt) -> tuple[HuArray, LabelArray]:
    margin = round(_BONE_MARGIN_MM / SPACING_MM)
    box = tuple(
        slice(max(int(where.min()) - margin, 0), int(where.max()) + 1 + margin)
        for where in np.nonzero(ct.bones)
    )
    return ct.hu[box], ct.bones[box]


def _save(path: Path, hu: HuArray, bones: LabelArray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with partial.open("wb") as stream:
        np.savez(stream, hu=hu, bones=bones)
    partial.replace(path)


def _load(path: Path) -> PoolVolume:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return PoolVolume(name=path.stem, hu=stored["hu"], bones=stored["bones"])
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"The synthetic CT {path.name} of the pool cannot be read.",
            "Delete it and run `fracseg train-bones pool` again.",
        ) from error
