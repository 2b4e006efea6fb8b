"""PythonQt's idioms: what Slicer's Python understands, what it refuses."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from Testing.gui.host.host import Host


@pytest.fixture
def qt(host: Host) -> Any:
    import qt

    return qt


def test_a_property_is_read_and_written_as_an_attribute(qt: Any) -> None:
    button = qt.QPushButton("Go")

    button.text = "Stop"
    button.checkable = True
    button.checked = True

    assert button.text == "Stop"
    assert button.checked
    assert button.isChecked()
    button.setText("Go on")
    assert button.text == "Go on"


def test_a_property_is_not_a_function(qt: Any) -> None:
    label = qt.QLabel("a")

    with pytest.raises(TypeError, match="not callable"):
        label.text()


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("kind", ["QLabel", "QComboBox", "QProgressBar", "QTimer", "QAction"])
def test_an_attribute_that_the_object_does_not_have_is_refused(qt: Any, kind: str) -> None:
    thing = getattr(qt, kind)()

    with pytest.raises(AttributeError, match="'enabeld' does not exist"):
        thing.enabeld = True


def test_none_survives_more_calls_than_it_has_references(qt: Any) -> None:
    """PySide6 takes a reference to None with each of these calls on Python before 3.12."""
    box = qt.QComboBox()
    box.addItem("without data")
    calls = min(sys.getrefcount(None), 20_000) + 1

    assert all(box.itemData(0) is None for _ in range(calls))
    assert sys.getrefcount(None) > calls


def test_a_python_subclass_may_have_attributes_of_its_own(qt: Any) -> None:
    class Mine(qt.QWidget):
        pass

    widget = Mine()
    widget.anything = 3

    assert widget.anything == 3


def test_a_dynamic_property_is_an_attribute_once_it_is_set(qt: Any) -> None:
    label = qt.QLabel()
    label.setProperty("SlicerParameterName", "threshold")

    label.SlicerParameterName = "other"

    assert label.property("SlicerParameterName") == "other"


def test_an_enumerator_may_be_given_as_a_number(qt: Any) -> None:
    table = qt.QTableWidget()

    table.selectionMode = 1

    assert table.selectionMode == qt.QAbstractItemView.SingleSelection


def test_a_static_function_shares_its_name_with_a_property(qt: Any, host: Host) -> None:
    called = []
    timer = qt.QTimer()

    qt.QTimer.singleShot(0, lambda: called.append(True))
    timer.singleShot = True
    host.wait_until(lambda: called == [True], seconds=2)

    assert timer.singleShot is True


def test_a_process_tells_of_its_output_and_its_end(qt: Any, host: Host) -> None:
    process = qt.QProcess()
    lines: list[bytes] = []
    ends: list[tuple[Any, Any]] = []
    process.connect(
        "readyReadStandardOutput()", lambda: lines.append(process.readAllStandardOutput().data())
    )
    process.connect(
        "finished(int,QProcess::ExitStatus)", lambda code, status: ends.append((code, status))
    )

    process.start(sys.executable, ["-c", "import sys; print(input() * 2); sys.exit(3)"])
    process.write(b"ab\n")
    host.wait_until(lambda: bool(ends), seconds=20)

    assert b"".join(lines).split() == [b"abab"]
    assert ends == [(3, qt.QProcess.NormalExit)]


def test_settings_are_the_applications_and_empty_at_first(qt: Any, host: Host) -> None:
    assert qt.QSettings().allKeys() == []
    qt.QSettings().setValue("A/b", 3)

    assert int(host.app.userSettings().value("A/b")) == 3
    assert Path(qt.QSettings().fileName()).is_relative_to(host.app.temporaryPath)


def test_settings_of_one_test_are_not_seen_by_the_next(qt: Any) -> None:
    assert qt.QSettings().allKeys() == []


def test_qt_has_no_inventions_of_pyside(qt: Any) -> None:
    assert not hasattr(qt, "Signal")
    assert not hasattr(qt, "Slot")
