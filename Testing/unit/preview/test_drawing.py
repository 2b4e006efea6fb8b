"""Drawing surfaces: cameras, the numpy way, and vtk in a child process."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.mesh import Surface
from FractureSegmentationLib.preview import opengl, software
from FractureSegmentationLib.preview.camera import (
    BACKGROUND,
    Part,
    fitted_camera,
    points_of,
    vertex_normals,
)
from FractureSegmentationLib.preview.picture import render_views
from FractureSegmentationLib.preview.raster import RgbImage

RED, GREEN = (0.9, 0.1, 0.1), (0.1, 0.9, 0.1)
FRONT = (0.0, -1.0, 0.0)


def a_cube(centre_lps_mm: tuple[float, float, float], size_mm: float = 10.0) -> Surface:
    """A closed cube of twelve triangles that look outwards."""
    corners = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
    quads = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
    triangles = [t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]
    points = (corners - 0.5) * size_mm + np.asarray(centre_lps_mm)
    return Surface(points_lps_mm=points, triangles=np.array(triangles))


def is_drawn(image: RgbImage) -> np.ndarray:
    return (image != np.asarray(BACKGROUND, np.uint8)).any(axis=2)


def reddish(image: RgbImage) -> np.ndarray:
    return is_drawn(image) & (image[..., 0] > image[..., 1])


def test_cube_of_the_tests_is_closed_and_looks_outwards() -> None:
    cube = a_cube((3.0, 4.0, 5.0))

    assert cube.volume_mm3 == pytest.approx(1000.0)
    outwards = cube.points_lps_mm - np.array([3.0, 4.0, 5.0])
    assert (np.einsum("nx,nx->n", vertex_normals(cube), outwards) > 0).all()


def test_camera_from_the_front_shows_left_on_the_right_and_superior_on_top() -> None:
    """Extent 100 mm in x, 40 in z; 92 % of 200 pixels: 100 / 184 mm per pixel."""
    points = np.array([[-50.0, 0.0, 10.0], [50.0, 30.0, 50.0]])

    camera = fitted_camera(FRONT, points, 200, 100)

    assert camera.mm_per_pixel == pytest.approx(100.0 / 184.0)
    first, last = camera.project(points)
    assert first[:2] == pytest.approx([99.5 - 92.0, 49.5 + 36.8])
    assert last[:2] == pytest.approx([99.5 + 92.0, 49.5 - 36.8])
    assert first[2] - last[2] == pytest.approx(30.0)


def test_camera_along_the_body_is_refused() -> None:
    with pytest.raises(ValueError, match="upright"):
        fitted_camera((0.0, 0.0, 1.0), np.zeros((2, 3)), 10, 10)


def test_cube_fills_the_square_it_is_projected_to() -> None:
    """92 % of 50 pixels are 46."""
    part = Part(surface=a_cube((0.0, 0.0, 0.0)), color=RED)
    camera = fitted_camera(FRONT, part.surface.points_lps_mm, 50, 50)

    rows, columns = np.nonzero(reddish(software.draw([part], camera)))

    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (2, 47, 2, 47)
    assert len(rows) == 46 * 46


def test_nearer_surface_hides_the_farther_one() -> None:
    """Green stands before red, as large; from behind it is the other way round."""
    parts = [
        Part(surface=a_cube((0.0, 40.0, 0.0)), color=RED),
        Part(surface=a_cube((0.0, -40.0, 0.0)), color=GREEN),
    ]
    front, behind = (
        software.draw(parts, fitted_camera(viewer, points_of(parts), 40, 40))
        for viewer in (FRONT, (0.0, 1.0, 0.0))
    )

    assert is_drawn(front).any()
    assert not reddish(front).any()
    assert reddish(behind).sum() == is_drawn(behind).sum()


def test_part_outside_the_picture_is_cut_off_without_harm() -> None:
    parts = [Part(surface=a_cube((0.0, 0.0, 0.0)), color=RED)]
    camera = fitted_camera(FRONT, np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]), 30, 20)

    assert is_drawn(software.draw(parts, camera)).all()


def test_vtk_draws_the_same_picture_as_numpy() -> None:
    parts = [
        Part(surface=a_cube((-10.0, 0.0, 0.0)), color=RED),
        Part(surface=a_cube((10.0, 0.0, 5.0)), color=GREEN),
    ]
    cameras = [fitted_camera(v, points_of(parts), 120, 80) for v in (FRONT, (0.7, -0.7, 0.3))]
    try:
        drawn = opengl.draw(parts, cameras)
    except opengl.DrawingFailedError as error:
        pytest.skip(f"no OpenGL here; Debian has it in libegl1 and libgl1-mesa-dri ({error})")

    for image, camera in zip(drawn, cameras, strict=True):
        other = software.draw(parts, camera)
        assert image.shape == other.shape == (80, 120, 3)
        assert np.count_nonzero(is_drawn(image) != is_drawn(other)) < 0.01 * image.size / 3
        assert np.count_nonzero(reddish(image) != reddish(other)) < 0.02 * image.size / 3
        assert np.abs(image.astype(int) - other).mean() < 12.0


@pytest.mark.parametrize(
    "child",
    ["kill -SEGV $$", "cat >/dev/null; exit 1", "cat >/dev/null; echo no pictures", "true"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_child_that_dies_or_says_nonsense_is_replaced_by_numpy(
    child: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{child}\n")
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    parts = [Part(surface=a_cube((0.0, 0.0, 0.0)), color=RED)]
    camera = fitted_camera(FRONT, points_of(parts), 40, 40)

    with pytest.raises(opengl.DrawingFailedError):
        opengl.draw(parts, [camera])
    (image,) = render_views(parts, [FRONT], 40, 40)
    assert np.array_equal(image, software.draw(parts, camera))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
def test_child_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\nexec sleep 60\n")
    interpreter.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(interpreter))
    monkeypatch.setattr(opengl, "TIMEOUT_S", 0.5)
    parts = [Part(surface=a_cube((0.0, 0.0, 0.0)), color=RED)]

    with pytest.raises(opengl.DrawingFailedError, match="timed out"):
        opengl.draw(parts, [fitted_camera(FRONT, points_of(parts), 40, 40)])
