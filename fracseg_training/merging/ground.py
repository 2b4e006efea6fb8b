"""Simulated bones to train merging on: many bodies, many fractures, some bones in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count as counting
from typing import TYPE_CHECKING

from fracseg_training.data.bodies import is_held_out, label_map_shape, read_shapes, shape_bones
from fracseg_training.data.prepare import simulated_case
from fracseg_training.simulate.config import PatternConfig, SimulationConfig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fracseg_training.data.bodies import Shape
    from fracseg_training.data.cases import Case

COMMINUTED = PatternConfig(
    count_weights=(0.22, 0.19, 0.15, 0.11, 0.09, 0.07, 0.05, 0.04, 0.03, 0.02, 0.01, 0.01, 0.01)
)
"""Two to fourteen fragments, half of the bones four or more."""
_LEAST_MM3 = 15_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyDraw:
    """One of the bodies that can be made from a shape, its bones broken or left whole.

    Attributes:
        shape: the label map.
        number: which of the bodies.
        seed: of the body, its fractures and the scanner.
        intact_share: how often a bone stays in one piece.
    """

    shape: Shape
    number: int
    seed: int
    intact_share: float

    @property
    def name(self) -> str:
        """Of the body, in a folder of cases."""
        return f"{self.shape.name}_{self.number}"

    def cases(self) -> Iterator[Case]:
        """Every bone that is not a mere stump."""
        config = SimulationConfig(pattern=COMMINUTED)
        for bone in shape_bones(self.shape, self.number, self.seed):
            if float(bone.mask.sum()) >= _LEAST_MM3:
                seed = self.seed + 1000 * self.number
                yield simulated_case(bone, seed, intact_share=self.intact_share, config=config)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where simulated bones come from.

    Attributes:
        shapes: folder of bone shapes, see `read_shapes`; None for none.
        label_maps: (label image, JSON of its structures' names).
        seed: of everything that is drawn.
        intact_share: how often a bone stays in one piece.
    """

    shapes: Path | None
    label_maps: tuple[tuple[Path, Path], ...] = ()
    seed: int = 0
    intact_share: float = 0.2

    def bodies(self, *, held_out: bool) -> tuple[Shape, ...]:
        """The shapes that are held out, or those that are not.

        Raises:
            InputError: the folder of shapes cannot be read.
        """
        given = [label_map_shape(*files) for files in self.label_maps]
        known = {shape.name for shape in given}
        listed = read_shapes(self.shapes) if self.shapes is not None else ()
        shapes = [*given, *(shape for shape in listed if shape.name not in known)]
        return tuple(shape for shape in shapes if is_held_out(shape.body) == held_out)

    def draws(self, *, held_out: bool) -> Iterator[BodyDraw]:
        """Bodies without end, each shape in turn; none where there is no shape."""
        shapes = self.bodies(held_out=held_out)
        for number in counting() if shapes else ():
            for shape in shapes:
                yield BodyDraw(
                    shape=shape, number=number, seed=self.seed, intact_share=self.intact_share
                )
