"""A run resumes with what it was started with, or is refused by name."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from phantom_cases import a_case
from tiny_runs import CASES, TINY, a_run

from fracseg_training.training.run_folder import RunFolder, arrays_checksum, resumed_config
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.weights import load_model


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that was stopped after two."""
    folder = tmp_path_factory.mktemp("run")
    a_run(folder).train(until=2)
    return folder


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"learning_rate": 1e-4}, "learning rate was 0.0015 and is 0.0001"),
        ({"memory_source": "all"}, "memory source was 'fractured' and is 'all'"),
        ({"patches": replace(TINY.patches, size=24)}, "patches.size was 16 and is 24"),
    ],
)
def test_another_setting_is_refused_by_name(
    started: Path, change: dict[str, object], name: str
) -> None:
    with pytest.raises(InputError, match=name):
        a_run(started, replace(TINY, **change))  # type: ignore[arg-type]


def test_other_cases_are_refused_by_name(started: Path) -> None:
    more = [*CASES, a_case(patient="two")]
    changed = [replace(CASES[0], hu=CASES[0].hu + np.int16(1)), CASES[1]]

    with pytest.raises(InputError, match=r"1 cases are new \(case_two_2\)"):
        a_run(started, cases=more)
    with pytest.raises(InputError, match=r"1 cases are missing \(case_one_1\)"):
        a_run(started, cases=CASES[:1])
    with pytest.raises(InputError, match=r"1 cases are changed \(case_one_2\)"):
        a_run(started, cases=changed)


def test_another_patient_held_out_is_refused_by_name(started: Path) -> None:
    with pytest.raises(InputError, match=r"validate was \[\] and is \['two'\]"):
        a_run(started, validation=[a_case(patient="two")])


def test_refused_run_stays_as_it_is(started: Path) -> None:
    before = (started / "run.json").read_bytes()

    with pytest.raises(InputError):
        a_run(started, replace(TINY, seed=9))

    assert (started / "run.json").read_bytes() == before


def test_run_of_an_earlier_version_is_refused_with_a_remedy(tmp_path: Path) -> None:
    torch.save({"step": 1}, tmp_path / "checkpoint.pt")

    with pytest.raises(InputError, match=r"earlier version.*--initial"):
        a_run(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "other"}'])
def test_damaged_record_is_refused(started: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)

    with pytest.raises(InputError, match="damaged"):
        a_run(tmp_path)


def test_checkpoint_that_does_not_fit_says_which_tensor(started: Path, tmp_path: Path) -> None:
    state = torch.load(started / "checkpoint.pt", weights_only=True)
    state["network"]["head.weight"] = torch.zeros(4, 2, 1, 1, 1)
    (tmp_path / "run.json").write_bytes((started / "run.json").read_bytes())
    torch.save(state, tmp_path / "checkpoint.pt")

    with pytest.raises(InputError, match=r"head.weight of network has the shape \(4, 2, 1, 1, 1\)"):
        a_run(tmp_path)


def test_steps_that_are_not_named_are_those_of_the_run(started: Path) -> None:
    preset = replace(TINY, steps=2000)

    config = resumed_config(started, preset, steps=None, extend_schedule=False)

    assert config.steps == TINY.steps


def test_more_steps_need_a_word_on_the_learning_rate(started: Path) -> None:
    with pytest.raises(InputError, match=r"falls to 0 at step 6.*--extend-schedule"):
        resumed_config(started, TINY, steps=12, extend_schedule=False)

    config = resumed_config(started, TINY, steps=12, extend_schedule=True)

    assert config.learning_rate_at(6) == pytest.approx(1.5e-3 * 0.5**0.9)


def test_fewer_steps_are_refused(started: Path) -> None:
    with pytest.raises(InputError, match="6 steps, and 5 are fewer"):
        resumed_config(started, TINY, steps=5, extend_schedule=False)


def test_extended_run_remembers_its_new_steps(tmp_path: Path) -> None:
    a_run(tmp_path, replace(TINY, steps=2)).train()
    config = resumed_config(tmp_path, TINY, steps=3, extend_schedule=True)

    a_run(tmp_path, config).train()

    assert RunFolder(tmp_path).record()["settings"]["steps"] == 3
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == 3


def test_unfinished_run_becomes_a_model(started: Path, tmp_path: Path) -> None:
    step = RunFolder(started).export(tmp_path / "model")

    spec, _ = load_model(tmp_path / "model")
    assert step == spec.results["steps"] == 2


def test_run_without_a_checkpoint_says_so(started: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes((started / "run.json").read_bytes())

    with pytest.raises(InputError, match="no checkpoint yet"):
        RunFolder(tmp_path).export(tmp_path / "model")


def test_record_lists_settings_and_cases(started: Path) -> None:
    record = json.loads((started / "run.json").read_text())

    assert record["settings"]["network.features"] == [8, 8, 16]
    assert sorted(record["cases"]) == ["case_one_1", "case_one_2"]
    assert all(len(digest) == 64 for digest in record["cases"].values())


def test_checksum_depends_on_values_shape_and_type_alone() -> None:
    array = np.arange(24, dtype=np.int16).reshape(4, 6)

    assert arrays_checksum(array) == arrays_checksum(np.asfortranarray(array))
    different = {
        arrays_checksum(array),
        arrays_checksum(array.reshape(6, 4)),
        arrays_checksum(array.view(np.uint16)),
        arrays_checksum(array + np.int16(1)),
        arrays_checksum(array, None),
        arrays_checksum(array, description="x"),
    }
    assert len(different) == 6
