"""Encoded scans in a folder, so that a scan met again in another process is not encoded again. Only where one is asked for.

A file holds what an `EncodedScan` does, without the scan itself: the working grid's intensities, latents and queries. These
derive from a patient's scan and show it: folder and files can be read by their owner alone. A file's name is a checksum of
what decides its content (scan, weights, preset, kind of device, version of torch) and tells nothing of the patient.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import tempfile
import time
import zlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffugts.errors import RequestError
from diffugts.worker.scan_key import ScanKey

if TYPE_CHECKING:
    import torch

    from diffugts.encoded import EncodedScan
    from diffugts.pipeline import DiffuGTSPipeline
    from diffugts.scans.scan import Scan

SCHEMA = "diffugts-kept-features/2"
ENDING, UNFINISHED = ".safetensors", ".unfinished"
MOST_BYTES = 20_000_000_000
LEFT_BEHIND_S = 3600.0
"""After so long a file that is not finished belongs to no process any more."""


class DamagedFeatures(Exception):
    """A file of kept features that cannot be used, in a sentence for the user."""


class KeptFeatures:
    """Features of scans in `folder`, `most_bytes` in all: what was not used for longest is removed first.

    The folder is made, for its owner alone. Raises RequestError where it cannot be, or where others may look into it.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self.most_bytes = folder, most_bytes
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = folder.stat().st_mode
        except OSError as error:
            raise RequestError(f"Features cannot be kept in '{folder}' ({error}). Give another folder.") from error
        if sys.platform != "win32" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise RequestError(
                f"The folder '{folder}' can be read by others on this machine, and features show the scans they come from. "
                "Give a folder that is yours alone (chmod 700), or one that does not exist yet."
            )

    @property
    def nbytes(self) -> int:
        """Bytes of the features kept now."""
        return sum(size for _, _, size in self._by_last_use())

    def read(self, scan_key: ScanKey, pipeline: DiffuGTSPipeline, scan: Scan) -> EncodedScan | None:
        """The features of `scan`, on the pipeline's device; None where there are none.

        Raises DamagedFeatures where there are some that cannot be used; they are removed.
        """
        path = self._path(scan_key, pipeline)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DamagedFeatures(
                f"Features kept of this scan could not be read ({error}); it was encoded again."
            ) from error
        try:
            encoded = _decoded(content, pipeline.device, scan)
        except Exception as error:
            # Whatever a damaged file brings forth: it is only a copy of what can be computed.
            with suppress(OSError):
                path.unlink()
            raise DamagedFeatures(
                f"Features kept of this scan were damaged ({type(error).__name__}: {error}); it was encoded again."
            ) from error
        with suppress(OSError):
            os.utime(path)
        return encoded

    def write(self, scan_key: ScanKey, pipeline: DiffuGTSPipeline, encoded: EncodedScan) -> None:
        """Keep features, where they fit within the bound; others give way. Raises OSError where they cannot be written."""
        if not encoded.queries:  # a model without a trained attention encodes only what it is asked about
            return
        content = _content(encoded)
        path = self._path(scan_key, pipeline)
        if len(content) > self.most_bytes:
            return
        self._make_room(len(content), path)
        handle, unfinished = tempfile.mkstemp(UNFINISHED, path.stem, self.folder)  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(unfinished)
            raise

    def _path(self, key: ScanKey, pipeline: DiffuGTSPipeline) -> Path:
        return self.folder / (hashlib.sha256(_identity(key, pipeline).encode()).hexdigest() + ENDING)

    def _by_last_use(self) -> list[tuple[float, Path, int]]:
        found = []
        for path in self.folder.glob(f"*{ENDING}"):
            with suppress(FileNotFoundError):  # another process made room meanwhile
                facts = path.stat()
                found.append((facts.st_mtime, path, facts.st_size))
        return sorted(found)

    def _make_room(self, needed: int, replaced: Path) -> None:
        for path in self.folder.glob(f"*{UNFINISHED}"):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > LEFT_BEHIND_S:
                    path.unlink()
        kept = [entry for entry in self._by_last_use() if entry[1] != replaced]
        held = sum(size for _, _, size in kept)
        for _, path, size in kept:
            if held + needed <= self.most_bytes:
                return
            with suppress(FileNotFoundError):
                path.unlink()
            held -= size


def _identity(key: ScanKey, pipeline: DiffuGTSPipeline) -> str:
    """All that decides a scan's features, as one text."""
    import torch

    device = pipeline.device
    facts = {
        "schema": SCHEMA,
        "scan": asdict(key),
        "weights": pipeline.identity.weights_sha256,
        "preset": asdict(pipeline.preset),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "torch": torch.__version__,
    }
    return json.dumps(facts, sort_keys=True)


def _content(encoded: EncodedScan) -> bytes:
    from safetensors.torch import save

    tensors = _tensors(encoded)
    grid = encoded.grid
    facts = {
        "schema": SCHEMA,
        "geometry": asdict(grid.geometry),
        "curve": asdict(grid.curve),
        "modality": grid.modality,
        "sequence": grid.sequence,
        "modality_class": encoded.modality_class,
        "notes": encoded.notes,
        "views": [asdict(view) for view in encoded.further],
        "checksums": {name: _checksum(tensor) for name, tensor in tensors.items()},
    }
    return save(tensors, metadata={"facts": json.dumps(facts)})


def _tensors(encoded: EncodedScan) -> dict[str, torch.Tensor]:
    import torch

    looks = {"query": encoded.queries} | {view.name: queries for view, queries in encoded.further.items()}
    named = {f"{look}_{stride}": query for look, queries in looks.items() for stride, query in queries.items()}
    named |= {"latents": encoded.latents, "intensities": torch.from_numpy(encoded.grid.intensities)}
    return {name: tensor.detach().cpu().contiguous() for name, tensor in named.items()}


def _decoded(content: bytes, device: torch.device, scan: Scan) -> EncodedScan:
    """What `_content` made, of the same scan. Raises whatever a damaged file brings forth."""
    from safetensors.torch import load

    from diffugts.encoded import EncodedScan
    from diffugts.scans.intensity import IntensityCurve
    from diffugts.scans.scan import Geometry
    from diffugts.scans.working_grid import ScanOnGrid
    from diffugts.views import View

    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    facts: dict[str, Any] = json.loads(header["__metadata__"]["facts"])
    tensors = load(content)
    if facts["schema"] != SCHEMA or {n: _checksum(t) for n, t in tensors.items()} != facts["checksums"]:
        raise ValueError("its checksums differ")
    geometry = Geometry(**{name: tuple(value) for name, value in facts["geometry"].items()})
    curve = IntensityCurve(**{name: tuple(value) for name, value in facts["curve"].items()})
    intensities = tensors.pop("intensities").numpy()
    grid = ScanOnGrid(intensities, geometry, curve, scan.geometry, facts["modality"], facts["sequence"])
    latents = tensors.pop("latents").to(device)
    views = [View(**view) for view in facts["views"]]
    looks: dict[str, dict[int, torch.Tensor]] = {name: {} for name in ("query", *(view.name for view in views))}
    for name in sorted(tensors, key=lambda name: int(name.rpartition("_")[2])):
        look, _, stride = name.rpartition("_")
        looks[look][int(stride)] = tensors[name].to(device)
    notes = tuple(facts["notes"])
    further = {view: looks[view.name] for view in views}
    return EncodedScan(scan, grid, facts["modality_class"], latents, looks["query"], further, notes)


def _checksum(tensor: torch.Tensor) -> int:
    return zlib.crc32(tensor.numpy().tobytes())
