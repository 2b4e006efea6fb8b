"""The contrastive term: what is remembered, when it counts, and that it does not collapse."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_runs import CASES, TINY, a_run
from torch import Tensor

from fracseg_training.fragments.contrast import (
    PAPER_CONTRAST,
    ContrastConfig,
    EmbeddingQueue,
    contrast_of,
)
from fracseg_training.fragments.probe import mean_cosine, probe_auc
from fracseg_training.fragments.task import FragmentTask, start_from
from fracseg_training.training.losses import contrastive_loss
from FractureSegmentationLib.errors import InputError
from FractureSegmentationLib.networks.patch_embedding import PatchProjection
from FractureSegmentationLib.networks.tpc_net import TPCNet


def _rows(first: int, count: int) -> Tensor:
    """Rows that carry their own number, on both scales (scale 1 is 100 higher)."""
    numbers = torch.arange(first, first + count, dtype=torch.float32)
    return torch.stack([numbers, numbers + 100.0])[..., None].expand(2, count, 3)


def _odd(first: int, count: int) -> Tensor:
    return torch.arange(first, first + count) % 2 == 1


def test_queue_gives_back_what_came_oldest_first() -> None:
    """Room for five: of rows 1 to 8 the rows 4 to 8 are left, with their classes."""
    queue = EmbeddingQueue(2, 5, 3)
    queue.push(_rows(1, 4), _odd(1, 4))
    assert queue.content()[0][0, :, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    queue.push(_rows(5, 4), _odd(5, 4))

    embeddings, is_fractured = queue.content()

    assert embeddings[:, :, 0].tolist() == [
        [4.0, 5.0, 6.0, 7.0, 8.0],
        [104.0, 105.0, 106.0, 107.0, 108.0],
    ]
    assert is_fractured.tolist() == [False, True, False, True, False]


def test_more_than_the_queue_holds_leaves_the_newest() -> None:
    queue = EmbeddingQueue(2, 3, 3)
    queue.push(_rows(1, 1), _odd(1, 1))
    queue.push(_rows(2, 7), _odd(2, 7))

    assert queue.content()[0][0, :, 0].tolist() == [6.0, 7.0, 8.0]


def test_empty_queue_holds_nothing_and_keeps_no_graph_of_what_is_pushed() -> None:
    queue = EmbeddingQueue(2, 3, 3)
    assert [tuple(part.shape) for part in queue.content()] == [(2, 0, 3), (0,)]
    vectors = torch.ones(2, 2, 3, requires_grad=True)

    queue.push(2.0 * vectors, _odd(1, 2))

    assert not queue.content()[0].requires_grad


def test_paper_contrast_reads_the_batch_alone_and_the_other_the_queue_too() -> None:
    generator = torch.Generator().manual_seed(4)
    embeddings, classes = torch.randn(2, 4, 3, generator=generator), _odd(0, 4)
    queue = EmbeddingQueue(2, 8, 3)
    empty = [contrast_of(embeddings, classes, queue, config) for config in (PAPER_CONTRAST, _OURS)]
    queue.push(torch.nn.functional.normalize(_rows(1, 6), dim=-1), _odd(1, 6))

    paper, ours = (
        contrast_of(embeddings, classes, queue, config) for config in (PAPER_CONTRAST, _OURS)
    )

    assert paper == empty[0] == contrastive_loss(embeddings, classes, 0.07)
    assert ours > empty[1] + 0.1


_OURS = ContrastConfig()


def test_term_counts_from_its_first_step_on() -> None:
    config = ContrastConfig(first_step=500)

    assert [config.weight_at(step) for step in (0, 499, 500, 900)] == [0.0, 0.0, 1.0, 1.0]


def test_loss_leaves_the_term_out_before_its_first_step_but_shows_it() -> None:
    task = FragmentTask(CASES, replace(TINY, contrast=ContrastConfig(first_step=1)))
    torch.manual_seed(0)
    network, batch = task.build(), task.batch(0)
    output = network(batch.inputs)

    before, shown = task.loss(output, batch, 0)
    after, _ = task.loss(output, batch, 1)

    assert shown["contrast"] > 0.0
    assert float((after - before).detach()) == pytest.approx(shown["contrast"], rel=1e-4)


@pytest.mark.parametrize(
    "change", [{"temperature": 0.0}, {"past": 0}, {"first_step": -1}, {"max_learning_rate": 0.0}]
)
def test_impossible_contrast_is_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        ContrastConfig(**change)  # type: ignore[arg-type]


def test_projections_alone_learn_at_most_at_their_own_rate(tmp_path: Path) -> None:
    """A step of Adam moves a weight by about the learning rate: 1e-6 here, 1e-2 elsewhere."""
    contrast = replace(TINY.contrast, max_learning_rate=1e-6)
    config = replace(
        TINY, learning_rate=1e-2, warmup_steps=0, weight_decay=0.0, contrast=contrast, steps=1
    )
    run = a_run(tmp_path, config)
    before = {name: p.detach().clone() for name, p in run.network.named_parameters()}

    run.train()

    moved = {
        name: float((values.detach() - before[name]).abs().max())
        for name, values in run.network.named_parameters()
    }
    projections = [size for name, size in moved.items() if ".projections." in name]
    assert projections
    assert max(projections) < 2e-6
    assert moved["head.weight"] > 1e-3


def test_all_parameters_are_optimised_once_whatever_the_rate() -> None:
    for max_learning_rate in (None, 1e-4):
        contrast = replace(TINY.contrast, max_learning_rate=max_learning_rate)
        task = FragmentTask(CASES, replace(TINY, contrast=contrast))
        network = task.build()
        optimised = [p for group in task.parameter_groups(network) for p in group["params"]]

        assert len(optimised) == len({id(p) for p in optimised})
        assert {id(p) for p in optimised} == {id(p) for p in network.parameters()}


def test_a_resumed_run_remembers_the_same_patches(tmp_path: Path) -> None:
    unbroken = a_run(tmp_path / "a")
    unbroken.train()
    a_run(tmp_path / "b").train(until=3)
    resumed = a_run(tmp_path / "b")
    assert int(resumed.task.kept.state_dict()["written"]) == 12

    resumed.train()

    other = unbroken.task.kept.state_dict()
    assert int(other["written"]) == 24
    for name, values in resumed.task.kept.state_dict().items():
        assert torch.equal(values, other[name]), name


def test_checkpoint_without_the_remembered_patches_is_refused(tmp_path: Path) -> None:
    a_run(tmp_path).train(until=1)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["kept"]
    torch.save(state, tmp_path / "checkpoint.pt")

    with pytest.raises(InputError, match="it holds no kept"):
        a_run(tmp_path)


PAPER_FORM = replace(TINY.network, masked_descriptors=False, normalised_memory=False)


def test_weights_of_the_published_form_start_a_network_of_the_other() -> None:
    torch.manual_seed(1)
    old = TPCNet(PAPER_FORM)
    old.update_memory(torch.ones(3, 4, 8), torch.ones(4, dtype=torch.bool))
    new = TPCNet(TINY.network)
    anew = {name: values.clone() for name, values in new.state_dict().items()}

    start_from(new, old.state_dict())

    for name, values in new.state_dict().items():
        is_anew = name.startswith(("prior.projections.", "prior.memory."))
        assert torch.equal(values, anew[name] if is_anew else old.state_dict()[name]), name


def test_weights_of_the_same_form_are_taken_over_whole() -> None:
    old, new = TPCNet(TINY.network), TPCNet(TINY.network)

    start_from(new, old.state_dict())

    for name, values in new.state_dict().items():
        assert torch.equal(values, old.state_dict()[name]), name


def test_weights_of_another_encoder_are_refused() -> None:
    wider = TPCNet(replace(TINY.network, features=(8, 16, 16)))

    with pytest.raises(InputError, match=r"another network: encoder\..* does not fit"):
        start_from(TPCNet(TINY.network), wider.state_dict())


def _patches(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Descriptors as pooled maps are: a large constant, much noise, a small mark of the class."""
    classes = torch.arange(count) % 2 == 0
    noise = 0.02 * torch.randn(count, 24, generator=generator)
    mark = 0.02 * torch.where(classes, 1.0, -1.0)[:, None] * (torch.arange(24) < 4)
    return 0.4 + noise + mark, classes


def _trained(config: ContrastConfig, *, bias: bool) -> tuple[Tensor, Tensor, list[float]]:
    """A projection taught by one form of the term: 200 unseen embeddings, classes, gradients."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(9)
    projection = PatchProjection(24, 32, bias=bias)
    queue = EmbeddingQueue(1, 64, 32)
    optimizer = torch.optim.AdamW(projection.parameters(), lr=5e-4)
    gradients = []
    for _ in range(150):
        descriptors, classes = _patches(4, generator)
        embeddings = torch.nn.functional.normalize(projection(descriptors), dim=-1)[None]
        optimizer.zero_grad()
        contrast_of(embeddings, classes, queue, config).backward()
        gradients.append(math.hypot(*(float(p.grad.norm()) for p in projection.parameters())))
        optimizer.step()
        queue.push(embeddings, classes)
    descriptors, classes = _patches(200, generator)
    with torch.no_grad():
        return projection.eval()(descriptors), classes, gradients


def test_embeddings_learn_the_class_without_collapsing() -> None:
    embeddings, classes, gradients = _trained(ContrastConfig(), bias=False)

    assert probe_auc(embeddings, classes) > 0.85
    assert mean_cosine(embeddings) < 0.9
    assert sum(gradients[-20:]) > 0.1 * sum(gradients[:20])
