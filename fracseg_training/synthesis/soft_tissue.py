"""How everything but bone looks in a CT: organs, muscle, fat, vessels, bowel with gas.

`TISSUES` lists the appearance of the structures of a label map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import find_objects

from fracseg_training.synthesis.config import Range
from fracseg_training.synthesis.envelope import AIR, FAT, INNER, SKIN, WALL, Envelope
from fracseg_training.synthesis.fields import Float32Array, smooth_field

if TYPE_CHECKING:
    from fracseg_training.synthesis.config import SynthesisConfig
    from fracseg_training.synthesis.label_map import LabelMap
    from FractureSegmentationLib.types import Shape

AIR_HU = -1000.0
_SKIN_HU = 20.0
_GAS_HU = -900.0
_VESSEL_CONTRAST_HU = (90.0, 380.0)
_BOWEL_CONTRAST_HU = (120.0, 600.0)
_BLADDER_CONTRAST_HU = (150.0, 1500.0)
_KIDNEY_CONTRAST_HU = (60.0, 180.0)
_ORGAN_CONTRAST_HU = (10.0, 80.0)
_HOLLOW = ("colon", "small_bowel", "duodenum", "stomach")
_GASSY = ("colon", "stomach")


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueLook:
    """How one patient's soft tissues look.

    Attributes:
        muscle_hu: mean of muscle.
        fat_hu: mean of fat.
        vessel_hu: added to vessels by contrast medium, 0 without.
        bowel_hu: contrast medium in the bowel, 0 without.
        bladder_hu: contrast medium in the bladder, 0 without.
        gas_share: share of the bowel that holds gas.
    """

    muscle_hu: float
    fat_hu: float
    vessel_hu: float
    bowel_hu: float
    bladder_hu: float
    gas_share: float


def draw_tissue_look(rng: np.random.Generator, config: SynthesisConfig) -> TissueLook:
    """One patient's soft tissues."""
    vessel, bowel, bladder = (
        float(rng.uniform(*hu)) if rng.random() < share else 0.0
        for hu, share in (
            (_VESSEL_CONTRAST_HU, config.vessel_contrast_share),
            (_BOWEL_CONTRAST_HU, config.bowel_contrast_share),
            (_BLADDER_CONTRAST_HU, config.bladder_contrast_share),
        )
    )
    return TissueLook(
        muscle_hu=float(rng.uniform(*config.muscle_hu)),
        fat_hu=float(rng.uniform(*config.fat_hu)),
        vessel_hu=vessel,
        bowel_hu=bowel,
        bladder_hu=bladder,
        gas_share=float(rng.uniform(0.05, 0.5)),
    )


def paint_soft_tissue(
    body: LabelMap, envelope: Envelope, rng: np.random.Generator, look: TissueLook
) -> Float32Array:
    """HU of a body without its bones, whose place is filled as muscle.

    Args:
        body: which voxel is which structure.
        envelope: the layers around the structures.
        rng: source of the draws and the texture.
        look: how the tissues look.

    Returns:
        (K, J, I) float32 HU.
    """
    k, j, i = body.labels.shape
    shape = (k, j, i)
    fine = smooth_field(shape, body.spacing_mm, rng, 7.0)
    hu = np.full(shape, AIR_HU, np.float32)
    layers = envelope.layers
    is_inner = layers == INNER
    hu[layers == SKIN] = _SKIN_HU
    hu[layers == FAT] = look.fat_hu
    hu[layers == WALL] = look.muscle_hu
    hu[is_inner] = _between(body, shape, rng, look)[is_inner]
    means = _means(body, rng, look)
    named = body.labels > 0
    hu[named] = means[body.labels[named]]
    sd = rng.uniform(3.0, 14.0)
    hu[layers != AIR] += sd * fine[layers != AIR]
    _fill_bowel(hu, body, rng, look)
    _layer_bladder(hu, body, rng, look)
    return hu


def _means(body: LabelMap, rng: np.random.Generator, look: TissueLook) -> Float32Array:
    """(256,) mean HU of every label value."""
    means = np.full(256, look.muscle_hu, np.float32)
    enhancement = look.vessel_hu / _VESSEL_CONTRAST_HU[1]
    for value, name in body.names.items():
        tissue = tissue_of(name)
        if tissue is None or tissue.kind in {"bone", "muscle"}:
            means[value] = look.muscle_hu + rng.normal(0.0, 4.0)
            continue
        means[value] = rng.uniform(*tissue.hu)
        if tissue.kind == "vessel":
            means[value] += look.vessel_hu * rng.uniform(0.4, 1.0)
        elif tissue.kind == "kidney":
            means[value] += enhancement * rng.uniform(*_KIDNEY_CONTRAST_HU)
        elif tissue.kind == "organ":
            means[value] += enhancement * rng.uniform(*_ORGAN_CONTRAST_HU)
    return means


def _between(
    body: LabelMap, shape: Shape, rng: np.random.Generator, look: TissueLook
) -> Float32Array:
    """(K, J, I) unnamed tissue between organs: muscle near the femora, mostly fat further up."""
    top = np.flatnonzero(body.mask_of("femur_").any(axis=(1, 2)))
    hip_level = float(top[-1]) if len(top) else 0.0
    above_mm = (np.arange(shape[0]) - hip_level) * body.spacing_mm[0]
    fat_above = rng.uniform(0.2, 1.2)
    threshold = np.interp(above_mm, [-40.0, 60.0], [rng.uniform(-1.6, -0.6), fat_above])
    blobs = smooth_field(shape, body.spacing_mm, rng, float(rng.uniform(15.0, 40.0)))
    sheets = np.abs(smooth_field(shape, body.spacing_mm, rng, 22.0))
    is_fat = (blobs < threshold.astype(np.float32)[:, None, None]) | (sheets < 0.12)
    return np.where(is_fat, np.float32(look.fat_hu), np.float32(look.muscle_hu))


def _fill_bowel(
    hu: Float32Array, body: LabelMap, rng: np.random.Generator, look: TissueLook
) -> None:
    """Gas, fluid, contrast medium and speckled stool in the bowel, in place."""
    boxes = dict(enumerate(find_objects(body.labels), start=1))
    for value, name in body.names.items():
        box = boxes.get(value)
        if box is None or not name.startswith(_HOLLOW):
            continue
        inside = body.labels[box] == value
        k, j, i = inside.shape
        texture = smooth_field((k, j, i), body.spacing_mm, rng, 14.0)
        part = hu[box]
        if look.bowel_hu:
            bright = inside & (texture > rng.uniform(-0.3, 0.8))
            part[bright] = look.bowel_hu * rng.uniform(0.5, 1.0)
        if rng.random() < (0.9 if name in _GASSY else 0.4):
            part[inside & (texture < np.quantile(texture[inside], look.gas_share))] = _GAS_HU
        if name == "colon":
            speckle = inside & (rng.random(inside.shape) < rng.uniform(0.0, 0.12))
            part[speckle] -= np.float32(rng.uniform(100.0, 600.0))


def _layer_bladder(
    hu: Float32Array, body: LabelMap, rng: np.random.Generator, look: TissueLook
) -> None:
    """Contrast medium lies at the back of the bladder, or fills it."""
    inside = body.mask_of("urinary_bladder")
    if not look.bladder_hu or not inside.any():
        return
    rows = np.nonzero(inside)[1]
    level = rng.uniform(rows.min() - 5, rows.max())
    behind = inside & (np.arange(hu.shape[1])[None, :, None] >= level)
    hu[behind] = look.bladder_hu


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
