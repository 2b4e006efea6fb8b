"""Draw the icons that are pictures: python -m Resources.render_icons [PREVIEW] (PySide6, Pillow).

PREVIEW is a new picture of the demo, `demo/result/preview.png` of `make demo`, and replaces the one
in Resources.

The icon comes from the module's SVG: the panel shows that, but the catalogue of extensions takes
only a PNG of 128 x 128 pixels. The picture of the sample case is cut from the picture of the demo,
so that it shows no patient.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

from Resources.small_png import shrink

REPOSITORY = Path(__file__).resolve().parent.parent
ICONS = REPOSITORY / "FractureSegmentation" / "Resources" / "Icons"
SOURCE = ICONS / "FractureSegmentation.svg"
PIXELS = 128
PICTURES = (REPOSITORY / "Resources" / "FractureSegmentation.png", SOURCE.with_suffix(".png"))

DEMO = REPOSITORY / "Resources" / "demo-preview.png"
SAMPLE = ICONS / "SamplePelvis.png"
SAMPLE_SIZE = QSize(260, 280)
# The view from the front, without its caption.
_FRONT = QRect(60, 28, 630, 552)


def rendered(source: Path, pixels: int) -> QImage:
    """The drawing on a transparent square of this many pixels a side."""
    image = QImage(QSize(pixels, pixels), QImage.Format.Format_ARGB32)
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(str(source)).render(painter)
    painter.end()
    return image


def sample_picture(demo: Path) -> QImage:
    """The pelvis of the demo, on its own background, in the size that Sample Data shows."""
    view = QImage(str(demo))
    smooth = Qt.TransformationMode.SmoothTransformation
    pelvis = view.copy(_FRONT).scaledToWidth(SAMPLE_SIZE.width(), smooth)
    image = QImage(SAMPLE_SIZE, QImage.Format.Format_RGB32)
    image.fill(view.pixelColor(_FRONT.topLeft()))
    painter = QPainter(image)
    painter.drawImage(0, (image.height() - pelvis.height()) // 2, pelvis)
    painter.end()
    return image


if __name__ == "__main__":
    application = QGuiApplication([])
    if len(sys.argv) > 1:
        shutil.copy(sys.argv[1], DEMO)
        shrink(DEMO)
    for picture in PICTURES:
        rendered(SOURCE, PIXELS).save(str(picture))
    sample_picture(DEMO).save(str(SAMPLE))
    shrink(SAMPLE)
