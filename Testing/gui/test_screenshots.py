"""The command that takes the pictures of the documentation."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from Testing.gui import screenshots
from Testing.gui.host.host import Host

LEAST_OF_A_WINDOW = (600, 400)


@pytest.mark.usefixtures("views")
def test_every_picture_is_taken_and_shows_something(host: Host, tmp_path: Path) -> None:
    from PySide6.QtGui import QImage

    photographer = screenshots.Photographer(host, tmp_path / "pictures")
    ct, result = screenshots.simulated(host, tmp_path)
    screenshots.take_all(photographer, ct, result)

    names = {path.stem for path in (tmp_path / "pictures").iterdir()}
    assert names == {*screenshots.SECTIONS, *screenshots.WINDOWS}
    for name in screenshots.WINDOWS:
        image = QImage(str(tmp_path / "pictures" / f"{name}.png"))
        least_width, least_height = LEAST_OF_A_WINDOW
        assert image.width() >= least_width
        assert image.height() >= least_height
        # The bones fill the 3D view: there is no background at most of its middle.
        assert _bone_share(image) > 0.5


def _bone_share(image: Any) -> float:
    """How much of the middle of the 3D view, the upper right one, is no background."""
    left, right = round(image.width() * 0.75), round(image.width() * 0.95)
    top, bottom = round(image.height() * 0.15), round(image.height() * 0.35)
    pixels = [
        image.pixelColor(x, y).getRgb()[:3]
        for x in range(left, right, 7)
        for y in range(top, bottom, 7)
    ]
    # Slicer's sky: blue throughout, and red and green alike.
    is_sky = [blue > red + 40 and abs(red - green) < 12 for red, green, blue in pixels]
    return 1.0 - sum(is_sky) / len(is_sky)


def test_every_picture_that_is_asked_for_is_one_that_is_taken(repository: Path) -> None:
    texts = [
        (repository / "docs" / "slicer.md").read_text(encoding="utf-8"),
        (repository / "CMakeLists.txt").read_text(encoding="utf-8"),
    ]
    asked = set(re.findall(r"Screenshots/(\w+)\.png", "\n".join(texts)))

    assert {"result", "correct", "plan"} <= asked
    assert asked <= {*screenshots.SECTIONS, *screenshots.WINDOWS}
