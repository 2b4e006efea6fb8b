from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage, generate_uid

from FractureSegmentationLib.errors import InputError, RunCancelledError
from FractureSegmentationLib.io.dicom.series import choose_series, list_series
from FractureSegmentationLib.io.dicom.volume import read_series
from FractureSegmentationLib.io.read import read_ct
from FractureSegmentationLib.progress import CancelToken, Event, Progress
from FractureSegmentationLib.volume import Volume
from Testing.unit.io.dicom_series import code_in_jpeg_2000

Maker = Callable[..., "SeriesMaker"]  # noqa: F821 -- of this folder's conftest


def _read(folder: Path, wanted: str | None = None) -> Volume:
    return read_series(choose_series(list_series(folder), wanted))[0]


def _refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        _read(folder)
    assert caught.value.remedy
    assert str(folder) not in str(caught.value)
    return caught.value.message


def test_a_straight_series_keeps_its_geometry_and_its_hounsfield_units(series_maker: Maker) -> None:
    volume = _read(series_maker().write())

    assert volume.geometry.shape == (12, 8, 10)
    assert volume.geometry.spacing_mm == (2.0, 0.5, 0.75)
    assert volume.geometry.origin_lps_mm == (10.0, -20.0, 30.0)
    assert volume.voxels.dtype == np.int16
    assert volume.voxels[:, 2, 5].tolist() == [700 + k for k in range(12)]
    assert (volume.voxels[:, 0, 0] == -1000).all()


def test_a_known_voxel_of_an_oblique_series_lies_where_its_header_says(series_maker: Maker) -> None:
    """i = (0.6, 0.8, 0), j = (0, 0, -1), so the normal is i x j = (-0.8, 0.6, 0).

    Voxel (k, j, i) = (3, 2, 5): (10, -20, 30) + 5·0.75·(0.6, 0.8, 0) + 2·0.5·(0, 0, -1)
    + 3·2·(-0.8, 0.6, 0) = (7.45, -13.4, 29).
    """
    maker = series_maker(i_axis=(0.6, 0.8, 0.0), j_axis=(0.0, 0.0, -1.0))

    volume = _read(maker.write())

    assert volume.voxels[3, 2, 5] == 703
    assert volume.geometry.to_lps(np.array([3, 2, 5])) == pytest.approx([7.45, -13.4, 29.0])


def test_names_of_files_do_not_decide_the_order(series_maker: Maker) -> None:
    order = np.random.default_rng(7).permutation(12)

    volume = _read(series_maker(file_name=lambda k: f"{order[k]:02d}.dcm").write())

    assert volume.voxels[:, 2, 5].tolist() == [700 + k for k in range(12)]


def test_slices_written_from_the_head_down_are_sorted_upwards(series_maker: Maker) -> None:
    """Slice k lies 2k mm below the first; sorted along the normal the last one comes first."""
    volume = _read(series_maker(slice_positions_mm=[-2.0 * k for k in range(12)]).write())

    assert volume.voxels[:, 2, 5].tolist() == [711 - k for k in range(12)]
    assert volume.geometry.origin_lps_mm == (10.0, -20.0, 8.0)
    assert volume.geometry.direction[0] == (0.0, 0.0, 1.0)


def test_a_mirrored_image_axis_turns_the_normal(series_maker: Maker) -> None:
    """i points to the right, so the normal points to the feet and the grid stays right-handed."""
    volume = _read(series_maker(i_axis=(-1.0, 0.0, 0.0)).write())

    assert volume.geometry.direction == ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0))
    assert volume.geometry.to_lps(np.array([3, 2, 5])) == pytest.approx([6.25, -19.0, 24.0])
    assert volume.voxels[3, 2, 5] == 703


def test_simpleitk_agrees_on_a_regular_oblique_series(series_maker: Maker) -> None:
    folder = series_maker(i_axis=(0.6, 0.8, 0.0), j_axis=(0.0, 0.0, -1.0)).write()
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    theirs = reader.Execute()

    ours = _read(folder)

    for index in ((0, 0, 0), (5, 2, 3), (9, 7, 11)):
        assert theirs.TransformIndexToPhysicalPoint(index) == pytest.approx(
            ours.geometry.to_lps(np.array(index[::-1])), abs=1e-6
        )
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs), ours.voxels)


def test_rescale_is_taken_from_every_slice(series_maker: Maker) -> None:
    """Slice 4 has slope 2 and intercept -100: 24·2 - 100 = -52."""

    def change(k: int, data: Dataset) -> None:
        if k == 4:
            data.RescaleSlope, data.RescaleIntercept = 2, -100

    volume = _read(series_maker(change=change).write())

    assert volume.voxels[4, 0, 0] == -52
    assert volume.voxels[5, 0, 0] == -1000


def test_a_fractional_slope_keeps_its_fractions(series_maker: Maker) -> None:
    volume = _read(series_maker(fields={"RescaleSlope": "0.5"}).write())

    assert volume.voxels.dtype == np.float32
    assert volume.voxels[1, 2, 5] == 1725 * 0.5 - 1024


def test_high_padding_is_air_and_tissue_like_padding_is_left_alone(series_maker: Maker) -> None:
    """Stored 30000 is 28976 HU; stored 1730 is 706 HU, which is the bone voxel of slice 6."""

    def change(k: int, data: Dataset) -> None:
        pixels = np.frombuffer(data.PixelData, np.int16).copy()
        pixels[:3] = 30_000
        data.PixelData = pixels.tobytes()
        data.PixelPaddingValue = 1730 if k == 6 else 30_000

    volume = _read(series_maker(change=change).write())

    assert volume.voxels[3, 0, :4].tolist() == [-1024, -1024, -1024, -1000]
    assert volume.voxels[6, 0, 0] == 28_976
    assert volume.voxels[6, 2, 5] == 706


@pytest.mark.parametrize(("value", "limit"), [(20_000, 32_000), (32_000, 20_000), (-3000, -1500)])
def test_a_range_of_padding_is_air(series_maker: Maker, value: int, limit: int) -> None:
    """Stored 19999 is 18975 HU, just outside the range; -1500 is -2524 HU."""
    inside = sorted((value, (value + limit) // 2, limit))

    def change(_: int, data: Dataset) -> None:
        pixels = np.frombuffer(data.PixelData, np.int16).copy()
        pixels[:3] = inside
        pixels[3] = 19_999
        data.PixelData = pixels.tobytes()
        data.PixelPaddingValue, data.PixelPaddingRangeLimit = value, limit

    volume = _read(series_maker(change=change).write())

    assert volume.voxels[3, 0, :5].tolist() == [-1024, -1024, -1024, 18_975, -1000]


def test_tissue_within_a_range_of_padding_is_left_alone(series_maker: Maker) -> None:
    """From 1730 (706 HU, which is bone in slice 6) to 30000: only what no tissue has is padding."""

    def change(_: int, data: Dataset) -> None:
        pixels = np.frombuffer(data.PixelData, np.int16).copy()
        pixels[:3] = 30_000
        data.PixelData = pixels.tobytes()
        data.PixelPaddingValue, data.PixelPaddingRangeLimit = 1730, 30_000

    volume = _read(series_maker(change=change).write())

    assert volume.voxels[6, 0, :3].tolist() == [-1024, -1024, -1024]
    assert volume.voxels[6, 2, 5] == 706


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"shift_mm_per_slice": (0.0, 3.0, 0.0)},
            ["tilted", "up to 33.0 mm (slice 12 of 12)", "56.3 degrees"],
        ),
        (
            {"slice_positions_mm": [0, 2, 4, 6, 8, 12, 14, 16, 18, 20, 22, 24]},
            ["uneven steps from 2.00 to 4.00 mm", "between slices 5 and 6 of 12"],
        ),
        (
            {"slice_positions_mm": [0, 2, 4, 6, 6, 8, 10, 12, 14, 16, 18, 20]},
            ["1 duplicate positions", "slices 4 and 5 of 12"],
        ),
        ({"shape": (9, 8, 10)}, ["9 slices", "at least 10"]),
        ({"fields": {"Modality": "MR"}}, ["not a CT", "MR"]),
        ({"fields": {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}}, ["localizer"]),
        ({"fields": {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}}, ["secondary capture"]),
        ({"fields": {"NumberOfFrames": 2}}, ["frames of one file"]),
        ({"fields": {"RescaleType": "Z_EFF"}}, ["other quantities"]),
        ({"fields": {"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}}, ["colour"]),
        ({"fields": {"ImagePositionPatient": None}}, ["12 of 12 images without a usable position"]),
        ({"fields": {"ImageOrientationPatient": [1, 0, 0, 0, 0.7, 0]}}, ["without a usable"]),
        ({"fields": {"PixelSpacing": None}}, ["without a usable"]),
    ],
)
def test_what_is_no_regular_ct_is_refused_by_name_and_place(
    series_maker: Maker, changes: dict, words: list[str]
) -> None:
    message = _refusal(series_maker(**changes).write())

    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 0, 0.96, 0.28], "different orientations"),
        ("PixelSpacing", [0.5, 0.8], "different pixel spacings"),
        ("Modality", "PT", "not a CT"),
        ("ImagePositionPatient", None, "1 of 12 images without"),
    ],
)
def test_one_odd_slice_spoils_the_series(
    series_maker: Maker, field: str, value: object, word: str
) -> None:
    def change(k: int, data: Dataset) -> None:
        if k == 5:
            setattr(data, field, value)

    assert word in _refusal(series_maker(change=change).write())


def test_one_slice_of_another_size_spoils_the_series(series_maker: Maker) -> None:
    folder = series_maker(series_uid="1.2.3.4").write()
    series_maker(
        series_uid="1.2.3.4",
        shape=(1, 6, 10),
        slice_positions_mm=[24.0],
        file_name=lambda _: "odd.dcm",
    ).write()

    assert "different sizes (6 x 10, 8 x 10)" in _refusal(folder)


def test_a_missing_slice_is_noticed_even_near_the_end(series_maker: Maker) -> None:
    folder = series_maker(shape=(60, 8, 10), spacing_mm=(0.4, 0.5, 0.75)).write()
    (folder / "slice_058.dcm").unlink()

    volume, notes = read_series(list_series(folder)[0])

    assert "between slices 58 and 59 of 59" in notes[0]
    assert volume.geometry.shape[0] == 60


def test_a_missing_slice_is_noticed_among_steps_of_a_tenth_of_a_millimetre(
    series_maker: Maker,
) -> None:
    """The slices beside the gap are 0.05 mm off their even places: less than the 0.1 mm allowed."""
    heights = [0.1 * k for k in range(41) if k != 20]

    _, notes = read_series(list_series(series_maker(slice_positions_mm=heights).write())[0])

    assert "between slices 20 and 21 of 40" in notes[0]


def test_positions_rounded_to_tenths_still_make_a_regular_series(series_maker: Maker) -> None:
    """Steps of 0.625 mm appear as 0.6 and 0.7 mm; each slice is within 0.05 mm of its place."""
    heights = [round(0.625 * k, 1) for k in range(40)]

    volume = _read(series_maker(slice_positions_mm=heights).write())

    assert volume.geometry.spacing_mm[0] == pytest.approx(0.625, abs=0.003)


def test_all_problems_are_told_geometry_first(series_maker: Maker) -> None:
    def lean(_k: int, data: Dataset) -> None:
        x, y, z = data.ImagePositionPatient
        data.ImagePositionPatient = [x + 0.2 * z, y, z]

    message = _refusal(
        series_maker(
            slice_positions_mm=[0, 2, 4, 9],
            change=lean,
            fields={"Modality": "MR"},
        ).write()
    )

    places = [message.index(w) for w in ("tilted", "uneven", "not a CT", "4 slices")]
    assert places == sorted(places)


def test_the_remedy_fits_the_worst_problem(series_maker: Maker) -> None:
    remedies = []
    for name, changes in (
        ("gap", {"slice_positions_mm": [*range(0, 22, 2), 30]}),
        ("double", {"slice_positions_mm": [0, 0, *range(1, 12)]}),
        ("mr", {"fields": {"Modality": "MR"}, "slice_positions_mm": [*range(0, 22, 2), 30]}),
    ):
        with pytest.raises(InputError) as caught:
            _read(series_maker(name, **changes).write())
        remedies.append(caught.value.remedy)

    assert "with all its slices" in remedies[0]
    assert "every scan or phase" in remedies[1]
    assert "Give a CT series" in remedies[2]


def test_exact_copies_of_a_file_count_once(series_maker: Maker) -> None:
    folder = series_maker().write()
    shutil.copy(folder / "slice_003.dcm", folder / "copy of slice.dcm")

    assert _read(folder).geometry.shape == (12, 8, 10)


def test_two_images_that_differ_at_one_place_do_not_count_as_copies(series_maker: Maker) -> None:
    def change(_k: int, data: Dataset) -> None:
        data.SOPInstanceUID = "1.2.3.4.5"

    folder = series_maker(
        slice_positions_mm=[0, 2, 4, 4, 6, 8, 10, 12, 14, 16, 18, 20], change=change
    ).write()

    assert "duplicate positions" in _refusal(folder)


def test_a_truncated_slice_is_refused_by_its_place(series_maker: Maker) -> None:
    folder = series_maker().write()
    path = folder / "slice_004.dcm"
    path.write_bytes(path.read_bytes()[:-40])

    assert "Slice 5 of 12 is damaged" in _refusal(folder)


@pytest.mark.parametrize("content", [b"", b"garbage" * 40, b"\0" * 128 + b"DICM\x02\x00"])
def test_an_unreadable_file_beside_the_series_is_not_passed_over(
    series_maker: Maker, content: bytes
) -> None:
    """It may be the last slice: nothing else would tell that it is missing."""
    folder = series_maker().write()
    (folder / "slice_012.dcm").write_bytes(content)

    assert "1 DICOM file of the folder is damaged" in _refusal(folder)


def test_other_files_and_folders_are_passed_over(series_maker: Maker) -> None:
    folder = series_maker().write()
    (folder / "notes.txt").write_text("hello")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    (folder / "empty").mkdir()
    (folder / "broken link").symlink_to(folder / "nowhere")

    assert _read(folder).geometry.shape == (12, 8, 10)


def test_a_series_in_nested_folders_without_file_endings_is_found(series_maker: Maker) -> None:
    folder = series_maker("disc/DICOM/ST0/SE0", file_name=lambda k: f"IM{k}").write()

    assert _read(folder.parents[2]).geometry.shape == (12, 8, 10)


def test_files_without_preamble_are_read(series_maker: Maker) -> None:
    folder = series_maker().write()
    for path in folder.iterdir():
        content = path.read_bytes()
        # The file meta group ends where group 0008 begins.
        path.write_bytes(content[content.index(b"\x08\x00\x08\x00CS") :])

    assert _read(folder).voxels[3, 2, 5] == 703


def test_a_folder_without_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")

    with pytest.raises(InputError, match="holds no DICOM image"):
        list_series(tmp_path)


def test_the_ct_with_most_slices_is_taken(series_maker: Maker) -> None:
    series_maker("all/small", shape=(11, 8, 10)).write()
    large = series_maker("all/large", shape=(13, 8, 10)).write()
    series_maker("all/mr", shape=(20, 8, 10), fields={"Modality": "MR"}).write()
    series_maker(
        "all/scout", shape=(15, 8, 10), fields={"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    ).write()

    assert _read(large.parent).geometry.shape == (13, 8, 10)


def test_localizers_inside_a_series_are_set_apart(series_maker: Maker) -> None:
    def change(_k: int, data: Dataset) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    folder = series_maker(series_uid="1.2.3.4").write()
    series_maker(
        series_uid="1.2.3.4",
        shape=(2, 8, 10),
        j_axis=(0.0, 0.0, -1.0),
        change=change,
        file_name=lambda k: f"scout{k}.dcm",
    ).write()

    assert _read(folder, "1.2.3.4").geometry.shape == (12, 8, 10)
    assert [len(one.images) for one in list_series(folder)] == [2, 12]


def _screen_save(folder: Path) -> None:
    template = pydicom.dcmread(sorted(folder.glob("*.dcm"))[0])
    template.SOPClassUID = SecondaryCaptureImageStorage
    template.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    template.SOPInstanceUID = generate_uid()
    template.save_as(folder / "capture.dcm")


def _colour_picture(folder: Path) -> None:
    template = pydicom.dcmread(sorted(folder.glob("*.dcm"))[0])
    template.SamplesPerPixel, template.PhotometricInterpretation = 3, "RGB"
    template.PlanarConfiguration, template.BitsAllocated = 0, 8
    template.BitsStored, template.HighBit, template.PixelRepresentation = 8, 7, 0
    template.PixelData = bytes(template.Rows * template.Columns * 3)
    template.SOPInstanceUID = generate_uid()
    template.save_as(folder / "colour.dcm")


def _apple_double(folder: Path) -> None:
    for path in sorted(folder.glob("*.dcm")):
        path.with_name(f"._{path.name}").write_bytes(b"\x00\x05\x16\x07" + bytes(92))


def _structured_report(folder: Path) -> None:
    report = pydicom.dcmread(sorted(folder.glob("*.dcm"))[0])
    for name in ("Rows", "Columns", "PixelData"):
        delattr(report, name)
    report.SOPClassUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.11", "SR"
    report.SOPInstanceUID = generate_uid()
    report.save_as(folder / "report.dcm")


def _other_files(folder: Path) -> None:
    (folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / ".DS_Store").write_bytes(b"\x00\x00\x00\x01Bud1")
    (folder / "readme.txt").write_text("export of the CT")


BESIDE: dict[str, tuple[Callable[[Path], None], str]] = {
    "screen save": (_screen_save, "1 picture (a screen save or colour) in the series: set apart"),
    "colour picture": (_colour_picture, "1 picture (a screen save or colour) in the series"),
    "files of macOS": (_apple_double, "12 files of macOS (._*) beside the slices: passed over"),
    "structured report": (_structured_report, ""),
    "other files": (_other_files, ""),
}


@pytest.mark.parametrize("kind", BESIDE)
def test_what_lies_beside_the_slices_is_set_apart_and_reported(
    series_maker: Maker, kind: str
) -> None:
    add, note = BESIDE[kind]
    folder = series_maker(series_uid="1.2.3.4").write()
    expected = read_ct(folder)
    add(folder)

    ct = read_ct(folder)
    from_a_file = read_ct(folder / "slice_003.dcm")

    np.testing.assert_array_equal(ct.volume.voxels, expected.volume.voxels)
    np.testing.assert_array_equal(from_a_file.volume.voxels, expected.volume.voxels)
    assert ct.volume.geometry == expected.volume.geometry
    assert (note in " ".join(ct.warnings)) if note else ct.warnings == expected.warnings


def test_equally_long_series_are_listed_and_asked_for(series_maker: Maker) -> None:
    bone = series_maker("all/bone", fields={"ConvolutionKernel": "B70f"}).write()
    series_maker("all/soft", fields={"ConvolutionKernel": "B30f"}).write()

    with pytest.raises(InputError, match="equally many") as caught:
        _read(bone.parent)

    message = str(caught.value)
    assert "1: CT, 12 images, 10 x 8 pixels, of 0.75 mm, slices 2 mm thick, kernel B70f" in message
    assert "2: CT" in message
    assert "--series" in caught.value.remedy
    for secret in ("SECRET", "Secret", list_series(bone.parent)[0].uid):
        assert secret not in message


@pytest.mark.parametrize("by_uid", [False, True])
def test_a_series_is_chosen_by_number_or_uid(series_maker: Maker, by_uid: bool) -> None:
    series_maker("all/a", shape=(12, 8, 10)).write()
    folder = series_maker("all/b", shape=(11, 8, 10)).write().parent
    second = list_series(folder)[1]

    volume = _read(folder, second.uid if by_uid else "2")

    assert volume.geometry.shape == (11, 8, 10)


def test_an_unknown_series_is_refused_with_the_list(series_maker: Maker) -> None:
    folder = series_maker().write()

    with pytest.raises(InputError, match=r"No series .* 1: CT"):
        _read(folder, "3")


def test_cts_of_two_patients_are_never_chosen_between(series_maker: Maker) -> None:
    series_maker("all/a", shape=(12, 8, 10)).write()
    folder = series_maker("all/b", shape=(20, 8, 10), fields={"PatientID": "OTHER"}).write()

    with pytest.raises(InputError, match="different patients"):
        _read(folder.parent)


def test_compressed_slices_are_decoded(series_maker: Maker) -> None:
    def change(_k: int, data: Dataset) -> None:
        data.compress(RLELossless, generate_instance_uid=False)

    volume = _read(series_maker(change=change).write())

    assert volume.voxels[:, 2, 5].tolist() == [700 + k for k in range(12)]


def test_lossy_compression_is_warned_of(series_maker: Maker) -> None:
    folder = series_maker(fields={"LossyImageCompression": "01"}).write()

    _, warnings = read_series(list_series(folder)[0])

    assert len(warnings) == 1
    assert "loss" in warnings[0]


def test_reading_reports_progress_and_can_be_cancelled(series_maker: Maker) -> None:
    series = list_series(series_maker().write())[0]
    token = CancelToken()
    seen: list[float] = []

    def listen(event: Event) -> None:
        seen.append(event.value)
        if event.value > 0.3:
            token.cancel()

    with pytest.raises(RunCancelledError):
        read_series(series, Progress(listener=listen, token=token))

    assert seen == pytest.approx([1 / 12, 2 / 12, 3 / 12, 4 / 12])


def test_ill_formed_patient_data_is_not_printed(
    series_maker: Maker, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    import pydicom.config

    with pydicom.config.disable_value_validation():
        folder = series_maker(fields={"PatientID": "SECRET" * 20}).write()
    recwarn.clear()

    _read(folder)

    assert "SECRET" not in "".join(capfd.readouterr())
    assert not recwarn.list


# What spoiled headers (test_dicom_fuzz) brought to light.


def test_what_pydicom_logs_of_damaged_pixels_is_not_passed_on(
    series_maker: Maker, caplog: pytest.LogCaptureFixture
) -> None:
    """Its loggers for decoders lie below the one that is silenced."""

    def change(_k: int, data: Dataset) -> None:
        data.compress(RLELossless, generate_instance_uid=False)
        data.BitsAllocated = 32

    assert "Slice 1 of 12 is damaged" in _refusal(series_maker(change=change).write())
    assert not caplog.records


@pytest.mark.parametrize("slope", ["1e300", "0", "NaN", "1e-30"])
def test_a_rescale_that_no_ct_has_is_refused(series_maker: Maker, slope: str) -> None:
    """Slices beyond all numbers were taken as air, with a warning."""
    import pydicom.config

    with pydicom.config.disable_value_validation():
        folder = series_maker(fields={"RescaleSlope": slope}).write()

    assert "damaged" in _refusal(folder)


@pytest.mark.parametrize("size", [(7, 10), (8, 9), (4, 20)])
def test_pixels_that_do_not_fit_the_size_of_the_header_are_refused(
    series_maker: Maker, size: tuple[int, int]
) -> None:
    """pydicom reads as many as it needs, in rows of the wrong length. 4 x 20 has as many pixels."""

    def change(_k: int, data: Dataset) -> None:
        data.Rows, data.Columns = size

    folder = series_maker(change=change).write()

    if size == (4, 20):
        assert _read(folder).geometry.shape == (12, 4, 20)
    else:
        assert "Slice 1 of 12 is damaged" in _refusal(folder)


def test_run_lengths_that_do_not_fit_the_size_of_the_header_are_refused(
    series_maker: Maker,
) -> None:
    """pydicom takes the columns it needs, and every row slips against the one before."""

    def change(_k: int, data: Dataset) -> None:
        data.compress(RLELossless, generate_instance_uid=False)
        data.Columns = 8

    assert "Slice 1 of 12 is damaged" in _refusal(series_maker(change=change).write())


def test_values_with_more_bits_than_are_said_to_be_stored_are_refused(series_maker: Maker) -> None:
    """Cut to 8 bits, bone of 1724 would be 188: -836 HU."""
    folder = series_maker(fields={"BitsStored": 8, "HighBit": 7}).write()

    assert "Slice 1 of 12 is damaged" in _refusal(folder)


@pytest.mark.parametrize("has_sign", [False, True])
def test_unused_bits_may_be_empty_repeat_the_sign_or_hold_an_overlay(
    series_maker: Maker, has_sign: bool
) -> None:
    """Twelve bits of a stored -1000 without its sign are 3096; bit 15 marks an overlay's pixel."""

    def change(k: int, data: Dataset) -> None:
        pixels = np.full(data.Rows * data.Columns, -1000, np.int16)
        if not has_sign:
            pixels &= 0x0FFF
        if k == 3:
            pixels[7] = 0x7000 + 40
            data.add_new(0x60000100, "US", 16)
            data.add_new(0x60000102, "US", 15)
        data.PixelData = pixels.tobytes()

    volume = _read(
        series_maker(
            change=change, fields={"BitsStored": 12, "HighBit": 11, "RescaleIntercept": 0}
        ).write()
    )

    assert volume.voxels[3, 0, 6:9].tolist() == [-1000, 40, -1000]


@pytest.mark.parametrize("is_coded", [False, True])
def test_values_are_those_stored_however_they_are_to_be_shown(
    series_maker: Maker, tmp_path: Path, is_coded: bool
) -> None:
    """SimpleITK turns the values of compressed MONOCHROME1 images round."""

    def change(_k: int, data: Dataset) -> None:
        data.PhotometricInterpretation = "MONOCHROME1"
        if is_coded:
            code_in_jpeg_2000(data, tmp_path)

    volume = _read(series_maker(change=change).write())

    assert volume.voxels[:, 2, 5].tolist() == [700 + k for k in range(12)]
    assert volume.voxels[0, 0, 0] == -1000


def test_values_that_a_table_turns_into_hounsfield_units_are_refused(series_maker: Maker) -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [2, 0, 16], b"\0\0\1\0"

    assert "in another form" in _refusal(
        series_maker(fields={"ModalityLUTSequence": [table]}).write()
    )


def test_a_ct_slice_that_has_lost_its_size_is_not_passed_over(series_maker: Maker) -> None:
    """A DICOM file without rows is no image, but a CT without them is a damaged slice."""

    def change(k: int, data: Dataset) -> None:
        if k == 11:
            del data.Rows

    assert "1 DICOM file of the folder is damaged" in _refusal(series_maker(change=change).write())
