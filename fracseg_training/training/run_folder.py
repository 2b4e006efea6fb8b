"""The folder of a run: its settings, its cases, its checkpoint, its best weights, its model.

`run.json` says what the run was started with and holds the card of its model; `checkpoint.pt` is
the state it resumes from; `best.safetensors` are the weights with the highest validation score.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from fracseg_training.training.export import write_model
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.weights import build_network

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from torch import nn

    from fracseg_training.training.config import LoopConfig

_Config = TypeVar("_Config", bound="LoopConfig")

SCHEMA = "fracseg-run/1"
_MAY_GROW = ("steps", "schedule_steps")
_UNREADABLE = (
    RuntimeError,
    LookupError,
    TypeError,
    ValueError,
    EOFError,
    OSError,
    UnpicklingError,
)
"""What PyTorch raises of a file that is cut off, damaged, or of another program."""
_NEW_FOLDER = "Train into a new folder, or with what the run was started with."


class RunFolder:
    """Reads and writes the folder of one run.

    Args:
        path: the folder; made when the run begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._checkpoint = path / "checkpoint.pt"
        self._best = path / "best.safetensors"
        self._record = path / "run.json"

    def begin(
        self,
        settings: Mapping[str, Any],
        checksums: Mapping[str, str],
        spec: ModelSpec,
        class_weights: Sequence[float],
        *,
        may_write: bool,
    ) -> None:
        """Record what a new run starts with, or check that a run resumes with the same.

        Args:
            settings: JSON values by name.
            checksums: of every case.
            spec: the card of the model.
            class_weights: of the cross-entropy.
            may_write: False in all but one of several processes.

        Raises:
            InputError: the run was started with something else; the message names it.
        """
        record = {
            "schema": SCHEMA,
            "settings": dict(settings),
            "cases": dict(checksums),
            "card": spec.to_dict(),
            "class_weights": list(class_weights),
        }
        # As JSON gives it back: tuples are lists.
        record = json.loads(json.dumps(record))
        if self._checkpoint.exists() or self._record.exists():
            stored = self.record()
            differences = [
                *_differences(stored["settings"], record["settings"]),
                *_changed_cases(stored["cases"], record["cases"]),
            ]
            if differences:
                raise InputError(
                    f"The run in this folder was started with something else: "
                    f"{'; '.join(differences)}.",
                    _NEW_FOLDER,
                )
        if may_write:
            self.path.mkdir(parents=True, exist_ok=True)
            _write(self._record, (json.dumps(record, indent=2) + "\n").encode())

    def record(self) -> dict[str, Any]:
        """What the run was started with.

        Raises:
            InputError: there is no run, it is of an earlier version, or its record is damaged.
        """
        if not self._record.exists():
            if self._checkpoint.exists():
                raise InputError(
                    "The run in this folder is of an earlier version and cannot be resumed.",
                    "Train into a new folder; --initial starts from the model of the old run.",
                )
            raise InputError("There is no training run in this folder.", "Name a run's folder.")
        try:
            record = json.loads(self._record.read_text(encoding="utf-8"))
            if record["schema"] != SCHEMA or not all(
                isinstance(record[name], dict) for name in ("settings", "cases", "card")
            ):
                raise ValueError("not a record of a run")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError("The run.json of this run is damaged.", _NEW_FOLDER) from error
        return dict(record)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write the checkpoint, whole or not at all."""
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(dict(state), partial)
        partial.replace(self._checkpoint)

    def load(
        self, networks: Mapping[str, nn.Module], device: torch.device | str = "cpu"
    ) -> dict[str, Any] | None:
        """Read the checkpoint, filling the networks; None where there is none yet.

        Raises:
            InputError: it is damaged, or does not fit; the message says where.
        """
        if not self._checkpoint.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(
                self._checkpoint, map_location=device, weights_only=True
            )
            missing = {"step", "best", "optimizer", "precision", *networks} - set(state)
            if missing:
                raise ValueError(f"it holds no {', '.join(sorted(missing))}")
            for name, network in networks.items():
                _refuse_unfit(name, state[name], network)
                network.load_state_dict(state[name])
        except _UNREADABLE as error:
            reason = str(error).splitlines()[0] if isinstance(error, ValueError) else "unreadable"
            raise InputError(
                f"The checkpoint in the run's folder is damaged or does not fit: {reason}.",
                _NEW_FOLDER,
            ) from error
        return state

    def save_best(self, network: nn.Module, step: int, score: float) -> None:
        """Keep the best weights, whole or not at all."""
        partial = self._best.with_suffix(".partial")
        tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(tensors, partial, metadata={"step": str(step), "score": repr(score)})
        partial.replace(self._best)

    def export(self, folder: Path, weights: Literal["best", "last"] = "best") -> int:
        """Write a model folder from the run as it is now, finished or not.

        Args:
            folder: where to.
            weights: those with the highest validation score, or those of the last checkpoint,
                which are also taken where there was no validation.

        Returns:
            The step that the weights are of.

        Raises:
            InputError: there is no run, no checkpoint yet, or one is damaged.
        """
        record = self.record()
        try:
            spec = ModelSpec.from_dict(record["card"])
            network = build_network(spec.network_config())
        except ValueError as error:
            raise InputError("The run.json of this run is damaged.", _NEW_FOLDER) from error
        results: dict[str, Any] = {}
        if weights == "best" and self._best.exists():
            step, score = self._load_best(network)
            results["validation_score"] = score
        else:
            state = self.load({"averaged": network})
            if state is None:
                raise InputError(
                    "The run has no checkpoint yet.", "Train for longer, or press Ctrl-C once."
                )
            step = int(state["step"])
        write_model(folder, spec, network, record["class_weights"], {"steps": step, **results})
        return step

    def _load_best(self, network: nn.Module) -> tuple[int, float]:
        try:
            tensors = load_file(self._best)
            _refuse_unfit("best", tensors, network)
            network.load_state_dict(tensors)
            with safe_open(self._best, "pt") as stored:
                metadata = stored.metadata()
            return int(metadata["step"]), float(metadata["score"])
        except (*_UNREADABLE, SafetensorError) as error:
            raise InputError(
                "The best weights of the run are damaged.", "Export the last ones with --last."
            ) from error


def resumed_config(
    path: Path, config: _Config, *, steps: int | None, extend_schedule: bool
) -> _Config:
    """The configuration with the steps that are asked for, or else those of the run in the folder.

    Args:
        path: the folder of the run, which may be new.
        config: of a new run.
        steps: steps of the whole run; None for those the run was started with.
        extend_schedule: let the learning rate fall to 0 at the new last step.

    Raises:
        InputError: fewer steps, or more while the stored schedule is at 0 by then.
    """
    wanted = config if steps is None else replace(config, steps=steps)
    folder = RunFolder(path)
    if not (path / "run.json").exists():
        return wanted
    stored = folder.record()["settings"]
    had = int(stored.get("steps", config.steps))
    length = stored.get("schedule_steps")
    if steps is None or steps == had:
        return replace(config, steps=had, schedule_steps=length)
    if steps < had:
        raise InputError(
            f"The run was started with {had} steps, and {steps} are fewer.",
            "Ask for more steps, or train into a new folder.",
        )
    if extend_schedule:
        return replace(wanted, schedule_steps=None)
    if config.schedule == "poly":
        raise InputError(
            f"The learning rate of this run falls to 0 at step {length or had}.",
            "Let it fall to 0 at the new end with --extend-schedule, or train into a new folder.",
        )
    return wanted


def arrays_checksum(*arrays: npt.NDArray[Any] | None, description: str = "") -> str:
    """SHA-256 of arrays with their shapes and types; None counts as no array."""
    digest = hashlib.sha256(description.encode())
    for array in arrays:
        digest.update(f"|{None if array is None else (array.shape, array.dtype.str)}|".encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


def flat_settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted names."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= flat_settings(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} was {before.get(name)!r} and is {now.get(name)!r}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name) and name not in _MAY_GROW
    ]


def _changed_cases(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    kinds = (
        ("missing", [name for name in before if name not in now]),
        ("new", [name for name in now if name not in before]),
        ("changed", [name for name in now if before.get(name, now[name]) != now[name]]),
    )
    return [f"{len(names)} cases are {kind} ({_some(names)})" for kind, names in kinds if names]


def _some(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _refuse_unfit(name: str, state: Mapping[str, Any], network: nn.Module) -> None:
    expected = network.state_dict()
    for key in dict.fromkeys([*expected, *state]):
        if key not in state:
            raise ValueError(f"{name} lacks the tensor {key}")
        if key not in expected:
            raise ValueError(f"{name} holds the tensor {key}, which the network does not have")
        have, want = tuple(state[key].shape), tuple(expected[key].shape)
        if have != want:
            raise ValueError(f"{key} of {name} has the shape {have}, the network {want}")


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(content)
    partial.replace(path)
