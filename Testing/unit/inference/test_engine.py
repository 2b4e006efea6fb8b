"""Which engine runs: what auto takes, and what is said where one is missing."""

from __future__ import annotations

import pytest

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.inference import engine as module
from FractureSegmentationLib.inference.engine import (
    ENGINES,
    Engine,
    choose_engine,
    installed_engines,
)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The engines that can be loaded; tests take some away."""
    usable = list(ENGINES)
    load = module._loaded

    def loaded(name: str) -> Engine | None:
        return load(name) if name in usable else None  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_loaded", loaded)
    return usable


def test_auto_takes_pytorch_where_it_is() -> None:
    assert choose_engine("auto").name == "torch"


def test_auto_takes_onnx_runtime_where_pytorch_is_missing(only: list[str]) -> None:
    pytest.importorskip("onnxruntime")
    only.remove("torch")

    assert choose_engine("auto").name == "onnxruntime"


def test_a_package_whose_libraries_do_not_load_counts_as_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(name: str) -> None:
        raise OSError("[WinError 126] The specified module could not be found")

    monkeypatch.setattr(module.importlib, "import_module", broken)

    with pytest.raises(EnvironmentProblemError, match="Neither PyTorch nor ONNX Runtime"):
        choose_engine("auto")


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_asked_for_by_name_is_never_replaced_by_another(
    only: list[str], name: str
) -> None:
    only.remove(name)

    with pytest.raises(EnvironmentProblemError, match=f"{name} is not installed") as caught:
        choose_engine(name)  # type: ignore[arg-type]

    assert f"pip install {name}" in caught.value.remedy
    assert caught.value.exit_status == 4


def test_engines_are_listed_with_the_versions_they_report_themselves() -> None:
    listed = installed_engines()

    assert listed[0].name == "torch"
    assert [one.version for one in listed] == [
        choose_engine(one.name).version.version for one in listed
    ]
