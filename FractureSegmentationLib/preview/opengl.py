"""Drawing surfaces with vtk, in a process of its own.

On a machine without an OpenGL library or driver, vtk may take the whole process down. So it draws
in a child: surfaces go in through a pipe, pictures come out, and whatever happens to the child, the
caller lives and draws with numpy instead.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.mesh import Surface
from FractureSegmentationLib.preview.camera import (
    AMBIENT,
    BACKGROUND,
    LIGHTS,
    Camera,
    Part,
    vertex_normals,
)
from FractureSegmentationLib.preview.raster import RgbImage, halved

if TYPE_CHECKING:
    from vtkmodules.vtkRenderingCore import vtkActor, vtkRenderer, vtkRenderWindow

TIMEOUT_S = 90.0

_AWAY_MM = 2000.0
"""From here the viewer has every fragment before them."""

_PACKAGE_PARENT = Path(__file__).resolve().parents[2]


class DrawingFailedError(RuntimeError):
    """The child drew nothing; the message holds what it said last."""


def draw(parts: Sequence[Part], cameras: Sequence[Camera]) -> list[RgbImage]:
    """Draw the parts as every camera sees them.

    Returns:
        One (height, width, 3) image per camera.

    Raises:
        DrawingFailedError: there is no OpenGL, or it failed or took longer than `TIMEOUT_S`.
    """
    environment = dict(os.environ)
    paths = [str(_PACKAGE_PARENT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    try:
        child = subprocess.run(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", __name__],
            input=_packed(parts, cameras),
            capture_output=True,
            env=environment,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DrawingFailedError(str(error)) from error
    if child.returncode != 0:
        raise DrawingFailedError(f"exit status {child.returncode}: {child.stderr[-500:]!r}")
    try:
        with np.load(io.BytesIO(child.stdout)) as images:
            return [images[f"image{n}"] for n in range(len(cameras))]
    except (ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise DrawingFailedError("the pictures did not arrive") from error


def main() -> int:
    """Child: read surfaces and cameras from stdin, write the pictures to stdout."""
    # What vtk and its drivers print must not get between the pictures.
    pictures = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as packed:
        parts, cameras = _unpacked(packed)
    images = {f"image{n}": image for n, image in enumerate(_render(parts, cameras))}
    with pictures:
        pictures.write(_npz(images))
    return 0


def _packed(parts: Sequence[Part], cameras: Sequence[Camera]) -> bytes:
    arrays: dict[str, npt.NDArray[Any]] = {}
    for number, part in enumerate(parts):
        arrays[f"points{number}"] = part.surface.points_lps_mm
        arrays[f"triangles{number}"] = part.surface.triangles
        arrays[f"color{number}"] = np.array(part.color)
    for number, camera in enumerate(cameras):
        for name, value in asdict(camera).items():
            arrays[f"camera{number}.{name}"] = np.array(value)
    arrays["parts"], arrays["cameras"] = np.array(len(parts)), np.array(len(cameras))
    return _npz(arrays)


def _npz(arrays: Mapping[str, npt.NDArray[Any]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _unpacked(packed: Any) -> tuple[list[Part], list[Camera]]:
    parts = [
        Part(
            surface=Surface(points_lps_mm=packed[f"points{n}"], triangles=packed[f"triangles{n}"]),
            color=tuple(packed[f"color{n}"].tolist()),
        )
        for n in range(int(packed["parts"]))
    ]
    names = Camera.__dataclass_fields__
    cameras = [
        Camera(**{name: packed[f"camera{n}.{name}"].tolist() for name in names})
        for n in range(int(packed["cameras"]))
    ]
    return parts, cameras


def _actor(part: Part) -> vtkActor:
    from vtkmodules.util.numpy_support import numpy_to_vtk, numpy_to_vtkIdTypeArray
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
    from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper

    points, faces, mesh = vtkPoints(), vtkCellArray(), vtkPolyData()
    points.SetData(numpy_to_vtk(part.surface.points_lps_mm, deep=True))
    ends = np.arange(0, 3 * len(part.surface.triangles) + 1, 3, dtype=np.int64)
    faces.SetData(
        numpy_to_vtkIdTypeArray(ends, deep=True),
        numpy_to_vtkIdTypeArray(part.surface.triangles.ravel(), deep=True),
    )
    mesh.SetPoints(points)
    mesh.SetPolys(faces)
    mesh.GetPointData().SetNormals(numpy_to_vtk(vertex_normals(part.surface), deep=True))
    mapper, actor = vtkPolyDataMapper(), vtkActor()
    mapper.SetInputData(mesh)
    actor.SetMapper(mapper)
    look = actor.GetProperty()
    look.SetColor(*part.color)
    look.SetAmbient(AMBIENT)
    look.SetDiffuse(1.0)
    look.SetSpecular(0.12)
    look.SetSpecularPower(18.0)
    look.SetInterpolationToPhong()
    return actor


def _render(parts: Sequence[Part], cameras: Sequence[Camera]) -> list[RgbImage]:
    """Draw twice as many pixels as are wanted, and average."""
    # Registers vtk's drawing classes: what is made before this import draws nothing.
    import vtkmodules.vtkRenderingOpenGL2  # noqa: F401
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

    renderer, window = vtkRenderer(), vtkRenderWindow()
    renderer.SetBackground([value / 255.0 for value in BACKGROUND])
    for part in parts:
        renderer.AddActor(_actor(part))
    _light(renderer)
    window.SetOffScreenRendering(1)
    window.SetMultiSamples(0)
    window.AddRenderer(renderer)
    images = []
    for camera in cameras:
        window.SetSize(2 * camera.width, 2 * camera.height)
        _aim(renderer, camera)
        window.Render()
        images.append(np.rint(halved(_pixels(window))).astype(np.uint8))
    return images


def _pixels(window: vtkRenderWindow) -> RgbImage:
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter

    shot = vtkWindowToImageFilter()
    shot.SetInput(window)
    shot.ReadFrontBufferOff()
    shot.ShouldRerenderOff()
    shot.Update()
    width, height = window.GetSize()
    pixels: RgbImage = vtk_to_numpy(shot.GetOutput().GetPointData().GetScalars())
    return pixels.reshape(height, width, 3)[::-1]


def _light(renderer: vtkRenderer) -> None:
    from vtkmodules.vtkRenderingCore import vtkLight

    renderer.AutomaticLightCreationOff()
    for direction, strength in LIGHTS:
        light = vtkLight()
        light.SetLightTypeToCameraLight()
        light.SetPosition(direction)
        light.SetFocalPoint(0.0, 0.0, 0.0)
        light.SetIntensity(strength)
        renderer.AddLight(light)


def _aim(renderer: vtkRenderer, camera: Camera) -> None:
    view = renderer.GetActiveCamera()
    position = np.asarray(camera.centre_lps_mm) + _AWAY_MM * np.asarray(camera.viewer)
    view.ParallelProjectionOn()
    view.SetFocalPoint(*camera.centre_lps_mm)
    view.SetPosition(*position.tolist())
    view.SetViewUp(*camera.up)
    view.SetParallelScale(camera.height * camera.mm_per_pixel / 2.0)
    renderer.ResetCameraClippingRange()


if __name__ == "__main__":
    sys.exit(main())
