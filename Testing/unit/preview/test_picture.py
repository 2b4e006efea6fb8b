"""The preview: what it looks at, what it draws, what it writes."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.naming import fragment_color
from FractureSegmentationLib.anatomy.numbering import FRACSEG, PENGWIN_2024
from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.mesh import fragment_surfaces
from FractureSegmentationLib.preview import legend
from FractureSegmentationLib.preview.camera import BACKGROUND
from FractureSegmentationLib.preview.legend import (
    Entry,
    draw_legend,
    list_entries,
    text_width,
    write_text,
)
from FractureSegmentationLib.preview.picture import VIEW_HEIGHT, WIDTH, compose, write_preview
from FractureSegmentationLib.preview.raster import blank, write_png
from FractureSegmentationLib.preview.slices import Section, draw_section, find_focus
from FractureSegmentationLib.types import Direction
from FractureSegmentationLib.volume import LabelVolume, Volume

SPACING_MM = (3.0, 1.0, 2.0)


def a_case(direction: Direction = CANONICAL_DIRECTION) -> tuple[Volume, LabelVolume]:
    """Left hip of two blocks that touch at j = 20, and a sacrum in one piece beside it."""
    labels = np.zeros((16, 40, 30), np.uint16)
    labels[4:12, 10:20, 18:26], labels[4:12, 20:30, 18:26] = 51, 52
    labels[4:12, 10:30, 4:12] = 1
    hu = np.where(labels > 0, 800, 40).astype(np.int16)
    geometry = Geometry(shape=labels.shape, spacing_mm=SPACING_MM, direction=direction)
    return Volume(voxels=hu, geometry=geometry), LabelVolume(voxels=labels, geometry=geometry)


def bone_table() -> np.ndarray:
    table = np.zeros(60, np.int64)
    table[1:51], table[51:] = 1, 2
    return table


def test_focus_is_where_the_fragments_of_the_largest_fractured_bone_touch_most() -> None:
    """The contact lies in j = 19 and 20; in k and i it is the same everywhere: the first."""
    _, fragments = a_case()

    focus = find_focus(fragments.voxels, bone_table())

    assert focus.mask_value == 2
    assert focus.is_fractured
    assert focus.indices == (4, 19, 18)


def test_focus_of_pieces_that_do_not_touch_is_the_middle_of_the_smaller() -> None:
    labels = np.zeros((9, 9, 9), np.uint16)
    labels[0:3, 0:3, 0:6], labels[5:8, 6:9, 6:9] = 51, 52

    assert find_focus(labels, bone_table()).indices == (6, 7, 7)


def test_focus_of_bones_in_one_piece_is_the_middle_of_the_largest() -> None:
    labels = np.zeros((9, 9, 9), np.uint16)
    labels[0:3, 0:3, 0:3], labels[4:9, 4:9, 4:9] = 51, 1

    focus = find_focus(labels, bone_table())

    assert (focus.mask_value, focus.indices, focus.is_fractured) == (1, (6, 6, 6), False)


def test_section_keeps_proportions_in_millimetres() -> None:
    """10 rows of 3 mm and 10 columns of 1 mm in 60 x 60 pixels: 60 high, 20 wide."""
    labels = np.full((10, 10), 51)
    section = Section(
        hu=np.full((10, 10), 1300),
        labels=labels,
        pixel_mm=(3.0, 1.0),
        shown=(slice(0, 10), slice(0, 10)),
    )
    entry = Entry(label=51, name="x", color=(1.0, 0.0, 0.0), mask_value=2, volume_cm3=1.0)

    image = draw_section(section, {51: entry}, 60, 60)

    red = image[..., 0].astype(int) > image[..., 1].astype(int)
    rows, columns = np.nonzero(red)
    assert np.ptp(rows) + 1 == pytest.approx(60, abs=6)
    assert np.ptp(columns) + 1 == pytest.approx(20, abs=2)


def test_line_of_contact_is_white_within_a_bone_and_not_between_bones() -> None:
    labels = np.array([[51, 51, 52, 52, 1, 1]] * 4)
    section = Section(
        hu=np.zeros((4, 6)),
        labels=labels,
        pixel_mm=(1.0, 1.0),
        shown=(slice(0, 4), slice(0, 6)),
    )
    entries = {
        label: Entry(label=label, name="x", color=(0.5, 0.2, 0.2), mask_value=bone, volume_cm3=1.0)
        for label, bone in ((51, 2), (52, 2), (1, 1))
    }

    image = draw_section(section, entries, 60, 40)

    white = (image == 255).all(axis=2).any(axis=0)
    assert white[18:22].any()
    assert not white[25:].any()


def test_legend_names_fragments_and_claims_no_fracture_of_a_bone_in_one_piece() -> None:
    """The sacrum has 8 x 20 x 8 voxels of 6 mm³: 7.68 cm³."""
    _, fragments = a_case()

    sacrum, main, second = list_entries(fragments, FRACSEG)

    assert sacrum.name == "Sacrum – one piece"
    assert sacrum.volume_cm3 == pytest.approx(7.68)
    assert main.name == "Left hip bone – fragment 1 (main)"
    assert second.color == fragment_color(bone_named("left_hip"), 2)


def test_crowded_legend_names_the_largest_and_counts_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: list[str] = []
    monkeypatch.setattr(legend, "write_text", lambda _, text, *_rest: written.append(text))
    entries = [
        Entry(label=n, name=f"piece {n}", color=(1, 0, 0), mask_value=2, volume_cm3=float(n))
        for n in range(1, 21)
    ]

    draw_legend(blank(900, 300, (255, 255, 255)), entries, 10)

    assert "piece 20" in written
    assert "piece 6" not in written
    assert "piece 7" in written
    assert "and 6 smaller fragments" in written
    assert legend.NOTICE in written


def test_text_is_drawn_where_it_is_anchored_and_cut_at_the_border() -> None:
    width = text_width("Lg", 20)
    for anchor, first in (("left", 100), ("centre", 100 - width // 2), ("right", 100 - width)):
        image = blank(200, 40, (255, 255, 255))
        write_text(image, "Lg", (100, 5), 20, (0, 0, 0), anchor)
        columns = np.flatnonzero((image < 128).any(axis=(0, 2)))
        assert first <= columns.min()
        assert columns.max() < first + width
    write_text(image, "Lg", (195, 35), 20, (0, 0, 0))
    write_text(image, "Lg", (500, -90), 20, (0, 0, 0))


def test_png_holds_the_pixels_and_no_text(tmp_path: Path) -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)

    write_png(tmp_path / "a.png", image)

    content = (tmp_path / "a.png").read_bytes()
    kinds, place = [], 8
    data = b""
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kinds.append(content[place + 4 : place + 8])
        if kinds[-1] == b"IDAT":
            data = content[place + 8 : place + 8 + length]
        place += length + 12
    assert kinds == [b"IHDR", b"IDAT", b"IEND"]
    rows = np.frombuffer(zlib.decompress(data), np.uint8).reshape(2, 10)
    assert (rows[:, 0] == 0).all()
    assert np.array_equal(rows[:, 1:].reshape(2, 3, 3), image)


def test_preview_shows_views_slices_and_legend(tmp_path: Path) -> None:
    ct, fragments = a_case()
    surfaces = fragment_surfaces(fragments)

    write_preview(tmp_path / "preview.png", ct, fragments, surfaces, with_opengl=False)

    reader = pytest.importorskip("vtkmodules.vtkIOImage").vtkPNGReader()
    reader.SetFileName(str(tmp_path / "preview.png"))
    reader.Update()
    width, height, _ = reader.GetOutput().GetDimensions()
    numpy_support = pytest.importorskip("vtkmodules.util.numpy_support")
    pixels = numpy_support.vtk_to_numpy(reader.GetOutput().GetPointData().GetScalars())
    image = pixels.reshape(height, width, 3)[::-1]
    assert width == WIDTH
    views = image[:VIEW_HEIGHT]
    for half in (views[:, : WIDTH // 2], views[:, WIDTH // 2 :]):
        drawn = (half != np.asarray(BACKGROUND, np.uint8)).any(axis=2)
        assert 0.1 < drawn.mean() < 0.9


@pytest.mark.parametrize(
    "direction",
    [
        ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (-1.0, 0.0, 0.0)),
        ((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)),
    ],
)
def test_flipped_grid_gives_the_same_picture(direction: Direction) -> None:
    """The same places in the patient, stored along reversed axes."""
    ct, fragments = a_case()
    signs = np.array([row[axis] for row, axis in zip(direction, (2, 1, 0), strict=True)])
    axes = tuple(np.flatnonzero(signs < 0).tolist())
    last = np.where(signs < 0, np.array(ct.geometry.shape) - 1, 0)
    x, y, z = ct.geometry.to_lps(last).tolist()
    geometry = Geometry(
        shape=ct.geometry.shape,
        spacing_mm=SPACING_MM,
        origin_lps_mm=(x, y, z),
        direction=direction,
    )
    flipped_ct = Volume(voxels=np.flip(ct.voxels, axes), geometry=geometry)
    flipped = LabelVolume(voxels=np.flip(fragments.voxels, axes), geometry=geometry)

    straight = compose(ct, fragments, {}, with_opengl=False)
    turned = compose(flipped_ct, flipped, {}, with_opengl=False)

    assert np.array_equal(straight, turned)


def test_preview_survives_a_machine_without_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for OSMesa, which is absent nearly everywhere, vtk takes its process down."""
    monkeypatch.setenv("VTK_DEFAULT_OPENGL_WINDOW", "vtkOSOpenGLRenderWindow")
    monkeypatch.setenv("DISPLAY", "")
    monkeypatch.setenv("__EGL_VENDOR_LIBRARY_FILENAMES", "/nonexistent")
    ct, fragments = a_case()

    image = compose(ct, fragments, fragment_surfaces(fragments))

    drawn = (image[:VIEW_HEIGHT] != np.asarray(BACKGROUND, np.uint8)).any(axis=2)
    assert 0.1 < drawn.mean() < 0.9


def test_unusable_inputs_are_refused() -> None:
    ct, fragments = a_case()
    with pytest.raises(ValueError, match="different grids"):
        compose(ct.cropped((slice(0, 5),) * 3), fragments, {})
    empty = fragments.with_voxels(np.zeros_like(fragments.voxels))
    with pytest.raises(ValueError, match="no fragment"):
        compose(ct, empty, {})
    with pytest.raises(ValueError, match="belongs to no bone"):
        compose(ct, fragments, {}, PENGWIN_2024)
