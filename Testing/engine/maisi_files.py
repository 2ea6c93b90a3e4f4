"""Files in the layout NVIDIA publishes, with random weights: the real ones cannot be had where tests run.

The networks are made by MONAI from the numbers of NVIDIA's own configuration files, spelled out here once more, so that
a mistake in the engine's copy of them shows. `small` narrows the channels and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from monai.apps.generation.maisi.networks.autoencoderkl_maisi import AutoencoderKlMaisi
from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi

from diffugts.maisi.published import PublishedModel, published_model

SCALE_FACTOR = 0.8125
"""Exact in binary, so that dividing by its inverse is exact too."""

SMALL_AUTOENCODER = {"channels": (8, 8, 16), "norm_groups": 4}
SMALL_DENOISER = {"channels": (8, 8, 16, 16), "head_channels": (0, 0, 8, 8), "norm_groups": 4}


@dataclass(frozen=True)
class PublishedFiles:
    """The folder, the published model they fit, and MONAI's own networks that were written to them."""

    folder: Path
    model: PublishedModel
    autoencoder: AutoencoderKlMaisi
    denoiser: DiffusionModelUNetMaisi


def narrowed(model: PublishedModel) -> PublishedModel:
    """A published model with few channels."""
    return replace(
        model,
        autoencoder={**model.autoencoder, **SMALL_AUTOENCODER},
        denoiser={**model.denoiser, **SMALL_DENOISER},
    )


def write_published_files(folder: Path, name: str, small: bool = True, seed: int = 0) -> PublishedFiles:
    """Write `models/*.pt` as NVIDIA's scripts do, marked as random."""
    torch.manual_seed(seed)
    model = narrowed(published_model(name)) if small else published_model(name)
    autoencoder = AutoencoderKlMaisi(
        spatial_dims=3,
        in_channels=1,
        out_channels=1,
        latent_channels=4,
        num_channels=[8, 8, 16] if small else [64, 128, 256],
        num_res_blocks=[2, 2, 2],
        norm_num_groups=4 if small else 32,
        norm_eps=1e-06,
        attention_levels=[False, False, False],
        with_encoder_nonlocal_attn=False,
        with_decoder_nonlocal_attn=False,
        use_checkpointing=False,
        use_convtranspose=False,
        norm_float16=False,  # half precision needs a GPU; it has no weights
        num_splits=1,  # NVIDIA cuts in four for memory, which needs large volumes; the weights are the same
        dim_split=1,
        save_mem=False,
    ).eval()
    first_generation = name == "maisi-ct-ddpm"
    conditions = (
        {"include_top_region_index_input": True, "include_bottom_region_index_input": True}
        if first_generation
        else {"num_class_embeds": 128}
    )
    denoiser = DiffusionModelUNetMaisi(
        spatial_dims=3,
        in_channels=4,
        out_channels=4,
        num_channels=[8, 8, 16, 16] if small else [64, 128, 256, 512],
        attention_levels=[False, False, True, True],
        num_head_channels=[0, 0, 8, 8] if small else [0, 0, 32, 32],
        num_res_blocks=2,
        norm_num_groups=4 if small else 32,
        use_flash_attention=False,
        include_spacing_input=True,
        resblock_updown=not first_generation,
        include_fc=not first_generation,
        **conditions,
    ).eval()
    torch.nn.init.normal_(denoiser.out[2].conv.weight, std=0.02)  # zero as MONAI starts it, which would hide everything
    (folder / "models").mkdir(parents=True, exist_ok=True)
    torch.save({**autoencoder.state_dict(), "random_weights": True}, folder / model.autoencoder_file.path)
    torch.save(
        {
            "epoch": 1,
            "loss": torch.tensor(0.5),
            "num_train_timesteps": 1000,
            "scale_factor": torch.tensor(SCALE_FACTOR),
            "unet_state_dict": denoiser.state_dict(),
            "random_weights": True,
        },
        folder / model.denoiser_file.path,
    )
    return PublishedFiles(folder, model, autoencoder, denoiser)
