"""Keeps None, True and False alive on Python before 3.12.

PySide6 is built for the stable interface of Python 3.12, where these three are immortal and need
no counting. On an older Python each call that returns None takes one reference away (seen with
6.12), and the interpreter aborts when none is left: after some thousand calls, or at exit.
"""

from __future__ import annotations

import ctypes
import sys

ENOUGH = 1 << 40
IMMORTAL_SINCE = (3, 12)


def keep_constants_alive() -> None:
    """Add more references than any test run can take away; once per process."""
    if sys.version_info >= IMMORTAL_SINCE:
        return
    for constant in (None, True, False):
        if sys.getrefcount(constant) < ENOUGH // 2:
            # The count is the first field of every object in a CPython without reference tracing.
            ctypes.c_ssize_t.from_address(id(constant)).value += ENOUGH
