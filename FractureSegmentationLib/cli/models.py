"""`fracseg models`: what is done with trained models besides running them."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def models() -> None:
    """Work on model folders."""


@models.command()
@click.argument(
    "folders", metavar="MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
def export(folders: tuple[Path, ...]) -> None:
    """Put model.onnx into each model folder MODEL, for ONNX Runtime.

    The weights stay in model.safetensors; model.onnx holds the graph alone. Needs PyTorch and the
    packages onnx and onnxscript.
    """
    from FractureSegmentationLib.networks.model_spec import GRAPH_FILE, read_spec
    from FractureSegmentationLib.networks.onnx_export import export_model
    from FractureSegmentationLib.pipeline.models import patch_of

    for folder in folders:
        spec = export_model(folder, patch_of(read_spec(folder)))
        size = (folder / GRAPH_FILE).stat().st_size
        click.echo(f"{spec.name}: {GRAPH_FILE} {size / 1024:.0f} KiB, sha256 {spec.onnx_sha256}")
