"""Ctrl-C and SIGTERM ask a run to stop after its step, so that it can save; a second one kills."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any

    from lightning_fabric import Fabric

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Catches the signals while a run trains; in any other thread than the main one, nothing."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._is_caught = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def is_asked_for(self) -> bool:
        """Whether any process of the run was asked to stop; all of them get the same answer."""
        if self._fabric.world_size == 1:
            return self._is_caught
        caught = torch.tensor(float(self._is_caught), device=self._fabric.device)
        return bool(self._fabric.all_reduce(caught, reduce_op="sum"))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._is_caught = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
