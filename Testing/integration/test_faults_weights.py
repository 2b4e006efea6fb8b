"""Weights that are damaged, cut short, somebody else's, or a program in disguise."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from Testing.integration.fault_shell import Case, FaultyShell, snapshot_of

WEIGHTS, SPEC = "model.safetensors", "model.json"


class Program:
    """Unpickling this would make a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.proof,)


def change_spec(model: Path, **changes: Any) -> None:
    values = json.loads((model / SPEC).read_text())
    (model / SPEC).write_text(json.dumps(values | changes))


def with_right_hash(model: Path) -> None:
    change_spec(model, sha256=hashlib.sha256((model / WEIGHTS).read_bytes()).hexdigest())


def flip_a_bit(model: Path) -> None:
    content = bytearray((model / WEIGHTS).read_bytes())
    content[len(content) // 2] ^= 4
    (model / WEIGHTS).write_bytes(content)


def cut_short(model: Path) -> None:
    content = (model / WEIGHTS).read_bytes()
    (model / WEIGHTS).write_bytes(content[: len(content) // 2])


def cut_short_with_right_hash(model: Path) -> None:
    cut_short(model)
    with_right_hash(model)


def endless_header(model: Path) -> None:
    (model / WEIGHTS).write_bytes((2**62).to_bytes(8, "little") + b"{}")
    with_right_hash(model)


def of_another_network(model: Path) -> None:
    save_file({"head.weight": torch.zeros(4, 8, 1, 1, 1)}, model / WEIGHTS)
    with_right_hash(model)


def not_numbers(model: Path) -> None:
    state = {name: torch.full_like(v, float("nan")) if v.is_floating_point() else v
             for name, v in load_file(model / WEIGHTS).items()}  # fmt: skip
    save_file(state, model / WEIGHTS)
    with_right_hash(model)


def strange_numbers(model: Path) -> None:
    state = {
        name: v.to(torch.float8_e4m3fn) if v.is_floating_point() else v
        for name, v in load_file(model / WEIGHTS).items()
    }
    save_file(state, model / WEIGHTS)
    with_right_hash(model)


def a_pickle(model: Path) -> None:
    (model / WEIGHTS).write_bytes(pickle.dumps(Program(model.parent / "proof")))
    with_right_hash(model)


def a_torch_file(model: Path) -> None:
    torch.save({"network_weights": Program(model.parent / "proof")}, model / WEIGHTS)
    with_right_hash(model)


def empty(model: Path) -> None:
    (model / WEIGHTS).write_bytes(b"")


def spec_is_no_json(model: Path) -> None:
    (model / SPEC).write_bytes(b"\xff\xfe{")


def spec_is_deep(model: Path) -> None:
    (model / SPEC).write_text("[" * 100_000)


def spec_asks_for_a_giant(model: Path) -> None:
    values = json.loads((model / SPEC).read_text())
    change_spec(model, config=values["config"] | {"features": [2**20, 2**21]})


def spec_with_a_fraction(model: Path) -> None:
    values = json.loads((model / SPEC).read_text())
    change_spec(model, config=values["config"] | {"memory_keys": 4.5})


def spec_with_many_stages(model: Path) -> None:
    values = json.loads((model / SPEC).read_text())
    change_spec(model, config=values["config"] | {"features": [4] * 4000})


def spec_of_nothing(model: Path) -> None:
    change_spec(model, spacing_mm=[1e-9, 1.0, 1.0])


@pytest.fixture
def model(tiny_models: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_models / "fracsegmentator-small", tmp_path / "its" / "model"))


@pytest.mark.parametrize(
    "spoil",
    [
        flip_a_bit, cut_short, cut_short_with_right_hash, endless_header, of_another_network,
        not_numbers, strange_numbers, a_pickle, a_torch_file, empty, spec_is_no_json, spec_is_deep,
        spec_asks_for_a_giant, spec_with_a_fraction, spec_with_many_stages, spec_of_nothing,
    ],
    ids=lambda spoil: spoil.__name__,
)  # fmt: skip
def test_such_weights_are_refused_before_anything_of_them_takes_effect(
    shell: FaultyShell,
    case: Case,
    previous: Path,
    model: Path,
    spoil: Callable[[Path], None],
) -> None:
    spoil(model)
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite", "--model", str(model)))

    assert run.status == 4, run.stdout
    assert run.events[-1]["code"] == "damaged_weights"
    assert run.events[-1]["remedy"]
    assert str(model.parent) not in run.stdout + run.stderr
    assert snapshot_of(previous.parent) == before, "a program ran, or the result was touched"


@pytest.mark.parametrize("name", [WEIGHTS, SPEC])
def test_missing_weights_are_named(
    shell: FaultyShell, case: Case, previous: Path, model: Path, name: str
) -> None:
    (model / name).unlink()
    before = snapshot_of(previous.parent)

    run = shell.run(case.arguments(previous, "--overwrite", "--model", str(model)))

    assert run.status == 4
    assert run.events[-1]["code"] == "missing_weights"
    assert name in run.events[-1]["message"]
    assert snapshot_of(previous.parent) == before


def test_a_bone_model_that_is_damaged_is_refused_too(
    shell: FaultyShell, case: Case, model: Path, tmp_path: Path
) -> None:
    for name in ("bones-coarse", "bones-fine"):
        shutil.copytree(model, tmp_path / "bones" / name)
        a_pickle(tmp_path / "bones" / name)
    arguments = case.arguments(tmp_path / "out", "--bones-model", str(tmp_path / "bones"))
    arguments[arguments.index(str(case.bones))] = "auto"

    run = shell.run(arguments)

    assert run.status == 4
    assert run.events[-1]["code"] == "damaged_weights"
    assert not (tmp_path / "bones" / "proof").exists()
    assert not (tmp_path / "out").exists()
