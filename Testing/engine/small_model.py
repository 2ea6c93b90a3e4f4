"""A small pipeline with random weights, for tests of the machinery: quick, and never used where accuracy is judged."""

from __future__ import annotations

import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from diffugts.attention import AnomalyAttention
from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.preset import ModelPreset


def small_pipeline(seed: int = 0, preset: ModelPreset | None = None) -> DiffuGTSPipeline:
    """The real classes, narrow: the taps and strides of the compact model at a fraction of its size."""
    torch.manual_seed(seed)
    autoencoder = ScanAutoencoder(channels=(8, 8, 16), norm_groups=4)
    denoiser = HoleDenoiser(channels=(8, 16, 32), head_channels=(0, 0, 8), norm_groups=4)
    # MONAI starts the last layer at zero, so that untrained networks all predict nothing: no test could tell them apart.
    torch.nn.init.normal_(denoiser.network.out[2].conv.weight, std=0.1)
    # stride 2: blocks 2 and 3; stride 4: block 5, latents, prediction, two stages of the up-path; stride 8: one stage
    channels = (8 + 8, 16 + 4 + 4 + 16 + 8, 32)
    attention = AnomalyAttention(channels=channels, widths=(8, 8, 8, 8, 8), query_size=8)
    scheduler = FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0)
    return DiffuGTSPipeline(
        autoencoder, denoiser, scheduler, attention, preset=preset or ModelPreset("small", "A small model for tests")
    )
