"""What a voxel looks like, whatever the words: a network that reads the scan itself, beside the frozen features.

Not in the paper (Jiang et al., CVPR 2025, arXiv 2505.02753), whose foundation is some twenty times as large as the compact one.
The compact foundation's features limit the attention (docs/decisions.md, "What limits the attention"), and a network
that learns from the scan itself errs elsewhere than they do. Its logit of "this is tumour" against "this is none" knows
no text; `appearance_fusion` says how it enters the attention's.

The network normalises over what it is given (instance normalisation), so that scans pass through it in windows of the size
it was trained on, each as it is and mirrored, left and right exchanged, and only through those that are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from monai.data.utils import compute_importance_map
from monai.networks.nets import DynUNet
from safetensors.torch import load_file

from diffugts.foundation.features import fast_arithmetic

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
"""As `save_pretrained` calls it."""

INPUTS = 2
"""Model intensities, and 1 everywhere for MR, 0 for CT."""

WINDOW = 64
"""Voxels of the working grid to a side: 128 mm."""

LISTED_TWICE = ("input_block", "downsamples", "bottleneck", "upsamples", "deep_supervision_heads")
"""DynUNet holds its layers in its skip layers, which compute, and once more by these names: safetensors saves no tensor twice."""


def dynamic_unet(channels: Sequence[int]) -> DynUNet:
    """MONAI's DynUNet as nnU-Net configures it: two convolutions a stage, leaky ReLU, deep supervision; one logit."""
    strides = [1] + [2] * (len(channels) - 1)
    network = DynUNet(
        3,
        INPUTS,
        1,
        kernel_size=[3] * len(channels),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=list(channels),
        norm_name="INSTANCE",
        deep_supervision=True,
        deep_supr_num=max(1, len(channels) - 2),
    )
    for name in LISTED_TWICE:
        del network._modules[name]
    return network


class AppearanceNetwork(ModelMixin, ConfigMixin):
    """Scans (n, 2, k, j, i), model intensities and modality, to logits (n, 1, k, j, i) of "tumour" against "none".

    While it is trained (n, heads, 1, k, j, i), the finest head first. Sizes are multiples of 2 ** (stages - 1).
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, channels: Sequence[int] = (8, 16, 32, 64, 64)) -> None:
        super().__init__()
        self.network = dynamic_unet(channels)

    @classmethod
    def from_pretrained(cls, folder: str | Path, **_options: Any) -> AppearanceNetwork:
        """A saved network, single precision, from its folder alone. Raises OSError, RuntimeError or SafetensorError.

        Not as diffusers does it, with torch's initialisers switched off: MONAI's DynUNet takes their result for its weights.
        """
        network = cls.from_config(cls.load_config(str(folder), local_files_only=True))
        network.load_state_dict(load_file(Path(folder) / WEIGHTS_FILE))
        return network.eval()

    def forward(self, scan: torch.Tensor) -> torch.Tensor:
        return self.network(scan)


def with_modality(scan: torch.Tensor, modality: str) -> torch.Tensor:
    """A scan (1, k, j, i) with its modality as a second, constant channel."""
    return torch.cat([scan, torch.full_like(scan, float(modality == "MR"))])


Windows = dict[tuple[int, int, int], torch.Tensor]
"""First voxel (k, j, i) of a window of the padded working grid -> its logits at half resolution, float16."""


@torch.no_grad()
def appearance_logits(
    network: AppearanceNetwork,
    intensities: np.ndarray,
    modality: str,
    where: torch.Tensor,
    known: Windows,
    check: Callable[[], None] | None = None,
) -> torch.Tensor:
    """Logits float32 (k/2, j/2, i/2) of the scan `intensities` (k, j, i) of the working grid, where they are asked for.

    `where`, bool, has the size of the result: half the working grid's, rounded up to what the foundation fills it up to. Elsewhere
    the result is 0 or what the windows happened to show. Windows lie in one grid for the whole scan and
    weigh towards their middles; those that are `known` are not computed again, new ones are added to
    it. `check` is called before each; it may raise `Cancelled`.
    """
    size = tuple(max(WINDOW, 2 * n) for n in where.shape)
    half = WINDOW // 2
    summed, weights = torch.zeros([n // 2 for n in size]), torch.zeros([n // 2 for n in size])
    wanted = torch.zeros_like(summed, dtype=torch.bool)
    wanted[tuple(slice(n) for n in where.shape)] = where.cpu()
    importance = compute_importance_map((half,) * 3, mode="gaussian", sigma_scale=0.125)
    for k, j, i in product(*(window_starts(n) for n in size)):
        start = (k, j, i)
        box = tuple(slice(s // 2, s // 2 + half) for s in start)
        if not wanted[box].any():
            continue
        if start not in known:
            if check:
                check()
            known[start] = _window(network, intensities, modality, start)
        summed[box] += importance * known[start].float()
        weights[box] += importance
    return (summed / weights.clamp(min=1e-6))[tuple(slice(n) for n in where.shape)]


def window_starts(size: int) -> list[int]:
    """First voxels, even ones, of the windows along an axis of `size` voxels: a quarter of a window or more over one another."""
    steps = -(-(size - WINDOW) // (WINDOW * 3 // 4))
    return [2 * round(n * (size - WINDOW) / (2 * steps)) for n in range(steps + 1)] if steps else [0]


def _window(
    network: AppearanceNetwork, intensities: np.ndarray, modality: str, start: tuple[int, int, int]
) -> torch.Tensor:
    part = intensities[tuple(slice(s, s + WINDOW) for s in start)]
    scan = np.pad(np.asarray(part, np.float32), [(0, WINDOW - n) for n in part.shape])
    straight = with_modality(torch.from_numpy(scan)[None], modality).to(network.device)
    with fast_arithmetic(network.device):
        logits, mirrored = network(torch.stack([straight, straight.flip(-1)])).float()
    return functional.avg_pool3d((logits + mirrored.flip(-1))[None] / 2, 2)[0, 0].cpu().half()
