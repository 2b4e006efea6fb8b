"""Decoding one compressed DICOM image with SimpleITK, which has decoders for the JPEG family."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from FractureSegmentationLib.io.sitk import quiet_itk

_STDERR = 2
_one_at_a_time = threading.Lock()


def decoded(path: Path) -> npt.NDArray[Any]:
    """(J, I) values of a DICOM file that holds one image and no rescale.

    Raises:
        RuntimeError: of SimpleITK: it is damaged or of an unknown coding.
        ValueError: it holds more than one image.
    """
    with quiet_itk(), _silent_stderr():
        voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return np.asarray(voxels.reshape(voxels.shape[-2:]))


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Swallow what libjpeg prints of every image, right or wrong, straight into the terminal."""
    with _one_at_a_time:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # a program without a terminal has none
            yield
            return
        try:
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
