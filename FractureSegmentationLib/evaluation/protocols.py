"""The ways to score that a user can choose from."""

from __future__ import annotations

from FractureSegmentationLib.evaluation.clean import CLEAN
from FractureSegmentationLib.evaluation.figures import Protocol
from FractureSegmentationLib.evaluation.pengwin2024 import PENGWIN_2024_PROTOCOL
from FractureSegmentationLib.evaluation.pengwin2026 import PENGWIN_2026_PROTOCOL

PROTOCOLS: tuple[Protocol, ...] = (CLEAN, PENGWIN_2024_PROTOCOL, PENGWIN_2026_PROTOCOL)


def protocol_named(name: str) -> Protocol:
    """The protocol called `name`.

    Raises:
        ValueError: there is none; the message lists those there are.
    """
    for protocol in PROTOCOLS:
        if protocol.name == name:
            return protocol
    known = ", ".join(protocol.name for protocol in PROTOCOLS)
    raise ValueError(f"no protocol is called {name!r}; known: {known}")
