"""Which patients are held out."""

from __future__ import annotations

import pytest

from fracseg_training.training.split import held_out_share, refuse_unknown
from FractureSegmentationLib.errors import InputError


def test_share_is_rounded_down_and_depends_on_names_alone() -> None:
    names = [f"{n:03d}" for n in range(25)]

    held_out = held_out_share(names, 0.1)

    assert len(held_out) == 2
    assert held_out == held_out_share(list(reversed(names)) + names, 0.1)
    assert held_out_share(names[:9], 0.1) == ()


def test_one_patient_more_changes_at_most_one_of_those_held_out() -> None:
    names = [f"{n:03d}" for n in range(40)]

    for n in range(30, 40):
        before, after = held_out_share(names[:n], 0.1), held_out_share(names[: n + 1], 0.1)
        assert len(set(before) - set(after)) <= 1


def test_unknown_patient_is_refused_with_those_there_are() -> None:
    with pytest.raises(InputError, match=r"patient 01\. The patients are 001, 002\."):
        refuse_unknown(["01", "002"], {"001", "002"}, "--exclude-patient")
