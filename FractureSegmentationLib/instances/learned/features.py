"""What is measured at a contact area between two regions, to judge whether they are one fragment.

The features say how surely the map parts both regions there and whether it does so all over, what
the CT shows, how large the area is beside the regions, and where in the bone it lies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from FractureSegmentationLib.instances.learned.faces import Faces, Values

BONE_KINDS: Final = ("sacrum", "hip", "femur")
_SHALLOW_MM = 2.5
_CELL_MM = 8.0
_LIKELY, _POSSIBLE = 0.5, 0.1
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)

EDGE_FEATURES: Final = (
    "contact_mean",
    "contact_by_bone",
    "contact_likely_share",
    "contact_possible_share",
    "contact_shallow",
    "contact_deep",
    "shallow_share",
    "wide_mean",
    *(f"smooth_q{round(100 * q)}" for q in _QUANTILES),
    "cell_least",
    "cell_q25",
    "boundary_mean",
    "foreground_mean",
    "dark_mean",
    "dark_q25",
    "dark_q75",
    "log_area",
    "neck",
    "open_neck",
    "log_open_area",
    "long_mm",
    "broad_mm",
    "thick_mm",
    "depth_mean",
    "depth_most",
    "log_smaller",
    "log_larger",
    "smaller_of_bone",
    "larger_of_bone",
    "area_of_smaller",
    "neighbours_of_smaller",
    "contact_of_smaller_elsewhere",
    "contact_in_smaller",
    "contact_in_larger",
    "interior_in_smaller",
    "contact_of_bone",
    "place_superior",
    "place_posterior",
    "place_lateral",
    *(f"is_{kind}" for kind in BONE_KINDS),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFacts:
    """Sums over a region; those of merged regions add up.

    Attributes:
        volume_mm3: its volume.
        contact_mm3: contact probability summed over it.
        interior_mm3: interior probability summed over it.
    """

    volume_mm3: float
    contact_mm3: float
    interior_mm3: float

    def __add__(self, other: RegionFacts) -> RegionFacts:
        return RegionFacts(
            volume_mm3=self.volume_mm3 + other.volume_mm3,
            contact_mm3=self.contact_mm3 + other.contact_mm3,
            interior_mm3=self.interior_mm3 + other.interior_mm3,
        )

    @property
    def contact(self) -> float:
        """Mean contact probability."""
        return self.contact_mm3 / self.volume_mm3

    @property
    def interior(self) -> float:
        """Mean interior probability."""
        return self.interior_mm3 / self.volume_mm3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BoneFacts:
    """What all contact areas of a bone share.

    Attributes:
        slug: of the bone; "" where it is not known.
        volume_mm3: volume of the bone.
        contact: mean contact probability of the bone.
        low_mm: (3,) first corner of the bone's box along (k, j, i).
        size_mm: (3,) its extent.
    """

    slug: str
    volume_mm3: float
    contact: float
    low_mm: npt.NDArray[np.float64]
    size_mm: npt.NDArray[np.float64]

    @property
    def is_kind(self) -> tuple[float, ...]:
        """1 for the kind of bone it is, 0 for the others."""
        return tuple(float(self.slug.endswith(kind)) for kind in BONE_KINDS)

    def place(self, centre_mm: npt.NDArray[np.floating]) -> tuple[float, float, float]:
        """Superior, posterior and lateral position in the bone's box, 0 to 1.

        Lateral is 1 at the side away from the midline; of a bone on the midline, or of an unknown
        side, at both ends.
        """
        share = (centre_mm - self.low_mm) / np.maximum(self.size_mm, 1e-6)
        k, j, i = (float(s) for s in share)
        if self.slug.startswith("left"):
            return k, j, i
        if self.slug.startswith("right"):
            return k, j, 1.0 - i
        return k, j, abs(2.0 * i - 1.0)


def edge_features(
    faces: Faces,
    smaller: RegionFacts,
    larger: RegionFacts,
    elsewhere: Mapping[str, float],
    bone: BoneFacts,
) -> Values:
    """The features of one contact area.

    Args:
        faces: where both regions meet.
        smaller: the region of less volume.
        larger: the other one.
        elsewhere: of the smaller region's other contact areas: their `area_mm2`, their `count` and
            their mean `contact`.
        bone: of the bone.

    Returns:
        (F,) float32, in the order of `EDGE_FEATURES`.
    """
    weight = faces.area_mm2 / faces.area_mm2.sum()
    area_mm2 = float(faces.area_mm2.sum())
    centre_mm = weight @ faces.point_mm
    values = (
        *_seen(faces, weight),
        *_extent(faces, weight, centre_mm, smaller.volume_mm3),
        np.log(smaller.volume_mm3),
        np.log(larger.volume_mm3),
        smaller.volume_mm3 / bone.volume_mm3,
        larger.volume_mm3 / bone.volume_mm3,
        area_mm2 / (area_mm2 + elsewhere["area_mm2"]),
        elsewhere["count"],
        elsewhere["contact"],
        smaller.contact,
        larger.contact,
        smaller.interior,
        bone.contact,
        *bone.place(centre_mm),
        *bone.is_kind,
    )
    return np.asarray(values, np.float32)


def _seen(faces: Faces, weight: Values) -> tuple[float, ...]:
    """What the map and the CT show at the faces: the first features, up to `dark_q75`."""
    contact = float(weight @ faces.contact)
    is_shallow = faces.depth_mm <= _SHALLOW_MM
    cells = _cell_means(faces)
    return (
        contact,
        _weighted(faces.contact, faces.area_mm2 * faces.foreground, contact),
        float(weight @ (faces.contact >= _LIKELY)),
        float(weight @ (faces.contact >= _POSSIBLE)),
        _weighted(faces.contact, faces.area_mm2 * is_shallow, contact),
        _weighted(faces.contact, faces.area_mm2 * ~is_shallow, contact),
        float(weight @ is_shallow),
        float(weight @ faces.wide),
        *np.quantile(faces.smooth, _QUANTILES),
        float(cells.min()),
        float(np.quantile(cells, 0.25)),
        float(weight @ faces.boundary),
        float(weight @ faces.foreground),
        float(weight @ faces.dark),
        *np.quantile(faces.dark, (0.25, 0.75)),
    )


def _extent(
    faces: Faces, weight: Values, centre_mm: npt.NDArray[np.floating], smaller_mm3: float
) -> tuple[float, ...]:
    """How large the area is and what shape it has: from `log_area` to `depth_most`."""
    area_mm2 = float(faces.area_mm2.sum())
    open_mm2 = float(faces.area_mm2 @ (1.0 - faces.contact))
    scale_mm2 = float(np.cbrt(smaller_mm3)) ** 2
    return (
        np.log(area_mm2),
        area_mm2 / scale_mm2,
        open_mm2 / scale_mm2,
        np.log(open_mm2 + 1.0),
        *_extents_mm(faces, weight, centre_mm),
        float(weight @ faces.depth_mm),
        float(faces.depth_mm.max()),
    )


def _weighted(values: Values, weight: npt.NDArray[np.floating], otherwise: float) -> float:
    """Weighted mean; `otherwise` where nothing weighs."""
    total = float(weight.sum())
    return float(values @ weight) / total if total > 1e-6 else otherwise


def _cell_means(faces: Faces) -> npt.NDArray[np.float64]:
    """Mean contact of the faces in each cube of 8 mm that holds a tenth of a full one's or more."""
    cell = np.floor(faces.point_mm / _CELL_MM).astype(np.int64)
    cell -= cell.min(axis=0)
    key = np.ravel_multi_index(tuple(cell.T), tuple(cell.max(axis=0) + 1))
    _, which = np.unique(key, return_inverse=True)
    area_mm2 = np.bincount(which, faces.area_mm2)
    means = np.bincount(which, faces.area_mm2 * faces.contact) / area_mm2
    is_large = area_mm2 >= min(0.1 * _CELL_MM**2, float(area_mm2.max()))
    large: npt.NDArray[np.float64] = means[is_large]
    return large


def _extents_mm(
    faces: Faces, weight: Values, centre_mm: npt.NDArray[np.floating]
) -> tuple[float, float, float]:
    """Standard deviations of the faces' positions along their principal axes, largest first."""
    offset = faces.point_mm - centre_mm
    spread = np.linalg.eigvalsh((offset * weight[:, None]).T @ offset)
    thick, broad, long = np.sqrt(np.maximum(spread, 0.0))
    return float(long), float(broad), float(thick)
