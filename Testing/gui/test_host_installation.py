"""Packages, extensions and sample data are asked for and recorded, and fail when told to."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from Testing.gui.host.host import Host


@pytest.fixture
def packaging(host: Host) -> Any:
    import slicer.packaging

    return slicer.packaging


def test_satisfied_requirements_ask_nothing(host: Host, packaging: Any, tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# ours\nnumpy>=1.20  # bundled\n--prefer-binary\npytest ; python_version>'3'\n"
    )

    packaging.pip_ensure(packaging.load_requirements(file), requester="Demo")

    assert host.dialogs.shown == []
    assert host.pip.installed == []


def test_what_is_missing_is_asked_about_and_installed(host: Host, packaging: Any) -> None:
    host.pip.missing = {"numpy"}
    host.dialogs.answer("ok")
    assert not packaging.pip_check("numpy>=1.20")

    packaging.pip_ensure(["numpy>=1.20", "pytest"], requester="Demo")

    assert host.pip.installed == ["numpy>=1.20"]
    assert packaging.pip_check("numpy>=1.20")
    assert "Demo" in host.dialogs.texts[0]
    assert "numpy>=1.20" in host.dialogs.shown[0].detail


def test_declining_raises_and_installs_nothing(host: Host, packaging: Any) -> None:
    host.dialogs.answer("cancel")

    with pytest.raises(RuntimeError, match="declined"):
        packaging.pip_ensure("no-such-package-anywhere")

    assert host.pip.installed == []


def test_a_failing_installation_raises_what_the_test_said(host: Host, packaging: Any) -> None:
    import slicer

    host.pip.failure = OSError("no network")

    with pytest.raises(OSError, match="no network"):
        packaging.pip_install("safetensors")
    with pytest.raises(OSError, match="no network"):
        slicer.util.pip_install("safetensors")


def test_an_old_version_is_not_enough(packaging: Any) -> None:
    assert packaging.pip_check("numpy>=1.0")
    assert not packaging.pip_check("numpy>=99")
    assert packaging.pip_check("numpy>=99 ; python_version < '3'")


def test_options_of_pip_are_no_requirements(host: Host, packaging: Any) -> None:
    packaging.pip_install(["-c", "constraints.txt", "a>=1", "--upgrade", "b"])
    packaging.pip_install("c d")

    assert host.pip.installed == ["a>=1", "b", "c", "d"]


def test_torch_comes_through_its_extension(host: Host) -> None:
    import PyTorchUtils

    host.torch.is_installed = False
    logic = PyTorchUtils.PyTorchUtilsLogic()
    host.dialogs.answer("cancel", "ok")
    assert not logic.torchInstalled()

    assert logic.installTorch(askConfirmation=True) is None
    assert not logic.torchInstalled()
    logic.installTorch(askConfirmation=True, torchVersionRequirement=">=2.4")

    assert logic.torchInstalled()
    assert [r["torchVersionRequirement"] for r in host.torch.requests] == [">=2.4"]


def test_an_extension_is_installed_from_a_server_that_can_be_reached(host: Host) -> None:
    manager = host.app.extensionsManagerModel()
    manager.interactive = False
    manager._reachable = False
    assert not manager.installExtensionFromServer("PyTorch", False)
    manager._reachable = True

    assert manager.installExtensionFromServer("PyTorch", False)

    assert manager.isExtensionInstalled("PyTorch")
    assert manager._requested == ["PyTorch", "PyTorch"]


def test_an_interactive_extensions_manager_asks_for_itself(host: Host) -> None:
    manager = host.app.extensionsManagerModel()
    host.dialogs.answer("cancel")

    assert not manager.installExtensionFromServer("PyTorch", False)

    assert not manager.isExtensionInstalled("PyTorch")


def test_the_next_test_starts_without_it(host: Host) -> None:
    assert not host.app.extensionsManagerModel().isExtensionInstalled("PyTorch")
    assert host.torch.is_installed
    assert host.pip.missing == set()


def test_a_restart_is_refused(host: Host) -> None:
    with pytest.raises(RuntimeError, match="restart"):
        host.app.restart()


@pytest.fixture
def file(host: Host, tmp_path: Path) -> Path:
    import slicer

    node = slicer.util.addVolumeFromArray(np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    path = tmp_path / "sample.nrrd"
    slicer.util.saveNode(node, str(path))
    host.scene.RemoveNode(node)
    return path


def register(file: Path, checksum: str) -> Any:
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category="Fractures",
        sampleName="Sample",
        uris=file.as_uri(),
        fileNames="copy.nrrd",
        nodeNames="Pelvis",
        checksums=checksum,
    )
    return SampleData.SampleDataLogic()


def test_registered_sample_data_is_loaded_under_its_name(host: Host, file: Path) -> None:
    logic = register(file, f"SHA256:{hashlib.sha256(file.read_bytes()).hexdigest()}")

    (node,) = logic.downloadSamples("Sample")

    assert node.GetName() == "Pelvis"
    assert host.sample_data["Sample"].category == "Fractures"


def test_a_wrong_checksum_is_refused(host: Host, file: Path) -> None:
    logic = register(file, "SHA256:" + "0" * 64)

    with pytest.raises(ValueError, match="checksum"):
        logic.downloadSamples("Sample")


def test_nothing_is_downloaded(host: Host, file: Path) -> None:
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        sampleName="Far", uris="https://example.org/a.nrrd", fileNames="a.nrrd", nodeNames="a"
    )

    with pytest.raises(ValueError, match=r"nothing from example\.org"):
        SampleData.SampleDataLogic().downloadSamples("Far")
