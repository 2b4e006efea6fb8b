"""Dialogs are really made, and the test is the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from Testing.gui.host.dialogs import HourglassError, UnansweredDialogError
from Testing.gui.host.host import Host


@pytest.fixture
def util(host: Host, views: Any) -> Any:
    """slicer.util shows information only where there is a main window."""
    import slicer

    return slicer.util


@pytest.mark.parametrize(
    ("function", "answer", "result"),
    [
        ("confirmOkCancelDisplay", "ok", True),
        ("confirmOkCancelDisplay", "cancel", False),
        ("confirmYesNoDisplay", "yes", True),
        ("confirmYesNoDisplay", "no", False),
        ("confirmRetryCloseDisplay", "retry", True),
        ("confirmRetryCloseDisplay", "close", False),
    ],
)
def test_a_question_gets_the_scripted_answer(
    host: Host, util: Any, function: str, answer: str, result: bool
) -> None:
    host.dialogs.answer(answer)

    assert getattr(util, function)("Replace the fragments?") is result

    assert host.dialogs.texts == ["Replace the fragments?"]
    assert host.dialogs.shown[0].answer == answer


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("infoDisplay", "information"),
        ("warningDisplay", "warning"),
        ("errorDisplay", "critical"),
    ],
)
def test_a_message_is_closed_and_kept(host: Host, util: Any, function: str, kind: str) -> None:
    getattr(util, function)("No bone was found.", detailedText="Field of view: head.")

    (shown,) = host.dialogs.shown
    assert (shown.kind, shown.text) == (kind, "No bone was found.")
    assert shown.detail == "Field of view: head."


def test_a_message_does_not_use_up_an_answer(host: Host, util: Any) -> None:
    host.dialogs.answer("cancel")

    util.infoDisplay("For your information.")

    assert host.dialogs.unused == ("cancel",)
    assert not util.confirmOkCancelDisplay("Go on?")


def test_a_question_without_an_answer_fails_even_when_it_is_caught(host: Host, util: Any) -> None:
    with pytest.raises(UnansweredDialogError, match="nobody answers"):
        util.confirmOkCancelDisplay("Really?")

    assert len(host.slot_errors) == 1
    host.slot_errors.clear()


@pytest.mark.parametrize("show", ["confirmOkCancelDisplay", "infoDisplay"])
def test_a_dialog_under_an_hourglass_fails_even_when_it_is_caught(
    host: Host, util: Any, show: str
) -> None:
    import qt

    host.dialogs.answer("ok")
    qt.QApplication.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
    try:
        with pytest.raises(HourglassError, match="under an hourglass"):
            getattr(util, show)("Replace the fragments?")
    finally:
        qt.QApplication.restoreOverrideCursor()

    assert len(host.slot_errors) == 1
    assert host.dialogs.shown == []
    host.slot_errors.clear()
    host.dialogs.clear()


def test_an_answer_that_is_no_button_fails(host: Host, util: Any) -> None:
    host.dialogs.answer("yes")

    with pytest.raises(UnansweredDialogError, match="none of the buttons"):
        util.confirmOkCancelDisplay("Really?")


def test_an_error_in_a_task_is_shown(host: Host, util: Any) -> None:
    with (
        pytest.raises(ValueError, match="no bone"),
        util.tryWithErrorDisplay("The segmentation failed."),
    ):
        raise ValueError("no bone")

    assert "The segmentation failed." in host.dialogs.texts[0]
    assert "no bone" in host.dialogs.texts[0]


def test_a_silenced_question_is_not_asked_again(host: Host) -> None:
    import ctk
    import qt

    def ask() -> Any:
        box = ctk.ctkMessageBox()
        box.text = "Really?"
        box.standardButtons = qt.QMessageBox.Ok | qt.QMessageBox.Cancel
        box.dontShowAgainSettingsKey = "Demo/DoNotAsk"
        box.dontShowAgain = True
        return box.exec_()

    host.dialogs.answer("ok")

    assert ask() == ask() == qt.QMessageBox.Ok
    assert len(host.dialogs.shown) == 1


def test_a_button_of_ones_own_tells_who_was_clicked(host: Host) -> None:
    import qt

    box = qt.QMessageBox()
    replace = box.addButton("&Replace", qt.QMessageBox.AcceptRole)
    box.addButton(qt.QMessageBox.Cancel)
    host.dialogs.answer("replace")

    box.exec_()

    assert box.clickedButton() is replace


def test_static_questions_and_file_dialogs_answer_as_in_pythonqt(host: Host) -> None:
    import qt

    host.dialogs.answer("no", "/in.nrrd", "/out.stl", "")

    assert qt.QMessageBox.question(None, "Title", "Sure?") == qt.QMessageBox.No
    assert qt.QFileDialog.getOpenFileName(None, "Open", "", "*.nrrd") == "/in.nrrd"
    assert qt.QFileDialog.getSaveFileName(None, "Save") == "/out.stl"
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == ""


@pytest.mark.parametrize("run", [lambda d: d.exec_(), lambda d: d.exec()])
def test_a_dialog_of_the_module_is_played_by_a_function(
    host: Host, run: Callable[[Any], Any]
) -> None:
    import qt

    dialog = qt.QDialog()
    line = qt.QLineEdit(dialog)

    def play(shown: Any) -> int:
        assert shown is dialog
        line.text = "typed"
        shown.accept()
        return int(shown.result())

    host.dialogs.answer(play)

    assert run(dialog) == 1
    assert line.text == "typed"


def test_a_menu_entry_is_chosen_by_its_text(host: Host) -> None:
    import qt

    seen: list[str] = []
    menu = qt.QMenu()
    menu.addAction("&Merge").connect("triggered()", lambda: seen.append("merge"))
    menu.addAction("Split").connect("triggered()", lambda: seen.append("split"))
    host.dialogs.answer("merge")

    assert menu.exec_(qt.QCursor.pos()).text == "&Merge"
    assert seen == ["merge"]


def test_in_testing_mode_nothing_is_shown(
    host: Host, util: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(host.app), "testingEnabled", lambda _: True)

    util.confirmOkCancelDisplay("Really?")
    util.errorDisplay("Wrong.")

    assert host.dialogs.shown == []
