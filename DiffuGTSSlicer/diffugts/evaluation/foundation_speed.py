"""Time and memory of a foundation's stages, for models whose attention is untrained or random: only the arithmetic counts.

In one run: the stages as the pipeline goes through them for a first and a second description, the path of a model without
attention (a marked region), and the plain loop that a straightforward implementation would be. A GPU is warmed up before on
a small cube: loading its libraries is no stage, and is reported by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from diffugts.evaluation.speed import PLAIN_STEPS, machine, peak_memory_mb
from diffugts.findings.lesions import cut, measure_lesions
from diffugts.foundation.autoencoder import CELL
from diffugts.foundation.decoding import decode_box
from diffugts.foundation.memory import in_tiles_that_fit
from diffugts.inpainting import decoded_box, inpaint, pasted
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.protocol import Region
from diffugts.pseudo_healthy import on_scan_grid, pseudo_healthy_scan
from diffugts.scans.region import region_mask
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import body_box, to_working_grid

REGION_MM = 60.0
"""Side of the cube in the middle of the scan that is painted anew: a large tumour."""

SMALLEST_LESION_ML = 0.1
"""Smaller regions are no lesions: what the command line takes where nothing is said."""

WARM_UP_VOXELS = 64
"""Side of the cube that warms a GPU up."""

MOST_ELEMENTS = 2**31 - 1
"""Of one activation: beyond it convolutions on GPUs leave their fast kernels. The decoder's widest at full resolution has as
many channels as the autoencoder's second level."""

DESCRIPTION, SECOND_DESCRIPTION = "soft tissue sarcoma", "liver tumour"
CLEAR_PEAK = Path("/proc/self/clear_refs")


@dataclass
class Stage:
    """One stage: `seconds` by the clock, `cpu_seconds` of all threads (what it would take on an idle core), and the highest
    memory while it ran, MB: what tensors took on the GPU where it computes, otherwise of the process.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


@dataclass
class FoundationSpeed:
    """Stages by name, and what they were measured on.

    `reserved_mb` is the most memory that torch held of a GPU until the plain loop began, its allocator's reserves included; 0
    on a CPU. `plain_steps` is how many of the plain loop's steps were timed.
    """

    size: str
    grid: str
    low_memory: bool
    device: str
    torch: str
    stages: dict[str, Stage] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    reserved_mb: float = 0.0
    plain_steps: int = PLAIN_STEPS

    def as_json(self) -> dict[str, object]:
        """Figures with their sums and ratios; None where a stage was not measured."""
        figures = {
            name: {"s": round(s.seconds, 4), "cpu_s": round(s.cpu_seconds, 3), "peak_mb": round(s.peak_mb)}
            for name, s in self.stages.items()
        }
        words = ("attend", "score map", "measure")
        again = (*words, "hole", "denoise", "decode", "results")
        second, ours = self._sum(*again), self._sum("grid", "encode", "denoise", "decode")
        plain = self.plain_loop_s
        return {
            "size": self.size,
            "working_grid": self.grid,
            "device": self.device,
            "torch": self.torch,
            "low_memory": self.low_memory,
            "stages": figures,
            "first_description_s": self._sum("grid", "encode", "body", *again),
            "second_description_with_new_pseudo_healthy_scan_s": second,
            "second_description_s": self._sum(*words),
            "marked_region_s": self._sum("marked region"),
            "plain_loop_s": plain,
            "plain_loop_steps_timed": self.plain_steps if plain else None,
            "plain_loop_to_ours": round(plain / ours, 2) if plain and ours else None,
            "plain_loop_to_second_description": round(plain / second, 2) if plain and second else None,
            "peak_mb": self._peak(plain=False),
            "peak_reserved_mb": round(self.reserved_mb) or None,
            "plain_loop_peak_mb": self._peak(plain=True) or None,
            "notes": self.notes,
        }

    @property
    def plain_loop_s(self) -> float | None:
        """The plain loop with all its steps; those not timed are taken to be as long as those that were."""
        steps, rest = self._sum("plain steps"), self._sum("plain encode", "plain decode")
        return None if steps is None or rest is None else round(rest + steps * PLAIN_STEPS / self.plain_steps, 3)

    def _peak(self, plain: bool) -> int:
        return round(max((s.peak_mb for n, s in self.stages.items() if n.startswith("plain") is plain), default=0.0))

    def _sum(self, *names: str) -> float | None:
        if any(name not in self.stages for name in names):
            return None
        return round(sum(self.stages[name].seconds for name in names), 3)


def filled_scan(source: Scan, size_xyz: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Scan:
    """The body of `source` stretched over a grid of the given size and spacing: all of it is tissue, none is cut away."""
    import SimpleITK as sitk

    part = body_box(source.voxels, -496.0)
    geometry = source.geometry.part(part)
    image = geometry.image(np.ascontiguousarray(source.voxels[part]))
    spacing = [s * (n - 1) / (m - 1) for s, n, m in zip(geometry.spacing_mm, geometry.size, size_xyz)]
    stretched = sitk.Resample(
        image, size_xyz, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1000.0
    )
    place = Geometry(size_xyz, spacing_mm, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    return Scan(sitk.GetArrayFromImage(stretched), place, source.modality, source.sequence, source.name)


def measure_foundation_speed(
    pipeline: DiffuGTSPipeline, scan: Scan, steps: int, plain_steps: int = PLAIN_STEPS
) -> FoundationSpeed:
    """Time every stage once on a scan; the pipeline needs an attention, which may be random.

    `plain_steps` of the plain loop's steps are timed; 0 leaves the plain loop out.
    """
    device = pipeline.device
    report = FoundationSpeed(
        "x".join(str(n) for n in scan.geometry.size), "", pipeline.low_memory, machine(device), torch.__version__
    )
    preset = pipeline.preset
    if device.type == "cuda":
        start = time.perf_counter()
        warm_up(pipeline)
        report.notes.append(f"Not counted: {time.perf_counter() - start:.1f} s until the GPU had seen a small cube.")
    with _stage(report, "grid", device):
        grid = to_working_grid(scan, preset.spacing_mm, preset.ct_curve, preset.mr_range)
    report.grid = "x".join(str(n) for n in grid.geometry.size)
    # First, as a user meets it: a process keeps what earlier stages took, and its memory would count with theirs.
    heads, pipeline.attention = pipeline.attention, None
    with _stage(report, "marked region", device):
        pipeline(scan, [DESCRIPTION], "standard", region=_central_region(scan))
    pipeline.attention = heads
    with _stage(report, "encode", device):
        encoded = pipeline.encode_grid(scan, grid, grid.intensities)
    report.notes += encoded.notes
    pipeline.attend(encoded, [DESCRIPTION])  # loads and embeds the texts
    with _stage(report, "attend", device):
        attention = pipeline.attend(encoded, [SECOND_DESCRIPTION])[0]
    with _stage(report, "score map", device):
        pipeline.score_map(encoded, attention.score)
    # A random attention suspects anything: what is measured and painted anew is a cube.
    marked = region_mask(scan.geometry, _central_region(scan)).astype(np.float32)
    with _stage(report, "measure", device):
        found = cut(marked, preset.threshold, SMALLEST_LESION_ML, scan.geometry)
        measure_lesions(found, marked, scan)
    with _stage(report, "body", device):
        _ = encoded.body
    mask = _central_cube(grid.intensities.shape, REGION_MM / preset.spacing_mm)
    with _stage(report, "hole", device):
        _ = pipeline.on_working_grid(encoded, attention.score) > preset.threshold
        hole = pipeline.hole(encoded, mask)
    with _stage(report, "denoise", device):
        result = inpaint(
            pipeline.denoiser,
            pipeline.scheduler,
            encoded.latents,
            hole,
            encoded.modality_class,
            steps,
            preset.start_sigma,
            [0],
            smallest_crop=pipeline.crop_cells,
        )
    with _stage(report, "decode", device):
        box = decoded_box(hole)
        before = pipeline.foundation.decoded(encoded.latents, box)
        after = pipeline.foundation.decoded(pasted(encoded.latents, result, 0), box)
    with _stage(report, "results", device):
        on_scan_grid(encoded, pseudo_healthy_scan(encoded, hole, result, before, after))
    del encoded, result
    if device.type == "cuda":
        report.reserved_mb = torch.cuda.max_memory_reserved(device) / 1e6
        torch.cuda.empty_cache()
    if plain_steps:
        report.plain_steps = plain_steps
        _plain_loop(report, pipeline, scan)
    return report


def warm_up(pipeline: DiffuGTSPipeline) -> None:
    """Take a small cube of noise through all networks: the first computation on a GPU also loads its libraries."""
    preset = pipeline.preset
    voxels = np.random.default_rng(0).normal(100, 40, (WARM_UP_VOXELS,) * 3).astype(np.float32)
    place = Geometry(
        (WARM_UP_VOXELS,) * 3, (preset.spacing_mm,) * 3, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)
    )
    encoded = pipeline.encode(Scan(voxels, place, preset.modalities[0]))
    pipeline.attend(encoded, [DESCRIPTION])
    pipeline.inpaint(encoded, np.ones(tuple(encoded.latents.shape[2:]), bool), steps=1)


def _plain_loop(report: FoundationSpeed, pipeline: DiffuGTSPipeline, scan: Scan) -> None:
    """Encode, denoise the whole volume, decode the whole volume; nothing is kept or left out but steps that are like others."""
    preset, device = pipeline.preset, pipeline.device
    with _stage(report, "plain encode", device):
        grid = to_working_grid(scan, preset.spacing_mm, preset.ct_curve, preset.mr_range)
        encoded = pipeline.encode_grid(scan, grid, grid.intensities)
    latents = encoded.latents
    everywhere = np.ones(tuple(latents.shape[2:]), bool)
    with _stage(report, "plain steps", device):
        result = inpaint(
            pipeline.denoiser,
            pipeline.scheduler,
            latents,
            everywhere,
            encoded.modality_class,
            report.plain_steps,
            1.0,
            [0],
            smallest_crop=max(latents.shape[2:]),
        )
    whole = tuple(slice(0, n) for n in latents.shape[2:])
    voxels = int(np.prod(latents.shape[2:])) * CELL**3
    most = min(voxels, MOST_ELEMENTS // int(pipeline.autoencoder.config["channels"][1]))
    with _stage(report, "plain decode", device):
        _, used = in_tiles_that_fit(
            lambda most: decode_box(pipeline.autoencoder, result.latents, whole, tile_voxels=most),  # type: ignore[arg-type]
            most,
        )
    if report.plain_steps < PLAIN_STEPS:
        report.notes.append(
            f"Of the plain loop's {PLAIN_STEPS} steps {report.plain_steps} were timed; all of them were taken to be as long."
        )
    if used < voxels:
        report.notes.append(f"The plain loop decoded in tiles of at most {used / 1e6:.1f} million voxels.")


@contextmanager
def _stage(report: FoundationSpeed, name: str, device: torch.device) -> Iterator[None]:
    gpu = device.type == "cuda"
    if gpu:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _clear_peak()
    start, cpu = time.perf_counter(), time.process_time()
    yield
    if gpu:
        torch.cuda.synchronize(device)
    peak = torch.cuda.max_memory_allocated(device) / 1e6 if gpu else _peak_since_cleared_mb()
    report.stages[name] = Stage(time.perf_counter() - start, time.process_time() - cpu, peak)


def _clear_peak() -> None:
    """Forget the process's peak memory so far, where the system can."""
    if CLEAR_PEAK.exists():
        CLEAR_PEAK.write_text("5")


def _peak_since_cleared_mb() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return peak_memory_mb()


def _central_cube(shape: tuple[int, ...], side: float) -> np.ndarray:
    mask = np.zeros(shape, bool)
    half = max(1, round(side / 2))
    mask[tuple(slice(max(0, n // 2 - half), n // 2 + half) for n in shape)] = True
    return mask


def _central_region(scan: Scan) -> Region:
    geometry = scan.geometry
    middle = geometry.ijk_to_ras @ [*((n - 1) / 2 for n in geometry.size), 1.0]
    low, high = middle[:3] - REGION_MM / 2, middle[:3] + REGION_MM / 2
    return Region(tuple(float(v) for v in low), tuple(float(v) for v in high))  # type: ignore[arg-type]
