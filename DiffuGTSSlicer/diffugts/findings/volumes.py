"""Volumes on disk: compressed NRRD and NIfTI, looked at after writing, since ITK does not always notice a full disk."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from diffugts.errors import ResultError, ScanError
from diffugts.scans.integrity import require_whole

COMPRESSION_LEVEL = 1
"""gzip's quickest: a third of the default level's time for a tenth more bytes (docs/decisions.md)."""


def write_volume(image: sitk.Image, path: Path) -> None:
    """Write a volume as .nrrd or .nii.gz. Raises ResultError where it did not get onto the disk as a whole."""
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressionLevel(COMPRESSION_LEVEL)
    try:
        writer.Execute(image)
        if path.name.endswith(".nii.gz"):
            require_whole(path)  # ITK's NIfTI writer reports no error at all
        elif not _ends_as_it_should(path, image):
            raise RuntimeError("the end of the file is missing")
    except (RuntimeError, ScanError) as error:
        raise ResultError(
            f"'{path.name}' could not be written as a whole; the disk may be full. Free some space or choose another "
            "folder; nothing half-written was left."
        ) from error


def _ends_as_it_should(path: Path, image: sitk.Image) -> bool:
    """Whether the file ends with gzip's count of the voxels' bytes (RFC 1952, ISIZE).

    ITK's NRRD writer reports a disk that is full in the middle, but not one that is full when it closes the file.
    """
    voxels = image.GetNumberOfPixels() * image.GetNumberOfComponentsPerPixel() * image.GetSizeOfPixelComponent()
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4))
        return file.read() == (voxels % 2**32).to_bytes(4, "little")
