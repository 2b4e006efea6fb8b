"""The result folder: label files, surfaces, preview, report."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib import __version__
from FractureSegmentationLib.anatomy.naming import Segment, fragment_segment
from FractureSegmentationLib.io.folder import FRAGMENTS_NAME
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.mesh import Surface, fragment_surfaces, write_meshes
from FractureSegmentationLib.pipeline.findings import BoneFinding, FragmentFinding
from FractureSegmentationLib.pipeline.result import SegmentResult
from FractureSegmentationLib.preview.picture import write_preview
from FractureSegmentationLib.progress import Progress
from FractureSegmentationLib.results.merge_trees import REGIONS_NAME, TREE_KEY, tree_entry
from FractureSegmentationLib.results.report import geometry_entry, write_report
from FractureSegmentationLib.results.seg_nrrd import write_seg_nrrd
from FractureSegmentationLib.volume import Volume

_ALGORITHM = "FractureSegmentation"


def write_result(
    result: SegmentResult,
    folder: Path,
    progress: Progress,
    clock: Callable[[], float],
    *,
    writes_meshes: bool = True,
) -> None:
    """Write everything about a result into a folder.

    Args:
        result: what to write.
        folder: exists and is empty.
        progress: receives progress; may request a stop.
        clock: the time in seconds.
        writes_meshes: whether surfaces are written as STL files.

    Raises:
        EnvironmentProblemError: a file could not be written.
        RunCancelledError: the caller asked to stop.
    """
    begin = clock()
    seconds = dict(result.facts.seconds)
    _write_label_files(result, folder, progress)
    seconds["label_files"] = clock() - begin
    progress.report(0.45)
    surfaces = fragment_surfaces(result.fragments)
    progress.report(0.7)
    if writes_meshes:
        (folder / "meshes").mkdir()
        write_meshes(folder / "meshes", surfaces, _mesh_names(result))
    seconds["meshes"] = clock() - begin - seconds["label_files"]
    progress.report(0.8)
    before = clock()
    _write_preview(result, folder, surfaces, progress)
    seconds["preview"] = clock() - before
    write_report(folder, _report(result, surfaces, seconds, progress.warnings))
    progress.report(1.0)


def _write_label_files(result: SegmentResult, folder: Path, progress: Progress) -> None:
    write_volume(folder / FRAGMENTS_NAME, result.fragments)
    progress.report(0.15)
    write_seg_nrrd(folder / "fragments.seg.nrrd", result.fragments, _segments(result))
    progress.report(0.3)
    write_volume(folder / "bones.nii.gz", result.bones)
    write_volume(folder / "contact.nrrd", result.contact)
    write_volume(folder / REGIONS_NAME, result.trees.regions)
    _write_maps(result, folder)


def _write_preview(
    result: SegmentResult, folder: Path, surfaces: Mapping[int, Surface], progress: Progress
) -> None:
    """Draw the picture; a result is worth more than its picture, so only the disk may stop it."""
    path = folder / "preview.png"
    try:
        write_preview(path, result.ct.volume, result.fragments, surfaces, result.numbering)
    except OSError:
        raise
    except Exception as error:
        path.unlink(missing_ok=True)
        progress.warn(f"The preview picture could not be drawn ({type(error).__name__}).")


def _segments(result: SegmentResult) -> list[Segment]:
    return [
        fragment_segment(
            finding.bone,
            fragment.index,
            numbering=result.numbering,
            is_only_piece=len(finding.fragments) == 1,
            confidence=fragment.confidence,
            algorithm=_ALGORITHM,
        )
        for finding in result.findings
        for fragment in finding.fragments
    ]


def _mesh_names(result: SegmentResult) -> dict[int, str]:
    return {
        result.numbering.label_of(finding.bone, fragment.index): (
            f"{finding.bone.slug}_{fragment.index}"
        )
        for finding in result.findings
        for fragment in finding.fragments
    }


def _write_maps(result: SegmentResult, folder: Path) -> None:
    """One file per bone and channel, at the working spacing, 255 = certain."""
    if result.maps:
        (folder / "maps").mkdir()
    for slug, fragment_map in result.maps.items():
        for channel in fragment_map.channels:
            share = fragment_map.channel(channel).astype(np.float32)
            voxels = np.rint(255.0 * share).astype(np.uint8)
            volume = Volume(voxels=voxels, geometry=fragment_map.geometry)
            write_volume(folder / "maps" / f"{slug}_{channel}.nrrd", volume)


def _report(
    result: SegmentResult,
    surfaces: Mapping[int, Surface],
    seconds: Mapping[str, float],
    warnings: list[str],
) -> dict[str, Any]:
    hu = result.ct.volume.voxels
    facts = result.facts
    return {
        "reviewed": False,
        "request_sha256": facts.request_sha256,
        "numbering": result.numbering.name,
        "input": {
            "kind": result.ct.kind,
            "series_uid_hash": result.ct.series_uid_sha,
            "is_already_masked": result.ct.is_already_masked,
            **geometry_entry(result.ct.volume.geometry),
            "hu": {
                "min": float(hu.min()),
                "max": float(hu.max()),
                "mean": float(hu.mean(dtype=np.float64)),
            },
        },
        "software": {
            "name": _ALGORITHM,
            "version": __version__,
            "python": platform.python_version(),
        },
        "method": facts.method,
        "weights": [asdict(weights) for weights in facts.weights],
        "engine": asdict(facts.engine),
        "device": facts.device,
        "precision": facts.precision,
        "seconds": {stage: round(value, 2) for stage, value in seconds.items()},
        "peak_memory_mb": _peak_memory_mb(),
        "bones": [_bone_entry(finding, result, surfaces) for finding in result.findings],
        "warnings": list(warnings),
    }


def _bone_entry(
    finding: BoneFinding, result: SegmentResult, surfaces: Mapping[int, Surface]
) -> dict[str, Any]:
    def label(index: int) -> int:
        return result.numbering.label_of(finding.bone, index)

    count = len(finding.fragments)
    tree = result.trees.of_bone(finding.bone)
    return {
        "bone": finding.bone.slug,
        "name": finding.bone.name,
        "finding": "one piece found" if count == 1 else f"{count} fragments found",
        "fragments": [
            fragment_entry(
                fragment,
                {one.index: label(one.index) for one in finding.fragments},
                surfaces[label(fragment.index)].area_mm2,
            )
            for fragment in finding.fragments
        ],
        "possible_unseparated_fractures": [
            {"label": label(ridge.index), **_rounded(asdict(ridge))}
            for ridge in finding.possible_fractures
        ],
        "small_pieces_joined": [
            {"into_label": label(piece.into_index), **_rounded(asdict(piece))}
            for piece in finding.small_pieces
        ],
        **({} if tree is None else {TREE_KEY: tree_entry(tree)}),
    }


def fragment_entry(
    fragment: FragmentFinding, label_of: Mapping[int, int], surface_area_mm2: float
) -> dict[str, Any]:
    """What the report says of a fragment.

    Args:
        fragment: what was measured.
        label_of: label by number of every fragment of the bone.
        surface_area_mm2: of its surface.
    """
    entry = asdict(fragment)
    del entry["neighbours"]
    return {
        "label": label_of[fragment.index],
        **_rounded(entry),
        "surface_area_mm2": round(surface_area_mm2, 1),
        "neighbours": [
            {"label": label_of[one.index], **_rounded(asdict(one))} for one in fragment.neighbours
        ],
    }


def _rounded(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _round(value) for key, value in entry.items()}


def _round(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    return [_round(one) for one in value] if isinstance(value, (tuple, list)) else value


def _peak_memory_mb() -> int | None:
    """Largest memory of this process so far; not known on Windows."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts in KiB, macOS in bytes.
    return round(peak / (1024.0**2 if platform.system() == "Darwin" else 1024.0))
