"""Figures of embeddings against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from tiny_runs import CASES, TINY

from fracseg_training.fragments.patches import PatchSource
from fracseg_training.fragments.probe import (
    bank_rank,
    effective_rank,
    embedding_figures,
    mean_cosine,
    prior_figures,
    probe_auc,
)
from FractureSegmentationLib.instances import bicm
from FractureSegmentationLib.networks.tpc_net import TPCNet


def test_probe_tells_separate_classes_apart_and_guesses_between_equal_ones() -> None:
    classes = torch.arange(16) % 2 == 0
    towards = torch.where(classes, 1.0, -1.0)[:, None] * torch.ones(3)

    assert probe_auc(towards, classes) == 1.0
    assert probe_auc(torch.ones(16, 3), classes) == 0.5


def test_probe_is_judged_on_patches_it_was_not_fitted_to() -> None:
    """More numbers than patches: any labels can be fitted, but not guessed for unseen patches."""
    generator = torch.Generator().manual_seed(3)
    classes = torch.arange(64) % 2 == 0
    areas = [probe_auc(torch.randn(64, 256, generator=generator), classes) for _ in range(20)]

    assert sum(areas) / 20 == pytest.approx(0.5, abs=0.08)


def test_probe_by_hand_with_one_patch_out_of_order() -> None:
    """Fractured 1, 1, 1, 1 and healthy 0, 0, 0, 2: the last fold has 1 against 2, which is wrong.

    Its direction, fitted without them, is 1 - 0; the other three are 1 - 2/3, and right.
    """
    vectors = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 2.0])[:, None]

    assert probe_auc(vectors, torch.arange(8) % 2 == 0) == pytest.approx(0.75)


def test_probe_needs_four_patches_of_a_class() -> None:
    assert math.isnan(probe_auc(torch.ones(7, 2), torch.arange(7) % 2 == 0))


def test_mean_cosine_by_hand() -> None:
    """(1, 0), (0, 2), (3, 0): cosines 0, 1, 0."""
    vectors = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])

    assert mean_cosine(vectors) == pytest.approx(1.0 / 3.0)
    assert mean_cosine(torch.ones(5, 4)) == pytest.approx(1.0)
    assert math.isnan(mean_cosine(torch.ones(1, 4)))


def test_effective_rank_counts_directions_by_their_energy() -> None:
    """Equal axes count fully. Energies 4 and 1: shares 0.8 and 0.2, exp(0.5004) = 1.649."""
    assert effective_rank(torch.eye(5)) == pytest.approx(5.0)
    assert effective_rank(torch.ones(7, 3)) == pytest.approx(1.0)
    assert effective_rank(torch.diag(torch.tensor([2.0, 1.0]))) == pytest.approx(1.649, abs=1e-3)


def test_figures_are_those_of_each_scale_and_of_the_one_that_collapsed_most() -> None:
    classes = torch.arange(8) % 2 == 0
    apart = torch.where(classes, 1.0, -1.0)[:, None].expand(8, 3)

    areas, cosine = embedding_figures(torch.stack([apart, torch.ones(8, 3)]), classes)

    assert areas == (1.0, 0.5)
    assert cosine == pytest.approx(1.0)


def test_rank_of_the_bank_is_that_of_its_worst_scale_and_of_written_rows() -> None:
    network = TPCNet(TINY.network)
    assert math.isnan(bank_rank(network))
    rows = torch.eye(8)[:4].repeat(3, 1, 1)
    rows[1, 2:] = rows[1, :2]
    network.update_memory(rows, torch.ones(4, dtype=torch.bool))

    assert bank_rank(network) == pytest.approx(2.0)


def test_figures_of_a_network_over_patches() -> None:
    source = PatchSource(CASES, TINY.patches, seed=0)
    network = TPCNet(TINY.network)
    before = {name: values.clone() for name, values in network.state_dict().items()}

    figures = prior_figures(network, (source.batch(n) for n in range(3)), bicm.CONTACT)

    assert len(figures.probe_auc) == 3
    assert all(0.0 <= area <= 1.0 for area in figures.probe_auc)
    assert -1.0 <= figures.cosine <= 1.0
    for name, values in network.state_dict().items():
        assert torch.equal(values, before[name]), name
