"""A child process that speaks the protocol of `fracseg segment`, or breaks it, as it is told.

    python fake_child.py [--launcher forwards|keeps] STEPS [any arguments]

STEPS are words with commas between them, done in order; `=` gives a word its value:

    started progress=0.4 stage=fragments steps=20 sleep=0.5 log=TEXT warning=TEXT
    gpu_memory        the warning of a run that fell back to the CPU
    noise             bytes that are no UTF-8, and other text, on stdout and stderr
    halves            an event in two parts with a pause between them
    flood=1000        so many lines of text on both
    helper            starts a process of its own that heeds nothing
    deaf              heeds neither `cancel` nor SIGTERM nor the end of stdin from here on
    hang              waits for ever, but heeds them
    crash  exit=3  absent=torch           end at once
    error=missing_weights                 tells the failure and leaves with its status
    result            tells the result and goes on
    copy=FOLDER       copies a result folder to OUT, the second argument after `segment`

Every process writes its id into a file of that name in the folder FAKE_CHILD_PIDS. With --launcher
it runs the rest in a process of its own, as PythonSlicer does, and gives it its stdin or keeps it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from FractureSegmentationLib import errors
from FractureSegmentationLib.protocol import CANCEL_LINE, VERSION

PIDS_VARIABLE = "FAKE_CHILD_PIDS"
ERRORS = {
    kind.code: kind
    for kind in (
        errors.FracSegError,
        errors.InputError,
        errors.OutputExistsError,
        errors.NoBoneError,
        errors.EnvironmentProblemError,
        errors.MissingWeightsError,
        errors.DamagedWeightsError,
        errors.RunCancelledError,
    )
}
GPU_MEMORY = "The device cuda failed or ran out of memory; the CPU takes over."
RESULT = {
    "event": "result",
    "protocol": VERSION,
    "fragment_count": 3,
    "numbering": "fracseg",
    "bones": [{"bone": "left_hip", "labels": [51, 52]}, {"bone": "sacrum", "labels": [1]}],
    "device": "cpu",
    "precision": "fp32",
    "seconds": {"read": 0.1},
    "warnings": [],
}

_is_deaf = threading.Event()
_stage = ["read"]


def fake_command(steps: str, *arguments: str, launcher: str = "") -> list[str]:
    """The command that runs these steps; the rest is what the real one would be given."""
    how = ["--launcher", launcher] if launcher else []
    return [sys.executable, "-u", str(Path(__file__)), *how, steps, *arguments]


def say(event: dict[str, Any]) -> None:
    write(json.dumps(event) + "\n")


def write(text: str) -> None:
    os.write(1, text.encode())


def note_pid() -> None:
    if folder := os.environ.get(PIDS_VARIABLE):
        (Path(folder) / str(os.getpid())).touch()


def leave_cancelled(*_: object) -> None:
    if not _is_deaf.is_set():
        say({"event": "error", "code": "cancelled", "message": "", "remedy": ""})
        os._exit(130)


def watch_stdin() -> None:
    for line in sys.stdin:
        if line.strip() == CANCEL_LINE:
            leave_cancelled()
    leave_cancelled()


def tell_error(code: str) -> None:
    kind = ERRORS[code]
    said = {"code": code, "message": f"A made-up {code}.", "remedy": "Use --model."}
    say({"event": "error", **said, "exit_status": kind.exit_status})
    os._exit(kind.exit_status)


def make_noise() -> None:
    os.write(1, b'\xff\xfe caf\xe9 {not json}\n[1, 2]\n{"event": 5}\n')
    os.write(2, b"ITK says \xe4\xf6\r\n")


def tell_in_halves() -> None:
    whole = json.dumps({"event": "progress", "stage": "bones", "value": 0.25}) + "\n"
    for part in (whole[:17], whole[17:]):
        write(part)
        time.sleep(0.3)


def flood(count: int) -> None:
    for number in range(count):
        os.write(1, b"stdout line %d of very many, with a few words in it\n" % number)
        os.write(2, b"stderr line %d of very many, with a few words in it\n" % number)


def start_helper() -> None:
    command = [sys.executable, str(Path(__file__)), "deaf,sleep=120"]
    subprocess.Popen(command, stdin=subprocess.DEVNULL)


def go_deaf() -> None:
    _is_deaf.set()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def progress(value: float) -> None:
    say({"event": "progress", "stage": _stage[0], "value": value})


def go_on(count: int) -> None:
    for number in range(count):
        progress((number + 1) / count)
        time.sleep(0.05)


def copy_result(folder: str) -> None:
    shutil.copytree(folder, sys.argv[sys.argv.index("segment") + 2])


def die_of_absence(package: str) -> None:
    os.write(2, f"Traceback ...\nModuleNotFoundError: No module named '{package}'\n".encode())
    os._exit(1)


STEPS: dict[str, Callable[[str], object]] = {
    "started": lambda _: say({"event": "started", "protocol": VERSION, "version": "0.1.0"}),
    "future": lambda _: say({"event": "started", "protocol": VERSION + 1, "version": "9.0.0"}),
    "stage": lambda text: _stage.__setitem__(0, text),
    "progress": lambda text: progress(float(text)),
    "steps": lambda text: go_on(int(text)),
    "sleep": lambda text: time.sleep(float(text)),
    "log": lambda text: say({"event": "log", "stage": _stage[0], "message": text}),
    "warning": lambda text: say({"event": "warning", "stage": _stage[0], "message": text}),
    "gpu_memory": lambda _: say({"event": "warning", "stage": "fragments", "message": GPU_MEMORY}),
    "noise": lambda _: make_noise(),
    "halves": lambda _: tell_in_halves(),
    "flood": lambda text: flood(int(text)),
    "helper": lambda _: start_helper(),
    "deaf": lambda _: go_deaf(),
    "hang": lambda _: time.sleep(120.0),
    "crash": lambda _: os.abort(),
    "exit": lambda text: os._exit(int(text)),
    "absent": die_of_absence,
    "error": tell_error,
    "result": lambda _: say(RESULT),
    "copy": copy_result,
}


def launch(stdin: str, arguments: list[str]) -> int:
    """Be a launcher: start the rest in a process of its own and wait for it."""
    source = None if stdin == "forwards" else subprocess.PIPE
    child = subprocess.Popen([sys.executable, str(Path(__file__)), *arguments], stdin=source)
    return child.wait()


def main() -> None:
    note_pid()
    if sys.argv[1] == "--launcher":
        os._exit(launch(sys.argv[2], sys.argv[3:]) & 0xFF)
    signal.signal(signal.SIGTERM, leave_cancelled)
    if sys.argv[1].startswith("deaf"):
        go_deaf()
    threading.Thread(target=watch_stdin, daemon=True).start()
    for step in sys.argv[1].split(","):
        word, _, value = step.partition("=")
        STEPS[word](value)
    os._exit(0)


if __name__ == "__main__":
    main()
