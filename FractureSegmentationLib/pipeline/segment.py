"""The product on one screen: from a CT to one label per bone fragment, and to a result folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from scipy.ndimage import find_objects

from FractureSegmentationLib.bones.crop import bone_crops
from FractureSegmentationLib.bones.position import position_warnings
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.io.folder import staged_folder
from FractureSegmentationLib.io.read import CtInput, read_ct
from FractureSegmentationLib.pipeline.bones import (
    BoneMasks,
    find_bones,
    refuse_unnumbered_bones,
    wanted_bones,
)
from FractureSegmentationLib.pipeline.fragments import (
    GROWTH_MM,
    BoneFragments,
    FragmentRun,
    has_metal,
    others_of,
    segment_bone,
    window_plan,
)
from FractureSegmentationLib.pipeline.models import (
    FragmentModel,
    ModelCache,
    Weights,
    load_fragment_model,
    refuse_unavailable,
)
from FractureSegmentationLib.pipeline.output import write_result
from FractureSegmentationLib.pipeline.result import Assembly, RunFacts, SegmentResult
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.volume import LabelVolume, Volume

Clock = Callable[[], float]
_READ, _SEGMENTED = 0.05, 0.85


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CaseRequest:
    """One CT on disk and the result folder to make of it.

    Attributes:
        ct: a DICOM folder, a file of a DICOM series, or an image file.
        out: the folder to make.
        settings: how to segment.
        series: number or UID of the series, where a folder holds several.
        overwrite: whether a result folder of ours may be replaced.
        writes_meshes: whether surfaces are written as STL files.
        other_inputs: further files and folders that are read.
        sha256: what the report says the request was, for who looks whether it has been done.
    """

    ct: Path
    out: Path
    settings: SegmentSettings = field(default_factory=SegmentSettings)
    series: str | None = None
    overwrite: bool = False
    writes_meshes: bool = True
    other_inputs: tuple[Path, ...] = ()
    sha256: str = ""


def segment_case(
    request: CaseRequest,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
    model_cache: ModelCache | None = None,
) -> SegmentResult:
    """Read a CT, segment it and write the result folder, whole or not at all.

    Args:
        request: what to read, how to segment, where to write.
        progress: receives progress; may request a stop.
        clock: the time in seconds.
        model_cache: keeps the models for the next case; None loads them for this one.

    Raises:
        FracSegError: as `segment_ct`, or the CT cannot be read or the result not be written.
    """
    progress = progress or Progress()
    refuse_unavailable(request.settings)
    inputs = (request.ct, *request.other_inputs)
    with staged_folder(request.out, overwrite=request.overwrite, inputs=inputs) as folder:
        begin = clock()
        progress.enter("read", 0.0, _READ)
        ct = read_ct(request.ct, series=request.series, progress=progress)
        read_seconds = clock() - begin
        result = segment_ct(ct, request.settings, progress, clock, model_cache)
        result.facts.seconds["read"] = read_seconds
        result = replace(result, facts=replace(result.facts, request_sha256=request.sha256))
        progress.enter("write", _SEGMENTED, 1.0)
        write_result(result, folder, progress, clock, writes_meshes=request.writes_meshes)
    return result


def segment_ct(
    ct: CtInput | Volume,
    settings: SegmentSettings,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
    model_cache: ModelCache | None = None,
) -> SegmentResult:
    """Segment the bone fragments of a CT.

    Args:
        ct: the CT in HU, any orientation and spacing.
        settings: how.
        progress: receives progress; may request a stop.
        clock: the time in seconds.
        model_cache: keeps the models for the next case; None loads them for this one.

    Returns:
        Labels on the CT's grid and the findings for every bone.

    Raises:
        InputError: the settings do not fit the CT.
        NoBoneError: no bone, or none of those requested, was detected.
        EnvironmentProblemError: weights, memory or the device stand in the way.
        RunCancelledError: the caller asked to stop.
    """
    progress = progress or Progress()
    given = _given(ct, progress)
    begin = clock()
    progress.enter("bones", _READ, 0.08 if settings.are_bones_given else 0.35)
    model = load_fragment_model(settings, model_cache)
    masks, wanted = _bones(given, settings, model, progress, model_cache)
    between = clock()
    run = _fragment_run(model, settings)
    assembly = Assembly(given.volume.geometry, settings.numbering)
    for piece in _segmented_bones(given.volume, wanted, masks, run, progress):
        assembly.add(piece, keeps_map=settings.keeps_maps)
    seconds = {"bones": between - begin, "fragments": clock() - between}
    weights = (model.weights, *masks.weights)
    return assembly.finished(given, _facts(run, weights, seconds, progress))


def _given(ct: CtInput | Volume, progress: Progress) -> CtInput:
    """The CT, and the user warned of what was odd about its files."""
    given = ct if isinstance(ct, CtInput) else CtInput(volume=ct, kind="volume")
    for sentence in given.warnings:
        progress.warn(sentence)
    return given


def _bones(
    given: CtInput,
    settings: SegmentSettings,
    model: FragmentModel,
    progress: Progress,
    model_cache: ModelCache | None,
) -> tuple[BoneMasks, LabelVolume]:
    """The bones of the CT, and of them those that are to be divided."""
    masks = find_bones(
        given.volume,
        settings,
        progress,
        is_already_masked=given.is_already_masked,
        model_cache=model_cache,
    )
    for sentence in position_warnings(masks.bones):
        progress.warn(sentence)
    wanted = wanted_bones(masks.bones, settings.only, model.method.bones, progress)
    refuse_unnumbered_bones(wanted, settings.numbering)
    return masks, wanted


def _facts(
    run: FragmentRun, weights: tuple[Weights, ...], seconds: dict[str, float], progress: Progress
) -> RunFacts:
    return RunFacts(
        method=run.method.name,
        engine=run.predictor.engine,
        device=run.predictor.placement.device,
        precision=run.predictor.placement.precision,
        weights=weights,
        seconds=seconds,
        warnings=tuple(progress.warnings),
    )


def _fragment_run(model: FragmentModel, settings: SegmentSettings) -> FragmentRun:
    return FragmentRun(
        method=model.method,
        predictor=Predictor(
            model.network,
            window_plan(model.method),
            device=settings.device,
            precision=None if settings.precision == "auto" else settings.precision,
        ),
        recovery=settings.recovery or model.method.recovery,
        judge=model.judge,
    )


def _segmented_bones(
    ct: Volume, wanted: LabelVolume, masks: BoneMasks, run: FragmentRun, progress: Progress
) -> Iterator[BoneFragments]:
    """The wanted bones one after the other, each divided into its fragments."""
    margin_mm = run.method.margin_mm + (0.0 if masks.are_exact else GROWTH_MM)
    crops = bone_crops(ct, wanted, margin_mm=margin_mm, spacing_mm=run.method.spacing_mm)
    begin, end = progress.span[1], _SEGMENTED
    step = (end - begin) / sum(box is not None for box in find_objects(wanted.voxels))
    for number, crop in enumerate(crops):
        progress.enter("fragments", begin + number * step, begin + (number + 1) * step)
        if has_metal(crop):
            progress.warn(
                f"There is metal in or at the {crop.bone.name.lower()}; "
                "check its fragments with care."
            )
        others = None if masks.are_exact else others_of(crop, masks.bones)
        yield segment_bone(crop, others, run, progress)
