"""The denoiser: MAISI's diffusion U-Net over latents, conditioned on the hole it is to fill.

Rectified flow (Liu et al., arXiv 2209.03003): x_s = (1 - s) z + s e, s from 0 (scan) to 1 (noise). MAISI's network
reads x_s alone and predicts the velocity z - e. The compact network reads nine channels,

    [ x_s | (1 - m) z | m ],        m = 1 in the hole, 0 where the latents are known,

and predicts the clean latents z themselves. At s = 1 the noise says nothing of the scan, so the hole is given
as zeros: the prediction there is the expected healthy tissue, from which texture is drawn at lower s
(docs/decisions.md: an expected-tissue-first inpainting is smooth where diffusion alone was blotchy).

MAISI-v1's network, the paper's, predicts the noise e of x_t = sqrt(a_t) z + sqrt(1 - a_t) e. It is told where the scan
begins and ends in the body; both of MAISI's are told the spacing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi
from monai.networks.blocks.selfattention import SABlock

from diffugts.foundation.axes import AxisOrder, from_network, to_network
from diffugts.foundation.noise_schedules import TRAINING_STEPS, denoising_level

MODALITY_CLASSES = {"CT": 1, "MR": 8, "T1": 9, "T2": 10, "FLAIR": 11, "T1c": 17}
"""MAISI's modality numbers (NV-Generate-CTMR, configs/modality_mapping.json); 0 is "not said"."""


def modality_class(modality: str, sequence: str | None) -> int:
    """MAISI's modality number for a scan; an MR of unknown sequence is plain "MR"."""
    if modality == "CT" or not sequence:
        return MODALITY_CLASSES[modality]
    words = sequence.upper().replace("-", "").replace(" ", "")
    if "FLAIR" in words:
        return MODALITY_CLASSES["FLAIR"]
    if any(word in words for word in ("T1C", "T1GD", "T1CE", "T1POST", "DCE", "GD")):
        return MODALITY_CLASSES["T1c"]
    if "T2" in words:
        return MODALITY_CLASSES["T2"]
    return MODALITY_CLASSES["T1" if "T1" in words else "MR"]


BODY_REGIONS = ("head", "chest", "abdomen", "lower")
"""Parts of the body MAISI-v1 knows, in the order of its one-hot vectors (NV-Generate-CTMR, docs/inference.md)."""

CONDITION_GAIN = 100.0
"""MAISI's networks read the spacing in mm and the one-hot regions times this (scripts/diff_model_infer.py)."""


class HoleDenoiser(ModelMixin, ConfigMixin):
    """Predicts clean latents from noisy ones.

    `prediction` is "sample" with `conditioned` networks (compact), "velocity" (MAISI's rectified flow) or "noise"
    (MAISI-v1) without. Latent sizes must be multiples of 2 ** (levels - 1). `axes` is the order the network reads, "xyz"
    for MAISI; `spacing_mm` what it is told of the working grid's spacing, where it asks; `regions` the part of the body
    in which the scan begins, from the top, and the one in which it ends, for MAISI-v1; `nearest_classes` leads modality
    numbers that the network was not trained on (as text) to the nearest that it was.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int] = (32, 64, 128),
        attention_levels: Sequence[bool] = (False, False, True),
        head_channels: Sequence[int] = (0, 0, 32),
        residual_blocks: int = 1,
        latent_channels: int = 4,
        norm_groups: int = 8,
        conditioned: bool = True,
        prediction: str = "sample",
        modality_classes: int | None = 32,
        axes: AxisOrder = "kji",
        residual_sampling: bool = True,
        spacing_mm: float | None = None,
        regions: Sequence[str] | None = None,
        nearest_classes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        if prediction not in ("sample", "velocity", "noise"):
            raise ValueError(f"prediction is '{prediction}', expected 'sample', 'velocity' or 'noise'")
        self.network = DiffusionModelUNetMaisi(
            spatial_dims=3,
            in_channels=2 * latent_channels + 1 if conditioned else latent_channels,
            out_channels=latent_channels,
            num_channels=tuple(channels),
            attention_levels=tuple(attention_levels),
            num_head_channels=tuple(head_channels),
            num_res_blocks=residual_blocks,
            norm_num_groups=norm_groups,
            use_flash_attention=False,
            num_class_embeds=modality_classes,
            resblock_updown=residual_sampling,
            include_fc=residual_sampling,  # MAISI's second generation has both, its first neither
            include_top_region_index_input=regions is not None,
            include_bottom_region_index_input=regions is not None,
            include_spacing_input=spacing_mm is not None,
        )
        # The constructor refuses flash attention without CUDA; torch's own kernel behind the flag runs on the CPU too
        # and never builds the (cells x cells) matrix, which for a whole scan would be gigabytes.
        for module in self.network.modules():
            if isinstance(module, SABlock):
                module.use_flash_attention = True

    @property
    def multiple(self) -> int:
        """Latent sizes must be multiples of this."""
        return 2 ** (len(self.config["channels"]) - 1)

    @property
    def feature_stages(self) -> dict[int, tuple[int, ...]]:
        """Stride in voxels of the working grid -> stages of the up-path whose outputs are features, coarse to fine."""
        last = len(self.config["channels"]) - 1
        return {8: (last - 2,), 4: (last - 1, last)}

    @property
    def feature_channels(self) -> dict[int, int]:
        """Stride -> channels of the features that `feature_stages` give together."""
        upwards = list(reversed(self.config["channels"]))
        return {stride: sum(upwards[stage] for stage in stages) for stride, stages in self.feature_stages.items()}

    def predict(self, noisy: torch.Tensor, timestep: torch.Tensor, modality: torch.Tensor) -> torch.Tensor:
        """What the network itself says of `noisy` (n, channels, k, j, i), float32: see `prediction`.

        `timestep` (n,) in 0..1000; `modality` (n,) class numbers.
        """
        axes, count = self.config["axes"], noisy.shape[0]
        conditions = {}
        if self.config["modality_classes"] is not None:
            for number, nearest in (self.config["nearest_classes"] or {}).items():
                modality = torch.where(modality == int(number), nearest, modality)
            conditions["class_labels"] = modality
        if self.config["spacing_mm"] is not None:
            conditions["spacing_tensor"] = noisy.new_full((count, 3), CONDITION_GAIN * self.config["spacing_mm"])
        if self.config["regions"] is not None:
            top, bottom = (
                CONDITION_GAIN * torch.eye(len(BODY_REGIONS)).to(noisy)[BODY_REGIONS.index(region)].expand(count, -1)
                for region in self.config["regions"]
            )
            conditions |= {"top_region_index_tensor": top, "bottom_region_index_tensor": bottom}
        said = self.network(to_network(noisy, axes), timesteps=timestep, **conditions)
        return from_network(said.float(), axes)

    def forward(
        self,
        noisy: torch.Tensor,
        sigma: torch.Tensor,
        known: torch.Tensor,
        hole: torch.Tensor,
        modality: torch.Tensor,
    ) -> torch.Tensor:
        """Predicted clean latents (n, 4, k, j, i), float32.

        `noisy` and `known` are latents (n, 4, k, j, i); `sigma` (n,) in 0..1; `hole` (n, 1, k, j, i), 1 where the
        latents are to be found; `modality` (n,) class numbers. Outside the hole `noisy` is not looked at.
        """
        level = sigma.view(-1, 1, 1, 1, 1).to(noisy.dtype)
        if self.config["prediction"] == "noise":
            step, share = denoising_level(sigma)
            signal, noise = (root.view(-1, 1, 1, 1, 1).to(noisy.dtype) for root in (share.sqrt(), (1 - share).sqrt()))
            scaled = noisy * (signal + noise)
            return (scaled - noise * self.predict(scaled, step, modality)) / signal
        if not self.config["conditioned"]:
            said = self.predict(noisy, sigma * TRAINING_STEPS, modality)
            return said * level + noisy if self.config["prediction"] == "velocity" else said
        within = torch.where(level < 1, noisy, torch.zeros_like(noisy))
        inputs = torch.cat([hole * within + (1 - hole) * known, (1 - hole) * known, hole], dim=1)
        return self.predict(inputs, sigma * TRAINING_STEPS, modality)

    def features(
        self, latents: torch.Tensor, sigma: float, modality: torch.Tensor, noise: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """What the network makes of a whole scan at noise level `sigma`: its prediction and its up-path, coarse to fine.

        Everything counts as hole, so that the network must understand the tissue to clean it.
        """
        everywhere = torch.ones_like(latents[:, :1])
        noisy = (1 - sigma) * latents + sigma * noise
        level = torch.full((latents.shape[0],), sigma, device=latents.device)
        stages: list[torch.Tensor] = []
        axes = self.config["axes"]
        hooks = [
            block.register_forward_hook(lambda _module, _inputs, output: stages.append(from_network(output, axes)))
            for block in self.network.up_blocks
        ]
        try:
            prediction = self(noisy, level, torch.zeros_like(latents), everywhere, modality)
        finally:
            for hook in hooks:
                hook.remove()
        return prediction, stages
