"""The preview of a result: one PNG with two views in 3D, three slices and a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import bone_of_mask_value
from FractureSegmentationLib.anatomy.numbering import FRACSEG, Numbering
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.mesh import Surface
from FractureSegmentationLib.preview import opengl, software
from FractureSegmentationLib.preview.camera import BACKGROUND, Part, fitted_camera, points_of
from FractureSegmentationLib.preview.legend import (
    INK,
    Entry,
    draw_legend,
    legend_height,
    list_entries,
    write_text,
)
from FractureSegmentationLib.preview.raster import RgbImage, blank, paste, write_png
from FractureSegmentationLib.preview.slices import Focus, Section, draw_section, find_focus
from FractureSegmentationLib.types import Box, MaskArray, PointLps
from FractureSegmentationLib.volume import LabelVolume, Volume
from FractureSegmentationLib.voxels.boxes import bounding_box
from FractureSegmentationLib.voxels.orient import canonical_order

WIDTH, VIEW_HEIGHT, SLICE_HEIGHT, GAP = 1500, 600, 430, 6
MARGIN_MM = 12.0
"""How much of the CT around the bone the slices show."""

_PAPER, _SLICE_INK = (255, 255, 255), (205, 212, 222)
_CAPTION_PX = 17
_STRIP_PX = 36
"""Height of the dark strip that the caption of a slice stands on."""
_FRONT: PointLps = (0.0, -1.0, 0.0)
_BEHIND: PointLps = (0.45, 0.8, 0.35)
_SIDEWARDS_MM = 25.0
"""A bone further than this from the middle is looked at from its own side."""


def write_preview(
    path: Path,
    ct: Volume,
    fragments: LabelVolume,
    surfaces: Mapping[int, Surface],
    numbering: Numbering = FRACSEG,
    *,
    with_opengl: bool = True,
) -> None:
    """Draw a result and write it as PNG; no name, date or place enters the file.

    Without OpenGL, or when it fails, the 3D views are drawn by numpy: they look the same, without
    highlights.

    Args:
        path: the file to write.
        ct: the CT that was segmented.
        fragments: the fragments on the same grid, with at least one.
        surfaces: their surfaces per label; a fragment without one is not seen in 3D.
        numbering: what the labels mean.
        with_opengl: try vtk first.

    Raises:
        ValueError: the grids differ, there is no fragment, or a label belongs to no bone.
        OSError: the file cannot be written.
    """
    write_png(path, compose(ct, fragments, surfaces, numbering, with_opengl=with_opengl))


def compose(
    ct: Volume,
    fragments: LabelVolume,
    surfaces: Mapping[int, Surface],
    numbering: Numbering = FRACSEG,
    *,
    with_opengl: bool = True,
) -> RgbImage:
    """The picture of `write_preview` as an (H, 1500, 3) array."""
    if not ct.geometry.is_close_to(fragments.geometry):
        raise ValueError("ct and fragments lie on different grids")
    order = canonical_order(fragments.geometry)
    ct, fragments = order.volume(ct), order.volume(fragments)
    box = _box_around(fragments.voxels > 0)
    near = fragments.cropped(box)
    entries = list_entries(near, numbering)
    bone_of_label = np.zeros(entries[-1].label + 1, np.int64)
    bone_of_label[[e.label for e in entries]] = [e.mask_value for e in entries]
    focus = find_focus(near.voxels, bone_of_label)
    height = VIEW_HEIGHT + SLICE_HEIGHT + 2 * GAP + legend_height(entries) + 16
    image = blank(WIDTH, height, _PAPER)
    parts = [Part(surface=surfaces[e.label], color=e.color) for e in entries if e.label in surfaces]
    bone_box = _box_around(bone_of_label[near.voxels] == focus.mask_value)
    side = _side_view(near.geometry, bone_box)
    _draw_views(image, parts, side, with_opengl=with_opengl)
    planes = tuple(side.start + index for side, index in zip(box, focus.indices, strict=True))
    shown = _widened(bone_box, box, fragments.geometry)
    sections = _sections(ct, fragments, planes, shown)
    _draw_slices(image, sections, focus, {e.label: e for e in entries})
    draw_legend(image, entries, VIEW_HEIGHT + SLICE_HEIGHT + 2 * GAP + 8)
    return image


def render_views(
    parts: Sequence[Part],
    viewers: Sequence[PointLps],
    width: int,
    height: int,
    *,
    with_opengl: bool = True,
) -> list[RgbImage]:
    """Draw the parts from several sides, with vtk where it works and with numpy where not.

    Args:
        parts: what to draw, at least one.
        viewers: directions from the scene towards the viewer, in LPS.
        width: of every picture, in pixels.
        height: of every picture, in pixels.
        with_opengl: try vtk first.
    """
    cameras = [fitted_camera(viewer, points_of(parts), width, height) for viewer in viewers]
    if with_opengl:
        try:
            return opengl.draw(parts, cameras)
        except opengl.DrawingFailedError:
            pass  # the picture is the same; how it was drawn is of no interest to the user
    return [software.draw(parts, camera) for camera in cameras]


def _box_around(mask: MaskArray) -> Box:
    """The smallest box that holds `mask`.

    Raises:
        ValueError: the mask is empty.
    """
    box = bounding_box(mask)
    if box is None:
        raise ValueError("there is no fragment to draw")
    return box


def _widened(inner: Box, outer: Box, geometry: Geometry) -> Box:
    """`inner`, which counts from the start of `outer`, on the whole grid and with a margin."""
    k, j, i = (
        slice(
            round(around.start + part.start - MARGIN_MM / step_mm),
            round(around.start + part.stop + MARGIN_MM / step_mm),
        )
        for part, around, step_mm in zip(inner, outer, geometry.spacing_mm, strict=True)
    )
    return (k, j, i)


def _side_view(geometry: Geometry, bone: Box) -> tuple[str, PointLps]:
    """Name and direction of the view that turns the bone inside the box to the viewer."""
    leftwards = (bone[2].start + bone[2].stop - geometry.shape[2]) / 2.0
    leftwards_mm = leftwards * geometry.spacing_mm[2]
    if abs(leftwards_mm) < _SIDEWARDS_MM:
        return "from behind, oblique", _BEHIND
    if leftwards_mm > 0:
        return "from the left, oblique", (0.75, -0.7, 0.3)
    return "from the right, oblique", (-0.75, -0.7, 0.3)


def _draw_views(
    image: RgbImage, parts: Sequence[Part], side: tuple[str, PointLps], *, with_opengl: bool
) -> None:
    paste(image, blank(WIDTH, VIEW_HEIGHT, BACKGROUND), 0, 0)
    if not parts:
        return
    width = WIDTH // 2
    viewers = [_FRONT, side[1]]
    views = render_views(parts, viewers, width, VIEW_HEIGHT, with_opengl=with_opengl)
    for number, (view, caption) in enumerate(zip(views, ("from the front", side[0]), strict=True)):
        paste(image, view, number * width, 0)
        write_text(image, caption, (number * width + 16, 12), _CAPTION_PX, INK)
    write_text(image, "R", (14, VIEW_HEIGHT // 2), _CAPTION_PX, INK)
    write_text(image, "L", (width - 14, VIEW_HEIGHT // 2), _CAPTION_PX, INK, "right")


def _sections(
    ct: Volume, fragments: LabelVolume, planes: tuple[int, ...], shown: Box
) -> tuple[Section, Section, Section]:
    """Axial seen from below, coronal from the front, sagittal from the left, as is usual."""
    (k, j, i), (dk, dj, di) = planes, ct.geometry.spacing_mm
    hu, labels = ct.voxels, fragments.voxels
    rows, columns = shown[0], shown[2]
    last = labels.shape[0]
    upright = slice(last - rows.stop, last - rows.start)
    return (
        Section(hu=hu[k], labels=labels[k], pixel_mm=(dj, di), shown=(shown[1], columns)),
        Section(
            hu=hu[::-1, j], labels=labels[::-1, j], pixel_mm=(dk, di), shown=(upright, columns)
        ),
        Section(
            hu=hu[::-1, :, i],
            labels=labels[::-1, :, i],
            pixel_mm=(dk, dj),
            shown=(upright, shown[1]),
        ),
    )


def _draw_slices(
    image: RgbImage, sections: Sequence[Section], focus: Focus, entries: Mapping[int, Entry]
) -> None:
    width = (WIDTH - 2 * GAP) // len(sections)
    name = bone_of_mask_value(focus.mask_value).name.lower()
    what = f"fracture of the {name}" if focus.is_fractured else name
    top, middle = VIEW_HEIGHT + GAP, VIEW_HEIGHT + GAP + SLICE_HEIGHT // 2
    captions = (("Axial", "RL"), ("Coronal", "RL"), ("Sagittal", "AP"))
    for number, (section, (caption, sides)) in enumerate(zip(sections, captions, strict=True)):
        left = number * (width + GAP)
        panel = draw_section(section, entries, width, SLICE_HEIGHT)
        panel[:_STRIP_PX] = panel[:_STRIP_PX] // 3
        write_text(panel, f"{caption}, {what}", (12, 8), _CAPTION_PX, _SLICE_INK)
        paste(image, panel, left, top)
        write_text(image, sides[0], (left + 8, middle), _CAPTION_PX, _SLICE_INK)
        write_text(image, sides[1], (left + width - 8, middle), _CAPTION_PX, _SLICE_INK, "right")
