"""The slider "fewer ... more fragments" of section Correct: for the bone that is selected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from FractureSegmentationPanel.sections.messages import failures_shown_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from FractureSegmentationLib.mrml.granularity import Granularity


class GranularitySlider:
    """Divides a bone more or less finely, from what the run kept; every move is one undo step.

    Args:
        panel: the widget that this is a part of.
        change: runs a change of the segmentation, see `CorrectSection`.
    """

    def __init__(self, panel: Any, change: Callable[[Callable[[Any], Any]], bool]) -> None:
        self._panel, self._ui, self._logic = panel, panel.ui, panel.logic
        self._change = change
        self._offered: Granularity | None = None
        self._is_filling = False
        self._ui.granularitySlider.connect("valueChanged(int)", self.onMoved)
        self._ui.granularitySlider.connect("sliderMoved(int)", self.onDragged)

    def refresh(self) -> None:
        """Show what can be chosen for the bone that is meant now."""
        segmentation = self._panel.segmentation()
        selected = self._panel.selectedSegmentIds() if segmentation else []
        slider, self._offered, said = self._ui.granularitySlider, None, ""
        if segmentation is not None:
            with failures_shown_in(self._ui.granularityLabel):
                self._offered, said = self._logic.granularity(segmentation, selected)
                self._ui.granularityLabel.text = said
        self._is_filling = True
        try:
            slider.enabled = self._offered is not None
            slider.minimum = 0
            slider.maximum = 0 if self._offered is None else len(self._offered.levels) - 1
            slider.value = 0 if self._offered is None else self._offered.position
        finally:
            self._is_filling = False
        slider.toolTip = said
        self._ui.granularityFrame.visible = segmentation is not None

    def onDragged(self, position: int) -> None:
        """Say what letting go would give."""
        offered = self._offered
        if offered is not None and 0 <= position < len(offered.counts):
            self._ui.granularityLabel.text = _text(offered, offered.counts[position])

    def onMoved(self, position: int) -> None:
        """Divide the bone."""
        offered = self._offered
        if self._is_filling or offered is None or not 0 <= position < len(offered.levels):
            return
        level = offered.levels[position]
        self._change(lambda node: self._logic.regroup(node, offered.bone.slug, level))


def _text(offered: Granularity, count: int) -> str:
    pieces = _("1 fragment") if count == 1 else _("{count} fragments").format(count=count)
    return f"{offered.bone.name}: {pieces}"
