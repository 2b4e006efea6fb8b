"""Ends a child with everything it started, by means that every Python has.

PythonSlicer is a launcher: the interpreter that holds the memory and the GPU is its child, and does
not end with it. On Linux a process of the run is also known by a mark in its environment, which
finds those whose parent has gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from FractureSegmentationPanel.run.command import MARK_VARIABLE

_PROC = Path("/proc")


def ask_tree_to_end(pid: int, mark: str) -> None:
    """Let every process of a run tidy up and end (SIGTERM); nothing of the kind on Windows.

    Args:
        pid: of the process that was started; 0 if it is not known.
        mark: of the run.
    """
    if sys.platform != "win32":
        _signal(_members(pid, mark), signal.SIGTERM)


def kill_tree(pid: int, mark: str) -> int:
    """End every process of a run at once.

    Args:
        pid: of the process that was started; 0 if it has ended or is not known.
        mark: of the run.

    Returns:
        How many there were; 0 on Windows, where the system counts them.
    """
    if sys.platform == "win32":
        if pid > 0:
            _kill_windows_tree(pid)
        return 0
    members = _members(pid, mark)
    _signal(members, signal.SIGKILL)
    return len(members)


def _members(pid: int, mark: str) -> set[int]:
    if pid <= 0 and not _PROC.is_dir():
        return set()
    parents = dict(_parents())
    members = {pid} if pid > 0 and pid in parents else set()
    if _PROC.is_dir():
        members |= {other for other in parents if _has_mark(other, mark)}
    while grown := {child for child, parent in parents.items() if parent in members} - members:
        members |= grown
    return members - {os.getpid()}


def _parents() -> Iterator[tuple[int, int]]:
    """The parent of every process."""
    if _PROC.is_dir():
        for folder in _PROC.iterdir():
            if folder.name.isdigit():
                # It may have ended since it was listed.
                with contextlib.suppress(OSError, ValueError, IndexError):
                    state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                    if state != "Z":
                        yield int(folder.name), int(parent)
        return
    for line in _listed_by_ps().splitlines():
        with contextlib.suppress(ValueError):
            child, parent = line.split()
            yield int(child), int(parent)


def _listed_by_ps() -> str:
    """Id and parent of every process, one per line; "" where the system does not list them."""
    command = ["/bin/ps", "-axo", "pid=,ppid="]
    try:
        return subprocess.run(  # noqa: S603  nothing of it varies
            command, capture_output=True, text=True, timeout=2, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _has_mark(pid: int, mark: str) -> bool:
    with contextlib.suppress(OSError):
        content = (_PROC / str(pid) / "environ").read_bytes()
        return f"{MARK_VARIABLE}={mark}".encode() in content.split(b"\0")
    return False


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, number)


def _windows_program(name: str) -> str:
    # By its full path: the search would begin in the folder where Slicer was started.
    return str(Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", f"{name}.exe"))


def _kill_windows_tree(pid: int) -> None:
    # Not waited for: it takes longer than a window may stand still.
    subprocess.Popen(  # noqa: S603  a number is all that varies
        [_windows_program("taskkill"), "/PID", str(pid), "/T", "/F"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
