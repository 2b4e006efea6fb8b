"""A pelvis of ellipsoids with a known mirror plane, on an oblique, anisotropic grid."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.planning.mirror_plane import MirrorPlane
from FractureSegmentationLib.planning.pose import Pose, moved_points
from FractureSegmentationLib.types import MaskArray
from FractureSegmentationLib.volume import LabelVolume

SACRUM, LEFT, RIGHT, BROKEN_OFF = 1, 51, 101, 52
LABELS_OF = {"sacrum": [SACRUM], "left_hip": [LEFT, BROKEN_OFF], "right_hip": [RIGHT]}

# Of the right hip bone, in a frame whose plane is x = 0: centre and half axes, in mm. No two of
# them lie so that the bone would mirror onto itself.
_WING = ((-48.0, 6.0, 34.0), (15.0, 30.0, 36.0))
_SOCKET = ((-56.0, -8.0, -16.0), (22.0, 20.0, 22.0))
_PUBIS = ((-28.0, -34.0, -36.0), (30.0, 10.0, 9.0))
_SACRUM = (((0.0, 38.0, 30.0), (34.0, 14.0, 26.0)), ((0.0, 46.0, -2.0), (16.0, 9.0, 22.0)))


def a_plane() -> MirrorPlane:
    """Tilted by 9 degrees from the patient's middle and 11 mm beside it."""
    x, y, z = np.array([1.0, 0.1, -0.12]) / np.linalg.norm([1.0, 0.1, -0.12])
    return MirrorPlane(
        point_lps_mm=(11.0, -20.0, 15.0), normal_lps=(float(x), float(y), float(z)), residual_mm=0.0
    )


@dataclass
class PhantomPelvis:
    """Draws the bones; the left hip bone is the mirror image of the right one.

    `displaced` moves the part of the left hip bone below its socket, which is a fragment.
    """

    plane: MirrorPlane = field(default_factory=a_plane)
    displaced: Pose | None = None
    grid: Geometry = field(
        default_factory=lambda: Geometry(
            shape=(76, 100, 124),
            spacing_mm=(2.0, 1.5, 1.5),
            origin_lps_mm=(-57.0, -118.0, -61.0),
            direction=((0.0, 0.0, 1.0), (-0.28, 0.96, 0.0), (0.96, 0.28, 0.0)),
        )
    )

    def labels(self) -> LabelVolume:
        points = self._in_frame(self._places())
        mirrored = points * (-1.0, 1.0, 1.0)
        voxels = np.zeros(len(points), np.uint16)
        voxels[_hip(points)] = RIGHT
        left = _hip(mirrored)
        is_low = mirrored[:, 2] < -30.0
        voxels[left & ~is_low] = LEFT
        if self.displaced is None:
            voxels[left & is_low] = BROKEN_OFF
        else:
            before = moved_points(np.linalg.inv(self.displaced), self._places())
            source = self._in_frame(before) * (-1.0, 1.0, 1.0)
            voxels[_hip(source) & (source[:, 2] < -30.0) & (voxels == 0)] = BROKEN_OFF
        for centre, half_axes in _SACRUM:
            voxels[_ellipsoid(points, centre, half_axes) & (voxels == 0)] = SACRUM
        return LabelVolume(voxels=voxels.reshape(self.grid.shape), geometry=self.grid)

    def _places(self) -> np.ndarray:
        return self.grid.to_lps(np.argwhere(np.ones(self.grid.shape, bool)))

    def _in_frame(self, points: np.ndarray) -> np.ndarray:
        """Points in the frame in which the mirror plane is x = 0."""
        normal = np.asarray(self.plane.normal_lps)
        back = np.cross(normal, [0.0, 0.0, -1.0])
        back /= np.linalg.norm(back)
        axes = np.stack([normal, back, np.cross(normal, back)])
        return (points - self.plane.point_lps_mm) @ axes.T


def _hip(points: np.ndarray) -> MaskArray:
    wing, socket, pubis = (_ellipsoid(points, *one) for one in (_WING, _SOCKET, _PUBIS))
    return wing | socket | pubis


def _ellipsoid(
    points: np.ndarray, centre: tuple[float, ...], half_axes: tuple[float, ...]
) -> MaskArray:
    return (((points - centre) / half_axes) ** 2).sum(axis=1) <= 1.0
