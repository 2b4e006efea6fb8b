"""Stand-in for the SampleData module: remembers what is registered, downloads from files only."""

from __future__ import annotations

import hashlib
import shutil
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

import slicer

Texts = str | list[str] | None


@dataclass(frozen=True)
class SampleSource:
    """One registered data set; what may be given once or several times is a list."""

    category: str
    sampleName: str
    uris: list[str]
    fileNames: list[str]
    nodeNames: list[str]
    checksums: list[str]
    loadFileTypes: list[str]
    thumbnailFileName: str | None
    customDownloader: Any


registered: dict[str, SampleSource] = {}


class SampleDataLogic:
    """The part of the logic that modules call."""

    @staticmethod
    def registerCustomSampleDataSource(
        category: str = "Custom",
        sampleName: str | None = None,
        uris: Texts = None,
        fileNames: Texts = None,
        nodeNames: Texts = None,
        customDownloader: Any = None,
        thumbnailFileName: str | None = None,
        loadFileTypes: Texts = None,
        checksums: Texts = None,
        **_loading: Any,
    ) -> None:
        """Remember a data set, also in `slicer.modules.sampleDataSources[category]`."""
        if sampleName is None:
            raise ValueError("sampleName is needed")
        counts = {len(_listed(entry)) for entry in (uris, fileNames, nodeNames) if entry}
        if len(counts) > 1:
            raise ValueError("uris, fileNames and nodeNames differ in number")
        source = SampleSource(
            category,
            sampleName,
            _listed(uris),
            _listed(fileNames),
            _listed(nodeNames),
            _listed(checksums),
            _listed(loadFileTypes),
            thumbnailFileName,
            customDownloader,
        )
        known = vars(slicer.modules).setdefault("sampleDataSources", {}).setdefault(category, [])
        if source not in known:
            known.append(source)
        registered[sampleName] = source

    @staticmethod
    def registerCustomSampleDataCategory(category: str, **_options: Any) -> None:
        """Categories are the sources' own here."""

    def downloadSamples(self, sampleName: str) -> list[Any]:
        """Load a registered data set into the scene.

        Raises:
            ValueError: a checksum does not fit, or an address is not a local file.
        """
        source = registered[sampleName]
        if source.customDownloader is not None:
            return list(source.customDownloader(source) or [])
        columns = (source.uris, source.fileNames, source.nodeNames, source.checksums)
        rows = zip(*(_filled(entry, len(source.uris)) for entry in columns), strict=True)
        nodes = []
        for uri, file_name, node_name, checksum in rows:
            file = Path(slicer.app.temporaryPath) / file_name
            _fetch(uri, file)
            _verify(file, checksum)
            nodes.append(slicer.util.loadNodeFromFile(file, None, {"name": node_name}))
        return nodes


def _listed(entry: Texts) -> list[str]:
    if entry is None:
        return []
    return [entry] if isinstance(entry, str) else list(entry)


def _filled(entry: list[str], length: int) -> list[str]:
    return entry or [""] * length


def _fetch(uri: str, file: Path) -> None:
    parts = urlparse(uri)
    if parts.scheme != "file":
        raise ValueError(f"this host downloads nothing from {parts.netloc}")
    shutil.copyfile(url2pathname(parts.path), file)


def _verify(file: Path, checksum: str) -> None:
    if checksum:
        algorithm, _, expected = checksum.partition(":")
        found = hashlib.new(algorithm.lower(), file.read_bytes()).hexdigest()
        if found != expected.lower():
            raise ValueError(f"{file.name}: checksum does not fit")


def make_sample_data() -> types.ModuleType:
    """The module `SampleData`."""
    module = types.ModuleType("SampleData", "Stand-in for Slicer's SampleData module.")
    module.SampleDataLogic = SampleDataLogic
    return module
