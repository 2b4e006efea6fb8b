from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from FractureSegmentationLib.io.verify import has_whole_voxel_data

COMPRESSED = ("nii.gz", "mha", "mhd", "nrrd", "nhdr")


def _write(folder: Path, ending: str, *, compressed: bool = True) -> Path:
    """An image of random voxels; returns the file that holds them."""
    voxels = np.random.default_rng(3).integers(0, 4000, (12, 30, 30)).astype(np.int16)
    path = folder / f"image.{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(path), compressed)
    return path


def _voxel_file(path: Path) -> Path:
    return path.with_suffix({".mhd": ".zraw", ".nhdr": ".raw.gz"}.get(path.suffix, path.suffix))


@pytest.mark.parametrize("ending", ["nii", *COMPRESSED])
def test_a_file_as_it_was_written_is_whole(tmp_path: Path, ending: str) -> None:
    assert has_whole_voxel_data(_write(tmp_path, ending))


@pytest.mark.parametrize("ending", ["nii", *COMPRESSED])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.6, 0.999])
def test_a_file_that_ends_early_is_not_whole(tmp_path: Path, ending: str, share: float) -> None:
    path = _write(tmp_path, ending)
    holder = _voxel_file(path)
    content = holder.read_bytes()
    holder.write_bytes(content[: int(share * len(content))])
    if ending in {"mha", "nrrd"} and share == 0.0:
        return  # nothing is left that says it was compressed; SimpleITK refuses an empty file

    assert not has_whole_voxel_data(path)


@pytest.mark.parametrize("ending", ["mha", "mhd", "nrrd", "nhdr"])
@pytest.mark.parametrize("place", [0.3, 0.7, 0.95])
def test_one_changed_byte_in_compressed_voxels_is_found(
    tmp_path: Path, ending: str, place: float
) -> None:
    path = _write(tmp_path, ending)
    holder = _voxel_file(path)
    content = bytearray(holder.read_bytes())
    content[int(place * len(content))] ^= 0x55
    holder.write_bytes(bytes(content))

    assert not has_whole_voxel_data(path)


def test_a_gzip_file_of_several_parts_is_whole(tmp_path: Path, nifti: Callable[..., bytes]) -> None:
    """Parallel compressors write parts; the size at the end of the file is the last part's only."""
    content = nifti(np.arange(4000, dtype=np.int16).reshape(20, 20, 10), np.eye(4)[:3])
    parts = gzip.compress(content[:5000]) + gzip.compress(content[5000:])
    (tmp_path / "image.nii.gz").write_bytes(parts)

    assert has_whole_voxel_data(tmp_path / "image.nii.gz")


def test_an_unpacked_file_with_a_packed_files_name_is_judged_by_its_content(
    tmp_path: Path, nifti: Callable[..., bytes]
) -> None:
    content = nifti(np.zeros((5, 5, 5), np.int16), np.eye(4)[:3])
    (tmp_path / "a.nii.gz").write_bytes(content)
    (tmp_path / "b.nii.gz").write_bytes(content[:-1])

    assert has_whole_voxel_data(tmp_path / "a.nii.gz")
    assert not has_whole_voxel_data(tmp_path / "b.nii.gz")


def test_a_text_file_is_no_whole_image(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_text("hello")
    (tmp_path / "a.nii.gz").write_text("hello")

    assert not has_whole_voxel_data(tmp_path / "a.nii")
    assert not has_whole_voxel_data(tmp_path / "a.nii.gz")


def test_a_header_without_its_voxel_file_is_not_whole(tmp_path: Path) -> None:
    path = _write(tmp_path, "mhd")
    path.with_suffix(".zraw").unlink()

    assert not has_whole_voxel_data(path)


def test_a_voxel_file_named_outside_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    path = _write(folder, "mhd")
    path.with_suffix(".zraw").rename(tmp_path / "image.zraw")
    path.write_text(path.read_text().replace("image.zraw", "../image.zraw"))

    assert not has_whole_voxel_data(path)
