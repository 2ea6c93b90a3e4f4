"""A grid in millimetres on which a body is painted, structure over structure, with partial volume at the edges.

Coordinates are those of LPS: x to the patient's left, y to the back, z to the head, with x = y = 0 in the middle
of the field and z = 0 in its lowest slice. Arrays are (k, j, i). Shapes are signed distances in mm, negative
inside, exact enough near their surface.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from diffugts.generated.body_tissues import Tissue
from diffugts.generated.fields import smooth_noise


class Canvas:
    """What is painted: `values` float32 (HU or MR units), `labels` uint8, and `names` of the labels' values.

    All coordinates are warped by one smooth random displacement, so that neighbours stay neighbours and
    nothing is quite an ellipsoid.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, int, int],
        spacing_mm: float,
        modality: str,
        sequence: str | None,
        warp_mm: float = 4.0,
    ) -> None:
        self.rng, self.spacing_mm, self.modality, self.sequence = rng, spacing_mm, modality, sequence
        self.shape = shape
        z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) * spacing_mm for n in shape), indexing="ij")
        middle = [(n - 1) * spacing_mm / 2 for n in shape]
        self.x, self.y, self.z = (
            axis - shift + warp_mm * self.noise(80.0) for axis, shift in ((x, middle[2]), (y, middle[1]), (z, 0.0))
        )
        self.values = np.full(shape, Tissue.AIR.value.mean(modality, sequence), np.float32)
        self.labels = np.zeros(shape, np.uint8)
        self.names: dict[int, str] = {}
        self.textures: dict[int, float] = {0: 0.0}

    @property
    def height_mm(self) -> float:
        """From the lowest to the highest slice."""
        return (self.shape[0] - 1) * self.spacing_mm

    def noise(self, scale_mm: float) -> np.ndarray:
        """A smooth random field over the grid, variance 1."""
        return smooth_noise(self.rng, self.shape, max(1.0, scale_mm / self.spacing_mm))

    def about(self, value: float, share: float = 0.06) -> float:
        """`value` as this body has it: within some per cent."""
        return float(value * self.rng.uniform(1 - share, 1 + share))

    def paint(self, name: str, distance: np.ndarray, tissue: Tissue, shade: float = 1.0) -> None:
        """Fill where `distance` (mm) is negative; `shade` multiplies the mean, for muscles not quite alike.

        The same name painted twice is one structure with one label.
        """
        signal = tissue.value
        share = np.clip(0.5 - distance / self.spacing_mm, 0.0, 1.0).astype(np.float32)
        mean = signal.mean(self.modality, self.sequence) * shade
        self.values += share * (np.float32(mean) - self.values)
        label = next((value for value, known in self.names.items() if known == name), len(self.names) + 1)
        self.names[label] = name
        self.textures[label] = signal.texture(self.modality, self.sequence)
        self.labels[share >= 0.5] = label

    def ellipsoid(self, centre: Sequence[float], radii: Sequence[float], turn_degrees: float = 0.0) -> np.ndarray:
        """Distance to an ellipsoid at `centre` (x, y, z) with `radii` (x, y, z), turned about z."""
        dx, dy, dz = self.x - centre[0], self.y - centre[1], self.z - centre[2]
        if turn_degrees:
            c, s = np.cos(np.deg2rad(turn_degrees)), np.sin(np.deg2rad(turn_degrees))
            dx, dy = c * dx + s * dy, -s * dx + c * dy
        size = np.sqrt((dx / radii[0]) ** 2 + (dy / radii[1]) ** 2 + (dz / radii[2]) ** 2)
        slope = np.sqrt((dx / radii[0] ** 2) ** 2 + (dy / radii[1] ** 2) ** 2 + (dz / radii[2] ** 2) ** 2)
        return size * (size - 1) / np.maximum(slope, 1e-4)

    def column(self, centre: Sequence[float | np.ndarray], radii: Sequence[float | np.ndarray]) -> np.ndarray:
        """Distance to an upright elliptic column at `centre` (x, y), which may be arrays that vary with z."""
        dx, dy = self.x - centre[0], self.y - centre[1]
        size = np.sqrt((dx / radii[0]) ** 2 + (dy / radii[1]) ** 2)
        slope = np.sqrt((dx / np.square(radii[0])) ** 2 + (dy / np.square(radii[1])) ** 2)
        return size * (size - 1) / np.maximum(slope, 1e-4)

    def tube(self, points: Sequence[Sequence[float] | np.ndarray] | np.ndarray, radii: Sequence[float]) -> np.ndarray:
        """Distance to one chain of cones: see `tubes`."""
        return self.tubes((np.asarray(points, float), radii))

    def tubes(self, *chains: tuple[np.ndarray, Sequence[float]]) -> np.ndarray:
        """Distance to chains of cones, each along points (n, 3) in (x, y, z) with a radius for each point.

        Right near them; farther than about 14 mm it is only known to be large.
        """
        distance = np.full(self.shape, 1e3, np.float32)
        for points, radii in chains:
            for a, b, radius_a, radius_b in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
                box = self._box(a, b, max(radius_a, radius_b) + 14.0)
                offset = [axis[box] - start for axis, start in zip((self.x, self.y, self.z), a, strict=True)]
                along = b - a
                share = sum(o * d for o, d in zip(offset, along, strict=True)) / max(float(along @ along), 1e-6)
                share = np.clip(share, 0.0, 1.0)
                off_axis = np.sqrt(sum((o - share * d) ** 2 for o, d in zip(offset, along, strict=True)))
                near = off_axis - (radius_a + share * (radius_b - radius_a))
                np.minimum(distance[box], near, out=distance[box])
        return distance

    def _box(self, a: np.ndarray, b: np.ndarray, margin: float) -> tuple[slice, ...]:
        """Slices (k, j, i) around the segment from `a` to `b`, wide enough for the warp too."""
        slices = []
        for axis, n in ((2, self.shape[0]), (1, self.shape[1]), (0, self.shape[2])):
            zero = 0.0 if axis == 2 else (n - 1) / 2
            low = (min(a[axis], b[axis]) - margin) / self.spacing_mm + zero
            high = (max(a[axis], b[axis]) + margin) / self.spacing_mm + zero
            start = min(n, max(0, int(low)))
            slices.append(slice(start, max(start, min(n, int(high) + 2))))
        return tuple(slices)

    def scanned(self, ct_noise_hu: float) -> np.ndarray:
        """The values as a scanner would give them, float32: tissue texture, blur and noise; a coil's bias in MR.

        `ct_noise_hu` is the noise's standard deviation deep in the body; in air it is a third of that.
        """
        texture = np.zeros(max(self.names, default=0) + 1, np.float32)
        for label, size in self.textures.items():
            texture[label] = size
        values = self.values + texture[self.labels] * self.noise(5.0)
        values = ndimage.gaussian_filter(values, 0.8 / self.spacing_mm)
        grain = smooth_noise(self.rng, self.shape, 1.0, 5.0)
        if self.modality == "CT":
            inside = ndimage.gaussian_filter((self.values > -300).astype(np.float32), 20.0 / self.spacing_mm)
            return np.maximum(values + ct_noise_hu * (0.33 + 0.67 * inside) * grain, -1024.0).astype(np.float32)
        values *= 1 + 0.08 * self.noise(120.0)
        other = smooth_noise(self.rng, self.shape, 1.0, 5.0)
        return np.hypot(np.maximum(values, 0) + 14.0 * grain, 14.0 * other).astype(np.float32)


def inside_of(*distances: np.ndarray) -> np.ndarray:
    """Distance to what lies inside all of the shapes."""
    return np.maximum.reduce(distances)


def either_of(*distances: np.ndarray) -> np.ndarray:
    """Distance to what lies inside any of the shapes."""
    return np.minimum.reduce(distances)
