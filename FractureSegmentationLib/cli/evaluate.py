"""`fracseg evaluate`: how well predictions agree with the truth."""

from __future__ import annotations

import json
from pathlib import Path

import click

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS
from FractureSegmentationLib.cli.evaluation_pairs import (
    LabelSource,
    Pairing,
    chosen_numbering,
    pair_sources,
    read_pair,
)
from FractureSegmentationLib.cli.evaluation_report import as_json, as_text
from FractureSegmentationLib.errors import EnvironmentProblemError
from FractureSegmentationLib.metrics.case import CaseScore, score_case
from FractureSegmentationLib.metrics.score import MIN_FRAGMENT_MM3

_NUMBERING = click.Choice(list(NUMBERINGS))


@click.command()
@click.argument("prediction", metavar="PRED", type=click.Path(path_type=Path))
@click.argument("truth", metavar="GT", type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice(["clean"]),
    default="clean",
    show_default=True,
    help="clean: one-to-one matching, missing fragments and bones score 0, distances in mm.",
)
@click.option("--pred-numbering", type=_NUMBERING, help="What the labels of PRED mean.")
@click.option("--gt-numbering", type=_NUMBERING, help="What the labels of GT mean.")
@click.option("--no-distances", is_flag=True, help="Leave out HD95 and ASSD, which take longest.")
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write every figure, down to single fragments.",
)
def evaluate(
    prediction: Path,
    truth: Path,
    protocol: str,
    pred_numbering: str | None,
    gt_numbering: str | None,
    no_distances: bool,
    json_path: Path | None,
) -> None:
    """Compare the fragments in PRED with the true ones in GT.

    Each is a label file, a result folder of `fracseg segment`, or a folder of many, which pair by
    their names. A result folder says itself how its labels are numbered; for other files the
    numbering has to be named.
    """
    pairing = pair_sources(prediction, truth)
    _tell_left_out(pairing)
    cases = [
        (true.stem, _score(predicted, true, pred_numbering, gt_numbering, not no_distances))
        for predicted, true in pairing.pairs
    ]
    if json_path is not None:
        _write(json_path, json.dumps(as_json(cases, protocol, MIN_FRAGMENT_MM3), indent=2))
    click.echo(as_text(cases, MIN_FRAGMENT_MM3))


def _score(
    prediction: LabelSource,
    truth: LabelSource,
    pred_numbering: str | None,
    gt_numbering: str | None,
    with_distances: bool,
) -> CaseScore:
    predicted_as = chosen_numbering(prediction, pred_numbering, "--pred-numbering")
    true_as = chosen_numbering(truth, gt_numbering, "--gt-numbering")
    predicted, true = read_pair(prediction, truth, predicted_as, true_as)
    return score_case(predicted, true, predicted_as, true_as, with_distances=with_distances)


def _tell_left_out(pairing: Pairing) -> None:
    for stems, what, lack in (
        (pairing.lone_truths, "truth", "prediction"),
        (pairing.lone_predictions, "prediction", "truth"),
    ):
        if stems:
            click.echo(f"Left out, a {what} without a {lack}: {', '.join(stems)}", err=True)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblemError(
            "The JSON file could not be written.", "Check its folder and the space on the disk."
        ) from error
