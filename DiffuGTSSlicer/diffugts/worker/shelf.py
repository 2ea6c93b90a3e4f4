"""What the worker keeps between jobs: the loaded model and the last scans' features, within a bound of memory."""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diffugts.allocation import give_back_freed_memory
from diffugts.models import find_model
from diffugts.protocol import ProgressCallback
from diffugts.worker.loading import LoadedModel, Loader, load_model
from diffugts.worker.scan_key import ScanKey

if TYPE_CHECKING:
    from diffugts.encoded import EncodedScan
    from diffugts.worker.kept_features import KeptFeatures

LARGEST_SHARE_OF_MEMORY = 0.2
MOST_FEATURE_BYTES = 4 << 30


@dataclass(frozen=True)
class ModelKey:
    """A model folder as it is now, on a device: retrained or repaired files make another key."""

    folder: Path
    device: str
    files: tuple[tuple[str, int, int], ...]
    """Name, bytes and time of change (ns) of every file."""

    @classmethod
    def of(cls, folder: Path, device: str) -> ModelKey:
        """The key of a folder's present state."""
        stats = ((path, path.stat()) for path in sorted(folder.rglob("*")) if path.is_file())
        files = tuple((path.relative_to(folder).as_posix(), stat.st_size, stat.st_mtime_ns) for path, stat in stats)
        return cls(folder.resolve(), device, files)


class ModelShelf:
    """One model and some scans' features; the scan unused for longest gives way.

    Args:
        load: makes a model of its folder, with progress.
        find: from a model's name to its folder; raises ModelError.
        most_feature_bytes: bound of the features kept; a fifth of the machine's memory, at most 4 GiB, where left out.
        kept: a folder in which features are kept as well, from process to process; none where left out.
    """

    def __init__(
        self,
        load: Loader = load_model,
        find: Callable[[str], Path] = find_model,
        most_feature_bytes: int | None = None,
        kept: KeptFeatures | None = None,
    ) -> None:
        self._load, self.find, self.kept = load, find, kept
        self.most_feature_bytes = _default_bound() if most_feature_bytes is None else most_feature_bytes
        self._model: tuple[ModelKey, LoadedModel] | None = None
        self._features: OrderedDict[tuple[ScanKey, ModelKey], EncodedScan] = OrderedDict()

    @property
    def feature_bytes(self) -> int:
        """Bytes of the features kept now."""
        return sum(encoded.nbytes for encoded in self._features.values())

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to release."""
        return self._model is None and not self._features

    def model(self, key: ModelKey, progress: ProgressCallback) -> LoadedModel:
        """The model of `key`, loaded now if it is not the one at hand; only one is kept."""
        if self._model is None or self._model[0] != key:
            self._model = None
            _empty_device_caches()
            self._model = (key, self._load(key.folder, key.device, progress))
        return self._model[1]

    def features(self, scan: ScanKey | None, model: ModelKey) -> EncodedScan | None:
        """A scan's features by this model, None where they are not kept."""
        if scan is None or (scan, model) not in self._features:
            return None
        self._features.move_to_end((scan, model))
        return self._features[(scan, model)]

    def keep(self, scan: ScanKey | None, model: ModelKey, encoded: EncodedScan) -> None:
        """Keep a scan's features, if they fit within the bound; older ones make room."""
        if scan is None:
            return
        self._features.pop((scan, model), None)
        if encoded.nbytes > self.most_feature_bytes:
            return
        while self._features and self.feature_bytes + encoded.nbytes > self.most_feature_bytes:
            self._features.popitem(last=False)
        self._features[(scan, model)] = encoded

    def release(self) -> str:
        """Let go of everything, the GPU's memory included; returns a sentence that says what it was."""
        model = "the model" if self._model else "no model"
        sentence = (
            f"Let go of {model} and the features of {len(self._features)} scans ({self.feature_bytes / 1e6:.0f} MB)."
        )
        self._model = None
        self._features.clear()
        _empty_device_caches()
        return sentence


def _default_bound() -> int:
    import psutil

    return min(MOST_FEATURE_BYTES, int(LARGEST_SHARE_OF_MEMORY * psutil.virtual_memory().total))


def _empty_device_caches() -> None:
    """Give back to the system what torch and the allocator hold for later; imports no torch where nothing has."""
    gc.collect()
    give_back_freed_memory()
    torch = sys.modules.get("torch")
    if torch is None:
        return
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if torch.backends.mps.is_available():
        torch.mps.empty_cache()
