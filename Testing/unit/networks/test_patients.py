"""What a card says of patients."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from FractureSegmentationLib.networks.model_spec import ModelSpec, read_spec
from FractureSegmentationLib.networks.patients import (
    has_seen,
    patient_digests,
    patients_of,
    was_seen,
)

# The first 16 digits that `printf 001 | sha256sum` prints.
DIGEST = "7a3e6b16cb75f48f"


@pytest.fixture
def silent(repository: Path) -> ModelSpec:
    """The card of a model, with a patient that was kept out."""
    card = read_spec(repository / "FractureSegmentationLib" / "models" / "fracsegmentator-small")
    return replace(card, folds=("patient-3",), results={})


def test_a_digest_is_the_beginning_of_the_sha256_of_the_name() -> None:
    assert patient_digests(["001", "001"]) == [DIGEST]


def test_patients_trained_on_or_chosen_by_were_seen_and_those_kept_out_were_not(
    silent: ModelSpec,
) -> None:
    for key in ("trained_on", "validated_on"):
        card = replace(silent, results={key: [DIGEST]})

        assert patients_of(card)[key] == (DIGEST,)
        assert patients_of(card)["folds"] == ("patient-3",)
        assert has_seen(card, "001") is True
        assert has_seen(card, "002") is False
        assert has_seen(card, "patient-3") is False


def test_a_card_or_report_that_is_silent_or_damaged_says_nothing(silent: ModelSpec) -> None:
    assert has_seen(silent, "001") is None
    assert was_seen({"trained_on": 3, "folds": None}, "001") is None
    assert was_seen({"validated_on": [DIGEST, 7]}, "001") is True
