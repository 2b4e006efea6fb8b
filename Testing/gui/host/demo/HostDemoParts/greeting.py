"""Imported by the module under its own folder's name."""

from __future__ import annotations

GREETING = "done"
