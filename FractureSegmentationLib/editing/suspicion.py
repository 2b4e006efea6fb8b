"""Where a person should look first: weak interfaces and possible fractures left unseparated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from FractureSegmentationLib.editing.edit import Labels
from FractureSegmentationLib.editing.evidence import Probability, contact_on
from FractureSegmentationLib.editing.fragments import FragmentRecord, Fragments
from FractureSegmentationLib.editing.proposals import (
    interface_place,
    points_beside_fracture,
    points_beside_interface,
)
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances.regions import describe_interfaces
from FractureSegmentationLib.instances.result import Interface
from FractureSegmentationLib.instances.ridges import unseparated_fractures
from FractureSegmentationLib.types import PointLps
from FractureSegmentationLib.volume import Volume
from FractureSegmentationLib.voxels.boxes import union_box

_INTERFACE_REACH_MM = 1.5


class Suspicion(Enum):
    """What may be wrong at a place."""

    WEAK_INTERFACE = "weak interface"
    POSSIBLE_FRACTURE = "possible fracture"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspiciousPlace:
    """A place to look at.

    Attributes:
        kind: what may be wrong: two fragments may be one, or one may be two.
        labels: the two fragments that touch, or the one that may be broken.
        place_lps_mm: where to go to; a voxel of the interface or of the likely contact.
        area_mm2: of the interface or of the sheet of contact.
        doubt_mm2: the part of the area that speaks against how things are; places are ranked by it.
        split_points_lps_mm: one point on each side: to split the fragment there, or, once the two
            fragments are merged, to part them again. None where a side holds no bone close by.
    """

    kind: Suspicion
    labels: tuple[int, ...]
    place_lps_mm: PointLps
    area_mm2: float
    doubt_mm2: float
    split_points_lps_mm: tuple[PointLps, PointLps] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspicionConfig:
    """What is suspicious.

    Attributes:
        low_confidence: an interface is weak where contact is likely on less than this share of it.
        min_interface_mm2: smaller interfaces are not shown.
        min_ridge_mm2: smaller sheets of contact within a fragment are not shown.

    Raises:
        ValueError: a number is out of its range.
    """

    low_confidence: float = 0.5
    min_interface_mm2: float = 20.0
    min_ridge_mm2: float = 100.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.low_confidence <= 1.0:
            raise ValueError(f"low_confidence must lie in [0, 1], got {self.low_confidence}")
        if min(self.min_interface_mm2, self.min_ridge_mm2) < 0.0:
            raise ValueError("areas must be >= 0")


_DEFAULT = SuspicionConfig()


def suspicious_places(
    fragments: Fragments, contact: Volume, config: SuspicionConfig = _DEFAULT
) -> tuple[SuspiciousPlace, ...]:
    """Look through all fragments as they are now, edited or not.

    Args:
        fragments: all fragments.
        contact: contact probability, as for `CutEvidence`.
        config: what is suspicious.

    Returns:
        The most doubtful first.
    """
    places: list[SuspiciousPlace] = []
    for bone in dict.fromkeys(record.bone for record in fragments.records):
        crop = _BoneCrop.of(fragments, fragments.of_bone(bone), contact)
        for one in crop.interfaces():
            places.extend(
                _weak(fragments, (one.a, one.b), one.area_mm2, one.contact_area_mm2, config)
            )
        for ridge in unseparated_fractures(
            crop.labels, crop.contact, crop.geometry.spacing_mm, config.min_ridge_mm2
        ):
            x, y, z = (float(v) for v in crop.geometry.to_lps(np.array(ridge.centroid_kji)))
            places.append(_broken(fragments, ridge.label, (x, y, z), ridge.area_mm2, contact))
    return _ranked(places)


def reported_places(
    fragments: Fragments,
    report: Mapping[str, Any],
    contact: Volume | None = None,
    config: SuspicionConfig = _DEFAULT,
) -> tuple[SuspiciousPlace, ...]:
    """The suspicious places that `report.json` of a result lists.

    What concerns fragments that are gone, or that no longer touch, is left out.

    Args:
        fragments: all fragments.
        report: see `read_report`.
        contact: contact probability, which makes the proposed points better.
        config: what is suspicious.

    Returns:
        The most doubtful first.
    """
    known = {record.label for record in fragments.records}
    places: list[SuspiciousPlace] = []
    for bone in report.get("bones", ()):
        for fragment in bone.get("fragments", ()):
            for other in fragment.get("neighbours", ()):
                pair = (int(fragment["label"]), int(other["label"]))
                if pair[0] < pair[1] and known.issuperset(pair):
                    area_mm2, seen_mm2 = float(other["area_mm2"]), float(other["contact_area_mm2"])
                    places.extend(_weak(fragments, pair, area_mm2, seen_mm2, config))
        for ridge in bone.get("possible_unseparated_fractures", ()):
            area_mm2 = float(ridge["area_mm2"])
            if int(ridge["label"]) in known and area_mm2 >= config.min_ridge_mm2:
                x, y, z = (float(v) for v in ridge["place_lps_mm"])
                label = int(ridge["label"])
                places.append(_broken(fragments, label, (x, y, z), area_mm2, contact))
    return _ranked(places)


@dataclass(frozen=True, slots=True, eq=False)
class _BoneCrop:
    """The fragments of one bone in their box, nothing else, and the contact there."""

    labels: Labels
    contact: Probability
    geometry: Geometry

    @classmethod
    def of(
        cls, fragments: Fragments, records: tuple[FragmentRecord, ...], contact: Volume
    ) -> _BoneCrop:
        box = records[0].box
        for record in records[1:]:
            box = union_box([box, record.box])
        part = fragments.labels.voxels[box]
        is_own = np.isin(part, [record.label for record in records])
        geometry = fragments.labels.geometry.cropped(box)
        return cls(
            labels=np.where(is_own, part, 0).astype(np.uint16),
            contact=np.where(is_own, contact_on(contact, geometry), np.float32(0.0)),
            geometry=geometry,
        )

    def interfaces(self) -> tuple[Interface, ...]:
        return describe_interfaces(
            self.labels,
            self.contact,
            self.contact,
            (self.labels > 0).astype(np.float32),
            self.geometry.spacing_mm,
            _INTERFACE_REACH_MM,
        )


def _weak(
    fragments: Fragments,
    pair: tuple[int, int],
    area_mm2: float,
    seen_mm2: float,
    config: SuspicionConfig,
) -> list[SuspiciousPlace]:
    """The interface of a pair, if it is weak and still there."""
    if area_mm2 < config.min_interface_mm2 or seen_mm2 >= config.low_confidence * area_mm2:
        return []
    place = interface_place(fragments, *pair)
    if place is None:
        return []
    return [
        SuspiciousPlace(
            kind=Suspicion.WEAK_INTERFACE,
            labels=pair,
            place_lps_mm=place,
            area_mm2=area_mm2,
            doubt_mm2=area_mm2 - seen_mm2,
            split_points_lps_mm=points_beside_interface(fragments, pair, place),
        )
    ]


def _broken(
    fragments: Fragments, label: int, place: PointLps, area_mm2: float, contact: Volume | None
) -> SuspiciousPlace:
    return SuspiciousPlace(
        kind=Suspicion.POSSIBLE_FRACTURE,
        labels=(label,),
        place_lps_mm=place,
        area_mm2=area_mm2,
        doubt_mm2=area_mm2,
        split_points_lps_mm=points_beside_fracture(fragments, label, place, contact),
    )


def _ranked(places: list[SuspiciousPlace]) -> tuple[SuspiciousPlace, ...]:
    return tuple(sorted(places, key=lambda place: -place.doubt_mm2))
