"""The report of a result folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from FractureSegmentationLib.anatomy.numbering import PENGWIN_2026
from FractureSegmentationLib.errors import EnvironmentProblemError, InputError
from FractureSegmentationLib.geometry import Geometry
from FractureSegmentationLib.results.report import (
    geometry_entry,
    numbering_of_report,
    read_report,
    write_report,
)


def test_what_is_written_is_read_back_with_schema_and_notice(tmp_path: Path) -> None:
    write_report(tmp_path, {"numbering": "pengwin2026", "name": "Os sacrum – Ä"})
    report = read_report(tmp_path)
    assert report["name"] == "Os sacrum – Ä"
    assert report["schema"] == "fracseg-report/1"
    assert "Not for diagnosis" in report["notice"]
    assert numbering_of_report(report) is PENGWIN_2026


def test_a_grid_is_told_axis_by_axis() -> None:
    geometry = Geometry(shape=(2, 3, 4), spacing_mm=(3.0, 1.0, 0.5), origin_lps_mm=(7.0, 8.0, 9.0))
    assert geometry_entry(geometry) == {
        "shape_kji": [2, 3, 4],
        "spacing_kji_mm": [3.0, 1.0, 0.5],
        "origin_lps_mm": [7.0, 8.0, 9.0],
        "direction_kji_lps": [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]],
    }


@pytest.mark.parametrize("text", [None, "{", "[" * 100_000, "[1]", '{"schema": "other/1"}', "{}"])
def test_a_folder_without_a_report_of_ours_is_refused(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "report.json").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=r"report\.json"):
        read_report(tmp_path)


def test_a_numbering_that_is_not_told_is_never_guessed() -> None:
    for report in ({}, {"numbering": "roman"}, {"numbering": ["fracseg"]}):
        assert numbering_of_report(report) is None


def test_a_disk_that_refuses_is_the_environments_fault(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblemError, match="report"):
        write_report(tmp_path / "absent", {})
