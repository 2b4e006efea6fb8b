"""The two-stage bone extraction, with networks that read the bone off the HU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import maximum_filter, minimum_filter
from torch import Tensor, nn

from FractureSegmentationLib.bones.cascade import BoneStage, bones_by_cascade
from FractureSegmentationLib.errors import NoBoneError, RunCancelledError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.progress import Event, Progress
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.orient import AxisOrder

BONES = ("sacrum", "left_hip", "right_hip", "left_femur", "right_femur")
# Clipped to 0..1000, mean 0, deviation 100: a bone of 300 HU comes in as 3.
PLAIN = CtNormalisation(low_hu=0.0, high_hu=1000.0, mean_hu=0.0, std_hu=100.0)


class ByDensity(nn.Module):
    """Class c is where the CT channel is nearest to 2 c + 1, i.e. 300, 500, ... HU."""

    def __init__(self, *, trusts_coarse: bool = False) -> None:
        super().__init__()
        self.trusts_coarse = trusts_coarse
        self.seen: list[torch.Size] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(x.shape)
        if self.trusts_coarse:
            inside = x[:, 1:].sum(dim=1, keepdim=True).clamp(0, 1)
            return 50.0 * torch.cat((1 - inside, x[:, 1:]), dim=1)
        centres = torch.tensor([0.0, 3.0, 5.0, 7.0, 9.0, 11.0]).reshape(1, 6, 1, 1, 1)
        return -20.0 * (x[:, :1] - centres) ** 2


def a_stage(network: nn.Module, spacing: float, channels: int) -> BoneStage:
    return BoneStage(
        network=network,
        bones=BONES,
        spacing_mm=(spacing, spacing, spacing),
        normalisation=PLAIN,
        patch=(32, 32, 32),
        channels=channels,
    )


@pytest.fixture
def pelvis() -> tuple[Volume, np.ndarray]:
    """A sacrum of 300 HU between a left hip of 500 and a right hip of 700, at 2 mm."""
    geometry = Geometry(
        shape=(50, 40, 80), spacing_mm=(2.0, 2.0, 2.0), origin_lps_mm=(-80.0, -40.0, 100.0)
    )
    truth = np.zeros(geometry.shape, np.uint8)
    truth[10:40, 22:34, 34:46] = 1
    truth[8:42, 10:26, 54:68] = 2
    truth[8:42, 10:26, 12:26] = 3
    hu = np.array([40, 300, 500, 700], np.int16)[truth]
    return Volume(voxels=hu, geometry=geometry), truth


def stages() -> tuple[BoneStage, BoneStage]:
    return a_stage(ByDensity(), 3.0, 1), a_stage(ByDensity(), 1.5, 6)


def assert_agrees(predicted: np.ndarray, truth: np.ndarray, rim: int) -> None:
    """Equal but for the rim, where 700 HU fade through 500 and 300 to soft tissue."""
    is_rim = minimum_filter(truth, 2 * rim + 1) != maximum_filter(truth, 2 * rim + 1)
    np.testing.assert_array_equal(predicted[~is_rim], truth[~is_rim])
    assert set(truth[~is_rim].tolist()) == {0, 1, 2, 3}


def test_bones_are_found_on_the_grid_of_the_ct(pelvis: tuple[Volume, np.ndarray]) -> None:
    ct, truth = pelvis
    bones = bones_by_cascade(ct, *stages(), "cpu", Progress())
    assert bones.geometry == ct.geometry
    assert bones.voxels.dtype == np.uint8
    assert_agrees(bones.voxels, truth, rim=2)


def test_a_turned_ct_gives_the_same_bones(pelvis: tuple[Volume, np.ndarray]) -> None:
    ct, _ = pelvis
    order = AxisOrder(axes=(1, 2, 0), reversed_axes=(True, False, True))
    straight = bones_by_cascade(ct, *stages(), "cpu", Progress())
    turned = bones_by_cascade(order.volume(ct), *stages(), "cpu", Progress())
    np.testing.assert_array_equal(turned.voxels, order.apply(straight.voxels))


def test_the_fine_network_sees_the_coarse_result_one_channel_per_bone(
    pelvis: tuple[Volume, np.ndarray],
) -> None:
    """A fine network that copies its input yields the coarse result."""
    ct, truth = pelvis
    fine = a_stage(ByDensity(trusts_coarse=True), 1.5, 6)
    bones = bones_by_cascade(ct, stages()[0], fine, "cpu", Progress())
    assert_agrees(bones.voxels, truth, rim=4)


def test_only_the_neighbourhood_of_the_bones_is_looked_at_closely(
    pelvis: tuple[Volume, np.ndarray],
) -> None:
    """A CT twice as long, the rest soft tissue, needs no further fine window."""
    ct, _ = pelvis
    long = Volume(
        voxels=np.pad(ct.voxels, ((0, 60), (0, 0), (0, 0)), constant_values=40),
        geometry=Geometry(
            shape=(110, 40, 80), spacing_mm=(2, 2, 2), origin_lps_mm=(-80.0, -40.0, 100.0)
        ),
    )
    counts = []
    for volume in (ct, long):
        coarse, fine = stages()
        bones_by_cascade(volume, coarse, fine, "cpu", Progress())
        assert isinstance(fine.network, ByDensity)
        counts.append(len(fine.network.seen))
    assert counts[0] == counts[1]


def test_soft_tissue_alone_holds_no_bone() -> None:
    geometry = Geometry(shape=(30, 30, 30), spacing_mm=(2.0, 2.0, 2.0))
    ct = Volume(voxels=np.full(geometry.shape, 40, np.int16), geometry=geometry)
    with pytest.raises(NoBoneError, match="dense"):
        bones_by_cascade(ct, *stages(), "cpu", Progress())


def test_something_dense_that_is_no_bone_is_not_called_one() -> None:
    """A wire of 300 HU is far below the size of a bone."""
    geometry = Geometry(shape=(30, 30, 30), spacing_mm=(2.0, 2.0, 2.0))
    hu = np.full(geometry.shape, 40, np.int16)
    hu[5:25, 14:17, 14:17] = 300
    with pytest.raises(NoBoneError, match="None of the bones"):
        bones_by_cascade(Volume(voxels=hu, geometry=geometry), *stages(), "cpu", Progress())


def test_progress_rises_and_cancel_stops(pelvis: tuple[Volume, np.ndarray]) -> None:
    events: list[Event] = []
    progress = Progress(listener=events.append)
    bones_by_cascade(pelvis[0], *stages(), "cpu", progress)
    values = [event.value for event in events if event.kind == "progress"]
    assert values == sorted(values)
    assert values[-1] == 1.0

    progress.token.cancel()
    with pytest.raises(RunCancelledError):
        bones_by_cascade(pelvis[0], *stages(), "cpu", progress)
