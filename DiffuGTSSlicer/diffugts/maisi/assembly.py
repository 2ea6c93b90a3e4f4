"""A pipeline around one of NVIDIA's foundations: no attention yet, which is for `diffugts train` to make."""

from __future__ import annotations

from dataclasses import replace

import torch

from diffugts.attention import AnomalyAttention
from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.foundation.features import feature_channels
from diffugts.foundation.noise_schedules import denoising_scheduler, flow_scheduler
from diffugts.maisi.published import PublishedModel
from diffugts.pipeline import DiffuGTSPipeline


def empty_foundation(model: PublishedModel) -> tuple[ScanAutoencoder, HoleDenoiser]:
    """The two networks of a published model, their weights as torch drew them."""
    return ScanAutoencoder(**model.autoencoder), HoleDenoiser(**model.denoiser)


def assembled(
    model: PublishedModel, autoencoder: ScanAutoencoder, denoiser: HoleDenoiser, random_weights: bool = False
) -> DiffuGTSPipeline:
    """A pipeline of a published model's networks."""
    scheduler = flow_scheduler() if model.sampler == "flow" else denoising_scheduler(model.sampler)
    preset = replace(model.preset, random_weights=random_weights)
    return DiffuGTSPipeline(autoencoder, denoiser, scheduler, preset=preset)


def with_random_weights(model: PublishedModel, seed: int = 0) -> DiffuGTSPipeline:
    """A published model of random weights, to time and test the machinery; it cannot tell anything of a scan.

    It has an attention, random too, as large as a trained one would be.
    """
    torch.manual_seed(seed)
    autoencoder, denoiser = empty_foundation(model)
    # MONAI starts the last layer at zero; a denoiser that always says nothing would hide every error of a shortcut.
    torch.nn.init.normal_(denoiser.network.out[2].conv.weight, std=0.02)
    pipeline = assembled(model, autoencoder, denoiser, random_weights=True)
    channels = feature_channels(autoencoder, denoiser)
    attention = AnomalyAttention([channels[stride] for stride in AnomalyAttention.strides])
    pipeline.register_modules(attention=attention.eval().requires_grad_(False))
    return pipeline
