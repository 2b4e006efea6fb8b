"""qMRMLSegmentsTableView, as its class documentation describes it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from Testing.gui.host.host import Host


@pytest.fixture
def segmentation(host: Host) -> Any:
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Fragments")
    node.CreateDefaultDisplayNodes()
    for name in ("a", "b", "c"):
        node.GetSegmentation().AddEmptySegment(f"id_{name}", name, [1.0, 0.5, 0.0])
    return node


@pytest.fixture
def table(host: Host, segmentation: Any) -> Any:
    import slicer

    view = slicer.qMRMLSegmentsTableView()
    view.setMRMLScene(host.scene)
    view.setSegmentationNode(segmentation)
    return view


def test_the_table_shows_the_segments_in_order(table: Any, segmentation: Any) -> None:
    assert table.segmentCount == 3
    assert table.displayedSegmentIDs() == ["id_a", "id_b", "id_c"]
    assert table.rowForSegmentID("id_b") == 1
    assert table.segmentIDForRow(2) == "id_c"
    assert table.segmentationNode() is segmentation


def test_the_table_follows_its_segmentation_and_keeps_the_selection(
    table: Any, segmentation: Any
) -> None:
    table.setSelectedSegmentIDs(["id_a", "id_c"])

    segmentation.GetSegmentation().RemoveSegment("id_b")
    segmentation.GetSegmentation().GetSegment("id_c").SetName("renamed")

    assert table.displayedSegmentIDs() == ["id_a", "id_c"]
    assert table.selectedSegmentIDs() == ["id_a", "id_c"]
    assert table.tableWidget().item(1, 3).text() == "renamed"


def test_a_selection_is_announced_once(table: Any) -> None:
    seen: list[int] = []
    table.connect("selectionChanged(QItemSelection,QItemSelection)", lambda: seen.append(1))

    table.setSelectedSegmentIDs(["id_b"])

    assert seen == [1]
    assert table.selectedSegmentIDs() == ["id_b"]
    table.clearSelection()
    assert table.selectedSegmentIDs() == []


def test_editing_the_name_renames_the_segment_after_a_warning(
    table: Any, segmentation: Any
) -> None:
    seen: list[str] = []
    table.connect("segmentAboutToBeModified(QString)", seen.append)

    table.tableWidget().item(0, 3).setText("new name")

    assert seen == ["id_a"]
    assert segmentation.GetSegmentation().GetSegment("id_a").GetName() == "new name"


def test_a_click_on_the_first_column_hides_the_segment(table: Any, segmentation: Any) -> None:
    table.tableWidget().cellClicked.emit(0, 0)

    assert not segmentation.GetDisplayNode().GetSegmentVisibility("id_a")
    assert table.tableWidget().item(0, 0).text() == "hidden"


def test_hidden_segments_and_a_filter_leave_rows_out(table: Any) -> None:
    table.setHideSegments(["id_a"])
    table.textFilter = "C"

    assert table.displayedSegmentIDs() == ["id_c"]
    assert table.segmentCount == 1


def test_no_segmentation_is_an_empty_table(table: Any) -> None:
    table.setSegmentationNode(None)

    assert table.segmentCount == 0
    assert table.selectedSegmentIDs() == []


def test_a_volume_is_no_segmentation(host: Host, table: Any) -> None:
    import slicer

    table.setSegmentationNode(slicer.util.addVolumeFromArray(np.zeros((2, 2, 2))))

    assert table.segmentationNode() is None
