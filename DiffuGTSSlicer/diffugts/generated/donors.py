"""Real tumours as donors: their shape and texture, to be set into other scans.

What is taken of a tumour is where its surface lies and how its intensities vary within; how bright the lesion is, against the
tissue that it then grows in, is drawn as for any generated lesion (`lesion_looks`). So a marked tumour of a thigh teaches
what masses look like in a lung or a brain as well. Pasting real tumours was shown to help by Yang et al., "TumorCP: A
simple but effective object-level data augmentation for tumor segmentation" (MICCAI 2021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

MARGIN_VOXELS = 6
"""Kept around a tumour: how far from its surface a place is, as far as halos and soft edges ask for it."""

TEXTURE_LIMIT = 3.0
"""Standard deviations at which a donor's texture is clipped."""

LARGEST_SPREAD = {"CT": 0.08, "MR": 0.35}
"""Of a texture's standard deviation: in CT in model intensities (50 HU of soft tissue), in MR as a share of the tumour's median."""

LEAST_RADIUS_VOXELS = 4.0
"""Of the sphere of a donor's volume: what is smaller has no shape of its own on the grid."""


@dataclass(frozen=True, eq=False)
class Donor:
    """One real tumour on the working grid; arrays (k, j, i) of the box round it, float32.

    `depth` distance from the surface in voxels, positive inside; `texture` intensities in standard deviations round the
    tumour's median, outside it the nearest ones inside; `spread` that standard deviation, see LARGEST_SPREAD;
    `radius_voxels` of the sphere of the same volume; `centre` of gravity, voxels of the box; `reach` how far the surface
    lies from it at most, in such radii.
    """

    modality: str
    depth: np.ndarray
    texture: np.ndarray
    spread: float
    radius_voxels: float
    centre: tuple[float, float, float]
    reach: float

    def shape_at(self, u: Sequence[np.ndarray]) -> np.ndarray:
        """1 at the surface, less inside, more outside: at places `u`, three arrays (k, j, i) in radii from the centre."""
        depth = ndimage.map_coordinates(self.depth, self._places(u), order=1, mode="nearest")
        return np.float32(1) - depth / np.float32(self.radius_voxels)

    def texture_at(self, u: Sequence[np.ndarray]) -> np.ndarray:
        """The texture there, in standard deviations."""
        return ndimage.map_coordinates(self.texture, self._places(u), order=1, mode="nearest")

    def _places(self, u: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(
            [axis * np.float32(self.radius_voxels) + np.float32(c) for axis, c in zip(u, self.centre, strict=True)]
        )


def donor_of(intensities: np.ndarray, tumour: np.ndarray, modality: str) -> Donor | None:
    """The largest piece of a marked `tumour` (bool) in a scan of model `intensities`, both (k, j, i); None where it is too small."""
    labels, count = ndimage.label(tumour)
    if not count:
        return None
    sizes = np.bincount(labels.ravel())[1:]
    radius = float((3 * sizes.max() / (4 * np.pi)) ** (1 / 3))
    if radius < LEAST_RADIUS_VOXELS:
        return None
    largest = int(sizes.argmax()) + 1
    around = tuple(
        slice(max(0, s.start - MARGIN_VOXELS), s.stop + MARGIN_VOXELS)
        for s in ndimage.find_objects(labels, largest)[-1]
    )
    mask = labels[around] == largest
    # Where the scan ends, the tumour does: without this border it would go on for ever.
    mask = np.pad(mask, 1)
    values = np.pad(intensities[around].astype(np.float32), 1, mode="edge")
    outside, nearest = ndimage.distance_transform_edt(~mask, return_indices=True)
    depth = ndimage.distance_transform_edt(mask) - outside
    depth -= 0.5 * np.sign(depth)  # the surface lies between the last voxel inside and the first outside
    inside = values[mask]
    median = float(np.median(inside))
    low, high = np.percentile(inside, [16, 84])
    deviation = max(float(high - low) / 2, 1e-3)
    spread = deviation if modality == "CT" else deviation / max(median, 1e-3)
    texture = np.clip((values[tuple(nearest)] - median) / deviation, -TEXTURE_LIMIT, TEXTURE_LIMIT)
    centre = ndimage.center_of_mass(mask)
    places = np.argwhere(mask)
    reach = float(np.sqrt(np.square(places - np.array(centre)).sum(1).max())) / radius
    return Donor(
        modality,
        depth.astype(np.float32),
        texture.astype(np.float32),
        min(spread, LARGEST_SPREAD[modality]),
        radius,
        (float(centre[0]), float(centre[1]), float(centre[2])),
        reach,
    )
