"""The volumes of a result folder, read when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import ResultError
from diffugts.findings.segments import read_mask
from diffugts.protocol import ResultManifest
from diffugts.scans.scan import Geometry


@dataclass(frozen=True)
class ResultVolumes:
    """A whole result whose files were checked; every array is (k, j, i) of its grid."""

    manifest: ResultManifest

    @classmethod
    def load(cls, folder: Path) -> ResultVolumes:
        """Read a result folder. Raises ResultError where it holds no whole and unchanged result."""
        return cls(ResultManifest.load(folder))

    @property
    def geometry(self) -> Geometry:
        """The grid of all volumes."""
        grid = self.manifest.geometry
        return Geometry(grid.size, grid.spacing_mm, grid.origin_mm, grid.direction)

    def mask(self, number: int) -> np.ndarray:
        """What is marked for a description, bool. Raises ResultError."""
        label = self.manifest.file("label", number)
        if label is not None:
            return self._array(label) > 0
        segmentation = self.manifest.file("segmentation")
        if segmentation is None:
            raise ResultError("The result holds no segmentation. Run the request again.")
        return self._on_grid(read_mask(segmentation, self.manifest.findings[number].segment_id), segmentation.name)

    def score_map(self, number: int) -> np.ndarray:
        """The score of a description, float32 from 0 to 1. Raises ResultError."""
        path = self.manifest.file("score map", number)
        if path is None:
            raise ResultError(f"The result holds no score map of description {number + 1}. Run the request again.")
        return self._array(path)

    def pseudo_healthy(self) -> np.ndarray | None:
        """The pseudo-healthy volume in the scan's unit, float32; None where nothing was painted. Raises ResultError."""
        path = self.manifest.file("pseudo-healthy")
        return None if path is None else self._array(path).astype(np.float32)

    def residual(self) -> np.ndarray | None:
        """Scan minus pseudo-healthy volume, float32; None where nothing was painted. Raises ResultError."""
        path = self.manifest.file("residual")
        return None if path is None else self._array(path).astype(np.float32)

    def _array(self, path: Path) -> np.ndarray:
        try:
            array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        except RuntimeError as error:
            raise ResultError(f"'{path.name}' of the result cannot be read. Run the request again.") from error
        return self._on_grid(array, path.name)

    def _on_grid(self, array: np.ndarray, name: str) -> np.ndarray:
        if array.shape != self.geometry.shape:
            raise ResultError(f"'{name}' of the result does not lie on the result's own grid. Run the request again.")
        return array
