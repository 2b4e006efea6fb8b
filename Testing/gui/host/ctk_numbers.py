"""CTK's widgets for numbers: slider, spin box and range, all in floating point."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from Testing.gui.host.standin import Computed, Prop, StandIn

STEPS = 1000  # of the integer slider under a floating-point one


class ctkDoubleSpinBox(StandIn, QtWidgets.QDoubleSpinBox):
    """QDoubleSpinBox with CTK's additions; `valueChanged(double)` as Qt's."""

    decimalsOption = Prop(0)
    invertedControls = Prop(False, kind=bool)


class ctkDoubleSlider(StandIn, QtWidgets.QWidget):
    """A slider over floating-point values."""

    valueChanged = QtCore.Signal(float)
    rangeChanged = QtCore.Signal(float, float)

    minimum = Prop(0.0, kind=float, changed="_limit")
    maximum = Prop(99.0, kind=float, changed="_limit")
    singleStep = Prop(1.0, kind=float)
    pageStep = Prop(10.0, kind=float)
    tracking = Prop(True, kind=bool)
    value = Computed(lambda self: self._value, lambda self, value: self._assign(value))

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._value = 0.0
        self._build()

    def _build(self) -> None:
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, STEPS)
        self._slider.connect("sliderMoved(int)", self._dragged)
        row.addWidget(self._slider)

    def setRange(self, low: float, high: float) -> None:
        """Set both limits; the value is moved into them."""
        self._minimum, self._maximum = float(low), float(high)
        self._limit()
        self.rangeChanged.emit(self.minimum, self.maximum)

    def _dragged(self, position: int) -> None:
        self._assign(self.minimum + (self.maximum - self.minimum) * position / STEPS)

    def _limit(self) -> None:
        self._assign(self._value)
        self._show()

    def _assign(self, value: float) -> None:
        value = min(max(float(value), self.minimum), self.maximum)
        if value != self._value:
            self._value = value
            self._show()
            self.valueChanged.emit(value)

    def _show(self) -> None:
        span = self.maximum - self.minimum
        self._slider.setSliderPosition(
            round(STEPS * (self._value - self.minimum) / span) if span > 0 else 0
        )


class ctkSliderWidget(ctkDoubleSlider):
    """A slider with a spin box beside it; the value is rounded to `decimals`."""

    valueIsChanging = QtCore.Signal(float)

    decimals = Prop(2, kind=int, changed="_show")
    suffix = Prop("", kind=str, changed="_show")
    prefix = Prop("", kind=str, changed="_show")
    spinBoxVisible = Prop(True, kind=bool, changed="_show")

    def _build(self) -> None:
        super()._build()
        self._box = QtWidgets.QDoubleSpinBox(self)
        self._box.connect("valueChanged(double)", self._assign)
        self.layout().addWidget(self._box)
        self._show()

    def spinBox(self) -> QtWidgets.QDoubleSpinBox:
        """The spin box."""
        return self._box

    def slider(self) -> QtWidgets.QSlider:
        """The slider."""
        return self._slider

    def _assign(self, value: float) -> None:
        super()._assign(round(float(value), self.decimals))

    def _show(self) -> None:
        super()._show()
        box = self._box
        blocked = box.blockSignals(True)
        box.setDecimals(self.decimals)
        box.setRange(self.minimum, self.maximum)
        box.setSingleStep(self.singleStep)
        box.setPrefix(self.prefix)
        box.setSuffix(self.suffix)
        box.setValue(self._value)
        box.setVisible(self.spinBoxVisible)
        box.blockSignals(blocked)


class ctkRangeWidget(StandIn, QtWidgets.QWidget):
    """Two numbers, the lower never above the upper."""

    valuesChanged = QtCore.Signal(float, float)
    minimumValueChanged = QtCore.Signal(float)
    maximumValueChanged = QtCore.Signal(float)

    minimum = Prop(0.0, kind=float, changed="_limit")
    maximum = Prop(99.0, kind=float, changed="_limit")
    singleStep = Prop(1.0, kind=float, changed="_show")
    decimals = Prop(2, kind=int, changed="_show")
    suffix = Prop("", kind=str, changed="_show")
    minimumValue = Computed(
        lambda self: self._low, lambda self, value: self.setValues(value, max(value, self._high))
    )
    maximumValue = Computed(
        lambda self: self._high, lambda self, value: self.setValues(min(value, self._low), value)
    )

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._low, self._high = 0.0, 99.0
        row = QtWidgets.QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        self._boxes = [QtWidgets.QDoubleSpinBox(self), QtWidgets.QDoubleSpinBox(self)]
        for box in self._boxes:
            row.addWidget(box)
        self._boxes[0].connect("valueChanged(double)", self.setMinimumValue)
        self._boxes[1].connect("valueChanged(double)", self.setMaximumValue)
        self._show()

    def setRange(self, low: float, high: float) -> None:
        """Set the limits of both values."""
        self._minimum, self._maximum = float(low), float(high)
        self._limit()

    def setValues(self, low: float, high: float) -> None:
        """Set both values, moved into the limits."""
        inside = [min(max(float(v), self.minimum), self.maximum) for v in (low, high)]
        before = (self._low, self._high)
        self._low, self._high = inside
        self._show()
        if self._low != before[0]:
            self.minimumValueChanged.emit(self._low)
        if self._high != before[1]:
            self.maximumValueChanged.emit(self._high)
        if before != (self._low, self._high):
            self.valuesChanged.emit(self._low, self._high)

    def _limit(self) -> None:
        self.setValues(self._low, self._high)

    def _show(self) -> None:
        for box, value in zip(self._boxes, (self._low, self._high), strict=True):
            blocked = box.blockSignals(True)
            box.setDecimals(self.decimals)
            box.setRange(self.minimum, self.maximum)
            box.setSingleStep(self.singleStep)
            box.setSuffix(self.suffix)
            box.setValue(value)
            box.blockSignals(blocked)
