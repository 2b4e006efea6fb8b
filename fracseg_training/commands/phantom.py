"""`fracseg phantom`: a synthetic fracture CT, of no patient, with its truth."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--kind", type=click.Choice(["pelvis", "femur"]), default="pelvis", show_default=True)
@click.option(
    "--break",
    "broken",
    multiple=True,
    metavar="BONE",
    help="Break this bone of the pelvis, e.g. left_hip; may be repeated. Default: drawn.",
)
@click.option("--intact", is_flag=True, help="Break nothing.")
@click.option(
    "--spacing",
    nargs=3,
    type=click.FloatRange(0.4, 5.0),
    default=(1.0, 0.9, 0.9),
    show_default=True,
    metavar="K J I",
    help="Voxel size in mm: slices, rows, columns.",
)
def phantom(
    out: Path,
    seed: int,
    kind: str,
    broken: tuple[str, ...],
    intact: bool,
    spacing: tuple[float, float, float],
) -> None:
    """Write ct.nii.gz, bones.nii.gz and fragments.nii.gz of a synthetic fracture CT into OUT.

    The same seed gives the same CT. Bones and fragments are numbered as in the documentation.
    """
    import numpy as np

    from fracseg_training.phantoms import fractured, pelvis
    from fracseg_training.simulate.truth_case import write_truth

    if broken and (intact or kind == "femur"):
        raise click.UsageError("--break goes with a broken pelvis only.")
    unknown = sorted(set(broken) - set(pelvis.PELVIS_BONES))
    if unknown:
        raise click.BadParameter(
            f"{unknown[0]} is not one of {', '.join(pelvis.PELVIS_BONES)}", param_hint="--break"
        )
    rng = np.random.default_rng(seed)
    if kind == "femur":
        make = pelvis.femur_phantom if intact else fractured.fractured_femur_phantom
        case = make(rng, spacing)
    elif intact:
        case = pelvis.pelvis_phantom(rng, spacing)
    else:
        case = fractured.fractured_pelvis_phantom(rng, spacing, broken)
    write_truth(out, (case,), is_single=True, inputs=())
    count = len(np.unique(case.fragments)) - 1
    click.echo(f"{count} fragments of {len(np.unique(case.bones)) - 1} bones")
