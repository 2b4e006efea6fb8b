"""`fracseg ablate`: train the rows of the paper's Table 2 under one protocol and compare them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from fracseg_training.commands.loop_options import DEVICE


def _list_presets(ctx: click.Context, _option: click.Parameter, is_asked: bool) -> None:
    from fracseg_training.fragments.config import PRESETS

    if is_asked:
        click.echo("\n".join(PRESETS))
        ctx.exit()


@click.command()
@click.argument("cases_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("run_dir", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--list",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_list_presets,
    help="List the presets and stop.",
)
@click.option(
    "--preset", multiple=True, help="Rows to train; those of the paper's Table 2 unless named."
)
@click.option(
    "--hold-out", required=True, multiple=True, help="Patient whose bones are judged; may repeat."
)
@click.option(
    "--simulated", "is_simulated", is_flag=True, help="Judge simulated fractures, not real ones."
)
@click.option("--steps", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--seed", default=0, show_default=True, type=int)
@DEVICE
def ablate(
    cases_dir: Path,
    run_dir: Path,
    preset: tuple[str, ...],
    hold_out: tuple[str, ...],
    is_simulated: bool,
    steps: int,
    seed: int,
    device: str,
) -> None:
    """Train each preset on the cases in CASES_DIR without some patients, and judge it on these.

    RUN_DIR gets one run per preset, and the figures of those that are done as table.csv.
    """
    from fracseg_training.fragments.config import ABLATION, PRESETS

    rows = preset or ABLATION
    unknown = [name for name in rows if name not in PRESETS]
    if unknown:
        raise click.BadParameter(f"choose from {', '.join(PRESETS)}", param_hint="--preset")

    from fracseg_training.benchmarks.ablation import train_and_judge, write_table
    from fracseg_training.training.device import require_training_packages

    require_training_packages()
    done = {}
    for name in rows:
        config = replace(PRESETS[name], steps=steps, seed=seed)
        done[name] = train_and_judge(
            cases_dir, run_dir / name, config, hold_out, is_simulated=is_simulated, device=device
        )
        write_table(run_dir / "table.csv", done)
        click.echo(f"{name:30s} {done[name].line()}")
    click.echo(f"wrote {run_dir / 'table.csv'}")
