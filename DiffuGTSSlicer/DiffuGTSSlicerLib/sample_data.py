"""The tutorial's scan for Slicer's module Sample Data: generated, part of the extension, so that nothing is downloaded.

Slicer's own public samples, which the tutorial uses too (MRBrainTumor1, CTChest, CTLiver), are registered by Slicer.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

CATEGORY = "DiffuGTS"
SAMPLE = "GeneratedThighCT"
"""The sample's name, and that of the volume it becomes: a CT of a thigh with a soft tissue sarcoma, 95 x 95 x 95 voxels."""

_RESOURCES = Path(__file__).resolve().parent.parent / "Resources"
SAMPLE_FILE = _RESOURCES / "SampleData" / f"{SAMPLE}.nrrd"
THUMBNAIL = _RESOURCES / "Icons" / f"{SAMPLE}.png"


def register() -> None:
    """Offer the scan in the module Sample Data; called when Slicer has started. Again does nothing.

    Raises:
        FileNotFoundError: the file is not in the extension's folder.
    """
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=SAMPLE,
        uris=SAMPLE_FILE.as_uri(),
        fileNames=SAMPLE_FILE.name,
        nodeNames=SAMPLE,
        thumbnailFileName=str(THUMBNAIL),
        # Sample Data keeps a copy in its cache: with the checksum it notices that a newer extension has another scan.
        checksums=f"SHA256:{hashlib.sha256(SAMPLE_FILE.read_bytes()).hexdigest()}",
    )
