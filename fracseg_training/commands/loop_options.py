"""Options that every command which trains a network has."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

    from fracseg_training.training.config import LoopConfig, Precision
    from fracseg_training.training.loop import Task

    Config = TypeVar("Config", bound=LoopConfig)

DEVICE = click.option("--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopOptions:
    """What was asked for on the command line; None leaves it to the preset."""

    steps: int | None
    extend_schedule: bool
    learning_rate: float | None
    seed: int
    accumulate: int | None
    precision: Precision | None
    initial: Path | None
    device: str
    threads: int | None
    workers: int
    checkpoint_every: float
    validate_every: int


_OPTIONS = (
    click.option("--steps", type=click.IntRange(1), help="Optimizer steps of the whole run."),
    click.option(
        "--extend-schedule",
        is_flag=True,
        help="With more steps than the run was started with: let the learning rate fall to 0 at "
        "the new last step.",
    ),
    click.option("--learning-rate", type=float, help="Peak learning rate."),
    click.option("--seed", type=int, default=0, show_default=True),
    click.option("--accumulate", type=click.IntRange(1), help="Batches per optimizer step."),
    click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16"]),
        help="Of the forward pass; a device that lacks it takes the nearest.  [default: preset's]",
    ),
    click.option(
        "--initial",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        help="Model folder to start from.",
    ),
    DEVICE,
    click.option("--threads", type=click.IntRange(1), help="Processor threads."),
    click.option(
        "--workers",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Processes that prepare batches ahead; a GPU needs some.",
    ),
    click.option(
        "--checkpoint-every",
        type=click.FloatRange(0.0),
        default=180.0,
        show_default=True,
        metavar="SECONDS",
        help="Longest time between two checkpoints.",
    ),
    click.option(
        "--validate-every",
        type=click.IntRange(1),
        default=200,
        show_default=True,
        metavar="STEPS",
        help="Steps from one validation to the next.",
    ),
)
WEIGHTS = click.option(
    "--weights",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Weights of the model: those with the best validation score, where there was validation, "
    "or the last ones.",
)


def loop_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options; the command gets them as one argument `loop`."""

    @functools.wraps(command)
    def packed(**arguments: Any) -> None:
        names = {entry.name for entry in fields(LoopOptions)}
        loop = LoopOptions(**{name: arguments.pop(name) for name in names})
        command(**arguments, loop=loop)

    for option in reversed(_OPTIONS):
        packed = option(packed)
    return packed


def configured(config: Config, run: Path, loop: LoopOptions) -> Config:
    """The configuration of a preset with what was asked for; the steps of a run that is there."""
    from fracseg_training.training.run_folder import resumed_config

    asked = {
        name: getattr(loop, name)
        for name in ("learning_rate", "accumulate", "precision")
        if getattr(loop, name) is not None
    }
    config = replace(config, seed=loop.seed, **asked)
    return resumed_config(run, config, steps=loop.steps, extend_schedule=loop.extend_schedule)


def initial_of(loop: LoopOptions) -> tuple[Mapping[str, Tensor] | None, str]:
    """The weights to start from and the hash of their file."""
    from fracseg_training.training.export import initial_weights
    from FractureSegmentationLib.networks.model_spec import WEIGHTS_FILE

    state = initial_weights(loop.initial)
    if loop.initial is None:
        return None, ""
    return state, hashlib.sha256((loop.initial / WEIGHTS_FILE).read_bytes()).hexdigest()


def prepare_process(loop: LoopOptions) -> None:
    """What has to happen before data is read: packages there, threads set.

    Raises:
        EnvironmentProblemError: a package of the extra `train` is missing.
    """
    import torch

    from fracseg_training.training.device import require_training_packages

    require_training_packages()
    if loop.threads is not None:
        torch.set_num_threads(loop.threads)


def train_and_export(task: Task[Any], run_dir: Path, loop: LoopOptions, weights: str) -> None:
    """Train a task in a folder, from its last checkpoint if there is one, and write the model."""
    from fracseg_training.training.loop import TrainingRun
    from fracseg_training.training.run_folder import RunFolder

    run = TrainingRun(task, run_dir, device=loop.device, workers=loop.workers)
    if run.step and run.is_main_process:
        click.echo(f"resuming from step {run.step} of {task.config.steps}")
    run.train(checkpoint_seconds=loop.checkpoint_every, validate_every=loop.validate_every)
    if run.is_main_process:
        step = RunFolder(run_dir).export(run_dir / "model", "last" if weights == "last" else "best")
        click.echo(f"wrote {run_dir / 'model'} (step {step})")
