"""One request carried out: read, keep or fetch features, segment, write.

The only way from a request to a result: `diffugts worker`, `diffugts run` and `diffugts segment` all come here, so that
the same request gives the same result wherever it was made.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, cast

from diffugts.allocation import is_memory_shortage
from diffugts.errors import InstallationError, MemoryShortageError, RequestError
from diffugts.protocol import ProgressCallback, Region, Request, ResultManifest, Stage
from diffugts.worker.scan_key import ScanKey, scan_key
from diffugts.worker.shelf import ModelKey, ModelShelf

if TYPE_CHECKING:
    from typing import TypeGuard

    import numpy as np

    from diffugts.encoded import EncodedScan
    from diffugts.findings.finding import Segmentation
    from diffugts.pipeline import DiffuGTSPipeline
    from diffugts.scans.scan import Scan
    from diffugts.views import View
    from diffugts.worker.kept_features import KeptFeatures
    from diffugts.worker.loading import SegmentationPipeline


def run_request(
    request: Request, shelf: ModelShelf, progress: ProgressCallback, picture: bool = False
) -> ResultManifest:
    """Carry out a request and write its result to `request.output`.

    `picture` adds a picture of each finding. Where `progress` raises Cancelled after a description was finished, the
    manifest's status says so and the result holds what was finished. Raises DiffuGTSError, or Cancelled by way of
    `progress` before anything was finished or while it is written; the output folder is then as it was before.
    """
    output = Path(request.output).resolve()
    _require_outside("scan", Path(request.scan), output)
    if request.mask is not None:
        _require_outside("mask", Path(request.mask), output)
    try:
        from diffugts.findings.result_folder import require_result_folder
        from diffugts.findings.writing import write_segmentation
    except ImportError as error:
        raise InstallationError(
            f"The library '{error.name}' cannot be used ({error}). Run `diffugts doctor` to see what is missing."
        ) from error

    require_result_folder(output)
    segmentation = segment_scan(request, shelf, progress)
    return write_segmentation(segmentation, request, output, progress, picture)


def segment_scan(request: Request, shelf: ModelShelf, progress: ProgressCallback) -> Segmentation:
    """What a request asks for, not yet written.

    Where memory runs out, everything kept is let go and the job is tried once more with small tiles. Raises
    MemoryShortageError if that does not help.
    """
    try:
        return _segment_once(request, shelf, progress, low_memory=False)
    except Exception as error:
        if not is_memory_shortage(error):
            raise
    # Outside the except block: until here the traceback held on to what filled the memory.
    shelf.release()
    try:
        segmentation = _segment_once(request, shelf, progress, low_memory=True)
    except Exception as error:
        if not is_memory_shortage(error):
            raise
        shelf.release()
        raise MemoryShortageError(
            "The scan does not fit into this machine's memory, not even in small tiles. Give a smaller part of the scan, "
            "choose the quality 'fast', close other programs, or compute on the CPU if a GPU was used."
        ) from error
    segmentation.notes.append("Memory was short; the scan was taken in small tiles.")
    return segmentation


def _segment_once(request: Request, shelf: ModelShelf, progress: ProgressCallback, low_memory: bool) -> Segmentation:
    timings: dict[str, float] = {}
    clock = _Clock(timings)
    progress(Stage.READING, 0, 1)
    model_key = ModelKey.of(shelf.find(request.model), request.device)
    key = scan_key(request)
    encoded = shelf.features(key, model_key)
    scan = encoded.scan if encoded is not None else _read(request)
    marked = _marked(request, scan)
    clock.lap("read_s")
    progress(Stage.READING, 1, 1)
    model = shelf.model(model_key, progress)
    pipeline = model.pipeline
    pipeline.low_memory = low_memory
    clock.lap("load_s")
    views = pipeline.preset.qualities[request.quality.value].views
    notes: list[str] = []
    if not _serves(encoded, views) and key is not None and shelf.kept is not None:
        encoded = _from_folder(shelf.kept, key, pipeline, scan, notes)
        if _serves(encoded, views):
            shelf.keep(key, model_key, encoded)
        clock.lap("kept_s")
    if not _serves(encoded, views):
        encoded = pipeline.encode(scan, progress, views)
        shelf.keep(key, model_key, encoded)
        clock.lap("encode_s")
        if key is not None and shelf.kept is not None and not low_memory:
            _into_folder(shelf.kept, key, pipeline, encoded, notes)
            clock.lap("keep_s")
    # A pipeline averages all views that are there: a job must not depend on what ran before it.
    encoded = encoded.seen_by(views)
    segmentation = pipeline(
        encoded,
        request.descriptions,
        quality=request.quality,
        region=marked,
        threshold=request.threshold,
        smallest_lesion_ml=request.smallest_lesion_ml,
        seed=request.seed,
        progress=progress,
    )
    segmentation.timings_s = {**timings, **segmentation.timings_s}
    segmentation.notes += [*model.notes, *notes]
    return segmentation


def _serves(encoded: EncodedScan | None, views: Collection[View]) -> TypeGuard[EncodedScan]:
    """Whether there are features, and those of all further views that are asked for."""
    return encoded is not None and encoded.further.keys() >= set(views)


def _from_folder(
    kept: KeptFeatures, key: ScanKey, pipeline: SegmentationPipeline, scan: Scan, notes: list[str]
) -> EncodedScan | None:
    """A scan's features from the folder that keeps them; None, with a note, where they cannot be used."""
    from diffugts.worker.kept_features import DamagedFeatures

    try:
        return kept.read(key, cast("DiffuGTSPipeline", pipeline), scan)
    except DamagedFeatures as damaged:
        notes.append(str(damaged))
        return None


def _into_folder(
    kept: KeptFeatures, key: ScanKey, pipeline: SegmentationPipeline, encoded: EncodedScan, notes: list[str]
) -> None:
    """Keep a scan's features in a folder; a note where that fails, which is no reason to lose the result."""
    try:
        kept.write(key, cast("DiffuGTSPipeline", pipeline), encoded)
    except OSError as error:
        notes.append(f"The scan's features could not be kept in '{kept.folder}' ({error}).")


def _read(request: Request) -> Scan:
    from diffugts.scans.reading import read_scan

    return read_scan(request.scan, request.modality, request.sequence, request.series)


def _marked(request: Request, scan: Scan) -> Region | np.ndarray | None:
    """Where to look: the box, the mask, or what of the mask lies inside the box. Raises RequestError where that is nothing."""
    if request.mask is None:
        return request.region
    from diffugts.scans.region import region_mask
    from diffugts.scans.rough_mask import read_rough_mask

    mask = read_rough_mask(request.mask, scan.geometry)
    if request.region is not None:
        mask &= region_mask(scan.geometry, request.region)
        if not mask.any():
            raise RequestError(
                "The mask and the region have no voxel in common, expected is a mask that marks something inside the "
                "region. Give one of the two alone, or move the region."
            )
    return mask


class _Clock:
    """Seconds between laps, by name."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings, self._began = timings, time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._timings[name] = now - self._began
        self._began = now


def _require_outside(what: str, path: Path, output: Path) -> None:
    """A result replaces an earlier one as a whole: what it is made from must not lie where it would be replaced."""
    place = path.resolve()
    if place == output or output in place.parents:
        raise RequestError(
            f"The {what} lies inside the output folder '{output}', which the result replaces as a whole. Give another output folder."
        )
