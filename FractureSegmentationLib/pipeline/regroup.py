"""A finished result with more or fewer fragments: the same regions, put together in another way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.anatomy.naming import Segment, fragment_segment
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.editing.edit import apply_edit, renumber_by_volume
from FractureSegmentationLib.editing.evidence import Probability, contact_on
from FractureSegmentationLib.editing.fragments import Fragments, ReviewStatus
from FractureSegmentationLib.editing.regroup import Grouping, regroup
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.instances.merge_tree import MergeTree
from FractureSegmentationLib.instances.regions import describe_interfaces
from FractureSegmentationLib.instances.result import Interface
from FractureSegmentationLib.io.folder import (
    FRAGMENTS_NAME,
    REPORT_NAME,
    SCHEMA_KEY,
    staged_folder,
)
from FractureSegmentationLib.io.image_file import read_image_file
from FractureSegmentationLib.io.sitk import volume_from_sitk, write_volume
from FractureSegmentationLib.mesh import Surface, fragment_surfaces, write_meshes
from FractureSegmentationLib.pipeline.findings import (
    FragmentFinding,
    confidence_of,
    measured_fragment,
    neighbour_of,
)
from FractureSegmentationLib.pipeline.output import fragment_entry
from FractureSegmentationLib.results.layers import ACCEPTED, accepted_segments
from FractureSegmentationLib.results.merge_trees import (
    TREE_KEY,
    BoneTree,
    MergeTrees,
    read_merge_trees,
    regions_on,
    tree_entry,
)
from FractureSegmentationLib.results.report import (
    numbering_of_report,
    read_report,
    write_report,
)
from FractureSegmentationLib.results.seg_nrrd import write_seg_nrrd
from FractureSegmentationLib.results.source import read_source
from FractureSegmentationLib.types import LabelArray
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.boxes import union_box

SEGMENTS_NAME, PREVIEW_NAME, MESHES_NAME = "fragments.seg.nrrd", "preview.png", "meshes"
_REWRITTEN = (FRAGMENTS_NAME, SEGMENTS_NAME, PREVIEW_NAME, REPORT_NAME, MESHES_NAME)
_ALGORITHM = "FractureSegmentation"
_REACH_MM = 1.5
_LIKELY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How finely bones are to be divided; exactly one of these is given.

    Attributes:
        level: regions that are one fragment with at least this probability are put together.
        fragments: as near to this many fragments as the tree allows.
        step: so many steps of the tree finer (above 0) or coarser (below 0) than now.
    """

    level: float | None = None
    fragments: int | None = None
    step: int | None = None

    def level_in(self, tree: MergeTree) -> float:
        """The level of a tree that is meant."""
        if self.level is not None:
            return self.level
        levels = tree.levels()
        if not levels:
            return tree.level
        counts = [tree.fragment_count(level) for level in levels]
        if self.fragments is not None:
            wanted = self.fragments
            return levels[min(range(len(levels)), key=lambda n: (abs(counts[n] - wanted), n))]
        now = counts.index(min(counts, key=lambda count: abs(count - tree.fragment_count())))
        return levels[min(max(now + (self.step or 0), 0), len(levels) - 1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Regrouped:
    """What became of a bone.

    Attributes:
        bone: which.
        before, after: how many fragments it had and has.
    """

    bone: Bone
    before: int
    after: int


def regroup_result(folder: Path, bones: tuple[Bone, ...], wish: Wish) -> tuple[Regrouped, ...]:
    """Divide bones of a result more or less finely; the folder is replaced whole or stays.

    Reviewed fragments and all other bones keep their voxels and their labels. The preview picture,
    which shows the CT, is dropped where something changes.

    Args:
        folder: a result folder.
        bones: which; all that have a tree if empty.
        wish: how finely.

    Returns:
        What became of each bone.

    Raises:
        InputError: the folder is no result, has no merge trees, or a bone is not in it.
        EnvironmentProblemError: it cannot be written.
    """
    held = _Held.read(folder)
    wanted = bones or tuple(one.bone for one in held.trees.bones)
    fragments, trees = held.fragments, held.trees
    regions = regions_on(trees.regions, fragments.labels.geometry).voxels
    done = []
    for bone in wanted:
        one = trees.of_bone(bone)
        if one is None:
            raise InputError(
                f"The result holds no merge tree of the {bone.name.lower()}.",
                "Name another bone, or segment the CT again.",
            )
        before = len(fragments.of_bone(bone))
        tree = replace(one.tree, level=wish.level_in(one.tree))
        edit = regroup(fragments, bone, regions, Grouping(offset=one.offset, groups=tree.groups()))
        if edit is not None:
            fragments = apply_edit(fragments, edit)
        trees = _with_tree(trees, replace(one, tree=tree))
        done.append(Regrouped(bone=bone, before=before, after=len(fragments.of_bone(bone))))
    if not any(record.review is ReviewStatus.ACCEPTED for record in fragments.records):
        renumbered = renumber_by_volume(fragments)
        fragments = fragments if renumbered is None else apply_edit(fragments, renumbered)
    if not np.array_equal(fragments.labels.voxels, held.fragments.labels.voxels):
        _write(folder, replace(held, fragments=fragments, trees=trees), regions)
    return tuple(done)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Held:
    """What a result folder holds."""

    report: dict[str, Any]
    numbering: Numbering
    fragments: Fragments
    trees: MergeTrees
    accepted: Mapping[int, str]

    @classmethod
    def read(cls, folder: Path) -> _Held:
        source, report = read_source(folder), read_report(folder)
        numbering = numbering_of_report(report)
        trees = read_merge_trees(folder, report)
        if numbering is None or trees is None:
            raise InputError(
                "The result was made by a version that kept no merge trees.",
                "Segment the CT again; until then, split and merge fragments one by one.",
            )
        accepted: dict[int, str] = {}
        if (folder / SEGMENTS_NAME).is_file():
            segments = accepted_segments(read_source(folder / SEGMENTS_NAME).labels)
            accepted = {one.segment.label_value: one.segment.tags[ACCEPTED] for one in segments}
        confidences = {
            int(fragment["label"]): float(fragment["confidence"])
            for bone in report.get("bones", ())
            for fragment in bone.get("fragments", ())
        }
        fragments = Fragments.of(source.labels.layers[0], numbering, confidences)
        known = {record.label for record in fragments.records}
        return cls(
            report=report,
            numbering=numbering,
            fragments=fragments.with_review(known & accepted.keys(), ReviewStatus.ACCEPTED),
            trees=trees,
            accepted=accepted,
        )


def _with_tree(trees: MergeTrees, changed: BoneTree) -> MergeTrees:
    bones = tuple(changed if one.bone == changed.bone else one for one in trees.bones)
    return replace(trees, bones=bones)


def _write(folder: Path, held: _Held, regions: LabelArray) -> None:
    labels = held.fragments.labels
    contact_file = folder / "contact.nrrd"
    contact = (
        volume_from_sitk(read_image_file(contact_file).image) if contact_file.is_file() else None
    )
    had_meshes = (folder / MESHES_NAME).is_dir()
    with staged_folder(folder, overwrite=True, inputs=()) as staging:
        for entry in folder.iterdir():
            if entry.name not in _REWRITTEN:
                copy = shutil.copytree if entry.is_dir() else shutil.copy2
                copy(entry, staging / entry.name)
        findings = {
            bone: _findings(held, bone, contact, regions)
            for bone in dict.fromkeys(record.bone for record in held.fragments.records)
        }
        write_volume(staging / FRAGMENTS_NAME, labels)
        write_seg_nrrd(staging / SEGMENTS_NAME, labels, _segments(held, findings))
        surfaces = fragment_surfaces(labels)
        if had_meshes:
            (staging / MESHES_NAME).mkdir()
            names = {r.label: f"{r.bone.slug}_{r.index}" for r in held.fragments.records}
            write_meshes(staging / MESHES_NAME, surfaces, names)
        entries = {k: v for k, v in held.report.items() if k not in (SCHEMA_KEY, "notice")}
        entries["bones"] = [
            _bone_entry(dict(entry), held, findings, surfaces) for entry in entries["bones"]
        ]
        write_report(staging, entries)


def _findings(
    held: _Held, bone: Bone, contact: Volume | None, regions: LabelArray
) -> tuple[FragmentFinding, ...]:
    """Measure the fragments of a bone as they are now."""
    records = held.fragments.of_bone(bone)
    box = union_box([record.box for record in records])
    geometry = held.fragments.labels.geometry.cropped(box)
    part = held.fragments.labels.voxels[box]
    table = np.zeros(int(part.max()) + 1, np.uint16)
    for number, record in enumerate(records, start=1):
        table[record.label] = number
    own = table[part]
    seen = (
        np.zeros(own.shape, np.float32)
        if contact is None
        else np.where(own > 0, contact_on(contact, geometry), np.float32(0.0))
    )
    interfaces = describe_interfaces(
        own, seen, seen, (own > 0).astype(np.float32), geometry.spacing_mm, _REACH_MM
    )
    sure = _Sureness.of(held.trees.of_bone(bone), own, regions[box], len(records))
    if sure.is_judged:
        interfaces = tuple(replace(one, probability=sure.apart(one.a, one.b)) for one in interfaces)
    found = []
    for number, record in enumerate(records, start=1):
        touching = [one for one in interfaces if number in (one.a, one.b)]
        is_as_it_was = record.review is ReviewStatus.ACCEPTED and record.confidence is not None
        found.append(
            measured_fragment(
                held.fragments.labels.voxels[record.box] == record.label,
                record.box,
                held.fragments.labels.geometry,
                index=record.index,
                confidence=float(record.confidence or 0.0)
                if is_as_it_was
                else sure.confidence(number, touching, seen[own == number]),
                neighbours=tuple(
                    neighbour_of(one, records[(one.b if one.a == number else one.a) - 1].index)
                    for one in touching
                ),
            )
        )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sureness:
    """What the tree of a bone says of its fragments, which are numbered 1 to n."""

    groups: Mapping[int, int]
    joins: Mapping[tuple[int, int], float]
    weakest: Mapping[int, float]
    is_judged: bool

    @classmethod
    def of(
        cls, one: BoneTree | None, own: LabelArray, regions: LabelArray, count: int
    ) -> _Sureness:
        if one is None:
            return cls(groups={}, joins={}, weakest={}, is_judged=False)
        groups = one.tree.groups()
        held: dict[int, int] = {}
        for number in range(1, count + 1):
            values = regions[own == number].astype(np.int64) - one.offset
            values = values[(values > 0) & (values < groups.size)]
            if values.size:
                held[number] = int(np.bincount(groups[values]).argmax())
        return cls(
            groups=held,
            joins=one.tree.join_probabilities(),
            weakest=one.tree.weakest_inside(),
            is_judged=one.is_judged,
        )

    def apart(self, a: int, b: int) -> float:
        """How likely two fragments are two."""
        pair = sorted((self.groups.get(a, 0), self.groups.get(b, 0)))
        return 1.0 - self.joins.get((pair[0], pair[1]), 0.0)

    def confidence(self, number: int, touching: Sequence[Interface], contact: Probability) -> float:
        """How sure a fragment is, as for a result that was just made, see `FragmentFinding`."""
        if self.is_judged:
            one_piece = self.weakest.get(self.groups.get(number, 0), 1.0)
            return min([one_piece, *(confidence_of(one) for one in touching)])
        area_mm2 = sum(one.area_mm2 for one in touching)
        if area_mm2 > 0.0:
            return sum(one.support * one.area_mm2 for one in touching) / area_mm2
        return 1.0 - float((contact >= _LIKELY).mean())


def _segments(held: _Held, findings: Mapping[Bone, tuple[FragmentFinding, ...]]) -> list[Segment]:
    segments = []
    for bone, found in findings.items():
        for fragment in found:
            made = fragment_segment(
                bone,
                fragment.index,
                numbering=held.numbering,
                is_only_piece=len(found) == 1,
                confidence=fragment.confidence,
                algorithm=_ALGORITHM,
            )
            accepted = held.accepted.get(made.label_value)
            if accepted is not None:
                made = replace(made, tags={**made.tags, ACCEPTED: accepted})
            segments.append(made)
    return segments


def _bone_entry(
    entry: dict[str, Any],
    held: _Held,
    findings: Mapping[Bone, tuple[FragmentFinding, ...]],
    surfaces: Mapping[int, Surface],
) -> dict[str, Any]:
    """The entry of a bone with its fragments as they are now."""
    bone = next((bone for bone in findings if bone.slug == entry.get("bone")), None)
    if bone is None:
        return entry
    found = findings[bone]
    label_of = {one.index: held.numbering.label_of(bone, one.index) for one in found}
    known = set(label_of.values())
    tree = held.trees.of_bone(bone)
    count = len(found)
    return {
        **entry,
        "finding": "one piece found" if count == 1 else f"{count} fragments found",
        "fragments": [
            fragment_entry(one, label_of, surfaces[label_of[one.index]].area_mm2) for one in found
        ],
        # What was noted inside a fragment that is gone says nothing of those that there are.
        "possible_unseparated_fractures": [
            ridge
            for ridge in entry.get("possible_unseparated_fractures", ())
            if ridge.get("label") in known and count == len(entry.get("fragments", ()))
        ],
        "small_pieces_joined": [
            piece
            for piece in entry.get("small_pieces_joined", ())
            if piece.get("into_label") in known
        ],
        **({} if tree is None else {TREE_KEY: tree_entry(tree)}),
    }
