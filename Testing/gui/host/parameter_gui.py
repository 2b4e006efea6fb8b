"""Which widget shows which parameter: the connectors behind `connectGui`."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PySide6 import QtWidgets

from Testing.gui.host.parameter_types import (
    Choice,
    Decimals,
    Parameter,
    SingleStep,
    WithinRange,
)


@dataclass
class Binding:
    """One widget tied to one parameter.

    Attributes:
        parameter: the parameter.
        widget: the widget.
        read: value of the widget as the parameter's type.
        write: shows a value.
        signal: signature of the signal that tells of a change by the user.
    """

    parameter: Parameter
    widget: Any
    read: Callable[[], Any]
    write: Callable[[Any], None]
    signal: str
    slot: Callable[[], None] | None = field(default=None)

    def listen(self, slot: Callable[[], None]) -> None:
        """Call `slot` when the widget changes."""
        self.slot = slot
        self.widget.connect(self.signal, slot)

    def unlisten(self) -> None:
        """Stop calling."""
        self.widget.disconnect(self.signal, self.slot)


def named_widgets(gui: Any) -> Iterator[Any]:
    """Widgets of `gui` that carry a parameter's name."""
    widgets = gui.findChildren(QtWidgets.QWidget) if isinstance(gui, QtWidgets.QWidget) else None
    for widget in vars(gui).values() if widgets is None else widgets:
        if isinstance(widget, QtWidgets.QWidget) and widget.property("SlicerParameterName"):
            yield widget


def bind(parameter: Parameter, widget: Any) -> Binding:
    """Tie a widget to a parameter.

    Raises:
        RuntimeError: this widget cannot show such a value.
    """
    for makes, maker in _MAKERS:
        if makes(parameter, widget):
            return maker(parameter, widget)
    raise RuntimeError(f"no connector from {type(widget).__name__} to {parameter.kind}")


def _node(parameter: Parameter, widget: Any) -> Binding:
    signal = "currentNodeChanged(vtkMRMLNode*)"
    return Binding(parameter, widget, widget.currentNode, widget.setCurrentNode, signal)


def _check(parameter: Parameter, widget: Any) -> Binding:
    return Binding(parameter, widget, lambda: widget.checked, widget.setChecked, "toggled(bool)")


def _combo(parameter: Parameter, widget: Any) -> Binding:
    """Filled from the enumeration or the choices; text by `label()` where there is one."""
    is_enum = isinstance(parameter.kind, type) and issubclass(parameter.kind, enum.Enum)
    choices = [a.choices for a in parameter.annotations if isinstance(a, Choice)]
    values: list[Any] = list(parameter.kind) if is_enum else (choices[0] if choices else [])
    if values:
        widget.clear()
        for value in values:
            widget.addItem(_text(value))

    def read() -> Any:
        if values:
            return values[widget.currentIndex]
        return parameter.kind(widget.currentText)

    def write(value: Any) -> None:
        widget.setCurrentIndex(values.index(value) if values else widget.findText(str(value)))

    return Binding(parameter, widget, read, write, "currentIndexChanged(int)")


def _text(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return str(value.label()) if hasattr(value, "label") else value.name
    return str(value)


def _number(parameter: Parameter, widget: Any) -> Binding:
    for annotation in parameter.annotations:
        if isinstance(annotation, WithinRange):
            # A missing limit leaves what the .ui file says.
            if annotation.minimum > float("-inf"):
                widget.minimum = annotation.minimum
            if annotation.maximum < float("inf"):
                widget.maximum = annotation.maximum
        elif isinstance(annotation, Decimals):
            widget.decimals = annotation.value
        elif isinstance(annotation, SingleStep):
            widget.singleStep = annotation.value
    whole = isinstance(widget, (QtWidgets.QSpinBox, QtWidgets.QSlider))
    return Binding(
        parameter,
        widget,
        lambda: parameter.kind(widget.value),
        lambda value: widget.setValue(int(value) if whole else float(value)),
        "valueChanged(int)" if whole else "valueChanged(double)",
    )


def _line(parameter: Parameter, widget: Any) -> Binding:
    def write(value: str) -> None:
        if widget.text != value:  # the cursor stays where it is
            widget.setText(value)

    return Binding(parameter, widget, lambda: widget.text, write, "textChanged(QString)")


def _plain_text(parameter: Parameter, widget: Any) -> Binding:
    def write(value: str) -> None:
        if widget.plainText != value:
            widget.setPlainText(value)

    return Binding(parameter, widget, lambda: widget.plainText, write, "textChanged()")


def _path(parameter: Parameter, widget: Any) -> Binding:
    is_line = hasattr(type(widget), "currentPath")

    def read() -> Any:
        return parameter.kind(widget.currentPath if is_line else widget.directory)

    def write(value: Any) -> None:
        text = "" if value in {None, Path()} else str(value)
        if is_line:
            widget.setCurrentPath(text)
        else:
            widget.setDirectory(text)

    signal = "currentPathChanged(QString)" if is_line else "directoryChanged(QString)"
    return Binding(parameter, widget, read, write, signal)


def _is(kind: Any, *kinds: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, kinds)


_MAKERS: tuple[
    tuple[Callable[[Parameter, Any], bool], Callable[[Parameter, Any], Binding]], ...
] = (
    (lambda p, w: p.is_node and hasattr(type(w), "setCurrentNode"), _node),
    (lambda p, w: p.kind is bool and isinstance(w, QtWidgets.QAbstractButton), _check),
    (lambda p, w: _is(p.kind, str, enum.Enum) and isinstance(w, QtWidgets.QComboBox), _combo),
    (lambda p, w: p.kind in {int, float} and hasattr(type(w), "setValue"), _number),
    (lambda p, w: p.kind is str and isinstance(w, QtWidgets.QLineEdit), _line),
    (lambda p, w: p.kind is str and hasattr(type(w), "plainText"), _plain_text),
    (
        lambda p, w: (
            _is(p.kind, str, Path)
            and (hasattr(type(w), "currentPath") or hasattr(type(w), "directory"))
        ),
        _path,
    ),
)
