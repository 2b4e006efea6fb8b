"""What a run yields, and how it is put together bone by bone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.anatomy.numbering import Numbering
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.inference.engine import EngineVersion
from FractureSegmentationLib.io.read import CtInput
from FractureSegmentationLib.pipeline.findings import BoneFinding, contact_of, describe_bone
from FractureSegmentationLib.pipeline.fragments import BoneFragments
from FractureSegmentationLib.pipeline.models import Weights
from FractureSegmentationLib.results.merge_trees import BoneTree, MergeTrees, cropped_regions
from FractureSegmentationLib.types import Box
from FractureSegmentationLib.volume import FragmentMap, LabelVolume, Volume
from FractureSegmentationLib.voxels.boxes import box_within, union_box
from FractureSegmentationLib.voxels.resample import resample_probability


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """How a result was made.

    Attributes:
        method: name of the fragment segmentation method.
        engine: what ran the networks.
        device: where the fragment network ran in the end.
        precision: of its computation.
        weights: all that were used.
        seconds: wall time per stage.
        warnings: what the user was warned of.
        request_sha256: stands for what was read and how it was to be segmented; "" if unknown.
    """

    method: str
    engine: EngineVersion
    device: str
    precision: str
    weights: tuple[Weights, ...]
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    request_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentResult:
    """The fragments of a CT.

    Attributes:
        ct: what was segmented.
        fragments: uint16 label values of `numbering` on the CT's grid.
        bones: uint8 catalogue mask values of the same voxels.
        contact: uint8 contact probability, 255 = certain, on the box of the CT that holds the
            bones.
        trees: the regions that the fragments were put together from, and the tree of every bone.
        numbering: what the labels mean.
        findings: the fragments, bone by bone.
        maps: the predicted maps by bone slug, if they were to be kept.
        facts: how the result was made.
    """

    ct: CtInput
    fragments: LabelVolume
    bones: LabelVolume
    contact: Volume
    trees: MergeTrees
    numbering: Numbering
    findings: tuple[BoneFinding, ...]
    maps: dict[str, FragmentMap]
    facts: RunFacts

    @property
    def fragment_count(self) -> int:
        """How many fragments there are in all bones."""
        return sum(len(finding.fragments) for finding in self.findings)

    def summary(self) -> dict[str, Any]:
        """The result in JSON types, without voxels, as `protocol.result_event` sends it."""
        return {
            "fragment_count": self.fragment_count,
            "numbering": self.numbering.name,
            "bones": [
                {
                    "bone": finding.bone.slug,
                    "labels": [
                        self.numbering.label_of(finding.bone, fragment.index)
                        for fragment in finding.fragments
                    ],
                }
                for finding in self.findings
            ],
            "engine": self.facts.engine.name,
            "device": self.facts.device,
            "precision": self.facts.precision,
            "seconds": {stage: round(value, 2) for stage, value in self.facts.seconds.items()},
            "warnings": list(self.facts.warnings),
        }


class Assembly:
    """Collects bones one after the other into label volumes on the CT's grid.

    Args:
        geometry: the grid of the CT.
        numbering: what the labels are to mean.
    """

    def __init__(self, geometry: Geometry, numbering: Numbering) -> None:
        self._geometry = geometry
        self._numbering = numbering
        self._fragments = np.zeros(geometry.shape, np.uint16)
        self._bones = np.zeros(geometry.shape, np.uint8)
        self._regions = np.zeros(geometry.shape, np.uint16)
        self._trees: list[BoneTree] = []
        self._contacts: list[tuple[Box, npt.NDArray[np.uint8]]] = []
        self._findings: list[BoneFinding] = []
        self._maps: dict[str, FragmentMap] = {}

    def add(self, result: BoneFragments, *, keeps_map: bool) -> None:
        """Take in one bone.

        Raises:
            InputError: it has more fragments than the numbering holds.
        """
        crop = result.crop
        values = self._label_values(crop.bone, int(result.labels.max()))
        crop.paste(values[result.labels], self._fragments)
        crop.paste(np.where(result.labels > 0, np.uint8(crop.bone.mask_value), 0), self._bones)
        self._add_tree(result)
        contact = resample_probability(contact_of(result.fragment_map), crop.working, crop.native)
        contact *= np.float32(255.0) * (result.labels > 0)
        self._contacts.append((crop.box, crop.order.undo(np.rint(contact).astype(np.uint8))))
        self._findings.append(describe_bone(result))
        if keeps_map:
            self._maps[crop.bone.slug] = result.fragment_map

    def finished(self, ct: CtInput, facts: RunFacts) -> SegmentResult:
        """The result, once every bone is in."""
        return SegmentResult(
            ct=ct,
            fragments=LabelVolume(voxels=self._fragments, geometry=self._geometry),
            bones=LabelVolume(voxels=self._bones, geometry=self._geometry),
            contact=self._contact(),
            trees=MergeTrees(
                regions=cropped_regions(LabelVolume(voxels=self._regions, geometry=self._geometry)),
                bones=tuple(self._trees),
            ),
            numbering=self._numbering,
            findings=tuple(self._findings),
            maps=self._maps,
            facts=facts,
        )

    def _add_tree(self, result: BoneFragments) -> None:
        """Keep what the fragments of a bone were put together from, while values are left."""
        last = self._trees[-1] if self._trees else None
        offset = 0 if last is None else last.offset + last.tree.count
        tree = result.recovery.tree
        if offset + tree.count > np.iinfo(np.uint16).max:
            return
        values = np.where(result.regions > 0, result.regions + np.uint16(offset), np.uint16(0))
        result.crop.paste(values, self._regions)
        self._trees.append(
            BoneTree(
                bone=result.crop.bone,
                offset=offset,
                tree=tree,
                is_judged=result.recovery.is_judged,
            )
        )

    def _label_values(self, bone: Bone, count: int) -> npt.NDArray[np.uint16]:
        try:
            labels = [self._numbering.label_of(bone, index) for index in range(1, count + 1)]
        except ValueError as error:
            raise InputError(
                f"{bone.name}: {count} fragments were found, and the numbering "
                f"{self._numbering.name} holds {self._numbering.capacity}.",
                "Use --numbering fracseg.",
            ) from error
        return np.array([0, *labels], np.uint16)

    def _contact(self) -> Volume:
        """All bones' contact probability on the smallest box of the CT that holds their crops."""
        around = union_box(box for box, _ in self._contacts)
        geometry = self._geometry.cropped(around)
        voxels = np.zeros(geometry.shape, np.uint8)
        for box, values in self._contacts:
            part = voxels[box_within(box, around)]
            np.maximum(part, values, out=part)
        return Volume(voxels=voxels, geometry=geometry)
