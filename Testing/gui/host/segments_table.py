"""qMRMLSegmentsTableView: the segments of a segmentation, one row each."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from Testing.gui.host.mrml_widgets import qMRMLWidget
from Testing.gui.host.observing import Observations
from Testing.gui.host.standin import Computed, Prop

COLUMNS = ("visibility", "color", "opacity", "name", "status", "layer")
NAME = COLUMNS.index("name")
STATUSES = ("Not started", "In progress", "Completed", "Flagged")
ROLE = QtCore.Qt.ItemDataRole.UserRole
SELECTED = QtCore.QItemSelectionModel.SelectionFlag.Select
WHOLE_ROW = QtCore.QItemSelectionModel.SelectionFlag.Rows


class qMRMLSegmentsTableView(qMRMLWidget):
    """Follows the segmentation; visibility by click, name by editing."""

    selectionChanged = QtCore.Signal(QtCore.QItemSelection, QtCore.QItemSelection)
    segmentAboutToBeModified = QtCore.Signal(str)

    selectionMode = Prop(3, kind=int, changed="_apply_columns")
    headerVisible = Prop(True, kind=bool, changed="_apply_columns")
    visibilityColumnVisible = Prop(True, kind=bool, changed="_apply_columns")
    colorColumnVisible = Prop(True, kind=bool, changed="_apply_columns")
    opacityColumnVisible = Prop(True, kind=bool, changed="_apply_columns")
    statusColumnVisible = Prop(False, kind=bool, changed="_apply_columns")
    layerColumnVisible = Prop(False, kind=bool, changed="_apply_columns")
    readOnly = Prop(False, kind=bool, changed="_apply_columns")
    filterBarVisible = Prop(False, kind=bool)
    textFilter = Prop("", kind=str, changed="_refresh")
    jumpToSelectedSegmentEnabled = Prop(False, kind=bool)
    useTerminologySelector = Prop(True, kind=bool)
    terminologySelectorOptionVisible = Prop(True, kind=bool)
    terminologySelectorAutoDisable = Prop(True, kind=bool)
    segmentCount = Computed(lambda self: len(self.displayedSegmentIDs()))

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._hidden: list[str] = []
        self._is_filling = False
        self._observed = Observations(self)
        self._table = QtWidgets.QTableWidget(0, len(COLUMNS), self)
        self._table.setHorizontalHeaderLabels([name.capitalize() for name in COLUMNS])
        self._table.verticalHeader().setVisible(False)
        self._table.horizontalHeader().setSectionResizeMode(
            NAME, QtWidgets.QHeaderView.ResizeMode.Stretch
        )
        rows = QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows
        self._table.setSelectionBehavior(rows)
        column = QtWidgets.QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._table)
        self._table.connect("cellClicked(int,int)", self._clicked)
        self._table.connect("itemChanged(QTableWidgetItem*)", self._edited)
        self._table.selectionModel().connect(
            "selectionChanged(QItemSelection,QItemSelection)", self._selected
        )
        self._apply_columns()

    def segmentationNode(self) -> Any:
        """The segmentation shown."""
        return self._node

    def setSegmentationNode(self, node: Any) -> None:
        """Show a segmentation; anything else counts as None."""
        if node is not None and not node.IsA("vtkMRMLSegmentationNode"):
            node = None
        self._observed.clear()
        self._node = node
        if node is not None:
            segmentation = slicer.vtkSegmentation
            events = (
                segmentation.SegmentAdded,
                segmentation.SegmentRemoved,
                segmentation.SegmentModified,
                segmentation.SegmentsOrderModified,
                slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
            )
            for event in events:
                self._observed.add(node, event, "_refresh")
        self._refresh()

    def tableWidget(self) -> QtWidgets.QTableView:
        """The table."""
        return self._table

    def setHideSegments(self, segment_ids: list[str]) -> None:
        """Leave these segments out."""
        self._hidden = list(segment_ids)
        self._refresh()

    def hideSegments(self) -> list[str]:
        """The segments that are left out."""
        return list(self._hidden)

    def displayedSegmentIDs(self) -> list[str]:
        """IDs from top to bottom."""
        if self._node is None:
            return []
        segmentation = self._node.GetSegmentation()
        return [
            name
            for name in segmentation.GetSegmentIDs()
            if name not in self._hidden
            and self.textFilter.lower() in (segmentation.GetSegment(name).GetName() or "").lower()
        ]

    def segmentIDForRow(self, row: int) -> str:
        """ID of a row, "" beyond the end."""
        item = self._table.item(row, NAME)
        return "" if item is None else item.data(ROLE)

    def rowForSegmentID(self, segment_id: str) -> int:
        """Row of a segment, -1 when it is not shown."""
        for row in range(self._table.rowCount):
            if self.segmentIDForRow(row) == segment_id:
                return row
        return -1

    def selectedSegmentIDs(self) -> list[str]:
        """IDs of the selected rows, from top to bottom."""
        rows = {index.row() for index in self._table.selectionModel().selectedIndexes}
        return [self.segmentIDForRow(row) for row in sorted(rows)]

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        """Select these rows and no others."""
        model = self._table.model()
        selection = QtCore.QItemSelection()
        for segment_id in segment_ids:
            row = self.rowForSegmentID(segment_id)
            if row >= 0:
                selection.select(model.index(row, 0), model.index(row, len(COLUMNS) - 1))
        flag = QtCore.QItemSelectionModel.SelectionFlag.ClearAndSelect
        self._table.selectionModel().select(selection, flag)

    def clearSelection(self) -> None:
        """Select nothing."""
        self._table.clearSelection()

    def setSelectedSegmentsStatus(self, status: int = -1) -> None:
        """Set the review status of the selected segments."""
        for name in self.selectedSegmentIDs():
            segment = self._node.GetSegmentation().GetSegment(name)
            slicer.vtkSlicerSegmentationsModuleLogic.SetSegmentStatus(segment, status)

    def _apply_columns(self) -> None:
        table = self._table
        table.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode(self.selectionMode))
        table.horizontalHeader().setVisible(self.headerVisible)
        for name in ("visibility", "color", "opacity", "status", "layer"):
            table.setColumnHidden(COLUMNS.index(name), not getattr(self, f"{name}ColumnVisible"))
        self._refresh()

    def _refresh(self) -> None:
        if self._is_filling:
            return
        self._is_filling = True
        selected = self.selectedSegmentIDs()
        shown = self.displayedSegmentIDs()
        self._table.setRowCount(len(shown))
        for row, name in enumerate(shown):
            for column, item in enumerate(self._items(name)):
                self._table.setItem(row, column, item)
        if selected != self.selectedSegmentIDs():
            self.setSelectedSegmentIDs(selected)
        self._is_filling = False

    def _items(self, segment_id: str) -> list[QtWidgets.QTableWidgetItem]:
        segment = self._node.GetSegmentation().GetSegment(segment_id)
        display = self._node.GetDisplayNode()
        is_visible = display is None or display.GetSegmentVisibility(segment_id)
        opacity = 1.0 if display is None else display.GetSegmentOpacity3D(segment_id)
        status = slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentStatus(segment)
        layer = self._node.GetSegmentation().GetLayerIndex(segment_id)
        texts = (
            "shown" if is_visible else "hidden", "", f"{opacity:.2f}", segment.GetName(),
            STATUSES[status], str(layer),
        )  # fmt: skip
        items = [QtWidgets.QTableWidgetItem(text) for text in texts]
        items[1].setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
        fixed = ~QtCore.Qt.ItemFlag.ItemIsEditable
        for column, item in enumerate(items):
            item.setData(ROLE, segment_id)
            if column != NAME or self.readOnly:
                item.setFlags(item.flags() & fixed)
        return items

    def _selected(self, selected: Any, deselected: Any) -> None:
        if not self._is_filling:
            self.selectionChanged.emit(selected, deselected)

    def _clicked(self, row: int, column: int) -> None:
        if column == 0 and not self.readOnly:
            name = self.segmentIDForRow(row)
            display = self._node.GetDisplayNode()
            display.SetSegmentVisibility(name, not display.GetSegmentVisibility(name))

    def _edited(self, item: Any) -> None:
        if not self._is_filling and item.column() == NAME:
            name = item.data(ROLE)
            self.segmentAboutToBeModified.emit(name)
            self._node.GetSegmentation().GetSegment(name).SetName(item.text())
