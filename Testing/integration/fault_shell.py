"""Runs the command line with faults in it, and keeps what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Snapshot = dict[str, bytes | None]
"""Content per path below a folder; None for a folder."""


def snapshot_of(folder: Path) -> Snapshot:
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


@dataclass
class Run:
    """How one run of the command line ended."""

    status: int | None
    stdout: str
    stderr: str
    has_orphans: bool | None
    pid: int

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass
class FaultyShell:
    """Runs `fracseg` in forks of one server; see `fault_server.py` for `faults`."""

    server: subprocess.Popen[str]
    scratch: Path

    def run(self, arguments: list[str], *faults: tuple[str, str], **how: Any) -> Run:
        request = {
            "arguments": arguments,
            "faults": [{"at": at, "do": do} for at, do in faults],
            "scratch": str(self.scratch),
            **how,
        }
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return Run(**json.loads(self.server.stdout.readline()))


def start_server(folder: Path, models: Path, repository: Path) -> FaultyShell:
    scratch = folder / "scratch"
    scratch.mkdir()
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fault_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repository), "FRACSEG_MODELS": str(models)},
    )
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    return FaultyShell(server=server, scratch=scratch)


@dataclass(frozen=True)
class Case:
    """A CT with its bone mask in a folder of their own, and what to call for them."""

    folder: Path
    ct: Path
    bones: Path

    def arguments(self, out: Path, *more: str) -> list[str]:
        return [
            "segment", str(self.ct), str(out), "--bones", str(self.bones), "--device", "cpu",
            "--progress", "json", *more,
        ]  # fmt: skip
