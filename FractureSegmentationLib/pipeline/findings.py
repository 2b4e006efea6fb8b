"""What is reported of a fragment: measured on the CT's grid, evidence from the network's map."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.ndimage import find_objects

from FractureSegmentationLib.anatomy.catalogue import Bone
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances.result import Interface, PointKji
from FractureSegmentationLib.pipeline.fragments import BoneFragments
from FractureSegmentationLib.types import Box, FloatArray, MaskArray, PointLps
from FractureSegmentationLib.volume import FragmentMap

_LIKELY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A fragment that another one touches.

    Attributes:
        index: of the neighbour in the same bone.
        area_mm2: of the surface between the two.
        contact_area_mm2: the part of it where the network sees a fracture.
        mean_contact: mean contact probability within 1.5 mm of it.
        confidence: how likely both are two fragments and not one, 0 to 1; without a merging model
            how well contact supports it.
    """

    index: int
    area_mm2: float
    contact_area_mm2: float
    mean_contact: float
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FragmentFinding:
    """One fragment.

    Attributes:
        index: 1 = largest of its bone.
        volume_mm3: its volume.
        centroid_lps_mm: its centre.
        box_lps_mm: lowest and highest corner of the box of its voxel centres, axes of the patient.
        confidence: 0 to 1: with a merging model, how likely it is one fragment and no part of its
            neighbours; without, how well its fracture surfaces are supported by the network's map,
            or of a fragment without any, how free of contact it is.
        neighbours: what it touches.
    """

    index: int
    volume_mm3: float
    centroid_lps_mm: PointLps
    box_lps_mm: tuple[PointLps, PointLps]
    confidence: float
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PossibleFracture:
    """A ridge of contact probability within one fragment, along which nothing was separated."""

    index: int
    area_mm2: float
    place_lps_mm: PointLps


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallPiece:
    """A piece too small to stand alone, and the fragment it joined."""

    into_index: int
    volume_mm3: float
    place_lps_mm: PointLps


@dataclass(frozen=True, slots=True, kw_only=True)
class BoneFinding:
    """One bone and its fragments."""

    bone: Bone
    fragments: tuple[FragmentFinding, ...]
    possible_fractures: tuple[PossibleFracture, ...]
    small_pieces: tuple[SmallPiece, ...]


def describe_bone(result: BoneFragments) -> BoneFinding:
    """Measure the fragments of one bone and say what there is to look at."""
    working, index_of = result.crop.working, result.index_of
    recovery = result.recovery
    return BoneFinding(
        bone=result.crop.bone,
        fragments=tuple(
            _describe(result, index, box)
            for index, box in enumerate(find_objects(result.labels), start=1)
            if box is not None
        ),
        possible_fractures=tuple(
            PossibleFracture(
                index=int(index_of[ridge.label]),
                area_mm2=ridge.area_mm2,
                place_lps_mm=_place(working, ridge.centroid_kji),
            )
            for ridge in recovery.unseparated
            if index_of[ridge.label]
        ),
        small_pieces=tuple(
            SmallPiece(
                into_index=int(index_of[piece.into]),
                volume_mm3=piece.volume_mm3,
                place_lps_mm=_place(working, piece.centroid_kji),
            )
            for piece in recovery.joined
            if index_of[piece.into]
        ),
    )


def _describe(result: BoneFragments, index: int, box: Box) -> FragmentFinding:
    label = int(np.flatnonzero(result.index_of == index)[0])
    interfaces = [one for one in result.recovery.interfaces if label in {one.a, one.b}]
    return measured_fragment(
        result.labels[box] == index,
        box,
        result.crop.native,
        index=index,
        confidence=_confidence(result, label, interfaces),
        neighbours=tuple(
            neighbour_of(one, int(other))
            for one in interfaces
            if (other := result.index_of[one.b if one.a == label else one.a])
        ),
    )


def measured_fragment(
    mask: MaskArray,
    box: Box,
    geometry: Geometry,
    *,
    index: int,
    confidence: float,
    neighbours: tuple[Neighbour, ...],
) -> FragmentFinding:
    """Measure a fragment.

    Args:
        mask: (K, J, I) its voxels in the box.
        box: where they lie on the grid.
        geometry: the grid.
        index: its number within the bone.
        confidence: 0 to 1.
        neighbours: what it touches.
    """
    inside = np.argwhere(mask) + np.array([s.start for s in box])
    k, j, i = (float(v) for v in inside.mean(axis=0))
    ends = [(float(s.start), float(s.stop - 1)) for s in box]
    corners = geometry.to_lps(np.array(list(product(*ends))))
    return FragmentFinding(
        index=index,
        volume_mm3=len(inside) * geometry.voxel_volume_mm3,
        centroid_lps_mm=_place(geometry, (k, j, i)),
        box_lps_mm=(_point(corners.min(axis=0)), _point(corners.max(axis=0))),
        confidence=confidence,
        neighbours=neighbours,
    )


def neighbour_of(interface: Interface, index: int) -> Neighbour:
    """What a fragment says of the one across an interface, whose number is `index`."""
    return Neighbour(
        index=index,
        area_mm2=interface.area_mm2,
        contact_area_mm2=interface.contact_area_mm2,
        mean_contact=interface.mean_contact,
        confidence=confidence_of(interface),
    )


def _confidence(result: BoneFragments, label: int, interfaces: list[Interface]) -> float:
    """How likely it is one fragment, where a model judged that; else how well contact supports it.

    The least sure of what makes it this fragment decides: that it is apart, and that it is one.
    """
    recovery = result.recovery
    if recovery.is_judged:
        groups, inside = recovery.tree.groups(), recovery.tree.weakest_inside()
        own = np.flatnonzero(recovery.label_of_region() == label)
        one_piece = [inside[int(groups[region])] for region in own]
        value = min([1.0, *one_piece, *(confidence_of(one) for one in interfaces)])
    elif (area := sum(one.area_mm2 for one in interfaces)) > 0.0:
        value = sum(one.support * one.area_mm2 for one in interfaces) / area
    else:
        contact = contact_of(result.fragment_map)[recovery.labels == label]
        value = 1.0 - float((contact >= _LIKELY).mean()) if contact.size else 0.0
    return min(max(float(value), 0.0), 1.0)


def confidence_of(interface: Interface) -> float:
    """How sure two fragments are two: as it was judged, or else how well contact supports it."""
    return interface.support if interface.probability is None else interface.probability


def contact_of(fragment_map: FragmentMap) -> FloatArray:
    """(K, J, I) contact probability; none where the method does not predict contact."""
    if "contact" in fragment_map.channels:
        return fragment_map.channel("contact")
    return np.zeros(fragment_map.geometry.shape, np.float16)


def _place(geometry: Geometry, where: PointKji) -> PointLps:
    return _point(geometry.to_lps(np.array(where)))


def _point(values: FloatArray) -> PointLps:
    x, y, z = (float(v) for v in values)
    return (x, y, z)
