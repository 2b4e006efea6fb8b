"""The training loop of every network: devices, precision, checkpoints, validation, best weights.

What differs per task (network, batches, loss, scores, card) is a `Task`. A run lives in a folder
from which it resumes exactly; killing the process costs at most the steps since the last
checkpoint. Lightning Fabric brings devices, mixed precision and processes; the loop is ours.
"""

from __future__ import annotations

import copy
import signal
import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from fracseg_training.training.device import fabric_for, to_device
from fracseg_training.training.monitor import Monitor
from fracseg_training.training.run_folder import RunFolder
from fracseg_training.training.stop import StopRequest
from FractureSegmentationLib.errors import RunCancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from fracseg_training.training.config import LoopConfig
    from fracseg_training.training.sampler import Batch
    from FractureSegmentationLib.networks.model_spec import ModelSpec

_MEASURE_EVERY = 20

_Network = TypeVar("_Network", bound=nn.Module)


class Task(Protocol[_Network]):
    """What one kind of network adds to the loop."""

    @property
    def config(self) -> LoopConfig:
        """How the weights are optimised."""

    @property
    def class_weights(self) -> Sequence[float]:
        """Of the classes in the cross-entropy; taken back out of the model that is exported."""

    @property
    def train_figures(self) -> tuple[str, ...]:
        """Names of what `loss` measures, the loss first."""

    @property
    def kept_figures(self) -> tuple[str, ...]:
        """Names of what `measure` measures; may be none."""

    @property
    def kept(self) -> nn.Module:
        """What is kept of batches outside the network, as buffers; the run resumes with it."""

    @property
    def val_figures(self) -> tuple[str, ...]:
        """Names of what `score` measures; the best weights have the highest first one."""

    @property
    def validation(self) -> Sequence[Any]:
        """Whole volumes that are never trained on; may be empty."""

    def settings(self) -> dict[str, Any]:
        """JSON values: whatever a resumed run must share with the one before."""
        ...

    def checksums(self) -> dict[str, str]:
        """Of every case that is trained or validated on, by name."""
        ...

    def build(self) -> _Network:
        """The network with the weights that a new run starts from."""
        ...

    def batch(self, index: int) -> Batch:
        """The batch of an index, always the same."""
        ...

    def parameter_groups(self, network: _Network) -> list[dict[str, Any]]:
        """All parameters for the optimizer; a group may name its `max_learning_rate`."""
        ...

    def loss(self, output: Any, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """The scalar to lower at a step counted from 0, and what the log keeps of it."""
        ...

    def after_batch(
        self, network: _Network, output: Any, batch: Batch, gather: Callable[[Tensor, int], Tensor]
    ) -> None:
        """Whatever is kept of a batch; `gather` joins a dimension over all processes."""
        ...

    def measure(self, network: _Network) -> dict[str, float]:
        """Figures of what was kept; some may not apply."""
        ...

    def score(self, network: _Network, volume: Any, device: str) -> dict[str, float]:
        """Figures of one whole volume, decoded as the product does; some may not apply."""
        ...

    def spec(self) -> ModelSpec:
        """The card of the model."""
        ...


class TrainingRun(Generic[_Network]):
    """Network, moving average, optimizer and step of one run.

    Attributes:
        network: the network in training.
        averaged: the moving average of its weights: what is validated and saved as the model.
        step: steps taken.
        best: highest validation score so far; None before the first validation.

    Args:
        task: what is trained.
        folder: where the state lives; a run found there resumes from its last checkpoint.
        device: auto, cpu, cuda, cuda:N or mps; under `torchrun` one process per GPU.
        workers: processes that prepare batches ahead; 0 prepares them in the loop.

    Raises:
        InputError: the run in the folder is damaged, or was started with something else.
        EnvironmentProblemError: the device is not there, or a package of the extra `train`.
    """

    def __init__(
        self, task: Task[_Network], folder: Path, *, device: str = "cpu", workers: int = 0
    ) -> None:
        self.task, self._workers = task, workers
        self._fabric = fabric_for(device, task.config.precision)
        self._folder = RunFolder(folder)
        settings = task.settings() | {"processes": self._fabric.world_size}
        self._folder.begin(
            settings,
            task.checksums(),
            task.spec(),
            task.class_weights,
            may_write=self._fabric.is_global_zero,
        )
        torch.manual_seed(task.config.seed)
        # PyTorch's type stubs do not know this keyword.
        self.network: _Network = task.build().to(  # type: ignore[call-overload]
            device=self._fabric.device, memory_format=torch.channels_last_3d
        )
        self.averaged: _Network = copy.deepcopy(self.network)
        self.averaged.eval()
        optimizer = torch.optim.AdamW(
            task.parameter_groups(self.network),
            lr=task.config.learning_rate,
            weight_decay=task.config.weight_decay,
        )
        self.step, self.best = 0, None
        task.kept.to(self._fabric.device)
        self._stored: dict[str, nn.Module] = {"network": self.network, "averaged": self.averaged}
        if task.kept.state_dict():
            self._stored["kept"] = task.kept
        state = self._folder.load(self._stored, self._fabric.device)
        if state is not None:
            self.step, self.best = int(state["step"]), state["best"]
            optimizer.load_state_dict(state["optimizer"])
            self._fabric.strategy.precision.load_state_dict(state["precision"])
        self._wrapped, self._optimizer = self._fabric.setup(self.network, optimizer)

    def train(
        self,
        *,
        until: int | None = None,
        checkpoint_seconds: float = 180.0,
        validate_every: int = 200,
        clock: Callable[[], float] = time.monotonic,
        on_step: Callable[[dict[str, float]], None] | None = None,
    ) -> None:
        """Train up to the last step; save by the clock, on Ctrl-C or SIGTERM, and at the end.

        Args:
            until: stop after this step instead; the schedule stays that of the whole run.
            checkpoint_seconds: longest time between two checkpoints.
            validate_every: steps from one validation to the next.
            clock: seconds; read around every step.
            on_step: called with the log row of every step.

        Raises:
            RunCancelledError: the user or the system asked to stop; the checkpoint is written.
        """
        task, config = self.task, self.task.config
        last = config.steps if until is None else min(until, config.steps)
        with self._monitor(last) as monitor, StopRequest(self._fabric) as stop:
            saved, batches = clock(), self._batches(last)
            while self.step < last:
                began = clock()
                rate = config.learning_rate_at(self.step)
                row = {f"train/{name}": v for name, v in self._training_step(rate, batches).items()}
                if self.step % _MEASURE_EVERY == 0 or self.step == last:
                    row |= {f"train/{name}": v for name, v in task.measure(self.network).items()}
                if self.step % validate_every == 0 or self.step == config.steps:
                    row |= self._validate()
                row |= {"step": self.step, "learning_rate": rate, "seconds": clock() - began}
                monitor.report(row)
                if on_step is not None:
                    on_step(row)
                stopping = stop.is_asked_for()
                if stopping or clock() - saved > checkpoint_seconds:
                    self.save()
                    monitor.draw()
                    saved = clock()
                if stopping:
                    raise RunCancelledError(
                        f"Training was stopped; its checkpoint is that of step {self.step}.",
                        "Run the same command again to resume.",
                    )
            self.save()
            monitor.draw()

    @property
    def is_main_process(self) -> bool:
        """Whether this process is the one that writes; True unless there are several."""
        return bool(self._fabric.is_global_zero)

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        if self._fabric.is_global_zero:
            self._folder.save(
                {
                    "step": self.step,
                    "best": self.best,
                    **{name: module.state_dict() for name, module in self._stored.items()},
                    "optimizer": self._optimizer.state_dict(),
                    "precision": self._fabric.strategy.precision.state_dict(),
                }
            )

    def _training_step(self, rate: float, batches: Iterator[Batch]) -> dict[str, float]:
        """One optimizer step; what its batches measured, on average."""
        task, config, fabric = self.task, self.task.config, self._fabric
        for group in self._optimizer.param_groups:
            group["lr"] = min(rate, group.get("max_learning_rate", rate))
        # Networks without dropout need no generator; the seed fixes any draw a layer makes.
        torch.manual_seed(hash((config.seed, self.step)) & 0x7FFFFFFF)
        self.network.train()
        rows = []
        for turn in range(config.accumulate):
            batch = to_device(next(batches), fabric.device)
            with fabric.no_backward_sync(self._wrapped, enabled=turn < config.accumulate - 1):
                output = self._wrapped(batch.inputs)
                loss, figures = task.loss(output, batch, self.step)
                fabric.backward(loss / config.accumulate)
            task.after_batch(self.network, output, batch, self._gather)
            rows.append(figures)
        fabric.clip_gradients(
            self._wrapped, self._optimizer, max_norm=config.clip_norm, error_if_nonfinite=False
        )
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        self._share_statistics()
        self._update_average()
        self.step += 1
        return {name: sum(row[name] for row in rows) / len(rows) for name in task.train_figures}

    def _share_statistics(self) -> None:
        """Average the running statistics that every process took of its own batches."""
        processes = self._fabric.world_size
        if processes > 1:
            for buffer in self.network.buffers():
                if buffer.is_floating_point():
                    buffer.copy_(self._total(buffer) / processes)

    @torch.no_grad()
    def _update_average(self) -> None:
        """Move the averaged weights towards the trained ones; buffers are copied."""
        keep = 0.0
        if self.task.config.ema_decay > 0.0:
            keep = min(self.task.config.ema_decay, (1 + self.step) / (10 + self.step))
        for mean, value in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(value, 1.0 - keep)
        buffers = zip(self.averaged.buffers(), self.network.buffers(), strict=True)
        for mean_buffer, buffer in buffers:
            mean_buffer.copy_(buffer)

    def _validate(self) -> dict[str, float]:
        """Mean figures over the volumes held out, shared out over the processes; keep the best."""
        task, fabric = self.task, self._fabric
        if not task.validation:
            return {}
        sums = torch.zeros(2, len(task.val_figures), dtype=torch.float32)
        # A copy: predicting rearranges the weights and freezes the memory.
        network = copy.deepcopy(self.averaged)
        device = str(fabric.device) if fabric.device.type == "cuda" else fabric.device.type
        for volume in task.validation[fabric.global_rank :: fabric.world_size]:
            for name, value in task.score(network, volume, device).items():
                sums[:, task.val_figures.index(name)] += torch.tensor([value, 1.0])
        sums = self._total(sums.to(fabric.device)).cpu()
        row = {
            f"val/{name}": float(total / count)
            for name, total, count in zip(task.val_figures, *sums, strict=True)
            if count
        }
        score = row.get(f"val/{task.val_figures[0]}")
        if score is not None and (self.best is None or score > self.best):
            self.best = score
            if fabric.is_global_zero:
                self._folder.save_best(self.averaged, self.step, score)
        return row

    def _batches(self, last: int) -> Iterator[Batch]:
        """This process's batches, in the order of the steps."""
        fabric, per_step = self._fabric, self.task.config.accumulate
        first = self.step * per_step
        indices = [
            index * fabric.world_size + fabric.global_rank
            for index in range(first, last * per_step)
        ]
        return iter(
            DataLoader(
                _Batches(self.task),
                sampler=indices,
                batch_size=None,
                num_workers=self._workers,
                worker_init_fn=_ignore_interrupt,
            )
        )

    def _monitor(self, last: int) -> Monitor:
        measured = (*self.task.train_figures, *self.task.kept_figures)
        figures = [f"train/{name}" for name in measured]
        if self.task.validation:
            figures += [f"val/{name}" for name in self.task.val_figures]
        return Monitor(
            self._folder.path,
            ("step", *figures, "learning_rate", "seconds"),
            first=self.step,
            last=last,
            is_silent=not self._fabric.is_global_zero,
        )

    def _gather(self, values: Tensor, dim: int) -> Tensor:
        if self._fabric.world_size == 1:
            return values
        return torch.cat(list(self._fabric.all_gather(values)), dim=dim)

    def _total(self, values: Tensor) -> Tensor:
        if self._fabric.world_size == 1:
            return values
        # A copy: the processes add in place.
        summed = self._fabric.all_reduce(values.clone(), reduce_op="sum")
        assert isinstance(summed, Tensor)  # noqa: S101
        return summed


def _ignore_interrupt(worker: int) -> None:
    """Ctrl-C reaches every process; the loop still needs batches to end its step."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Batches(Dataset["Batch"]):
    """Batches by their index, as a loader wants them."""

    def __init__(self, task: Task[Any]) -> None:
        self._task = task

    def __getitem__(self, index: int) -> Batch:
        return self._task.batch(index)
