"""Patches that the baseline networks learn from: the packed training volumes, nnU-Net's share of foreground, augmentation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.transforms import (
    Compose,
    RandAdjustContrastd,
    RandAffined,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandScaleIntensityd,
    RandSimulateLowResolutiond,
    Transform,
)

from diffugts.appearance import with_modality
from diffugts.training.volumes import Volume

PATCH = 64
"""Voxels of the working grid: 128 mm."""

TUMOUR_SHARE = 0.6
"""Of the patches: from scans with a marked tumour; the others from parts of scans that are surely healthy."""

FOREGROUND_SHARE = 0.6
"""Of the patches from scans with a tumour: those that hold some of it for certain (nnU-Net forces a third)."""

LEAST_HEALTHY_SHARE = 0.3


def augmentation(recipe: str, seed: int) -> Compose:
    """Left-right flips for "unet"; for "nnunet" the transforms of its recipe, in its order and about its strength."""
    keys, image = ["image", "label"], ["image"]
    if recipe == "unet":
        steps: list[Transform] = [RandFlipd(keys, 0.5, spatial_axis=2)]
    else:
        steps = [
            RandAffined(
                keys,
                prob=0.35,
                rotate_range=(0.5, 0.5, 0.5),
                scale_range=((-0.3, 0.4),) * 3,
                mode=("bilinear", "nearest"),
                padding_mode="border",
            ),
            RandGaussianNoised(image, prob=0.1, std=0.05),
            RandGaussianSmoothd(image, (0.5, 1.0), (0.5, 1.0), (0.5, 1.0), prob=0.2),
            RandScaleIntensityd(image, factors=0.25, prob=0.15),
            RandSimulateLowResolutiond(image, prob=0.25, zoom_range=(0.5, 1.0)),
            RandAdjustContrastd(image, prob=0.3, gamma=(0.7, 1.5)),
            RandFlipd(keys, 0.5, spatial_axis=0),
            RandFlipd(keys, 0.5, spatial_axis=1),
            RandFlipd(keys, 0.5, spatial_axis=2),
        ]
    return Compose(steps).set_random_state(seed)


class PatchSource:
    """Draws patches from packed volumes; the same seed gives the same ones."""

    def __init__(self, volumes: Sequence[Volume], recipe: str, seed: int, size: int = PATCH) -> None:
        self.rng, self.size = np.random.default_rng(seed), size
        self.augment = augmentation(recipe, seed)
        self.ill = [volume for volume in volumes if volume.tumour.any()]
        self.well = [v for v in volumes if not v.tumour.any() and v.healthy.mean() >= LEAST_HEALTHY_SHARE]
        if not self.ill:
            raise ValueError("there is no volume with a marked tumour to learn from")

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scans (n, 2, size, size, size) and labels (n, 1, ...), float32; the first patch holds tumour for certain."""
        drawn = [self._patch(forced=number == 0) for number in range(count)]
        return torch.stack([scan for scan, _ in drawn]), torch.stack([label for _, label in drawn])

    def _patch(self, forced: bool) -> tuple[torch.Tensor, torch.Tensor]:
        if forced or not self.well or self.rng.random() < TUMOUR_SHARE:
            volume = self.ill[int(self.rng.integers(len(self.ill)))]
            held = forced or self.rng.random() < FOREGROUND_SHARE
            allowed = volume.tumour if held else np.ones_like(volume.tumour)
            low, high = np.zeros(3, int), np.array(allowed.shape)
        else:
            volume = self.well[int(self.rng.integers(len(self.well)))]
            allowed = volume.healthy
            low, high = _bounds(volume.healthy)  # healthy parts are boxes: a patch in one shows nothing unmarked
        places = np.flatnonzero(allowed)
        centre = np.array(np.unravel_index(int(places[self.rng.integers(len(places))]), allowed.shape))
        box = patch_box(centre, low, high, self.size)
        patch = {
            "image": _filled(volume.intensities[box].astype(np.float32), self.size),
            "label": _filled(volume.tumour[box].astype(np.float32), self.size),
        }
        patch = self.augment(patch)
        scan = torch.as_tensor(np.asarray(patch["image"]), dtype=torch.float32)
        label = torch.as_tensor(np.asarray(patch["label"]), dtype=torch.float32)
        return with_modality(scan, volume.modality), (label > 0.5).float()


def patch_box(centre: np.ndarray, low: np.ndarray, high: np.ndarray, size: int) -> tuple[slice, slice, slice]:
    """A box of `size` voxels round `centre`, moved to lie between `low` and `high`; shorter where there is less room."""
    starts = np.minimum(np.maximum(centre - size // 2, low), np.maximum(high - size, low))
    return tuple(slice(int(a), int(min(a + size, b))) for a, b in zip(starts, high))  # type: ignore[return-value]


def _bounds(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    seen = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    return np.array([s[0] for s in seen]), np.array([s[-1] + 1 for s in seen])


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    """With a channel axis, and zeros at the far ends up to `size`."""
    return np.pad(array, [(0, size - n) for n in array.shape])[None]
