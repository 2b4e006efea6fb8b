"""The light on the fragments; both ways to draw use it, so that their pictures look alike."""

from __future__ import annotations

BACKGROUND = (233, 237, 242)
"""Red, green, blue behind the fragments, 0 to 255."""
LIGHTS = (((-0.35, 0.45, 0.82), 0.72), ((0.75, -0.15, 0.45), 0.22))
"""(direction as right, up, towards the viewer; strength) of every light."""
AMBIENT = 0.16
"""Share of the colour that is seen without light."""
