"""The methods there are. A new one is a file beside this and one entry here."""

from __future__ import annotations

from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.methods.method import Method

METHODS: tuple[Method, ...] = (FRACSEGMENTATOR,)


def method_named(name: str) -> Method:
    """The method called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    for method in METHODS:
        if method.name == name:
            return method
    known = ", ".join(method.name for method in METHODS)
    raise ValueError(f"no method is called {name!r}; known: {known}")
