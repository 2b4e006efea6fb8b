"""Signals and slots the PythonQt way, and what becomes of an exception in a slot."""

from __future__ import annotations

from typing import Any

import pytest

from Testing.gui.host.host import Host
from Testing.gui.host.signals import SlotErrors


@pytest.fixture
def qt(host: Host) -> Any:
    import qt

    return qt


@pytest.mark.parametrize(
    "signature", ["clicked()", "clicked(bool)", "clicked( bool )", "2clicked()"]
)
def test_a_signal_is_connected_by_its_signature(qt: Any, signature: str) -> None:
    seen = []
    button = qt.QPushButton()

    assert button.connect(signature, lambda: seen.append(1))
    button.click()

    assert seen == [1]


@pytest.mark.parametrize("signature", ["clikced()", "clicked(int)", "clicked", "toggled()"])
def test_a_signal_that_there_is_not_raises(qt: Any, signature: str) -> None:
    with pytest.raises(ValueError, match=r"no signal"):
        qt.QPushButton().connect(signature, print)


def test_a_slot_gets_no_more_than_it_takes(qt: Any) -> None:
    seen: list[Any] = []
    button = qt.QPushButton()
    button.checkable = True

    button.connect("toggled(bool)", lambda: seen.append("nothing"))
    button.connect("toggled(bool)", seen.append)
    button.toggled.connect(lambda *everything: seen.append(everything))
    button.toggled.connect(lambda is_on, other="default": seen.append((is_on, other)))
    button.checked = True

    assert seen == ["nothing", True, (True,), (True, "default")]


def test_a_connection_is_undone_by_the_same_words(qt: Any) -> None:
    seen: list[int] = []
    button = qt.QPushButton()

    def slot() -> None:
        seen.append(1)

    button.connect("clicked()", slot)
    assert button.disconnect("clicked()", slot)
    assert not button.disconnect("clicked()", slot)
    button.click()

    assert seen == []


def test_disconnecting_one_slot_leaves_the_others(qt: Any) -> None:
    seen: list[str] = []
    line = qt.QLineEdit()
    stays, goes = lambda: seen.append("stays"), lambda: seen.append("goes")
    line.connect("textChanged(QString)", stays)
    line.textChanged.connect(goes)

    assert line.textChanged.disconnect(goes)
    line.text = "a"

    assert seen == ["stays"]


def test_one_signal_drives_another(qt: Any) -> None:
    first, second = qt.QPushButton(), qt.QPushButton()
    seen: list[int] = []

    second.connect("clicked()", lambda: seen.append(1))
    first.connect("pressed()", second.clicked)
    first.connect("released()", second, "click()")
    first.click()

    assert seen == [1, 1]


def test_an_exception_in_a_slot_is_kept_and_the_rest_goes_on(
    qt: Any, slot_errors: SlotErrors
) -> None:
    seen: list[int] = []
    button = qt.QPushButton()

    def fail() -> None:
        raise RuntimeError("in the slot")

    button.connect("clicked()", fail)
    button.clicked.connect(lambda: seen.append(1))
    button.click()

    assert [str(error) for error in slot_errors] == ["in the slot"]
    assert "in fail" in slot_errors.report()
    assert seen == [1]
    slot_errors.clear()


def test_an_exception_in_a_timer_is_kept_too(qt: Any, host: Host, slot_errors: SlotErrors) -> None:
    def fail() -> None:
        raise OSError("in the timer")

    qt.QTimer.singleShot(0, fail)
    host.wait_until(lambda: len(slot_errors) == 1, seconds=2)

    assert isinstance(slot_errors[0], OSError)
    slot_errors.clear()


def test_an_exception_in_a_virtual_function_reaches_the_test(qt: Any) -> None:
    class Broken(qt.QWidget):
        def paintEvent(self, _event: Any) -> None:  # noqa: N802  Qt calls it
            raise KeyError("in the paint event")

    with pytest.raises(KeyError, match="in the paint event"):
        Broken().grab()


def test_connections_end_with_the_object(qt: Any, host: Host) -> None:
    from Testing.gui.host.signals import _connections

    before = len(_connections)
    button = qt.QPushButton()
    button.connect("clicked()", print)
    assert len(_connections) == before + 1

    button.deleteLater()
    host.process_events()

    assert len(_connections) == before
