"""Writes the repository's public address, a variable in CMakeLists.txt, wherever the Extensions Index wants it as text.

    python Resources/public_address.py [--check]

Changes the literal addresses in CMakeLists.txt, DiffuGTS.json and DiffuGTS.s4ext; with --check it changes nothing
and exits with 1 if something is out of step. Standard library only.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

VARIABLE = re.compile(r'set\(DIFFUGTS_PUBLIC_ADDRESS "([^"]+)"\)')


def catalog_entry(address: str) -> str:
    """DiffuGTS.json, the entry for Slicer's Extensions Index (schema 1.0.1)."""
    schema = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#"
    entry = {
        "$schema": schema,
        "build_dependencies": [],
        "build_subdirectory": ".",
        "category": "Segmentation",
        "scm_revision": "main",
        "scm_url": f"{address}.git",
        "tier": 1,
    }
    return json.dumps(entry, indent=2) + "\n"


def with_addresses(cmake: str, address: str) -> str:
    """CMakeLists.txt with its literal addresses changed."""
    raw = address.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main"
    cmake = re.sub(r'(set\(EXTENSION_HOMEPAGE ")[^"]*', rf"\g<1>{address}#readme", cmake)
    return re.sub(
        r'(set\(EXTENSION_(?:ICONURL|SCREENSHOTURLS) ")([^"]*)',
        lambda found: found[1] + " ".join(f"{raw}/Resources/{_in_resources(url)}" for url in found[2].split()),
        cmake,
    )


def _in_resources(url: str) -> str:
    """The path below Resources that an address of this repository's own pictures ends with."""
    return url.partition("/Resources/")[2]


def description_file(cmake: str, address: str) -> str:
    """DiffuGTS.s4ext, the older description file, from CMakeLists.txt's own values."""

    def value(name: str) -> str:
        found = re.search(rf'set\(EXTENSION_{name} "([^"]*)"\)', cmake)
        return found.group(1) if found else ""

    lines = [
        "# Description of the extension in Slicer's older format. Written by Resources/public_address.py.",
        "scm git",
        f"scmurl {address}.git",
        "scmrevision main",
        f"depends {value('DEPENDS')}",
        "build_subdirectory .",
        f"homepage {value('HOMEPAGE')}",
        f"contributors {value('CONTRIBUTORS')}",
        f"category {value('CATEGORY')}",
        f"iconurl {value('ICONURL')}",
        "status ",
        f"description {value('DESCRIPTION')}",
        f"screenshoturls {value('SCREENSHOTURLS')}",
        "enabled 1",
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def files_in_step(root: Path) -> dict[Path, str]:
    """What the three files should hold, by the variable in CMakeLists.txt."""
    cmake = (root / "CMakeLists.txt").read_text(encoding="utf-8")
    found = VARIABLE.search(cmake)
    if found is None:
        raise SystemExit('CMakeLists.txt has no line set(DIFFUGTS_PUBLIC_ADDRESS "...").')
    address = found.group(1).removesuffix("/").removesuffix(".git")
    cmake = with_addresses(cmake, address)
    return {
        root / "CMakeLists.txt": cmake,
        root / "DiffuGTS.json": catalog_entry(address),
        root / "DiffuGTS.s4ext": description_file(cmake, address),
    }


def main() -> None:
    check = sys.argv[1:] == ["--check"]
    for path, text in files_in_step(Path(__file__).resolve().parent.parent).items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            raise SystemExit(f"{path.name} is out of step with CMakeLists.txt. Run: make public-address")
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {path.name}")


if __name__ == "__main__":
    main()
