"""Reading NVIDIA's files: strictly, and without running anything that lies in them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffugts.errors import ModelError

SHOWN_KEYS = 5
"""Keys named in a message; a file of another network differs in hundreds."""

WEIGHTS = "unet_state_dict"
"""Entry of NVIDIA's training scripts that holds the weights (scripts/diff_model_train.py)."""

RANDOM_MARK = "random_weights"
"""Entry by which files of random weights, made for tests and benchmarks, are told from published ones."""


@dataclass(frozen=True)
class Checkpoint:
    """One file: its weights by name, its `scale_factor` (denoisers only), whether it is marked as random, its checksum."""

    path: Path
    weights: dict[str, torch.Tensor]
    scale_factor: float | None
    random_weights: bool
    sha256: str


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a file of NVIDIA's. Raises ModelError where it is missing, damaged, or holds anything but tensors and numbers."""
    if not path.is_file():
        raise ModelError(f"The file '{path}' is missing. Fetch the model again, or name the folder that holds it.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        Exception
    ) as error:  # torch raises its own, pickle's and zip's errors, all for a file that is not what it should be
        raise ModelError(
            f"'{path}' cannot be read as weights: {_first_sentence(error)} It is damaged, or not NVIDIA's file. Fetch it again."
        ) from error
    if not isinstance(content, Mapping):
        raise ModelError(
            f"'{path}' holds a {type(content).__name__}, expected a table of weights. It is not NVIDIA's file."
        )
    weights = content.get(WEIGHTS, content)
    strange = [
        str(k)
        for k, v in (weights.items() if isinstance(weights, Mapping) else [(WEIGHTS, weights)])
        if not isinstance(v, torch.Tensor) and k != RANDOM_MARK
    ]
    if strange:
        raise ModelError(f"'{path}' holds entries that are no weights: {_named(strange)}. It is not NVIDIA's file.")
    return Checkpoint(
        path,
        {k: v for k, v in weights.items() if k != RANDOM_MARK},
        _scale_factor(content, path),
        bool(content.get(RANDOM_MARK, False)),
        sha256_of_file(path),
    )


def load_strictly(network: torch.nn.Module, checkpoint: Checkpoint, allow_extra: bool = False) -> tuple[str, ...]:
    """Load a checkpoint's weights into MONAI's own network.

    Every weight of the network must be in the file, of the same shape, and finite; `allow_extra` passes over entries
    of the file that the network has no place for, and returns their names. Raises ModelError naming file, key and shapes.
    """
    expected = network.state_dict()
    path, weights = checkpoint.path, checkpoint.weights
    missing = [key for key in expected if key not in weights]
    if missing:
        raise ModelError(
            f"'{path}' lacks {len(missing)} of the {len(expected)} weights this network has: {_named(missing)}. It is the file "
            "of another network or version; see docs/models.md for the files that are expected."
        )
    for key, tensor in expected.items():
        if tuple(weights[key].shape) != tuple(tensor.shape):
            raise ModelError(
                f"'{path}': '{key}' has shape {tuple(weights[key].shape)}, expected {tuple(tensor.shape)}. It is the file of "
                "another network or version."
            )
        if weights[key].is_floating_point() and not bool(torch.isfinite(weights[key]).all()):
            raise ModelError(
                f"'{path}': '{key}' holds values that are not numbers. The file is damaged; fetch it again."
            )
    extra = tuple(key for key in weights if key not in expected)
    if extra and not allow_extra:
        raise ModelError(
            f"'{path}' holds {len(extra)} weights this network has no place for: {_named(extra)}. NVIDIA's own scripts pass "
            "over such entries; to do so too, convert with --allow-extra-weights. The model card will name them."
        )
    network.load_state_dict({key: weights[key] for key in expected})
    return extra


def sha256_of_file(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _scale_factor(content: Mapping[str, Any], path: Path) -> float | None:
    if "scale_factor" not in content:
        return None
    try:
        value = float(content["scale_factor"])
    except (TypeError, ValueError, RuntimeError):
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise ModelError(f"'{path}': 'scale_factor' is {content['scale_factor']!r:.80}, expected one positive number.")
    return value


def _named(keys: list[str] | tuple[str, ...]) -> str:
    more = f" and {len(keys) - SHOWN_KEYS} more" if len(keys) > SHOWN_KEYS else ""
    return ", ".join(f"'{key}'" for key in keys[:SHOWN_KEYS]) + more


def _first_sentence(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0].rstrip('.')[:200]}." if lines else f"{type(error).__name__}."
