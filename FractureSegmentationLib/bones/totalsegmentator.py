"""Bones by TotalSegmentator, where the user has installed it; this project does not require it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.errors import EnvironmentProblemError, NoBoneError
from FractureSegmentationLib.io.grid import placed_on_grid
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.io.temporary import clear_scratch, scratch_folder
from FractureSegmentationLib.volume import LabelVolume, Volume

PELVIC_STRUCTURES: Mapping[str, str] = {
    "sacrum": "sacrum",
    "vertebrae_S1": "sacrum",
    "hip_left": "left_hip",
    "hip_right": "right_hip",
    "femur_left": "left_femur",
    "femur_right": "right_femur",
}
"""Structure of a whole-body label map to slug of our catalogue; such maps cut S1 out."""

Segment = Callable[[Path, Path, list[str], str], None]
"""Writes one mask file per structure: input file, output folder, structures, device."""


def bones_by_totalsegmentator(
    ct: Volume, device: str, segment: Segment | None = None
) -> LabelVolume:
    """Find the bones with the installed TotalSegmentator.

    Args:
        ct: the CT.
        device: auto, cpu, cuda, cuda:N or mps.
        segment: what segments; None takes the installed package.

    Returns:
        uint8 mask values on the CT's grid.

    Raises:
        EnvironmentProblemError: the package is not installed, or it failed.
        NoBoneError: it detected none of the bones.
    """
    if segment is None:
        require_totalsegmentator()
        segment = _run_package
    voxels = np.zeros(ct.geometry.shape, np.uint8)
    clear_scratch()
    with scratch_folder() as folder:
        write_volume(folder / "ct.nii.gz", ct)
        try:
            segment(folder / "ct.nii.gz", folder / "bones", list(PELVIC_STRUCTURES), device)
        except MemoryError:
            raise
        except Exception as error:
            raise EnvironmentProblemError(
                "TotalSegmentator failed.",
                "Run it on its own to see why, or find the bones another way with --bones.",
            ) from error
        for structure, slug in PELVIC_STRUCTURES.items():
            path = folder / "bones" / f"{structure}.nii.gz"
            if path.is_file():
                mask = placed_on_grid(read_labels(path), ct.geometry).voxels != 0
                voxels[mask] = bone_named(slug).mask_value
    if not voxels.any():
        raise NoBoneError("TotalSegmentator found none of the bones.", "Check the series.")
    return LabelVolume(voxels=voxels, geometry=ct.geometry)


def require_totalsegmentator() -> None:
    """Go on only if the package is installed.

    Raises:
        EnvironmentProblemError: it is not.
    """
    if importlib.util.find_spec("totalsegmentator") is None:
        raise EnvironmentProblemError(
            "TotalSegmentator is not installed.",
            "Install it with: python -m pip install TotalSegmentator, or use --bones auto.",
        )


def _run_package(ct: Path, out: Path, structures: list[str], device: str) -> None:
    from totalsegmentator.map_to_binary import class_map
    from totalsegmentator.python_api import totalsegmentator

    known: set[str] = set(class_map["total"].values())
    options: dict[str, Any] = {"roi_subset": [name for name in structures if name in known]}
    if device != "auto":
        # TotalSegmentator says gpu where PyTorch says cuda.
        options["device"] = device.replace("cuda", "gpu")
    totalsegmentator(ct, out, quiet=True, **options)
