"""Job folders for tests: a scan with a bright ball, and a request on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from diffugts.protocol import Request


def write_scan(path: Path, size: int = 24, seed: int = 0) -> Path:
    """A noisy MR-like cube of `size` voxels of 2 mm with a bright ball in it."""
    k, j, i = np.mgrid[0:size, 0:size, 0:size] - size / 2
    ball = k**2 + j**2 + i**2 < (size / 5) ** 2
    noise = np.random.default_rng(seed).normal(0, 10, ball.shape)
    image = sitk.GetImageFromArray((100 + 150 * ball + noise).astype(np.float32))
    image.SetSpacing((2.0, 2.0, 2.0))
    image.SetOrigin((-10.0, 5.0, 7.0))
    sitk.WriteImage(image, str(path))
    return path


def job_folder(folder: Path, *descriptions: str, size: int = 24, seed: int = 0, **fields: Any) -> Path:
    """A job folder with scan and request; returns the request's path.

    The result goes to its subfolder `result`. Job folders beside each other share an empty model folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_scan(folder / "scan.nrrd", size, seed)
    model = folder.parent / "model"
    model.mkdir(exist_ok=True)
    facts = {"modality": "MR", "model": str(model), "device": "cpu", **fields}
    request = Request(scan="scan.nrrd", descriptions=descriptions or ("bright ball",), output="result", **facts)
    request.save(folder / "request.json")
    return folder / "request.json"
