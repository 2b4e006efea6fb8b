"""Modal dialogs, answered by the test.

Every modal dialog ends here instead of waiting for a user: message boxes (those of
`slicer.util` included, which run through ctkMessageBox), file dialogs, menus and dialogs of a
module. What was shown is kept; what needs a decision takes the next scripted answer.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from Testing.gui.host.signals import slot_errors
from Testing.gui.host.standin import Prop, StandIn

Box = QtWidgets.QMessageBox
HARMLESS = frozenset({"ok", "close"})


class HourglassError(AssertionError):
    """A dialog was shown under an hourglass, which tells its user to wait."""


class UnansweredDialogError(AssertionError):
    """A dialog asked for a decision that the test did not script."""


@dataclass(frozen=True)
class Dialog:
    """One dialog that was shown.

    Attributes:
        kind: "information", "warning", "critical", "question", "message", "file" or "custom".
        title: the window's title.
        text: the message, or the file dialog's caption.
        detail: informative and detailed text, joined by a line break.
        buttons: names of the buttons in lower case, such as "ok" or "don't save".
        answer: what it was answered with.
    """

    kind: str
    title: str
    text: str
    detail: str
    buttons: tuple[str, ...]
    answer: Any


class Dialogs:
    """The scripted user: `answer("ok", "cancel")` before the click, `shown` after it."""

    def __init__(self) -> None:
        self.shown: list[Dialog] = []
        self._answers: deque[Any] = deque()

    def answer(self, *answers: str | Path | Callable[[Any], Any]) -> None:
        """Append answers to the queue; boxes with nothing but OK or Close take none.

        Args:
            answers: name of a button in lower case; for a file dialog the path, "" for Cancel;
                for a module's own dialog a function that is called with it and returns the
                result of `exec_`.
        """
        self._answers.extend(answers)

    @property
    def unused(self) -> tuple[Any, ...]:
        """Answers that nothing asked for yet."""
        return tuple(self._answers)

    @property
    def texts(self) -> list[str]:
        """The texts of all dialogs shown, first one first."""
        return [dialog.text for dialog in self.shown]

    def clear(self) -> None:
        """Forget what was shown and what was scripted."""
        self.shown.clear()
        self._answers.clear()

    def ask(self, kind: str, texts: tuple[str, str, str], buttons: tuple[str, ...]) -> Any:
        """Show a dialog with (title, text, detail) and return the answer.

        Both errors are kept in `slot_errors` too, because modules catch exceptions.

        Raises:
            HourglassError: it is shown under an override cursor.
            UnansweredDialogError: it needs a decision and none is left.
        """
        if QtWidgets.QApplication.overrideCursor() is not None:
            hourglass = HourglassError(f"the {kind} dialog {texts[1]!r} under an hourglass")
            slot_errors.append(hourglass)
            raise hourglass
        if buttons and HARMLESS.issuperset(buttons):
            answer: Any = buttons[0]
        elif self._answers:
            answer = self._answers.popleft()
        else:
            error = UnansweredDialogError(f"nobody answers the {kind} dialog {texts[1]!r}")
            slot_errors.append(error)
            raise error
        self.shown.append(Dialog(kind, *texts, buttons, answer))
        if isinstance(answer, str) and buttons and answer not in buttons:
            raise UnansweredDialogError(f"{answer!r} is none of the buttons {buttons}")
        return answer


dialogs = Dialogs()


class ctkMessageBox(StandIn, Box):
    """QMessageBox with CTK's "don't show again"."""

    dontShowAgainVisible = Prop(False, kind=bool)
    dontShowAgain = Prop(False, kind=bool)
    dontShowAgainSettingsKey = Prop("", kind=str)


def install_dialogs() -> None:
    """Send every modal dialog of Qt to `dialogs`; once per process."""
    # It takes the hourglass away while a box is shown, which Slicer does from 5.13 on only.
    if hasattr(slicer.util, "_temporaryNormalCursor"):
        slicer.util._temporaryNormalCursor = contextlib.nullcontext
    for cls, run in (
        (Box, _run_message_box),
        (QtWidgets.QDialog, _run_dialog),
        (QtWidgets.QMenu, _run_menu),
    ):
        cls.exec = cls.exec_ = run
    for kind in ("information", "warning", "critical", "question"):
        setattr(Box, kind, staticmethod(_static_box(kind)))
    files = QtWidgets.QFileDialog
    for name in ("getOpenFileName", "getSaveFileName", "getExistingDirectory"):
        setattr(files, name, staticmethod(_ask_for_path))
    files.getOpenFileNames = staticmethod(
        lambda *arguments, **keywords: _several(_ask_for_path(*arguments, **keywords))
    )


def _run_message_box(box: Any) -> Any:
    """Answer a message box; one that the user silenced answers as he did then."""
    key = getattr(box, "dontShowAgainSettingsKey", "")
    settings = QtCore.QSettings()
    if key and settings.contains(key):
        return Box.StandardButton(int(settings.value(key)))
    details = Box.ButtonRole.ActionRole  # "Show details..." closes nothing
    closing = [button for button in box.buttons() if box.buttonRole(button) != details]
    buttons = {_plain(button.text): button for button in closing} or {"ok": None}
    detail = "\n".join(text for text in (box.informativeText, box.detailedText) if text)
    kind = {"NoIcon": "message"}.get(box.icon.name, box.icon.name.lower())
    texts = (box.windowTitle.strip(), box.text, detail)
    clicked = buttons[dialogs.ask(kind, texts, tuple(buttons))]
    if clicked is None:
        return Box.StandardButton.Ok
    clicked.click()  # so that clickedButton() tells
    code = box.standardButton(clicked)
    if key and box.dontShowAgain:
        settings.setValue(key, code.value)
    return code


def _plain(text: str) -> str:
    return text.replace("&", "").lower()


def _static_box(kind: str) -> Callable[..., Any]:
    def show(parent: Any, title: str, text: str, buttons: Any = None, *_default: Any) -> Any:
        box = Box(parent)
        box.setIcon(getattr(Box.Icon, kind.capitalize()))
        box.setWindowTitle(title)
        box.setText(text)
        if buttons is None:
            buttons = Box.StandardButton.Ok
            if kind == "question":
                buttons = Box.StandardButton.Yes | Box.StandardButton.No
        box.setStandardButtons(buttons)
        return _run_message_box(box)

    return show


def _run_dialog(dialog: Any) -> Any:
    """Run a module's own dialog: the answer is a function that plays the user."""
    answer = dialogs.ask("custom", (dialog.windowTitle, dialog.windowTitle, ""), ())
    return answer(dialog) if callable(answer) else answer


def _run_menu(menu: Any, *_where: Any) -> Any:
    """Choose the entry whose text is the answer; it is triggered as a click would."""
    entries = {_plain(action.text): action for action in menu.actions()}
    chosen = entries[dialogs.ask("menu", (menu.title, menu.title, ""), tuple(entries))]
    chosen.trigger()
    return chosen


def _ask_for_path(_parent: Any = None, caption: str = "", *_more: Any, **_keywords: Any) -> str:
    """PythonQt gives the path alone, where PySide gives a pair."""
    return str(dialogs.ask("file", (caption, caption, ""), ()))


def _several(path: str) -> list[str]:
    return [path] if path else []
