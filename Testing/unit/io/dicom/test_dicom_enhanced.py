"""Enhanced (multi-frame) CT: every frame is placed, scaled and judged like a slice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.dicom.files import read_headers
from FractureSegmentationLib.io.dicom.series import choose_series, list_series
from FractureSegmentationLib.io.dicom.volume import read_series
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.volume import Volume
from Testing.unit.io.dicom_series import EnhancedMaker, code_in_jpeg_2000

Maker = Callable[..., "SeriesMaker"]  # noqa: F821 -- of this folder's conftest
OUT_OF_ORDER = (7, 0, 11, 3, 1, 2, 10, 4, 6, 5, 9, 8)


def _read(path: Path) -> tuple[Volume, tuple[str, ...]]:
    return read_series(choose_series(list_series(path.parent)))


def _refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        _read(path)
    assert caught.value.remedy
    return caught.value.message


@pytest.mark.parametrize(
    "shared",
    [{"orientation", "measures", "rescale"}, {"measures"}, set()],
    ids=["shared", "mixed", "per frame"],
)
def test_frames_are_the_same_volume_as_slices_wherever_their_fields_are_kept(
    series_maker: Maker, shared: set[str]
) -> None:
    """The known voxel of the oblique series: (3, 2, 5) at (7.45, -13.4, 29), see test_dicom."""
    axes = {"i_axis": (0.6, 0.8, 0.0), "j_axis": (0.0, 0.0, -1.0)}
    single, _ = read_series(list_series(series_maker("slices", **axes).write())[0])

    volume, notes = _read(
        EnhancedMaker(series_maker("frames", **axes), OUT_OF_ORDER, frozenset(shared)).write()
    )

    np.testing.assert_array_equal(volume.voxels, single.voxels)
    assert volume.geometry == single.geometry
    assert volume.voxels[3, 2, 5] == 703
    assert volume.geometry.to_lps(np.array([3, 2, 5])) == pytest.approx([7.45, -13.4, 29.0])
    assert notes == ()


def test_every_frame_is_rescaled_by_its_own_values(series_maker: Maker) -> None:
    """Slice 4 has slope 2 and intercept -100: 24·2 - 100 = -52."""

    def change(k: int, data: Dataset) -> None:
        if k == 4:
            data.RescaleSlope, data.RescaleIntercept = 2, -100

    maker = EnhancedMaker(series_maker(change=change), OUT_OF_ORDER, frozenset({"orientation"}))

    volume, _ = _read(maker.write())

    assert volume.voxels[4, 0, 0] == -52
    assert volume.voxels[5, 0, 0] == -1000


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless], ids=["RLE", "JPEG 2000"])
def test_compressed_frames_are_rescaled_by_their_own_values_too(
    series_maker: Maker, tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def change(k: int, data: Dataset) -> None:
        data.RescaleIntercept = -1024 - k

    def compress(data: Dataset) -> None:
        if syntax == RLELossless:
            data.compress(RLELossless, generate_instance_uid=False)
            return
        code_in_jpeg_2000(data, tmp_path)

    maker = EnhancedMaker(series_maker(change=change), OUT_OF_ORDER, frozenset(), compress)

    volume, _ = _read(maker.write())

    assert volume.voxels[:, 0, 0].tolist() == [-1000 - k for k in range(12)]
    assert volume.voxels[:, 2, 5].tolist() == [700] * 12
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shift_mm_per_slice": (0.0, 0.5, 0.0)}, "14.0 degrees"),
        (
            {"slice_positions_mm": [0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12]},
            "uneven, from 1.00 to 2.00 mm (the largest between slices 3 and 4 of 12)",
        ),
    ],
)
def test_tilted_and_uneven_frames_become_the_same_volume_as_slices(
    series_maker: Maker, changes: dict, words: str
) -> None:
    single, told = read_series(list_series(series_maker("slices", **changes).write())[0])

    volume, notes = _read(EnhancedMaker(series_maker("frames", **changes), OUT_OF_ORDER).write())

    assert volume.geometry == single.geometry
    np.testing.assert_array_equal(volume.voxels, single.voxels)
    assert notes == told
    assert len(notes) == 1
    assert words in notes[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"slice_positions_mm": [0, 2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 24]},
            "slices 5 and 6 of 12",
        ),
        (
            {"slice_positions_mm": [0, 2, 4, 6, 6, 8, 10, 12, 14, 16, 18, 20]},
            "slices 4 and 5 of 12",
        ),
        ({"shape": (9, 8, 10)}, "9 slices"),
        ({"fields": {"Modality": "MR"}}, "not a CT"),
    ],
)
def test_irregular_frames_are_refused_by_name_and_place(
    series_maker: Maker, changes: dict, words: str
) -> None:
    assert words in _refusal(EnhancedMaker(series_maker(**changes)).write())


def _remove_groups(data: Dataset) -> None:
    del data.PerFrameFunctionalGroupsSequence
    del data.SharedFunctionalGroupsSequence


def _remove_positions(data: Dataset) -> None:
    for groups in data.PerFrameFunctionalGroupsSequence:
        del groups.PlanePositionSequence


def _lose_a_frame(data: Dataset) -> None:
    data.PerFrameFunctionalGroupsSequence.pop()


def _map_blood_flow(data: Dataset) -> None:
    mapping, unit = Dataset(), Dataset()
    unit.CodeValue = "ml/100ml/s"
    mapping.MeasurementUnitsCodeSequence = [unit]
    data.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence = [mapping]


def _curve(data: Dataset) -> None:
    data.VolumetricProperties = "DISTORTED"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_remove_groups, "does not say where each frame lies"),
        (_remove_positions, "12 of 12 images without a usable position"),
        (_lose_a_frame, "damaged or truncated"),
        (_map_blood_flow, "other quantities than Hounsfield units"),
        (_curve, "distorted"),
    ],
)
def test_frames_that_cannot_be_placed_or_are_no_hounsfield_units_are_refused(
    series_maker: Maker, change: Callable[[Dataset], None], words: str
) -> None:
    assert words in _refusal(EnhancedMaker(series_maker(), change=change).write())


def test_a_truncated_file_of_frames_is_refused(series_maker: Maker) -> None:
    path = EnhancedMaker(series_maker()).write()
    path.write_bytes(path.read_bytes()[:-100])

    assert "damaged" in _refusal(path)


def test_two_scans_of_one_series_in_two_files_are_told_apart(series_maker: Maker) -> None:
    """Each is a volume; together they would be duplicate positions."""
    for name, count in (("rest.dcm", 11), ("stress.dcm", 12)):
        maker = series_maker(series_uid="1.2.3.4", shape=(count, 8, 10))
        path = EnhancedMaker(maker, name=name).write()

    found = list_series(path.parent)

    assert [len(one.images) for one in found] == [11, 12]
    assert _read(path)[0].geometry.shape == (12, 8, 10)
    assert "in one file" in found[0].described()
    assert read_ct(path.with_name("rest.dcm")).volume.geometry.shape == (11, 8, 10)


def test_a_scan_that_was_cut_into_two_files_is_put_together(series_maker: Maker) -> None:
    """The parts of a concatenation share an identifier."""

    def concatenated(data: Dataset) -> None:
        data.ConcatenationUID = "1.2.3.4.5"

    whole = series_maker(series_uid="1.2.3.4")
    for name, order in (("b.dcm", range(7)), ("a.dcm", range(7, 12))):
        path = EnhancedMaker(whole, list(order), change=concatenated, name=name).write()

    volume, _ = _read(path)

    assert volume.voxels[:, 2, 5].tolist() == [700 + k for k in range(12)]


def test_a_ct_of_frames_names_its_one_file(series_maker: Maker) -> None:
    path = EnhancedMaker(series_maker()).write()

    ct = read_ct(path)

    assert ct.files_read == (path,)
    assert ct.kind == "DICOM series"


def test_the_shared_enhanced_ct_is_a_map_of_blood_flow_in_two_frames(real_data: Path) -> None:
    """It is refused as such, though its frames are placed rightly: 10 mm apart, 0.388672 mm pixels.

    Frame 1 lies at z = -159, frame 2 at -149; the first axis points right, so the normal is -z.
    """
    path = real_data / "dicom/enhanced_ct/eCT_Supplemental.dcm"
    headers = read_headers(path)

    assert [header.position_lps_mm for header in headers] == [
        (99.5, -301.5, -159.0),
        (99.5, -301.5, -149.0),
    ]
    assert headers[0].spacing_mm == (0.388672, 0.388672)
    message = _refusal(path)
    assert "other quantities than Hounsfield units" in message
    assert "2 slices" in message
