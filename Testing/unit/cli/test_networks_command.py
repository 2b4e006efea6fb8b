"""`fracseg networks`."""

from __future__ import annotations

from click.testing import CliRunner

from FractureSegmentationLib.cli.networks import networks


def test_every_network_and_its_total_is_shown() -> None:
    shown = CliRunner().invoke(networks, [])

    assert shown.exit_code == 0, shown.output
    names = [line.split(":")[0] for line in shown.output.splitlines() if ": features" in line]
    assert names == ["small", "paper", "bones-coarse", "bones-fine"]
    assert shown.output.count("total") == 4


def test_a_patch_that_cannot_be_halved_often_enough_is_refused() -> None:
    shown = CliRunner().invoke(networks, ["--patch", "80"])

    assert shown.exit_code == 2
    assert "multiple of 32" in shown.output
