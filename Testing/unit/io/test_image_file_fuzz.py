"""Damaged and contradictory image files: a volume that lies where others see it, or a refusal.

Every file is put together by the book and then spoiled: fields of the header, lines, bytes, the
compression. What our reader accepts is held against nibabel (NIfTI), pynrrd (NRRD) and a few lines
of our own (MetaImage). The suite looks at the same files every time; FRACSEG_FUZZ_SECONDS=360 looks
at new ones for so long, in processes of their own, since a reader may take the process with it.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.io.hounsfield import clean_hu
from FractureSegmentationLib.io.read import CtInput, read_ct

nibabel = pytest.importorskip("nibabel", reason="the reference is not installed: nibabel")
nrrd = pytest.importorskip("nrrd", reason="the reference is not installed: pynrrd")

SIZES = (10, 11, 12)
NUMBERS = (0, -1, 1, -0.0, float("nan"), float("inf"), 1e-30, 1e30, -2.5, 0.3, 1e-3, 32767, 1.5)
COUNTS = (0, -1, 1, 2, 3, 4, 5, 7, 8, 16, 32, 64, 127, 128, 255, 256, 512, 1024, 32767, 10, 11, 12)
TEXTS = ("1e999", "99999999999", "x", "", "18446744073709551615", "1e9", "../x", "-")
SPACINGS_MM = (0.5, 0.75, 1.0, 2.0, 3.3)
NIFTI_KINDS = ((4, 16, "i2"), (16, 32, "f4"), (64, 64, "f8"), (8, 32, "i4"), (512, 16, "u2"))
NIFTI_FIELDS: tuple[tuple[str, int, tuple[float, ...]], ...] = (
    *(("h", 40 + 2 * n, COUNTS) for n in range(8)),
    ("h", 70, COUNTS),
    ("h", 72, COUNTS),
    *(("f", 76 + 4 * n, NUMBERS) for n in range(8)),
    ("f", 108, (0, -1, 351, 352, 353, 360, float("nan"), float("inf"), 1e9)),
    ("f", 112, NUMBERS),
    ("f", 116, NUMBERS),
    ("b", 123, (0, 1, 2, 3, 4, 7, 8, 10, 64, 127, -1)),
    ("h", 252, COUNTS[:8]),
    ("h", 254, COUNTS[:8]),
    *(("f", 256 + 4 * n, NUMBERS) for n in range(18)),
    ("i", 0, (348, 540, 0, -1, 1543569408)),
)
NRRD_EXTRAS = (
    "data file: ../x.raw", "data file: /etc/passwd", "data file: LIST", "data file: a%d.raw 1 12 1",
    "line skip: 3", "byte skip: -1", "byte skip: 4", "spacings: 1 1 1", "axis mins: 0 0 0",
    'space units: "m" "m" "m"', 'units: "cm" "cm" "cm"', "old max: 3", "centerings: node node node",
    "block size: 3", "endian:=big",
)  # fmt: skip
META_EXTRAS = (
    "HeaderSize = -1", "HeaderSize = 100", "ElementNumberOfChannels = 3", "ElementSize = 2 2 2",
    "ElementToIntensityFunctionSlope = 2", "ElementToIntensityFunctionOffset = 100",
    "Position = 1 2 3", "Rotation = 1 0 0 0 1 0 0 0 1", "Origin = 5 5 5", "DistanceUnits = m",
    "ElementByteOrderMSB = True", "Orientation = 1 0 0 0 -1 0 0 0 1",
)  # fmt: skip
META_FILES = (*["LOCAL"] * 8, "../x.raw", "LIST", "a%d.raw 1 12 1", "/etc/passwd")
TEXT_KINDS = (("short", "i2"), ("float", "f4"), ("double", "f8"), ("int", "i4"), ("ushort", "u2"))


def ct_values() -> np.ndarray:
    """(12, 11, 10): air, a block of soft tissue, one bone voxel."""
    voxels = np.full(SIZES[::-1], -1000, np.int16)
    voxels[2:9, 2:9, 2:9] = 40
    voxels[3, 2, 7] = 900
    return voxels


def turned(rng: random.Random) -> np.ndarray:
    """(3, 3) axes as columns, turned about the patient's axis, at times left-handed."""
    angle = rng.choice((-3.0, -2.1, -1.2, -0.4, 0.0, 0.3, 0.9, 1.6, 2.5, 3.1))
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, rng.choice((1.0, -1.0))]])


def three(rng: random.Random, values: tuple[float, ...]) -> list[float]:
    return [rng.choice(values) for _ in range(3)]


def a_place(rng: random.Random) -> list[float]:
    return three(rng, (-93.5, -20.0, 0.0, 0.25, 41.0, 77.7))


def forge_nifti(rng: random.Random) -> bytes:
    order = rng.choice("<<<>")
    kind, bits, code = rng.choice(NIFTI_KINDS)
    axes, spacing, place = turned(rng), three(rng, SPACINGS_MM), a_place(rng)
    handedness = 1.0 if np.linalg.det(axes) > 0 else -1.0
    header = bytearray(352)

    def put(code: str, offset: int, *values: float) -> None:
        struct.pack_into(order + code, header, offset, *values)

    put("i", 0, 348)
    put("8h", 40, 3, *SIZES, 1, 1, 1, 1)
    put("2h", 70, kind, bits)
    put("8f", 76, handedness, *spacing, 1, 1, 1, 1)
    put("3f", 108, 352, 1, 0)
    header[123] = rng.choice((2, 2, 2, 0, 10))
    put("2h", 252, *rng.choice(((0, 1), (1, 1), (1, 0), (0, 0), (2, 4))))
    quaternion = nibabel.quaternions.mat2quat(axes * [1.0, 1.0, handedness])
    put("6f", 256, *(quaternion[1:] * (1 if quaternion[0] >= 0 else -1)), *place)
    for row in range(3):
        put("4f", 280 + 16 * row, *(axes * spacing)[row], place[row])
    header[344:348] = b"n+1\0"
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        code_, offset, values = rng.choice(NIFTI_FIELDS)
        value = rng.choice(values)
        with contextlib.suppress(struct.error):
            put(code_, offset, value if code_ == "f" else int(value))
    return bytes(header) + ct_values().astype(order + code).tobytes()


def spoil_lines(rng: random.Random, lines: list[str]) -> list[str]:
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(len(lines))
        what = rng.choice(("number", "twin", "drop", "swap", "separator"))
        numbers = list(re.finditer(r"-?\d+\.?\d*", lines[at]))
        if what == "number" and numbers:
            found = rng.choice(numbers)
            new = str(rng.choice((*NUMBERS, *COUNTS, *TEXTS)))
            lines[at] = lines[at][: found.start()] + new + lines[at][found.end() :]
        elif what == "twin":
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif what == "drop" and len(lines) > 3:
            lines.pop(at)
        elif what == "swap":
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        elif what == "separator":
            old, new = rng.choice((":", "=", " ", ",", "(")), rng.choice(("", " ", "::", "==", ";"))
            lines[at] = lines[at].replace(old, new, 1)
    return lines


def listed(values: Any) -> str:
    return " ".join(repr(float(value)) for value in np.ravel(values))


def forge_nrrd(rng: random.Random) -> bytes:
    name, code = rng.choice(TEXT_KINDS)
    endian, encoding = rng.choice(("little", "big")), rng.choice(("raw", "gzip"))
    steps = (turned(rng) * three(rng, SPACINGS_MM)).T
    space = rng.choice(
        ("left-posterior-superior", "right-anterior-superior", "LPS", "RAS", "scanner-xyz", "LAS")
    )
    lines = [
        f"type: {name}",
        "dimension: 3",
        f"space: {space}",
        "sizes: 10 11 12",
        "space directions: " + " ".join(f"({listed(s).replace(' ', ',')})" for s in steps),
        f"endian: {endian}",
        f"encoding: {encoding}",
        f"space origin: ({listed(a_place(rng)).replace(' ', ',')})",
        "kinds: domain domain domain",
    ]
    if rng.choice((True, False, False, False)):
        lines.append(rng.choice(NRRD_EXTRAS))
    voxels = ct_values().astype(("<" if endian == "little" else ">") + code).tobytes()
    if encoding == "gzip":
        voxels = gzip.compress(voxels, mtime=0)
    return "\n".join(["NRRD0004", *spoil_lines(rng, lines)]).encode() + b"\n\n" + voxels


def forge_meta(rng: random.Random) -> bytes:
    name, code = rng.choice(TEXT_KINDS)
    is_big, is_packed = rng.choice((True, False)), rng.choice((True, False))
    voxels = ct_values().astype((">" if is_big else "<") + code).tobytes()
    if is_packed:
        voxels = zlib.compress(voxels)
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        f"BinaryDataByteOrderMSB = {is_big}",
        f"CompressedData = {is_packed}",
        *([f"CompressedDataSize = {len(voxels)}"] if is_packed else []),
        f"TransformMatrix = {listed(turned(rng).T)}",
        f"Offset = {listed(a_place(rng))}",
        "CenterOfRotation = 0 0 0",
        f"ElementSpacing = {listed(three(rng, SPACINGS_MM))}",
        "DimSize = 10 11 12",
        f"ElementType = MET_{name.upper()}",
    ]
    if rng.choice((True, False, False, False)):
        lines.append(rng.choice(META_EXTRAS))
    last = f"ElementDataFile = {rng.choice(META_FILES)}\n"
    return ("\n".join(spoil_lines(rng, lines)) + "\n" + last).encode() + voxels


def spoil_bytes(rng: random.Random, content: bytes) -> bytes:
    spoilt = bytearray(content)
    for _ in range(rng.choice((0, 0, 0, 1, 2, 5))):
        at = min(rng.randrange(len(spoilt)), rng.choice((400, 400, len(spoilt) - 1)))
        what = rng.choice(("bit", "bit", "bit", "cut", "more", "less"))
        if what == "bit":
            spoilt[at] ^= 1 << rng.randrange(8)
        elif what == "cut":
            del spoilt[at + 1 :]
        elif what == "more":
            spoilt[at:at] = bytes([rng.randrange(256)])
        elif len(spoilt) > 1:
            del spoilt[at]
    return bytes(spoilt)


FORGES: dict[str, Callable[[random.Random], bytes]] = {
    "nii": forge_nifti,
    "nii.gz": forge_nifti,
    "nrrd": forge_nrrd,
    "mha": forge_meta,
}


def forge(rng: random.Random) -> tuple[str, bytes]:
    """Ending and content of one spoilt file."""
    ending = rng.choice(tuple(FORGES))
    content = spoil_bytes(rng, FORGES[ending](rng))
    if ending == "nii.gz":
        content = gzip.compress(content, 1, mtime=0)
        content = spoil_bytes(rng, content) if rng.choice((True, False, False)) else content
    return ending, content


Seen = tuple[list[np.ndarray], np.ndarray]
"""(4, 4) matrices from (i, j, k) to LPS in mm, the most trusted first; and (K, J, I) voxels."""


def seen_by_nibabel(path: Path) -> Seen:
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    image = nibabel.Nifti1Image.from_bytes(content)
    header = image.header
    voxels = np.asarray(image.dataobj, np.float64)
    while voxels.ndim > 3:
        voxels = voxels[..., 0]
    factor = {"meter": 1e3, "micron": 1e-3}.get(header.get_xyzt_units()[0], 1.0)
    places = [header.get_sform()] if header["sform_code"] > 0 else []
    places += [header.get_qform()] if header["qform_code"] > 0 else []
    places = places or [np.diag([*header.get_zooms()[:3], 1.0])]
    return [np.diag([-factor, -factor, factor, 1.0]) @ place for place in places], voxels.T


def seen_by_pynrrd(path: Path) -> Seen:
    voxels, header = nrrd.read(str(path), index_order="C")
    place = np.eye(4)
    if header.get("space directions") is not None:
        place[:3, :3] = np.array(header["space directions"]).T
        place[:3, 3] = header.get("space origin", np.zeros(3))
    else:
        place[:3, :3] = np.diag(header["spacings"])
    name = str(header.get("space", "")).lower()
    signs = [
        -1.0 if name[:1] == "r" else 1.0,
        -1.0 if "a" in name[1:2] + name.split("-")[1] else 1.0,
    ]
    return [np.diag([*signs, 1.0, 1.0]) @ place], voxels


def seen_by_hand(path: Path) -> Seen:
    header, _, rest = path.read_bytes().partition(b"ElementDataFile = LOCAL\n")
    pairs = [line.split("=", 1) for line in header.decode("latin-1").splitlines()]
    fields = {name.strip(): value.strip() for name, value in pairs}
    axes = fields.get("TransformMatrix") or fields.get("Rotation") or fields.get("Orientation")
    origin = fields.get("Offset") or fields.get("Position") or fields.get("Origin") or "0 0 0"
    spacing = (fields.get("ElementSpacing") or fields.get("ElementSize") or "1 1 1").split()
    place = np.eye(4)
    place[:3, :3] = np.array((axes or "1 0 0 0 1 0 0 0 1").split(), float).reshape(3, 3).T
    place[:3, :3] *= np.array(spacing, float)
    place[:3, 3] = np.array(origin.split(), float)
    kinds = {f"MET_{name.upper()}": code for name, code in TEXT_KINDS}
    msb = fields.get("BinaryDataByteOrderMSB") or fields.get("ElementByteOrderMSB") or ""
    if fields.get("CompressedData", "").lower() in {"true", "1"}:
        rest = zlib.decompress(rest)
    order = ">" if msb.lower() in {"true", "1"} else "<"
    shape = [int(size) for size in fields["DimSize"].split()][::-1]
    return [place], np.frombuffer(rest, order + kinds[fields["ElementType"]]).reshape(shape)


ORACLES: dict[str, Callable[[Path], Seen]] = {
    "nii": seen_by_nibabel,
    "nii.gz": seen_by_nibabel,
    "nrrd": seen_by_pynrrd,
    "mha": seen_by_hand,
}


def judged(path: Path, ending: str) -> str:
    """How our reader did: "refused", "as others" or "unseen" (others do not read it at all).

    Raises:
        AssertionError: it accepted what others see otherwise, or it named the file.
        Exception: anything but an `InputError` of our reader.
    """
    try:
        ct = read_ct(path)
    except InputError as refusal:
        if str(path.parent) in str(refusal) or not refusal.remedy:
            raise AssertionError("the refusal names the file or no remedy") from refusal
        return "refused"
    try:
        places, voxels = ORACLES[ending](path)
    except Exception:
        # Others are stricter in places, e.g. about fields that do not matter here.
        return "unseen"
    assert_same_place(ct, places)
    expected, _ = clean_hu(voxels)
    np.testing.assert_allclose(ct.volume.voxels, expected, rtol=1e-4, atol=1e-2)
    return "as others"


def largest_gap_mm(one: np.ndarray, other: np.ndarray) -> float:
    """How far apart the outermost voxels are."""
    corners = np.array([[*(np.array(SIZES) - 1) * at, 1] for at in np.ndindex(2, 2, 2)]).T
    return float(np.linalg.norm((one - other) @ corners, axis=0).max())


def assert_same_place(ct: CtInput, places: list[np.ndarray]) -> None:
    geometry = ct.volume.geometry
    ours = np.eye(4)
    ours[:3, :3] = (np.array(geometry.direction).T * geometry.spacing_mm)[:, ::-1]
    ours[:3, 3] = geometry.origin_lps_mm
    tolerance = 2e-3 * max(1.0, float(np.abs(ours).max()))
    if len(places) > 1 and largest_gap_mm(places[0], places[1]) > 0.2:
        assert any("two different positions" in warning for warning in ct.warnings)
    if np.allclose(ours, places[0], atol=tolerance):
        return
    # Where the file is silent about the patient, only the size of the voxels can be compared.
    assert any("left and right may be swapped" in warning for warning in ct.warnings)
    sizes_mm = np.linalg.norm(places[0][:3, :3], axis=0)
    np.testing.assert_allclose(geometry.spacing_mm[::-1], sizes_mm, rtol=1e-3)


@settings(max_examples=400)
@given(rng=st.randoms(use_true_random=False))
def test_a_spoilt_image_file_is_read_as_others_read_it_or_refused(rng: random.Random) -> None:
    ending, content = forge(rng)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"ct.{ending}"
        path.write_bytes(content)
        judged(path, ending)


def test_the_spoilt_files_are_neither_all_refused_nor_all_read(tmp_path: Path) -> None:
    """Otherwise the test above would look at one half of the reader only."""
    rng = random.Random(5)
    outcomes = Counter[str]()
    for number in range(300):
        ending, content = forge(rng)
        path = tmp_path / f"{number}.{ending}"
        path.write_bytes(content)
        outcomes[judged(path, ending)] += 1

    assert outcomes["as others"] > 40
    assert outcomes["refused"] > 100
    assert outcomes["unseen"] < 10


SECONDS = float(os.environ.get("FRACSEG_FUZZ_SECONDS", "0"))
ROUND_SECONDS = 30.0


@pytest.mark.skipif(not SECONDS, reason="FRACSEG_FUZZ_SECONDS is not set")
@pytest.mark.timeout(SECONDS + 300.0)
def test_no_spoilt_file_of_a_long_search_takes_the_process_with_it(tmp_path: Path) -> None:
    begin, first = time.monotonic(), int(time.time())
    outcomes = Counter[str]()
    while (left := SECONDS - (time.monotonic() - begin)) > 0:
        seed, folder = str(first + len(outcomes) + sum(outcomes.values())), tmp_path / "case"
        folder.mkdir(exist_ok=True)
        worker = subprocess.run(
            [sys.executable, __file__, seed, str(min(left, ROUND_SECONDS)), str(folder)],
            capture_output=True,
            check=False,
            text=True,
            timeout=ROUND_SECONDS + 120.0,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        )
        kept = sorted(path.name for path in folder.iterdir())
        assert worker.returncode == 0, f"seed {seed}, files {kept} in {folder}\n{worker.stderr}"
        for pair in worker.stdout.split(";"):
            name, _, count = pair.partition("=")
            outcomes[name.strip()] += int(count)
    sys.stdout.write(f"{sum(outcomes.values())} files in {SECONDS:.0f} s: {dict(outcomes)}\n")


def search(seed: int, seconds: float, folder: Path) -> None:
    """Look at new files until the time is over; the file looked at last stays in `folder`."""
    rng, end = random.Random(seed), time.monotonic() + seconds
    outcomes = Counter[str]()
    while time.monotonic() < end:
        ending, content = forge(rng)
        path = folder / f"ct.{ending}"
        path.write_bytes(content)
        outcomes[judged(path, ending)] += 1
        path.unlink()
    sys.stdout.write(";".join(f"{name}={count}" for name, count in outcomes.items()))


if __name__ == "__main__":
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    search(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))
