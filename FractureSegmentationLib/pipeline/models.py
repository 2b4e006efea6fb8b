"""Trained models, fitted to the methods that run them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from FractureSegmentationLib.bones.cascade import COARSE_PATCH, FINE_PATCH, BoneStage
from FractureSegmentationLib.bones.totalsegmentator import require_totalsegmentator
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.errors import DamagedWeightsError, InputError
from FractureSegmentationLib.inference.engine import Engine, EngineName, Network, choose_engine
from FractureSegmentationLib.inference.intensity import CtNormalisation
from FractureSegmentationLib.instances.learned.judge import ContactJudge, Judge
from FractureSegmentationLib.methods.catalogue import method_named
from FractureSegmentationLib.methods.method import Method
from FractureSegmentationLib.networks.merging_file import load_judge
from FractureSegmentationLib.networks.model_folder import shipped_model
from FractureSegmentationLib.networks.model_spec import ModelSpec, read_spec
from FractureSegmentationLib.networks.patients import patients_of
from FractureSegmentationLib.types import Shape

if TYPE_CHECKING:
    from torch import nn

COARSE_MODEL, FINE_MODEL = "bones-coarse", "bones-fine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Which weights were used, for the report.

    Attributes:
        name: of the model.
        sha256: of its weights file.
        folds: patients kept out of training, as the model's card names them.
        trained_on: digests of the patients it was trained on, see `networks.patients`.
        validated_on: digests of the patients it was chosen by.
    """

    name: str
    sha256: str
    folds: tuple[str, ...] = ()
    trained_on: tuple[str, ...] = ()
    validated_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FragmentModel:
    """A network and the method that it was trained for.

    Attributes:
        method: the method, with the model's own spacing and normalisation.
        network: trained.
        weights: which they are.
        judge: says which regions of its maps are one fragment.
    """

    method: Method
    network: Network | nn.Module
    weights: Weights
    judge: Judge = field(default_factory=ContactJudge)


class ModelCache:
    """Keeps models at hand once they were loaded, so that many cases load them once.

    For one thread at a time: a network moves between devices while it runs.
    """

    def __init__(self) -> None:
        self._held: dict[tuple[Path | None, str, EngineName], tuple[ModelSpec, Network]] = {}

    def load(
        self, folder: Path | None, shipped_name: str, engine: Engine
    ) -> tuple[ModelSpec, Network]:
        """The model in `folder`, or the shipped one; loaded again if it was replaced on the disk.

        Raises:
            EnvironmentProblemError: it is missing or damaged.
        """
        current = _spec(folder, shipped_name)
        held = self._held.get((folder, shipped_name, engine.name))
        if held is None or _hashes(held[0]) != _hashes(current):
            held = _load(folder, shipped_name, engine)
            self._held[folder, shipped_name, engine.name] = held
        return held


def refuse_unavailable(settings: SegmentSettings) -> None:
    """Refuse at once what this machine cannot run, before a large CT is read for nothing.

    Raises:
        InputError: there is no device of that name, or the precision is not for the engine.
        EnvironmentProblemError: weights, the engine, the device, or TotalSegmentator are missing.
    """
    specs = _specs_of(settings)
    engine = choose_engine(settings.engine)
    engine.device_named(settings.device)
    engine.refuse_unusable(specs, settings.precision)
    if settings.bones == "totalsegmentator":
        require_totalsegmentator()


def weights_of(settings: SegmentSettings) -> tuple[Weights, ...]:
    """Which weights a run with these settings would use, known from their descriptions alone.

    Raises:
        EnvironmentProblemError: a description is missing or damaged.
    """
    return tuple(_weights(spec) for spec in _specs_of(settings))


def patch_of(spec: ModelSpec) -> Shape:
    """The windows that a model is run over, along (k, j, i)."""
    if spec.task == "fragments":
        return method_named(spec.method).patch
    # The fine stage sees the coarse result beside the CT.
    return COARSE_PATCH if spec.network_config().in_channels == 1 else FINE_PATCH


def load_fragment_model(
    settings: SegmentSettings, model_cache: ModelCache | None = None
) -> FragmentModel:
    """The model that the settings ask for.

    Args:
        settings: name the model and its method.
        model_cache: keeps it for the next case; None loads it for this one.

    Raises:
        InputError: the model was not trained for the method.
        EnvironmentProblemError: it is missing or damaged.
    """
    method = method_named(settings.method)
    engine = choose_engine(settings.engine)
    spec, network = _loaded(model_cache, settings.model, method.model, engine)
    if spec.task != "fragments" or spec.method != method.name:
        raise InputError(
            f"The model {spec.name} was not trained for the method {method.name}.",
            "Give another folder with --model, or leave the option out.",
        )
    fitted = replace(
        method,
        spacing_mm=spec.spacing_mm,
        normalisation=_normalisation(spec),
        bones=tuple(spec.bones) or method.bones,
    )
    judge = load_judge(settings.model or shipped_model(method.model), spec)
    return FragmentModel(method=fitted, network=network, weights=_weights(spec), judge=judge)


def load_bone_stages(
    folder: Path | None, engine: Engine, model_cache: ModelCache | None = None
) -> tuple[BoneStage, BoneStage, tuple[Weights, ...]]:
    """The two networks of the bone cascade and which weights they have.

    Args:
        folder: holds `bones-coarse` and `bones-fine`; None takes the shipped ones.
        engine: runs them.
        model_cache: keeps them for the next case; None loads them for this one.

    Raises:
        InputError: a model is not one for bones.
        EnvironmentProblemError: a model is missing or damaged.
    """
    stages, weights = [], []
    for name, patch in ((COARSE_MODEL, COARSE_PATCH), (FINE_MODEL, FINE_PATCH)):
        spec, network = _loaded(model_cache, folder / name if folder else None, name, engine)
        if spec.task != "bones":
            raise InputError(
                f"The model {spec.name} does not find bones.",
                "Give another folder with --bones-model, or leave the option out.",
            )
        stages.append(_stage(spec, network, patch))
        weights.append(_weights(spec))
    return stages[0], stages[1], tuple(weights)


def _specs_of(settings: SegmentSettings) -> list[ModelSpec]:
    specs = [_spec(settings.model, method_named(settings.method).model)]
    if settings.bones == "auto":
        folder = settings.bones_model
        for name in (COARSE_MODEL, FINE_MODEL):
            specs.append(_spec(folder / name if folder else None, name))
    return specs


def _loaded(
    model_cache: ModelCache | None, folder: Path | None, shipped_name: str, engine: Engine
) -> tuple[ModelSpec, Network]:
    if model_cache is None:
        return _load(folder, shipped_name, engine)
    return model_cache.load(folder, shipped_name, engine)


def _spec(folder: Path | None, shipped_name: str) -> ModelSpec:
    return read_spec(folder or shipped_model(shipped_name))


def _hashes(spec: ModelSpec) -> tuple[str, str]:
    return spec.sha256, spec.onnx_sha256


def _load(folder: Path | None, shipped_name: str, engine: Engine) -> tuple[ModelSpec, Network]:
    return engine.load(folder or shipped_model(shipped_name))


def _stage(spec: ModelSpec, network: Network, patch: Shape) -> BoneStage:
    return BoneStage(
        network=network,
        bones=tuple(spec.bones),
        spacing_mm=spec.spacing_mm,
        normalisation=_normalisation(spec),
        patch=patch,
        channels=spec.network_config().in_channels,
    )


def _normalisation(spec: ModelSpec) -> CtNormalisation:
    try:
        return CtNormalisation.from_dict(spec.normalisation)
    except (ValueError, TypeError) as error:
        raise DamagedWeightsError(
            f"The model {spec.name} has an impossible normalisation.",
            "Get the model again, or install the program again.",
        ) from error


def _weights(spec: ModelSpec) -> Weights:
    return Weights(name=spec.name, sha256=spec.sha256, **patients_of(spec))
