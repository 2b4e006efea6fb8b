"""Working folders: their names, and clearing those that dead runs left behind.

A working folder of OUT is `.OUT.fracseg-<pid>-<machine><random>`; while a result is replaced, the
previous one waits beside it under the same name with `-old`. Scratch folders hold files that only
other programs need: they are the user's alone, and gone at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_OLD = "-old"
_LONGEST_STEM_BYTES = 180
_live: set[str] = set()  # folders this process works in: its own id alone would not tell


def private_sibling(out: Path) -> Path:
    """Make a working folder for `out`, readable by its user only.

    Raises:
        OSError: it cannot be made.
    """
    folder = out.with_name(f"{_stem(out)}{os.getpid()}-{_machine()}{secrets.token_hex(4)}")
    _live.add(folder.name)
    try:
        folder.mkdir(mode=0o700)
    except BaseException:
        _live.discard(folder.name)
        raise
    return folder


@contextlib.contextmanager
def working_folder(out: Path) -> Iterator[Path]:
    """Give a working folder for `out`, which is gone after the block unless it was renamed.

    Raises:
        OSError: it cannot be made.
    """
    folder = private_sibling(out)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        released(folder)


def released(staging: Path) -> None:
    """Note that this process no longer works in `staging`."""
    _live.discard(staging.name)


def backup_path(staging: Path) -> Path:
    """Where the previous result waits while `staging` takes its name."""
    return staging.with_name(staging.name + _OLD)


def clear_leftovers(out: Path) -> None:
    """Remove the working folders of dead runs of `out`; put a result back that one left aside.

    Folders of other machines (shared disks) and of running processes are left alone.
    """
    pattern = re.compile(
        re.escape(_stem(out)) + r"(?P<pid>\d+)-(?P<machine>[0-9a-f]{4})[0-9a-f]{8}(?P<old>-old)?"
    )
    for path in sorted(out.parent.iterdir()):
        match = pattern.fullmatch(path.name)
        if match is None or match["machine"] != _machine():
            continue
        if path.name.removesuffix(_OLD) in _live or _is_another_alive(int(match["pid"])):
            continue
        if match["old"] and not os.path.lexists(out):
            with contextlib.suppress(OSError):
                path.rename(out)
            continue
        shutil.rmtree(path, ignore_errors=True)


def remove_working_folders(parent: Path, process: int) -> bool:
    """Remove what a process works in, before it is ended or after it was.

    Args:
        parent: the folder that holds the results.
        process: its id.

    Returns:
        Whether that was done; not while a result is taking its name there, which is left to finish
        or put back by the next run.
    """
    working: list[Path] = []
    with contextlib.suppress(OSError):
        working = list(parent.glob(f".*.fracseg-{process}-*"))
    if any(folder.name.endswith(_OLD) for folder in working):
        return False
    for folder in working:
        shutil.rmtree(folder, ignore_errors=True)
    return True


def _stem(out: Path) -> str:
    # File names end at 255 bytes, and a cut may not leave half a character. What is not UTF-8 is
    # spelled out, for libraries that write into the working folder end the process at such names.
    spelled = out.name.encode(errors="backslashreplace").replace(b"\\", b"_")
    name = spelled[:_LONGEST_STEM_BYTES].decode(errors="ignore")
    return f".{name}.fracseg-"


def _machine() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:4]


def _is_another_alive(pid: int) -> bool:
    """Whether another process has this id; ours does not count, for ids are used again."""
    return pid != os.getpid() and _is_alive(pid)


if sys.platform == "win32":
    import ctypes

    def _is_alive(pid: int) -> bool:
        # os.kill(pid, 0) would send Ctrl+C on Windows.
        synchronize, still_waiting = 0x00100000, 0x102
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(synchronize, False, pid)
        if not handle:
            return False
        try:
            return bool(kernel.WaitForSingleObject(handle, 0) == still_waiting)
        finally:
            kernel.CloseHandle(handle)

else:

    def _is_alive(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, OverflowError):
            return False
        except PermissionError:
            return True
        return True


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of the user alone, gone at the end; after a kill, at the next start.

    Raises:
        OSError: it cannot be made.
    """
    with working_folder(_scratch_stem()) as folder:
        yield folder


def clear_scratch() -> None:
    """Remove the scratch folders that killed runs left behind."""
    with contextlib.suppress(OSError):
        clear_leftovers(_scratch_stem())


def remove_scratch(process: int | None = None) -> None:
    """Remove the scratch folders of a process, before it is ended or after it was.

    Args:
        process: its id; None is this process.
    """
    remove_working_folders(_scratch_stem().parent, process or os.getpid())


def _scratch_stem() -> Path:
    return Path(tempfile.gettempdir()) / "image"
