"""Widgets bound to parameters by `connectGui`, as the developer guide describes it."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import pytest

from Testing.gui.host.host import Host


class Axis(enum.Enum):
    X = 0
    Y = 1

    def label(self) -> str:
        return f"{self.name} axis"


@pytest.fixture
def node(host: Host) -> Any:
    return host.scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def wrapped(**members: Any) -> type:
    """A wrapper class with {name: type} or {name: (type, default)}."""
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    hints = {name: m[0] if isinstance(m, tuple) else m for name, m in members.items()}
    defaults = {name: m[1] for name, m in members.items() if isinstance(m, tuple)}
    return parameterNodeWrapper(type("Parameters", (), {"__annotations__": hints, **defaults}))


class Gui:
    """What `childWidgetVariables` gives."""


def bound(kind: Any, widget: Any, node: Any) -> Any:
    widget.setObjectName("widget")
    parameters = wrapped(parameter=kind)(node)
    parameters.tag = parameters.connectParametersToGui({"parameter": widget})
    return parameters


@pytest.mark.parametrize(
    ("module", "widget_class", "kind", "attribute", "value"),
    [
        ("qt", "QCheckBox", bool, "checked", True),
        ("qt", "QSpinBox", int, "value", 7),
        ("qt", "QDoubleSpinBox", float, "value", 2.5),
        ("qt", "QSlider", int, "value", 9),
        ("ctk", "ctkSliderWidget", float, "value", 2.5),
        ("ctk", "ctkDoubleSpinBox", float, "value", 2.5),
        ("qt", "QLineEdit", str, "text", "abc"),
        ("qt", "QPlainTextEdit", str, "plainText", "a\nb"),
        ("ctk", "ctkPathLineEdit", Path, "currentPath", "/a/b"),
        ("ctk", "ctkDirectoryButton", Path, "directory", "/a/b"),
    ],
)
def test_widget_and_parameter_follow_each_other_until_they_are_parted(
    node: Any, module: str, widget_class: str, kind: Any, attribute: str, value: Any
) -> None:
    widget = getattr(__import__(module), widget_class)()
    parameters = bound(kind, widget, node)
    before = getattr(widget, attribute)

    setattr(widget, attribute, value)
    assert parameters.parameter == kind(value)
    parameters.parameter = kind(before)
    assert getattr(widget, attribute) in {before, str(kind(before))}

    parameters.disconnectGui(parameters.tag)
    setattr(widget, attribute, value)
    assert parameters.parameter == kind(before)


def test_a_checkable_button_is_a_bool(node: Any) -> None:
    import qt

    button = qt.QPushButton()
    button.checkable = True
    parameters = bound(bool, button, node)

    button.click()

    assert parameters.parameter is True


def test_a_combo_box_offers_the_enumeration_by_its_labels(node: Any) -> None:
    import qt

    box = qt.QComboBox()
    parameters = bound(Axis, box, node)
    assert [box.itemText(n) for n in range(box.count)] == ["X axis", "Y axis"]

    box.currentText = "Y axis"

    assert parameters.parameter is Axis.Y
    assert node.GetParameter("parameter") == "Y"


def test_limits_reach_the_widget(node: Any) -> None:
    import ctk
    from slicer.parameterNodeWrapper import Decimals, SingleStep, WithinRange

    slider = ctk.ctkSliderWidget()

    bound(Annotated[float, WithinRange(-5, 5), Decimals(0), SingleStep(2)], slider, node)

    assert (slider.minimum, slider.maximum) == (-5.0, 5.0)
    assert (slider.decimals, slider.singleStep) == (0, 2)


def test_a_node_selector_follows_its_parameter(host: Host, node: Any) -> None:
    import slicer

    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    parameters = bound(slicer.vtkMRMLScalarVolumeNode, selector, node)
    volume = host.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")

    selector.setCurrentNode(volume)
    assert parameters.parameter is volume
    parameters.parameter = None

    assert selector.currentNode() is None


def test_connect_gui_binds_what_names_a_parameter_and_loses_its_tag(host: Host, node: Any) -> None:
    import qt

    gui = Gui()
    gui.widget = qt.QCheckBox()
    gui.widget.setProperty("SlicerParameterName", "parameter")
    parameters = wrapped(parameter=bool)(node)

    tag = parameters.connectGui(gui)
    parameters.disconnectGui(tag)
    gui.widget.checked = True

    assert tag is None
    assert parameters.parameter is True


def test_a_parted_connection_leaves_its_observer_on_the_node(host: Host, node: Any) -> None:
    """Another connection of the same wrapper is shown by both observers."""
    import qt

    box = qt.QCheckBox()
    parameters = wrapped(parameter=bool)(node)
    shown: list[bool] = []
    parameters.disconnectGui(parameters.connectParametersToGui({"parameter": box}))
    parameters.connectParametersToGui({"parameter": box})
    binding = parameters._bindings[1][0]
    write = binding.write
    binding.write = lambda value: (shown.append(value), write(value))

    parameters.parameter = True

    assert shown == [True, True]


def test_a_kept_wrapper_has_its_defaults_again_after_the_node_was_emptied(node: Any) -> None:
    parameters = wrapped(parameter=(int, 3))(node)
    node.UnsetParameter("parameter")

    assert parameters.parameter == 3


def test_a_widget_that_names_no_parameter_is_an_error(host: Host, node: Any) -> None:
    import qt

    gui = Gui()
    gui.widget = qt.QCheckBox()
    gui.widget.setProperty("SlicerParameterName", "paramter")

    with pytest.raises(ValueError, match="paramter"):
        wrapped(parameter=bool)(node).connectGui(gui)


def test_a_widget_that_cannot_show_the_value_is_an_error(node: Any) -> None:
    import qt

    with pytest.raises(RuntimeError, match="no connector from QLabel"):
        bound(int, qt.QLabel(), node)
