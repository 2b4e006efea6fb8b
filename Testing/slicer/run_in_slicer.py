"""Run the self tests in a downloaded 3D Slicer, without building anything.

    python Testing/slicer/run_in_slicer.py /path/to/Slicer [NAME ...]

The tests are those that Testing/slicer/CMakeLists.txt registers for ctest, and the module's own;
names choose among them. Slicer's settings are neither read nor changed. On a machine without a
display, put `xvfb-run -a` in front. Exit status 0 only if every test passed.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULE_FOLDER = HERE.parent.parent / "FractureSegmentation"
LONGEST_SECONDS = 1800

_REGISTERED = re.compile(
    r"slicer_add_python_unittest\(\s*SCRIPT (?P<script>\S+?)\.py(?P<options>[^)]*)\)"
)


@dataclass(frozen=True)
class SelfTest:
    """One file of tests.

    Attributes:
        name: of the file, without its ending.
        folder: where it lies.
        options: arguments of Slicer that it asks for.
    """

    name: str
    folder: Path
    options: tuple[str, ...] = ()

    def command(self, slicer: str) -> list[str]:
        """The command line that runs it, as ctest would in a build of the extension."""
        code = (
            "import slicer.testing; "
            f"slicer.testing.runUnitTest([{self.folder.as_posix()!r}], {self.name!r})"
        )
        return [
            slicer,
            *("--testing", "--no-splash", "--ignore-slicerrc", "--disable-settings"),
            *self.options,
            *("--additional-module-paths", str(MODULE_FOLDER)),
            *("--python-code", code),
        ]


def self_tests() -> list[SelfTest]:
    """The module's own test, then those that CMakeLists.txt registers, in its order."""
    text = (HERE / "CMakeLists.txt").read_text(encoding="utf-8")
    registered = [
        SelfTest(
            found["script"],
            HERE,
            tuple(word for word in found["options"].split() if word.startswith("--")),
        )
        for found in _REGISTERED.finditer(text)
    ]
    return [SelfTest(MODULE_FOLDER.name, MODULE_FOLDER), *registered]


def passes(test: SelfTest, slicer: str) -> bool:
    """Run one test file; what Slicer prints goes where ours goes."""
    try:
        status = subprocess.run(
            test.command(slicer), timeout=LONGEST_SECONDS, check=False
        ).returncode
    except subprocess.TimeoutExpired:
        sys.stdout.write(f"{test.name} took longer than {LONGEST_SECONDS} s and was stopped\n")
        return False
    return status == 0


def main(arguments: list[str]) -> int:
    """Run all tests, or those named; say at the end which failed."""
    if not arguments:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    slicer, *names = arguments
    known = self_tests()
    if unknown := set(names) - {test.name for test in known}:
        sys.stderr.write(f"no self test is called {', '.join(sorted(unknown))}\n")
        return 2
    failed = []
    for test in known:
        if names and test.name not in names:
            continue
        sys.stdout.write(f"== {test.name}\n")
        sys.stdout.flush()
        if not passes(test, slicer):
            failed.append(test.name)
    sys.stdout.write(f"failed: {', '.join(failed)}\n" if failed else "all passed\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
