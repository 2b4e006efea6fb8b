"""The weights in the repository: whole, loadable, small enough, and honest about what they saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from FractureSegmentationLib.networks.model_folder import SHIPPED_FOLDER
from FractureSegmentationLib.networks.weights import load_model

MEGABYTE = 1024 * 1024
SHIPPED = sorted(path.parent for path in SHIPPED_FOLDER.glob("*/model.json"))


def parameters_of(folder: Path) -> int:
    _, network = load_model(folder)
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_model_loads_and_is_named_like_its_folder(folder: Path) -> None:
    spec, network = load_model(folder)

    assert spec.name == folder.name
    assert not network.training
    assert spec.training_data


def test_the_three_models_of_the_product_are_there() -> None:
    names = {folder.name for folder in SHIPPED}

    assert names == {"fracsegmentator-small", "bones-coarse", "bones-fine"}


def test_all_weights_together_take_at_most_20_megabytes() -> None:
    sizes = [file.stat().st_size for folder in SHIPPED for file in folder.iterdir()]

    assert 0 < sum(sizes) <= 20 * MEGABYTE


def test_small_fragment_network_has_at_most_5_million_parameters() -> None:
    assert parameters_of(SHIPPED_FOLDER / "fracsegmentator-small") <= 5_000_000
