"""The predictor against MONAI's SlidingWindowInferer: same network, same window, same overlap."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from fracseg_training.benchmarks.speed.maps import MODEL, real_bones
from fracseg_training.benchmarks.speed.measure import Paired, SpeedRow, clock_for, paired
from fracseg_training.fragments.score import window_plan
from FractureSegmentationLib.inference.intensity import fragment_input
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import plan_windows
from FractureSegmentationLib.networks.model_folder import shipped_model
from FractureSegmentationLib.networks.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    from torch import nn

    from fracseg_training.benchmarks.speed.measure import SpeedSettings
    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.inference.windows import WindowPlan
    from FractureSegmentationLib.types import Box, Shape

MISSING_MONAI = "skipped: MONAI is not installed; `pip install monai`"
_TOLERANCE, _GAIN = 1e-4, 4.0
_NOT_SLOWER = 0.97
"""Two runs of the same program differ by as much."""
_MONAI_OVERLAP = 0.25


def predictor_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """Both in float32 over the same windows; each as it comes; and how many windows that saves."""
    if importlib.util.find_spec("monai") is None:
        yield SpeedRow(name="predictor against MONAI", measured=MISSING_MONAI)
        return
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    try:
        cases = list(real_bones(settings.data))
        yield _window_row(cases)
        race = _Race.on(min(cases, key=lambda case: case.fragments.size), settings)
        yield race.same_windows_row()
        yield race.default_row()
        yield race.own_overlap_row()
    finally:
        torch.set_num_threads(before)


def monai_windows(shape: Shape, patch: Shape, overlap: float) -> tuple[Box, ...]:
    """The windows that MONAI looks through in a volume at least as large as one."""
    from monai.data.utils import dense_patch_slices

    interval = tuple(max(1, int(side * (1.0 - overlap))) for side in patch)
    return tuple(cast("list[Box]", dense_patch_slices(shape, patch, interval)))


def monai_probabilities(
    network: nn.Module,
    channels: npt.NDArray[np.float32],
    patch: Shape,
    overlap: float,
    mode: str = "constant",
) -> npt.NDArray[np.float32]:
    """Probabilities by MONAI in float32.

    Args:
        network: gives logits, or a tuple that has them as `logits`.
        channels: (C, K, J, I) network input.
        patch: window size.
        overlap: share of a window's length that its neighbour covers too.
        mode: how windows are blended; MONAI's default gives all their voxels the same weight.
    """
    from monai.inferers.inferer import SlidingWindowInferer

    def probabilities(stack: torch.Tensor) -> torch.Tensor:
        output = network(stack)
        return torch.softmax(getattr(output, "logits", output), dim=1)

    inferer = SlidingWindowInferer(patch, overlap=overlap, mode=mode)
    with torch.inference_mode():
        predicted = inferer(torch.from_numpy(channels)[None], probabilities)
    return cast("npt.NDArray[np.float32]", predicted[0].numpy())


class _Race:
    """One bone, run by both.

    Args:
        case: the bone; its crop is at least as large as a window.
        settings: how to measure.
        plan: how the product moves its network.
    """

    def __init__(self, case: Case, settings: SpeedSettings, plan: WindowPlan) -> None:
        self._mask = case.fragments > 0
        self._channels = fragment_input(case.hu, self._mask)
        self._settings = settings
        self._plan = plan
        # Each side has its own copy: ours rearranges the weights in memory.
        self._theirs, self._float32, self._product = (
            load_model(shipped_model(MODEL))[1].eval() for _ in range(3)
        )

    @classmethod
    def on(cls, case: Case, settings: SpeedSettings) -> _Race:
        """The race over one bone with the product's windows."""
        return cls(case, settings, window_plan())

    def same_windows_row(self) -> SpeedRow:
        """Float32, the same windows, the same weights of the voxels in them."""
        k, j, i = self._mask.shape
        windows = monai_windows((k, j, i), self._plan.patch, self._plan.overlap)
        predictor = Predictor(self._float32, self._plan, device="cpu", precision="fp32")
        run = self._paired(predictor, self._plan.overlap, "gaussian", windows=windows)
        largest = float(np.abs(run.first - run.second).max())
        return SpeedRow(
            name=f"predictor against MONAI, float32, the same {len(windows)} windows",
            measured=f"MONAI {run.first_seconds:.1f} s, ours {run.second_seconds:.1f} s, "
            f"{run.ratio:.2f} times, largest difference {largest:.1e}",
            target=f"not slower, within {_TOLERANCE:.0e}",
            is_met=run.ratio >= _NOT_SLOWER and largest <= _TOLERANCE,
        )

    def default_row(self) -> SpeedRow:
        """The product as it comes against MONAI as it comes, at the product's overlap."""
        predictor = Predictor(self._product, self._plan, device="cpu")
        run = self._paired(predictor, self._plan.overlap)
        return SpeedRow(
            name="product default against MONAI's default at the same overlap",
            measured=f"MONAI {run.first_seconds:.1f} s, ours {run.second_seconds:.1f} s "
            f"({predictor.placement.precision}), {run.ratio:.1f} times",
            target=f"at least {_GAIN:.0f} times",
            is_met=run.ratio >= _GAIN,
        )

    def own_overlap_row(self) -> SpeedRow:
        """The same with MONAI's own, smaller overlap: it looks at half as many places."""
        predictor = Predictor(self._product, self._plan, device="cpu")
        run = self._paired(predictor, _MONAI_OVERLAP)
        return SpeedRow(
            name=f"the same with MONAI's overlap of {_MONAI_OVERLAP} (ours stays "
            f"{self._plan.overlap})",
            measured=f"MONAI {run.first_seconds:.1f} s, ours {run.second_seconds:.1f} s, "
            f"{run.ratio:.1f} times",
        )

    def _paired(
        self,
        predictor: Predictor,
        overlap: float,
        mode: str = "constant",
        windows: Sequence[Box] | None = None,
    ) -> Paired[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        patch = self._plan.patch
        warm_up = (slice(0, patch[0]), slice(0, patch[1]), slice(0, patch[2]))
        monai_probabilities(self._theirs, self._channels[(slice(None), *warm_up)], patch, overlap)
        predictor.predict(self._channels, self._mask, windows=[warm_up])
        return paired(
            lambda: monai_probabilities(self._theirs, self._channels, patch, overlap, mode),
            lambda: predictor.predict_float32(self._channels, self._mask, windows=windows),
            repeats=self._settings.repeats,
            clock=clock_for(self._settings.threads),
        )


def _window_row(cases: list[Case]) -> SpeedRow:
    plan = window_plan()
    ours = theirs = 0
    for case in cases:
        k, j, i = case.fragments.shape
        ours += len(plan_windows(case.fragments > 0, plan.patch, plan.overlap))
        theirs += len(monai_windows((k, j, i), plan.patch, plan.overlap))
    return SpeedRow(
        name=f"windows over {len(cases)} bones at overlap {plan.overlap}",
        measured=f"MONAI {theirs}, ours {ours}: {theirs / ours:.2f} times fewer",
    )
