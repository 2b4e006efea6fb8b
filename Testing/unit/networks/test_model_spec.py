"""The description of a model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from FractureSegmentationLib.errors import DamagedWeightsError, MissingWeightsError
from FractureSegmentationLib.networks.config import BONES_COARSE, SMALL
from FractureSegmentationLib.networks.model_spec import SPEC_FILE, ModelSpec, read_spec

FRAGMENTS = ModelSpec(
    name="fracsegmentator-small",
    task="fragments",
    method="fracsegmentator",
    network="tpc_net",
    config=SMALL.to_dict(),
    bones=("sacrum", "left_hip"),
    spacing_mm=(1.0, 1.0, 1.0),
    normalisation={"low_hu": -200.0, "high_hu": 1300.0},
    channels=("background", "boundary", "interior", "contact"),
    licence="Apache-2.0",
    training_data="simulated fractures",
    folds=("patient-3",),
    results={"fragment_iou": 0.9},
)
BONES = replace(
    FRAGMENTS,
    name="bones-coarse",
    task="bones",
    network="unet3d",
    config=BONES_COARSE.to_dict(),
    bones=("sacrum", "left_hip", "right_hip", "left_femur", "right_femur"),
    channels=("background", "sacrum", "left_hip", "right_hip", "left_femur", "right_femur"),
)


@pytest.mark.parametrize("spec", [FRAGMENTS, BONES])
def test_description_survives_its_file(spec: ModelSpec, tmp_path: Path) -> None:
    (tmp_path / SPEC_FILE).write_text(json.dumps(spec.to_dict()))

    assert read_spec(tmp_path) == spec


def test_configuration_comes_back_as_the_value_it_was() -> None:
    assert FRAGMENTS.network_config() == SMALL
    assert BONES.network_config() == BONES_COARSE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "../evil"}, "name"),
        ({"name": "A"}, "name"),
        ({"method": ""}, "method"),
        ({"task": "teeth"}, "task"),
        ({"network": "pickle"}, "network"),
        ({"sha256": "abc"}, "sha256"),
        ({"bones": ("tooth",)}, "tooth"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, float("nan"), 1.0)}, "spacing_mm"),
        ({"spacing_mm": (1.0, 1.0)}, "spacing_mm"),
        ({"channels": ("background", "contact")}, "4 classes"),
        ({"channels": ("background", "a", "a", "b")}, "4 classes"),
        ({"config": {"depth": 1}}, "depth"),
    ],
)
def test_impossible_values_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        replace(FRAGMENTS, **change)


def test_bone_channels_must_follow_the_bones_in_order() -> None:
    swapped = ("background", "left_hip", "sacrum", "right_hip", "left_femur", "right_femur")
    with pytest.raises(ValueError, match="background and its bones"):
        replace(BONES, channels=swapped)


def test_no_description_is_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError):
        read_spec(tmp_path / "nowhere")


_GOOD = FRAGMENTS.to_dict()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '"text"',
        "\x80\x04pickle",
        "[" * 200_000,
        json.dumps(_GOOD | {"schema": "fracseg-model/999"}),
        json.dumps({name: value for name, value in _GOOD.items() if name != "config"}),
        json.dumps(_GOOD | {"surprise": 1}),
        json.dumps(_GOOD | {"bones": "sacrum"}),
        json.dumps(_GOOD | {"bones": [1]}),
        json.dumps(_GOOD | {"spacing_mm": ["1", "1", "1"]}),
        json.dumps(_GOOD | {"config": []}),
        json.dumps(_GOOD | {"config": {"features": "abc"}}),
        json.dumps(_GOOD | {"config": {"heads": None}}),
        json.dumps(_GOOD | {"name": 3}),
        json.dumps(_GOOD | {"network": ["tpc_net"]}),
    ],
)
def test_a_description_that_makes_no_sense_is_a_damaged_model(content: str, tmp_path: Path) -> None:
    (tmp_path / SPEC_FILE).write_text(content, encoding="latin-1")

    with pytest.raises(DamagedWeightsError):
        read_spec(tmp_path)


def test_a_huge_description_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / SPEC_FILE).write_text(" " * (1 << 20) + json.dumps(_GOOD))

    with pytest.raises(DamagedWeightsError, match="too large"):
        read_spec(tmp_path)
