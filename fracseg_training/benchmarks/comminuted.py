"""Simulated broken bones of bodies that no network was trained on: two to fourteen fragments."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from fracseg_training.fragments.score import judge, window_plan
from fracseg_training.merging.maps import predicted_views
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.networks.merging_file import load_judge
from FractureSegmentationLib.networks.model_folder import shipped_model
from FractureSegmentationLib.networks.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from fracseg_training.fragments.score import BoneResult, MaskChange
    from fracseg_training.merging.ground import Ground
    from fracseg_training.merging.maps import View


def comminuted_results(
    ground: Ground,
    count: int,
    model: Path | None,
    change: MaskChange = "exact",
    *,
    averages_flips: bool = False,
    device: str = "auto",
) -> Iterator[BoneResult]:
    """Run a model with its merging model over broken bones.

    Args:
        ground: where the bones come from; its bodies that are held out are used.
        count: how many bones.
        model: folder; None takes the shipped model.
        change: what is done to the true masks.
        averages_flips: average the maps of four flips, with exact masks only.
        device: see `Predictor`.
    """
    folder = model or shipped_model(FRACSEGMENTATOR.model)
    spec, network = load_model(folder)
    merging = load_judge(folder, spec)
    predictor = Predictor(network, window_plan(), device=device)
    view: View = "flips" if averages_flips else change
    for case in islice(broken_bones(ground), count):
        for bone in predicted_views(case, (view,), predictor):
            yield judge(case, bone.mask, bone.fragment_map(), RecoveryConfig(), merging)


def broken_bones(ground: Ground) -> Iterator[Case]:
    """The bones of the bodies held out, one after the other without end, none of them whole."""
    for draw in ground.draws(held_out=True):
        yield from (case for case in draw.cases() if case.fragments.max() > 1)
