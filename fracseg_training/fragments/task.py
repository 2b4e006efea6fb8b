"""What TPC-Net adds to the training loop: batches, losses, memory, score, card."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fracseg_training.fragments.contrast import EmbeddingQueue, contrast_of
from fracseg_training.fragments.patches import PatchSource
from fracseg_training.fragments.probe import bank_rank, embedding_figures
from fracseg_training.fragments.score import judge, predicted_map, window_plan
from fracseg_training.training.losses import mean_hard_dice, total_loss
from fracseg_training.training.run_folder import arrays_checksum, flat_settings
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.inference.predictor import Predictor
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.instances.config import RecoveryConfig
from FractureSegmentationLib.methods.fracsegmentator import FRACSEGMENTATOR
from FractureSegmentationLib.networks.model_spec import ModelSpec
from FractureSegmentationLib.networks.patients import patient_digests
from FractureSegmentationLib.networks.tpc_net import TPCNet, TPCOutput

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fracseg_training.data.cases import Case
    from fracseg_training.fragments.config import TrainConfig
    from fracseg_training.training.sampler import Batch
    from FractureSegmentationLib.networks.config import TPCNetConfig

_LICENCE = "Apache-2.0; some training data is under other terms, see the model card"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a run comes from, beyond its cases and its configuration.

    Attributes:
        name: of the model.
        preset: name of the preset.
        excluded: patients that were left out.
        sources: kinds of anatomy that were taken alone; empty for all.
        initial: state dict to start a new run from, e.g. of a network trained on simulations.
        initial_sha256: hash of the weights file it is from; "" for random weights.
    """

    name: str = "fracsegmentator"
    preset: str = ""
    excluded: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    initial: Mapping[str, Tensor] | None = None
    initial_sha256: str = ""


class FragmentTask:
    """Trains a TPC-Net.

    Args:
        cases: what to train on; patients held out are already left out.
        config: how.
        validation: cases of other patients, whose whole bones are decoded and scored.
        origin: what the run's record and the model's card say of it.

    Raises:
        ValueError: a patient is in both.
    """

    train_figures = ("loss", "cross_entropy", "dice_loss", "contrast", "contact_dice")
    val_figures = ("fragment_iou", "fractured_iou", "intact_kept", "spurious")

    def __init__(
        self,
        cases: Sequence[Case],
        config: TrainConfig,
        *,
        validation: Sequence[Case] = (),
        origin: Origin | None = None,
    ) -> None:
        both = _patients(cases) & _patients(validation)
        if both:
            raise ValueError(f"{', '.join(sorted(both))} would be trained and validated on")
        self.config = config
        self.class_weights = config.class_weights
        self.validation = validation
        self.kept = _queue(config)
        self.kept_figures = _kept_figures(config.network)
        self._cases = cases
        self._origin = origin or Origin()
        self._source = PatchSource(cases, config.patches, config.seed)

    def settings(self) -> dict[str, Any]:
        """Whatever a resumed run must share with the one before."""
        origin = self._origin
        return {
            "task": "fragments",
            "name": origin.name,
            "preset": origin.preset,
            "exclude_patient": sorted(origin.excluded),
            "validate": sorted(_patients(self.validation)),
            "only_source": sorted(origin.sources),
            "initial": origin.initial_sha256,
        } | flat_settings(asdict(self.config))

    def checksums(self) -> dict[str, str]:
        """Of every case, by name."""
        return {
            case.info.name: arrays_checksum(
                case.hu,
                case.fragments,
                case.classes,
                case.found,
                description=json.dumps(asdict(case.info), sort_keys=True),
            )
            for case in (*self._cases, *self.validation)
        }

    def build(self) -> TPCNet:
        """The network with its initial weights."""
        network = TPCNet(self.config.network)
        if self._origin.initial is not None:
            start_from(network, self._origin.initial)
        return network

    def parameter_groups(self, network: TPCNet) -> list[dict[str, Any]]:
        """The projections that the contrastive term shapes, with its learning rate; the rest."""
        slowest = self.config.contrast.max_learning_rate
        projections = list(network.prior.projections.parameters())
        if slowest is None or not self.config.network.use_contrastive:
            return [{"params": list(network.parameters())}]
        apart = {id(parameter) for parameter in projections}
        rest = [parameter for parameter in network.parameters() if id(parameter) not in apart]
        return [{"params": rest}, {"params": projections, "max_learning_rate": slowest}]

    def batch(self, index: int) -> Batch:
        """The batch of an index."""
        return self._source.batch(index)

    def loss(self, output: TPCOutput, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Eq. 15, its terms, and the Dice of contact: the first figure to watch."""
        contrast, config = None, self.config.contrast
        if isinstance(self.kept, EmbeddingQueue):
            fractured = batch.holds(bicm.CONTACT)
            contrast = contrast_of(output.contrastive, fractured, self.kept, config)
        loss = total_loss(
            output.logits,
            output.auxiliary,
            batch.target,
            contrast,
            torch.tensor(self.class_weights, device=batch.target.device),
            contrast_weight=config.weight_at(step),
        )
        return loss.total, {
            "loss": float(loss.total.detach()),
            "cross_entropy": float(loss.cross_entropy.detach()),
            "dice_loss": float(loss.dice.detach()),
            "contrast": float(loss.contrast.detach()),
            "contact_dice": mean_hard_dice(output.logits, batch.target, [bicm.CONTACT]),
        }

    def after_batch(
        self,
        network: TPCNet,
        output: TPCOutput,
        batch: Batch,
        gather: Callable[[Tensor, int], Tensor],
    ) -> None:
        """Keep the embeddings of all processes: in the memory those of fractured patches."""
        fractured = gather(batch.holds(bicm.CONTACT).float(), 0) > 0.5
        if isinstance(self.kept, EmbeddingQueue):
            contrastive = gather(output.contrastive.detach().float().contiguous(), 1)
            self.kept.push(contrastive, fractured)
        if self.config.network.use_memory:
            enters = torch.ones_like(fractured) if self._takes_all else fractured
            embeddings = gather(output.embeddings.detach().float().contiguous(), 1)
            network.update_memory(embeddings, enters)

    def measure(self, network: TPCNet) -> dict[str, float]:
        """Whether embeddings and memory learn, by the patches that are remembered."""
        figures = {"bank_rank": bank_rank(network)} if self.config.network.use_memory else {}
        if isinstance(self.kept, EmbeddingQueue):
            areas, cosine = embedding_figures(*self.kept.content())
            scales = self.config.network.scales_with_embedding
            named = zip(scales, areas, strict=True)
            figures |= {f"probe_auc_{scale}": area for scale, area in named} | {"cosine": cosine}
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    @property
    def _takes_all(self) -> bool:
        return self.config.memory_source == "all"

    def score(self, network: TPCNet, volume: Case, device: str) -> dict[str, float]:
        """Predict one whole bone, recover its fragments as the product does, and compare."""
        mask = volume.fragments > 0 if volume.found is None else volume.found
        predictor = Predictor(
            network,
            window_plan(self.config.patches.size),
            device=device,
            # Otherwise a short trial of speed decides, and two runs could differ.
            precision="fp32" if device == "cpu" else None,
        )
        result = judge(volume, mask, predicted_map(volume, mask, predictor), RecoveryConfig())
        iou = result.score.headline.iou
        figures = {"spurious": float(result.score.spurious)}
        if not math.isnan(iou):
            figures["fragment_iou"] = iou
            if result.is_fractured:
                figures["fractured_iou"] = iou
        if not result.is_fractured:
            figures["intact_kept"] = float(result.predicted_fragments == 1)
        return figures

    def spec(self) -> ModelSpec:
        """The card of the model."""
        config, side = self.config, self.config.patches.spacing_mm
        return ModelSpec(
            name=self._origin.name,
            task="fragments",
            method=FRACSEGMENTATOR.name,
            network="tpc_net",
            config=config.network.to_dict(),
            bones=FRACSEGMENTATOR.bones,
            spacing_mm=(side, side, side),
            normalisation=config.patches.normalisation.to_dict(),
            channels=FRACSEGMENTATOR.channels,
            licence=_LICENCE,
            training_data=describe_cases(self._cases),
            folds=tuple(self._origin.excluded),
            results={
                "seed": config.seed,
                "trained_on": patient_digests(_patients(self._cases)),
                "validated_on": patient_digests(_patients(self.validation)),
            },
        )


def describe_cases(cases: Sequence[Case]) -> str:
    """What a network was trained on, in one sentence."""
    kinds = Counter(
        (case.info.source, "simulated" if case.info.is_simulated else "true") for case in cases
    )
    parts = [
        f"{count} bones of source {source} with {truth} fragments"
        for (source, truth), count in sorted(kinds.items())
    ]
    return f"{'; '.join(parts)}; {len(_patients(cases))} anatomies."


def start_from(network: TPCNet, state: Mapping[str, Tensor]) -> None:
    """Load initial weights; parts of the trauma prior that have another form begin anew.

    Where the projections differ, embeddings mean something else: the memory begins anew with them.

    Args:
        network: filled in place.
        state: state dict of a TPC-Net.

    Raises:
        InputError: encoder or decoder are those of another network.
    """
    expected = network.state_dict()
    fits = {
        name: values
        for name, values in state.items()
        if name in expected and values.shape == expected[name].shape
    }
    others = [name for name in (*expected, *state) if name not in fits]
    if wrong := [name for name in others if not name.startswith("prior.")]:
        raise InputError(
            f"The weights to start from are of another network: {wrong[0]} does not fit.",
            "Name a model of the same preset with --initial.",
        )
    if any(name.startswith("prior.projections.") for name in others):
        anew = ("prior.projections.", "prior.memory.")
        fits = {name: values for name, values in fits.items() if not name.startswith(anew)}
    network.load_state_dict({**expected, **fits})


def _queue(config: TrainConfig) -> nn.Module:
    """What is remembered of past patches; an empty module without contrast."""
    network = config.network
    if not network.use_contrastive:
        return nn.Module()
    scales = len(network.scales_with_embedding)
    return EmbeddingQueue(scales, config.contrast.past, network.embedding_dim)


def _kept_figures(network: TPCNetConfig) -> tuple[str, ...]:
    names = ["bank_rank"] if network.use_memory else []
    if network.use_contrastive:
        names += [f"probe_auc_{scale}" for scale in network.scales_with_embedding] + ["cosine"]
    return tuple(names)


def _patients(cases: Sequence[Case]) -> set[str]:
    return {case.info.patient for case in cases}
