"""Model folders: what is written comes back, what is not ours is refused unexecuted."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from FractureSegmentationLib.errors import (
    DamagedWeightsError,
    EnvironmentProblemError,
    MissingWeightsError,
    OutputExistsError,
)
from FractureSegmentationLib.networks import model_folder
from FractureSegmentationLib.networks.config import TPCNetConfig, UNet3DConfig
from FractureSegmentationLib.networks.model_folder import shipped_model
from FractureSegmentationLib.networks.model_spec import SPEC_FILE, WEIGHTS_FILE, ModelSpec
from FractureSegmentationLib.networks.tpc_net import TPCNet
from FractureSegmentationLib.networks.unet3d import UNet3D
from FractureSegmentationLib.networks.weights import load_model, save_model

TINY = TPCNetConfig(
    features=(4, 6, 8),
    memory_keys=5,
    embedding_dim=8,
    heads=2,
    channel_embedding=4,
    spatial_embedding=4,
    spatial_grid=2,
    fca_tokens=4,
)
SPEC = ModelSpec(
    name="tiny",
    task="fragments",
    method="fracsegmentator",
    network="tpc_net",
    config=TINY.to_dict(),
    bones=("left_hip",),
    spacing_mm=(1.0, 1.0, 1.0),
    normalisation={},
    channels=("background", "boundary", "interior", "contact"),
    licence="Apache-2.0",
)


@pytest.fixture
def network() -> TPCNet:
    torch.manual_seed(0)
    net = TPCNet(TINY)
    net.update_memory(torch.randn(3, 2, 8), torch.tensor([True, True]))
    return net.eval()


@pytest.fixture
def model(tmp_path: Path, network: TPCNet) -> Path:
    save_model(tmp_path / "tiny", SPEC, network)
    return tmp_path / "tiny"


def _logits(network: Any) -> torch.Tensor:
    x = torch.randn(1, 2, 8, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network(x).logits


def test_full_precision_comes_back_exactly(tmp_path: Path, network: TPCNet) -> None:
    written = save_model(tmp_path / "tiny", SPEC, network, dtype=torch.float32)

    spec, loaded = load_model(tmp_path / "tiny")

    assert spec == written
    stored = loaded.state_dict()
    assert all(torch.equal(stored[name], values) for name, values in network.state_dict().items())
    torch.testing.assert_close(_logits(loaded), _logits(network))


def test_half_precision_halves_the_file_and_loads_as_float32(
    tmp_path: Path, network: TPCNet
) -> None:
    save_model(tmp_path / "full", SPEC, network, dtype=torch.float32)
    save_model(tmp_path / "half", SPEC, network)
    _, loaded = load_model(tmp_path / "half")

    sizes = [(tmp_path / name / WEIGHTS_FILE).stat().st_size for name in ("full", "half")]
    assert sizes[1] < 0.75 * sizes[0]
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    torch.testing.assert_close(_logits(loaded), _logits(network), rtol=0.02, atol=0.02)


def test_memory_bank_and_its_count_are_part_of_the_model(model: Path, network: TPCNet) -> None:
    _, loaded = load_model(model)

    assert isinstance(loaded, TPCNet)
    assert loaded.prior.memory is not None
    assert network.prior.memory is not None
    assert int(loaded.prior.memory.memory_count) == 2
    assert torch.equal(loaded.prior.memory.memory, network.prior.memory.memory)


def test_a_loaded_model_is_ready_to_predict(model: Path) -> None:
    _, loaded = load_model(model)

    assert isinstance(loaded, TPCNet)
    assert not loaded.training
    assert loaded.prior.memory is not None
    assert loaded.prior.memory.frozen_keys is not None
    assert not any(p.requires_grad for p in loaded.parameters())


def test_a_plain_u_net_is_saved_and_loaded_too(tmp_path: Path) -> None:
    config = UNet3DConfig(in_channels=1, out_channels=2, features=(4, 6))
    spec = replace(
        SPEC,
        task="bones",
        network="unet3d",
        config=config.to_dict(),
        channels=("background", "left_hip"),
    )
    save_model(tmp_path / "bones", spec, UNet3D(config))

    assert isinstance(load_model(tmp_path / "bones")[1], UNet3D)


def test_replacing_a_model_leaves_nothing_else_behind(model: Path, network: TPCNet) -> None:
    save_model(model, replace(SPEC, licence="other"), network)

    assert load_model(model)[0].licence == "other"
    assert [entry.name for entry in model.parent.iterdir()] == ["tiny"]


def test_a_folder_with_other_files_is_never_replaced(tmp_path: Path, network: TPCNet) -> None:
    (tmp_path / "thesis.docx").write_text("mine")

    with pytest.raises(OutputExistsError):
        save_model(tmp_path, SPEC, network)
    assert (tmp_path / "thesis.docx").read_text() == "mine"


def test_a_failed_write_leaves_the_previous_model(
    model: Path, network: TPCNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (model / SPEC_FILE).read_bytes()

    def full_disk(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(EnvironmentProblemError):
        save_model(model, replace(SPEC, licence="other"), network)

    assert (model / SPEC_FILE).read_bytes() == before
    assert [entry.name for entry in model.parent.iterdir()] == ["tiny"]


def test_a_failed_renaming_puts_the_previous_model_back(
    model: Path, network: TPCNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (model / SPEC_FILE).read_bytes()
    rename = Path.rename

    def fail_for_the_new_one(self: Path, target: Path) -> Path:
        if self.name.endswith(".new"):
            raise OSError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new_one)
    with pytest.raises(EnvironmentProblemError):
        save_model(model, replace(SPEC, licence="other"), network)

    assert (model / SPEC_FILE).read_bytes() == before
    assert [entry.name for entry in model.parent.iterdir()] == ["tiny"]


def test_a_network_that_is_not_the_one_described_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="configuration"):
        save_model(tmp_path / "x", SPEC, TPCNet(replace(TINY, features=(4, 4, 4))))
    assert list(tmp_path.iterdir()) == []


def test_weights_beyond_half_precision_are_refused(tmp_path: Path, network: TPCNet) -> None:
    with torch.no_grad():
        network.head.weight[0, 0] = 1e6

    with pytest.raises(ValueError, match="float16"):
        save_model(tmp_path / "x", SPEC, network)


class _Executes:
    """Unpickling this would write a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.proof,)


def _rehash(model: Path) -> None:
    values = json.loads((model / SPEC_FILE).read_text())
    values["sha256"] = hashlib.sha256((model / WEIGHTS_FILE).read_bytes()).hexdigest()
    (model / SPEC_FILE).write_text(json.dumps(values))


@pytest.mark.parametrize("is_hash_right", [True, False])
def test_a_pickle_is_refused_unexecuted(model: Path, tmp_path: Path, is_hash_right: bool) -> None:
    proof = tmp_path / "proof"
    (model / WEIGHTS_FILE).write_bytes(pickle.dumps(_Executes(proof)))
    if is_hash_right:
        _rehash(model)

    with pytest.raises(DamagedWeightsError):
        load_model(model)
    assert not proof.exists()


def test_a_truncated_file_is_refused(model: Path) -> None:
    content = (model / WEIGHTS_FILE).read_bytes()
    (model / WEIGHTS_FILE).write_bytes(content[:-10])

    with pytest.raises(DamagedWeightsError, match="published"):
        load_model(model)


def test_one_changed_bit_is_noticed(model: Path) -> None:
    content = bytearray((model / WEIGHTS_FILE).read_bytes())
    content[-1] ^= 1
    (model / WEIGHTS_FILE).write_bytes(bytes(content))

    with pytest.raises(DamagedWeightsError, match="published"):
        load_model(model)


def test_a_model_without_a_hash_is_refused(model: Path) -> None:
    values = json.loads((model / SPEC_FILE).read_text()) | {"sha256": ""}
    (model / SPEC_FILE).write_text(json.dumps(values))

    with pytest.raises(DamagedWeightsError):
        load_model(model)


def test_safetensors_of_another_network_are_refused(model: Path) -> None:
    save_file({"head.weight": torch.zeros(2)}, model / WEIGHTS_FILE)
    _rehash(model)

    with pytest.raises(DamagedWeightsError, match="do not fit"):
        load_model(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("head.bias"), "head.bias is missing"),
        (lambda state: state.update(extra=torch.zeros(3)), "extra is not part of it"),
        (
            lambda state: state.update({"head.bias": torch.zeros(7)}),
            r"head.bias has shape \(7,\), expected \(\d+,\)",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_is_named_with_its_shape(
    model: Path, network: TPCNet, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    state = {name: values.clone().contiguous() for name, values in network.state_dict().items()}
    change(state)
    save_file(state, model / WEIGHTS_FILE)
    _rehash(model)

    with pytest.raises(DamagedWeightsError, match=f"do not fit .*: {message}"):
        load_model(model)


def test_weights_that_are_not_numbers_are_refused(model: Path, network: TPCNet) -> None:
    state = {name: values.clone().contiguous() for name, values in network.state_dict().items()}
    state["head.weight"][0, 0] = float("nan")
    save_file(state, model / WEIGHTS_FILE)
    _rehash(model)

    with pytest.raises(DamagedWeightsError, match=r"not numbers \(in head\.weight\)"):
        load_model(model)


def test_missing_weights_are_named_as_missing(model: Path) -> None:
    (model / WEIGHTS_FILE).unlink()

    with pytest.raises(MissingWeightsError, match=r"tiny holds no model\.safetensors"):
        load_model(model)


def test_no_message_holds_a_path(model: Path) -> None:
    (model / WEIGHTS_FILE).unlink()

    with pytest.raises(MissingWeightsError) as caught:
        load_model(model)
    assert str(model.parent) not in str(caught.value)


def test_models_are_found_in_the_added_folders_first(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        model_folder.MODELS_VARIABLE, f"{tmp_path / 'none'}{model_folder.os.pathsep}{tmp_path}"
    )

    assert shipped_model("tiny") == model


def test_a_model_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(model_folder.MODELS_VARIABLE, raising=False)

    with pytest.raises(MissingWeightsError, match="no-such-model"):
        shipped_model("no-such-model")


@pytest.mark.parametrize("name", ["../tiny", "", "a/b", ".hidden", "C:\\x"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="model name"):
        shipped_model(name)


@pytest.mark.parametrize("given", ["", "checkpoint.pt"])
def test_a_training_run_is_refused_with_a_remedy_that_helps(tmp_path: Path, given: str) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"state")

    with pytest.raises(MissingWeightsError, match=r"training run.*folder `model`.*--export"):
        load_model(tmp_path / given)
