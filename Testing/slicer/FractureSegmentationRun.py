"""Self test inside Slicer: the child process, with Slicer's real QProcess and PythonSlicer.

A child that only speaks the protocol shows that events, Cancel and the end arrive; where PyTorch is
installed, one real run on a synthetic CT follows.
"""

# Slicer's runner is unittest, which explains a failure only through its own methods.
# ruff: noqa: PT009, T201

from __future__ import annotations

import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import slicer
from self_test_scene import has_engine, made_up_ct

CHILD = Path(__file__).resolve().parent.parent / "gui" / "fake_child.py"
TIMEOUT_SECONDS = 60.0


class Heard:
    """What a job reports, in its order."""

    def __init__(self) -> None:
        self.progress: list[tuple[str, float]] = []
        self.warnings: list[str] = []
        self.log: list[str] = []
        self.outcomes: list[Any] = []

    def handlers(self) -> Any:
        from FractureSegmentationPanel.run.job import JobHandlers

        return JobHandlers(
            progress=lambda stage, fraction, _left: self.progress.append((stage, fraction)),
            log=self.log.append,
            warning=self.warnings.append,
            finished=self.outcomes.append,
        )


def wait_until(condition: Any, seconds: float) -> bool:
    """Let Slicer live until something holds; False if it never did."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        slicer.app.processEvents()
        time.sleep(0.01)
    return bool(condition())


class FractureSegmentationRun(unittest.TestCase):
    """The child process and what becomes of it."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear()
        self.logic = slicer.util.getModuleLogic("FractureSegmentation")

    def start(self, steps: str) -> tuple[Any, Heard]:
        from FractureSegmentationPanel.run.command import python_executable
        from FractureSegmentationPanel.run.job import Job

        job, heard = Job(), Heard()
        job.start([python_executable(), "-u", str(CHILD), steps], heard.handlers())
        return job, heard

    def test_events_arrive_in_their_order(self) -> None:
        job, heard = self.start("started,stage=bones,steps=5,warning=W,halves,result")

        self.assertTrue(wait_until(lambda: heard.outcomes, TIMEOUT_SECONDS))

        self.assertEqual(heard.outcomes[0].kind, "done")
        self.assertEqual(heard.warnings, ["W"])
        fractions = [fraction for _stage, fraction in heard.progress]
        self.assertTrue(fractions)
        self.assertEqual(fractions, sorted(fractions))
        self.assertFalse(job.is_running)

    def test_cancel_reaches_the_child(self) -> None:
        job, heard = self.start("started,progress=0.1,hang")
        self.assertTrue(wait_until(lambda: heard.progress, TIMEOUT_SECONDS))

        started = time.monotonic()
        job.cancel()

        self.assertTrue(wait_until(lambda: heard.outcomes, TIMEOUT_SECONDS))
        print(f"cancelled in {time.monotonic() - started:.2f} s")
        self.assertEqual(heard.outcomes[0].kind, "cancelled")

    def test_a_deaf_child_is_ended_all_the_same(self) -> None:
        job, heard = self.start("started,progress=0.1,helper,deaf,hang")
        self.assertTrue(wait_until(lambda: heard.progress, TIMEOUT_SECONDS))

        job.cancel()

        self.assertTrue(wait_until(lambda: heard.outcomes, TIMEOUT_SECONDS))
        self.assertEqual(heard.outcomes[0].kind, "cancelled")

    def test_a_crash_is_a_sentence(self) -> None:
        _job, heard = self.start("started,crash")

        self.assertTrue(wait_until(lambda: heard.outcomes, TIMEOUT_SECONDS))

        self.assertEqual(heard.outcomes[0].kind, "failed")
        self.assertTrue(heard.outcomes[0].message)

    def test_the_application_lives_while_the_child_talks(self) -> None:
        _job, heard = self.start("started,steps=40,flood=2000,result")
        longest, last = 0.0, time.monotonic()
        end = last + TIMEOUT_SECONDS

        while not heard.outcomes and last < end:
            slicer.app.processEvents()
            time.sleep(0.005)
            now = time.monotonic()
            longest, last = max(longest, now - last), now
        print(f"blocked for at most {1000.0 * longest:.0f} ms")

        self.assertTrue(heard.outcomes)
        self.assertEqual(heard.outcomes[0].kind, "done")

    def test_the_command_line_starts_in_pythonslicer(self) -> None:
        """With the command and the environment of a run; what it says does not matter."""
        from FractureSegmentationPanel.run.command import RunSettings, segment_command
        from FractureSegmentationPanel.run.job import Job

        with tempfile.TemporaryDirectory() as folder:
            absent = Path(folder) / "absent.nrrd"
            heard = Heard()
            command = segment_command(absent, Path(folder) / "out", RunSettings())
            job = Job()
            job.start(command, heard.handlers())
            self.assertTrue(wait_until(lambda: heard.outcomes, 120.0))

        self.assertIn(heard.outcomes[0].code, ("bad_input", "missing_packages"), heard.log)

    @unittest.skipUnless(has_engine(), "neither ONNX Runtime nor PyTorch is installed")
    def test_a_whole_run(self) -> None:
        """The blocks are no bones, so finding none is as good an end as finding some."""
        from FractureSegmentationLib.errors import FracSegError

        volume = made_up_ct()
        # Another module, or another test of the process, may have loaded it before.
        had_torch = "torch" in sys.modules
        try:
            segmentation = self.logic.process(volume)
        except FracSegError as error:
            self.assertEqual(error.code, "no_bone")
        else:
            self.assertTrue(segmentation.GetSegmentation().GetNumberOfSegments())
        self.assertEqual("torch" in sys.modules, had_torch)
        self.assertFalse(self.logic.isRunning)
