"""qMRMLNodeComboBox, as its class documentation describes it."""

from __future__ import annotations

from typing import Any

import pytest

from Testing.gui.host.host import Host

VOLUME = "vtkMRMLScalarVolumeNode"


@pytest.fixture
def selector(host: Host) -> Any:
    import slicer

    box = slicer.qMRMLNodeComboBox()
    box.nodeTypes = [VOLUME]
    return box


def add(host: Host, name: str = "CT", class_name: str = VOLUME) -> Any:
    return host.scene.AddNewNodeByClass(class_name, name)


def names(selector: Any) -> list[str]:
    return [selector.nodeFromIndex(n).GetName() for n in range(selector.nodeCount())]


def test_a_selector_is_disabled_until_it_has_a_scene(host: Host, selector: Any) -> None:
    assert not selector.enabled

    selector.setMRMLScene(host.scene)

    assert selector.enabled


def test_without_none_the_first_node_is_chosen(host: Host, selector: Any) -> None:
    first = add(host, "first")
    add(host, "second")

    selector.setMRMLScene(host.scene)

    assert selector.currentNode() is first
    assert selector.currentNodeID == first.GetID()


def test_without_none_the_first_to_come_is_chosen(host: Host, selector: Any) -> None:
    seen: list[Any] = []
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    selector.connect("currentNodeChanged(bool)", seen.append)
    selector.setMRMLScene(host.scene)

    node = add(host)

    assert seen == [node, True]


def test_with_none_nothing_is_chosen_by_itself(host: Host, selector: Any) -> None:
    selector.noneEnabled = True
    selector.setMRMLScene(host.scene)

    add(host)

    assert selector.currentNode() is None
    assert selector.nodeCount() == 1


def test_only_nodes_of_the_types_that_are_not_hidden_are_listed(host: Host, selector: Any) -> None:
    add(host, "CT")
    add(host, "labels", "vtkMRMLLabelMapVolumeNode")
    add(host, "model", "vtkMRMLModelNode")
    add(host, "contact").SetHideFromEditors(True)
    selector.setMRMLScene(host.scene)
    assert names(selector) == ["CT", "labels"]

    selector.showChildNodeTypes = False
    assert names(selector) == ["CT"]
    selector.showChildNodeTypes = True
    selector.hideChildNodeTypes = ["vtkMRMLLabelMapVolumeNode"]
    assert names(selector) == ["CT"]
    selector.showHidden = True
    assert names(selector) == ["CT", "contact"]


def test_attributes_filter(host: Host, selector: Any) -> None:
    add(host, "other")
    add(host, "ours").SetAttribute("FracSeg", "1")
    selector.addAttribute(VOLUME, "FracSeg", "1")

    selector.setMRMLScene(host.scene)

    assert names(selector) == ["ours"]
    assert selector.addNode().GetAttribute("FracSeg") == "1"


def test_a_removed_node_is_no_longer_chosen(host: Host, selector: Any) -> None:
    selector.noneEnabled = True
    selector.setMRMLScene(host.scene)
    node, seen = add(host), []
    selector.setCurrentNode(node)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)

    host.scene.RemoveNode(node)

    assert seen == [None]
    assert selector.nodeCount() == 0


def test_closing_the_scene_chooses_none(host: Host, selector: Any) -> None:
    selector.setMRMLScene(host.scene)
    add(host)

    host.close_scene()

    assert selector.currentNode() is None
    assert selector.currentNodeID == ""


def test_a_node_is_chosen_by_id_and_an_unknown_id_chooses_none(host: Host, selector: Any) -> None:
    selector.noneEnabled = True
    selector.setMRMLScene(host.scene)
    node = add(host)

    selector.currentNodeID = node.GetID()
    assert selector.currentNode() is node
    selector.setCurrentNodeID("no such node")

    assert selector.currentNode() is None


def test_create_new_makes_a_node_of_the_base_name(host: Host, selector: Any) -> None:
    seen: list[Any] = []
    selector.nodeTypes = ["vtkMRMLSegmentationNode"]
    selector.baseName = "Fragments"
    selector.connect("nodeAddedByUser(vtkMRMLNode*)", seen.append)
    selector.setMRMLScene(host.scene)
    entry = selector._box.findText("Create new Segmentation")

    selector._box.activated.emit(entry)

    assert selector.currentNode().GetName() == "Fragments"
    assert seen == [selector.currentNode()]


def test_a_renamed_node_is_renamed_in_the_list(host: Host, selector: Any) -> None:
    seen: list[str] = []
    selector.setMRMLScene(host.scene)
    node = add(host, "old")
    selector.connect("currentNodeRenamed(QString)", seen.append)

    node.SetName("new")

    assert seen == ["new"]
    assert selector._box.currentText == "new"


def test_a_deleted_selector_leaves_no_observer_behind(host: Host, selector: Any) -> None:
    selector.setMRMLScene(host.scene)

    selector.deleteLater()
    host.process_events()
    add(host)

    assert host.slot_errors == []
