from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fracseg_training.bones.pool import fill_pool, halved, read_pool
from fracseg_training.synthesis.ct import SyntheticCt
from FractureSegmentationLib.errors import InputError


class OneBlock:
    """A body source whose CT is a cube of bone that grows with the index."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def make(self, index: int, rng: np.random.Generator) -> SyntheticCt:
        self.made.append(index)
        bones = np.zeros((80, 80, 80), np.uint8)
        bones[30:40, 30:40, 30 : 40 + index] = 2
        return SyntheticCt(
            hu=np.where(bones > 0, 400, 0).astype(np.int16),
            bones=bones,
            spacing_mm=(1.5, 1.5, 1.5),
        )


def test_a_pool_holds_both_stages_and_is_not_made_twice(tmp_path: Path) -> None:
    source = OneBlock()

    fill_pool(source, tmp_path, range(2), seed=0)  # type: ignore[arg-type]
    fill_pool(source, tmp_path, range(3), seed=0)  # type: ignore[arg-type]

    assert source.made == [0, 1, 2]
    coarse, fine = read_pool(tmp_path, "coarse"), read_pool(tmp_path, "fine")
    assert [volume.name for volume in coarse] == ["0000", "0001", "0002"]
    assert coarse[0].hu.shape == (40, 40, 40)
    assert np.count_nonzero(coarse[0].bones == 2) == 5**3
    # 36 mm around a cube of 10 voxels of 1.5 mm: 24 voxels on every side.
    assert fine[0].hu.shape == (58, 58, 58)
    assert np.count_nonzero(fine[2].bones == 2) == 10 * 10 * 12


def test_halving_averages_hounsfield_units_and_votes_on_labels() -> None:
    hu = np.arange(8, dtype=np.int16).reshape(2, 2, 2)
    bones = np.array([[[3, 3], [3, 1]], [[1, 1], [1, 1]]], np.uint8)

    mean, winner = halved(hu, bones)

    assert mean.tolist() == [[[4]]]
    assert winner.tolist() == [[[1]]]


def test_halving_leaves_an_odd_last_slice_out() -> None:
    mean, winner = halved(np.zeros((5, 4, 3), np.int16), np.zeros((5, 4, 3), np.uint8))

    assert mean.shape == winner.shape == (2, 2, 1)


def test_an_empty_pool_names_the_command_that_fills_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train-bones pool"):
        read_pool(tmp_path, "coarse")


def test_a_damaged_volume_is_refused(tmp_path: Path) -> None:
    (tmp_path / "fine").mkdir()
    (tmp_path / "fine" / "0000.npz").write_bytes(b"PK\x03\x04 no archive")

    with pytest.raises(InputError, match=r"0000"):
        read_pool(tmp_path, "fine")
