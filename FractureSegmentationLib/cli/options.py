"""The options that say how to segment, the same for one CT, a list and a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import click

from FractureSegmentationLib.anatomy.catalogue import bone_named
from FractureSegmentationLib.anatomy.numbering import NUMBERINGS
from FractureSegmentationLib.config import BoneFinder, PrecisionChoice, SegmentSettings
from FractureSegmentationLib.inference.engine import EngineChoice
from FractureSegmentationLib.inference.processor import lower_priority, wait_passively
from FractureSegmentationLib.methods.catalogue import METHODS
from FractureSegmentationLib.volume import LabelVolume


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentOptions:
    """What the user gave on the command line, one attribute per option."""

    series: str | None
    bones: str
    only: tuple[str, ...]
    method: str
    model: Path | None
    bones_model: Path | None
    engine: EngineChoice
    device: str
    precision: PrecisionChoice
    numbering: str
    save_map: bool
    no_meshes: bool
    overwrite: bool
    progress: str
    parent_pipe: bool
    low_priority: bool

    def settings(self, bones: BoneFinder | LabelVolume) -> SegmentSettings:
        """The settings of a run.

        Args:
            bones: how they are detected, or the bones themselves.
        """
        return SegmentSettings(
            bones=bones,
            only=self.only,
            method=self.method,
            model=self.model,
            bones_model=self.bones_model,
            engine=self.engine,
            device=self.device,
            precision=self.precision,
            numbering=NUMBERINGS[self.numbering],
            keeps_maps=self.save_map,
        )


def _slugs(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    """`left_hip,sacrum` as slugs that exist."""
    slugs = tuple(word.strip() for word in (text or "").split(",") if word.strip())
    try:
        for slug in slugs:
            bone_named(slug)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, option) from error
    return slugs


_OPTIONS = (
    click.option("--series", metavar="UID|N", help="Which series, if a folder holds several."),
    click.option(
        "--bones",
        metavar="auto|threshold|totalsegmentator|PATH",
        default="auto",
        show_default=True,
        help="How the bones are found, or a label file with 1 sacrum, 2 left hip, 3 right hip, "
        "4 left femur, 5 right femur.",
    ),
    click.option(
        "--only", callback=_slugs, metavar="left_hip,...", help="Segment these bones only."
    ),
    click.option(
        "--method",
        type=click.Choice([method.name for method in METHODS]),
        default=METHODS[0].name,
        show_default=True,
    ),
    click.option("--model", type=click.Path(path_type=Path), help="Folder of the fragment model."),
    click.option(
        "--bones-model",
        type=click.Path(path_type=Path),
        help="Folder with bones-coarse and bones-fine.",
    ),
    click.option(
        "--engine",
        type=click.Choice(get_args(EngineChoice)),
        default="auto",
        show_default=True,
        help="What runs the networks; auto takes PyTorch where it is installed, else ONNX Runtime.",
    ),
    click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]|mps"),
    click.option(
        "--precision",
        type=click.Choice(get_args(PrecisionChoice)),
        default="auto",
        show_default=True,
        help="auto tries which is fastest, so name one where runs must agree to the last bit.",
    ),
    click.option(
        "--numbering", type=click.Choice(list(NUMBERINGS)), default="fracseg", show_default=True
    ),
    click.option("--save-map", is_flag=True, help="Write the predicted maps too."),
    click.option("--no-meshes", is_flag=True, help="Write no STL files."),
    click.option("--overwrite", is_flag=True, help="Replace OUT if it is a result of fracseg."),
    click.option(
        "--progress",
        type=click.Choice(["auto", "json", "none"]),
        default="auto",
        show_default=True,
    ),
    click.option("--parent-pipe", is_flag=True, help="Stop when stdin ends."),
    click.option(
        "--low-priority", is_flag=True, help="Let other programs have the processor first."
    ),
)


def with_settings(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command these options; it receives them as one value, `options`.

    Before the command begins, the process is told how to wait and, if asked, to come second.
    """

    @functools.wraps(command)
    def gathered(**values: Any) -> int:
        options = {entry.name: values.pop(entry.name) for entry in fields(SegmentOptions)}
        wait_passively()
        if options["low_priority"]:
            lower_priority()
        return command(options=SegmentOptions(**options), **values)

    decorated: Callable[..., int] = gathered
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
