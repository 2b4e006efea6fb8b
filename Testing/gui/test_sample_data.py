"""The sample case from a server of our own: made-up files, real downloads, real nodes."""

from __future__ import annotations

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.volume import Volume
from FractureSegmentationPanel.setup.sample_case import PELVIS, SampleBone, SampleCase, SampleFile

SHAPE = (6, 5, 4)
OBLIQUE = Geometry(
    shape=SHAPE,
    spacing_mm=(2.0, 0.8, 0.7),
    origin_lps_mm=(-10.0, 20.0, -300.0),
    direction=((0.0, 0.6, 0.8), (0.0, 0.8, -0.6), (-1.0, 0.0, 0.0)),
)


@dataclass
class Server:
    """Serves the files of a folder on this computer, and counts what was asked for."""

    address: str
    folder: Path
    requests: list[str]


class Handler(http.server.SimpleHTTPRequestHandler):
    requests: list[str]

    def do_GET(self) -> None:
        self.requests.append(self.path)
        if self.path.startswith("/cut/"):
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
            self.close_connection = True
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "served"
    folder.mkdir()
    requests: list[str] = []
    handler = type("OwnHandler", (Handler,), {"requests": requests})
    running = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield Server(f"http://127.0.0.1:{running.server_port}", folder, requests)
    running.shutdown()
    running.server_close()


@pytest.fixture
def cache(tmp_path: Path, host: Any, slot_errors: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Slicer's folder for downloads."""
    from FractureSegmentationPanel.setup import sample_data

    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(sample_data, "_cache_folder", lambda: folder)
    return folder


def served(server: Server, name: str, voxels: Any, geometry: Geometry = OBLIQUE) -> SampleFile:
    write_volume(server.folder / name, Volume(voxels=voxels, geometry=geometry))
    content = (server.folder / name).read_bytes()
    return SampleFile(name=name, sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def case(server: Server) -> SampleCase:
    """Three bones of a few voxels; the mask of the left hip holds two fragments, 11 and 12."""
    parts = []
    for number, bone in enumerate(("left_hip", "right_hip", "sacrum")):
        hu = np.zeros(SHAPE, np.int16)
        mask = np.zeros(SHAPE, np.uint8)
        box = (slice(2 * number, 2 * number + 2), slice(1, 4), slice(0, 3))
        hu[box] = 300 + 100 * number
        mask[box] = 11
        mask[2 * number, 1, 0] = 12
        # A bone voxel of 0 HU is bone all the same.
        hu[2 * number + 1, 3, 2] = 0
        ct = served(server, f"{bone}.nii.gz", hu)
        parts.append(SampleBone(bone=bone, ct=ct, mask=served(server, f"{bone}_mask.nii.gz", mask)))
    return SampleCase(name="MadeUp", address=server.address, bones=tuple(parts))


def scene_size(host: Any) -> int:
    return int(host.scene.GetNumberOfNodes())


def test_nothing_is_downloaded_before_the_click(
    server: Server, case: SampleCase, cache: Path, host: Any
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    sample_data.register(cache / "picture.png", case)

    source = host.sample_data["MadeUp"]
    assert source.category == "FractureSegmentation"
    assert source.uris[0] == f"{server.address}/left_hip.nii.gz"
    assert source.checksums[0] == f"SHA256:{case.files[0].sha256}"
    assert len(source.uris) == len(source.fileNames) == len(source.nodeNames) == 6
    assert source.thumbnailFileName == str(cache / "picture.png")
    assert server.requests == []


def test_a_slicer_without_categories_will_do(
    case: SampleCase, cache: Path, host: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import SampleData

    from FractureSegmentationPanel.setup import sample_data

    monkeypatch.delattr(SampleData.SampleDataLogic, "registerCustomSampleDataCategory")

    sample_data.register(case=case)

    assert "MadeUp" in host.sample_data


def test_a_click_puts_one_ct_and_one_segmentation_into_the_scene(
    server: Server, case: SampleCase, cache: Path, host: Any
) -> None:
    import slicer

    from FractureSegmentationLib.mrml.volume import volume_of
    from FractureSegmentationPanel.setup import sample_data

    sample_data.register(case=case)
    source = host.sample_data["MadeUp"]

    volume, segmentation = source.customDownloader(source)

    ct = volume_of(volume)
    assert ct.geometry.is_close_to(OBLIQUE, tolerance_mm=1e-4)
    assert ct.voxels.dtype == np.int16
    assert ct.voxels[0, 1, 0] == 300
    assert ct.voxels[2, 1, 0] == 400
    assert ct.voxels[4, 1, 0] == 500
    assert ct.voxels[0, 0, 0] == 0
    inner = segmentation.GetSegmentation()
    assert [inner.GetNthSegment(n).GetName() for n in range(3)] == [
        "Sacrum",
        "Left hip bone",
        "Right hip bone",
    ]
    assert inner.GetNumberOfLayers() == 1
    ids = {bone: inner.GetSegmentIdBySegmentName(bone) for bone in ("Left hip bone", "Sacrum")}
    left, sacrum = (
        slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, ids[bone], volume) for bone in ids
    )
    assert int(left.sum()) == 2 * 3 * 3, "fragments and voxels of 0 HU are bone too"
    assert left[1, 3, 2]
    assert not (left & sacrum).any()
    assert len(server.requests) == 6


def test_the_panel_takes_the_segmentation_as_bones(
    case: SampleCase, cache: Path, host: Any, tmp_path: Path
) -> None:
    from FractureSegmentationLib.io.read import read_labels
    from FractureSegmentationPanel.logic.segment_run import write_bones
    from FractureSegmentationPanel.setup import sample_data

    volume, segmentation = sample_data.load_sample(case)

    write_bones(segmentation, volume, tmp_path / "bones.nrrd")

    labels = read_labels(tmp_path / "bones.nrrd")
    assert labels.values() == (1, 2, 3)
    assert labels.voxels[0, 1, 0] == 2
    assert labels.voxels[4, 1, 0] == 1


def test_the_second_time_comes_from_the_cache(
    server: Server, case: SampleCase, cache: Path, host: Any
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    sample_data.load_sample(case)
    server.requests.clear()
    sample_data.load_sample(case)

    assert server.requests == []
    assert sorted(path.name for path in cache.iterdir()) == sorted(
        f"MadeUp-{file.name}" for file in case.files
    )


def test_a_damaged_file_in_the_cache_is_fetched_again(
    server: Server, case: SampleCase, cache: Path, host: Any
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    sample_data.load_sample(case)
    server.requests.clear()
    (cache / "MadeUp-sacrum.nii.gz").write_bytes(b"half a file")
    sample_data.load_sample(case)

    assert server.requests == ["/sacrum.nii.gz"]


@pytest.mark.parametrize("trouble", ["another file", "not there", "cut", "no server"])
def test_what_goes_wrong_is_told_and_changes_nothing(
    server: Server, case: SampleCase, cache: Path, host: Any, trouble: str
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    address = case.address
    if trouble == "another file":
        (server.folder / "right_hip.nii.gz").write_bytes(b"something else")
    elif trouble == "not there":
        (server.folder / "right_hip.nii.gz").unlink()
    elif trouble == "cut":
        address = f"{case.address}/cut"
    else:
        address = "http://127.0.0.1:9"
    before = scene_size(host)
    sample_data.register(case=replace(case, address=address))
    source = host.sample_data["MadeUp"]

    nodes = source.customDownloader(source)

    assert nodes == []
    assert scene_size(host) == before
    (text,) = host.dialogs.texts
    assert text.startswith("The sample data ")
    assert "127.0.0.1" not in text
    assert not (cache / "MadeUp-right_hip.nii.gz").exists()
    assert [path.name for path in cache.iterdir() if "fracseg" in path.name] == []


def test_a_cache_that_cannot_be_used_is_told(
    server: Server, case: SampleCase, cache: Path, host: Any
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    cache.rmdir()
    cache.write_text("a file in its place")
    sample_data.register(case=case)
    source = host.sample_data["MadeUp"]

    assert source.customDownloader(source) == []

    (text,) = host.dialogs.texts
    assert "disk" in text
    assert server.requests == []


def test_parts_of_different_grids_are_refused(
    server: Server, case: SampleCase, cache: Path, host: Any
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    shifted = replace(OBLIQUE, origin_lps_mm=(0.0, 0.0, 0.0))
    other = served(server, "sacrum_mask.nii.gz", np.ones(SHAPE, np.uint8), shifted)
    bones = (*case.bones[:2], replace(case.bones[2], mask=other))

    with pytest.raises(EnvironmentProblemError, match="do not fit together"):
        sample_data.load_sample(replace(case, bones=bones))


def test_the_window_lives_during_a_download(
    server: Server, cache: Path, host: Any, tmp_path: Path
) -> None:
    from FractureSegmentationPanel.setup import sample_data

    content = bytes(1 << 20)
    (server.folder / "large").write_bytes(content)
    steps: list[int] = []

    sample_data.fetch(
        f"{server.address}/large",
        tmp_path / "large",
        hashlib.sha256(content).hexdigest(),
        step=lambda: steps.append(1),
    )

    assert len(steps) >= 4


def test_the_published_case_is_what_the_files_of_the_real_case_are_made_of(
    real_data: Path,
) -> None:
    """The list of the data's own description and ours name the same addresses and hashes."""
    text = (real_data / "README.md").read_text(encoding="utf-8")

    assert PELVIS.address.split("/raw/")[1].split("/")[0] in text
    assert len(PELVIS.files) == 6
    for file in PELVIS.files:
        assert f"| {file.name} | {file.sha256} |" in text
    assert {part.bone for part in PELVIS.bones} == {"left_hip", "right_hip", "sacrum"}
