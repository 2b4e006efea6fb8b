"""The stand-ins of CTK's widgets, and the .ui files that use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.host.ui_loader import UiFileError


@pytest.fixture
def ctk(host: Host) -> Any:
    import ctk

    return ctk


@pytest.mark.parametrize("kind", ["ctkSliderWidget", "ctkDoubleSlider", "ctkDoubleSpinBox"])
def test_a_number_stays_within_its_limits_and_tells_once(ctk: Any, kind: str) -> None:
    seen: list[float] = []
    widget = getattr(ctk, kind)()
    widget.minimum = -100
    widget.maximum = 600
    widget.connect("valueChanged(double)", seen.append)

    widget.value = 250.5
    widget.setValue(250.5)
    widget.value = 1000

    assert seen == [250.5, 600.0]
    assert widget.value == 600.0


def test_a_slider_rounds_to_its_decimals_and_shows_them(ctk: Any) -> None:
    slider = ctk.ctkSliderWidget()
    slider.decimals = 1
    slider.suffix = " mm"

    slider.value = 3.26

    assert slider.value == 3.3
    assert slider.spinBox().text == "3.3 mm"


def test_dragging_a_slider_moves_its_value(ctk: Any) -> None:
    slider = ctk.ctkSliderWidget()
    slider.setRange(0, 10)

    slider.slider().sliderMoved.emit(500)

    assert slider.value == 5.0


def test_a_range_keeps_its_values_in_order(ctk: Any) -> None:
    seen: list[tuple[float, float]] = []
    widget = ctk.ctkRangeWidget()
    widget.setRange(-1000, 3000)
    widget.connect("valuesChanged(double,double)", lambda low, high: seen.append((low, high)))

    widget.setValues(100, 200)
    widget.minimumValue = 500

    assert seen[-1] == (500.0, 500.0)


def test_a_section_is_open_when_it_is_checked(ctk: Any) -> None:
    seen: list[bool] = []
    section = ctk.ctkCollapsibleButton()
    section.text = "Inputs"
    section.connect("contentsCollapsed(bool)", seen.append)
    assert not section.collapsed

    section.collapsed = True
    section.checked = True

    assert seen == [True, False]
    assert not section.collapsed


def test_a_collapsed_section_takes_the_room_of_its_title(ctk: Any, host: Host) -> None:
    import qt

    section = ctk.ctkCollapsibleButton()
    form = qt.QVBoxLayout(section)
    for _ in range(5):
        form.addWidget(qt.QPushButton("x"))
    opened = section.sizeHint().height()

    section.collapsed = True

    assert opened > 100
    assert section.sizeHint().height() < 30
    assert section.maximumHeight < 30


def test_a_path_is_typed_or_browsed_and_cancel_keeps_it(ctk: Any, host: Host) -> None:
    seen: list[str] = []
    edit = ctk.ctkPathLineEdit()
    edit.filters = edit.Dirs
    edit.connect("currentPathChanged(QString)", seen.append)

    edit.currentPath = "/a"
    host.dialogs.answer("/b", "")
    edit.browse()
    edit.browse()

    assert seen == ["/a", "/b"]
    assert [dialog.kind for dialog in host.dialogs.shown] == ["file", "file"]


def test_a_path_comes_back_from_its_history(ctk: Any) -> None:
    first = ctk.ctkPathLineEdit()
    first.settingKey = "Export/folder"
    first.currentPath = "/results"
    first.addCurrentPathToHistory()

    second = ctk.ctkPathLineEdit()
    second.settingKey = "Export/folder"

    assert second.currentPath == "/results"


def test_a_folder_button_asks_for_a_folder(ctk: Any, host: Host) -> None:
    button = ctk.ctkDirectoryButton()
    host.dialogs.answer("/results")

    button.click()

    assert button.directory == "/results"
    assert button.text == "/results"


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("kind", ["ctkSliderWidget", "ctkPathLineEdit", "ctkCollapsibleButton"])
def test_stand_ins_refuse_unknown_attributes_too(ctk: Any, kind: str) -> None:
    widget = getattr(ctk, kind)()

    with pytest.raises(AttributeError, match="'valeu' does not exist"):
        widget.valeu = 3


def test_a_modules_own_subclass_of_a_stand_in_is_free(ctk: Any) -> None:
    class Mine(ctk.ctkComboBox):
        pass

    box = Mine()
    box.anything = 3

    assert box.anything == 3


def ui_file(folder: Path, body: str, connections: str = "") -> str:
    file = folder / "Panel.ui"
    file.write_text(
        f'<?xml version="1.0"?><ui version="4.0"><class>Panel</class>'
        f'<widget class="qMRMLWidget" name="Panel"><layout class="QVBoxLayout" name="l">'
        f"<item>{body}</item></layout></widget>"
        "<customwidgets><customwidget><class>ctkSliderWidget</class><extends>QWidget</extends>"
        "<header>h</header></customwidget><customwidget><class>qMRMLNodeComboBox</class>"
        "<extends>QWidget</extends><header>h</header></customwidget></customwidgets>"
        f"<connections>{connections}</connections></ui>"
    )
    return str(file)


def connection(signal: str, slot: str) -> str:
    return (
        f"<connection><sender>Panel</sender><signal>{signal}</signal>"
        f"<receiver>box</receiver><slot>{slot}</slot></connection>"
    )


SLIDER = (
    '<widget class="ctkSliderWidget" name="slider"><property name="{name}">'
    "<double>7.5</double></property></widget>"
)
BOX = '<widget class="qMRMLNodeComboBox" name="box"/>'


def test_a_ui_file_sets_the_properties_of_stand_ins(host: Host, tmp_path: Path) -> None:
    import slicer

    widget = slicer.util.loadUI(ui_file(tmp_path, SLIDER.format(name="value")))
    ui = slicer.util.childWidgetVariables(widget)

    assert ui.slider.value == 7.5
    assert ui.slider.className() == "ctkSliderWidget"


def test_a_ui_file_passes_the_scene_on(host: Host, tmp_path: Path) -> None:
    import slicer

    to = connection("mrmlSceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)")
    widget = slicer.util.loadUI(ui_file(tmp_path, BOX, to))
    box = slicer.util.findChild(widget, "box")
    assert not box.enabled

    widget.setMRMLScene(slicer.mrmlScene)

    assert box.mrmlScene() is slicer.mrmlScene
    assert box.enabled


@pytest.mark.parametrize(
    ("body", "connections", "complaint"),
    [
        (SLIDER.format(name="valeu"), "", "no property 'valeu'"),
        ('<widget class="ctkSlidreWidget" name="s"/>', "", "no stand-in for ctkSlidreWidget"),
        (BOX, connection("mrmlSceneChanged(vtkMRMLScene*)", "setScene(vtkMRMLScene*)"), "no slot"),
        (
            BOX,
            connection("sceneChanged(vtkMRMLScene*)", "setMRMLScene(vtkMRMLScene*)"),
            "no signal",
        ),
        (
            BOX,
            connection("mrmlSceneChanged(vtkMRMLScene*)", "setCurrentNode(vtkMRMLNode*)"),
            "does not fit",
        ),
    ],
)
def test_a_mistake_in_a_ui_file_is_an_error(
    host: Host, tmp_path: Path, body: str, connections: str, complaint: str
) -> None:
    import slicer

    with pytest.raises((UiFileError, ValueError), match=complaint):
        slicer.util.loadUI(ui_file(tmp_path, body, connections))
