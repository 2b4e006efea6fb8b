"""One training run of a merging model: maps, graphs, trees, figures, a model folder."""

from __future__ import annotations

import json
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import numpy as np

from fracseg_training.commands.job_progress import JobProgress
from fracseg_training.data.done import done_cases, mark_done
from fracseg_training.fragments.score import window_plan
from fracseg_training.merging.evaluate import figures_of
from fracseg_training.merging.graphs import bone_graph
from fracseg_training.merging.maps import VIEWS, load_map, predicted_views, save_map
from fracseg_training.merging.train import MergeTrainConfig, train_merging
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.instances.learned.judge import ContactJudge
from FractureSegmentationLib.networks.merging_file import merging_bytes, with_merging
from FractureSegmentationLib.networks.model_spec import read_spec
from FractureSegmentationLib.networks.weights import load_model

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fracseg_training.data.cases import Case
    from fracseg_training.merging.graphs import BoneGraph
    from fracseg_training.merging.ground import BodyDraw, Ground
    from fracseg_training.merging.maps import View
    from FractureSegmentationLib.inference.placement import Precision

_OTHER_VIEWS: tuple[View, ...] = ("flipped", "eroded", "dilated", "perturbed", "flips")
_OTHER_WEIGHTS = (0.25, 0.2, 0.2, 0.25, 0.1)
_OTHER_SHARE = 0.5
_TEST_VIEWS: tuple[View, ...] = ("exact", "eroded", "dilated", "flips")
_WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class MergingRun:
    """What a run is asked for.

    Attributes:
        model: folder of the fragment model.
        folder: of the run.
        ground: where simulated bones come from.
        bones: how many to train on.
        validated: how many of bodies held out to report on.
        device: of the network.
        precision: of the network: auto, fp32, bf16 or fp16.
        training: how trees are trained.
    """

    model: Path
    folder: Path
    ground: Ground
    bones: int
    validated: int
    device: str = "auto"
    precision: str = "auto"
    training: MergeTrainConfig = field(default_factory=lambda: MergeTrainConfig(workers=_WORKERS))


def run_training(run: MergingRun, stream: TextIO) -> Iterator[str]:
    """Train, report, and write the model; yields lines to show.

    Raises:
        InputError: the folder holds maps of another network.
    """
    spec = read_spec(run.model)
    _claim(run.folder, spec.sha256)
    files = {
        part: _predicted(run, part, stream) for part in ("train", "validate") if _count(run, part)
    }
    graphs = {part: _graphs(paths) for part, paths in files.items()}
    least_mm3 = RecoveryConfig().min_fragment_mm3
    held = graphs.get("validate", [])
    yield from _table("contact alone", held, ContactJudge(), least_mm3)
    kinds = {graph.is_whole for graph in graphs["train"]}
    if len(kinds) < 2:
        raise InputError(
            "Merging is learnt from broken bones and whole ones, and only one kind was drawn.",
            "Ask for more with --bones.",
        )
    model = train_merging(graphs["train"], spec.sha256, run.training)
    yield from _table("trained, on the bones it was trained on", graphs["train"], model, least_mm3)
    yield from _table("trained", held, model, least_mm3)
    out = with_merging(run.model, run.folder / "model", merging_bytes(model))
    yield f"wrote {run.folder / 'model'} (merging model {out.merging_sha256[:12]})"


def _table(
    name: str, graphs: Sequence[BoneGraph], judge: object, least_mm3: float
) -> Iterator[str]:
    """The figures of the exact view, and of every other view there is."""
    for view in VIEWS:
        part = [graph for graph in graphs if graph.view == view]
        if part:
            figures = figures_of(part, judge, least_mm3)  # type: ignore[arg-type]
            yield f"{name}, {view}: {figures.line()}"


def _count(run: MergingRun, part: str) -> int:
    return run.bones if part == "train" else run.validated


def _predicted(run: MergingRun, part: str, stream: TextIO) -> list[Path]:
    """The maps of a part of the bones, predicted where they are missing."""
    folder = run.folder / "maps" / part
    is_test = part == "validate"
    count = _count(run, part)
    bones: list[list[str]] = []
    predictor: Predictor | None = None
    with JobProgress(count, stream) as progress:
        for draw in run.ground.draws(held_out=is_test):
            settings: dict[str, int | str] = {
                "seed": draw.seed,
                "intact_share": str(draw.intact_share),
            }
            made = done_cases(folder, draw.name, settings)
            if made is None:
                predictor = predictor or _predictor(run)
                made = _body_maps(folder, draw, predictor, is_test=is_test)
                mark_done(folder, draw.name, settings, made)
            of_bone: dict[str, list[str]] = {}
            for name in made:
                of_bone.setdefault(name.partition(".")[0], []).append(name)
            for names in of_bone.values():
                bones.append(names)
                progress.report(len(bones))
            if len(bones) >= count:
                break
    return [folder / f"{name}.npz" for names in bones[:count] for name in names]


def _body_maps(folder: Path, draw: BodyDraw, predictor: Predictor, *, is_test: bool) -> list[str]:
    """Predict the bones of a body under some views; the names of the maps."""
    made = []
    for case in draw.cases():
        views = _TEST_VIEWS if is_test else ("exact", *_other_views(case))
        for bone in predicted_views(case, views, predictor):
            made.append(save_map(folder, bone).name.removesuffix(".npz"))
    return made


def _other_views(case: Case) -> tuple[View, ...]:
    """For every other bone a view beside the exact one, drawn by the name of the case."""
    rng = np.random.default_rng(zlib.crc32(case.info.name.encode()))
    if rng.random() >= _OTHER_SHARE:
        return ()
    return (_OTHER_VIEWS[int(rng.choice(len(_OTHER_VIEWS), p=_OTHER_WEIGHTS))],)


def _predictor(run: MergingRun) -> Predictor:
    _, network = load_model(run.model)
    precision = None if run.precision == "auto" else cast("Precision", run.precision)
    return Predictor(network, window_plan(), device=run.device, precision=precision)


def _graphs(paths: Iterable[Path]) -> list[BoneGraph]:
    with ProcessPoolExecutor(_WORKERS) as pool:
        return list(pool.map(_graph, list(paths), chunksize=4))


def _graph(path: Path) -> BoneGraph:
    return bone_graph(load_map(path))


def _claim(folder: Path, sha256: str) -> None:
    """Bind a run folder to a network, and refuse one that is bound to another."""
    path = folder / "run.json"
    folder.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")).get("network_sha256") != sha256:
            raise InputError(
                "The run folder holds maps of another network.", "Choose another folder."
            )
        return
    path.write_text(json.dumps({"network_sha256": sha256}) + "\n", encoding="utf-8")
