"""The hash of a request: the same exactly when the same result is to be expected."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.batch import one_case as fingerprint
from FractureSegmentationLib.batch.one_case import request_sha256
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import RunCancelledError
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.pipeline import CaseRequest
from FractureSegmentationLib.pipeline.models import Weights
from FractureSegmentationLib.progress import CancelToken

WEIGHTS = (Weights(name="one", sha256="0" * 64),)


@pytest.fixture
def request_for(tmp_path: Path) -> CaseRequest:
    """A DICOM-like folder of three files, one of them in a subfolder, and a bone file."""
    folder = tmp_path / "Jane Doe"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("1.dcm", "2.dcm", "sub/3.dcm")):
        (folder / name).write_bytes(bytes([number]) * 100)
    (tmp_path / "bones.nii.gz").write_bytes(b"bones")
    return CaseRequest(ct=folder, out=tmp_path / "out", other_inputs=(tmp_path / "bones.nii.gz",))


def sha256(request: CaseRequest, weights: tuple[Weights, ...] = WEIGHTS) -> str:
    return request_sha256(request, weights, CancelToken())


def test_names_places_dates_device_and_output_do_not_matter(
    request_for: CaseRequest, tmp_path: Path
) -> None:
    before = sha256(request_for)
    moved = tmp_path / "elsewhere"
    shutil.copytree(request_for.ct, moved)
    (moved / "2.dcm").rename(moved / "sub" / "renamed")
    os.utime(moved / "1.dcm", (1, 1))
    settings = SegmentSettings(device="cuda:3", precision="fp16")

    changed = replace(request_for, ct=moved, settings=settings, out=tmp_path / "b", overwrite=True)

    assert sha256(changed) == before
    assert len(before) == 64


@pytest.mark.parametrize(
    "changes",
    [
        {"series": "2"},
        {"writes_meshes": False},
        {"settings": SegmentSettings(bones="threshold")},
        {"settings": SegmentSettings(only=("sacrum",))},
        {"settings": SegmentSettings(numbering=PENGWIN_2024)},
        {"settings": SegmentSettings(keeps_maps=True)},
        {"settings": SegmentSettings(recovery=RecoveryConfig(mode="paper"))},
        {"other_inputs": ()},
    ],
)
def test_whatever_changes_the_result_changes_the_hash(
    request_for: CaseRequest, changes: dict[str, object]
) -> None:
    assert sha256(replace(request_for, **changes)) != sha256(request_for)


def test_other_weights_or_another_version_change_the_hash(
    request_for: CaseRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sha256(request_for)

    assert sha256(request_for, (Weights(name="one", sha256="1" * 64),)) != before
    monkeypatch.setattr(fingerprint, "__version__", "99.0.0")
    assert sha256(request_for) != before


@pytest.mark.parametrize("name", ["sub/3.dcm", "1.dcm"])
def test_one_changed_byte_changes_the_hash_even_with_the_same_size_and_date(
    request_for: CaseRequest, name: str
) -> None:
    before = sha256(request_for)
    file = request_for.ct / name
    times = (file.stat().st_atime_ns, file.stat().st_mtime_ns)
    file.write_bytes(b"x" + file.read_bytes()[1:])
    os.utime(file, ns=times)

    assert sha256(request_for) != before


def test_a_file_of_a_series_or_a_header_stands_for_what_lies_beside_it(tmp_path: Path) -> None:
    for name in ("a.mhd", "a.raw"):
        (tmp_path / name).write_bytes(name.encode())
    request = CaseRequest(ct=tmp_path / "a.mhd", out=tmp_path / "out")
    before = sha256(request)
    (tmp_path / "a.raw").write_bytes(b"other voxels")
    assert sha256(request) != before


def test_an_image_file_stands_for_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"a")
    request = CaseRequest(ct=tmp_path / "a.nii.gz", out=tmp_path / "out")
    before = sha256(request)
    (tmp_path / "b.nii.gz").write_bytes(b"b")
    assert sha256(request) == before


def test_reading_stops_when_the_run_is_cancelled(request_for: CaseRequest) -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(RunCancelledError):
        request_sha256(request_for, WEIGHTS, token)
