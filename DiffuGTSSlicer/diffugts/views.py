"""Ways of looking at one scan again, to be averaged: the features of a network depend on how its grid lies over the body.

Latents are cells of four voxels, and the attention's pyramid goes down to 32: where their borders fall is chance. Averaging over
mirrored and shifted scans is test-time augmentation (Wang et al., "Aleatoric uncertainty estimation with test-time augmentation
for medical image segmentation with convolutional neural networks", Neurocomputing 338, 2019); what it brings: docs/decisions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

HALF = 2
"""The attention answers at every second voxel of the working grid."""


@dataclass(frozen=True, order=True)
class View:
    """The scan mirrored, left and right exchanged, and moved by `shift_voxels` of the working grid along each axis.

    Raises ValueError for a shift that is odd or negative: maps are brought back by whole voxels of their own grid.
    """

    mirrored: bool = False
    shift_voxels: int = 0

    def __post_init__(self) -> None:
        if self.shift_voxels < 0 or self.shift_voxels % HALF:
            raise ValueError(f"shift_voxels is {self.shift_voxels}, expected an even number that is not negative")

    @property
    def name(self) -> str:
        """What its kept features are called."""
        return ("mirrored" if self.mirrored else "straight") + (f"+{self.shift_voxels}" if self.shift_voxels else "")

    def seen(self, intensities: np.ndarray, multiple: int) -> np.ndarray:
        """A scan (k, j, i) as it is seen so, with air where nothing is: as far as the foundation fills it up to a `multiple`."""
        filled = np.pad(intensities, [(0, -n % multiple) for n in intensities.shape])
        return np.pad(filled[:, :, ::-1] if self.mirrored else filled, ((self.shift_voxels, 0),) * 3)

    def brought_back(self, logits: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """A map (k, j, i) of the attention on what was `seen`, where the scan lies on its own grid of `shape`."""
        shift = self.shift_voxels // HALF
        k, j, i = shape
        part = logits[shift : shift + k, shift : shift + j, shift : shift + i]
        return part.flip(-1) if self.mirrored else part


MIRRORED = View(mirrored=True)


def looks_in_words(views: Iterable[View]) -> str:
    """How often a scan is looked at: "one look" where there are no further views."""
    count = 1 + len(tuple(views))
    return "one look" if count == 1 else f"{count} looks"
