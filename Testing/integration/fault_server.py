"""Runs the command line in forked processes and lets things go wrong in them at chosen places.

Started by the fault tests as a process of its own. Everything heavy is imported once; each run is a
fork of that, so that it begins within milliseconds and dies alone. Requests and answers are lines
of JSON:

    {"arguments": [...], "faults": [...], "scratch": FOLDER, "waits": true,
     "stdin": "pipe" | "closed" | "empty", "stdout": "read" | "unread"}
    {"pid": 1234, "status": -9, "has_orphans": false, "stdout": "...", "stderr": "..."}

A fault is {"at": where, "do": what}. Where: `open NAME`, `rename NAME`, `rename-to NAME` or
`rmtree NAME` (the first time a path with that ending is opened for writing, gets or becomes another
name, or is removed), `image NAME` (SimpleITK writes a file called so), `call MODULE:NAME` (a
function or method is called), or `start`. What: `kill`, `hang`, `memory`, `device memory`,
`errno N`, `half`, `stop reading` (of an unread stdout), `fill stdout`,
`limit N` (no file grows beyond N bytes).
"""

from __future__ import annotations

import errno
import functools
import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from FractureSegmentationLib.cli.main import main
from FractureSegmentationLib.inference.device import choose_precision

READ_END = 9
EVENTS = {
    "open": ("open", 0),
    "rename": ("os.rename", 0),
    "rename-to": ("os.rename", 1),
    "rmtree": ("shutil.rmtree", 0),
}
WRITING = os.O_WRONLY | os.O_RDWR


def act(what: str) -> None:
    """Let it happen; may not return."""
    word, _, number = what.partition(" ")
    if what == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "hang":
        time.sleep(120.0)
    elif what == "memory":
        raise MemoryError
    elif what == "device memory":
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    elif word == "errno":
        raise OSError(int(number), os.strerror(int(number)), "/a/private/path")
    elif what == "stop reading":
        os.close(READ_END)
    elif what == "fill stdout":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    elif word == "limit":
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(number), int(number)))
    else:
        raise ValueError(what)


def watch_files(event: str, ending: str, what: str) -> None:
    """Act once when the interpreter is about to touch a file of that name."""
    happened: list[bool] = []
    awaited, place = EVENTS[event]

    def look(name: str, args: tuple[Any, ...]) -> None:
        if name != awaited or happened or not str(args[place]).endswith(ending):
            return
        if event == "open" and not int(args[2] or 0) & WRITING:
            return
        happened.append(True)
        act(what)

    sys.addaudithook(look)


def watch_images(name: str, what: str) -> None:
    """Act when SimpleITK has written one half of a file."""
    write = sitk.WriteImage

    def write_half(image: Any, path: str, *args: Any, **options: Any) -> None:
        write(image, path, *args, **options)
        if Path(path).name == name:
            content = Path(path).read_bytes()
            Path(path).write_bytes(content[: len(content) // 2])
            if what != "half":
                act(what)

    sitk.WriteImage = write_half


def watch_calls(target: str, what: str) -> None:
    """Act when a function, or a method of a class, is called."""
    module, _, dotted = target.partition(":")
    owner: Any = importlib.import_module(module)
    *path, name = dotted.split(".")
    for part in path:
        owner = getattr(owner, part)
    real = getattr(owner, name)

    @functools.wraps(real)
    def instead(*args: Any, **options: Any) -> Any:
        act(what)
        return real(*args, **options)

    setattr(owner, name, instead)


def arm(fault: dict[str, str]) -> None:
    where, _, what = fault["at"], None, fault["do"]
    kind, _, name = where.partition(" ")
    watchers: dict[str, Callable[[], None]] = {
        "image": lambda: watch_images(name, what),
        "call": lambda: watch_calls(name, what),
        "start": lambda: act(what),
    }
    watchers.get(kind, lambda: watch_files(kind, name, what))()


def sketch(path: Path, *_: Any, **__: Any) -> None:
    """Stands for the preview, which takes longer than all else."""
    path.write_bytes(b"\x89PNG")


def become_the_run(request: dict[str, Any], streams: tuple[int, int]) -> None:
    """In the forked process: take the streams asked for, arm the faults, run, leave."""
    os.setpgid(0, 0)
    os.environ["TMPDIR"] = tempfile.tempdir = request["scratch"]
    stdin = request.get("stdin", "empty")
    if stdin == "closed":
        os.close(0)
        sys.stdin = None  # what Python makes of a closed descriptor
    elif stdin == "empty":
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    if request.get("stdout") == "unread":
        read_end, out = os.pipe()
        os.dup2(read_end, READ_END)
        os.close(read_end)
        os.dup2(out, 1)
        os.close(out)
    else:
        os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
    importlib.import_module("FractureSegmentationLib.pipeline.output").write_preview = sketch
    for fault in request["faults"]:
        arm(fault)
    try:
        main(request["arguments"])
    except SystemExit as leaving:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(leaving.code or 0))


def has_orphans(group: int) -> bool:
    """Whether any process of the run is still there."""
    try:
        os.killpg(group, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


def drained(stream: int) -> str:
    """What was written into a pipe so far; the runs write less than a pipe holds."""
    os.set_blocking(stream, False)
    try:
        return os.read(stream, 1 << 20).decode()
    except BlockingIOError:
        return ""
    finally:
        os.close(stream)


def forked(request: dict[str, Any], held_open: list[int]) -> dict[str, Any]:
    """Start a run; its end of stdin stays open in this process until that ends itself."""
    (stdin, feed), (read_out, out), (read_err, err) = (os.pipe() for _ in range(3))
    pid = os.fork()
    if pid == 0:
        for other in (*held_open, feed, read_out, read_err):
            os.close(other)
        if request.get("stdin") == "pipe":
            os.dup2(stdin, 0)
            sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        become_the_run(request, (out, err))
        os._exit(99)
    for mine in (stdin, out, err):
        os.close(mine)
    held_open.append(feed)
    if not request.get("waits", True):
        held_open.extend((read_out, read_err))
        return {"pid": pid, "status": None, "has_orphans": None, "stdout": "", "stderr": ""}
    _, status = os.waitpid(pid, 0)
    return {
        "pid": pid,
        "status": os.waitstatus_to_exitcode(status),
        "has_orphans": has_orphans(pid),
        "stdout": drained(read_out),
        "stderr": drained(read_err),
    }


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def serve() -> None:
    torch.set_num_threads(1)
    # Loaded and tried out once here instead of once per run.
    for name in ("cli.segment", "networks.weights", "pipeline"):
        importlib.import_module(f"FractureSegmentationLib.{name}")
    choose_precision(torch.device("cpu"))
    say("ready")
    held_open: list[int] = []
    while line := sys.stdin.readline():
        say(json.dumps(forked(json.loads(line), held_open)))


if __name__ == "__main__":
    serve()
