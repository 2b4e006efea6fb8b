"""CTK's containers, buttons, texts and combo boxes."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from Testing.gui.host.standin import Computed, Prop, StandIn

HEADER_HEIGHT = 24
UNLIMITED = 16777215  # QWIDGETSIZE_MAX


class ctkCollapsibleButton(StandIn, QtWidgets.QAbstractButton):
    """A titled section; `checked` means open, `collapsed` is its opposite.

    Closed, its content is clipped away; CTK hides each child instead.
    """

    contentsCollapsed = QtCore.Signal(bool)

    contentsFrameShape = Prop(0)
    contentsFrameShadow = Prop(0)
    contentsLineWidth = Prop(1, kind=int)
    contentsMidLineWidth = Prop(0, kind=int)
    collapsedHeight = Prop(10, kind=int)
    flat = Prop(False, kind=bool)
    buttonTextAlignment = Prop(0)
    collapsed = Computed(
        lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value)
    )

    def __init__(self, parent: Any = None, *_text: Any) -> None:
        text = parent if isinstance(parent, str) else ""
        super().__init__(None if isinstance(parent, str) else parent)
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setContentsMargins(0, HEADER_HEIGHT, 0, 0)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Minimum, QtWidgets.QSizePolicy.Policy.Fixed)
        self.connect("toggled(bool)", self._toggled)

    def _toggled(self, is_open: bool) -> None:
        self.setMaximumHeight(UNLIMITED if is_open else HEADER_HEIGHT)
        self.setMinimumHeight(0 if is_open else HEADER_HEIGHT)
        self.contentsCollapsed.emit(not is_open)

    def sizeHint(self) -> QtCore.QSize:
        """Room for the content under the title."""
        if not self.isChecked() or self.layout() is None:
            return QtCore.QSize(120, HEADER_HEIGHT)
        return self.layout().totalSizeHint()

    def minimumSizeHint(self) -> QtCore.QSize:
        """As the size hint: sections are not squeezed."""
        if not self.isChecked() or self.layout() is None:
            return QtCore.QSize(120, HEADER_HEIGHT)
        return self.layout().totalMinimumSize()

    def hitButton(self, position: QtCore.QPoint) -> bool:
        """Only the title reacts to the mouse."""
        return position.y() <= HEADER_HEIGHT

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        """Draw the title bar with its arrow."""
        painter = QtGui.QPainter(self)
        bar = QtCore.QRect(0, 0, self.width, HEADER_HEIGHT - 2)
        painter.fillRect(bar, self.palette.color(QtGui.QPalette.ColorRole.Button).darker(108))
        arrow = "\N{BLACK DOWN-POINTING SMALL TRIANGLE}"
        if not self.isChecked():
            arrow = "\N{BLACK RIGHT-POINTING SMALL TRIANGLE}"
        painter.setPen(self.palette.color(QtGui.QPalette.ColorRole.ButtonText))
        side = QtCore.Qt.AlignmentFlag.AlignVCenter | QtCore.Qt.AlignmentFlag.AlignLeft
        painter.drawText(bar.adjusted(6, 0, 0, 0), int(side), f"{arrow}  {self.text}")
        painter.end()


class ctkCollapsibleGroupBox(StandIn, QtWidgets.QGroupBox):
    """A group box that opens and closes; `checked` means open."""

    collapsed = Computed(
        lambda self: not self.isChecked(), lambda self, value: self.setChecked(not value)
    )
    collapsedHeight = Prop(14, kind=int)

    def __init__(self, parent: Any = None, *_more: Any) -> None:
        super().__init__(parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.connect("toggled(bool)", self._toggled)

    def _toggled(self, is_open: bool) -> None:
        self.setMaximumHeight(UNLIMITED if is_open else HEADER_HEIGHT)


class ctkComboBox(StandIn, QtWidgets.QComboBox):
    """A combo box with a text for "nothing chosen"."""

    defaultText = Prop("", kind=str, changed="_show")
    defaultIcon = Prop(None)
    forceDefault = Prop(False, kind=bool)
    elideMode = Prop(3)
    scrollWheelEffect = Prop(0)

    def _show(self) -> None:
        self.setPlaceholderText(self.defaultText)


class ctkCheckBox(StandIn, QtWidgets.QCheckBox):
    """A check box with an icon of its own."""

    indicatorIcon = Prop(None)
    indicatorIconSize = Prop(None)


class ctkPushButton(StandIn, QtWidgets.QPushButton):
    """A push button with alignments."""

    buttonTextAlignment = Prop(0)
    iconAlignment = Prop(0)
    elideMode = Prop(0)


class ctkMenuButton(ctkPushButton):
    """A push button with an arrow that opens a menu."""

    showMenuOnClick = Prop(False, kind=bool)


class ctkSearchBox(StandIn, QtWidgets.QLineEdit):
    """A line edit to search with."""

    showSearchIcon = Prop(False, kind=bool)
    alwaysShowClearIcon = Prop(False, kind=bool)


class ctkFittedTextBrowser(StandIn, QtWidgets.QTextBrowser):
    """A text that is as high as it needs; may start collapsed."""

    collapsed = Prop(True, kind=bool)
    collapsible = Prop(True, kind=bool)


class ctkColorPickerButton(StandIn, QtWidgets.QPushButton):
    """A button that shows and asks for a colour."""

    colorChanged = QtCore.Signal(QtGui.QColor)
    color = Prop(QtGui.QColor("black"), kind=QtGui.QColor, signal="colorChanged")
    displayColorName = Prop(True, kind=bool)
    dialogOptions = Prop(0)


class ctkButtonGroup(StandIn, QtWidgets.QButtonGroup):
    """A button group in which an exclusive button can be unchecked by a second click."""
