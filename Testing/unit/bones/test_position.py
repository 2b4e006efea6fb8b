"""Whether bones lie as in a body."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.bones.position import position_warnings
from FractureSegmentationLib.geometry import CANONICAL_DIRECTION, Geometry
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.volume import LabelVolume

SACRUM, LEFT_HIP, RIGHT_HIP, LEFT_FEMUR, RIGHT_FEMUR, LEFT_TIBIA, RIGHT_TIBIA = range(1, 8)
SWAPPED = np.array([0, 1, 3, 2, 5, 4, 7, 6], np.uint8)
CENTRES_LPS_MM = {
    SACRUM: (0.0, 35.0, 40.0),
    LEFT_HIP: (72.0, 0.0, 0.0),
    RIGHT_HIP: (-72.0, 0.0, 0.0),
    LEFT_FEMUR: (90.0, -10.0, -65.0),
    RIGHT_FEMUR: (-90.0, -10.0, -65.0),
}
"""Where the bones of an average pelvis have their centres."""


def turn(degrees_about_lps: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) of a turn about Left, then Posterior, then Superior."""
    whole = np.eye(3)
    for axis, degrees in enumerate(degrees_about_lps):
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one, other = (axis + 1) % 3, (axis + 2) % 3
        single = np.eye(3)
        single[one, one], single[one, other], single[other, one], single[other, other] = c, -s, s, c
        whole = single @ whole
    return whole


def a_pelvis(
    geometry: Geometry, body: np.ndarray | None = None, only: tuple[int, ...] = ()
) -> LabelVolume:
    """Balls of 20 mm where the bones are, the body turned by `body` within the patient's axes."""
    places = geometry.to_lps(np.moveaxis(np.indices(geometry.shape), 0, -1))
    labels = np.zeros(geometry.shape, np.uint8)
    for value, centre in CENTRES_LPS_MM.items():
        if not only or value in only:
            middle = np.asarray(centre) if body is None else body @ np.asarray(centre)
            labels[np.linalg.norm(places - middle, axis=-1) < 20.0] = value
    return LabelVolume(voxels=labels, geometry=geometry)


def a_grid(
    spacing_mm: tuple[float, float, float] = (6.0, 5.0, 5.0),
    axes: np.ndarray = np.asarray(CANONICAL_DIRECTION),  # noqa: B008
) -> Geometry:
    """A cube of 270 mm about the origin, of that spacing and those axes."""
    shape = tuple(int(270.0 / s) for s in spacing_mm)
    first = -(np.array(shape) - 1) / 2 * spacing_mm
    return Geometry(
        shape=shape,  # type: ignore[arg-type]
        spacing_mm=spacing_mm,
        origin_lps_mm=tuple(float(x) for x in first @ axes),  # type: ignore[arg-type]
        direction=tuple(tuple(float(x) for x in row) for row in axes),  # type: ignore[arg-type]
    )


GRIDS = {
    "straight": a_grid(),
    "thick slices": a_grid((12.0, 4.0, 4.0)),
    "oblique": a_grid(
        (4.0, 7.0, 5.0), np.asarray(CANONICAL_DIRECTION) @ turn((20.0, -25.0, 40.0)).T
    ),
    "prone": a_grid(axes=np.array([[0.0, 0.0, 1.0], [0.0, -1.0, 0.0], [-1.0, 0.0, 0.0]])),
    "feet first": a_grid(axes=np.array([[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])),
    "sagittal": a_grid(axes=np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])),
}


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_body_in_its_own_axes_gives_no_warning_on_any_grid(grid: Geometry) -> None:
    assert position_warnings(a_pelvis(grid)) == ()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize(
    ("degrees", "words"),
    [
        ((0.0, 0.0, 180.0), "in front of the hip bones"),
        ((0.0, 180.0, 0.0), "below the hip bones and a femur lies above its hip bone"),
        ((180.0, 0.0, 0.0), "in front of the hip bones"),
        ((0.0, 0.0, 90.0), "do not lie beside each other"),
        ((0.0, 0.0, -90.0), "do not lie beside each other"),
        ((90.0, 0.0, 0.0), "in front of the hip bones"),
        ((-90.0, 0.0, 0.0), "below the hip bones"),
        ((0.0, 90.0, 0.0), "do not lie beside each other"),
    ],
)
def test_a_header_turned_against_the_body_is_warned_of(
    grid: Geometry, degrees: tuple[float, float, float], words: str
) -> None:
    """The sides are those of the anatomy, or of the place, as a network has them."""
    turned = a_pelvis(grid, turn(degrees))
    for labels in (turned, turned.with_voxels(SWAPPED[turned.voxels])):
        first = position_warnings(labels)[0]

        assert first.startswith("Left and right may be swapped")
        assert words in first
        assert "header" in first


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
def test_a_patient_lying_askew_gives_no_warning(grid: Geometry, rng: np.random.Generator) -> None:
    for _ in range(10):
        about_left, about_posterior, about_superior = rng.uniform(-1.0, 1.0, 3)
        body = turn((30.0 * about_left, 20.0 * about_posterior, 40.0 * about_superior))

        assert position_warnings(a_pelvis(grid, body)) == ()


@pytest.mark.parametrize(
    "only",
    [
        (LEFT_HIP,),
        (RIGHT_FEMUR,),
        (SACRUM,),
        (SACRUM, RIGHT_HIP),
        (LEFT_HIP, LEFT_FEMUR),
        (LEFT_FEMUR, RIGHT_FEMUR),
        (LEFT_FEMUR, RIGHT_HIP),
        (LEFT_HIP, RIGHT_HIP),
    ],
)
def test_a_part_of_the_pelvis_gives_no_warning(only: tuple[int, ...]) -> None:
    assert position_warnings(a_pelvis(GRIDS["oblique"], only=only)) == ()


def test_no_bone_gives_no_warning() -> None:
    empty = LabelVolume(voxels=np.zeros((4, 5, 6), np.uint8), geometry=Geometry(
        shape=(4, 5, 6), spacing_mm=(1.0, 1.0, 1.0)
    ))  # fmt: skip

    assert position_warnings(empty) == ()


@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize(
    ("only", "words"),
    [
        ((), "the left hip bone lies to the right of the right hip bone"),
        ((LEFT_HIP, RIGHT_HIP), "the left hip bone lies to the right of the right hip bone"),
        ((LEFT_FEMUR, RIGHT_FEMUR), "the left femur lies to the right of the right femur"),
        ((LEFT_FEMUR, RIGHT_HIP), "the left hip bone lies to the right of the right femur"),
        ((SACRUM, LEFT_HIP), "the right hip bone lies to the left of the sacrum"),
        ((SACRUM, RIGHT_HIP), "the left hip bone lies to the right of the sacrum"),
    ],
)
def test_a_left_bone_on_the_patients_right_is_warned_of(
    grid: Geometry, only: tuple[int, ...], words: str
) -> None:
    labels = a_pelvis(grid, only=only)

    (warning,) = position_warnings(labels.with_voxels(SWAPPED[labels.voxels]))

    assert warning.startswith(f"Left and right may be swapped: {words}")
    assert "bone segmentation" in warning


def test_a_shin_beside_the_other_knee_is_no_contradiction() -> None:
    """Legs that are crossed: the left tibia is right of the right femur, but not of its partner."""
    labels = np.zeros((40, 10, 40), np.uint8)
    labels[30:38, 4:6, 10:12] = RIGHT_FEMUR
    labels[2:20, 4:6, 6:8] = LEFT_TIBIA
    labels[2:20, 4:6, 2:4] = RIGHT_TIBIA
    geometry = Geometry(shape=labels.shape, spacing_mm=(5.0, 5.0, 5.0))

    assert position_warnings(LabelVolume(voxels=labels, geometry=geometry)) == ()


def test_patients_as_they_are_give_no_warning_and_turned_about_one(real_data: Path) -> None:
    paths = [real_data / f"real/{case}/bones.nii.gz" for case in ("001", "003", "005")]
    for path in (*paths, real_data / "ct_lowres/bones.nii.gz"):
        bones = read_labels(path)
        assert position_warnings(bones) == ()
        order = np.ascontiguousarray(bones.voxels[:, ::-1, ::-1])

        (warning,) = position_warnings(bones.with_voxels(SWAPPED[order]))

        assert "the sacrum lies in front of the hip bones" in warning
