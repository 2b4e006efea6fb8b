"""The model folder: find it, check its files, write it; no network is built and no torch loaded.

A model is a folder of `model.json`, `model.safetensors` and, for ONNX Runtime, `model.onnx`: the
graph alone, whose weights are read from `model.safetensors`; `merging.safetensors` holds the trees
that judge which regions of its maps are one fragment. Files are hashed before they are
parsed and neither format can hold code, so a damaged or foreign file is refused before anything of
it takes effect.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    EnvironmentProblemError,
    MissingWeightsError,
    OutputExistsError,
)
from FractureSegmentationLib.networks.model_spec import (
    GRAPH_FILE,
    MERGING_FILE,
    SPEC_FILE,
    WEIGHTS_FILE,
    ModelSpec,
)

MODELS_VARIABLE: Final = "FRACSEG_MODELS"
SHIPPED_FOLDER: Final = Path(__file__).resolve().parent.parent / "models"
REMEDY: Final = "Get the model again, or install the program again."

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")


def shipped_model(name: str) -> Path:
    """Folder of a model that comes with the program or lies in a folder of `FRACSEG_MODELS`.

    Args:
        name: e.g. "fracsegmentator-small".

    Raises:
        ValueError: not a model name.
        MissingWeightsError: no such model.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a model name")
    added = os.environ.get(MODELS_VARIABLE, "").split(os.pathsep)
    for root in (*(Path(entry) for entry in added if entry), SHIPPED_FOLDER):
        if (root / name / SPEC_FILE).is_file():
            return root / name
    raise MissingWeightsError(
        f"The model {name} is not installed.",
        f"Install the program again, or name the folder that holds it in {MODELS_VARIABLE}.",
    )


def read_weights(folder: Path, spec: ModelSpec) -> bytes:
    """The content of the weights file, once its hash is known to be right.

    Raises:
        MissingWeightsError: the file is not there.
        DamagedWeightsError: it is not the one that the description names.
        EnvironmentProblemError: it cannot be read.
    """
    content = _content(folder, WEIGHTS_FILE, spec)
    if not spec.sha256 or hashlib.sha256(content).hexdigest() != spec.sha256:
        raise DamagedWeightsError(
            f"The weights of the model {spec.name} are not the ones it was published with.", REMEDY
        )
    return content


def require_graph(spec: ModelSpec) -> None:
    """See that a model was exported for ONNX Runtime.

    Raises:
        MissingWeightsError: it was not.
    """
    if not spec.onnx_sha256:
        raise MissingWeightsError(
            f"The model {spec.name} holds no {GRAPH_FILE}, which ONNX Runtime needs.",
            "Make it with `fracseg models export` where PyTorch is installed, or run with PyTorch: "
            "pip install torch.",
        )


def read_graph(folder: Path, spec: ModelSpec) -> bytes:
    """The content of the graph file, once its hash is known to be right.

    Raises:
        MissingWeightsError: the model was not exported, or the file is not there.
        DamagedWeightsError: it is not the one that the description names.
        EnvironmentProblemError: it cannot be read.
    """
    require_graph(spec)
    content = _content(folder, GRAPH_FILE, spec)
    if hashlib.sha256(content).hexdigest() != spec.onnx_sha256:
        raise DamagedWeightsError(
            f"The {GRAPH_FILE} of the model {spec.name} is not the one it was published with.",
            REMEDY,
        )
    return content


def read_merging(folder: Path, spec: ModelSpec) -> bytes | None:
    """The content of the merging model, once its hash is known to be right; None without one.

    Raises:
        MissingWeightsError: the file is not there.
        DamagedWeightsError: it is not the one that the description names.
        EnvironmentProblemError: it cannot be read.
    """
    if not spec.merging_sha256:
        return None
    content = _content(folder, MERGING_FILE, spec)
    if hashlib.sha256(content).hexdigest() != spec.merging_sha256:
        raise DamagedWeightsError(
            f"The {MERGING_FILE} of the model {spec.name} is not the one it was published with.",
            REMEDY,
        )
    return content


def graph_name(tensor: str) -> str:
    """The name in the graph of a tensor of the weights file, unlike any other text of the graph."""
    return f"<{tensor}>"


def write_model_folder(folder: Path, spec: ModelSpec, files: Mapping[str, bytes]) -> None:
    """Write a model folder, whole or not at all; one of ours that is there is replaced.

    Args:
        folder: where to.
        spec: the description, with the hashes of the files.
        files: content by name, without the description.

    Raises:
        OutputExistsError: `folder` is something else than a model of ours.
        EnvironmentProblemError: it cannot be written.
    """
    _refuse_foreign(folder)
    described = json.dumps(spec.to_dict(), indent=2, sort_keys=True) + "\n"
    try:
        _swap_in(folder, {**files, SPEC_FILE: described.encode()})
    except OSError as error:
        raise EnvironmentProblemError(
            "The model could not be written.", "Free some space or choose another folder."
        ) from error


def _content(folder: Path, name: str, spec: ModelSpec) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError as error:
        raise MissingWeightsError(f"The model {spec.name} holds no {name}.", REMEDY) from error
    except OSError as error:
        raise EnvironmentProblemError(
            f"The weights of the model {spec.name} cannot be read.",
            "Check the permissions of the model folder.",
        ) from error


def _refuse_foreign(folder: Path) -> None:
    if not folder.exists() and not folder.is_symlink():
        return
    own = {SPEC_FILE, WEIGHTS_FILE, GRAPH_FILE, MERGING_FILE}
    if not folder.is_dir() or {entry.name for entry in folder.iterdir()} - own:
        raise OutputExistsError(
            "The model folder holds something else than a model.", "Choose another folder."
        )


def _swap_in(folder: Path, files: Mapping[str, bytes]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    mark = secrets.token_hex(4)
    staged = folder.with_name(f".{folder.name}.{mark}.new")
    previous = folder.with_name(f".{folder.name}.{mark}.old")
    try:
        staged.mkdir()
        for name, content in files.items():
            (staged / name).write_bytes(content)
        if folder.exists():
            folder.rename(previous)
        try:
            staged.rename(folder)
        except OSError:
            if previous.exists():
                previous.rename(folder)
            raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    shutil.rmtree(previous, ignore_errors=True)
