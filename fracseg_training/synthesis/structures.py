"""What the structures of a label map look like in a CT: data, not code."""

from __future__ import annotations

from dataclasses import dataclass

from fracseg_training.synthesis.config import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """The look of one kind of structure.

    Attributes:
        kind: the word the painters use.
        prefixes: names of structures begin with one of these.
        hu: range of the mean.
    """

    kind: str
    prefixes: tuple[str, ...]
    hu: Range


TISSUES: tuple[Tissue, ...] = (
    Tissue(
        kind="bone",
        prefixes=(
            "sacrum",
            "hip_",
            "femur_",
            "vertebrae_",
            "rib_",
            "sternum",
            "clavicula_",
            "scapula_",
            "humerus_",
            "skull",
        ),
        hu=(0.0, 0.0),
    ),
    Tissue(kind="cartilage", prefixes=("costal_cartilages",), hu=(60.0, 250.0)),
    Tissue(kind="muscle", prefixes=("autochthon_", "gluteus_", "iliopsoas_"), hu=(0.0, 0.0)),
    Tissue(
        kind="vessel",
        prefixes=(
            "aorta",
            "iliac_",
            "inferior_vena_cava",
            "portal_vein",
            "superior_vena_cava",
            "subclavian_",
            "brachiocephalic_",
            "common_carotid_",
            "pulmonary_vein",
            "heart",
            "atrial_appendage_left",
        ),
        hu=(30.0, 55.0),
    ),
    Tissue(kind="lung", prefixes=("lung_",), hu=(-900.0, -700.0)),
    Tissue(kind="airway", prefixes=("trachea",), hu=(-1000.0, -950.0)),
    Tissue(
        kind="bowel",
        prefixes=("colon", "small_bowel", "duodenum", "stomach", "esophagus"),
        hu=(-10.0, 60.0),
    ),
    Tissue(kind="bladder", prefixes=("urinary_bladder",), hu=(-5.0, 25.0)),
    Tissue(kind="kidney", prefixes=("kidney_left", "kidney_right"), hu=(25.0, 45.0)),
    Tissue(kind="cyst", prefixes=("kidney_cyst", "gallbladder"), hu=(-5.0, 25.0)),
    Tissue(kind="cord", prefixes=("spinal_cord",), hu=(10.0, 50.0)),
    Tissue(
        kind="organ",
        prefixes=(
            "liver",
            "spleen",
            "pancreas",
            "adrenal_gland_",
            "prostate",
            "thyroid_gland",
            "brain",
        ),
        hu=(30.0, 65.0),
    ),
)


def tissue_of(name: str) -> Tissue | None:
    """The tissue of a structure, None for a name that is not known."""
    for tissue in TISSUES:
        if name.startswith(tissue.prefixes):
            return tissue
    return None
