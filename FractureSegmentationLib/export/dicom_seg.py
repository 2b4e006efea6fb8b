"""DICOM SEG: fragments as an object of the patient's own study, for PACS and DICOM viewers.

It is written with highdicom, an optional package. Unlike everything else that is written here, it
carries the patient's identity: an object without it would belong to nobody. What a segment is comes
from its terminology tag, as coded concepts of DICOM.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from FractureSegmentationLib import __version__
from FractureSegmentationLib.anatomy.catalogue import Code
from FractureSegmentationLib.anatomy.naming import Segment
from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.export.dicom_seg_source import CtImages
from FractureSegmentationLib.io.dicom.headers import quiet_pydicom
from FractureSegmentationLib.results.layers import LayeredLabels, LayeredSegment
from FractureSegmentationLib.types import LabelArray, MaskArray

if TYPE_CHECKING:
    from highdicom.seg import SegmentDescription

UNREVIEWED, REVIEWED = "UNREVIEWED", "REVIEWED"
"""Content labels."""
IDENTITY_NOTICE = (
    "The DICOM SEG carries the patient's identity (name, number, dates), as the CT does."
)
_PRODUCT = "FractureSegmentation"
_SERIES_OFFSET = 100  # above the number of the CT's series, where 3D Slicer puts its own too
_HIGHEST_SERIES = 2**31 - 1
_LONGEST_TEXT = 64
_AUTOMATIC, _SEMIAUTOMATIC, _MANUAL = "AUTOMATIC", "SEMIAUTOMATIC", "MANUAL"
TISSUE = Code(scheme="SCT", value="85756007", meaning="Tissue")
"""What 3D Slicer takes for a segment of which nothing is said."""
PRIVATE_SCHEME = "99FRACSEG"
PRIVATE_SCHEME_NAME = "FractureSegmentation codes"
_LONGEST_SCHEME, _LONGEST_VALUE, _LONGEST_MEANING = 16, 16, 64


def require_highdicom() -> None:
    """Go on only if DICOM SEG can be written here.

    Raises:
        EnvironmentProblemError: the package that writes it is not installed.
    """
    if importlib.util.find_spec("highdicom") is None:
        raise EnvironmentProblemError(
            "DICOM SEG is written with the package highdicom, which is not installed.",
            "Install it with: python -m pip install highdicom",
        )


def write_dicom_seg(path: Path, labels: LayeredLabels, ct: CtImages, *, is_reviewed: bool) -> None:
    """Write a binary DICOM segmentation over the images of a CT.

    Args:
        path: ends in `.dcm`.
        labels: on the grid of the images; segments without voxels are left out.
        ct: the images.
        is_reviewed: a person has accepted every fragment; otherwise the object says that nobody
            has.

    Raises:
        EnvironmentProblemError: highdicom is not installed.
        InputError: no segment has voxels, or the headers of the CT cannot be carried over.
        OSError: the file cannot be written.
    """
    require_highdicom()
    with quiet_pydicom():
        _write(path, labels, ct, is_reviewed=is_reviewed)


def _write(path: Path, labels: LayeredLabels, ct: CtImages, *, is_reviewed: bool) -> None:
    from highdicom import UID
    from highdicom.seg import Segmentation, SegmentationTypeValues

    filled = labels.filled()
    if not filled:
        raise InputError("The segmentation holds no fragment.", "Check that it is the one meant.")
    first = ct.datasets[0]
    try:
        written = Segmentation(
            source_images=ct.datasets,
            pixel_array=_pixels(labels, filled, ct),
            segmentation_type=SegmentationTypeValues.BINARY,
            segment_descriptions=_descriptions([one.segment for one in filled]),
            series_instance_uid=UID(),
            series_number=_series_number(first.get("SeriesNumber")),
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer=_PRODUCT,
            manufacturer_model_name=_PRODUCT,
            software_versions=__version__,
            device_serial_number="0",
            content_label=REVIEWED if is_reviewed else UNREVIEWED,
            content_description=series_description(is_reviewed=is_reviewed),
            series_description=series_description(is_reviewed=is_reviewed),
            specific_character_set="ISO_IR 192",
            **_private_scheme([terms_of(one.segment) for one in filled]),
        )
    except (AttributeError, TypeError, ValueError) as error:
        # highdicom checks the headers of the CT while it copies them, with errors of these kinds.
        raise InputError(
            "The headers of the CT do not allow a DICOM SEG.",
            "Export seg.nrrd, and save that as DICOM from 3D Slicer.",
        ) from error
    written.ContentCreatorName = ""  # the standard wants it there, and nobody is named
    written.save_as(path)


def series_description(*, is_reviewed: bool) -> str:
    """What a PACS lists: nobody may take an unreviewed result for a finding."""
    state = "reviewed by a person" if is_reviewed else "UNREVIEWED, not for diagnosis"
    return f"Bone fragments, {state}"


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


def _pixels(
    labels: LayeredLabels, filled: Sequence[LayeredSegment], ct: CtImages
) -> LabelArray | MaskArray:
    """Segment numbers 1..n per voxel; for overlapping segments one mask each, as last axis."""
    if len({one.layer for one in filled}) == 1 or not labels.overlaps():
        numbers = np.zeros(labels.geometry.shape, np.uint8 if len(filled) < 256 else np.uint16)
        for number, one in enumerate(filled, start=1):
            numbers[labels.mask(one)] = number
        return ct.in_their_order(numbers)
    masks = np.zeros((*labels.geometry.shape, len(filled)), bool)
    for index, one in enumerate(filled):
        masks[..., index] = labels.mask(one)
    return masks[ct.order]


def _descriptions(segments: Sequence[Segment]) -> list[SegmentDescription]:
    from highdicom import UID
    from highdicom.color import CIELabColor
    from highdicom.seg import SegmentDescription

    descriptions = []
    for number, segment in enumerate(segments, start=1):
        terms, (kind, algorithm) = terms_of(segment), _algorithm(segment)
        described = SegmentDescription(
            segment_number=number,
            segment_label=_short(segment.name),
            segmented_property_category=_concept(terms.category),
            segmented_property_type=_concept(terms.kind),
            algorithm_type=kind,
            algorithm_identification=algorithm,
            tracking_id=_short(segment.id),
            tracking_uid=UID(),
            anatomic_regions=None if terms.region is None else [_concept(terms.region)],
            display_color=CIELabColor.from_rgb(*(round(255 * part) for part in segment.color)),
        )
        _add_modifiers(described, terms)
        descriptions.append(described)
    return descriptions


def _add_modifiers(described: SegmentDescription, terms: SegmentTerms) -> None:
    """Modifiers lie within the item that they modify; highdicom has no argument for them."""
    kind = described.SegmentedPropertyTypeCodeSequence[0]
    if terms.kind_modifier is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [_concept(terms.kind_modifier)]
    if terms.region_modifier is not None:
        region = described.AnatomicRegionSequence[0]
        region.AnatomicRegionModifierSequence = [_concept(terms.region_modifier)]


def _algorithm(segment: Segment) -> tuple[str, Any]:
    """How the segment came about; of what is not known, at least that a program had a part."""
    from highdicom import AlgorithmIdentificationSequence
    from pydicom.sr.codedict import codes

    name = segment.tags.get("DICOM.SegmentAlgorithmName", "")
    kind = segment.tags.get("DICOM.SegmentAlgorithmType", "")
    if kind == _MANUAL:
        return kind, None
    identification = AlgorithmIdentificationSequence(
        name=_short(name or "unknown"),
        family=codes.cid7162.ArtificialIntelligence,
        version=__version__ if name == _PRODUCT else "unknown",
    )
    return kind if kind == _AUTOMATIC else _SEMIAUTOMATIC, identification


def _concept(code: Code) -> Any:
    from highdicom.sr import CodedConcept

    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def _private_scheme(terms: Sequence[SegmentTerms]) -> dict[str, Any]:
    """The standard asks to say what a private scheme is where one is used."""
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    if not any(one.uses(PRIVATE_SCHEME) for one in terms):
        return {}
    scheme = CodingSchemeIdentificationItem(
        designator=PRIVATE_SCHEME, name=PRIVATE_SCHEME_NAME, responsible_organization=_PRODUCT
    )
    return {"coding_schemes": [scheme]}


def _series_number(of_ct: Any) -> int:
    try:
        number = int(of_ct) + _SERIES_OFFSET
    except (TypeError, ValueError):
        return _SERIES_OFFSET
    return number if 1 <= number <= _HIGHEST_SERIES else _SERIES_OFFSET


def _short(text: str) -> str:
    """Text as DICOM's long strings hold it: no backslash, no control characters, 64 at most."""
    plain = "".join("/" if c == "\\" else c for c in text if c.isprintable()).strip()
    return plain[:_LONGEST_TEXT].strip() or "segment"


def _code(text: str) -> Code | None:
    """One code; None of what DICOM could not hold."""
    scheme, value, meaning = (*text.split("^"), "", "", "")[:3]
    lengths = ((scheme, _LONGEST_SCHEME), (value, _LONGEST_VALUE), (meaning, _LONGEST_MEANING))
    if not all(0 < len(word) <= longest for word, longest in lengths) or "\\" in text:
        return None
    return Code(scheme=scheme, value=value, meaning=meaning)
