"""The views draw: colours at known places, the CT under the fragments, a picture on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.gui.host.host import Host

BRIGHT, DARK = 1000, -1000


@pytest.fixture
def ct(host: Host, views: Any) -> Any:
    """40 mm along each axis, bright for i >= 20, that is x >= 20 mm; shown in all slices."""
    import slicer

    host.window.show()  # views have their size when they are shown
    host.process_events()
    voxels = np.full((40, 40, 40), DARK, np.int16)
    voxels[:, :, 20:] = BRIGHT
    node = slicer.util.addVolumeFromArray(voxels)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAutoWindowLevel(0)
    node.GetDisplayNode().SetWindowLevel(2000, 0)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


@pytest.fixture
def red_cube(host: Host, ct: Any) -> Any:
    """x, y and z from 22 to 31 mm, filled red without an outline."""
    import slicer

    node = host.scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(ct)
    mask = np.zeros((40, 40, 40), np.uint8)
    mask[22:32, 22:32, 22:32] = 1
    node.GetSegmentation().AddEmptySegment("cube", "cube", [1.0, 0.0, 0.0])
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, "cube", ct)
    node.GetDisplayNode().SetVisibility2DOutline(False)
    node.GetDisplayNode().SetOpacity2DFill(0.5)
    return node


def pixel(view: Any, x: float, y: float) -> tuple[int, int, int]:
    """Colour at a share of the width from the left and of the height from the top."""
    view.forceRender()
    image = view.grab().toImage()
    color = image.pixelColor(int(x * image.width()), int(y * image.height()))
    return color.red(), color.green(), color.blue()


def test_the_axial_view_has_right_on_the_left(views: Any, ct: Any) -> None:
    """x grows to the patient's right in RAS terms; the view shows R on its left side."""
    red = views.sliceWidget("Red").sliceView()

    assert min(pixel(red, 0.25, 0.5)) > 200
    assert max(pixel(red, 0.75, 0.5)) < 50


def test_the_ct_shines_through_a_fragment(views: Any, red_cube: Any) -> None:
    """Half red over white is (255, 127, 127); black under it would give (127, 0, 0)."""
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(27, 27, 27, True)
    red, green, blue = pixel(views.sliceWidget("Red").sliceView(), 0.5, 0.5)

    assert red > 240
    assert green == pytest.approx(127, abs=12)
    assert blue == pytest.approx(127, abs=12)


def test_the_surface_is_drawn_in_3d(views: Any, red_cube: Any) -> None:
    red_cube.CreateClosedSurfaceRepresentation()
    view = views.threeDWidget(0).threeDView()
    view.mrmlViewNode().SetBoxVisible(False)
    view.mrmlViewNode().SetAxisLabelsVisible(False)
    view.rotateToViewAxis(3)
    view.resetFocalPoint()
    view.resetCamera()

    red, green, blue = pixel(view, 0.5, 0.5)

    assert red > 100
    assert max(green, blue) < red / 3


def test_a_changed_segment_is_drawn_without_being_asked(
    host: Host, views: Any, red_cube: Any
) -> None:
    import slicer

    slicer.modules.markups.logic().JumpSlicesToLocation(27, 27, 27, True)
    view = views.sliceWidget("Red").sliceView()
    before = pixel(view, 0.5, 0.5)

    red_cube.GetSegmentation().GetSegment("cube").SetColor(0.0, 1.0, 0.0)
    host.process_events(0.05)
    image = view.grab().toImage()
    after = image.pixelColor(image.width() // 2, image.height() // 2)

    assert before[0] > before[1]
    assert after.green() > after.red()


def test_the_layout_manager_knows_its_views(host: Host, views: Any) -> None:
    import slicer

    assert views.sliceViewNames() == ["Red", "Yellow", "Green"]
    assert views.threeDViewCount == 1
    assert views.threeDWidget(1) is None
    red = views.sliceWidget("Red")
    assert red.mrmlSliceNode().GetName() == "Red"
    assert red.mrmlSliceNode().GetOrientation() == "Axial"
    assert red.sliceLogic().GetSliceCompositeNode() is red.mrmlSliceCompositeNode()
    assert slicer.util.getNode("vtkMRMLSliceNodeRed") is red.mrmlSliceNode()


def test_views_survive_a_closed_scene(host: Host, views: Any, red_cube: Any) -> None:
    host.close_scene()
    view = views.sliceWidget("Red").sliceView()

    assert pixel(view, 0.25, 0.5) == (0, 0, 0)
    assert views.sliceWidget("Red").mrmlSliceNode().GetScene() is host.scene


def test_a_screenshot_is_a_picture_of_the_window(host: Host, ct: Any, tmp_path: Path) -> None:
    import qt

    host.screenshot(host.window, tmp_path / "pictures" / "window.png")

    image = qt.QImage(str(tmp_path / "pictures" / "window.png"))
    assert (image.width(), image.height()) == (host.window.width, host.window.height)
    colours = {image.pixel(x, 200) & 0xFFFFFF for x in range(500, image.width())}
    assert {0x000000, 0xFFFFFF} <= colours, "dark and bright CT"
