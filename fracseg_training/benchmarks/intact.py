"""Bones in one piece must stay so: simulated intact bones of a body that was not trained on."""

from __future__ import annotations

from itertools import count as counting
from itertools import islice
from typing import TYPE_CHECKING

from fracseg_training.data.prepare import simulated_case
from fracseg_training.data.sources import label_map_bones
from fracseg_training.fragments.score import judge, predicted_map, window_plan
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


def intact_cases(label_map: Path, names: Path, seed: int) -> Iterator[Case]:
    """Bones of ever new bodies deformed from a label map, each imaged in one piece.

    Args:
        label_map: label image of a whole body.
        names: JSON of its structures' names.
        seed: of the bodies and the scanners.
    """
    for body in counting():
        for bone in label_map_bones(label_map, names, body, seed):
            yield simulated_case(bone, seed + body, intact_share=1.0)


def intact_bones_kept(
    label_map: Path, names: Path, count: int, seed: int, device: str = "auto"
) -> Iterator[tuple[int, str, int]]:
    """Run the default weights over intact bones whose mask is given.

    Args:
        label_map: label image of a whole body that the weights were not trained on.
        names: JSON of its structures' names.
        count: number of bones.
        seed: of the bodies and the scanners.
        device: see `Predictor`.

    Yields:
        Number, bone and how many pieces came out.
    """
    folder = shipped_model(FRACSEGMENTATOR.model)
    spec, network = load_model(folder)
    merging = load_judge(folder, spec)
    predictor = Predictor(network, window_plan(), device=device)
    for number, case in enumerate(islice(intact_cases(label_map, names, seed), count)):
        bone = case.fragments > 0
        predicted = predicted_map(case, bone, predictor)
        result = judge(case, bone, predicted, RecoveryConfig(), merging)
        yield number, case.info.bone, result.predicted_fragments
