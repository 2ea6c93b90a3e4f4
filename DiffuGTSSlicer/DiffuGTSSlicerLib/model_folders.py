"""The models on this computer, as Slicer's side sees them without loading anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INDEX, PRESET = "model_index.json", "preset.json"
SHIPPED = ("diffugts/shipped_models", "../Resources/Models")
"""Where shipped models lie from the engine's folder: in an installed extension, in the source tree."""


@dataclass(frozen=True)
class ModelOption:
    """A model that can be chosen.

    Args:
        name: of its folder.
        title: one line for people.
        folder: where it lies; what a request names it by, so that two of one name are not confused.
        weights_sha256: of its weights, once a check has told it.
        name_in_results: by which a result names the model that it was made with; empty where the folder does not say.
    """

    name: str
    title: str
    folder: Path
    weights_sha256: str | None = None
    name_in_results: str = ""


def models_in(engine_folder: Path, further: Path | None, checksums: Mapping[str, str]) -> tuple[ModelOption, ...]:
    """The shipped models, then those of a further folder (or the model that it is itself).

    Args:
        checksums: of weights, by the text of the model's folder, as the last check told them.
    """
    shelves = [(engine_folder / place).resolve() for place in SHIPPED] + ([further] if further else [])
    found: dict[Path, ModelOption] = {}
    for shelf in shelves:
        folders = [shelf] if (shelf / INDEX).is_file() else sorted(path.parent for path in shelf.glob(f"*/{INDEX}"))
        for folder in folders:
            stated = _stated(folder)
            title, name_in_results = (str(stated.get(key, "")) for key in ("title", "name"))
            checksum = checksums.get(str(folder))
            found[folder] = ModelOption(folder.name, title or folder.name, folder, checksum, name_in_results)
    return tuple(found.values())


def _stated(folder: Path) -> dict[str, Any]:
    """What a model's folder says of it; nothing where that cannot be read: a check says why then."""
    try:
        stated = json.loads((folder / PRESET).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stated if isinstance(stated, dict) else {}
