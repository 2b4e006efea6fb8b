"""Damaged and contradictory DICOM series: a volume that lies where its headers say, or a refusal.

A small series, of single slices or of frames, is spoiled: elements removed, emptied, given other
kinds and impossible values, files cut, bytes changed. What is accepted is held against the places
and values that this module computes from the same files, slice by slice. The suite looks at the
same spoiled series every time; FRACSEG_FUZZ_SECONDS=300 looks at new ones for so long.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import struct
import tempfile
import time
import warnings
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword
from pydicom.filereader import data_element_generator
from pydicom.uid import RLELossless

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.read import CtInput, read_ct
from FractureSegmentationLib.io.survey import survey
from Testing.unit.io.dicom_series import EnhancedMaker, SeriesMaker, code_in_jpeg_2000

SECONDS = float(os.environ.get("FRACSEG_FUZZ_SECONDS", "0"))
LONGEST_S = 20.0
COUNT = 11
STEP_MM, ROW_MM, COLUMN_MM = 1.5, 0.5, 0.75
_LONG_LENGTHS = frozenset({b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"OL", b"UC", b"UR"})

KEYWORDS = (
    "BitsAllocated", "BitsStored", "Columns", "ConvolutionKernel", "HighBit",
    "ImageOrientationPatient", "ImagePositionPatient", "ImageType", "LossyImageCompression",
    "Modality", "NumberOfFrames", "PatientID", "PerFrameFunctionalGroupsSequence",
    "PhotometricInterpretation", "PixelData", "PixelPaddingValue", "PixelRepresentation",
    "PixelSpacing", "PlanarConfiguration", "RealWorldValueMappingSequence", "RescaleIntercept",
    "RescaleSlope", "RescaleType", "Rows", "SOPClassUID", "SOPInstanceUID", "SamplesPerPixel",
    "SeriesInstanceUID", "SharedFunctionalGroupsSequence", "SliceThickness",
    "SpecificCharacterSet", "StudyInstanceUID", "VolumetricProperties", "ModalityLUTSequence",
)  # fmt: skip
KINDS = (b"DS", b"IS", b"US", b"SS", b"UL", b"FD", b"LO", b"CS", b"UI", b"OB", b"UN", b"SQ", b"PN")
VALUES = (
    b"", b" ", b"NaN ", b"inf ", b"-inf", b"abc ", b"0 ", b"-1", b"1 ", b"2 ", b"3.5 ", b"1e300 ",
    b"1e-300", b"99999999999 ", b"1\\2 ", b"\\\\\\ ", b"1\\0\\0\\0\\1\\0 ", b"0\\0\\0\\0\\0\\0 ",
    b"1\\0\\0\\1\\0\\0 ", b"NaN\\0\\0\\0\\1\\0 ", b"0.5\\NaN ", b"0\\0 ", b"-1\\-1 ", b"1e9\\1e9 ",
    b"0.5\\0.75", b"2\\2 ", b"0\\0\\0 ", b"10\\-20\\31.5 ", b"10\\-20\\1e300", b"10\\-20\\inf ",
    b"MR", b"CT", b"RGB ", b"MONOCHROME1 ", b"MONOCHROME2 ", b"DERIVED\\PRIMARY\\LOCALIZER ",
    b"1.2.840.10008.5.1.4.1.1.7\0", b"1.2.840.10008.5.1.4.1.1.4\0", b"1.2.840.10008.1.3.10\0",
    b"ISO_IR 100", b"\xff\xff", b"\0\0", b"\1\0", b"\2\0", b"\7\0", b"\x08\0", b"\x10\0", b"\x20\0",
    b"\xff" * 8, b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x00\xe0\x04\0\0\0abcd",
)  # fmt: skip

PLAUSIBLE: dict[str, tuple[bytes, ...]] = {
    "ImageOrientationPatient": (
        b"1\\0\\0\\0\\1\\0 ", b"-1\\0\\0\\0\\1\\0", b"1\\0\\0\\0\\-1\\0", b"0\\1\\0\\1\\0\\0 ",
        b"1\\0\\0\\0\\0.96\\-0.28 ", b"0.6\\0.8\\0\\-0.8\\0.6\\0", b"1\\0\\0\\0\\0.9999\\0.0141",
        b"1\\0\\0\\0.002\\1\\0 ", b"2\\0\\0\\0\\2\\0 ",
    ),
    "PixelSpacing": (b"0.5\\0.75", b"0.75\\0.5", b"0.5\\0.7501 ", b"1.6\\1.6 ", b"0.25\\0.25 "),
    "RescaleSlope": (b"1 ", b"2 ", b"0.5 ", b"1.0001", b"-1", b"1e-3"),
    "RescaleIntercept": (b"-1024 ", b"-1000 ", b"0 ", b"-8192 ", b"31000 ", b"-1024.5 "),
    "RescaleType": (b"HU", b"US", b"", b"Z_EFF "),
    "BitsStored": (b"\x0c\0", b"\x10\0", b"\x08\0"),
    "BitsAllocated": (b"\x08\0", b"\x20\0", b"\x10\0"),
    "PixelRepresentation": (b"\0\0", b"\1\0"),
    "PixelPaddingValue": (b"\x18\0", b"\x30\xf8", b"\0\x80", b"\x40\0"),
    "Rows": (b"\x0b\0", b"\x06\0", b"\x0a\0", b"\x0c\0"),
    "Columns": (b"\x0c\0", b"\x05\0", b"\x09\0"),
    "SliceThickness": (b"5 ", b"", b"abc ", b"-1"),
    "SeriesInstanceUID": (b"1.2.3.5\0", b"", b"1.2.3.4\0"),
    "SOPInstanceUID": (b"1.2.9 ", b""),
    "PatientID": (b"OTHER ", b"", b"\xff\xfe"),
    "ImageType": (b"ORIGINAL\\PRIMARY\\LOCALIZER ", b"DERIVED\\SECONDARY ", b""),
    "NumberOfFrames": (b"1 ", b"2 ", b"11", b"0 "),
}  # fmt: skip


@dataclass(frozen=True)
class Template:
    """The bytes of a good series: one entry per file."""

    name: str
    files: tuple[bytes, ...]


def _made(kind: str, folder: Path) -> Template:
    """A series with noise in it, so that a slice out of place shows."""
    noise = np.random.default_rng(5).integers(-40, 40, (COUNT, 12, 10), np.int16)

    def fill(k: int, data: pydicom.Dataset) -> None:
        pixels = 64 + noise[k]
        pixels[3:9, 3:8] += 1000
        pixels[5, 5] += 800
        data.PixelData = pixels.astype(np.int16).tobytes()
        if kind == "RLE":
            data.compress(RLELossless, generate_instance_uid=False)
        if kind == "JPEG 2000":
            code_in_jpeg_2000(data, folder)

    maker = SeriesMaker(
        folder=folder / kind,
        shape=(COUNT, 12, 10),
        spacing_mm=(STEP_MM, ROW_MM, COLUMN_MM),
        series_uid="1.2.3.4",
        change=fill,
    )
    if kind == "enhanced":
        EnhancedMaker(maker, [*range(COUNT - 1, -1, -1)], frozenset({"orientation"})).write()
    else:
        maker.write()
    files = tuple(path.read_bytes() for path in sorted(maker.folder.iterdir()))
    return Template(kind, files)


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    folder = tmp_path_factory.mktemp("templates")
    kinds = ("plain", "enhanced", "RLE", "JPEG 2000")
    return {kind: _made(kind, folder) for kind in kinds}


def _with_element(content: bytes, keyword: str, kind: bytes, value: bytes | None) -> bytes:
    """The file with one element of its data set replaced, added or (None) removed."""
    start = content.index(b"\x08\x00\x08\x00CS")  # the file meta group ends here
    elements = {}
    stream = BytesIO(content[start:])
    begin = 0
    for element in data_element_generator(stream, is_implicit_VR=False, is_little_endian=True):
        elements[int(element.tag)] = content[start + begin : start + stream.tell()]
        begin = stream.tell()
    tag = tag_for_keyword(keyword)
    assert tag is not None
    if value is None:
        elements.pop(tag, None)
    else:
        head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + kind
        size = "<HI" if kind in _LONG_LENGTHS else "<H"
        sizes = (0, len(value)) if kind in _LONG_LENGTHS else (len(value),)
        elements[tag] = head + struct.pack(size, *sizes) + value
    return content[:start] + b"".join(elements[tag] for tag in sorted(elements))


def _with_positions_moved(content: bytes, rng_bytes: bytes) -> bytes:
    """Overwrites characters of a number that stands in the file, such as a position."""
    place = content.find(b"-20.0")
    if place < 0:
        return content
    return content[:place] + rng_bytes[:5].ljust(5, b"0") + content[place + 5 :]


def _moved(number: int, content: bytes, how: str, much: float) -> bytes:
    """One file of a series that is sheared, is stretched, has a gap, or trembles."""
    x, y, z = 10.0, -20.0, 30.0 + STEP_MM * number
    if how == "shear":
        x, y = x + 0.5 * much * number, y - much * number
    elif how == "stretch":
        z += 3.0 * much * number
    elif how == "gap":
        z += 4.0 * abs(much) * (number > 6)
    else:
        z += 0.7 * much * (number % 3)
    try:
        return _with_element(
            content, "ImagePositionPatient", b"DS", f"{x:.6f}\\{y:.6f}\\{z:.6f}".encode()
        )
    except Exception:  # an earlier step broke the file
        return content


@st.composite
def spoilings(draw: st.DrawFn) -> tuple[str, list[tuple]]:
    """Which series, and what is done to it."""
    kind = draw(st.sampled_from([*["plain"] * 3, *["enhanced"] * 2, "RLE", "JPEG 2000"]))
    elements = st.tuples(
        st.just("element"),
        st.sampled_from(["one", "one", "all", "half"]),
        st.integers(0, COUNT - 1),
        st.sampled_from(KEYWORDS),
        st.sampled_from(KINDS) | st.none(),
        st.none() | st.sampled_from(VALUES) | st.sampled_from(VALUES) | st.binary(max_size=24),
    )
    plausible = st.sampled_from(sorted(PLAUSIBLE)).flatmap(
        lambda keyword: st.tuples(
            st.just("element"),
            st.sampled_from(["one", "all", "all", "half"]),
            st.integers(0, COUNT - 1),
            st.just(keyword),
            st.none(),
            st.sampled_from(PLAUSIBLE[keyword]),
        )
    )
    numbers = (st.floats(-30, 30) | st.floats(-1e4, 1e4)).map(lambda x: f"{x:.3f}"[:5].encode())
    places = st.tuples(st.just("place"), st.integers(0, COUNT - 1), numbers)
    cuts = st.tuples(st.just("cut"), st.integers(0, COUNT - 1), st.floats(0.0, 1.0))
    bytes_ = st.tuples(
        st.just("bytes"),
        st.integers(0, COUNT - 1),
        st.lists(st.tuples(st.floats(0.0, 1.0), st.integers(0, 255)), min_size=1, max_size=6),
    )
    losses = st.tuples(st.just("loss"), st.integers(0, COUNT - 1))
    shifts = st.tuples(
        st.just("shift"),
        st.sampled_from(["shear", "stretch", "gap", "jitter"]),
        st.floats(-1.0, 1.0),
    )
    rare = (places, cuts, bytes_, losses)
    steps = st.one_of(elements, elements, plausible, plausible, plausible, shifts, shifts, *rare)
    return kind, draw(st.lists(steps, min_size=1, max_size=3))


def _original_kind(keyword: str) -> bytes:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    kind = pydicom.datadict.dictionary_VR(tag)
    return kind.split()[0].encode()


def _spoiled(template: Template, steps: list[tuple]) -> list[bytes]:
    files = list(template.files)
    for step in steps:
        if not files:
            break
        if step[0] == "element":
            _, which, number, keyword, kind, value = step
            chosen = {"one": [number % len(files)], "all": range(len(files)),
                      "half": range(0, len(files), 2)}[which]  # fmt: skip
            for n in chosen:
                with contextlib.suppress(Exception):  # an earlier step broke the file
                    files[n] = _with_element(
                        files[n], keyword, kind or _original_kind(keyword), value
                    )
            continue
        if step[0] == "shift":
            files = [_moved(n, content, step[1], step[2]) for n, content in enumerate(files)]
            continue
        n = step[1] % len(files)
        if step[0] == "place":
            files[n] = _with_positions_moved(files[n], step[2])
        elif step[0] == "cut":
            files[n] = files[n][: int(step[2] * len(files[n]))]
        elif step[0] == "bytes":
            content = bytearray(files[n])
            for place, value in step[2] if content else ():
                content[min(int(place * len(content)), len(content) - 1)] = value
            files[n] = bytes(content)
        else:
            files.pop(n)
    return files


# An account of the series from its files, without anything of ours.


@dataclass(frozen=True)
class Slice:
    position: np.ndarray
    i_axis: np.ndarray
    j_axis: np.ndarray
    spacing: tuple[float, float]
    size: tuple[int, int]
    hu: np.ndarray | None
    """None where the values cannot be compared: compressed, or padding in play."""


def _slices(path: Path) -> list[Slice]:
    data = pydicom.dcmread(path, force=True)
    if "PerFrameFunctionalGroupsSequence" not in data or not data.PerFrameFunctionalGroupsSequence:
        return [_slice(data, data, data, data, data, None)]
    shared = data.get("SharedFunctionalGroupsSequence") or [pydicom.Dataset()]

    def macro(group: pydicom.Dataset, name: str) -> pydicom.Dataset:
        return (group.get(name) or shared[0].get(name) or [pydicom.Dataset()])[0]

    return [
        _slice(
            data,
            macro(group, "PlanePositionSequence"),
            macro(group, "PlaneOrientationSequence"),
            macro(group, "PixelMeasuresSequence"),
            macro(group, "PixelValueTransformationSequence"),
            number,
        )
        for number, group in enumerate(data.PerFrameFunctionalGroupsSequence)
    ]


def _slice(
    data: pydicom.Dataset,
    place: pydicom.Dataset,
    plane: pydicom.Dataset,
    measures: pydicom.Dataset,
    values: pydicom.Dataset,
    frame: int | None,
) -> Slice:
    axes = np.array(plane.ImageOrientationPatient, float)
    hu = None
    is_plain = not getattr(data.file_meta.get("TransferSyntaxUID"), "is_encapsulated", False)
    if is_plain and data.get("PixelPaddingValue") in {None, ""}:
        kind = np.dtype(f"<{'i' if data.PixelRepresentation else 'u'}{data.BitsAllocated // 8}")
        frames = int(data.get("NumberOfFrames") or 1)
        size = frames * data.Rows * data.Columns
        stored = np.frombuffer(data.PixelData, kind, size).reshape(-1, data.Rows, data.Columns)
        if data.BitsStored < data.BitsAllocated:
            stored = None  # what is in the unused bits is not for us to say
        else:
            slope, intercept = values.get("RescaleSlope"), values.get("RescaleIntercept")
            if frame is not None and slope is None and intercept is None:
                slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
            hu = stored[frame or 0] * float(1.0 if slope in {None, ""} else slope)
            hu = hu + float(0.0 if intercept in {None, ""} else intercept)
    return Slice(
        position=np.array(place.ImagePositionPatient, float),
        i_axis=axes[:3],
        j_axis=axes[3:],
        spacing=(float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1])),
        size=(data.Rows, data.Columns),
        hu=hu,
    )


def _check_place_and_values(ct: CtInput) -> None:
    """Every slice that was read lies in the volume where its own header says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slices = list(itertools.chain.from_iterable(_slices(path) for path in ct.files_read))
    geometry = ct.volume.geometry
    words = " ".join(ct.warnings)
    is_resampled = "even steps were interpolated" in words or "gantry tilt" in words
    repeats = "pixel by pixel" in words
    assert len(slices) >= 10
    assert is_resampled or repeats or geometry.shape[0] == len(slices)
    taken = set()
    for one in slices:
        rows, columns = one.size
        corner = (
            one.position
            + (rows - 1) * one.spacing[0] * one.j_axis
            + (columns - 1) * one.spacing[1] * one.i_axis
        )
        first, last = geometry.to_index(np.stack([one.position, corner]))
        rim = 0.5 + 0.02 * max(rows, columns)
        assert (first >= -rim).all(), (first, geometry)
        assert (last <= np.array(geometry.shape) - 1 + rim).all(), (last, geometry)
        assert (last[1:] - first[1:]) == pytest.approx((rows - 1, columns - 1), rel=2e-3, abs=1e-3)
        if is_resampled:
            continue
        # At most 0.1 mm or a fifth of a step is rounding of positions.
        assert abs(first[0] - round(first[0])) <= 0.21
        assert np.abs(first[1:] * geometry.spacing_mm[1:]).max() <= 0.11
        taken.add(round(first[0]))
        if one.hu is not None:
            shown = ct.volume.voxels[round(first[0])]
            np.testing.assert_allclose(shown, np.maximum(one.hu, -1024), atol=1e-3)
    assert is_resampled or taken == set(range(geometry.shape[0]))


def _check(template: Template, steps: list[tuple]) -> str:
    """Reads one spoiled series; gives what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "series"
        path.mkdir()
        for number, content in enumerate(_spoiled(template, steps)):
            (path / f"{number:02d}.dcm").write_bytes(content)
        begin = time.monotonic()
        refusal = None
        try:
            ct = read_ct(path)
        except InputError as error:
            refusal = error
        if refusal is not None:
            outcome = "refused"
            assert refusal.message
            assert refusal.remedy
            assert folder not in str(refusal)
        else:
            assert np.isfinite(ct.volume.voxels).all()
            assert ct.volume.voxels.min() >= -1024
            assert ct.volume.voxels.max() <= 31_743
            _check_place_and_values(ct)
            outcome = "read"
        assert (survey(path).ct is not None) == (outcome == "read")
        assert time.monotonic() - begin < LONGEST_S
    return outcome


@settings(max_examples=60)
@given(spoiling=spoilings())
def test_a_spoiled_series_is_read_rightly_or_refused(
    templates: dict[str, Template], spoiling: tuple[str, list[tuple]]
) -> None:
    kind, steps = spoiling

    _check(templates[kind], steps)


@pytest.mark.parametrize("kind", ["plain", "enhanced", "RLE", "JPEG 2000"])
def test_the_series_that_are_spoiled_can_be_read_as_they_are(
    templates: dict[str, Template], kind: str
) -> None:
    assert _check(templates[kind], []) == "read"


@pytest.mark.skipif(not SECONDS, reason="FRACSEG_FUZZ_SECONDS is not set")
@pytest.mark.timeout(SECONDS + 600)
def test_newly_spoiled_series_are_read_rightly_or_refused(templates: dict[str, Template]) -> None:
    end = time.monotonic() + SECONDS
    outcomes: dict[str, int] = {}
    logging.getLogger(__name__).setLevel(logging.INFO)

    for number in itertools.count(int(time.time())):
        if time.monotonic() > end:
            break

        @seed(number)
        @settings(max_examples=100, derandomize=False, database=None, deadline=None)
        @given(spoiling=spoilings())
        def look(spoiling: tuple[str, list[tuple]]) -> None:
            outcome = _check(templates[spoiling[0]], spoiling[1])
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

        look()
    print(outcomes)  # noqa: T201 -- with pytest -s this is the result
    assert set(outcomes) == {"read", "refused"}
