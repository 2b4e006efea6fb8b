"""Write the address of the repository wherever a program looks for it.

    python Testing/slicer/set_homepage.py https://github.com/OWNER/SlicerFractureSegmentation

Homepage, icon, screenshots, citation and the entry for the catalogue follow from that one address.
The name of the repository starts with "Slicer", that of the extension does not.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
PLACES = (
    "CMakeLists.txt",
    "CITATION.cff",
    "Resources/ExtensionsIndex/FractureSegmentation.json",
)

_ADDRESS = re.compile(r"https://github\.com/(?P<name>[A-Za-z0-9][\w-]*/[\w.-]+)")
_HOMEPAGE = re.compile(r'^set\(EXTENSION_HOMEPAGE "(?P<address>[^"]+)"\)$', re.MULTILINE)


def repository_name(address: str) -> str:
    """The "owner/repository" of an address.

    Raises:
        ValueError: it is no address that the catalogue of extensions accepts.
    """
    found = _ADDRESS.fullmatch(address.removesuffix("/").removesuffix(".git"))
    if not found:
        raise ValueError(f"expected https://github.com/OWNER/REPOSITORY, got {address!r}")
    if not found["name"].partition("/")[2].startswith("Slicer"):
        raise ValueError("the catalogue wants a repository name that starts with 'Slicer'")
    return found["name"]


def homepage(root: Path = REPOSITORY) -> str:
    """The address that is set now.

    Raises:
        ValueError: the top-level CMakeLists.txt sets no homepage.
    """
    found = _HOMEPAGE.search((root / "CMakeLists.txt").read_text(encoding="utf-8"))
    if not found:
        raise ValueError("CMakeLists.txt sets no EXTENSION_HOMEPAGE")
    return found["address"]


def set_homepage(address: str, root: Path = REPOSITORY) -> None:
    """Replace the address in every place.

    Raises:
        ValueError: it is no address that the catalogue of extensions accepts.
    """
    new, old = repository_name(address), repository_name(homepage(root))
    for place in PLACES:
        file = root / place
        text = re.sub(
            rf"(https://(?:github|raw\.githubusercontent)\.com/){re.escape(old)}(?=[/\"])",
            rf"\g<1>{new}",
            file.read_text(encoding="utf-8"),
        )
        file.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        set_homepage(sys.argv[1])
    except ValueError as error:
        sys.exit(str(error))
