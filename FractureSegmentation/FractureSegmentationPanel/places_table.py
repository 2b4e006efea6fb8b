"""The list of doubtful places above the fragments: go there, split or merge there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
from slicer.i18n import tr as _

from FractureSegmentationPanel.messages import busy_cursor, telling

if TYPE_CHECKING:
    from FractureSegmentationLib.editing.suspicion import SuspiciousPlace

_MOST_ROWS_SHOWN = 4
_LEAST_WIDTH = 180
_BUTTON_HEIGHT = 26


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
        with telling(self._ui.fragmentsMessageLabel):
            self._logic.goToPlace(self._panel.segmentation(), place)

    def onSplit(self, place: SuspiciousPlace) -> None:
        """Split there, with the points that the library proposes."""
        self._change(self._logic.splitAtPlace, place)

    def onMerge(self, place: SuspiciousPlace) -> None:
        """Make one fragment of the two that touch there."""
        self._change(self._logic.mergeAtPlace, place)

    def _change(self, action: Callable[[Any, SuspiciousPlace], None], place: Any) -> None:
        with telling(self._ui.fragmentsMessageLabel), busy_cursor():
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
