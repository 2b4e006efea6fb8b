"""How many states of a segmentation are kept for undo: as many as fit into memory."""

from __future__ import annotations

from typing import Any

import pytest

from FractureSegmentationLib.mrml.history import SegmentationHistory, undo_states


def one_layer(scene: Any, shape: tuple[int, int, int], segments: int = 2) -> Any:
    """A segmentation whose segments share one 16-bit labelmap; its voxels are never touched."""
    import slicer
    import vtk

    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    layer = slicer.vtkOrientedImageData()
    k, j, i = shape
    layer.SetDimensions(i, j, k)
    layer.AllocateScalars(vtk.VTK_UNSIGNED_SHORT, 1)
    name = slicer.vtkSegmentationConverter.GetSegmentationBinaryLabelmapRepresentationName()
    for value in range(1, segments + 1):
        segment = slicer.vtkSegment()
        segment.SetLabelValue(value)
        segment.AddRepresentation(name, layer)
        node.GetSegmentation().AddSegment(segment, f"segment_{value}")
    return node


@pytest.mark.parametrize(
    ("shape", "states"),
    [
        ((64, 64, 64), 10),  # 0.5 MB a state
        ((250, 400, 500), 5),  # 100 MB a state
        ((400, 512, 512), 2),  # 210 MB a state
        ((700, 512, 768), 1),  # 550 MB: one step is kept whatever it costs
    ],
)
def test_the_history_keeps_10_states_or_500_megabytes(
    scene: Any, shape: tuple[int, int, int], states: int
) -> None:
    """Of 16-bit voxels; segments that share a layer share its copy."""
    assert undo_states(one_layer(scene, shape)) == states


def test_without_a_segmentation_or_with_an_empty_one_there_is_room_for_all(scene: Any) -> None:
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")

    assert undo_states(None) == 10
    assert undo_states(empty) == 10


def test_a_history_made_of_an_empty_segmentation_is_bounded_once_it_is_large(scene: Any) -> None:
    node = one_layer(scene, (300, 320, 260), segments=1)  # 50 MB
    history = SegmentationHistory(node, maximum_states=3)

    for _step in range(5):
        history.save_state()
        node.GetSegmentation().GetNthSegment(0).SetName(f"step {_step}")
    steps = 0
    while history.undo():
        steps += 1

    assert steps == 3
