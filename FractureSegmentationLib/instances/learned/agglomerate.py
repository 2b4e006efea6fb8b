"""Regions are put together one pair after the other: the surest first, until none touch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.evidence import Evidence
from FractureSegmentationLib.instances.learned.faces import FaceFields, Faces, Pair, faces_between
from FractureSegmentationLib.instances.learned.features import (
    EDGE_FEATURES,
    BoneFacts,
    RegionFacts,
    edge_features,
)
from FractureSegmentationLib.instances.learned.judge import Judge
from FractureSegmentationLib.instances.merge_tree import Merge, MergeTree
from FractureSegmentationLib.types import HuArray, LabelArray

_CERTAIN = 1.0
_EVEN = 0.5
_CUT_MM3 = 500.0


class ContactGraph:
    """Regions, their contact areas and what is measured there; merging two adds both up.

    Args:
        regions: volume and sums per region.
        faces: where every two touching regions meet.
        bone: what all contact areas share.
    """

    def __init__(
        self, regions: Mapping[int, RegionFacts], faces: Mapping[Pair, Faces], bone: BoneFacts
    ) -> None:
        self.bone = bone
        self._regions = dict(regions)
        self._faces: dict[int, dict[int, Faces]] = {label: {} for label in regions}
        for (a, b), between in faces.items():
            self._faces[a][b] = between
            self._faces[b][a] = between

    @property
    def labels(self) -> tuple[int, ...]:
        """The regions that are left."""
        return tuple(self._regions)

    @property
    def pairs(self) -> list[Pair]:
        """Regions that touch, in the order of their labels."""
        return sorted((a, b) for a, others in self._faces.items() for b in others if a < b)

    def copy(self) -> ContactGraph:
        """A graph of its own; what was measured is shared."""
        faces = {(a, b): self._faces[a][b] for a, b in self.pairs}
        return ContactGraph(self._regions, faces, self.bone)

    def facts(self, label: int) -> RegionFacts:
        """Of a region with all it absorbed."""
        return self._regions[label]

    def neighbours(self, label: int) -> tuple[int, ...]:
        """The regions that touch a region."""
        return tuple(self._faces[label])

    def features(self, pair: Pair) -> npt.NDArray[np.float32]:
        """(F,) of two regions that touch, in the order of `EDGE_FEATURES`."""
        by_volume = sorted(pair, key=lambda label: self._regions[label].volume_mm3)
        smaller, larger = by_volume
        others = [faces for label, faces in self._faces[smaller].items() if label != larger]
        area_mm2 = float(sum(faces.area_mm2.sum() for faces in others))
        contact = sum(float(faces.area_mm2 @ faces.contact) for faces in others)
        return edge_features(
            self._faces[smaller][larger],
            self._regions[smaller],
            self._regions[larger],
            {
                "area_mm2": area_mm2,
                "count": float(len(others)),
                "contact": contact / area_mm2 if others else _CERTAIN,
            },
            self.bone,
        )

    def merge(self, a: int, b: int) -> None:
        """Join region `b` to region `a`."""
        self._regions[a] += self._regions.pop(b)
        for other, faces in self._faces.pop(b).items():
            del self._faces[other][b]
            if other != a:
                known = self._faces[a].get(other)
                total = faces if known is None else known + faces
                self._faces[a][other] = total
                self._faces[other][a] = total


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cut:
    """What was known of two groups of regions just before they were put together."""

    pair: Pair
    probability: float
    smaller_mm3: float
    row: npt.NDArray[np.float32]


@dataclass(slots=True, kw_only=True, eq=False)
class Agglomeration:
    """All merges of a bone, and what was known before each.

    Attributes:
        count: how many regions there were.
        cuts: in the order in which they were made.
        bone: of the bone.
        volumes_mm3: of the regions.
        small: regions that were too small to stay although they hardly belong to a neighbour, and
            one of the regions that they were put to.
    """

    count: int
    bone: BoneFacts
    volumes_mm3: Mapping[int, float]
    cuts: list[Cut] = field(default_factory=list)
    small: list[tuple[list[int], int]] = field(default_factory=list)

    def merges(self, whole: float = 0.0) -> tuple[Merge, ...]:
        """With probabilities that never rise: what is put together later counts as less sure.

        Args:
            whole: how likely the bone is in one piece. If that is more likely than not, its regions
                are one fragment if they are by themselves, or else with this probability.
        """
        share = whole if whole > _EVEN else 0.0
        least = 1.0
        merges = []
        for cut in self.cuts:
            least = min(least, cut.probability)
            chance = min(1.0, share + (1.0 - share) * least)
            merges.append(Merge(a=cut.pair[0], b=cut.pair[1], probability=chance))
        return tuple(merges)

    def whole_features(self) -> npt.NDArray[np.float32]:
        """(F,) in the order of `WHOLE_FEATURES`: the clearest cuts between parts of some size."""
        large = sorted(
            (cut for cut in self.cuts if cut.smaller_mm3 >= _CUT_MM3),
            key=lambda cut: cut.probability,
        )
        tree = MergeTree(count=self.count, merges=self.merges())
        groups = tree.groups()
        volumes = np.array([0.0, *(self.volumes_mm3[label] for label in range(1, self.count + 1))])
        sizes = np.sort(np.bincount(groups, volumes))[::-1]
        clearest = large[0] if large else None

        def of_cut(name: str) -> float:
            return 0.0 if clearest is None else float(clearest.row[EDGE_FEATURES.index(name)])

        values = (
            large[0].probability if large else 1.0,
            large[1].probability if len(large) > 1 else 1.0,
            of_cut("contact_mean"),
            of_cut("contact_likely_share"),
            of_cut("cell_least"),
            of_cut("dark_mean"),
            of_cut("log_area"),
            of_cut("log_smaller"),
            float(np.count_nonzero(sizes)),
            float(sizes[1] / self.bone.volume_mm3) if len(sizes) > 1 else 0.0,
            self.bone.contact,
            np.log(self.bone.volume_mm3),
            *self.bone.is_kind,
        )
        return np.asarray(values, np.float32)

    def tree(self, judge: Judge) -> MergeTree:
        """The tree, in which a bone that is judged whole is put together to one fragment."""
        whole = judge.whole(self.whole_features())
        return MergeTree(count=self.count, merges=self.merges(whole), level=judge.level)


def contact_graph(
    evidence: Evidence, regions: LabelArray, hu: HuArray | None, slug: str
) -> ContactGraph:
    """Measure the regions of a bone and where they touch.

    Args:
        evidence: of the bone.
        regions: (K, J, I) labels 1..n, 0 outside the bone.
        hu: (K, J, I) the CT on the same grid, or None.
        slug: of the bone; "" where it is not known.
    """
    flat = regions.reshape(-1)[evidence.voxels]
    voxel_mm3 = evidence.voxel_mm3
    sums = [
        np.bincount(flat, weights) * voxel_mm3
        for weights in (
            None,
            evidence.contact.reshape(-1)[evidence.voxels],
            evidence.interior.reshape(-1)[evidence.voxels],
        )
    ]
    facts = {
        label: RegionFacts(
            volume_mm3=float(sums[0][label]),
            contact_mm3=float(sums[1][label]),
            interior_mm3=float(sums[2][label]),
        )
        for label in range(1, len(sums[0]))
    }
    spacing = np.asarray(evidence.spacing_mm)
    index = np.stack(np.unravel_index(evidence.voxels, evidence.bone.shape), axis=1)
    low, high = index.min(axis=0), index.max(axis=0) + 1
    bone = BoneFacts(
        slug=slug,
        volume_mm3=float(sums[0].sum()),
        contact=float(sums[1].sum() / sums[0].sum()),
        low_mm=(low - 0.5) * spacing,
        size_mm=(high - low) * spacing,
    )
    fields = FaceFields.of(evidence, hu)
    return ContactGraph(facts, faces_between(regions, fields, evidence.spacing_mm), bone)


class Watcher(Protocol):
    """Is told of every step of an agglomeration; training learns from what it sees."""

    def measured(self, pairs: Sequence[Pair], rows: npt.NDArray[np.float32]) -> None:
        """Contact areas were measured, (E, F) features each; earlier rows of theirs are void."""

    def merged(self, pair: Pair) -> None:
        """The second region was put to the first."""


def agglomerated(
    graph: ContactGraph, judge: Judge, min_fragment_mm3: float, watcher: Watcher | None = None
) -> Agglomeration:
    """Put regions together until none touch.

    Regions below `min_fragment_mm3` come first: they join the neighbour they most likely belong to,
    however likely that is. The order matters beyond them too: parts of one fragment are put
    together before the area that each shares with the fragment across the fracture is judged, so
    that it is judged as one, and as that of a large fragment.

    Args:
        graph: changed in place: what is left does not touch.
        judge: says how likely two regions are one fragment.
        min_fragment_mm3: smallest fragment that touches another one.
        watcher: is told of every step.
    """
    volumes = {label: graph.facts(label).volume_mm3 for label in graph.labels}
    done = Agglomeration(count=len(volumes), bone=graph.bone, volumes_mm3=volumes)
    known = _Known(graph, judge, watcher)
    members = {label: [label] for label in graph.labels}
    while (small := _smallest(graph, min_fragment_mm3)) is not None:
        into = max(
            graph.neighbours(small), key=lambda other: known.probability(_pair(small, other))
        )
        pair = _pair(small, into)
        if known.probability(pair) < _EVEN:
            done.small.append((list(members[small]), into))
        done.cuts.append(known.merged(pair, _CERTAIN))
        members[pair[0]] = members.pop(pair[0]) + members.pop(pair[1])
    while (best := known.surest()) is not None:
        done.cuts.append(known.merged(best, known.probability(best)))
    return done


class _Known:
    """Features and probabilities of the pairs of a graph while it is merged."""

    def __init__(self, graph: ContactGraph, judge: Judge, watcher: Watcher | None) -> None:
        self._graph, self._judge, self._watcher = graph, judge, watcher
        self._rows: dict[Pair, npt.NDArray[np.float32]] = {}
        self._chances: dict[Pair, float] = {}
        self._measure(graph.pairs)

    def probability(self, pair: Pair) -> float:
        return self._chances[pair]

    def surest(self) -> Pair | None:
        """The pair of the greatest probability; of equals, the one of the least labels."""
        if not self._chances:
            return None
        return max(self._chances, key=lambda pair: (self._chances[pair], -pair[0], -pair[1]))

    def merged(self, pair: Pair, probability: float) -> Cut:
        """Merge a pair; its neighbours' contact areas are measured anew."""
        a, b = pair
        cut = Cut(
            pair=pair,
            probability=probability,
            smaller_mm3=min(self._graph.facts(n).volume_mm3 for n in pair),
            row=self._rows[pair],
        )
        for label in pair:
            for other in self._graph.neighbours(label):
                self._rows.pop(_pair(label, other), None)
                self._chances.pop(_pair(label, other), None)
        self._graph.merge(a, b)
        if self._watcher is not None:
            self._watcher.merged(pair)
        self._measure([_pair(a, other) for other in self._graph.neighbours(a)])
        return cut

    def _measure(self, pairs: list[Pair]) -> None:
        if not pairs:
            return
        rows = np.stack([self._graph.features(pair) for pair in pairs])
        chances = np.clip(self._judge.same_fragment(rows), 0.0, 1.0)
        if self._watcher is not None:
            self._watcher.measured(pairs, rows)
        self._rows.update(zip(pairs, rows, strict=True))
        self._chances.update(zip(pairs, chances.tolist(), strict=True))


def _smallest(graph: ContactGraph, min_fragment_mm3: float) -> int | None:
    small = [
        (graph.facts(label).volume_mm3, label)
        for label in graph.labels
        if graph.facts(label).volume_mm3 < min_fragment_mm3 and graph.neighbours(label)
    ]
    return min(small)[1] if small else None


def _pair(a: int, b: int) -> Pair:
    return (min(a, b), max(a, b))
