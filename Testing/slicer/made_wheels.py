"""Small wheels made on the spot, folders and indexes of them, for real pips to install."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

WORKING_REPORT = {
    "works": True,
    "checks": [
        {"topic": "program", "name": "diffugts", "state": "ok", "found": "0.1.0"},
        {"topic": "program", "name": "Python", "state": "ok", "found": "3.12.10", "facts": {"version": "3.12.10"}},
        {"topic": "package", "name": "torch", "state": "ok", "found": "2.13.0+made"},
        {
            "topic": "device",
            "name": "cpu",
            "state": "ok",
            "found": "works (8 threads)",
            "facts": {"title": "8 threads"},
        },
    ],
}
BROKEN_REPORT = {
    "works": False,
    "checks": [
        {"topic": "package", "name": "torch", "state": "problem", "found": "cannot be used: DLL load failed"},
    ],
}
CHECK = ("-m", "made_doctor")


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], needs: tuple[str, ...] = ()) -> Path:
    """A wheel of pure Python; `files` are texts by their paths."""
    about = f"{name}-{version}.dist-info"
    needed = "".join(f"Requires-Dist: {each}\n" for each in needs)
    content = {
        **files,
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in content.items()]
    content[f"{about}/RECORD"] = "\n".join([*lines, f"{about}/RECORD,,"]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name_inside, text in content.items():
            archive.writestr(name_inside, text)
    return path


def write_wheels(folder: Path, report: Mapping = WORKING_REPORT) -> Path:
    """A folder with a torch, a package that needs another, and the one whose check prints `report`."""
    doctor = f"import json, made_tool, torch\nprint({json.dumps(json.dumps(report))})\n"
    write_wheel(folder, "torch", "2.13.0+made", {"torch/__init__.py": "", "torch/large.txt": "weights " * 50_000})
    write_wheel(folder, "made_part", "1.5", {"made_part.py": "VALUE = 7\n"})
    write_wheel(folder, "made_tool", "1.2", {"made_tool.py": "from made_part import VALUE\n"}, needs=("made-part>=1",))
    write_wheel(folder, "made_doctor", "0.1", {"made_doctor.py": doctor}, needs=("made-tool", "torch"))
    return folder


def write_index(folder: Path, wheels: Path, *names: str) -> str:
    """An index as pip reads it (PEP 503), of these packages' wheels; returns its address."""
    for name in names:
        page = folder / name.replace("_", "-") / "index.html"
        page.parent.mkdir(parents=True)
        found = sorted(wheels.glob(f"{name}-*.whl"))
        page.write_text("".join(f'<a href="{path.as_uri()}">{path.name}</a>\n' for path in found), encoding="utf-8")
    return folder.as_uri()


def write_lists(folder: Path) -> Path:
    """requirements.txt and constraints.txt for these wheels."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text("torch>=2.8  # the large one\nmade-doctor\n", encoding="utf-8")
    (folder / "constraints.txt").write_text("made-doctor==0.1\nmade-tool==1.2\ntorch==2.13.0\n", encoding="utf-8")
    return folder


def quiet_pip(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which pip is set up in no way, so that a test does not reach any real index."""
    kept = {name: value for name, value in environment.items() if not name.startswith("PIP_")}
    return {
        **kept,
        "PIP_CONFIG_FILE": "/dev/null" if sys.platform != "win32" else "nul",
        "PIP_INDEX_URL": "file:///none",
    }


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
