"""The main window: the module panel on the left, the views on the right."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets

from Testing.gui.host.standin import StandIn

PANEL_WIDTH = 440
SCROLL_BAR_WIDTH = 20
SIZE = (1400, 900)


class ModuleSelector(StandIn, QtWidgets.QLabel):
    """Shows which module is open; `selectModule` opens another."""

    moduleSelected = QtCore.Signal(str)

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._selected = ""

    def selectModule(self, name: str) -> None:
        """Open a module."""
        if name != self._selected:
            self._selected = name
            self.setText(f"Module: {name}" if name else "")
            self.moduleSelected.emit(name)

    def selectedModule(self) -> str:
        """The open module's name."""
        return self._selected


class MainWindow(StandIn, QtWidgets.QMainWindow):
    """`slicer.util.mainWindow()`, found by its object name."""

    def __init__(self, layout_manager: Any) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (test host)")
        self._selector = ModuleSelector(self)
        self._selector.connect("moduleSelected(QString)", self._show_module)
        self._scroll = QtWidgets.QScrollArea(self)
        self._scroll.setWidgetResizable(True)
        self._scroll.setMinimumWidth(PANEL_WIDTH)
        self._scroll.setHorizontalScrollBarPolicy(
            QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff  # a panel is as wide as it needs
        )
        panel = QtWidgets.QWidget(self)
        column = QtWidgets.QVBoxLayout(panel)
        column.setContentsMargins(4, 4, 4, 4)
        column.addWidget(self._selector)
        column.addWidget(self._scroll)
        splitter = QtWidgets.QSplitter(self)
        splitter.addWidget(panel)
        if layout_manager is not None:
            splitter.addWidget(layout_manager.viewport())
            splitter.setStretchFactor(1, 1)
        self.setCentralWidget(splitter)
        self._open: Any = None
        splitter.setSizes([PANEL_WIDTH, SIZE[0] - PANEL_WIDTH])
        self.resize(*SIZE)

    def moduleSelector(self) -> ModuleSelector:
        """The list of modules."""
        return self._selector

    def close_module(self) -> None:
        """Leave the open module; its panel stays alive."""
        self._selector.selectModule("")

    def _show_module(self, name: str) -> None:
        import slicer

        previous, self._open = self._open, None
        if previous is not None:
            previous.exit()
            self._scroll.takeWidget()
            previous.setParent(None)
        module = slicer.app.moduleManager().module(name)
        widget = None if module is None else module.widgetRepresentation()
        if widget is not None:
            self._open = widget
            self._scroll.setWidget(widget)
            needed = widget.minimumSizeHint().width() + SCROLL_BAR_WIDTH
            self._scroll.setMinimumWidth(max(PANEL_WIDTH, needed))
            widget.show()
            widget.enter()
