"""The merging model of a model folder: trees as plain arrays, bound to one network's weights."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from FractureSegmentationLib.errors import DamagedWeightsError
from FractureSegmentationLib.instances.learned.boosted_trees import BoostedTrees
from FractureSegmentationLib.instances.learned.judge import ContactJudge, Judge, MergeModel
from FractureSegmentationLib.networks.model_folder import (
    REMEDY,
    read_graph,
    read_merging,
    read_weights,
    write_model_folder,
)
from FractureSegmentationLib.networks.model_spec import (
    GRAPH_FILE,
    MERGING_FILE,
    WEIGHTS_FILE,
    ModelSpec,
    read_spec,
)

_NETWORK: Final = "network_sha256"
_LEVEL: Final = "level"
_EDGES, _BONES = "edges", "bones"


def load_judge(folder: Path, spec: ModelSpec) -> Judge:
    """What judges the regions of a model's maps: its merging model, or else contact alone.

    Args:
        folder: of the model.
        spec: describes it.

    Raises:
        MissingWeightsError: the merging model is named but not there.
        DamagedWeightsError: it is damaged, or was trained on the maps of other weights.
        EnvironmentProblemError: it cannot be read.
    """
    content = read_merging(folder, spec)
    if content is None:
        return ContactJudge()
    model = _parsed(content, spec)
    if model.network_sha256 != spec.sha256:
        raise DamagedWeightsError(
            f"The {MERGING_FILE} of the model {spec.name} was trained with another network.",
            "Train it anew with `fracseg train-merging`, or get the model again.",
        )
    return model


def merging_bytes(model: MergeModel) -> bytes:
    """The content of the file for a merging model."""
    from safetensors.numpy import save  # Slicer does not bring it, and opening needs none of this

    digest = np.frombuffer(bytes.fromhex(model.network_sha256), np.uint8)
    arrays = {
        **model.edges.to_arrays(_EDGES),
        **model.bones.to_arrays(_BONES),
        _NETWORK: digest,
        _LEVEL: np.array([model.level], np.float64),
    }
    content: bytes = save(arrays)
    return content


def with_merging(source: Path, target: Path, content: bytes) -> ModelSpec:
    """Write a copy of a model folder with another merging model, whole or not at all.

    Args:
        source: the model.
        target: where to; a model that is there is replaced. May be `source`.
        content: see `merging_bytes`.

    Returns:
        The description of the copy.

    Raises:
        MissingWeightsError: a file of the model is not there.
        DamagedWeightsError: one of its files is damaged.
        OutputExistsError: `target` is something else than a model of ours.
        EnvironmentProblemError: it cannot be read or written.
    """
    spec = read_spec(source)
    files = {WEIGHTS_FILE: read_weights(source, spec), MERGING_FILE: content}
    if spec.onnx_sha256:
        files[GRAPH_FILE] = read_graph(source, spec)
    described = replace(spec, merging_sha256=hashlib.sha256(content).hexdigest())
    write_model_folder(target, described, files)
    return described


def _parsed(content: bytes, spec: ModelSpec) -> MergeModel:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(content)
        return MergeModel(
            edges=BoostedTrees.from_arrays(arrays, _EDGES),
            bones=BoostedTrees.from_arrays(arrays, _BONES),
            network_sha256=arrays[_NETWORK].tobytes().hex(),
            level=float(arrays[_LEVEL][0]),
        )
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise DamagedWeightsError(
            f"The {MERGING_FILE} of the model {spec.name} cannot be understood.", REMEDY
        ) from error
