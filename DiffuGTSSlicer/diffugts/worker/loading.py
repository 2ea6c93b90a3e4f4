"""Loading a model for a job: libraries, device, weights, each a step that can be watched and cancelled."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffugts.allocation import keep_freed_memory
from diffugts.errors import InstallationError
from diffugts.models import load_pipeline
from diffugts.protocol import ProgressCallback, Quality, Region, Stage

if TYPE_CHECKING:
    import numpy as np

    from diffugts.encoded import EncodedScan
    from diffugts.findings.finding import Segmentation
    from diffugts.preset import ModelPreset
    from diffugts.scans.scan import Scan
    from diffugts.views import View

LIBRARIES = (
    "numpy",
    "scipy.ndimage",
    "SimpleITK",
    "torch",
    "diffusers",
    "transformers",
    "monai",
    "diffusers.pipelines.pipeline_utils",
    "diffugts.pipeline",
)
"""Imported one by one: together they take seconds, in which a job should still be cancelled at once."""


class SegmentationPipeline(Protocol):
    """What a job needs of a model; `diffugts.pipeline.DiffuGTSPipeline` is one.

    `low_memory` asks for smaller tiles: slower, with the same result.
    """

    preset: ModelPreset
    low_memory: bool

    def encode(self, scan: Scan, progress: ProgressCallback | None = None, views: Collection[View] = ()) -> EncodedScan:
        """A scan's features; once per scan, and once for each further view."""

    def __call__(
        self,
        scan: Scan | EncodedScan,
        descriptions: Sequence[str],
        quality: str | Quality = Quality.STANDARD,
        region: Region | np.ndarray | None = None,
        threshold: float | None = None,
        smallest_lesion_ml: float = 0.1,
        seed: int = 0,
        progress: ProgressCallback | None = None,
    ) -> Segmentation:
        """All of the method; what is finished where `progress` raises Cancelled after the first description."""


@dataclass(frozen=True)
class LoadedModel:
    """A model on its device, and sentences for the user on how it came there."""

    pipeline: SegmentationPipeline
    notes: tuple[str, ...] = ()


Loader = Callable[[Path, str, ProgressCallback], LoadedModel]
"""(model folder, device as a request names it, progress) -> the model on that device."""


def load_model(folder: Path, device: str, progress: ProgressCallback) -> LoadedModel:
    """Load a model folder onto the device that a request names.

    Raises InstallationError where a library is missing or broken, RequestError for a device that does not work, and
    ModelError for a folder that is no whole model.
    """
    steps = len(LIBRARIES) + 2
    for done, library in enumerate(LIBRARIES):
        progress(Stage.LOADING, done, steps)
        _import(library)
    from diffugts.worker.device import choose_device, slow_convolutions

    progress(Stage.LOADING, steps - 2, steps)
    choice = choose_device(device)
    if choice.name == "cpu":
        keep_freed_memory()
    progress(Stage.LOADING, steps - 1, steps)
    with _quiet_diffusers():
        pipeline = load_pipeline(folder, choice.name)
    progress(Stage.LOADING, steps, steps)
    slow = slow_convolutions() if choice.name != "cpu" else None
    return LoadedModel(pipeline, (*choice.notes, slow) if slow else choice.notes)


@contextmanager
def _quiet_diffusers() -> Iterator[None]:
    """Without diffusers' bar, which a log would be full of, and its warning that no module needs single precision."""
    from diffusers.utils import logging

    verbosity, bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bar:
            logging.enable_progress_bar()


def _import(library: str) -> None:
    try:
        import_module(library)
    except (ImportError, OSError) as error:  # OSError: a shared library that does not load, such as CUDA's
        raise InstallationError(
            f"The library '{getattr(error, 'name', None) or library}' cannot be used ({error}). Run `diffugts doctor` to "
            "see what is missing, and install the program again."
        ) from error
