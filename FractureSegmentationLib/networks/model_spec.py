"""What `model.json` says about a trained model; read and checked without torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, cast

from FractureSegmentationLib.anatomy.catalogue import BONES
from FractureSegmentationLib.errors import DamagedWeightsError, MissingWeightsError
from FractureSegmentationLib.networks.config import TPCNetConfig, UNet3DConfig
from FractureSegmentationLib.types import Spacing

SCHEMA: Final = "fracseg-model/1"
SPEC_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"
GRAPH_FILE: Final = "model.onnx"
MERGING_FILE: Final = "merging.safetensors"

NetworkKind = Literal["tpc_net", "unet3d"]
Task = Literal["bones", "fragments"]
NetworkConfig = TPCNetConfig | UNet3DConfig

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_BYTES = 1 << 20
_CONFIGS: Final[dict[NetworkKind, type[TPCNetConfig] | type[UNet3DConfig]]] = {
    "tpc_net": TPCNetConfig,
    "unet3d": UNet3DConfig,
}
_REMEDY = "Get the model again, or install the program again."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A trained model, described.

    Attributes:
        name: lower-case letters, digits, dot, dash and underscore.
        task: whether it finds bones or the fragments of a bone.
        method: the method that runs it, e.g. "fracsegmentator".
        network: which network class the weights belong to.
        config: the fields of that network's configuration.
        bones: slugs of the bones it serves; for task bones in the order of the output channels.
        spacing_mm: working spacing along (k, j, i).
        normalisation: fields of the CT normalisation it was trained with.
        channels: names of the output channels, background first.
        licence: SPDX identifier or name of the weights' licence.
        training_data: what it was trained on, in words.
        folds: cases or patients kept out of training.
        results: measured results, as JSON values.
        sha256: hash of the weights file; "" until the model is saved.
        onnx_sha256: hash of the graph for ONNX Runtime; "" where the model has none.
        merging_sha256: hash of the merging model that was trained on the maps of these weights; ""
            where there is none.

    Raises:
        ValueError: a value is impossible or two of them contradict each other.
    """

    name: str
    task: Task
    method: str
    network: NetworkKind
    config: Mapping[str, Any]
    bones: tuple[str, ...]
    spacing_mm: Spacing
    normalisation: Mapping[str, float]
    channels: tuple[str, ...]
    licence: str
    training_data: str = ""
    folds: tuple[str, ...] = ()
    results: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    onnx_sha256: str = ""
    merging_sha256: str = ""

    def __post_init__(self) -> None:
        for label, value in (("name", self.name), ("method", self.method)):
            if not _NAME.fullmatch(value):
                raise ValueError(f"{label} {value!r} may hold only a-z, 0-9, '.', '_' and '-'")
        if self.task not in ("bones", "fragments"):
            raise ValueError(f"task must be bones or fragments, got {self.task!r}")
        if self.network not in _CONFIGS:
            raise ValueError(f"network must be one of {', '.join(_CONFIGS)}, got {self.network!r}")
        hashes = (self.sha256, self.onnx_sha256, self.merging_sha256)
        if not all(_SHA256.fullmatch(one) for one in hashes if one):
            raise ValueError("sha256, onnx_sha256 and merging_sha256 are 64 hexadecimal digits")
        if unknown := set(self.bones) - {bone.slug for bone in BONES}:
            raise ValueError(f"unknown bones: {', '.join(sorted(unknown))}")
        if len(self.spacing_mm) != 3 or not all(0.0 < s < math.inf for s in self.spacing_mm):
            raise ValueError(f"spacing_mm must be three positive lengths, got {self.spacing_mm}")
        self._check_channels()

    def network_config(self) -> NetworkConfig:
        """The configuration of the network.

        Raises:
            ValueError: `config` does not describe one.
        """
        return _CONFIGS[self.network].from_dict(self.config)

    def to_dict(self) -> dict[str, Any]:
        """The content of `model.json`."""
        values = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {"schema": SCHEMA} | {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """The description that `to_dict` wrote.

        Raises:
            ValueError: another schema, a field missing, unknown or of the wrong kind.
        """
        if values.get("schema") != SCHEMA:
            raise ValueError(f"expected schema {SCHEMA}, got {values.get('schema')!r}")
        arguments = {name: value for name, value in values.items() if name != "schema"}
        for entry in fields(cls):
            if entry.name in arguments:
                arguments[entry.name] = _checked(entry.name, arguments[entry.name])
        try:
            return cls(**arguments)
        except TypeError as error:
            raise ValueError(f"a field is missing or unknown: {error}") from error

    def _check_channels(self) -> None:
        classes = self.network_config().out_channels
        if len(self.channels) != classes or len(set(self.channels)) != classes:
            raise ValueError(f"{classes} classes need as many channel names, got {self.channels}")
        if self.task == "bones" and self.channels[1:] != self.bones:
            raise ValueError("the channels of a bone model are the background and its bones")


def read_spec(folder: Path) -> ModelSpec:
    """Read the description of a model.

    Raises:
        MissingWeightsError: there is none.
        DamagedWeightsError: it cannot be understood.
    """
    try:
        with (folder / SPEC_FILE).open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        _refuse_training_run(folder)
        raise MissingWeightsError(
            f"The model folder holds no readable {SPEC_FILE}.", _REMEDY
        ) from error
    if len(content) > _MOST_BYTES:
        raise DamagedWeightsError(f"{SPEC_FILE} of the model is too large.", _REMEDY)
    try:
        values = json.loads(content)
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        return ModelSpec.from_dict(values)
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedWeightsError(
            f"{SPEC_FILE} of the model cannot be understood ({error}).", _REMEDY
        ) from error


def _refuse_training_run(folder: Path) -> None:
    """Say what a folder or file without a description is, where it is of a training run."""
    run = folder.parent if folder.is_file() else folder
    if any((run / name).is_file() for name in ("run.json", "checkpoint.pt")):
        raise MissingWeightsError(
            "This is a training run, or its checkpoint, and not a model.",
            "Give the folder `model` inside the run; `fracseg train CASES RUN --export` or "
            "`fracseg train-bones export` writes it from a run that has not ended.",
        )


def _checked(name: str, value: object) -> object:
    """A field as it came out of JSON, in the type that the description holds it in."""
    if name in ("config", "normalisation", "results"):
        if not isinstance(value, dict):
            raise ValueError(f"{name} must be an object")
        return value
    if name in ("bones", "channels", "folds"):
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise ValueError(f"{name} must be a list of texts")
        return tuple(value)
    if name == "spacing_mm":
        if not isinstance(value, list) or not all(isinstance(s, int | float) for s in value):
            raise ValueError("spacing_mm must be a list of numbers")
        return tuple(float(s) for s in cast(list[float], value))
    if not isinstance(value, str):
        raise ValueError(f"{name} must be a text")
    return value
