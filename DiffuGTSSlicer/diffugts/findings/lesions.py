"""Lesions: the connected parts of a mask, measured, and the verdict they lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from diffugts.findings.finding import Lesion, Verdict
from diffugts.scans.scan import Geometry, Scan

TOUCHING = np.ones((3, 3, 3))
"""26-connectivity: voxels that share a corner are one lesion."""

ROUNDING = 1e-9
"""Relative: a lesion of exactly the smallest volume is kept, however the product of its spacings was rounded."""

LOWEST_ANOMALY_SCORE = 0.5


@dataclass(frozen=True)
class VerdictRule:
    """When something counts as found.

    A lesion above `threshold` is a finding. It is uncertain when the highest score in any lesion is below the end of the
    uncertain scores, or the image-level anomaly score speaks against it (below `least_anomaly_score`). Without a lesion, a
    highest score above the beginning of the uncertain scores is uncertain, anything lower is not found.

    `uncertain_range` are these scores as they were measured, whatever the threshold (`training.calibration.uncertain_range`);
    where they were not, they lie `uncertain_margin` around the threshold. `certain_alone`: beside a region that is certain,
    those that by themselves would be uncertain are no part of the finding (`finding_mask`).
    """

    threshold: float
    uncertain_margin: float = 0.15
    least_anomaly_score: float = LOWEST_ANOMALY_SCORE
    uncertain_range: tuple[float, float] | None = None
    certain_alone: bool = False

    @property
    def uncertain_scores(self) -> tuple[float, float]:
        """From and to which highest score a verdict is uncertain."""
        if self.uncertain_range is not None:
            return self.uncertain_range
        above = min(self.uncertain_margin, 0.9 * (1 - self.threshold))
        return self.threshold - self.uncertain_margin, self.threshold + above


@dataclass(frozen=True)
class LeftOut:
    """Regions above the threshold that are no part of a finding: how many, and the highest score in any of them."""

    regions: int
    highest_score: float


def cut(score_map: np.ndarray, threshold: float, smallest_lesion_ml: float, geometry: Geometry) -> np.ndarray:
    """The mask (k, j, i): voxels above `threshold` in connected regions of at least `smallest_lesion_ml`."""
    return finding_mask(score_map, VerdictRule(threshold), smallest_lesion_ml, geometry)[0]


def finding_mask(
    score_map: np.ndarray, rule: VerdictRule, smallest_lesion_ml: float, geometry: Geometry
) -> tuple[np.ndarray, np.ndarray, LeftOut | None]:
    """The mask (k, j, i) of a finding, its score map, and what was left out.

    The mask is `cut`'s, but for `rule.certain_alone`: where a region is certain, its highest score beyond the uncertain ones,
    regions that are not are left out. In the returned map they score no more than the threshold, so that the same mask can be
    cut from it again, and a lower threshold brings them back.
    """
    mask = score_map > rule.threshold
    box = box_of(mask)
    if box is None or (smallest_lesion_ml <= 0 and not rule.certain_alone):
        return mask, score_map, None
    inside = mask[box]
    labels, count = ndimage.label(inside, TOUCHING)
    of_voxel = labels[inside]
    volumes = np.bincount(of_voxel, minlength=count + 1) * geometry.voxel_ml
    kept = volumes >= smallest_lesion_ml * (1 - ROUNDING)
    kept[0] = False
    left_out = None
    if rule.certain_alone and np.count_nonzero(kept) > 1:
        peaks = np.zeros(count + 1, score_map.dtype)
        np.maximum.at(peaks, of_voxel, score_map[box][inside])
        doubtful = kept & (peaks < rule.uncertain_scores[1])
        if doubtful.any() and not np.array_equal(doubtful, kept):
            left_out = LeftOut(int(np.count_nonzero(doubtful)), float(peaks[doubtful].max()))
            kept &= ~doubtful
            score_map = score_map.copy()
            score_map[box][doubtful[labels]] = rule.threshold
    mask = mask.copy()
    mask[box] = kept[labels]
    return mask, score_map, left_out


def measure_lesions(mask: np.ndarray, score_map: np.ndarray, scan: Scan) -> list[Lesion]:
    """The lesions of a mask (k, j, i), highest score first, then largest; `label` counts from 1 in that order."""
    box = box_of(mask)
    if box is None:
        return []
    labels, _ = ndimage.label(mask[box], TOUCHING)
    start = np.array([s.start for s in box])
    found = []
    for number, part in enumerate(ndimage.find_objects(labels), start=1):
        region = labels[part] == number
        corner = start + [s.start for s in part]
        whole = tuple(slice(c, c + n) for c, n in zip(corner, region.shape))
        scores, values = score_map[whole][region], scan.voxels[whole][region]
        centre_kji = _centre(region) + corner
        centre = scan.geometry.ijk_to_ras @ [*centre_kji[::-1], 1.0]
        found.append(
            Lesion(
                label=0,
                volume_ml=float(region.sum()) * scan.geometry.voxel_ml,
                longest_axial_diameter_mm=longest_axial_diameter_mm(region, scan.geometry),
                centroid_ras_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                mean_intensity=float(values.mean()),
                mean_score=float(scores.mean()),
                highest_score=float(scores.max()),
            )
        )
    found.sort(key=lambda lesion: (-round(lesion.highest_score, 3), -lesion.volume_ml))
    return [Lesion(**{**lesion.__dict__, "label": number}) for number, lesion in enumerate(found, start=1)]


def longest_axial_diameter_mm(region: np.ndarray, geometry: Geometry) -> float:
    """Longest distance between voxel centres of one axial slice, plus one voxel, over all slices of `region` (k, j, i).

    Slices are taken across the array axis nearest to the patient's superior-inferior axis, so that it holds for sagittal,
    coronal and oblique acquisitions.
    """
    axis = axial_axis(geometry)
    spacing_kji = np.array(geometry.spacing_mm[::-1])
    in_plane = [a for a in range(3) if a != axis]
    longest = 0.0
    for section in np.moveaxis(region, axis, 0):
        longest = max(longest, _largest_distance(_row_ends(section) * spacing_kji[in_plane]))
    return longest + float(spacing_kji[in_plane].mean())


def axial_axis(geometry: Geometry) -> int:
    """The array axis (0 = k, 1 = j, 2 = i) nearest to the patient's superior-inferior axis."""
    directions = np.reshape(geometry.direction, (3, 3))
    return 2 - int(np.argmax(np.abs(directions[2])))


def verdict(
    description: str, score_map: np.ndarray, lesions: Sequence[Lesion], anomaly_score: float, rule: VerdictRule
) -> tuple[Verdict, list[str]]:
    """The verdict on one description and the sentences that explain it."""
    highest = float(score_map.max()) if score_map.size else 0.0
    threshold = f"{rule.threshold:.2f}"
    uncertain_from, uncertain_to = rule.uncertain_scores
    if not lesions:
        if highest > rule.threshold:
            return Verdict.UNCERTAIN, [
                f"Only specks smaller than the smallest lesion lie above {threshold} for '{description}'; highest score {highest:.2f}."
            ]
        if highest > uncertain_from:
            close = "close to it" if rule.uncertain_range is None else "scans with a tumour may score as low"
            return Verdict.UNCERTAIN, [
                f"Nothing above {threshold} for '{description}', but {close}: highest score {highest:.2f}. Look at the map."
            ]
        return Verdict.NOT_FOUND, [f"Nothing above {threshold} for '{description}'; highest score {highest:.2f}."]
    if anomaly_score < rule.least_anomaly_score:
        return Verdict.UNCERTAIN, [
            f"Uncertain: regions lie above {threshold}, but the scan as a whole speaks against '{description}' "
            f"(anomaly score {anomaly_score:.2f})."
        ]
    highest = max(lesion.highest_score for lesion in lesions)  # a speck elsewhere says nothing about a lesion
    if highest < uncertain_to:
        if rule.uncertain_range is None:
            return Verdict.UNCERTAIN, [f"Uncertain: the highest score, {highest:.2f}, is only just above {threshold}."]
        return Verdict.UNCERTAIN, [
            f"Uncertain: the highest score, {highest:.2f}, is below {uncertain_to:.2f}; scans without a tumour reach as much."
        ]
    return Verdict.FOUND, []


def left_out_in_words(left_out: LeftOut, threshold: float) -> str:
    """A sentence for the finding."""
    regions = "One more region lies" if left_out.regions == 1 else f"{left_out.regions} more regions lie"
    it, is_it = ("it", "it is") if left_out.regions == 1 else ("they", "they are")
    return (
        f"{regions} above {threshold:.2f}, but alone {it} would be uncertain (highest score {left_out.highest_score:.2f}): "
        f"{is_it} left out. A lower threshold shows {'it' if left_out.regions == 1 else 'them'}."
    )


def box_of(mask: np.ndarray) -> tuple[slice, slice, slice] | None:
    """Bounding box of a mask, None where it is empty: labelling a whole scan for a small finding would take seconds."""
    slices = []
    for axis in range(3):
        seen = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        if seen.size == 0:
            return None
        slices.append(slice(int(seen[0]), int(seen[-1]) + 1))
    return slices[0], slices[1], slices[2]


def _centre(region: np.ndarray) -> np.ndarray:
    """Mean voxel index (k, j, i), from the sums over planes: the list of all voxels would be far larger than the region."""
    return np.array(
        [
            float(np.arange(n) @ region.sum(tuple(a for a in range(3) if a != axis))) / int(region.sum())
            for axis, n in enumerate(region.shape)
        ]
    )


def _row_ends(section: np.ndarray) -> np.ndarray:
    """First and last voxel of every row (row, column): the voxels farthest apart are among them."""
    rows = np.flatnonzero(section.any(axis=1))
    first = section[rows].argmax(axis=1)
    last = section.shape[1] - 1 - section[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([rows, first], axis=1), np.stack([rows, last], axis=1)])


def _largest_distance(points: np.ndarray) -> float:
    if len(points) < 2:
        return 0.0
    if len(points) > 3:
        try:
            points = points[ConvexHull(points).vertices]
        except QhullError:
            pass  # the points lie on one line: their own distances are few enough
    return float(pdist(points).max())
