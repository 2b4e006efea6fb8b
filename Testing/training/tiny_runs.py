"""A run of TPC-Net that takes a second."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from phantom_cases import a_case

from fracseg_training.data.cases import Case
from fracseg_training.fragments.config import TrainConfig
from fracseg_training.fragments.contrast import ContrastConfig
from fracseg_training.fragments.patches import PatchConfig
from fracseg_training.fragments.task import FragmentTask
from fracseg_training.training.loop import TrainingRun
from FractureSegmentationLib.networks.config import TPCNetConfig
from FractureSegmentationLib.networks.tpc_net import TPCNet

TINY = TrainConfig(
    network=TPCNetConfig(
        features=(8, 8, 16),
        memory_keys=8,
        embedding_dim=8,
        heads=2,
        channel_embedding=8,
        spatial_embedding=8,
        spatial_grid=2,
        fca_tokens=2,
        masked_descriptors=True,
        normalised_memory=True,
    ),
    patches=PatchConfig(size=16, min_contact_voxels=20),
    contrast=ContrastConfig(past=12, first_step=2),
    steps=6,
    warmup_steps=2,
    precision="fp32",
)
CASES = [a_case(fragments=2), a_case(fragments=1)]


def a_run(
    folder: Path,
    config: TrainConfig = TINY,
    *,
    cases: Sequence[Case] = CASES,
    validation: Sequence[Case] = (),
    **options: Any,
) -> TrainingRun[TPCNet]:
    return TrainingRun(FragmentTask(cases, config, validation=validation), folder, **options)
