"""A scan behind the frozen foundation: all that a further description on it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch

from diffugts.appearance import Windows
from diffugts.attention import Queries
from diffugts.foundation.body import filled_body
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import ScanOnGrid
from diffugts.views import View


@dataclass(frozen=True)
class EncodedScan:
    """What is kept of a scan between descriptions.

    `latents` (1, 4, k, j, i) normalised; `queries` by stride, float16; `further` the queries of the scan seen otherwise, as
    they were seen, where the quality asked for them; `notes` sentences for the user on how it was encoded. A model
    without a trained attention encodes only what it is asked about: its latents here are empty, of no voxel. `appearance` grows
    with what descriptions ask for.
    """

    scan: Scan
    grid: ScanOnGrid
    modality_class: int
    latents: torch.Tensor
    queries: Queries
    further: Mapping[View, Queries] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    appearance: Windows = field(default_factory=dict)

    @cached_property
    def body(self) -> np.ndarray:
        """Inside of the patient, bool (k, j, i) of the working grid: found when first asked for, whatever the description."""
        return filled_body(self.grid.intensities, self.grid.modality, self.grid.body_intensity)

    def seen_by(self, views: Collection[View]) -> EncodedScan:
        """The same with these further views alone. Raises KeyError where one of them is not there."""
        return replace(self, further={view: self.further[view] for view in views})

    @property
    def nbytes(self) -> int:
        """Bytes this holds, the scan's own voxels and the body included: what a cache is bounded by."""
        further = [query for queries in self.further.values() for query in queries.values()]
        tensors = [self.latents, *self.queries.values(), *further]
        intensities = self.grid.intensities
        return (
            sum(t.numel() * t.element_size() for t in tensors)
            + self.scan.voxels.nbytes
            + intensities.nbytes
            + intensities.size
            + sum(window.nbytes for window in self.appearance.values())
        )

    @property
    def score_geometry(self) -> Geometry:
        """The grid the attention answers on: two voxels of the working grid to one, centred between them."""
        g = self.grid.geometry
        size = tuple(int(n) for n in reversed(self.queries[2].shape[2:]))
        spacing = tuple(2 * s for s in g.spacing_mm)
        first = g.ijk_to_lps @ [0.5, 0.5, 0.5, 1.0]
        return Geometry(size, spacing, tuple(float(v) for v in first[:3]), g.direction)  # type: ignore[arg-type]
