"""The mirror plane and the mirrored side: on a phantom whose plane is known, and on real cases."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import PENGWIN_2024
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.read import read_labels
from FractureSegmentationLib.planning.mirror_plane import (
    BoneSurface,
    MirrorConfig,
    MirrorPair,
    MirrorPlane,
    estimate_mirror_plane,
    surface_points,
)
from FractureSegmentationLib.planning.mirror_template import mirror_template
from FractureSegmentationLib.planning.pose import moved_points, shift_by, turn_about
from FractureSegmentationLib.volume import LabelVolume
from Testing.unit.planning.phantom_pelvis import (
    BROKEN_OFF,
    LABELS_OF,
    LEFT,
    RIGHT,
    SACRUM,
    PhantomPelvis,
    a_plane,
)

LEFT_HIP = bone_named("left_hip")


def degrees_between(one: MirrorPlane, other: MirrorPlane) -> float:
    cosine = abs(float(np.dot(one.normal_lps, other.normal_lps)))
    return float(np.degrees(np.arccos(min(cosine, 1.0))))


def offset_mm(found: MirrorPlane, known: MirrorPlane) -> float:
    """Distance between the planes at the point of the known one."""
    gap = np.subtract(found.point_lps_mm, known.point_lps_mm)
    return abs(float(np.dot(gap, found.normal_lps)))


def pairs_of(labels: LabelVolume) -> list[MirrorPair]:
    sacrum = surface_points(labels, [SACRUM])
    hips = (surface_points(labels, LABELS_OF[side]) for side in ("left_hip", "right_hip"))
    return [MirrorPair(sacrum, sacrum), MirrorPair(*hips)]


@pytest.fixture(scope="module")
def whole() -> LabelVolume:
    return PhantomPelvis().labels()


@pytest.fixture(scope="module")
def broken() -> LabelVolume:
    """The pubic part of the left hip bone is 9 mm away and turned by 14 degrees."""
    pose = shift_by((6.0, -6.0, -3.0)) @ turn_about((0.3, 1.0, 0.2), 14.0, (50.0, -40.0, -20.0))
    return PhantomPelvis(displaced=pose).labels()


def test_a_reflection_takes_a_point_to_the_other_side_at_the_same_height() -> None:
    """In the plane x = 2, the point (5, 7, 9) is mirrored to (-1, 7, 9)."""
    plane = MirrorPlane(point_lps_mm=(2.0, 3.0, 4.0), normal_lps=(1.0, 0.0, 0.0), residual_mm=0.0)

    image = moved_points(plane.reflection, np.array([[5.0, 7.0, 9.0]]))

    np.testing.assert_allclose(image, [[-1.0, 7.0, 9.0]])
    assert np.linalg.det(plane.reflection) == pytest.approx(-1.0)


def test_the_surface_of_a_bone_in_two_touching_labels_has_no_fracture_line() -> None:
    """A block of 4 x 4 x 4 voxels: 64 less the 8 inner ones, however it is divided."""
    voxels = np.zeros((6, 6, 6), np.uint8)
    voxels[1:5, 1:5, 1:3], voxels[1:5, 1:5, 3:5] = 1, 2
    labels = LabelVolume(
        voxels=voxels,
        geometry=Geometry(
            shape=(6, 6, 6), spacing_mm=(1.0, 1.0, 2.0), origin_lps_mm=(5.0, 0.0, 0.0)
        ),
    )

    assert len(surface_points(labels, [1, 2])) == 56
    assert len(surface_points(labels, [1])) == 32
    assert surface_points(labels, [1]).min(axis=0).tolist() == [7.0, 1.0, 1.0]
    assert len(surface_points(labels, [3])) == 0


def test_a_point_above_a_flat_surface_is_measured_along_its_normal() -> None:
    grid = np.stack(np.meshgrid(np.arange(20.0), np.arange(20.0), [3.0]), axis=-1).reshape(-1, 3)

    match = BoneSurface(grid, most=1000).match(np.array([[7.4, 9.6, 4.0], [7.0, 9.0, 60.0]]))

    np.testing.assert_allclose(np.abs(match.slice_positions_mm), [1.0, 57.0])
    np.testing.assert_allclose(match.gaps_mm, [1.0, 57.0])
    assert match.distances_mm[0] > 1.1


def test_the_known_plane_of_a_whole_pelvis_is_found(whole: LabelVolume) -> None:
    found = estimate_mirror_plane(pairs_of(whole))

    assert degrees_between(found, a_plane()) < 0.2
    assert offset_mm(found, a_plane()) < 0.2
    assert found.residual_mm < 0.7


def test_a_displaced_fragment_does_not_tilt_the_plane(broken: LabelVolume) -> None:
    found = estimate_mirror_plane(pairs_of(broken))

    assert degrees_between(found, a_plane()) < 0.4
    assert offset_mm(found, a_plane()) < 0.4


def test_the_sacrum_alone_tells_the_plane(whole: LabelVolume) -> None:
    found = estimate_mirror_plane(pairs_of(whole)[:1])

    assert degrees_between(found, a_plane()) < 1.5
    assert offset_mm(found, a_plane()) < 0.5


def test_a_plane_needs_bones() -> None:
    with pytest.raises(ValueError, match="pair of bones"):
        estimate_mirror_plane([])
    with pytest.raises(ValueError, match="points"):
        estimate_mirror_plane([MirrorPair(np.zeros((3, 3)), np.zeros((0, 3)))])


@pytest.mark.parametrize("change", [{"share": 0.0}, {"share": 1.1}, {"points": 0}])
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        MirrorConfig(**change)


def test_the_other_side_lies_where_the_bone_was_before_it_broke(broken: LabelVolume) -> None:
    """The left hip bone is the right one's mirror image, so the template is the reflection."""
    template = mirror_template(broken, LABELS_OF, LEFT_HIP)

    places = surface_points(broken, [RIGHT])
    wanted = moved_points(a_plane().reflection, places)
    errors = np.linalg.norm(moved_points(template.transform, places) - wanted, axis=1)
    assert (template.healthy.slug, template.anchor, template.warnings) == ("right_hip", LEFT, ())
    assert np.linalg.det(template.transform) == pytest.approx(-1.0)
    assert errors.max() < 0.8
    assert template.residual_mm < 0.8  # voxels of 1.5 x 1.5 x 2 mm
    assert template.close_share > 0.9


def test_the_template_follows_the_fragment_that_is_named(broken: LabelVolume) -> None:
    """Laid over the displaced part, the rest of the template is displaced as that part is."""
    template = mirror_template(broken, LABELS_OF, LEFT_HIP, anchor=BROKEN_OFF)

    places = surface_points(broken, [RIGHT])
    apart = moved_points(template.transform, places) - moved_points(a_plane().reflection, places)
    assert template.anchor == BROKEN_OFF
    assert template.residual_mm < 1.0
    assert 4.0 < np.median(np.linalg.norm(apart, axis=1)) < 25.0


def test_a_side_that_is_broken_itself_is_mirrored_with_a_warning(broken: LabelVolume) -> None:
    template = mirror_template(broken, LABELS_OF, bone_named("right_hip"))

    assert template.warnings == (
        "The left hip bone has 2 fragments itself; they are mirrored as they lie.",
    )


def test_a_side_that_does_not_fit_is_said_not_to(whole: LabelVolume) -> None:
    """The other side is a small block instead of a hip bone."""
    voxels = np.where(whole.voxels == RIGHT, 0, whole.voxels)
    voxels[30:40, 40:50, 10:20] = RIGHT
    quick = MirrorConfig(points=300, target_points=2000)

    template = mirror_template(whole.with_voxels(voxels), LABELS_OF, LEFT_HIP, config=quick)

    assert template.close_share < 0.5
    assert any("do not rely on it" in warning for warning in template.warnings)


def test_what_has_no_other_side_is_refused(whole: LabelVolume) -> None:
    with pytest.raises(InputError, match="no other side of the sacrum"):
        mirror_template(whole, LABELS_OF, bone_named("sacrum"))
    with pytest.raises(InputError, match="holds no right hip bone"):
        mirror_template(whole, {**LABELS_OF, "right_hip": []}, LEFT_HIP)
    with pytest.raises(ValueError, match="no such fragment"):
        mirror_template(whole, LABELS_OF, LEFT_HIP, anchor=RIGHT)


def test_a_bone_of_a_few_voxels_is_too_small_to_be_laid_over_another() -> None:
    labels = np.zeros((30, 20, 30), np.uint8)
    labels[2:28, 2:18, 2:10] = 1
    labels[4:6, 4:6, 25:27] = 2
    volume = LabelVolume(voxels=labels, geometry=Geometry(shape=labels.shape, spacing_mm=(1, 1, 1)))
    known = {"left_tibia": [1], "right_tibia": [2]}

    for broken in ("left_tibia", "right_tibia"):
        with pytest.raises(InputError, match="too small"):
            mirror_template(volume, known, bone_named(broken))


def test_a_real_hip_bone_mirrored_in_a_known_plane_tells_that_plane(real_data: Path) -> None:
    """The right hip bone and sacrum of 001, and what a plane 7 degrees off makes of the former."""
    labels = read_labels(real_data / "real/001/bones.nii.gz")
    right = surface_points(labels, [3])
    x, y, z = np.array([1.0, -0.1, 0.07]) / np.linalg.norm([1.0, -0.1, 0.07])
    known = MirrorPlane(
        point_lps_mm=(20.0, 0.0, 0.0), normal_lps=(float(x), float(y), float(z)), residual_mm=0.0
    )
    left = moved_points(known.reflection, right)
    noisy = left + np.random.default_rng(1).normal(scale=0.5, size=left.shape)

    found = estimate_mirror_plane([MirrorPair(noisy, right)])

    assert degrees_between(found, known) < 0.1
    assert offset_mm(found, known) < 0.2


@pytest.mark.parametrize(("case", "pieces_there"), [("003", False), ("005", True)])
def test_the_other_side_of_real_patients_fits_within_a_millimetre(
    real_data: Path, case: str, *, pieces_there: bool
) -> None:
    """Measured: 0.67 and 0.74 mm; of the main fragment's surface 89 and 85 % lie within 2 mm."""
    labels = read_labels(real_data / "real" / case / "fragments.nii.gz")
    labels_of: dict[str, list[int]] = {}
    for value in labels.values():
        labels_of.setdefault(PENGWIN_2024.fragment_of(value)[0].slug, []).append(value)

    quick = MirrorConfig(points=1000, target_points=10_000)
    template = mirror_template(labels, labels_of, LEFT_HIP, config=quick)

    assert template.residual_mm < 1.0
    assert template.close_share > 0.8
    assert bool(template.warnings) == pieces_there
    assert template.plane.residual_mm < 2.0
