"""Speed and memory of the stages, as figures of one run: the plain way beside ours, the second description beside the first."""

from __future__ import annotations

import os
import platform
import sys
import time
from dataclasses import asdict, dataclass

import numpy as np
import psutil
import torch

from diffugts.encoded import EncodedScan
from diffugts.foundation.features import fast_arithmetic, read_features
from diffugts.inpainting import inpaint
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import to_working_grid

PLAIN_STEPS = 50
PAINTED_FROM = 0.9
"""Share of a description's highest score that its threshold is lowered to, where it would find nothing to paint."""

FIRST, SECOND = "lung cancer", "liver metastasis"


@dataclass(frozen=True)
class SpeedReport:
    """Seconds per stage, peak memory in MB and the machine. `first_*` from a scan in memory, `second_*` on the kept scan.

    From standard on descriptions are painted, with a threshold below their highest score where that is too low. `encode_s` is
    that of standard, its further views included.

    `plain_loop_s` None where it was left out; `peak_rss_mb` of the process; `peak_gpu_mb` what tensors took on a GPU before the
    plain loop, None on a CPU.
    """

    size: str
    first_s: float
    second_s: float
    first_standard_s: float
    second_standard_s: float
    first_thorough_s: float
    encode_s: float
    attend_s: float
    inpaint_s: float
    refine_s: float
    measure_s: float
    plain_loop_s: float | None
    plain_loop_steps_timed: int
    peak_rss_mb: float
    peak_gpu_mb: float | None
    machine: str
    torch: str

    def as_json(self) -> dict[str, object]:
        """The figures with the ratios that matter."""
        figures = {k: round(v, 3) if isinstance(v, float) else v for k, v in asdict(self).items()}
        return {
            **figures,
            "second_to_first_fast": round(self.second_s / self.first_s, 3),
            "second_to_first_standard": round(self.second_standard_s / self.first_standard_s, 3),
            "plain_loop_to_ours": self.plain_loop_s and round(self.plain_loop_s / max(self.inpaint_s, 1e-9), 1),
        }


def enlarged(scan: Scan, size_xyz: tuple[int, int, int]) -> Scan:
    """`scan` interpolated to another number of voxels over the same extent: real anatomy at a clinical size."""
    import SimpleITK as sitk

    image = scan.image()
    spacing = [s * (n - 1) / (m - 1) for s, n, m in zip(image.GetSpacing(), image.GetSize(), size_xyz)]
    resampled = sitk.Resample(
        image, size_xyz, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), spacing, image.GetDirection(), -1000.0
    )
    return Scan(sitk.GetArrayFromImage(resampled), Geometry.of(resampled), scan.modality, scan.sequence, scan.name)


def measure_speed(pipeline: DiffuGTSPipeline, scan: Scan, plain_steps: int = PLAIN_STEPS) -> SpeedReport:
    """Time the pipeline on a scan, the model being loaded; texts are embedded before, so that both descriptions are alike.

    A GPU sees the scan once before. `plain_steps` of the plain loop's steps are timed; 0 leaves the plain loop out.
    """
    on_gpu = pipeline.device.type == "cuda"
    pipeline.understand([FIRST, SECOND])
    warm = scan.with_voxels(scan.voxels)
    if on_gpu:
        pipeline.encode(warm)
        torch.cuda.synchronize(pipeline.device)
        torch.cuda.reset_peak_memory_stats(pipeline.device)
    start = time.perf_counter()
    encoded = pipeline.encode(warm)
    fast = pipeline(encoded, [FIRST], "fast")
    first = time.perf_counter() - start
    start = time.perf_counter()
    pipeline(encoded, [SECOND], "fast")
    second = time.perf_counter() - start
    start = time.perf_counter()
    kept = pipeline.encode(scan, views=pipeline.preset.qualities["standard"].views)
    _wait(pipeline.device)
    encode = time.perf_counter() - start
    thresholds = [_that_paints(pipeline, kept, text) for text in (FIRST, SECOND)]
    kept.appearance.clear()  # what was looked at for the thresholds is a first description's to look at
    start = time.perf_counter()
    standard = pipeline(kept, [FIRST], "standard", threshold=thresholds[0])
    first_standard = encode + time.perf_counter() - start
    start = time.perf_counter()
    pipeline(kept, [SECOND], "standard", threshold=thresholds[1])
    second_standard = time.perf_counter() - start
    del kept
    start = time.perf_counter()
    often = pipeline.encode(scan, views=pipeline.preset.qualities["thorough"].views)
    pipeline(often, [FIRST], "thorough", threshold=thresholds[0])
    first_thorough = time.perf_counter() - start
    timings = {**fast.timings_s, **standard.timings_s}
    peak_gpu_mb = torch.cuda.max_memory_allocated(pipeline.device) / 1e6 if on_gpu else None
    return SpeedReport(
        size="x".join(str(n) for n in scan.geometry.size),
        first_s=first,
        second_s=second,
        first_standard_s=first_standard,
        second_standard_s=second_standard,
        first_thorough_s=first_thorough,
        encode_s=encode,
        attend_s=timings.get("attend_s", 0.0),
        inpaint_s=timings.get("inpaint_s", 0.0),
        refine_s=timings.get("refine_s", 0.0),
        measure_s=timings.get("measure_s", 0.0),
        plain_loop_s=_plain_loop(pipeline, scan, plain_steps) if plain_steps else None,
        plain_loop_steps_timed=plain_steps,
        peak_rss_mb=peak_memory_mb(),
        peak_gpu_mb=peak_gpu_mb,
        machine=machine(pipeline.device),
        torch=torch.__version__,
    )


def _that_paints(pipeline: DiffuGTSPipeline, encoded: EncodedScan, text: str) -> float:
    """A threshold that something of the scan exceeds when asked for `text` at standard: its own, or a lower one."""
    calibration = pipeline.preset.calibration("standard")
    attention = pipeline.attend(encoded, [text])[0]
    highest = float(calibration.scaled(pipeline.on_working_grid(encoded, attention.score)).max())
    return min(calibration.threshold, PAINTED_FROM * highest)


def _plain_loop(pipeline: DiffuGTSPipeline, scan: Scan, steps: int) -> float:
    """The plain way to a pseudo-healthy scan: encode again, 50 steps over the whole volume, decode the whole volume.

    Of these steps `steps` are timed, and the others taken to be as long.
    """
    start = time.perf_counter()
    grid = to_working_grid(scan, pipeline.preset.spacing_mm, pipeline.preset.ct_curve)
    features = read_features(pipeline.autoencoder, pipeline.denoiser, grid.intensities, 0)
    everywhere = np.ones(tuple(features.latents.shape[2:]), bool)
    _wait(pipeline.device)
    begun = time.perf_counter()
    result = inpaint(pipeline.denoiser, pipeline.scheduler, features.latents, everywhere, 0, steps, 1.0, [0])
    _wait(pipeline.device)
    stepping = time.perf_counter() - begun
    with torch.no_grad(), fast_arithmetic(features.latents.device):
        pipeline.autoencoder.decode(result.latents)
    _wait(pipeline.device)
    return time.perf_counter() - start + stepping * (PLAIN_STEPS - steps) / steps


def _wait(device: torch.device) -> None:
    """Until a GPU has done what it was asked to: otherwise the clock would read the asking."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    if sys.platform == "win32":  # has no module `resource`
        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    usage = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return usage / 1e6 if sys.platform == "darwin" else usage / 1024


def machine(device: torch.device | str) -> str:
    """The machine in words: processor, cores used, GPU if it is one that computes."""
    name = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), name)
    if str(device).startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{name}, {torch.get_num_threads()} threads"
