"""Models: where they lie, what they are, and loading one.

A model is a folder in diffusers' layout (`DiffuGTSPipeline.save_pretrained`). Shipped models are looked for
beside the package, so that the same code finds them in the source tree, in an installed extension and in a wheel.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffugts.errors import ModelError

if TYPE_CHECKING:
    from diffugts.pipeline import DiffuGTSPipeline

INDEX = "model_index.json"
PUBLISHED = ("maisi-ct", "maisi-ct-ddpm", "maisi-mr-brain")
"""Models that are not shipped but made from NVIDIA's files (`maisi.published`)."""

_PACKAGE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class ModelCard:
    """A model on this machine: its name, folder, one-line title, size on disk and the checksum of its weights."""

    name: str
    folder: Path
    title: str
    size_mb: float
    weights_sha256: str


def shelves() -> tuple[Path, ...]:
    """Folders that may hold shipped models: of a wheel or an installed extension, and of the source tree."""
    return _PACKAGE / "shipped_models", _PACKAGE.parent.parent / "Resources" / "Models"


def find_model(name_or_folder: str | Path) -> Path:
    """The folder of a model, by a shipped model's name or by its path.

    Raises ModelError where there is none, naming the models that there are.
    """
    for shelf in shelves():
        if (shelf / str(name_or_folder) / INDEX).is_file():
            return shelf / str(name_or_folder)
    folder = Path(name_or_folder)
    if (folder / INDEX).is_file():
        return folder
    if str(name_or_folder) in PUBLISHED:
        raise ModelError(
            f"'{name_or_folder}' is NVIDIA's and not on this machine in a folder of that name. `diffugts models fetch "
            f"{name_or_folder}` downloads it after you have agreed, `diffugts models convert` makes a model folder of it; give "
            "that folder (docs/models.md)."
        )
    known = ", ".join(f"'{path.name}'" for path in _shipped()) or "none"
    raise ModelError(
        f"There is no model '{name_or_folder}' (shipped with this installation: {known}). Give one of these names, or "
        f"the folder of a model, which holds a file {INDEX}."
    )


def list_models() -> list[ModelCard]:
    """The shipped models."""
    return [describe_model(path) for path in _shipped()]


def models_by_name(further: Sequence[Path] = ()) -> dict[str, Path]:
    """Model folders by their names: the shipped ones, then those in further folders; of two of one name the first."""
    found: dict[str, Path] = {}
    for shelf in (*shelves(), *further):
        for index in (shelf / INDEX, *sorted(shelf.glob(f"*/{INDEX}"))):
            if index.is_file():
                found.setdefault(index.parent.name, index.parent)
    return found


def describe_model(folder: Path) -> ModelCard:
    """What a model folder holds. Raises ModelError where it is incomplete."""
    from diffugts.preset import ModelPreset

    preset = ModelPreset.load(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return ModelCard(preset.name, folder, preset.title, size / 1e6, weights_sha256(folder))


def weights_sha256(folder: Path) -> str:
    """One checksum over all weight files of a model, by their order of name: what a result was made with."""
    weights = sorted(folder.rglob("*.safetensors"))
    if not weights:
        raise ModelError(f"The model in '{folder}' has no weights (*.safetensors). Install the model again.")
    digest = hashlib.sha256()
    for path in weights:
        digest.update(path.relative_to(folder).as_posix().encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def require_trained(folder: Path) -> None:
    """Raise ModelError for a model that is marked as one of random weights."""
    from diffugts.preset import ModelPreset

    if ModelPreset.load(folder).random_weights:
        raise ModelError(
            f"The model in '{folder}' has random weights: it was made to test or time the program and knows nothing. Choose "
            "another model."
        )


def load_pipeline(folder: Path, device: str = "cpu", random_weights: bool = False) -> DiffuGTSPipeline:
    """Load a model in single precision onto a device.

    A model marked as one of random weights is refused unless `random_weights` is asked for, as benchmarks do. Raises
    ModelError for it, and where files are missing, damaged or do not fit together.
    """
    from diffusers.utils import logging as diffusers_logging
    from safetensors import SafetensorError

    from diffugts.pipeline import DiffuGTSPipeline

    if not random_weights:
        require_trained(folder)
    diffusers_logging.disable_progress_bar()  # loading takes a moment; its bar would only clutter terminal and log
    try:
        # Without use_safetensors diffusers would look for pickled weights where the others are missing.
        pipeline = DiffuGTSPipeline.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError, json.JSONDecodeError) as error:
        raise ModelError(
            f"The model in '{folder}' cannot be loaded: files of it are missing or damaged. Install it again. "
            f"({str(error).strip()})"
        ) from error
    for part in (pipeline.autoencoder, pipeline.denoiser, pipeline.inpainter, pipeline.attention, pipeline.appearance):
        if part is not None:
            part.float()
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _shipped() -> Iterator[Path]:
    seen = set()
    for shelf in shelves():
        for index in sorted(shelf.glob(f"*/{INDEX}")) if shelf.is_dir() else ():
            if index.parent.name not in seen:
                seen.add(index.parent.name)
                yield index.parent
