"""The parameter node wrapper, as the developer guide describes it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any, Optional

import pytest

from Testing.gui.host.host import Host


class Device(enum.Enum):
    AUTO = 1
    CPU = 2


@pytest.fixture
def node(host: Host) -> Any:
    return host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def wrapped(**members: Any) -> type:
    """A wrapper class with {name: type} or {name: (type, default)}."""
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    hints = {name: m[0] if isinstance(m, tuple) else m for name, m in members.items()}
    defaults = {name: m[1] for name, m in members.items() if isinstance(m, tuple)}
    return parameterNodeWrapper(type("Parameters", (), {"__annotations__": hints, **defaults}))


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (bool, False), (int, -7), (float, 0.1), (str, "Becken über alles; a=b"), (str, ""),
        (Path, Path("/a b/c")), (Device, Device.CPU),
        (list[int], [3, 1]), (list[str], ["a", "b,c"]),
        (dict[str, float], {"a": 1.5}),
    ],
)  # fmt: skip
def test_a_value_survives_in_the_node(node: Any, kind: Any, value: Any) -> None:
    cls = wrapped(parameter=kind)
    cls(node).parameter = value

    again = cls(node).parameter

    assert again == value
    assert type(again) is type(value)


def test_defaults_are_written_when_the_node_is_wrapped_and_kept_after_that(node: Any) -> None:
    from slicer.parameterNodeWrapper import Default

    cls = wrapped(count=(int, 3), name=Annotated[str, Default("hip")], device=Device, flag=bool)

    parameters = cls(node)

    assert (parameters.count, parameters.name) == (3, "hip")
    assert (parameters.device, parameters.flag) == (Device.AUTO, False)
    assert node.GetParameter("count") == "3"
    parameters.count = 5
    assert cls(node).count == 5


def test_a_node_is_a_reference_that_ends_with_the_node(host: Host, node: Any) -> None:
    import slicer

    parameters = wrapped(volume=slicer.vtkMRMLScalarVolumeNode)(node)
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    assert parameters.volume is None

    parameters.volume = volume

    assert parameters.volume is volume
    host.scene.RemoveNode(volume)
    assert parameters.volume is None


def test_optional_values_may_be_none(node: Any) -> None:
    cls = wrapped(maybe=Optional[int], text=str | None)  # noqa: UP045  both spellings are in use
    parameters = cls(node)
    assert parameters.maybe is None

    parameters.maybe = 4

    assert (cls(node).maybe, cls(node).text) == (4, None)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [(int, "3"), (int, 2.5), (int, True), (bool, 1), (str, 3), (Device, "CPU"), (float, None)],
)
def test_a_value_of_another_type_is_refused(node: Any, kind: Any, wrong: Any) -> None:
    parameters = wrapped(parameter=kind)(node)

    with pytest.raises(TypeError, match="parameter takes"):
        parameters.parameter = wrong


def test_validators_refuse_and_the_old_value_stays(node: Any) -> None:
    from slicer.parameterNodeWrapper import Choice, Exclude, Maximum, Minimum, WithinRange

    parameters = wrapped(
        share=(Annotated[float, WithinRange(0, 1)], 0.5),
        least=(Annotated[int, Minimum(2)], 2),
        most=(Annotated[int, Maximum(2)], 2),
        side=(Annotated[str, Choice(["left", "right"])], "left"),
        name=(Annotated[str, Exclude(["bad"])], "good"),
    )(node)

    for name, value in {"share": 1.1, "least": 1, "most": 3, "side": "up", "name": "bad"}.items():
        before = getattr(parameters, name)
        with pytest.raises(ValueError, match="is"):
            setattr(parameters, name, value)
        assert getattr(parameters, name) == before


@pytest.mark.parametrize("kind", [int | str, tuple[int, int], complex])
def test_a_type_that_is_not_emulated_is_named(host: Host, kind: Any) -> None:
    with pytest.raises(TypeError, match="not emulated"):
        wrapped(parameter=kind)


def test_a_wrapper_is_observed_like_its_node(node: Any) -> None:
    import vtk

    seen: list[int] = []
    parameters = wrapped(count=int)(node)
    tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: seen.append(1))

    state = parameters.StartModify()
    parameters.count = 2
    parameters.count = 3
    parameters.EndModify(state)
    parameters.RemoveObserver(tag)
    parameters.count = 4

    assert seen == [1]
