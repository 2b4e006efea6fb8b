"""Weights that a run starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor


def initial_weights(model: Path | None) -> dict[str, Tensor] | None:
    """State dict of a model folder; None where none is given.

    Raises:
        DamagedWeightsError: the model is damaged or foreign.
    """
    if model is None:
        return None
    from FractureSegmentationLib.networks.weights import load_model

    _, network = load_model(model)
    return dict(network.state_dict())
