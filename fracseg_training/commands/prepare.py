"""`fracseg prepare`: turn patients and whole bones into training cases."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import click


@click.command()
@click.argument("out_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--real",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of one patient with ct, bones and fragments as .nii.gz; may be repeated.",
)
@click.option(
    "--label-map",
    nargs=2,
    multiple=True,
    metavar="LABELS NAMES",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Whole-body label map and the JSON of its structures' names; may be repeated.",
)
@click.option("--label-map-cts", default=6, show_default=True, help="CTs made from each label map.")
@click.option("--phantoms", default=0, show_default=True, help="Analytic pelves to make.")
@click.option(
    "--found-cts",
    default=0,
    show_default=True,
    help="CTs of broken pelves made from each label map, their bones found by the networks.",
)
@click.option(
    "--found-bodies",
    default=0,
    show_default=True,
    help="Bodies of the label maps put around each patient's bones, which are then found likewise.",
)
@click.option("--per-bone", default=8, show_default=True, help="Simulations on each real bone.")
@click.option("--per-made-bone", default=2, show_default=True, help="Simulations on other bones.")
@click.option("--seed", default=0, show_default=True, type=int)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1))
def prepare(
    out_dir: Path,
    real: tuple[Path, ...],
    label_map: tuple[tuple[Path, Path], ...],
    label_map_cts: int,
    phantoms: int,
    found_cts: int,
    found_bodies: int,
    per_bone: int,
    per_made_bone: int,
    seed: int,
    workers: int,
) -> None:
    """Fill OUT_DIR with training cases; what is there already is kept."""
    from fracseg_training.data import predicted as prepare_found
    from fracseg_training.data import sources

    if found_bodies and not label_map:
        raise click.UsageError("--found-bodies needs a label map to make the bodies from.")

    jobs = [partial(sources.add_patient, out_dir, folder, per_bone, seed) for folder in real]
    jobs += [
        partial(sources.add_label_map_ct, out_dir, labels, names, number, per_made_bone, seed)
        for labels, names in label_map
        for number in range(label_map_cts)
    ]
    jobs += [
        partial(sources.add_phantom, out_dir, number, per_made_bone, seed)
        for number in range(phantoms)
    ]
    jobs += [
        partial(prepare_found.add_broken_ct, out_dir, labels, names, number, seed)
        for labels, names in label_map
        for number in range(found_cts)
    ]
    jobs += [
        partial(prepare_found.add_embedded_patient, out_dir, folder, *host, number, seed)
        for folder in real
        for number in range(found_bodies)
        for host in [label_map[number % len(label_map)]]
    ]
    if workers == 1:
        made = [job() for job in jobs]
    else:
        with ProcessPoolExecutor(workers) as pool:
            made = [future.result() for future in [pool.submit(job) for job in jobs]]
    click.echo(f"{sum(made)} cases made")
