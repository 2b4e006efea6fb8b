"""One real case from file to result folder: on a processor without AVX-512, and in a longer CT.

Run as `python -m fracseg_training.benchmarks.speed.case CT OUT THREADS`, it segments a CT and
prints what that cost as JSON: how the benchmark measures a case under another instruction set,
which PyTorch chooses when it is loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fracseg_training.benchmarks.speed.measure import SpeedRow, clock_for, paired
from FractureSegmentationLib.config import SegmentSettings
from FractureSegmentationLib.io.read import read_ct, read_labels
from FractureSegmentationLib.pipeline import CaseRequest, segment_case, segment_ct
from FractureSegmentationLib.pipeline.output import write_result
from FractureSegmentationLib.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fracseg_training.benchmarks.speed.measure import SpeedSettings
    from FractureSegmentationLib.io.read import CtInput
    from FractureSegmentationLib.pipeline.result import SegmentResult
    from FractureSegmentationLib.volume import LabelVolume, Volume

CASE = "003"
AVX2_ONLY = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
_AVX2_SECONDS, _PADDING_SHARE = 300.0, 0.15
_PADDING_PAIRS = 2
"""Each takes four times as long as everything else together."""


def padding_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """A CT twice as long with the same bones: all that happens after it was read."""
    folder = settings.data / "real" / CASE
    ct, bones = read_ct(folder / "ct.nii.gz"), read_labels(folder / "bones.nii.gz")
    long_ct = replace(ct, volume=twice_as_long(ct.volume))
    long_bones = twice_as_long(bones)
    run = paired(
        lambda: _segmented(long_ct, long_bones),
        lambda: _segmented(ct, bones),
        repeats=min(settings.repeats, _PADDING_PAIRS),
        clock=clock_for(settings.threads),
    )
    is_equal = np.array_equal(
        run.first.fragments.voxels[: len(run.second.fragments.voxels)],
        run.second.fragments.voxels,
    )
    yield SpeedRow(
        name=f"case {CASE} in a CT padded to twice its length along k, bones given",
        measured=f"{run.second_seconds:.1f} s as it is, {run.first_seconds:.1f} s padded, "
        f"{run.ratio - 1.0:+.1%}, {'same fragments' if is_equal else 'OTHER FRAGMENTS'}",
        target=f"at most {_PADDING_SHARE:+.0%}",
        is_met=run.ratio <= 1.0 + _PADDING_SHARE and is_equal,
    )


def avx2_rows(settings: SpeedSettings) -> Iterator[SpeedRow]:
    """A whole case, bones detected by the product, with the instruction set of an old laptop."""
    for name, environment in (("AVX2 only", AVX2_ONLY), ("all instructions", {})):
        cost = measured_case(settings.data / "real" / CASE / "ct.nii.gz", settings, environment)
        seconds = cost["cpu_seconds"] if settings.threads == 1 else cost["seconds"]
        stages = ", ".join(f"{stage} {took:.1f} s" for stage, took in cost["stages"].items())
        is_limited = bool(environment)
        yield SpeedRow(
            name=f"case {CASE} from file to folder, {name}",
            measured=f"{seconds:.0f} s ({cost['precision']}; {stages}), "
            f"peak memory {cost['peak_mebibytes']:.0f} MiB",
            target=f"under {_AVX2_SECONDS:.0f} s" if is_limited else "",
            is_met=seconds < _AVX2_SECONDS if is_limited else None,
        )


def twice_as_long(volume: Volume) -> Any:
    """The volume with as many slices again behind its last one, all 0, as outside masked bones."""
    k, j, i = volume.geometry.shape
    padded = np.zeros((2 * k, j, i), volume.voxels.dtype)
    padded[:k] = volume.voxels
    return replace(volume, voxels=padded, geometry=replace(volume.geometry, shape=(2 * k, j, i)))


def measured_case(ct: Path, settings: SpeedSettings, environment: dict[str, str]) -> dict[str, Any]:
    """Segment a CT in a process of its own and say what that cost.

    Args:
        ct: the CT.
        settings: how many threads.
        environment: variables set for it.

    Raises:
        subprocess.CalledProcessError: the run failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        finished = subprocess.run(  # noqa: S603 (our own module on a path of the caller)
            [sys.executable, "-m", __name__, str(ct), folder + "/out", str(settings.threads)],
            env={**os.environ, "OMP_NUM_THREADS": str(settings.threads), **environment},
            capture_output=True,
            text=True,
            check=True,
        )
    cost: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return cost


def main(arguments: list[str]) -> int:
    """Segment one CT and print its cost."""
    import torch

    ct, out, threads = arguments
    torch.set_num_threads(int(threads))
    begin = time.perf_counter()
    result = segment_case(
        CaseRequest(ct=Path(ct), out=Path(out), settings=SegmentSettings(device="cpu")),
        clock=clock_for(int(threads)),
    )
    cost = {
        "seconds": time.perf_counter() - begin,
        "cpu_seconds": time.process_time(),
        "precision": result.facts.precision,
        "peak_mebibytes": peak_of_process_mebibytes(),
        "stages": result.facts.seconds,
    }
    print(json.dumps(cost))
    return 0


def peak_of_process_mebibytes() -> float:
    """The most memory this process ever held; NaN where the system does not report it."""
    if sys.platform == "win32":
        return float("nan")
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (2**20 if sys.platform == "darwin" else 2**10)


def _segmented(ct: CtInput, bones: LabelVolume) -> SegmentResult:
    """Segment and write, as a run does after reading."""
    result = segment_ct(ct, SegmentSettings(bones=bones, device="cpu"))
    with tempfile.TemporaryDirectory() as folder:
        write_result(result, Path(folder), Progress(), time.perf_counter)
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
