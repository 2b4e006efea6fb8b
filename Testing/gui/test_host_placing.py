"""Points placed in the views, by a click that the test makes."""

from __future__ import annotations

from typing import Any

import pytest

from Testing.gui.host.host import Host


@pytest.fixture
def points(host: Host) -> Any:
    return host.scene.AddNewNodeByClass("vtkMRMLMarkupsFiducialNode", "Pieces")


@pytest.fixture
def place(host: Host, points: Any) -> Any:
    import slicer

    widget = slicer.qSlicerMarkupsPlaceWidget()
    widget.setMRMLScene(host.scene)
    widget.setCurrentNode(points)
    return widget


def test_points_are_placed_one_after_another_while_placing_persists(
    host: Host, place: Any, points: Any
) -> None:
    seen: list[Any] = []
    points.AddObserver(points.PointPositionDefinedEvent, lambda *_: seen.append(1))
    place.placeMultipleMarkups = place.ForcePlaceMultipleMarkups
    place.setPlaceModeEnabled(True)

    host.place_points(points, [(1, 2, 3), (4, 5, 6)])

    assert len(seen) == 2
    assert list(points.GetNthControlPointPositionWorld(1)) == [4.0, 5.0, 6.0]
    assert place.placeModeEnabled


def test_a_single_point_ends_placing(host: Host, place: Any, points: Any) -> None:
    seen: list[bool] = []
    place.connect("activeMarkupsPlaceModeChanged(bool)", seen.append)
    place.placeMultipleMarkups = place.ForcePlaceSingleMarkup
    place.placeButton().click()

    host.place_points(points, [(1, 2, 3)])

    assert seen == [True, False]
    assert not place.placeButton().checked
    with pytest.raises(AssertionError, match="not being placed"):
        host.place_points(points, [(4, 5, 6)])


def test_points_of_a_node_that_is_not_placed_are_refused(host: Host, points: Any) -> None:
    with pytest.raises(AssertionError, match="Pieces is not being placed"):
        host.place_points(points, [(0, 0, 0)])


def test_points_are_world_points_whatever_the_nodes_transform(
    host: Host, place: Any, points: Any
) -> None:
    import vtk

    transform = host.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 100.0)
    transform.SetMatrixTransformToParent(matrix)
    points.SetAndObserveTransformNodeID(transform.GetID())
    place.setPlaceModeEnabled(True)

    host.place_points(points, [(1, 2, 3)])

    assert list(points.GetNthControlPointPositionWorld(0)) == [1.0, 2.0, 3.0]
    assert list(points.GetNthControlPointPosition(0)) == [-99.0, 2.0, 3.0]
