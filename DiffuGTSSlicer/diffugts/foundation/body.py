"""Where the patient is in a scan: what may be inpainted, and what training may teach."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffugts.scans.working_grid import BODY_INTENSITY


def filled_body(intensities: np.ndarray, modality: str, body_intensity: float | None = None) -> np.ndarray:
    """Inside of the patient, bool (k, j, i): the body's largest part, lungs and bowel gas filled slice by slice.

    `intensities` are model intensities (k, j, i) of the working grid; above `body_intensity` they are body, by default
    above that of the compact model's curve.
    """
    level = BODY_INTENSITY[modality] if body_intensity is None else body_intensity
    body = _opened(intensities > level)
    parts, count = ndimage.label(body)
    if count > 1:
        body = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return _filled_slice_by_slice(body)


def _opened(mask: np.ndarray) -> np.ndarray:
    """`ndimage.binary_opening` of a mask (k, j, i) by its six neighbours, ten times as fast: by shifts of the whole."""
    eroded = mask.copy()
    for axis in range(3):
        inner, before = np.moveaxis(eroded, axis, 0), np.moveaxis(mask, axis, 0)
        inner[1:] &= before[:-1]
        inner[:-1] &= before[1:]
        inner[0] = inner[-1] = False
    opened = eroded.copy()
    for axis in range(3):
        grown, core = np.moveaxis(opened, axis, 0), np.moveaxis(eroded, axis, 0)
        grown[1:] |= core[:-1]
        grown[:-1] |= core[1:]
    return opened


def _filled_slice_by_slice(body: np.ndarray) -> np.ndarray:
    """What no path within its slice (k) leads out of, and the body (k, j, i): `binary_fill_holes` of all slices at once."""
    within_slice = np.zeros((3, 3, 3), bool)
    within_slice[1] = ndimage.generate_binary_structure(2, 1)
    parts, count = ndimage.label(~body, within_slice)
    outside = np.zeros(count + 1, bool)
    for border in (parts[:, 0], parts[:, -1], parts[:, :, 0], parts[:, :, -1]):
        outside[border] = True
    outside[0] = False  # the body itself
    return ~outside[parts]
