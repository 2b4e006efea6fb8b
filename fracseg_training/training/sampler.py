"""Which patches make a batch: where they are centred, and how often what is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from FractureSegmentationLib.instances import bicm

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    from fracseg_training.data.cases import Case
    from FractureSegmentationLib.types import FloatArray, Spacing


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """What one training step sees.

    Attributes:
        inputs: (B, C, K, J, I) float32 network input.
        target: (B, K, J, I) int64 classes.
    """

    inputs: Tensor
    target: Tensor

    def holds(self, value: int) -> Tensor:
        """(B,) bool: which patches show a class."""
        return (self.target == value).flatten(1).any(dim=1)


class Centres:
    """Voxels of one volume that patches may be centred on.

    Args:
        marked: (K, J, I) where; anything but 0 counts.
        spacing_mm: voxel size along (k, j, i).
        most: at most about so many voxels are kept, evenly chosen; None keeps all.
    """

    def __init__(
        self, marked: npt.NDArray[np.generic], spacing_mm: Spacing, most: int | None = None
    ) -> None:
        inside = np.flatnonzero(marked)
        if most is not None:
            inside = inside[:: max(1, len(inside) // most)]
        # Half the memory that NumPy takes for indices.
        self._inside = inside.astype(np.uint32)
        self._shape = marked.shape
        self._spacing_mm = np.asarray(spacing_mm)

    def __len__(self) -> int:
        return len(self._inside)

    def draw(self, rng: np.random.Generator, jitter_mm: float) -> FloatArray:
        """(3,) a centre in voxels along (k, j, i), moved by at most `jitter_mm` along each axis."""
        voxel = self._inside[rng.integers(len(self._inside))]
        at = np.array(np.unravel_index(voxel, self._shape), float)
        at += rng.uniform(-1.0, 1.0, 3) * jitter_mm / self._spacing_mm
        centre: FloatArray = np.clip(at, 0, np.asarray(self._shape) - 1.0)
        return centre


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerConfig:
    """How often what is drawn.

    Attributes:
        fractured_per_batch: patches with a contact fracture surface in a batch.
        healthy_per_batch: patches without one.
        real_share: share of patches that come from real truth, where there is any.
        found_share: share of the real and of the simulated patches each that come from bones that
            were found in a CT, where there are any.
        one_piece_share: share of healthy patches drawn from bones in one piece.
        jitter_mm: how far a fractured patch's centre lies from a contact voxel, at most, per axis.
    """

    fractured_per_batch: int = 2
    healthy_per_batch: int = 2
    real_share: float = 0.4
    found_share: float = 0.5
    one_piece_share: float = 0.7
    jitter_mm: float = 16.0

    def __post_init__(self) -> None:
        if min(self.fractured_per_batch, self.healthy_per_batch) < 1:
            raise ValueError("a batch needs at least one patch of each kind")
        for name in ("real_share", "found_share", "one_piece_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Draw:
    """One patch to be cut: which case, where its centre lies, what it must turn out to be.

    Attributes:
        case: index into the sampler's cases.
        centre_kji: voxel the patch is centred on.
        is_fractured: whether a contact surface was asked for; the patch itself decides in the end.
    """

    case: int
    centre_kji: tuple[float, float, float]
    is_fractured: bool


class BalancedSampler:
    """Draws centres for patches, half fractured, half healthy.

    Args:
        cases: what can be drawn from.
        config: how often what.

    Raises:
        ValueError: no case has a contact surface, or none has bone free of it.
    """

    def __init__(self, cases: Sequence[Case], config: SamplerConfig) -> None:
        self._config = config
        self._cases = cases
        self._contact = [
            Centres(case.classes == bicm.CONTACT, case.info.spacing_mm) for case in cases
        ]
        self._bone = [Centres(case.fragments, case.info.spacing_mm) for case in cases]
        fractured = [n for n, voxels in enumerate(self._contact) if len(voxels) > 0]
        whole = [n for n, voxels in enumerate(self._contact) if len(voxels) == 0]
        if not fractured or not (whole or fractured):
            raise ValueError("training needs cases with and without a contact fracture surface")
        self._fractured = self._by_origin(fractured)
        self._whole = self._by_origin(whole or fractured)

    def draw_fractured(self, rng: np.random.Generator) -> Draw:
        """A centre near a contact voxel."""
        case = self._pick(self._fractured, rng)
        return self._draw(case, self._contact[case], rng, is_fractured=True)

    def draw_healthy(self, rng: np.random.Generator) -> Draw:
        """A centre in bone; mostly in bones of one piece, else anywhere in a fractured one."""
        in_one_piece = rng.random() < self._config.one_piece_share
        case = self._pick(self._whole if in_one_piece else self._fractured, rng)
        return self._draw(case, self._bone[case], rng, is_fractured=False)

    def _draw(
        self, case: int, centres: Centres, rng: np.random.Generator, *, is_fractured: bool
    ) -> Draw:
        k, j, i = centres.draw(rng, self._config.jitter_mm)
        return Draw(case, (float(k), float(j), float(i)), is_fractured)

    def _by_origin(self, cases: list[int]) -> _Pools:
        def pool(*, is_simulated: bool, is_found: bool) -> list[int]:
            return [
                n
                for n in cases
                if self._cases[n].info.is_simulated == is_simulated
                and (self._cases[n].found is not None) == is_found
            ]

        return _Pools(
            real=(
                pool(is_simulated=False, is_found=True),
                pool(is_simulated=False, is_found=False),
            ),
            simulated=(
                pool(is_simulated=True, is_found=True),
                pool(is_simulated=True, is_found=False),
            ),
        )

    def _pick(self, pools: _Pools, rng: np.random.Generator) -> int:
        is_real = _decide(any(pools.real), any(pools.simulated), self._config.real_share, rng)
        found, given = pools.real if is_real else pools.simulated
        is_found = _decide(bool(found), bool(given), self._config.found_share, rng)
        return int(rng.choice(found if is_found else given))


class _Pools(NamedTuple):
    """Indices of cases: of each origin those with a found bone, and those without."""

    real: tuple[list[int], list[int]]
    simulated: tuple[list[int], list[int]]


def _decide(has_one: bool, has_other: bool, share: float, rng: np.random.Generator) -> bool:
    """Whether it is the one, in `share` of the calls; nothing is drawn where there is no choice."""
    if has_one and has_other:
        return rng.random() < share
    return has_one
