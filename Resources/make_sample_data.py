"""Makes the tutorial's scan, DiffuGTSSlicer/Resources/SampleData/GeneratedThighCT.nrrd, and its thumbnail.

The scan is that of `diffugts demo`: procedural, from a seed, nobody's body; so it may be given to anybody.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from diffugts.generated.phantom import demo_case
from diffugts.scans.scan import Scan

RESOURCES = Path(__file__).resolve().parent.parent / "DiffuGTSSlicer" / "Resources"
NAME = "GeneratedThighCT"
THUMBNAIL = (260, 280)
"""Width and height, as Slicer's module Sample Data shows them."""
SOFT_TISSUE_HU = (-160.0, 240.0)


def sample() -> tuple[sitk.Image, np.ndarray, Scan]:
    """The scan as it is written (HU, int16), its lesion's mask (bool, k, j, i), and the scan as it was generated."""
    scan, lesion, _ = demo_case(seed=0, body="thigh")
    image = scan.geometry.image(np.round(scan.voxels).astype(np.int16))
    image.SetMetaData("modality", scan.modality)
    return image, lesion, scan


def thumbnail(scan: Scan, lesion: np.ndarray) -> Image.Image:
    """The axial slice with most of the lesion, on black."""
    voxels = scan.voxels[int(lesion.sum(axis=(1, 2)).argmax())]
    low, high = SOFT_TISSUE_HU
    grey = (np.clip((voxels - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(grey).resize((THUMBNAIL[0], THUMBNAIL[0]), Image.Resampling.BICUBIC)
    framed = Image.new("L", THUMBNAIL)
    framed.paste(picture, (0, (THUMBNAIL[1] - THUMBNAIL[0]) // 2))
    return framed


if __name__ == "__main__":
    image, lesion, scan = sample()
    path = RESOURCES / "SampleData" / f"{NAME}.nrrd"
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), useCompression=True)
    thumbnail(scan, lesion).save(RESOURCES / "Icons" / f"{NAME}.png", optimize=True)
