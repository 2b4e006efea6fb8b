"""Slice and 3D views drawn offscreen by Slicer's own displayable managers."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkInteractionStyle import vtkInteractorStyleUser

from Testing.gui.host.mrml_world import quiet_vtk

SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLLinearTransformsDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
)


def can_render() -> bool:
    """Whether this machine can draw without a screen: EGL or OSMesa with a driver."""
    with quiet_vtk():  # the search for a display fails loudly
        window = vtk.vtkRenderWindow()
        window.SetOffScreenRendering(1)
        return bool(window.SupportsOpenGL())


class OffscreenView:
    """A render window without a screen and the displayable managers that fill it."""

    node: Any

    def __init__(self, factory: Any, managers: tuple[str, ...], application_logic: Any) -> None:
        self.renderer = vtk.vtkRenderer()
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(0)  # five times faster on a CPU
        self.window.AddRenderer(self.renderer)
        self._add_background()
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        # VTK's default style would keep every press of a button for itself.
        self.interactor.SetInteractorStyle(vtkInteractorStyleUser())
        self.interactor.Initialize()
        factory.SetMRMLApplicationLogic(application_logic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.SetRenderer(self.renderer)
        self.group.Initialize(factory, self.renderer)

    def _add_background(self) -> None:
        """What has to be in the renderer before anything else."""

    def _prepare(self, width: int, height: int) -> None:
        """Last changes before a frame."""

    def _hand_mouse_to(self, style: Any) -> None:
        """Let Slicer's own style pass what the mouse does to the displayable managers."""
        style.SetDisplayableManagers(self.group)
        style.SetInteractor(self.interactor)
        self._style = style

    def frame(self, width: int, height: int) -> bytes:
        """Draw now; RGBA, top row first."""
        self.window.SetSize(width, height)
        self._prepare(width, height)
        self.interactor.Render()
        pixels = vtk.vtkUnsignedCharArray()
        self.window.GetRGBACharPixelData(0, 0, width - 1, height - 1, 0, pixels)
        return vtk_to_numpy(pixels).reshape(height, width * 4)[::-1].tobytes()


class SliceView(OffscreenView):
    """One slice: `logic` cuts the volumes, displayable managers draw what lies over them."""

    def __init__(self, name: str, orientation: str, application_logic: Any) -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, SLICE_MANAGERS, application_logic)
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(application_logic.GetMRMLScene())
        self.node = self.logic.AddSliceNode(name)
        self.node.SetOrientation(orientation)
        self.group.SetMRMLDisplayableNode(self.node)
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(self.logic)
        self._hand_mouse_to(style)

    def _add_background(self) -> None:
        # First in the renderer: otherwise the segments win the depth test against the CT.
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        self.image = vtk.vtkActor2D()
        self.image.SetMapper(mapper)
        self.image.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self.image)

    def _prepare(self, width: int, height: int) -> None:
        self.logic.ResizeSliceNode(width, height)
        source = self.logic.GetImageDataConnection()
        self.image.GetMapper().SetInputConnection(source)
        self.image.SetVisibility(source is not None)


class ThreeDView(OffscreenView):
    """The 3D view."""

    def __init__(self, name: str, application_logic: Any) -> None:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, THREE_D_MANAGERS, application_logic)
        self.logic = slicer.vtkMRMLViewLogic()
        self.logic.SetMRMLApplicationLogic(application_logic)
        application_logic.GetViewLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(application_logic.GetMRMLScene())
        self.node = self.logic.AddViewNode(name)
        self.group.SetMRMLDisplayableNode(self.node)
        self._hand_mouse_to(slicer.vtkMRMLThreeDViewInteractorStyle())

    def camera_node(self) -> Any:
        """The node that holds the camera."""
        manager = self.group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager")
        return manager.GetCameraNode()
