"""A whole scan through a network in sliding windows, through MONAI."""

from __future__ import annotations

import numpy as np
import torch
from monai.inferers import SlidingWindowInferer

from diffugts.appearance import with_modality
from diffugts.baselines.network import SegmentationNetwork
from diffugts.baselines.patches import PATCH

OVERLAP = {"unet": 0.25, "nnunet": 0.5}


@torch.no_grad()
def tumour_probability(
    network: SegmentationNetwork, intensities: np.ndarray, modality: str, size: int = PATCH, mirror: bool = False
) -> np.ndarray:
    """Probability 0..1, float32 (k, j, i), of model intensities on the working grid.

    Windows of `size` voxels, weighted towards their middles; with `mirror` the left-right mirrored scan as well.
    """
    inferer = SlidingWindowInferer(size, sw_batch_size=1, overlap=OVERLAP[network.config["recipe"]], mode="gaussian")
    voxels = torch.from_numpy(np.ascontiguousarray(intensities, np.float32))[None]
    scan = with_modality(voxels, modality)[None].to(network.device)
    looks = [scan, scan.flip(-1)] if mirror else [scan]
    found = [torch.sigmoid(inferer(look, network).float()) for look in looks]
    if mirror:
        found[1] = found[1].flip(-1)
    return torch.stack(found).mean(0)[0, 0].cpu().numpy()
