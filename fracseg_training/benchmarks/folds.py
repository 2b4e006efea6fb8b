"""Leave one patient out: which weights may judge which case.

The fold weights ship with the training package, in half precision: `models/fold_001` never saw
patient 001, nor anything simulated from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fracseg_training.benchmarks.given_masks import (
    BoneResult,
    MaskChange,
    changed_mask,
    judge,
    predicted_map,
)
from fracseg_training.data.prepare import real_cases
from FractureSegmentationLib.errors import MissingWeightsError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.networks.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.instances.config import RecoveryConfig
    from FractureSegmentationLib.volume import FragmentMap

FOLDS_FOLDER = Path(__file__).parents[1] / "models"


def fold_predictor(patient: str, *, device: str = "auto", folder: Path = FOLDS_FOLDER) -> Predictor:
    """The network that never saw a patient.

    Args:
        patient: who is left out.
        device: see `Predictor`.
        folder: where the folds lie.

    Raises:
        MissingWeightsError: there is no fold for that patient.
    """
    model = folder / f"fold_{patient}"
    if not model.is_dir():
        raise MissingWeightsError(
            f"There are no weights that leave patient {patient} out.",
            "Train them with `fracseg train --exclude-patient` and put the run's model folder at "
            f"fracseg_training/models/fold_{patient}.",
        )
    _, network = load_model(model)
    return Predictor(network, window_plan(), device=device)


def window_plan(side: int | None = None) -> WindowPlan:
    """How the product moves its fragment network over a bone.

    Args:
        side: window size in voxels; None takes the product's.
    """
    outside = FRACSEGMENTATOR.normalisation.outside_value
    patch = FRACSEGMENTATOR.patch if side is None else (side, side, side)
    return WindowPlan(patch=patch, overlap=FRACSEGMENTATOR.overlap, padding=(outside, 0.0))


def real_maps(
    patients: Sequence[Path], change: MaskChange = "exact", *, device: str = "auto"
) -> Iterator[tuple[Case, FragmentMap]]:
    """The fragment map of every bone of every patient, each by the fold that left it out.

    Args:
        patients: folders, see `real_cases`; named for the patient.
        change: what is done to the given masks.
        device: see `Predictor`.
    """
    for folder in patients:
        predictor = fold_predictor(folder.name, device=device)
        for case in real_cases(folder):
            mask = changed_mask(case.fragments > 0, change)
            yield case, predicted_map(case, mask, predictor)


def real_results(
    maps: Sequence[tuple[Case, FragmentMap]],
    change: MaskChange,
    recoveries: Mapping[str, RecoveryConfig],
) -> dict[str, list[BoneResult]]:
    """Score maps under every way of recovery; results per name of the recovery."""
    return {
        name: [
            judge(case, changed_mask(case.fragments > 0, change), found, recovery)
            for case, found in maps
        ]
        for name, recovery in recoveries.items()
    }
