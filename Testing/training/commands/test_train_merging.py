"""`fracseg train-merging` from a folder of shapes to a model, on small bones and a tiny network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from fracseg_training.commands.train_merging import train_merging
from fracseg_training.data.bodies import is_held_out, read_shapes
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.instances.learned.judge import MergeModel
from FractureSegmentationLib.io.sitk import write_volume
from FractureSegmentationLib.networks.merging_file import load_judge
from FractureSegmentationLib.networks.model_spec import read_spec
from FractureSegmentationLib.volume import LabelVolume
from Testing.tiny_cases import write_tiny_model

TRAINED, KEPT = "one", "jhu_33"


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A block of 36 x 26 x 26 mm as the left hip bone of two bodies, one of them held out."""
    folder = tmp_path / "shapes"
    folder.mkdir()
    voxels = np.zeros((46, 36, 36), np.uint8)
    voxels[5:41, 5:31, 5:31] = 2
    geometry = Geometry(shape=voxels.shape, spacing_mm=(1.0, 1.0, 1.0))
    cases = []
    for body in (TRAINED, KEPT):
        write_volume(folder / f"{body}.nii.gz", LabelVolume(voxels=voxels, geometry=geometry))
        cases.append(
            {"case": body, "file": f"{body}.nii.gz", "body": body, "bones": {"left_hip": {}}}
        )
    # Of a kind that is not trained on, and no file of it is there.
    cases.append({"case": "leg", "file": "leg.nii.gz", "body": "leg", "bones": {"left_tibia": {}}})
    (folder / "cases.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path / "models")
    return tmp_path / "models" / "fracsegmentator-small"


def run(model: Path, out: Path, *options: str) -> Result:
    fixed = ["--device", "cpu", "--precision", "fp32"]
    return CliRunner().invoke(train_merging, [str(model), str(out), *fixed, *options])


def test_bodies_are_held_out_by_their_name() -> None:
    assert is_held_out(KEPT)
    assert is_held_out("caseB")
    assert not is_held_out(TRAINED)


def test_a_model_is_trained_on_some_bodies_and_judged_on_others(
    model: Path, shapes: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ["--shapes", str(shapes), "--bones", "14", "--validate", "1"]

    done = run(model, out, *options)

    assert done.exit_code == 0, done.output
    assert isinstance(load_judge(out / "model", read_spec(out / "model")), MergeModel)
    maps = sorted(path.name for path in (out / "maps" / "train").glob("*.map.npz"))
    assert all(name.startswith(f"sim_{TRAINED}_") for name in maps)
    kept = {path.name.split(".")[1] for path in (out / "maps" / "validate").glob("*.map.npz")}
    assert kept == {"exact", "eroded", "dilated", "flips"}
    written = {path: path.stat().st_mtime_ns for path in (out / "maps").rglob("*.npz")}

    again = run(model, out, *options)

    assert again.exit_code == 0, again.output
    assert {path: path.stat().st_mtime_ns for path in (out / "maps").rglob("*.npz")} == written


def test_maps_of_another_network_are_not_mixed_in(
    model: Path, shapes: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"network_sha256": "other"}', encoding="utf-8")

    done = run(model, tmp_path / "run", "--shapes", str(shapes), "--validate", "0")

    assert isinstance(done.exception, InputError)
    assert "another network" in str(done.exception)


def test_without_bodies_there_is_nothing_to_train_on(model: Path, tmp_path: Path) -> None:
    done = run(model, tmp_path / "run")

    assert done.exit_code == 2
    assert "--shapes" in done.output


def test_a_folder_without_a_list_and_a_missing_file_are_explained(shapes: Path) -> None:
    (shapes / f"{KEPT}.nii.gz").unlink()
    with pytest.raises(InputError, match=KEPT):
        read_shapes(shapes)
    (shapes / "cases.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match=r"cases\.json"):
        read_shapes(shapes)
