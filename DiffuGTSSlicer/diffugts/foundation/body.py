"""Where the patient is in a scan: what may be inpainted, and what training may teach."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from diffugts.scans.working_grid import BODY_INTENSITY


def filled_body(intensities: np.ndarray, modality: str) -> np.ndarray:
    """Inside of the patient, bool (k, j, i): the body's largest part, lungs and bowel gas filled slice by slice.

    `intensities` are model intensities (k, j, i) of the working grid.
    """
    body = ndimage.binary_opening(intensities > BODY_INTENSITY[modality], iterations=1)
    parts, count = ndimage.label(body)
    if count > 1:
        body = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    return np.stack([ndimage.binary_fill_holes(section) for section in body])
