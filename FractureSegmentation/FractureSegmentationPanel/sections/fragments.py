"""Section Fragments: the tables of doubtful places and of fragments, review, and surfaces."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FractureSegmentationPanel.logic.fragments import FragmentRow
from FractureSegmentationPanel.sections.messages import busy_cursor, failures_shown_in

if TYPE_CHECKING:
    from FractureSegmentationLib.editing.suspicion import SuspiciousPlace

VISIBLE, COLOR, NAME, VOLUME, CONFIDENCE, REVIEWED = range(6)
_ID_ROLE = 32  # Qt::UserRole
_DIGIT = qt.Qt.AlignRight | qt.Qt.AlignVCenter
_MOST_ROWS_SHOWN = 4
_LEAST_WIDTH = 180
_READ_ONLY = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
_BUTTON_HEIGHT = 26


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
        """Notify the panel, for most buttons need a selection."""
        if not self._is_filling:
            self._ui.acceptButton.enabled = bool(self.selectedSegmentIds())
            self._panel.selectionChanged()

    def onCellClicked(self, row: int, column: int) -> None:
        """Centre the views on the fragment."""
        if column in {VISIBLE, REVIEWED} or row >= len(self._rows):
            return
        with failures_shown_in(self._ui.fragmentsMessageLabel):
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
        """Show or hide a fragment, accept it, or give it another name."""
        if self._is_filling or item.column() not in {VISIBLE, NAME, REVIEWED}:
            return
        if item.column() == NAME:
            self._rename(item)
            return
        segment_id, is_on = item.data(_ID_ROLE), item.checkState() == qt.Qt.Checked
        with failures_shown_in(self._ui.fragmentsMessageLabel):
            if item.column() == VISIBLE:
                self._logic.setVisible(self._panel.segmentation(), segment_id, is_on)
            else:
                self._logic.setReviewed(self._panel.segmentation(), [segment_id], is_on)
                self._panel.fragmentsChanged()

    def _rename(self, item: Any) -> None:
        with failures_shown_in(self._ui.fragmentsMessageLabel):
            self._logic.rename(self._panel.segmentation(), item.data(_ID_ROLE), item.text())
        # The cell's line edit is still open; a refill would take it away under Qt.
        qt.QTimer.singleShot(0, self._panel.fragmentsChanged)

    def onAccept(self) -> None:
        """Mark the selected fragments as reviewed."""
        with failures_shown_in(self._ui.fragmentsMessageLabel):
            self._logic.setReviewed(self._panel.segmentation(), self.selectedSegmentIds(), True)
            self._panel.fragmentsChanged()

    def onShowSurfaces(self, is_shown: bool) -> None:
        """Make or remove the surfaces."""
        segmentation = self._panel.segmentation()
        if segmentation is None or not segmentation.GetSegmentation().GetNumberOfSegments():
            return
        with failures_shown_in(self._ui.fragmentsMessageLabel), busy_cursor():
            self._logic.showSurfaces(segmentation, is_shown)

    def _set_up_table(self, table: Any) -> None:
        table.setColumnCount(6)
        table.setHorizontalHeaderLabels(
            ["", "", _("Fragment"), _("cm³"), _("Confidence"), _("Reviewed")]
        )
        table.horizontalHeaderItem(VISIBLE).setToolTip(_("Whether the fragment is shown"))
        table.horizontalHeaderItem(COLOR).setToolTip(_("Double-click to choose another colour"))
        table.horizontalHeaderItem(NAME).setToolTip(_("Double-click a name to change it"))
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
        table.setEditTriggers(
            qt.QAbstractItemView.DoubleClicked | qt.QAbstractItemView.EditKeyPressed
        )
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
            name.setData(_ID_ROLE, one.segment_id)
            table.setItem(row, NAME, name)
            volume = qt.QTableWidgetItem(f"{one.volume_mm3 / 1000.0:.1f}")
            volume.setTextAlignment(_DIGIT)
            volume.setFlags(_READ_ONLY)
            table.setItem(row, VOLUME, volume)
            known = "" if one.confidence is None else f"{one.confidence:.0%}"
            confidence = qt.QTableWidgetItem(known)
            confidence.setTextAlignment(_DIGIT)
            confidence.setFlags(_READ_ONLY)
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


class PlacesTable:
    """Doubtful places, the most doubtful first; hidden where there is none.

    Args:
        panel: the widget that this is a part of.
    """

    def __init__(self, panel: Any) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._places: tuple[SuspiciousPlace, ...] = ()
        table = self._ui.placesTable
        table.setColumnCount(2)
        table.horizontalHeader().hide()
        table.verticalHeader().hide()
        table.setSelectionMode(qt.QAbstractItemView.NoSelection)
        table.setEditTriggers(qt.QAbstractItemView.NoEditTriggers)
        table.setShowGrid(False)
        header = table.horizontalHeader()
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)

    def refresh(self) -> None:
        """Show the places as they are now."""
        segmentation = self._panel.segmentation()
        self._places = self._logic.places(segmentation) if segmentation else ()
        table = self._ui.placesTable
        self._ui.placesFrame.visible = bool(self._places)
        table.setRowCount(len(self._places))
        for row, place in enumerate(self._places):
            text = qt.QLabel(self._logic.describePlace(segmentation, place))
            text.wordWrap = True
            text.setContentsMargins(4, 2, 4, 2)
            table.setCellWidget(row, 0, text)
            table.setCellWidget(row, 1, self._buttons(place))
        self._fit_heights(table)

    def onGoTo(self, place: SuspiciousPlace) -> None:
        """Centre all views on the place."""
        with failures_shown_in(self._ui.fragmentsMessageLabel):
            self._logic.goToPlace(self._panel.segmentation(), place)

    def onSplit(self, place: SuspiciousPlace) -> None:
        """Split there, with the points that the library proposes."""
        self._change(self._logic.splitAtPlace, place)

    def onMerge(self, place: SuspiciousPlace) -> None:
        """Make one fragment of the two that touch there."""
        self._change(self._logic.mergeAtPlace, place)

    def _change(self, action: Callable[[Any, SuspiciousPlace], None], place: Any) -> None:
        with failures_shown_in(self._ui.fragmentsMessageLabel), busy_cursor():
            self._logic.goToPlace(self._panel.segmentation(), place)
            action(self._panel.segmentation(), place)
            self._panel.fragmentsChanged()

    def _fit_heights(self, table: Any) -> None:
        """Make every row as high as its text, and the table as high as its first rows."""
        table.resizeColumnToContents(1)
        width = table.columnWidth(0)
        heights = []
        for row in range(len(self._places)):
            text_height = table.cellWidget(row, 0).heightForWidth(max(width, _LEAST_WIDTH))
            heights.append(max(text_height, _BUTTON_HEIGHT) + 2)
            table.setRowHeight(row, heights[-1])
        table.setFixedHeight(sum(heights[:_MOST_ROWS_SHOWN]) + 4)

    def _buttons(self, place: SuspiciousPlace) -> Any:
        frame = qt.QWidget()
        layout = qt.QHBoxLayout(frame)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        wanted = [(_("Go to"), _("Show the place in all views"), self.onGoTo)]
        if len(place.labels) == 2:
            wanted.append((_("Merge"), _("Make one fragment of the two"), self.onMerge))
        if place.split_points_lps_mm is not None:
            wanted.append((_("Split here"), _("Cut where a fracture is most likely"), self.onSplit))
        for text, tip, action in wanted:
            button = qt.QToolButton()
            button.text, button.toolTip = text, tip
            # A row may be gone before its button has finished; the event loop comes in between.
            later = functools.partial(qt.QTimer.singleShot, 0, functools.partial(action, place))
            button.connect("clicked()", later)
            layout.addWidget(button)
        layout.addStretch(1)
        return frame
