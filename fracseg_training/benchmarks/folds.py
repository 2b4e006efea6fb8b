"""Leave one patient out: which weights may judge which case.

`fracseg train --exclude-patient` makes the weights of a fold; none ship. `fold_001` never saw
patient 001, nor anything simulated from it. Resources/model-card.md has the recipe of the folds
behind the project's figures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fracseg_training.data.prepare import real_cases
from fracseg_training.fragments.score import (
    BoneResult,
    MaskChange,
    changed_mask,
    judge,
    predicted_map,
    window_plan,
)
from FractureSegmentationLib.errors import MissingWeightsError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.networks.merging_file import load_judge
from FractureSegmentationLib.networks.model_spec import SPEC_FILE, read_spec
from FractureSegmentationLib.networks.patients import has_seen
from FractureSegmentationLib.networks.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.instances.config import RecoveryConfig
    from FractureSegmentationLib.volume import FragmentMap


def folds_wanted() -> MissingWeightsError:
    """What is reported where weights that leave the patients out are needed and none are named."""
    return MissingWeightsError(
        "Weights that never saw the patients are needed, and none ship.",
        "For each patient P run `fracseg train CASES RUN --exclude-patient P` and name RUN/model, "
        "or a folder that holds it as fold_P, with --model (see docs/training.md).",
    )


def fold_predictor(patient: str, folder: Path, *, device: str = "auto") -> Predictor:
    """The network that never saw a patient.

    Args:
        patient: who is left out.
        folder: see `fold_model`.
        device: see `Predictor`.

    Raises:
        MissingWeightsError: there is no fold for that patient.
    """
    _, network = load_model(fold_model(patient, folder))
    return Predictor(network, window_plan(), device=device)


def fold_model(patient: str, folder: Path) -> Path:
    """The model folder that judges a patient.

    Args:
        patient: who is left out.
        folder: holds `fold_<patient>` for every patient; or is itself a model folder, which then
            judges all of them.

    Raises:
        MissingWeightsError: there is no fold for that patient.
    """
    if (folder / SPEC_FILE).is_file():
        return folder
    model = folder / f"fold_{patient}"
    if not model.is_dir():
        raise MissingWeightsError(
            f"There are no weights that leave patient {patient} out.",
            "Train them with `fracseg train --exclude-patient` and name the run's model folder, or "
            f"a folder that holds it as fold_{patient}, with --model.",
        )
    return model


def seen_warning(patient: str, folder: Path) -> str:
    """A warning if the weights that judge a patient were trained on it, or may have been; or "".

    Args:
        patient: who is judged.
        folder: see `fold_model`.
    """
    seen = has_seen(read_spec(fold_model(patient, folder)), patient)
    if seen:
        return f"the weights were trained or chosen on patient {patient}: its figures are no test"
    if seen is None:
        return f"the model does not say whether it was trained on patient {patient}"
    return ""


def real_maps(
    patients: Sequence[Path],
    folder: Path,
    change: MaskChange = "exact",
    *,
    device: str = "auto",
) -> Iterator[tuple[Case, FragmentMap]]:
    """The fragment map of every bone of every patient, each by the fold that left it out.

    Args:
        patients: folders, see `real_cases`; named for the patient.
        folder: see `fold_model`.
        change: what is done to the ground-truth masks.
        device: see `Predictor`.
    """
    for patient in patients:
        predictor = fold_predictor(patient.name, folder, device=device)
        for case in real_cases(patient):
            mask = changed_mask(case.fragments > 0, change)
            yield case, predicted_map(case, mask, predictor)


def real_results(
    maps: Sequence[tuple[Case, FragmentMap]],
    change: MaskChange,
    recoveries: Mapping[str, RecoveryConfig],
    folder: Path,
) -> dict[str, list[BoneResult]]:
    """Score maps under every way of recovery; results per name of the recovery.

    Args:
        maps: see `real_maps`.
        change: what was done to the masks.
        recoveries: by name.
        folder: the models, whose merging models are used, see `fold_model`.
    """
    merging = {
        patient: load_judge(model, read_spec(model))
        for patient in {case.info.patient for case, _ in maps}
        for model in (fold_model(patient, folder),)
    }
    return {
        name: [
            judge(
                case,
                changed_mask(case.fragments > 0, change),
                predicted,
                recovery,
                merging[case.info.patient],
            )
            for case, predicted in maps
        ]
        for name, recovery in recoveries.items()
    }
