"""What a segment is, in the coded words of DICOM, taken from its terminology tag."""

from __future__ import annotations

from dataclasses import dataclass

from FractureSegmentationLib.anatomy.catalogue import Code
from FractureSegmentationLib.anatomy.naming import Segment

TISSUE = Code(scheme="SCT", value="85756007", meaning="Tissue")
"""What 3D Slicer takes for a segment of which nothing is said."""

PRIVATE_SCHEME = "99FRACSEG"
PRIVATE_SCHEME_NAME = "FractureSegmentation codes"

_LONGEST_SCHEME, _LONGEST_VALUE, _LONGEST_MEANING = 16, 16, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentTerms:
    """The coded description of one segment.

    Attributes:
        category: e.g. Morphologically Abnormal Structure.
        kind: e.g. Fracture.
        kind_modifier: e.g. Fragment; None if there is none.
        region: the bone that it lies in; None where the kind says it already.
        region_modifier: the side of the region.
    """

    category: Code = TISSUE
    kind: Code = TISSUE
    kind_modifier: Code | None = None
    region: Code | None = None
    region_modifier: Code | None = None

    def uses(self, scheme: str) -> bool:
        """Whether one of the codes is of a scheme."""
        codes = (self.category, self.kind, self.kind_modifier, self.region, self.region_modifier)
        return any(code is not None and code.scheme == scheme for code in codes)


def terms_of(segment: Segment) -> SegmentTerms:
    """The terms in a segment's `TerminologyEntry`; where there are none, it is tissue.

    The tag reads `context~category~type~modifier~context~region~modifier`, every code
    `scheme^value^meaning`; lists of codes of 3D Slicer write it likewise.
    """
    parts = segment.tags.get("TerminologyEntry", "").split("~")
    parts += [""] * (7 - len(parts))
    category, kind, kind_modifier = (_code(part) for part in parts[1:4])
    region, region_modifier = (_code(part) for part in parts[5:7])
    if category is None or kind is None:
        return SegmentTerms()
    return SegmentTerms(
        category=category,
        kind=kind,
        kind_modifier=kind_modifier,
        region=region,
        region_modifier=region_modifier if region is not None else None,
    )


def _code(text: str) -> Code | None:
    """One code; None of what DICOM could not hold."""
    scheme, value, meaning = (*text.split("^"), "", "", "")[:3]
    lengths = ((scheme, _LONGEST_SCHEME), (value, _LONGEST_VALUE), (meaning, _LONGEST_MEANING))
    if not all(0 < len(word) <= longest for word, longest in lengths) or "\\" in text:
        return None
    return Code(scheme=scheme, value=value, meaning=meaning)
