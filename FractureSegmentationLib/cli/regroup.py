"""`fracseg regroup`: more or fewer fragments in a finished result, without another run."""

from __future__ import annotations

from pathlib import Path

import click

from FractureSegmentationLib.anatomy.catalogue import BONES, bone_named


@click.command()
@click.argument("result", type=click.Path(path_type=Path))
@click.option(
    "--bone",
    "slugs",
    multiple=True,
    type=click.Choice([bone.slug for bone in BONES]),
    metavar="BONE",
    help="Which bone, e.g. left_hip; may be repeated. All of the result if left out.",
)
@click.option(
    "--level",
    type=click.FloatRange(0.0, 1.0),
    help="Put together what is one fragment with at least this probability; 0.5 at first.",
)
@click.option("--fragments", type=click.IntRange(1), help="As near to so many as there can be.")
@click.option("--more", is_flag=True, help="One step finer.")
@click.option("--fewer", is_flag=True, help="One step coarser.")
def regroup(
    result: Path,
    slugs: tuple[str, ...],
    level: float | None,
    fragments: int | None,
    more: bool,
    fewer: bool,
) -> None:
    """Divide the bones of RESULT, a result folder, into more or fewer fragments.

    RESULT is replaced whole or stays as it is. Fragments that were reviewed keep their voxels. The
    preview picture is left out of the new folder. Not for diagnosis: review every fragment.
    """
    given = [level is not None, fragments is not None, more, fewer]
    if sum(given) != 1:
        raise click.UsageError("Give one of --level, --fragments, --more and --fewer.")
    from FractureSegmentationLib.pipeline.regroup import Wish, regroup_result

    step = 1 if more else -1 if fewer else None
    wish = Wish(level=level, fragments=fragments, step=step)
    for one in regroup_result(result, tuple(bone_named(slug) for slug in slugs), wish):
        said = "stays" if one.before == one.after else f"{one.before} became"
        pieces = "1 fragment" if one.after == 1 else f"{one.after} fragments"
        click.echo(f"{one.bone.name}: {said} {pieces}")
    click.echo("Not for diagnosis: review every fragment.")
