"""`fracseg simulate`: fractures in the CT of whole bones, with their truth."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("ct", type=click.Path(exists=True, path_type=Path))
@click.argument("bones", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--count", default=1, show_default=True, type=click.IntRange(1, 10_000))
@click.option(
    "--break",
    "broken",
    multiple=True,
    metavar="BONE",
    help="Break this bone, e.g. left_hip; may be repeated. Default: one to three are drawn.",
)
@click.option("--series", metavar="UID|N", help="Which series, if a folder holds several.")
def simulate(
    ct: Path,
    bones: Path,
    out: Path,
    seed: int,
    count: int,
    broken: tuple[str, ...],
    series: str | None,
) -> None:
    """Break bones of CT, whose masks are in BONES, and write the results into OUT.

    BONES holds 1 sacrum, 2 left hip, 3 right hip, 4 left femur, 5 right femur; all of them should
    be in one piece. One CT is written as ct.nii.gz, bones.nii.gz and fragments.nii.gz, several into
    subfolders 000, 001, ...
    """
    from fracseg_training.simulate.truth_case import simulated_cases, write_truth
    from FractureSegmentationLib.anatomy.catalogue import bone_named
    from FractureSegmentationLib.io.read import check_same_grid, read_ct, read_labels

    try:
        values = [bone_named(slug).mask_value for slug in broken]
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--break") from error
    source = read_ct(ct, series=series)
    labels = read_labels(bones)
    check_same_grid(source.volume, labels)
    cases = simulated_cases(source, labels, seed, count, values)
    write_truth(out, cases, is_single=count == 1, inputs=(*source.files_read, bones))
    click.echo(f"{count} CT{'s' if count > 1 else ''} with simulated fractures")
