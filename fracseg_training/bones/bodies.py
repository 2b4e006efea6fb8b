"""Which body becomes the next synthetic CT: deformed label maps, real bones, broken ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fracseg_training.synthesis.bone import bone_labels
from fracseg_training.synthesis.config import SynthesisConfig
from fracseg_training.synthesis.ct import SyntheticCt, image_body
from fracseg_training.synthesis.deform import DeformConfig, deform_body, extend_legs
from fracseg_training.synthesis.embed import BareBones, Surroundings, embed_real_bones
from fracseg_training.synthesis.fracture_ct import FracturedPelvisConfig, fractured_pelvis
from fracseg_training.synthesis.real_texture import bone_texture, paint_texture
from fracseg_training.synthesis.scanner import HIGHEST_HU, LOWEST_HU
from fracseg_training.synthesis.spine import with_lowered_spine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fracseg_training.synthesis.fields import Float32Array
    from fracseg_training.synthesis.label_map import LabelMap

SPACING_MM = 1.5
"""Voxel size that synthetic CTs are made at; the coarse stage sees twice that."""

_LEG_MARGIN_MM = 30.0
_LEG_CUT_MM = 21.0
_SKIN_ROOM_MM = 55.0
_TALL_SHARE = 0.2
_ABOVE_PELVIS_MM = (40.0, 170.0)
_REAL_EVERY = 3
_REAL_LOOK_SHARE = 0.5
_OTHER_SPINE_SHARE = 0.75
_MOST_LEFT_OUT = 3
_TILT_DEG = 14.0


class CtSource(Protocol):
    """Whatever makes the synthetic CT of an index."""

    def make(self, index: int, rng: np.random.Generator, /) -> SyntheticCt:
        """The synthetic CT of an index, at `SPACING_MM`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySource:
    """Makes the synthetic CT of an index.

    Attributes:
        hosts: label maps of whole bodies.
        bare_bones: real bones; every third CT holds some of them, and half of the others has bones
            that look like them.
        synthesis: how much CTs vary.
        deform: how much bodies vary.
    """

    hosts: Sequence[LabelMap]
    bare_bones: Sequence[BareBones] = ()
    synthesis: SynthesisConfig = field(default_factory=SynthesisConfig)
    deform: DeformConfig = field(default_factory=DeformConfig)

    def __post_init__(self) -> None:
        if not self.hosts:
            raise ValueError("a body source needs at least one label map")

    def make(self, index: int, rng: np.random.Generator) -> SyntheticCt:
        """The synthetic CT of an index; the sources take turns."""
        host = _with_other_spine(self.hosts[index % len(self.hosts)], rng)
        turn, is_later = divmod(index, _REAL_EVERY)
        if self.bare_bones and is_later == _REAL_EVERY - 1:
            return self._embedded(self.bare_bones[turn % len(self.bare_bones)], host, rng)
        body = _cut_above(host, rng)
        body = extend_legs(body, _LEG_MARGIN_MM + _leg_length_mm(rng))
        body = deform_body(body, rng, self.deform, (SPACING_MM, SPACING_MM, SPACING_MM))
        # A turned body shows nothing in the corners of its lowest slices: they are left out.
        lowest = slice(round(_LEG_CUT_MM / SPACING_MM), None)
        body = body.cropped((lowest, slice(None), slice(None))).around(_SKIN_ROOM_MM)
        return image_body(body, body.bones(), rng, self.synthesis, self._real_look(body, rng))

    def _real_look(
        self, body: LabelMap, rng: np.random.Generator
    ) -> Callable[[Float32Array], None] | None:
        """What repaints the bones of a body like real ones; None where they stay as painted."""
        if not self.bare_bones or rng.random() >= _REAL_LOOK_SHARE:
            return None
        bare = self.bare_bones[int(rng.integers(len(self.bare_bones)))]

        def repaint(hu: Float32Array) -> None:
            texture = bone_texture(bare.hu, bare.bones, bare.spacing_mm)
            paint_texture(hu, bone_labels(body), body.spacing_mm, texture, rng)

        return repaint

    def _embedded(self, bare: BareBones, host: LabelMap, rng: np.random.Generator) -> SyntheticCt:
        legs = _leg_length_mm(rng)
        around = Surroundings(
            below_mm=20.0 + legs, above_mm=float(rng.uniform(*_ABOVE_PELVIS_MM)), beside_mm=65.0
        )
        taller = extend_legs(host, _LEG_MARGIN_MM + 1.2 * around.below_mm)
        return embed_real_bones(bare, taller, rng, self.synthesis, around)


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenSource:
    """Makes CTs of broken pelves: a displaced fragment is still a part of its bone.

    Attributes:
        hosts: label maps of whole bodies.
        config: how bones break; size and posture are drawn anew for every CT.
    """

    hosts: Sequence[LabelMap]
    config: FracturedPelvisConfig = field(default_factory=FracturedPelvisConfig)

    def make(self, index: int, rng: np.random.Generator, /) -> SyntheticCt:
        """The synthetic CT of an index; the label maps take turns."""
        host = _with_other_spine(self.hosts[index % len(self.hosts)], rng)
        host = extend_legs(host, _leg_length_mm(rng))
        config = replace(
            self.config,
            spacing_mm=(SPACING_MM, SPACING_MM, SPACING_MM),
            above_pelvis_mm=float(rng.uniform(*_ABOVE_PELVIS_MM)),
        )
        made = fractured_pelvis(host.labels, host.names, host.spacing_mm, rng, config)
        return SyntheticCt(hu=made.hu, bones=made.bones, spacing_mm=made.spacing_mm)


class PhantomSource:
    """Makes CTs of analytic pelves, which are what a demonstration shows."""

    def make(self, _index: int, rng: np.random.Generator, /) -> SyntheticCt:
        """A phantom; one seed gives one phantom, whatever the index."""
        from fracseg_training.phantoms.pelvis import pelvis_phantom

        phantom = pelvis_phantom(rng, (SPACING_MM, SPACING_MM, SPACING_MM))
        hu = np.clip(np.rint(phantom.hu), LOWEST_HU, HIGHEST_HU).astype(np.int16)
        return SyntheticCt(
            hu=hu, bones=np.asarray(phantom.bones, np.uint8), spacing_mm=phantom.spacing_mm
        )


def _leg_length_mm(rng: np.random.Generator) -> float:
    """How much thigh a CT shows below the label map; none in half of them."""
    return float(rng.uniform(0.0, 180.0)) if rng.random() < 0.5 else 0.0


def _with_other_spine(host: LabelMap, rng: np.random.Generator) -> LabelMap:
    """Another vertebra on the sacrum, and at another angle, in most bodies."""
    levels = int(rng.integers(_MOST_LEFT_OUT + 1))
    tilt = float(rng.uniform(-1.0, 1.0)) * _TILT_DEG
    return with_lowered_spine(host, levels, tilt) if rng.random() < _OTHER_SPINE_SHARE else host


def _cut_above(host: LabelMap, rng: np.random.Generator) -> LabelMap:
    """A pelvis with some of the abdomen, or, rarely, all there is above it."""
    if rng.random() < _TALL_SHARE:
        return host
    top = int(np.flatnonzero(host.mask_of("hip_").any(axis=(1, 2)))[-1])
    above = round(rng.uniform(*_ABOVE_PELVIS_MM) / host.spacing_mm[0])
    return host.cropped((slice(0, top + above), slice(None), slice(None)))
