from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from click.testing import CliRunner
from small_bodies import a_small_body

from fracseg_training.bones import bodies, config
from fracseg_training.commands.train_bones import train_bones
from FractureSegmentationLib.networks.config import UNet3DConfig


@pytest.fixture
def small_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages with networks and grids that a test can afford."""
    from dataclasses import replace

    small = replace(
        config.COARSE, network=UNet3DConfig(features=(4, 8)), patch=(16, 16, 16), steps=2
    )
    monkeypatch.setitem(config.STAGES, "coarse", small)
    monkeypatch.setattr(bodies, "SPACING_MM", 4.0)


@pytest.mark.usefixtures("small_stages")
def test_a_label_map_becomes_a_model(tmp_path: Path) -> None:
    body = a_small_body()
    image = sitk.GetImageFromArray(np.ascontiguousarray(body.labels))
    image.SetSpacing((4.0, 4.0, 4.0))
    sitk.WriteImage(image, str(tmp_path / "map.nii.gz"))
    (tmp_path / "names.json").write_text(json.dumps(body.names))

    def call(*arguments: str) -> str:
        result = CliRunner().invoke(train_bones, list(arguments), catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    pool, run = str(tmp_path / "pool"), str(tmp_path / "run")
    maps = ["--label-map", str(tmp_path / "map.nii.gz"), str(tmp_path / "names.json")]
    call("pool", pool, *maps, "--count", "1")
    call("fit", "coarse", pool, run)
    call("export", "coarse", run, str(tmp_path / "again"))

    for folder in (tmp_path / "run" / "model", tmp_path / "again"):
        assert json.loads((folder / "model.json").read_text())["name"] == "bones-coarse"
