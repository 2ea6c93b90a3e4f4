"""What NVIDIA publishes: files, licences, networks, and how scans were prepared for them.

Every number here is from the repository NVIDIA-Medtech/NV-Generate-CTMR (Apache-2.0) at commit da438fe of August 2026, in
the file named beside it. docs/models.md says what of it was checked, and when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from diffugts.errors import ModelError
from diffugts.preset import ModelPreset, QualityLevel
from diffugts.scans.intensity import MAISI_CT_CURVE

HOST = "https://huggingface.co"

DIMENSION_MULTIPLE = 32
"""Voxels a scan's sides are filled up to a multiple of. The networks need it: four levels of the denoiser over latents of
4 voxels (NVIDIA's scripts ask for 16 when generating and use 128 in training, docs/inference.md,
scripts/diff_model_create_training_data.py)."""

CROP_CELLS = 64
"""Latent cells the denoiser sees at least: 384 mm of the trunk at 1.5 mm, 256 mm of the head at 1 mm, the smallest fields of
view that NVIDIA recommends (scripts/sample_mask.py). On a CPU half of that, or one step would take many seconds."""


@dataclass(frozen=True)
class Licence:
    """A licence's name, where its text is, and in one sentence what it allows."""

    name: str
    url: str
    allows: str


OPEN_MODEL = Licence(
    "NVIDIA Open Model License Agreement",
    "https://www.nvidia.com/en-us/agreements/enterprise-software/nvidia-open-model-license/",
    "It allows use, changes and redistribution, commercial use included, under its conditions (among them: pass on the "
    "licence and its notice, and do not work around safety measures). Read it before you agree; this is a summary, no advice.",
)


@dataclass(frozen=True)
class PublishedFile:
    """A file of a repository on huggingface.co. `megabytes` is computed from its parameters in single precision."""

    repository: str
    path: str
    megabytes: int

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]

    @property
    def url(self) -> str:
        """Where it is downloaded from."""
        return f"{HOST}/{self.repository}/resolve/main/{self.path}"


AUTOENCODER_V1 = PublishedFile("nvidia/NV-Generate-CT", "models/autoencoder_v1.pt", 84)
"""One autoencoder for all three models: trained on CT and MR (README.md, Detailed comparison)."""


@dataclass(frozen=True)
class PublishedModel:
    """One of NVIDIA's models as this program uses it.

    `autoencoder` and `denoiser` are arguments of ScanAutoencoder and HoleDenoiser; `sampler` is "flow" or one of
    `foundation.noise_schedules.denoising_scheduler`; `training` a sentence on what it was trained on.
    """

    preset: ModelPreset
    autoencoder_file: PublishedFile
    denoiser_file: PublishedFile
    autoencoder: Mapping[str, Any]
    denoiser: Mapping[str, Any]
    sampler: str
    licence: Licence
    training: str

    @property
    def files(self) -> tuple[PublishedFile, PublishedFile]:
        """The two files it is made of."""
        return self.autoencoder_file, self.denoiser_file


AUTOENCODER: Mapping[str, Any] = {
    "channels": (64, 128, 256),
    "residual_blocks": (2, 2, 2),
    "latent_channels": 4,
    "norm_groups": 32,
    "normalisation": "group",
    "shortcut": False,
    "axes": "xyz",
}
"""configs/config_network_rflow.json and config_network_ddpm.json, autoencoder_def: the same in both."""

_DENOISER: Mapping[str, Any] = {
    "channels": (64, 128, 256, 512),
    "attention_levels": (False, False, True, True),
    "head_channels": (0, 0, 32, 32),
    "residual_blocks": 2,
    "latent_channels": 4,
    "norm_groups": 32,
    "conditioned": False,
    "axes": "xyz",
}

FLOW_DENOISER: Mapping[str, Any] = {
    **_DENOISER,
    "prediction": "velocity",
    "modality_classes": 128,
    "residual_sampling": True,
}
"""configs/config_network_rflow.json, diffusion_unet_def."""

DENOISING_DENOISER: Mapping[str, Any] = {
    **_DENOISER,
    "prediction": "noise",
    "modality_classes": None,
    "residual_sampling": False,
    "regions": ("chest", "abdomen"),
}
"""configs/config_network_ddpm.json, diffusion_unet_def. Which part of the body a scan shows is not known here: chest to
abdomen, the example of configs/config_maisi_diff_model_ddpm-ct.json and 59 % of the training scans (docs/inference.md)."""

MR_BRAIN_CLASSES: Mapping[str, int] = {"17": 9}
"""Modality numbers the brain model was not trained on -> the nearest that it was: T1 with contrast as T1
(docs/inference.md, Modality codes: contrast-enhanced MR is not among them)."""

FLOW_QUALITIES = {
    "fast": QualityLevel(inpaint=False, steps=8),
    "standard": QualityLevel(inpaint=True, steps=12),
    "thorough": QualityLevel(inpaint=True, steps=30, seeds=3),
}
"""NVIDIA generates with 30 steps (README.md). Fewer do where most of the scan is known (docs/benchmarks.md)."""

DENOISING_QUALITIES = {
    "fast": QualityLevel(inpaint=False, steps=25),
    "standard": QualityLevel(inpaint=True, steps=50),
    "thorough": QualityLevel(inpaint=True, steps=250, seeds=3),
}
"""NVIDIA generates with 1000 steps of DDPM; DDIM does with fewer."""

PUBLISHED = {
    "maisi-ct": PublishedModel(
        ModelPreset(
            "maisi-ct",
            "NVIDIA's NV-Generate-CT (rectified flow) as frozen foundation, CT, 1.5 mm",
            modalities=("CT",),
            spacing_mm=1.5,
            ct_curve=MAISI_CT_CURVE,
            start_sigma=1.0,
            crop_cells=CROP_CELLS,
            crop_cells_on_cpu=CROP_CELLS // 2,
            qualities=FLOW_QUALITIES,
        ),
        AUTOENCODER_V1,
        PublishedFile("nvidia/NV-Generate-CT", "models/diff_unet_3d_rflow-ct.pt", 722),
        AUTOENCODER,
        {**FLOW_DENOISER, "spacing_mm": 1.5},
        "flow",
        OPEN_MODEL,
        "NVIDIA trained it on public CT scans, of patients with tumours among them (data/README.md of NV-Generate-CTMR).",
    ),
    "maisi-ct-ddpm": PublishedModel(
        ModelPreset(
            "maisi-ct-ddpm",
            "NVIDIA's NV-Generate-CT (DDPM), the generation the paper used, as frozen foundation, CT, 1.5 mm",
            modalities=("CT",),
            spacing_mm=1.5,
            ct_curve=MAISI_CT_CURVE,
            start_sigma=1.0,
            crop_cells=CROP_CELLS,
            crop_cells_on_cpu=CROP_CELLS // 2,
            qualities=DENOISING_QUALITIES,
        ),
        AUTOENCODER_V1,
        PublishedFile("nvidia/NV-Generate-CT", "models/diff_unet_3d_ddpm-ct.pt", 677),
        AUTOENCODER,
        {**DENOISING_DENOISER, "spacing_mm": 1.5},
        "ddim",
        OPEN_MODEL,
        "NVIDIA trained it on public CT scans, of patients with tumours among them (data/README.md of NV-Generate-CTMR).",
    ),
    "maisi-mr-brain": PublishedModel(
        ModelPreset(
            "maisi-mr-brain",
            "NVIDIA's NV-Generate-MR-Brain (rectified flow) as frozen foundation, MR of the head, 1 mm",
            modalities=("MR",),
            spacing_mm=1.0,
            ct_curve=MAISI_CT_CURVE,
            mr_range="all voxels",
            start_sigma=1.0,
            crop_cells=CROP_CELLS,
            crop_cells_on_cpu=CROP_CELLS // 2,
            qualities=FLOW_QUALITIES,
        ),
        AUTOENCODER_V1,
        PublishedFile("nvidia/NV-Generate-MR-Brain", "models/diff_unet_3d_rflow-mr-brain_v1.pt", 722),
        AUTOENCODER,
        {**FLOW_DENOISER, "spacing_mm": 1.0, "nearest_classes": MR_BRAIN_CLASSES},
        "flow",
        OPEN_MODEL,
        "NVIDIA trained it on MR-RATE, brain MR of patients (docs/inference.md of NV-Generate-CTMR).",
    ),
}
"""By name. Intensities: CT from -1000..1000 HU to 0..1, clipped; MR from the 0th..99.5th percentile to 0..1, not clipped
(scripts/transforms.py). The denoiser is told the spacing in mm times 100, in x, y, z, and the modality's number
(configs/modality_mapping.json)."""


def published_model(name: str) -> PublishedModel:
    """A model of NVIDIA's by its name here. Raises ModelError for any other name."""
    if name not in PUBLISHED:
        known = ", ".join(f"'{n}'" for n in PUBLISHED)
        raise ModelError(f"There is no published model '{name}'. Choose one of {known}.")
    return PUBLISHED[name]
