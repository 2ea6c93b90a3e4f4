"""The autoencoder: MAISI's network as a diffusers component, in MAISI's own form and in the compact one.

The compact form departs from MAISI in two measured ways (docs/decisions.md):
- no group normalisation: its statistics depend on the crop, so that tiles and whole volumes would differ,
  and at a small training budget it costs several dB;
- a low-frequency shortcut: the mean of each 4x4x4 cell passes straight into the first latent channel and
  straight back out of it, so that the convolutions carry detail only (in the spirit of DC-AE, arXiv 2410.10733).

Latents are always the mean of the posterior, never a sample, and normalised: each channel by its own mean
and standard deviation over the training scans (compact), or by MAISI's one scale factor.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from monai.apps.generation.maisi.networks.autoencoderkl_maisi import (
    AutoencoderKlMaisi,
    MaisiGroupNorm3D,
    MaisiUpsample,
)
from torch import nn

from diffugts.foundation.axes import AxisOrder, box_to_network, from_network, to_network

CELL = 4
"""Voxels of the working grid per latent cell, along each axis."""

SHORTCUT_CENTRE, SHORTCUT_GAIN = 0.3, 4.0
"""The shortcut's affine map between a cell's mean intensity and the first latent channel: about zero mean, unit spread."""

INITIAL_LOG_SIGMA = -6.0
"""Posterior log-sigma at the start of training: almost deterministic, so that the decoder can start to learn."""


NORMALISED_AT_ONCE = 2**24
"""Elements that group normalisation holds in single precision at a time: 64 MB."""


class ScanAutoencoder(ModelMixin, ConfigMixin):
    """Scans (n, 1, k, j, i), model intensities, to latents (n, 4, k/4, j/4, i/4) and back.

    Sizes must be multiples of 4. `normalisation` is "group" (MAISI) or "none" (compact); `shortcut` adds the
    low-frequency path; `axes` is the order the network reads, "xyz" for MAISI. `latent_mean` and `latent_std` are
    buffers, one value per channel; MAISI's one scale factor is 1 / `latent_std`.
    """

    config_name = "config.json"

    @register_to_config
    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 64),
        residual_blocks: Sequence[int] = (1, 1, 1),
        latent_channels: int = 4,
        norm_groups: int = 8,
        normalisation: str = "none",
        shortcut: bool = True,
        axes: AxisOrder = "kji",
    ) -> None:
        super().__init__()
        if normalisation not in ("none", "group"):
            raise ValueError(f"normalisation is '{normalisation}', expected 'none' or 'group'")
        self.network = AutoencoderKlMaisi(
            spatial_dims=3,
            in_channels=1,
            out_channels=1,
            latent_channels=latent_channels,
            num_channels=tuple(channels),
            num_res_blocks=tuple(residual_blocks),
            norm_num_groups=norm_groups,
            norm_eps=1e-6,
            attention_levels=(False,) * len(channels),
            with_encoder_nonlocal_attn=False,
            with_decoder_nonlocal_attn=False,
            use_checkpointing=False,
            use_convtranspose=False,
            norm_float16=False,
            num_splits=1,
            dim_split=1,
            save_mem=False,
        )
        _replace_normalisation(self.network, normalisation)
        if shortcut:
            self._start_at_the_shortcut()
        self.register_buffer("latent_mean", torch.zeros(latent_channels))
        self.register_buffer("latent_std", torch.ones(latent_channels))

    @property
    def taps(self) -> dict[int, tuple[int, ...]]:
        """Stride in voxels of the working grid -> encoder blocks whose outputs are features: the last before each stride ends.

        Stride 2 is read twice, behind the strided convolution and behind the level's last residual block.
        """
        first, second, third = self.config["residual_blocks"]
        down = 1 + first
        return {2: (down, down + second), 4: (down + second + 1 + third,)}

    @property
    def tap_channels(self) -> dict[int, int]:
        """Stride -> channels of the features that `taps` give together."""
        first, second, third = self.config["channels"]
        return {2: first + second, 4: third}

    @property
    def encoder_reach(self) -> int:
        """Voxels to each side that a latent cell depends on through convolutions, rounded up to whole cells."""
        first, second, third = self.config["residual_blocks"]
        reach = 1 + 2 * first + 1 + 2 * (2 * second) + 2 + 4 * (2 * third) + 4
        return -(-reach // CELL) * CELL

    @property
    def decoder_reach(self) -> int:
        """Latent cells to each side that a decoded cell depends on through convolutions and interpolation."""
        _, _, third = self.config["residual_blocks"]
        return self._kept_while_decoding[0] + 2 * third + 1

    @property
    def _kept_while_decoding(self) -> tuple[int, int]:
        """Elements that must be kept around a part before the decoder's first and second upsampling, at stride 4 and 2.

        A residual block is two convolutions of reach 1, an upsampling a trilinear interpolation, which takes half as many
        elements and one more, and a convolution.
        """
        first, second, _ = self.config["residual_blocks"]
        at_2 = (1 + 2 * first + 1) // 2 + 1
        return (at_2 + 2 * second + 1) // 2 + 1, at_2

    def encode(
        self, intensities: torch.Tensor, taps: Sequence[int] = ()
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        """Normalised latents, and the outputs of the encoder blocks named by `taps`.

        With three levels of one residual block the compact encoder has blocks 0 (convolution), 1 (16 channels,
        full resolution), 2 (down: 16 at 1/2), 3 (32 at 1/2), 4 (down: 32 at 1/4), 5 (64 at 1/4).
        """
        hidden, features = self._through_encoder(to_network(intensities, self.config["axes"]), taps)
        mean = from_network(self.network.quant_conv_mu(hidden).float(), self.config["axes"])
        return self.normalise(self._add_cell_means(mean, intensities)), features

    def posterior(self, intensities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the latents before normalisation: for training only."""
        axes = self.config["axes"]
        mean, sigma = self.network.encode(to_network(intensities, axes))
        return self._add_cell_means(from_network(mean.float(), axes), intensities), from_network(sigma.float(), axes)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Model intensities (n, 1, k, j, i), float32, of normalised latents."""
        return self.decode_unnormalised(latents * _per_channel(self.latent_std) + _per_channel(self.latent_mean))

    def decode_part(self, latents: torch.Tensor, part: tuple[slice, slice, slice]) -> torch.Tensor:
        """As `decode`, but only of the cells in `part` (slices k, j, i of `latents`), which reach `decoder_reach` beyond it.

        Without group normalisation only what the rest of the decoder can see of the part is kept after each level: far less
        arithmetic, and the same result. With it, statistics over less and less of the scan would shift the intensities
        (docs/decisions.md), so that all of `latents` is decoded.
        """
        if self.config["normalisation"] == "group":
            k, j, i = (slice(s.start * CELL, s.stop * CELL) for s in part)
            return self.decode(latents)[:, :, k, j, i]
        axes = self.config["axes"]
        values = latents * _per_channel(self.latent_std) + _per_channel(self.latent_mean)
        hidden = self.network.post_quant_conv(to_network(values, axes))
        cells = box_to_network(part, latents.shape[2:], axes)
        origin, stride, needs = [0, 0, 0], 1, iter(self._kept_while_decoding)
        for block in self.network.decoder.blocks:
            if isinstance(block, MaisiUpsample):
                hidden, origin = _kept(hidden, origin, cells, stride, next(needs))
                stride, origin = 2 * stride, [2 * o for o in origin]
            hidden = block(hidden)
        intensities = from_network(_kept(hidden, origin, cells, stride, 0)[0].float(), axes)
        if self.config["shortcut"]:
            means = functional.interpolate(values[:, :1].float(), scale_factor=CELL, mode="trilinear")
            voxels = tuple(slice(s.start * CELL, s.stop * CELL) for s in part)
            intensities = intensities + means[(slice(None), slice(None)) + voxels] / SHORTCUT_GAIN + SHORTCUT_CENTRE
        return intensities

    def decode_unnormalised(self, latents: torch.Tensor) -> torch.Tensor:
        """Model intensities of latents as `posterior` gives them: for training only."""
        axes = self.config["axes"]
        intensities = from_network(self.network.decode(to_network(latents, axes)).float(), axes)
        if self.config["shortcut"]:
            means = functional.interpolate(latents[:, :1].float(), scale_factor=CELL, mode="trilinear")
            intensities = intensities + means / SHORTCUT_GAIN + SHORTCUT_CENTRE
        return intensities

    def forward(self, intensities: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Mean, standard deviation and reconstruction from one drawing of the latents: what a training step needs."""
        mean, sigma = self.posterior(intensities)
        return mean, sigma, self.decode_unnormalised(mean + sigma * torch.randn_like(sigma))

    def normalise(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents with zero mean and unit spread per channel over the training scans."""
        return (latents - _per_channel(self.latent_mean)) / _per_channel(self.latent_std)

    def _through_encoder(
        self, intensities: torch.Tensor, taps: Sequence[int]
    ) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
        hidden, features = intensities, {}
        for index, block in enumerate(self.network.encoder.blocks):
            hidden = block(hidden)
            if index in taps:
                features[index] = from_network(hidden, self.config["axes"])
        return hidden, features

    def _add_cell_means(self, latents: torch.Tensor, intensities: torch.Tensor) -> torch.Tensor:
        if not self.config["shortcut"]:
            return latents
        means = SHORTCUT_GAIN * (functional.avg_pool3d(intensities.float(), CELL) - SHORTCUT_CENTRE)
        return torch.cat([latents[:, :1] + means, latents[:, 1:]], dim=1)

    def _start_at_the_shortcut(self) -> None:
        nn.init.zeros_(self.network.quant_conv_log_sigma.conv.weight)
        nn.init.constant_(self.network.quant_conv_log_sigma.conv.bias, INITIAL_LOG_SIGMA)
        last = [module for module in self.network.decoder.modules() if isinstance(module, nn.Conv3d)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)


def _kept(
    hidden: torch.Tensor, origin: list[int], cells: tuple[slice, slice, slice], stride: int, need: int
) -> tuple[torch.Tensor, list[int]]:
    """The elements of `cells`, `stride` to a cell, and `need` around them; `hidden` begins at element `origin`."""
    box = tuple(
        slice(max(0, s.start * stride - need - o), min(n, s.stop * stride + need - o))
        for s, o, n in zip(cells, origin, hidden.shape[2:])
    )
    return hidden[(slice(None), slice(None)) + box], [o + s.start for o, s in zip(origin, box)]


class WholeGroupNorm(nn.GroupNorm):
    """MAISI's group normalisation of (n, c, k, j, i), many groups at once: the values of MaisiGroupNorm3D, to rounding.

    MONAI's goes through memory about twelve times and starts some 200 kernels for 32 groups; nothing else in the encoder
    waits as long for memory. Statistics are in single precision, as MONAI's are. The result comes in the input's precision, where
    MONAI's is single: under autocast the next convolution rounds it in any case, and at full resolution the single copies were
    most of a decoding's memory. So few groups are in single precision at once.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """`input` normalised, in its own precision."""
        count, channels = input.shape[:2]
        each, result = channels // self.num_groups, torch.empty_like(input)
        at_once = max(1, NORMALISED_AT_ONCE // max(1, input[:, :each].numel()))
        for first in range(0, self.num_groups, at_once):
            part = slice(first * each, min(first + at_once, self.num_groups) * each)
            single = input[:, part].float()
            variance, mean = torch.var_mean(single.reshape(count, single.shape[1] // each, -1), dim=2, correction=0)
            scale = torch.rsqrt(variance + self.eps).repeat_interleave(each, 1) * self.weight[part]
            shift = self.bias[part] - mean.repeat_interleave(each, 1) * scale
            result[:, part] = torch.addcmul(shift[:, :, None, None, None], single, scale[:, :, None, None, None])
        return result


def _replace_normalisation(module: nn.Module, normalisation: str) -> None:
    """Every group normalisation of MONAI's by nothing ("none") or by the same of ours ("group"), with its parameters."""
    for name, child in list(module.named_children()):
        if not isinstance(child, MaisiGroupNorm3D):
            _replace_normalisation(child, normalisation)
        elif normalisation == "none":
            setattr(module, name, nn.Identity())
        else:
            whole = WholeGroupNorm(child.num_groups, child.num_channels, child.eps)
            whole.weight, whole.bias = child.weight, child.bias
            setattr(module, name, whole)


def _per_channel(values: torch.Tensor) -> torch.Tensor:
    return values.view(1, -1, 1, 1, 1)
