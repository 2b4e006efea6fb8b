"""The tutorial against the panel: what it tells the user to click is there under that name."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

# Of Slicer itself, or emphasis.
NOT_OURS = {
    "DICOM",
    "Edit, Application Settings, Modules",
    "File, Save",
    "Not a medical device and not for diagnosis. Review every fragment.",
    "Reload",
    "Sample Data, Fracture Segmentation, PelvicFracture",
    "Segmentation, Fracture Segmentation",
    "View, Extensions Manager, Install Extensions",
}


@pytest.fixture(scope="module")
def tutorial(repository: Path) -> str:
    return (repository / "docs" / "slicer.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def panel_texts(repository: Path) -> set[str]:
    """Every text of the panel: of the .ui file, and what the code translates."""
    module = repository / "FractureSegmentation"
    tree = ElementTree.parse(module / "Resources/UI/FractureSegmentation.ui")  # noqa: S314  ours
    texts = {element.text or "" for element in tree.iter("string")}
    for file in module.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "_":
                texts.add(ast.literal_eval(node.args[0]))
    return texts


def logic_methods(repository: Path) -> set[str]:
    """Public names of FractureSegmentationLogic and of its parts."""
    module = repository / "FractureSegmentation"
    files = [
        module / "FractureSegmentation.py",
        *module.glob("FractureSegmentationPanel/logic/*.py"),
    ]
    return {
        function.name
        for file in files
        for part in ast.parse(file.read_text(encoding="utf-8")).body
        if isinstance(part, ast.ClassDef) and part.name.endswith("Logic")
        for function in part.body
        if isinstance(function, ast.FunctionDef) and not function.name.startswith("_")
    }


def test_what_it_tells_to_click_is_in_the_panel(tutorial: str, panel_texts: set[str]) -> None:
    told = set(re.findall(r"\*\*(.+?)\*\*", " ".join(tutorial.split())))

    assert told - panel_texts - NOT_OURS == set()


def test_what_it_quotes_is_said_by_the_panel_or_by_the_library(
    repository: Path, tutorial: str, panel_texts: set[str]
) -> None:
    """The first column of the table of problems; an ellipsis stands for what is filled in."""
    table = tutorial.partition("| the panel says | do |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1].strip() for line in table.splitlines()[2:]]
    library = (repository / "FractureSegmentationLib").rglob("*.py")
    said = "\n".join([*panel_texts, *(file.read_text(encoding="utf-8") for file in library)])

    for row in rows:
        for part in row.split("…"):
            assert part.strip().rstrip(".") in said, row


def test_its_links_and_pictures_exist(repository: Path, tutorial: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", tutorial)

    assert len(links) > 10
    assert [link for link in links if not (repository / "docs" / link).resolve().exists()] == []


def test_its_sections_exist(tutorial: str) -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", tutorial, re.MULTILINE)
    }

    assert set(re.findall(r"\]\(#([^)]+)\)", tutorial)) <= anchors


def test_the_calls_it_shows_exist(repository: Path, tutorial: str) -> None:
    scripts = tutorial.partition("## For scripts and other modules")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in scripts.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    called = set(re.findall(r"(?<!\.)\blogic\.(\w+)", scripts))

    assert len(named) > 20
    assert (named | called) - logic_methods(repository) == set()


def test_its_examples_are_python(tutorial: str) -> None:
    examples = re.findall(r"```python\n(.*?)```", tutorial, re.DOTALL)

    assert len(examples) == 2
    for example in examples:
        compile(example, "docs/slicer.md", "exec")
