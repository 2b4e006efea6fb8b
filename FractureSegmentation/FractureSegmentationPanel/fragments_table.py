"""Section Fragments: the table of fragments, what a person has reviewed, and surfaces."""

from __future__ import annotations

from typing import Any

import qt
from slicer.i18n import tr as _

from FractureSegmentationPanel.fragment_rows import FragmentRow
from FractureSegmentationPanel.messages import busy_cursor, telling
from FractureSegmentationPanel.places_table import PlacesTable

VISIBLE, COLOR, NAME, VOLUME, CONFIDENCE, REVIEWED = range(6)
_ID_ROLE = 32  # Qt::UserRole
_DIGIT = qt.Qt.AlignRight | qt.Qt.AlignVCenter


class FragmentsSection:
    """One row per fragment; a click shows it in all views.

    Args:
        panel: the widget that this is a section of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._is_filling = False
        self._rows: tuple[FragmentRow, ...] = ()
        self.areEdited = False
        self.places = PlacesTable(panel)
        self._set_up_table(self._ui.fragmentsTable)
        self._ui.acceptButton.connect("clicked()", self.onAccept)
        self._ui.showSurfacesCheckBox.connect("toggled(bool)", self.onShowSurfaces)

    def selectedSegmentIds(self) -> list[str]:
        """The segments of the selected rows, from top to bottom."""
        model = self._ui.fragmentsTable.selectionModel()
        rows = sorted(index.row() for index in model.selectedRows())
        return [self._rows[row].segment_id for row in rows if row < len(self._rows)]

    def select(self, segment_ids: list[str]) -> None:
        """Select rows by their segments."""
        table = self._ui.fragmentsTable
        table.clearSelection()
        for row, one in enumerate(self._rows):
            if one.segment_id in segment_ids:
                for column in range(table.columnCount):
                    table.item(row, column).setSelected(True)

    def refresh(self) -> None:
        """Show the fragments as they are now; the selection stays with its segments."""
        selected = self.selectedSegmentIds()
        segmentation, before = self._panel.segmentation(), self._rows
        self._rows = self._logic.fragmentRows(segmentation) if segmentation else ()
        self.areEdited = _what_a_plan_shows(self._rows) != _what_a_plan_shows(before)
        self._is_filling = True
        try:
            self._fill(self._ui.fragmentsTable)
            self.select(selected)
        finally:
            self._is_filling = False
        self.places.refresh()
        self._show_review()
        self.onSelectionChanged()

    def onSelectionChanged(self) -> None:
        """Tell the panel, for most buttons ask for a selection."""
        if not self._is_filling:
            self._ui.acceptButton.enabled = bool(self.selectedSegmentIds())
            self._panel.selectionChanged()

    def onCellClicked(self, row: int, column: int) -> None:
        """Centre the views on the fragment."""
        if column in {VISIBLE, REVIEWED} or row >= len(self._rows):
            return
        with telling(self._ui.fragmentsMessageLabel):
            self._logic.goToFragment(self._panel.segmentation(), self._rows[row].segment_id)

    def onCellDoubleClicked(self, row: int, column: int) -> None:
        """Choose another colour."""
        if column != COLOR or row >= len(self._rows):
            return
        chosen = qt.QColorDialog.getColor(qt.QColor.fromRgbF(*self._rows[row].color))
        if chosen.isValid():
            color = (chosen.redF(), chosen.greenF(), chosen.blueF())
            self._logic.setColor(self._panel.segmentation(), self._rows[row].segment_id, color)

    def onItemChanged(self, item: Any) -> None:
        """Show or hide a fragment, or accept it."""
        if self._is_filling or item.column() not in {VISIBLE, REVIEWED}:
            return
        segment_id, is_on = item.data(_ID_ROLE), item.checkState() == qt.Qt.Checked
        with telling(self._ui.fragmentsMessageLabel):
            if item.column() == VISIBLE:
                self._logic.setVisible(self._panel.segmentation(), segment_id, is_on)
            else:
                self._logic.setReviewed(self._panel.segmentation(), [segment_id], is_on)
                self._panel.fragmentsChanged()

    def onAccept(self) -> None:
        """Mark the selected fragments as reviewed."""
        with telling(self._ui.fragmentsMessageLabel):
            self._logic.setReviewed(self._panel.segmentation(), self.selectedSegmentIds(), True)
            self._panel.fragmentsChanged()

    def onShowSurfaces(self, is_shown: bool) -> None:
        """Make or remove the surfaces."""
        segmentation = self._panel.segmentation()
        if segmentation is None or not segmentation.GetSegmentation().GetNumberOfSegments():
            return
        with telling(self._ui.fragmentsMessageLabel), busy_cursor():
            self._logic.showSurfaces(segmentation, is_shown)

    def _set_up_table(self, table: Any) -> None:
        table.setColumnCount(6)
        table.setHorizontalHeaderLabels(
            ["", "", _("Fragment"), _("cm³"), _("Confidence"), _("Reviewed")]
        )
        table.horizontalHeaderItem(VISIBLE).setToolTip(_("Whether the fragment is shown"))
        table.horizontalHeaderItem(COLOR).setToolTip(_("Double-click to choose another colour"))
        table.horizontalHeaderItem(CONFIDENCE).setToolTip(
            _("How sure the method is; empty once a fragment was edited")
        )
        header = table.horizontalHeader()
        header.setMinimumSectionSize(24)
        for column in range(6):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        table.verticalHeader().hide()
        table.setSelectionBehavior(qt.QAbstractItemView.SelectRows)
        table.setSelectionMode(qt.QAbstractItemView.ExtendedSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.connect("itemSelectionChanged()", self.onSelectionChanged)
        table.connect("cellClicked(int,int)", self.onCellClicked)
        table.connect("cellDoubleClicked(int,int)", self.onCellDoubleClicked)
        table.connect("itemChanged(QTableWidgetItem*)", self.onItemChanged)

    def _fill(self, table: Any) -> None:
        table.setRowCount(len(self._rows))
        for row, one in enumerate(self._rows):
            table.setItem(row, VISIBLE, _check_item(one.segment_id, one.is_visible))
            swatch = qt.QTableWidgetItem("")
            swatch.setFlags(qt.Qt.ItemIsEnabled)
            swatch.setBackground(qt.QBrush(qt.QColor.fromRgbF(*one.color)))
            table.setItem(row, COLOR, swatch)
            name = qt.QTableWidgetItem(one.name)
            name.setToolTip(one.name)
            table.setItem(row, NAME, name)
            volume = qt.QTableWidgetItem(f"{one.volume_mm3 / 1000.0:.1f}")
            volume.setTextAlignment(_DIGIT)
            table.setItem(row, VOLUME, volume)
            known = "" if one.confidence is None else f"{one.confidence:.0%}"
            confidence = qt.QTableWidgetItem(known)
            confidence.setTextAlignment(_DIGIT)
            table.setItem(row, CONFIDENCE, confidence)
            table.setItem(row, REVIEWED, _check_item(one.segment_id, one.is_reviewed))

    def _show_review(self) -> None:
        if not self._rows:
            self._ui.reviewLabel.text = ""
            return
        done = sum(one.is_reviewed for one in self._rows)
        self._ui.reviewLabel.text = _("{done} of {all} reviewed").format(
            done=done, all=len(self._rows)
        )


def _what_a_plan_shows(rows: tuple[FragmentRow, ...]) -> list[tuple[Any, ...]]:
    return [(one.segment_id, one.name, one.color, one.volume_mm3) for one in rows]


def _check_item(segment_id: str, is_on: bool) -> Any:
    item = qt.QTableWidgetItem("")
    item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
    item.setCheckState(qt.Qt.Checked if is_on else qt.Qt.Unchecked)
    item.setData(_ID_ROLE, segment_id)
    return item
