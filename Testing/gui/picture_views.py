"""Turns the host's views so that a picture shows the bones, and little else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from Testing.gui.host.host import Host

_ANTERIOR = 3  # of ctkAxesWidget: the viewer stands before the patient
_MARGIN = 1.12
_NEARER = 1.3


def fill_slices(host: Host, box_ras: Sequence[float], point_ras: Sequence[float]) -> None:
    """Cut at a point, and let the box fill every slice view.

    Args:
        host: with views of their final size.
        box_ras: least and greatest r, a and s, in mm.
        point_ras: where the slices cut, in mm.
    """
    import slicer

    node_class = slicer.vtkMRMLSliceNode
    node_class.JumpAllSlices(slicer.mrmlScene, *point_ras, node_class.CenteredJumpSlice)
    layout = host.app.layoutManager()
    for name in layout.sliceViewNames():
        widget = layout.sliceWidget(name)
        view = widget.sliceView()
        _fill(widget.mrmlSliceNode(), np.array(box_ras), (view.width, view.height))
    host.process_events(0.2)


def _fill(node: Any, box_ras: npt.NDArray[np.float64], pixels: tuple[int, int]) -> None:
    lows, highs = box_ras[::2], box_ras[1::2]
    matrix = node.GetSliceToRAS()
    axes = np.array([[matrix.GetElement(row, column) for row in range(3)] for column in range(3)])
    place = np.array([matrix.GetElement(row, 3) for row in range(3)])
    extents = np.abs(axes[:2]) @ (highs - lows) * _MARGIN
    mm_per_pixel = max(extents / pixels)
    node.SetFieldOfView(*(mm_per_pixel * np.array(pixels)), node.GetFieldOfView()[2])
    # The slice stays where it is; only its middle moves, within its plane.
    middle = (lows + highs) / 2
    moved = place + sum(((middle - place) @ axis) * axis for axis in axes[:2])
    for row in range(3):
        matrix.SetElement(row, 3, moved[row])
    node.UpdateMatrices()


def look_from_the_front(host: Host) -> None:
    """Let the bones fill the 3D view as a radiograph shows them; box and letters are hidden."""
    view = host.app.layoutManager().threeDWidget(0).threeDView()
    view.mrmlViewNode().SetBoxVisible(False)
    view.mrmlViewNode().SetAxisLabelsVisible(False)
    host.process_events(0.1)
    view.forceRender()
    view.rotateToViewAxis(_ANTERIOR)
    view.resetFocalPoint()
    view.resetCamera()
    camera = view.renderer().GetActiveCamera()
    camera.Dolly(_NEARER)
    view.renderer().ResetCameraClippingRange()
    view.scheduleRender()
    host.process_events(0.1)
