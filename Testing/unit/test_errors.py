"""Errors: one sentence, one remedy, the exit status the documentation promises."""

from __future__ import annotations

import pytest

from FractureSegmentationLib import errors

EXIT_STATUS = {
    errors.FracSegError: 1,
    errors.InputError: 2,
    errors.OutputExistsError: 2,
    errors.NoBoneError: 3,
    errors.EnvironmentProblemError: 4,
    errors.MissingWeightsError: 4,
    errors.DamagedWeightsError: 4,
    errors.RunCancelledError: 130,
}


def every_error() -> list[type[errors.FracSegError]]:
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.FracSegError)
    ]


def test_an_error_reads_as_a_sentence_and_a_remedy() -> None:
    error = errors.InputError("The volume has 7 slices.", "Choose a series of 10 or more.")

    assert str(error) == "The volume has 7 slices. Choose a series of 10 or more."
    assert (error.message, error.remedy) == (
        "The volume has 7 slices.",
        "Choose a series of 10 or more.",
    )


def test_an_error_without_remedy_has_no_trailing_space() -> None:
    assert str(errors.FracSegError("It failed.")) == "It failed."


@pytest.mark.parametrize("kind", every_error())
def test_every_error_ends_the_program_as_documented(kind: type[errors.FracSegError]) -> None:
    assert kind("x").exit_status == EXIT_STATUS[kind]


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in every_error()]

    assert len(set(codes)) == len(codes)
