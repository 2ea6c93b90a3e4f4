"""Hypothesis strategies for scans: any orthonormal grid, oblique, anisotropic, flipped, with permuted axes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from diffugts.scans.scan import Geometry

angles = st.floats(-180, 180).map(lambda value: round(value, 3))


@st.composite
def geometries(draw: st.DrawFn, least: int = 9, most: int = 26, extent_mm: float = 16.0) -> Geometry:
    """A grid in the patient with between `least` and `most` voxels, and at least `extent_mm`, along each axis."""
    size = [draw(st.integers(least, most)) for _ in range(3)]
    spacing = [max(draw(st.floats(0.6, 4.0)), extent_mm / n) for n in size]
    axes = Rotation.from_euler("xyz", [draw(angles) for _ in range(3)], degrees=True).as_matrix()
    axes = axes[:, draw(st.permutations(range(3)))] * np.array([draw(st.sampled_from([-1.0, 1.0])) for _ in range(3)])
    origin = [draw(st.floats(-300, 300)) for _ in range(3)]
    return Geometry(
        (size[0], size[1], size[2]),
        (spacing[0], spacing[1], spacing[2]),
        (origin[0], origin[1], origin[2]),
        tuple(float(value) for value in axes.ravel()),
    )


def voxel_places(geometry: Geometry) -> np.ndarray:
    """LPS millimetres of every voxel, shape (k, j, i, 3)."""
    k, j, i = np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij")
    return (np.stack([i, j, k, np.ones_like(i)], axis=-1) @ geometry.ijk_to_lps.T)[..., :3]
