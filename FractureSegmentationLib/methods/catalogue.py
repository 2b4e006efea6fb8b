"""The methods there are. A new one is a file beside this and one entry here."""

from __future__ import annotations

from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.methods.method import Backend

BACKENDS: tuple[Backend, ...] = (FRACSEGMENTATOR,)


def backend_named(name: str) -> Backend:
    """The method called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    for backend in BACKENDS:
        if backend.name == name:
            return backend
    known = ", ".join(backend.name for backend in BACKENDS)
    raise ValueError(f"no method is called {name!r}; known: {known}")
