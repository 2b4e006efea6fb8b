"""Surfaces with the names and colours under which they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.mesh import Surface, fragment_surfaces
from FractureSegmentationLib.planning.pose import Pose
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.layers import LayeredLabels
from FractureSegmentationLib.results.naming import file_stems


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """One fragment as a surface.

    Attributes:
        segment: gives id, name and colour.
        stem: name of its file or object, safe on every file system.
        surface: in LPS, mm, where it is to be.
    """

    segment: Segment
    stem: str
    surface: Surface


def posed_models(
    labels: LayeredLabels, poses: Mapping[str, Pose], progress: Progress | None = None
) -> tuple[Model, ...]:
    """The surfaces of all segments that have voxels, in their order.

    The surface is made where the CT shows the fragment and then moved: a pose changes no shape.

    Args:
        labels: the segmentation.
        poses: (4, 4) in LPS, mm by segment id; a segment without one stays where it is.
        progress: told after every surface.

    Raises:
        RunCancelledError: the caller asked to stop.
    """
    filled = labels.filled()
    stems = file_stems([one.segment for one in filled])
    surfaces: dict[tuple[int, int], Surface] = {}
    for index, layer in enumerate(labels.layers):
        values = [one.segment.label_value for one in filled if one.layer == index]
        found = fragment_surfaces(layer, values, progress) if values else {}
        surfaces.update({(index, value): surface for value, surface in found.items()})
    models = []
    for one in filled:
        surface, pose = surfaces[one.layer, one.segment.label_value], poses.get(one.segment.id)
        models.append(
            Model(
                segment=one.segment,
                stem=stems[one.segment.id],
                surface=surface if pose is None else surface.moved(pose),
            )
        )
    return tuple(models)
