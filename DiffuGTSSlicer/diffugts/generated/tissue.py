"""Where a generated lesion may grow, seen from the intensities alone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffugts.generated.lesion_looks import LesionKind, require_kind

CT_LUNG = (0.014, 0.13)
"""Model intensities of aerated lung, about -930 to -480 HU."""

CT_FAT, CT_SOFT, CT_BONE = 0.2, 0.42, 0.85
"""Model intensities where fat, other soft tissue and dense bone begin: about -160, -25 and 240 HU."""

MR_TISSUE = 0.1
"""MR model intensity above which a voxel is tissue."""


def tissue_mask(intensities: np.ndarray, modality: str, kind: LesionKind) -> np.ndarray:
    """Voxels (bool, k, j, i) in which a lesion of `kind` may grow, for model intensities of a scan or a crop.

    SOFT: muscle and organs with the fat planes between them, not thick fat, bone or gas. LUNG (CT): aerated
    lung with body around it, not the air outside the patient or in the bowel. BRAIN (MR): the filled head
    less scalp, skull and air, where there are any. Raises ValueError for BONE, which intensities alone do not tell
    from contrast medium (take it from labels), and for kinds that are not drawn in `modality`.
    """
    require_kind(kind, modality)
    if kind is LesionKind.BONE:
        raise ValueError("bone cannot be told from contrast medium by its intensity: take its mask from labels")
    if kind is LesionKind.LUNG:
        return _lung(intensities)
    if kind is LesionKind.BRAIN:
        return _brain(intensities)
    if modality == "MR":
        tissue = (intensities > MR_TISSUE) & (intensities < 1.15)
        return (ndimage.uniform_filter(tissue.astype(np.float32), 3) > 0.6) & tissue
    soft = ((intensities > CT_SOFT) & (intensities < CT_BONE)).astype(np.float32)
    near_soft = ndimage.gaussian_filter(soft, 1.5, truncate=2.0) > 0.4
    return near_soft & (intensities > CT_FAT) & (intensities < CT_BONE)


def _lung(intensities: np.ndarray) -> np.ndarray:
    """Aerated lung: air's density but for a little blood, with body on at least three of four sides in the slice."""
    smooth = ndimage.uniform_filter(intensities, 3)
    body = intensities > CT_FAT
    sides = np.zeros(intensities.shape, np.uint8)
    for axis in (1, 2):
        sides += np.maximum.accumulate(body, axis=axis)
        sides += np.flip(np.maximum.accumulate(np.flip(body, axis), axis=axis), axis)
    lung = (smooth > CT_LUNG[0]) & (smooth < CT_LUNG[1]) & (sides >= 3)
    return ndimage.uniform_filter(lung.astype(np.float32), 5) > 0.6


def _brain(intensities: np.ndarray) -> np.ndarray:
    """The head's filled foreground without the outer 14 mm (7 voxels) where a skull lies there, else without 1 voxel.

    A skull shows as a layer darker than what lies over it; in a skull-stripped head the darkest layer (partial
    volume, fluid) is the outermost. Air-filled spaces stay out as well.
    """
    head = ndimage.uniform_filter(intensities, 3) > MR_TISSUE
    head = np.stack([ndimage.binary_fill_holes(one) for one in head])
    depth = depth_voxels(head)
    inner = intensities[depth > 8]
    scalp, skull = intensities[(depth > 2) & (depth <= 4)], intensities[(depth > 4) & (depth <= 8)]
    if min(inner.size, scalp.size, skull.size) < 100:
        return depth > 1
    typical = float(np.median(inner))
    dark_scalp, dark_skull = (float((layer < 0.4 * typical).mean()) for layer in (scalp, skull))
    has_skull = dark_skull > max(0.08, 1.3 * dark_scalp)
    return (depth > (7 if has_skull else 1)) & (ndimage.uniform_filter(intensities, 7) > 0.3 * typical)


def depth_voxels(mask: np.ndarray) -> np.ndarray:
    """Distance in voxels of each voxel to the nearest one outside `mask`, float32; the array's edge is no outside.

    Measured on blocks of 2 x 2 x 2 that lie wholly inside: within two voxels of the truth, and eight times
    quicker. Voxels of the mask in no such block have depth 1.
    """
    blocks = np.pad(mask, [(0, n % 2) for n in mask.shape], constant_values=True)
    for axis in range(3):
        first, second = (blocks.take(np.arange(start, blocks.shape[axis], 2), axis) for start in (0, 1))
        blocks = first & second
    if blocks.all():
        return np.where(mask, np.float32(max(mask.shape)), np.float32(0))
    depth = 2 * ndimage.distance_transform_edt(blocks).astype(np.float32)
    for axis in range(3):
        depth = np.repeat(depth, 2, axis)
    depth = depth[tuple(slice(0, n) for n in mask.shape)]
    return np.where(mask, np.maximum(depth, np.float32(1)), np.float32(0))


def interior(mask: np.ndarray) -> np.ndarray:
    """The voxels of `mask` whose six neighbours belong to it too; the array's edge is no outside."""
    inside = mask.copy()
    for axis in range(mask.ndim):
        here, there = [slice(None)] * mask.ndim, [slice(None)] * mask.ndim
        here[axis], there[axis] = slice(1, None), slice(None, -1)
        inside[tuple(here)] &= mask[tuple(there)]
        inside[tuple(there)] &= mask[tuple(here)]
    return inside
