"""The embedded Segment Editor over the real logic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from Testing.gui.host.host import Host

SHAPE = (8, 9, 10)


@pytest.fixture
def volume(host: Host) -> Any:
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16))


@pytest.fixture
def segmentation(host: Host, volume: Any) -> Any:
    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Fragments")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for name in ("a", "b"):
        node.GetSegmentation().AddEmptySegment(name, name, [1.0, 0.5, 0.0])
    return node


@pytest.fixture
def blank_editor(host: Host) -> Any:
    import slicer

    editor = slicer.qMRMLSegmentEditorWidget()
    editor.setMaximumNumberOfUndoStates(5)
    return editor


@pytest.fixture
def editor(host: Host, blank_editor: Any, segmentation: Any, volume: Any) -> Any:
    blank_editor.setMRMLSegmentEditorNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    blank_editor.setMRMLScene(host.scene)
    blank_editor.setSegmentationNode(segmentation)
    blank_editor.setSourceVolumeNode(volume)
    return blank_editor


def box(*ranges: tuple[int, int]) -> Any:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*one) for one in ranges)] = True
    return mask


def voxels(segmentation: Any, segment_id: str, volume: Any) -> Any:
    import slicer

    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment_id, volume)


def button(editor: Any, name: str) -> Any:
    import slicer

    return slicer.util.findChild(editor, name)


def test_the_order_of_nodes_matters(host: Host, blank_editor: Any, segmentation: Any) -> None:
    import slicer

    blank_editor.setMRMLScene(host.scene)
    with pytest.raises(RuntimeError, match="editor node first"):
        blank_editor.setSegmentationNode(segmentation)

    blank_editor.setMRMLSegmentEditorNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode"))
    with pytest.raises(RuntimeError, match="segmentation node first"):
        blank_editor.setSourceVolumeNode(slicer.util.addVolumeFromArray(np.zeros(SHAPE)))


def test_the_state_is_kept_in_the_editor_node(editor: Any, segmentation: Any, volume: Any) -> None:
    node = editor.mrmlSegmentEditorNode()

    assert node.GetSegmentationNode() is editor.segmentationNode() is segmentation
    assert node.GetSourceVolumeNode() is editor.sourceVolumeNode() is volume
    assert editor.currentSegmentID() == node.GetSelectedSegmentID() == "a"


def test_a_stroke_is_undone_and_redone(
    host: Host, editor: Any, segmentation: Any, volume: Any
) -> None:
    assert not button(editor, "UndoButton").enabled

    host.paint(editor, "a", box((1, 3), (2, 5), (3, 4)))

    assert np.array_equal(voxels(segmentation, "a", volume), box((1, 3), (2, 5), (3, 4)))
    assert button(editor, "UndoButton").enabled
    editor.undo()
    assert voxels(segmentation, "a", volume).sum() == 0
    assert not button(editor, "UndoButton").enabled
    button(editor, "RedoButton").click()
    assert voxels(segmentation, "a", volume).sum() == 6


def test_a_stroke_takes_voxels_from_other_segments(
    host: Host, editor: Any, segmentation: Any, volume: Any
) -> None:
    host.paint(editor, "a", box((0, 4), (0, 4), (0, 4)))
    host.paint(editor, "b", box((2, 4), (0, 4), (0, 4)))
    host.paint(editor, "b", box((3, 4), (0, 4), (0, 4)), is_erasing=True)

    assert voxels(segmentation, "a", volume).sum() == 32
    assert voxels(segmentation, "b", volume).sum() == 16


def test_what_a_button_saved_is_in_the_same_history(
    host: Host, editor: Any, segmentation: Any, volume: Any
) -> None:
    host.paint(editor, "a", box((0, 2), (0, 2), (0, 2)))
    editor.saveStateForUndo()
    segmentation.GetSegmentation().RemoveSegment("b")

    editor.undo()
    assert segmentation.GetSegmentation().GetSegment("b") is not None
    editor.undo()

    assert voxels(segmentation, "a", volume).sum() == 0


def test_only_so_many_states_are_kept(host: Host, editor: Any) -> None:
    assert editor.maximumNumberOfUndoStates == 5
    for k in range(SHAPE[0]):
        host.paint(editor, "a", box((k, k + 1), (0, 1), (0, 1)))

    steps = 0
    while button(editor, "UndoButton").enabled:
        editor.undo()
        steps += 1

    assert 0 < steps <= 5


def test_another_segmentation_begins_an_empty_history(host: Host, editor: Any) -> None:
    host.paint(editor, "a", box((0, 1), (0, 1), (0, 1)))

    editor.setSegmentationNode(host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))

    assert not button(editor, "UndoButton").enabled
    assert editor.currentSegmentID() == ""


def test_closing_the_scene_empties_the_editor(host: Host, editor: Any) -> None:
    host.paint(editor, "a", box((0, 1), (0, 1), (0, 1)))

    host.close_scene()

    assert editor.segmentationNode() is None
    assert not button(editor, "UndoButton").enabled


def test_effects_are_chosen_by_name_and_shown_in_the_order_asked_for(editor: Any) -> None:
    editor.setEffectNameOrder(["Scissors", "Paint"])
    assert [editor.effectByIndex(n).name for n in range(3)] == ["Scissors", "Paint", "Threshold"]
    editor.unorderedEffectsVisible = False
    assert editor.effectCount() == 2

    editor.setActiveEffectByName("Paint")
    assert editor.activeEffect().name == "Paint"
    editor.activeEffect().setParameter("BrushSphere", 1)
    assert editor.effectByName("Paint").parameter("BrushSphere") == "1"
    editor.setActiveEffectByName("No such effect")
    assert editor.activeEffect().name == "Paint"
    editor.setActiveEffect(None)

    assert editor.activeEffect() is None


def test_keys_work_between_install_and_uninstall(host: Host, views: Any, editor: Any) -> None:
    import qt

    def keys() -> dict[str, Any]:
        host.process_events()
        found = host.window.findChildren(qt.QShortcut)
        return {shortcut.key.toString(): shortcut for shortcut in found}

    editor.setEffectNameOrder(["Scissors", "Paint"])
    editor.installKeyboardShortcuts()
    editor.installKeyboardShortcuts()
    assert len(keys()) == len(host.window.findChildren(qt.QShortcut))

    keys()["2"].activated.emit()
    assert editor.activeEffect().name == "Paint"
    keys()["W"].activated.emit()
    assert editor.currentSegmentID() == "b"
    keys()["Esc"].activated.emit()
    assert editor.activeEffect() is None
    editor.uninstallKeyboardShortcuts()

    assert keys() == {}


def test_the_table_selects_the_segment(editor: Any) -> None:
    seen: list[str] = []
    editor.connect("currentSegmentIDChanged(QString)", seen.append)

    button(editor, "SegmentsTableView").setSelectedSegmentIDs(["b"])

    assert editor.currentSegmentID() == "b"
    assert seen == ["b"]
