"""One row of an ablation: train without some patients, judge on them."""

from __future__ import annotations

import csv
import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from fracseg_training.data.cases import load_cases
from fracseg_training.fragments.patches import PatchSource
from fracseg_training.fragments.probe import PriorFigures, prior_figures
from fracseg_training.fragments.score import Summary, judge, predicted_map, summarise, window_plan
from fracseg_training.fragments.task import FragmentTask, Origin
from fracseg_training.training.loop import TrainingRun
from fracseg_training.training.run_folder import resumed_config
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from fracseg_training.data.cases import Case
    from fracseg_training.fragments.config import TrainConfig
    from FractureSegmentationLib.networks.tpc_net import TPCNet

_PROBED_BATCHES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What a configuration came to.

    Attributes:
        summary: of the bones that were judged.
        prior: of patches of these bones; None where they give no fractured and healthy ones.
    """

    summary: Summary
    prior: PriorFigures | None

    def columns(self) -> dict[str, float]:
        """All figures by name; the probe's AUC is that of the best scale."""
        prior = self.prior or PriorFigures(probe_auc=(), cosine=math.nan, bank_rank=math.nan)
        areas = [area for area in prior.probe_auc if not math.isnan(area)]
        return asdict(self.summary) | {
            "probe_auc": max(areas, default=math.nan),
            "cosine": prior.cosine,
            "bank_rank": prior.bank_rank,
        }

    def line(self) -> str:
        """One line of a table."""
        figures = self.columns()
        return (
            f"{self.summary.line()}  probe AUC {figures['probe_auc']:.2f}  "
            f"cosine {figures['cosine']:.2f}  bank rank {figures['bank_rank']:.1f}"
        )


COLUMNS = (
    "preset",
    *(entry.name for entry in fields(Summary)),
    "probe_auc",
    "cosine",
    "bank_rank",
)


def train_and_judge(
    cases_dir: Path,
    run: Path,
    config: TrainConfig,
    held_out: Collection[str],
    *,
    is_simulated: bool = False,
    device: str = "auto",
) -> Row:
    """Train one configuration and score it on bones of patients it never saw.

    Args:
        cases_dir: folder of cases, see `fracseg prepare`.
        run: folder of the run; a run found there resumes.
        config: what is trained.
        held_out: the patients.
        is_simulated: judge their simulated fractures in place of the real ones.
        device: where it trains and predicts.

    Raises:
        InputError: the folder holds no such case of one of them.
    """
    cases = load_cases(cases_dir)
    judged = _judged(cases, held_out, is_simulated=is_simulated)
    others = [case for case in cases if case.info.patient not in held_out]
    if not others:
        raise InputError(
            f"Every case in the folder is of patient {', '.join(held_out)}.",
            "Prepare other patients too.",
        )
    config = resumed_config(run, config, steps=config.steps, extend_schedule=False)
    task = FragmentTask(others, config, origin=Origin(excluded=tuple(sorted(held_out))))
    training = TrainingRun(task, run, device=device)
    training.train()
    prior = _prior(training.averaged, judged, config)
    predictor = Predictor(training.averaged, window_plan(config.patches.size), device=device)
    results = []
    for case in judged:
        bone = case.fragments > 0
        results.append(judge(case, bone, predicted_map(case, bone, predictor), RecoveryConfig()))
    return Row(summary=summarise(results), prior=prior)


def _judged(cases: Sequence[Case], held_out: Collection[str], *, is_simulated: bool) -> list[Case]:
    judged = [
        case
        for case in cases
        if case.info.patient in held_out and case.info.is_simulated == is_simulated
    ]
    kind = "simulated" if is_simulated else "real"
    option = "--label-map" if is_simulated else "--real"
    if missing := sorted(set(held_out) - {case.info.patient for case in judged}):
        raise InputError(
            f"There is no {kind} case of patient {missing[0]} in the folder.",
            f"Name a patient that was prepared with `fracseg prepare {option}`.",
        )
    return judged


def _prior(network: TPCNet, judged: Sequence[Case], config: TrainConfig) -> PriorFigures | None:
    """The figures of the embeddings over patches of the bones that are judged."""
    if not any((case.classes == bicm.CONTACT).any() for case in judged):
        return None
    source = PatchSource(judged, config.patches, config.seed)
    batches = (source.batch(index) for index in range(_PROBED_BATCHES))
    device = str(next(network.parameters()).device)
    return prior_figures(network, batches, bicm.CONTACT, device)


def write_table(path: Path, rows: Mapping[str, Row]) -> None:
    """Write the figures of every preset as CSV, whole or not at all.

    Args:
        path: the file.
        rows: by name of the preset.
    """
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows({"preset": name, **row.columns()} for name, row in rows.items())
    partial.replace(path)
