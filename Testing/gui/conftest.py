"""The module's host for every test of this folder; skipped where a package of it is missing."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from Testing.gui.host.host import Host
    from Testing.gui.host.signals import SlotErrors

# Read by Qt when it starts, here and in child processes: no screen is needed.
os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

PACKAGES = {"PySide6": "PySide6-Essentials", "slicer": "slicer-core"}
MISSING = [name for module, name in PACKAGES.items() if importlib.util.find_spec(module) is None]
REASON = f'not installed: {", ".join(MISSING)} (python -m pip install -e ".[slicer]")'


class _Skipped(pytest.Module):
    """A file of tests that cannot even be imported here."""

    def collect(self) -> list[pytest.Item]:
        pytest.skip(REASON, allow_module_level=True)


if MISSING:

    def pytest_pycollect_makemodule(
        module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        if "Testing.gui.host" in module_path.read_text(encoding="utf-8"):
            return _Skipped.from_parent(parent, path=module_path)
        return None


@pytest.fixture(scope="session")
def _started_host() -> Host:
    if MISSING:
        pytest.skip(REASON)
    from Testing.gui.host.boot import start  # not without its packages
    from Testing.gui.host.views import can_render

    host = start(views=can_render())
    host.leave()
    return host


@pytest.fixture
def host(_started_host: Host) -> Iterator[Host]:
    """An application with an empty scene, `qt`, `ctk` and `slicer.app`; see host/README.md.

    A test fails when a slot raised, when a scripted answer was not asked for, and when it leaves
    something behind that later tests would trip over.
    """
    _started_host.enter()
    yield _started_host
    report = _started_host.slot_errors.report()
    unused = _started_host.dialogs.unused
    _started_host.leave()
    leftovers = _started_host.leftovers()
    assert not report, report
    assert not leftovers, leftovers
    assert not unused, f"nothing asked for {unused}"


@pytest.fixture
def slot_errors(host: Host) -> SlotErrors:
    """Exceptions raised in slots so far."""
    return host.slot_errors


@pytest.fixture
def views(host: Host) -> Any:
    """The layout manager with its four views; skipped where nothing can be drawn."""
    manager = host.app.layoutManager()
    if manager is None:
        pytest.skip("nothing can be drawn without a screen here: install libegl1 and Mesa's driver")
    return manager


@pytest.fixture
def strict(host: Host) -> None:
    """Unknown attributes of C++ objects are refused; skipped on a Python that forbids it."""
    from Testing.gui.host.strictness import is_strict

    if not is_strict():
        pytest.skip("this Python lets nobody intercept the attributes of Qt objects")
