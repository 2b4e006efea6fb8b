"""The exported graph: the same network, no weight in it, no trace of who made it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from FractureSegmentationLib.cli.main import run
from FractureSegmentationLib.inference.engine import choose_engine
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.inference.windows import WindowPlan
from FractureSegmentationLib.networks.model_folder import SHIPPED_FOLDER, read_weights
from FractureSegmentationLib.networks.model_spec import (
    GRAPH_FILE,
    WEIGHTS_FILE,
    ModelSpec,
    read_spec,
)
from Testing.tiny_cases import TINY, write_tiny_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
SHIPPED = sorted(folder.parent for folder in SHIPPED_FOLDER.glob("*/model.json"))
PATCH = (64, 64, 64)


OURS = replace(TINY, masked_descriptors=True, normalised_memory=True, centred_embeddings=True)
FORMS = {
    "as published": TINY,
    "masked descriptors": OURS,
    "one scale": replace(OURS, embedding_scales=(1,)),
}


@pytest.fixture(scope="module", params=FORMS.values(), ids=FORMS)
def exported(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, bytes]:
    """A tiny model that `fracseg models export` has been run on, and its weights before that."""
    models = tmp_path_factory.mktemp("exported")
    write_tiny_model(models, config=request.param)
    folder = models / "fracsegmentator-small"
    before = (folder / WEIGHTS_FILE).read_bytes()
    assert run(["models", "export", str(folder)]) == 0
    return folder, before


def probabilities(folder: Path, engine: str, channels: np.ndarray) -> np.ndarray:
    spec, network = choose_engine(engine).load(folder)  # type: ignore[arg-type]
    assert isinstance(spec, ModelSpec)
    plan = WindowPlan(patch=PATCH, overlap=0.5, padding=(0.0,) * len(channels))
    predictor = Predictor(network, plan, device="cpu", precision="fp32")
    return predictor.predict_float32(channels, np.ones(channels.shape[1:], bool))


def test_both_engines_see_the_same(exported: tuple[Path, bytes], rng: np.random.Generator) -> None:
    channels = rng.normal(0.0, 1.0, (2, 64, 70, 64)).astype(np.float32)
    channels[1] = channels[1] > 0.5

    ours = probabilities(exported[0], "onnxruntime", channels)
    theirs = probabilities(exported[0], "torch", channels)

    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert (ours.argmax(0) == theirs.argmax(0)).mean() >= 0.999


def test_the_weights_stay_as_they_were_and_the_graph_is_hashed(
    exported: tuple[Path, bytes],
) -> None:
    folder, before = exported
    graph = (folder / GRAPH_FILE).read_bytes()

    spec = read_spec(folder)

    assert read_weights(folder, spec) == before
    assert spec.onnx_sha256 == hashlib.sha256(graph).hexdigest()


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_every_weight_of_the_graph_lies_in_the_weights_file(folder: Path) -> None:
    graph = onnx.load(folder / GRAPH_FILE, load_external_data=False).graph
    outside = [t for t in graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    inside = [t for t in graph.initializer if t.data_location != onnx.TensorProto.EXTERNAL]

    # Pooling and spreading matrices, shapes: at most an identity of 96 channels.
    assert max(np.prod(tensor.dims) for tensor in inside) <= 96 * 96
    assert {e.value for t in outside for e in t.external_data if e.key == "location"} == {
        WEIGHTS_FILE
    }
    # Other tools find the weights by offset and length.
    onnx.load(folder / GRAPH_FILE, load_external_data=True)


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda folder: folder.name)
def test_the_graph_says_nothing_of_the_machine_it_was_made_on(folder: Path) -> None:
    model = onnx.load(folder / GRAPH_FILE, load_external_data=False)
    parts = [model, model.graph, *model.graph.node, *model.graph.initializer, *model.graph.input]

    assert all(not part.metadata_props and not part.doc_string for part in parts)
    assert b".py" not in (folder / GRAPH_FILE).read_bytes()
