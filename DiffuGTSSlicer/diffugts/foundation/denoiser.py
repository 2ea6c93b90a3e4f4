"""The denoiser: MAISI's diffusion U-Net over latents, conditioned on the hole it is to fill.

Rectified flow (Liu et al., arXiv 2209.03003): x_s = (1 - s) z + s e, s from 0 (scan) to 1 (noise). MAISI's network
reads x_s alone and predicts the velocity z - e. The compact network reads nine channels,

    [ x_s | (1 - m) z | m ],        m = 1 in the hole, 0 where the latents are known,

and predicts the clean latents z themselves. At s = 1 the noise says nothing of the scan, so the hole is given
as zeros: the prediction there is the expected healthy tissue, from which texture is drawn at lower s
(docs/decisions.md: an expected-tissue-first inpainting is smooth where diffusion alone was blotchy).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from monai.apps.generation.maisi.networks.diffusion_model_unet_maisi import DiffusionModelUNetMaisi
from monai.networks.blocks.selfattention import SABlock

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


class HoleDenoiser(ModelMixin, ConfigMixin):
    """Predicts clean latents from noisy ones.

    `prediction` is "sample" with `conditioned` networks (compact) or "velocity" without (MAISI). Latent sizes must
    be multiples of 2 ** (levels - 1).
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
        modality_classes: int = 32,
    ) -> None:
        super().__init__()
        if prediction not in ("sample", "velocity"):
            raise ValueError(f"prediction is '{prediction}', expected 'sample' or 'velocity'")
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
            resblock_updown=True,
            include_fc=True,
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
        if not self.config["conditioned"]:
            velocity = self.network(noisy, timesteps=sigma * 1000, class_labels=modality).float()
            return velocity * level + noisy if self.config["prediction"] == "velocity" else velocity
        within = torch.where(level < 1, noisy, torch.zeros_like(noisy))
        inputs = torch.cat([hole * within + (1 - hole) * known, (1 - hole) * known, hole], dim=1)
        return self.network(inputs, timesteps=sigma * 1000, class_labels=modality).float()

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
        hooks = [
            block.register_forward_hook(lambda _module, _inputs, output: stages.append(output))
            for block in self.network.up_blocks
        ]
        try:
            prediction = self(noisy, level, torch.zeros_like(latents), everywhere, modality)
        finally:
            for hook in hooks:
                hook.remove()
        return prediction, stages
