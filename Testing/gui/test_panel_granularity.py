"""The slider "fewer ... more fragments": what it offers, does, takes back, and leaves alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.gui.host.host import Host
from Testing.gui.panel_case import PanelCase, make_case, write_case_result
from Testing.gui.panel_case_steps import panel_with_result


@pytest.fixture(scope="module")
def case() -> PanelCase:
    return make_case()


@pytest.fixture
def result(case: PanelCase, tmp_path: Path) -> Path:
    return write_case_result(case, tmp_path / "result")


@pytest.fixture
def panel(host: Host, case: PanelCase, result: Path) -> Any:
    return panel_with_result(host, case, result)


def hip(panel: Any) -> list[str]:
    """Ids of the fragments of the hip."""
    from FractureSegmentationLib.anatomy.catalogue import bone_named
    from FractureSegmentationLib.mrml.granularity import bones_of

    return bones_of(panel.segmentation()).get(bone_named("left_hip"), [])


def voxels(panel: Any) -> np.ndarray:
    from FractureSegmentationLib.mrml.segmentation import fragments_of

    return fragments_of(panel.segmentation()).labels.voxels


def test_without_a_selection_nothing_is_offered_and_it_says_what_to_do(panel: Any) -> None:
    panel.ui.fragmentsTable.clearSelection()

    assert not panel.ui.granularitySlider.enabled
    assert "Select a fragment" in panel.ui.granularityLabel.text


def test_a_bone_in_one_region_cannot_be_divided_and_it_is_said(panel: Any) -> None:
    panel.fragments.select(["sacrum_1"])

    assert not panel.ui.granularitySlider.enabled
    assert "no other way" in panel.ui.granularityLabel.text


def test_it_stands_where_the_run_left_it(panel: Any) -> None:
    """One to four fragments, and there are three."""
    panel.fragments.select(["left_hip_2"])

    slider = panel.ui.granularitySlider
    assert slider.enabled
    assert (slider.minimum, slider.maximum, slider.value) == (0, 3, 2)
    assert panel.ui.granularityLabel.text == "Left hip bone: 3 fragments"


@pytest.mark.parametrize(("position", "count"), [(0, 1), (1, 2), (3, 4)])
def test_a_move_divides_the_bone_and_one_undo_takes_it_back(
    panel: Any, position: int, count: int
) -> None:
    before = voxels(panel)
    panel.fragments.select(["left_hip_1"])

    panel.ui.granularitySlider.value = position

    assert len(hip(panel)) == count
    assert ((voxels(panel) > 0) == (before > 0)).all()
    assert ((voxels(panel) == 1) == (before == 1)).all()
    panel.correct.onUndo()
    assert np.array_equal(voxels(panel), before)
    panel.correct.onRedo()
    assert len(hip(panel)) == count


def test_a_reviewed_fragment_is_left_alone(panel: Any) -> None:
    from Testing.gui.panel_case import make_case as again

    panel.logic.setReviewed(panel.segmentation(), ["left_hip_2"], True)
    panel.fragmentsChanged()
    panel.fragments.select(["left_hip_1"])

    panel.ui.granularitySlider.value = 3

    assert ((voxels(panel) == 52) == (again().labels.voxels == 52)).all()
    assert len(hip(panel)) == 4


def test_where_all_is_reviewed_it_is_said_and_nothing_changes(panel: Any) -> None:
    before = voxels(panel)
    panel.logic.setReviewed(panel.segmentation(), hip(panel), True)
    panel.fragmentsChanged()
    panel.fragments.select(["left_hip_1"])

    panel.ui.granularitySlider.value = 0

    assert "reviewed" in panel.ui.correctMessageLabel.text
    assert np.array_equal(voxels(panel), before)


def test_a_scene_that_was_saved_still_offers_it(host: Host, panel: Any, tmp_path: Path) -> None:
    import slicer

    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    host.close_scene()
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    host.process_events(0.1)
    panel.fragments.select(["left_hip_1"])

    panel.ui.granularitySlider.value = 3

    assert len(hip(panel)) == 4


def test_a_result_of_an_older_version_says_why_not(
    host: Host, case: PanelCase, result: Path
) -> None:
    report = json.loads((result / "report.json").read_text(encoding="utf-8"))
    for bone in report["bones"]:
        bone.pop("merge_tree")
    (result / "report.json").write_text(json.dumps(report), encoding="utf-8")
    (result / "regions.nrrd").unlink()

    panel = panel_with_result(host, case, result)
    panel.fragments.select(["left_hip_1"])

    assert not panel.ui.granularitySlider.enabled
    assert "kept no merge tree" in panel.ui.granularityLabel.text
    assert "kept no merge tree" in panel.ui.granularitySlider.toolTip
