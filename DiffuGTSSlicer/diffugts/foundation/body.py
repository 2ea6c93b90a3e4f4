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
    body = ndimage.binary_opening(intensities > level, iterations=1)
    parts, count = ndimage.label(body)
    if count > 1:
        body = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return np.stack([ndimage.binary_fill_holes(section) for section in body])
