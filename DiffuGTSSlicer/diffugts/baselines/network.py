"""Networks that segment without words: a plain 3-D U-Net, and one built and trained after nnU-Net's recipe in small."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from monai.networks.nets import UNet
from safetensors.torch import load_file

from diffugts.appearance import INPUTS, WEIGHTS_FILE, dynamic_unet

RECIPES = ("unet", "nnunet")


class SegmentationNetwork(ModelMixin, ConfigMixin):
    """Scans (n, 2, k, j, i), model intensities and modality, to tumour logits of the same size.

    `recipe` "unet" is MONAI's UNet with instance normalisation; "nnunet" MONAI's DynUNet as nnU-Net configures it
    (two convolutions a stage, leaky ReLU, deep supervision), with fewer channels. Sizes are multiples of
    2 ** (stages - 1).
    """

    config_name = "config.json"

    @register_to_config
    def __init__(self, recipe: str = "unet", channels: Sequence[int] = (16, 32, 64, 128)) -> None:
        super().__init__()
        if recipe not in RECIPES:
            raise ValueError(f"recipe is '{recipe}', expected one of {', '.join(RECIPES)}")
        if recipe == "unet":
            self.network = UNet(3, INPUTS, 1, tuple(channels), (2,) * (len(channels) - 1), num_res_units=0)
        else:
            self.network = dynamic_unet(channels)

    @classmethod
    def load(cls, folder: Path) -> SegmentationNetwork:
        """A saved network, from its folder alone. Raises OSError, RuntimeError or SafetensorError for a damaged one.

        Not by `from_pretrained`: it builds networks with torch's initialisers switched off, whose result MONAI's
        DynUNet takes for its weights.
        """
        network = cls.from_config(cls.load_config(str(folder), local_files_only=True))
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
        return network

    def forward(self, scan: torch.Tensor) -> torch.Tensor:
        """Logits (n, 1, k, j, i); while "nnunet" is trained (n, heads, 1, k, j, i), the finest head first."""
        return self.network(scan)
