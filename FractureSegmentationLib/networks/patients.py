"""Which patients a model was trained on or chosen by, without naming them; without torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from FractureSegmentationLib.networks.model_spec import ModelSpec

SEEN_KEYS = ("trained_on", "validated_on")
_DIGITS = 16


def patient_digests(patients: Iterable[str]) -> list[str]:
    """How a card names patients: recognisable to who knows the name, not readable to others."""
    return sorted(_digest(patient) for patient in set(patients))


def patients_of(spec: ModelSpec) -> dict[str, tuple[str, ...]]:
    """What a card says of patients: `folds` by name, `trained_on` and `validated_on` as digests."""
    return {"folds": spec.folds, **{key: _texts(spec.results.get(key)) for key in SEEN_KEYS}}


def has_seen(spec: ModelSpec, patient: str) -> bool | None:
    """Whether a model was trained on a patient, or chosen by one; None where the card is silent."""
    return was_seen(patients_of(spec), patient)


def was_seen(card: Mapping[str, Any], patient: str) -> bool | None:
    """The same of what `patients_of` gave, be it read from a report; None where it is silent."""
    if patient in _texts(card.get("folds")):
        return False
    seen = [digest for key in SEEN_KEYS for digest in _texts(card.get(key))]
    return _digest(patient) in seen if seen else None


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple):
        return ()
    return tuple(text for text in value if isinstance(text, str))


def _digest(patient: str) -> str:
    return hashlib.sha256(patient.encode()).hexdigest()[:_DIGITS]
