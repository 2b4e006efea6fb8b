"""The terminology of the project, as 3D Slicer's own code reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import slicer
import vtk

from FractureSegmentationLib.anatomy.catalogue import BONES, Bone
from FractureSegmentationLib.anatomy.naming import (
    REGION_CONTEXT,
    TERMINOLOGY_CONTEXT,
    terminology_tag,
)
from FractureSegmentationLib.mrml.terminology import REGIONS_FILE, TYPES_FILE, write_terminologies


@pytest.fixture
def logic(started: Any, tmp_path: Path) -> Any:
    write_terminologies(tmp_path)
    logic = started.modules["terminologies"]
    assert logic.LoadTerminologyFromFile(str(tmp_path / TYPES_FILE)) == TERMINOLOGY_CONTEXT
    assert logic.LoadRegionContextFromFile(str(tmp_path / REGIONS_FILE)) == REGION_CONTEXT
    return logic


def types_of(logic: Any) -> dict[tuple[str, str], set[str]]:
    """Modifiers by (category, type), code values, as Slicer lists them."""
    found = {}
    for c in range(logic.GetNumberOfCategoriesInTerminology(TERMINOLOGY_CONTEXT)):
        category = slicer.vtkSlicerTerminologyCategory()
        logic.GetNthCategoryInTerminology(TERMINOLOGY_CONTEXT, c, category)
        for t in range(logic.GetNumberOfTypesInTerminologyCategory(TERMINOLOGY_CONTEXT, category)):
            kind = slicer.vtkSlicerTerminologyType()
            logic.GetNthTypeInTerminologyCategory(TERMINOLOGY_CONTEXT, category, t, kind)
            count = logic.GetNumberOfTypeModifiersInTerminologyType(
                TERMINOLOGY_CONTEXT, category, kind
            )
            modifiers = set()
            for m in range(count):
                modifier = slicer.vtkSlicerTerminologyType()
                logic.GetNthTypeModifierInTerminologyType(
                    TERMINOLOGY_CONTEXT, category, kind, m, modifier
                )
                modifiers.add(modifier.GetCodeValue())
            found[category.GetCodeValue(), kind.GetCodeValue()] = modifiers
    return found


def regions_of(logic: Any) -> dict[str, set[str]]:
    """Sides by region, code values, as Slicer lists them."""
    found = {}
    for r in range(logic.GetNumberOfRegionsInRegionContext(REGION_CONTEXT)):
        region = slicer.vtkSlicerTerminologyType()
        logic.GetNthRegionInRegionContext(REGION_CONTEXT, r, region)
        sides = set()
        for s in range(logic.GetNumberOfRegionModifierInRegion(REGION_CONTEXT, region)):
            side = slicer.vtkSlicerTerminologyType()
            logic.GetNthRegionModifierInRegion(REGION_CONTEXT, region, s, side)
            sides.add(side.GetCodeValue())
        found[region.GetCodeValue()] = sides
    return found


def codes(bone: Bone, *, is_only_piece: bool) -> list[str]:
    """Code values of category, type, type modifier, region and its modifier of a segment."""
    _, *what, _, region, side = terminology_tag(bone, is_only_piece=is_only_piece).split("~")
    return [triplet.split("^")[1] for triplet in (*what, region, side)]


def test_both_lists_are_known_by_their_names(logic: Any) -> None:
    names, regions = vtk.vtkStringArray(), vtk.vtkStringArray()
    logic.GetLoadedTerminologyNames(names)
    logic.GetLoadedRegionContextNames(regions)

    assert names.LookupValue(TERMINOLOGY_CONTEXT) >= 0
    assert regions.LookupValue(REGION_CONTEXT) >= 0


def test_every_fragment_of_every_bone_is_in_the_lists(logic: Any) -> None:
    kinds, regions = types_of(logic), regions_of(logic)

    for bone in BONES:
        category, kind, modifier, region, side = codes(bone, is_only_piece=False)
        assert modifier in kinds[category, kind], bone.slug
        assert regions[region] == ({"7771000", "24028007"} if side else set()), bone.slug


def test_every_bone_in_one_piece_is_in_the_list(logic: Any) -> None:
    kinds = types_of(logic)

    for bone in BONES:
        category, kind, side, region, _ = codes(bone, is_only_piece=True)
        assert kinds[category, kind] == ({"7771000", "24028007"} if side else set()), bone.slug
        assert not region


@pytest.mark.parametrize("is_only_piece", [True, False])
def test_slicer_reads_the_entry_of_a_segment(logic: Any, *, is_only_piece: bool) -> None:
    entry = slicer.vtkSlicerTerminologyEntry()
    text = terminology_tag(BONES[1], is_only_piece=is_only_piece)

    assert logic.DeserializeTerminologyEntry(text, entry)
    assert logic.SerializeTerminologyEntry(entry) == text


def test_the_files_are_made_alike_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_terminologies(tmp_path / name)

    for file in (tmp_path / "a").iterdir():
        assert file.name.endswith(".term.json")
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_the_files_that_ship_are_those_of_the_catalogue(repository: Path, tmp_path: Path) -> None:
    shipped = sorted((repository / "FractureSegmentation").rglob("*.term.json"))
    if not shipped:
        pytest.skip("the extension's resources are not in this tree")
    write_terminologies(tmp_path)

    assert {file.name for file in shipped} == {file.name for file in tmp_path.iterdir()}
    for file in shipped:
        assert file.read_text(encoding="utf-8") == (tmp_path / file.name).read_text("utf-8")
