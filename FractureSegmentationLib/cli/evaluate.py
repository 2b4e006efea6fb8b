"""`fracseg evaluate`: how well predictions agree with the truth."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import click

from FractureSegmentationLib.anatomy.numbering import NUMBERINGS
from FractureSegmentationLib.errors import FracSegError, InputError
from FractureSegmentationLib.evaluation.figures import ScoreSettings
from FractureSegmentationLib.evaluation.files import Output, check_outputs, write_outputs
from FractureSegmentationLib.evaluation.pairs import pair_sources, without_names
from FractureSegmentationLib.evaluation.picture import (
    MARK,
    refuse_without_matplotlib,
    write_picture,
)
from FractureSegmentationLib.evaluation.run import (
    PROTOCOLS,
    Evaluation,
    Plan,
    evaluate_pairs,
    protocol_named,
)
from FractureSegmentationLib.evaluation.tables import (
    FIRST_COLUMN,
    SCHEMA,
    as_text,
    write_csv_file,
    write_csv_folder,
    write_json,
)

_NUMBERING = click.Choice(list(NUMBERINGS))
_HELP = "  ".join(f"{protocol.name}: {protocol.summary}" for protocol in PROTOCOLS)


def _png(ctx: click.Context, option: click.Parameter, path: Path | None) -> Path | None:
    if path is not None and path.suffix.lower() != ".png":
        raise click.BadParameter("the picture is a .png file", ctx, option)
    return path


@click.command()
@click.argument("prediction", metavar="PRED", type=click.Path(path_type=Path))
@click.argument("truth", metavar="GT", type=click.Path(path_type=Path))
@click.option(
    "--protocol",
    type=click.Choice([protocol.name for protocol in PROTOCOLS]),
    default=PROTOCOLS[0].name,
    show_default=True,
    help=_HELP,
)
@click.option("--pred-numbering", type=_NUMBERING, help="What the labels of PRED mean.")
@click.option("--gt-numbering", type=_NUMBERING, help="What the labels of GT mean.")
@click.option("--no-distances", is_flag=True, help="Leave out HD95 and ASSD, which take longest.")
@click.option(
    "--match-iou",
    type=click.FloatRange(0.0, 1.0, min_open=True),
    default=ScoreSettings().match_iou,
    show_default=True,
    help="From which IoU on pengwin2026 counts a fragment as detected.",
)
@click.option(
    "--ignore-unpaired", is_flag=True, help="Cases that only one folder has are no failure."
)
@click.option(
    "--anonymous",
    is_flag=True,
    help="Number the cases (case-001 is the first truth by name) instead of naming their files.",
)
@click.option(
    "--json",
    "json_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write every figure, down to single fragments.",
)
@click.option(
    "--csv",
    "csv_path",
    metavar="FILE.csv|FOLDER",
    type=click.Path(path_type=Path),
    help="Also write a table of cases and bones, or a folder with cases.csv, bones.csv, "
    "fragments.csv and summary.csv.",
)
@click.option(
    "--picture",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    callback=_png,
    help="Also draw box plots and the worst cases.",
)
@click.option("--overwrite", is_flag=True, help="Replace outputs of an earlier evaluation.")
def evaluate(
    prediction: Path,
    truth: Path,
    protocol: str,
    pred_numbering: str | None,
    gt_numbering: str | None,
    no_distances: bool,
    match_iou: float,
    ignore_unpaired: bool,
    anonymous: bool,
    json_path: Path | None,
    csv_path: Path | None,
    picture: Path | None,
    overwrite: bool,
) -> int:
    """Compare the fragments in PRED with the true ones in GT.

    Each is a label file, a result folder of `fracseg segment`, a case folder with a file called
    label or fragments, or a folder of many of these, which pair by their names. A result folder
    says itself how its labels are numbered; for other files the numbering has to be named.
    A case goes by the name of its truth, of the file or the folder, in every table and picture.
    Where such names point to a patient, say --anonymous.

    The protocol pengwin2026 is RECONSTRUCTED from public descriptions; its figures may differ from
    the official ones. A case that cannot be scored does not stop the others. Exit status: 0 all
    scored, 2 a case was refused or has no partner, 1 or 4 a case failed otherwise.
    """
    outputs = _outputs(json_path, csv_path, picture)
    check_outputs(outputs, [prediction, truth], overwrite=overwrite)
    pairing = pair_sources(prediction, truth)
    if anonymous:
        pairing = without_names(pairing)
    plan = Plan(
        protocol=protocol_named(protocol),
        settings=ScoreSettings(with_distances=not no_distances, match_iou=match_iou),
        prediction_numbering=pred_numbering,
        truth_numbering=gt_numbering,
    )
    evaluation = evaluate_pairs(pairing, plan, _reporter(len(pairing.pairs)))
    write_outputs(outputs, evaluation)
    click.echo(as_text(evaluation))
    has_lone_cases = not ignore_unpaired and _report_lone_cases(evaluation)
    return _exit_status(evaluation, has_lone_cases=has_lone_cases)


def _outputs(json_path: Path | None, csv_path: Path | None, picture: Path | None) -> list[Output]:
    """The requested files."""
    outputs = []
    if json_path is not None:
        mark = SCHEMA.partition("/")[0].encode()
        outputs.append(Output(path=json_path, write=write_json, mark=mark))
    if csv_path is not None:
        is_folder = csv_path.is_dir() or csv_path.suffix.lower() != ".csv"
        outputs.append(
            Output(
                path=csv_path,
                write=write_csv_folder if is_folder else write_csv_file,
                mark=f"{FIRST_COLUMN},".encode(),
                is_folder=is_folder,
            )
        )
    if picture is not None:
        refuse_without_matplotlib()
        outputs.append(Output(path=picture, write=write_picture, mark=MARK.encode()))
    return outputs


def _reporter(total: int) -> Callable[[str, FracSegError | None], None]:
    """Reports failures at once and, at a terminal, every case."""
    is_watched = total > 1 and sys.stderr.isatty()
    done = 0

    def on_case(name: str, error: FracSegError | None) -> None:
        nonlocal done
        done += 1
        if error is not None:
            click.echo(f"Not scored: {name}: {error}", err=True)
        elif is_watched:
            click.echo(f"{done}/{total} {name}", err=True)

    return on_case


def _exit_status(evaluation: Evaluation, *, has_lone_cases: bool) -> int:
    """Of several failures the most alarming counts, which has the lowest number."""
    statuses = [error.exit_status for _, error in evaluation.failures]
    if has_lone_cases:
        statuses.append(InputError.exit_status)
    return min(statuses, default=0)


def _report_lone_cases(evaluation: Evaluation) -> bool:
    """Report which cases only one folder has, a sentence per folder; whether there are any."""
    for names, what, lack in (
        (evaluation.lone_truths, "truths", "prediction"),
        (evaluation.lone_predictions, "predictions", "truth"),
    ):
        if names:
            click.echo(
                f"Error: {len(names)} {what} without a {lack}: {', '.join(names)}. "
                "Complete them, or say --ignore-unpaired.",
                err=True,
            )
    return bool(evaluation.lone_truths or evaluation.lone_predictions)
