"""The merging model of a model folder: bound to its network, refused where it is damaged."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.errors import DamagedWeightsError, MissingWeightsError
from FractureSegmentationLib.instances.learned.boosted_trees import BoostedTrees
from FractureSegmentationLib.instances.learned.features import EDGE_FEATURES
from FractureSegmentationLib.instances.learned.judge import WHOLE_FEATURES, ContactJudge, MergeModel
from FractureSegmentationLib.networks.merging_file import load_judge, merging_bytes, with_merging
from FractureSegmentationLib.networks.model_folder import write_model_folder
from FractureSegmentationLib.networks.model_spec import MERGING_FILE, WEIGHTS_FILE, read_spec
from Testing.tiny_cases import write_tiny_model


def stump(columns: int, threshold: float) -> BoostedTrees:
    """One tree: the first feature up to a threshold is -2, above it 2."""
    return BoostedTrees(
        feature=np.array([[0, -1, -1]], np.int32),
        threshold=np.array([[threshold, 0.0, 0.0]], np.float32),
        left=np.array([[1, -1, -1]], np.int32),
        right=np.array([[2, -1, -1]], np.int32),
        value=np.array([[0.0, -2.0, 2.0]], np.float32),
        offset=0.0,
        columns=columns,
    )


def a_model(sha256: str) -> MergeModel:
    return MergeModel(
        edges=stump(len(EDGE_FEATURES), 0.3),
        bones=stump(len(WHOLE_FEATURES), 0.6),
        network_sha256=sha256,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tiny_model(tmp_path)
    return tmp_path / "fracsegmentator-small"


def test_a_model_without_one_goes_by_contact(folder: Path) -> None:
    assert isinstance(load_judge(folder, read_spec(folder)), ContactJudge)


def test_a_merging_model_comes_back_as_it_was(folder: Path, tmp_path: Path) -> None:
    model = a_model(read_spec(folder).sha256)

    spec = with_merging(folder, tmp_path / "out", merging_bytes(model))

    again = load_judge(tmp_path / "out", spec)
    assert isinstance(again, MergeModel)
    rows = np.random.default_rng(0).random((20, len(EDGE_FEATURES))).astype(np.float32)
    assert np.array_equal(again.same_fragment(rows), model.same_fragment(rows))
    row = np.full(len(WHOLE_FEATURES), 0.7, np.float32)
    assert again.whole(row) == model.whole(row) > 0.5
    assert read_spec(tmp_path / "out") == spec


def test_a_model_can_get_another_one_in_place(folder: Path) -> None:
    sha256 = read_spec(folder).sha256
    with_merging(folder, folder, merging_bytes(a_model(sha256)))

    spec = with_merging(folder, folder, merging_bytes(a_model(sha256)))

    assert (folder / WEIGHTS_FILE).is_file()
    assert isinstance(load_judge(folder, spec), MergeModel)


def test_that_of_another_network_is_refused(folder: Path) -> None:
    spec = with_merging(folder, folder, merging_bytes(a_model("0" * 64)))

    with pytest.raises(DamagedWeightsError, match="another network"):
        load_judge(folder, spec)


def test_another_file_than_the_one_published_is_refused(folder: Path) -> None:
    spec = with_merging(folder, folder, merging_bytes(a_model(read_spec(folder).sha256)))
    (folder / MERGING_FILE).write_bytes(merging_bytes(a_model("0" * 64)))

    with pytest.raises(DamagedWeightsError, match="published with"):
        load_judge(folder, spec)


def test_a_file_that_is_gone_is_missed(folder: Path) -> None:
    spec = with_merging(folder, folder, merging_bytes(a_model(read_spec(folder).sha256)))
    (folder / MERGING_FILE).unlink()

    with pytest.raises(MissingWeightsError, match=MERGING_FILE):
        load_judge(folder, spec)


@pytest.mark.parametrize("content", [b"", b"no safetensors at all", b"\x08" + b"\0" * 40])
def test_what_is_no_merging_model_is_refused(folder: Path, content: bytes) -> None:
    spec = replace(read_spec(folder), merging_sha256=hashlib.sha256(content).hexdigest())
    files = {
        WEIGHTS_FILE: (folder / WEIGHTS_FILE).read_bytes(),
        MERGING_FILE: content,
    }
    write_model_folder(folder, spec, files)

    with pytest.raises(DamagedWeightsError, match="understood"):
        load_judge(folder, spec)


def test_trees_of_other_features_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        MergeModel(edges=stump(3, 0.1), bones=stump(3, 0.1), network_sha256="0" * 64)
