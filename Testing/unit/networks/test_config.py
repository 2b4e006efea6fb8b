"""Network configurations."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from FractureSegmentationLib.networks.config import (
    BONES_COARSE,
    BONES_FINE,
    PAPER,
    SMALL,
    TPCNetConfig,
    UNet3DConfig,
)


@pytest.mark.parametrize("config", [SMALL, PAPER, replace(SMALL, embedding_scales=(2, 3))])
def test_tpc_net_config_survives_a_json_file(config: TPCNetConfig) -> None:
    assert TPCNetConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("config", [BONES_COARSE, BONES_FINE])
def test_unet_config_survives_a_json_file(config: UNet3DConfig) -> None:
    assert UNet3DConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="depth"):
        TPCNetConfig.from_dict({"depth": 3})


@pytest.mark.parametrize(
    "change",
    [
        {"features": (16,)},
        {"features": (16, 0)},
        {"in_channels": 0},
        {"convs_per_stage": 1.5},
        {"memory_keys": 0},
        {"embedding_dim": 30},
        {"spatial_embedding": 0},
        {"fca_tokens": 0},
        {"embedding_scales": (2, 5)},
        {"embedding_scales": (3, 2)},
        {"embedding_scales": (2, 2)},
    ],
)
def test_impossible_values_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        replace(SMALL, **change)  # type: ignore[arg-type]


def test_stride_is_two_to_the_number_of_halvings() -> None:
    assert UNet3DConfig(features=(8, 8, 8)).stride == 4
    assert PAPER.stride == 32


def test_embeddings_are_needed_by_any_of_three_parts() -> None:
    none = replace(SMALL, use_contrastive=False, use_memory=False, use_channel_attention=False)

    assert not none.uses_embeddings
    assert replace(none, use_contrastive=True).uses_embeddings
    assert replace(none, use_memory=True).uses_embeddings
    assert replace(none, use_channel_attention=True).uses_embeddings


def test_scales_with_an_embedding_are_all_unless_named_and_none_where_none_is_needed() -> None:
    none = replace(SMALL, use_contrastive=False, use_memory=False, use_channel_attention=False)

    assert SMALL.scales_with_embedding == (0, 1, 2, 3, 4)
    assert replace(SMALL, embedding_scales=(2, 3)).scales_with_embedding == (2, 3)
    assert replace(none, embedding_scales=(2, 3)).scales_with_embedding == ()


def test_masked_descriptors_need_a_mask() -> None:
    with pytest.raises(ValueError, match="masked_descriptors need an input with the bone mask"):
        TPCNetConfig(in_channels=1, masked_descriptors=True)


def test_configurations_and_model_descriptions_load_no_torch() -> None:
    code = (
        "import sys; import FractureSegmentationLib.networks.config,"
        " FractureSegmentationLib.networks.model_spec; print('torch' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "False"
