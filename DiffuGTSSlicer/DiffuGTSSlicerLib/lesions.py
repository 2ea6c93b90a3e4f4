"""The lesions of a segment: measured, accepted, rejected, split into segments of their own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.finding_segment import FindingSegment, tag_of
from DiffuGTSSlicerLib.provenance import RESULT, ROLE, VOLUME_REFERENCE
from DiffuGTSSlicerLib.regions import Regions
from DiffuGTSSlicerLib.segment_masks import add_segment
from DiffuGTSSlicerLib.sparse_mask import SparseMask
from DiffuGTSSlicerLib.subject_folders import put_beside
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

_ANGLES = np.arange(16) * np.pi / 16
DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])
"""Half round, in a plane: along the nearest of these a distance looks no shorter than `LEAST_SEEN` of what it is."""

LEAST_SEEN = float(np.cos(np.pi / 32))

FEW_ROWS = 80
"""Up to so many rows in all, every pair of their ends is measured."""


class LesionState(Enum):
    """What the reader decided."""

    UNDECIDED = ""
    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True)
class Lesion:
    """One connected part of a segment, measured as the engine does.

    `longest_axial_diameter_mm` in the plane nearest to the patient's axial one; `centre_ras_mm` a place inside the
    lesion, nearest to its centroid, to jump to; `mean_intensity` in the scan's unit, None where the scan is gone;
    `mask` its voxels.
    """

    label: int
    state: LesionState
    volume_ml: float
    longest_axial_diameter_mm: float
    centre_ras_mm: tuple[float, float, float]
    mean_intensity: float | None
    mean_score: float
    highest_score: float
    mask: BoxMask

    def shares_voxel_with(self, other: Lesion) -> bool:
        """Whether both have a voxel in common: the same lesion, cut or decided differently."""
        return self.mask.meets(other.mask)


def lesions_of(finding: FindingSegment, voxels: np.ndarray | None, most: int | None = None) -> list[Lesion]:
    """The lesions of a segment, highest score first, then largest; a rejected one keeps its place and its number.

    `voxels` is the scan (k, j, i) on the same grid, None where it was deleted. Beyond `most` lesions, those with the
    lowest scores are left out: measuring thousands of specks takes seconds.
    """
    seeds, before = finding.accepted, finding.measured
    present = _measured(finding, finding.regions(), voxels, most)
    found = [replace(lesion, state=_state(lesion, seeds)) for lesion in present]
    rejected = _measured(finding, finding.regions_of(finding.rejected()), voxels, most)
    found += [replace(lesion, state=LesionState.REJECTED) for lesion in rejected]
    finding.measured = {key: before[key] for key in (_place(lesion.mask) for lesion in found)}
    found.sort(key=lambda lesion: (-round(lesion.highest_score, 3), -lesion.volume_ml))
    return [replace(lesion, label=number) for number, lesion in enumerate(found[:most], start=1)]


def accept(finding: FindingSegment, lesion: Lesion) -> None:
    """Mark a lesion as accepted; a rejected one comes back."""
    if lesion.state is LesionState.REJECTED:
        restore(finding, lesion)
    seed = _highest_voxel(finding, lesion.mask)
    finding.accepted = [*(s for s in finding.accepted if not _holds(lesion.mask, s)), seed]


def reject(finding: FindingSegment, lesion: Lesion) -> None:
    """Move a lesion to the rejected segment."""
    finding.accepted = [seed for seed in finding.accepted if not _holds(lesion.mask, seed)]
    mask = SparseMask.of(lesion.mask)
    finding.set_rejected(finding.rejected() | mask)
    finding.set_mask(finding.mask() - mask)


def restore(finding: FindingSegment, lesion: Lesion) -> None:
    """Move a lesion back from the rejected segment, undecided."""
    mask = SparseMask.of(lesion.mask)
    finding.set_mask(finding.mask() | mask)
    finding.set_rejected(finding.rejected() - mask)


def undecide(finding: FindingSegment, lesion: Lesion) -> None:
    """Take back what was decided."""
    if lesion.state is LesionState.REJECTED:
        restore(finding, lesion)
    finding.accepted = [seed for seed in finding.accepted if not _holds(lesion.mask, seed)]


def split(finding: FindingSegment, lesions: list[Lesion]) -> list[str]:
    """One segment per lesion that is not rejected, in a segmentation node of its own beside the finding's.

    Returns the IDs of the segments in the new node, which is the last segmentation node of the scene. The finding's
    own segment stays as it is.
    """
    source = finding.segmentation
    scene = source.GetScene()
    segment = source.GetSegmentation().GetSegment(finding.segment_id)
    name = _("{segmentation}: lesions of {segment}").format(segmentation=source.GetName(), segment=segment.GetName())
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name[:120])
    node.CreateDefaultDisplayNodes()
    parameter = slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()
    node.GetSegmentation().SetConversionParameter(parameter, source.GetSegmentation().GetConversionParameter(parameter))
    for name in source.GetAttributeNames():
        node.SetAttribute(name, source.GetAttribute(name))
    node.SetAttribute(ROLE, "lesions")
    node.SetAttribute(RESULT, source.GetAttribute(RESULT))
    for role in (VOLUME_REFERENCE, source.GetReferenceImageGeometryReferenceRole()):
        if source.GetNodeReferenceID(role):
            node.SetNodeReferenceID(role, source.GetNodeReferenceID(role))
    ids = []
    kept = [lesion for lesion in lesions if lesion.state is not LesionState.REJECTED]
    for number, lesion in enumerate(kept, start=1):
        identifier = f"{finding.segment_id}_lesion_{lesion.label}"
        copied = add_segment(
            node,
            identifier,
            f"{segment.GetName()} {lesion.label}"[:200],
            _shade(segment.GetColor(), number, len(kept)),
            lesion.mask,
            finding.geometry,
        )
        tag = copied.GetTerminologyEntryTagName()
        copied.SetTag(tag, tag_of(segment, tag))
        ids.append(identifier)
    put_beside(source, node)
    return ids


def longest_axial_diameter_mm(region: np.ndarray, geometry: VolumeGeometry) -> float:
    """Longest distance between voxel centres of one axial slice, plus one voxel, over all slices of `region` (k, j, i)."""
    axis = geometry.axial_axis
    steps_mm = geometry.spacing_mm[::-1][[a for a in range(3) if a != axis]]
    first, last, slices = _row_ends(np.moveaxis(region, axis, 0))
    first, last = first * steps_mm, last * steps_mm
    if len(slices) <= FEW_ROWS:
        return _longest_of_a_few(first, last, slices) + float(steps_mm.mean())
    seen_first, seen_last = first @ DIRECTIONS, last @ DIRECTIONS
    begins = np.flatnonzero(np.append(True, slices[1:] != slices[:-1]))
    low = np.minimum.reduceat(np.minimum(seen_first, seen_last), begins)
    high = np.maximum.reduceat(np.maximum(seen_first, seen_last), begins)
    reach = (high - low).max(1)
    longest = float(reach.max())  # as seen along the directions: the true one is at least that, and little more
    for number in np.argsort(-reach):
        far = longest * LEAST_SEEN
        if reach[number] <= far:  # no pair of this slice can be longer, nor of those that reach less
            break
        rows = slice(begins[number], begins[number + 1] if number + 1 < len(begins) else None)
        points, seen = (
            np.concatenate([one[rows], other[rows]]) for one, other in ((first, last), (seen_first, seen_last))
        )
        outer = (seen >= low[number] + far).any(1) | (seen <= high[number] - far).any(1)
        longest = max(longest, _largest_distance(points[outer]))
    return longest + float(steps_mm.mean())


def _measured(
    finding: FindingSegment, regions: Regions, voxels: np.ndarray | None, most: int | None = None
) -> list[Lesion]:
    """Every region measured, but what was measured of it before: after a decision most are as they were."""
    lesions = []
    all_of_them = most is None or len(regions.sizes) <= most
    for mask in regions.masks() if all_of_them else regions.highest(most or 0, finding.field.scores):
        place = _place(mask)
        known = finding.measured.get(place)
        if known is None or not np.array_equal(known.mask.voxels, mask.voxels):
            known = finding.measured[place] = _measured_anew(finding, mask)
        intensity = float(voxels[mask.slices][mask.voxels].mean()) if voxels is not None else None
        lesions.append(replace(known, mean_intensity=intensity))
    return lesions


def _place(mask: BoxMask) -> tuple[int, ...]:
    """A mask's box: regions that have the same one are few, and told apart by their voxels."""
    return (*mask.corner, *mask.voxels.shape)


def _measured_anew(finding: FindingSegment, mask: BoxMask) -> Lesion:
    """All but its intensity: the scan can change at any time, a finding's score map cannot."""
    region = mask.voxels
    scores = finding.field.within(mask)[region]
    return Lesion(
        label=0,
        state=LesionState.UNDECIDED,
        volume_ml=mask.count * finding.geometry.voxel_ml,
        longest_axial_diameter_mm=longest_axial_diameter_mm(region, finding.geometry),
        centre_ras_mm=finding.geometry.ras_of(_innermost(region) + mask.corner),
        mean_intensity=None,
        mean_score=float(scores.mean()),
        highest_score=float(scores.max()),
        mask=mask,
    )


def _innermost(region: np.ndarray) -> np.ndarray:
    """The voxel (k, j, i) of a region that lies nearest to its centre of mass: the centre itself may lie in a hole."""
    others = [tuple(a for a in range(3) if a != axis) for axis in range(3)]
    along = [np.count_nonzero(region, axis=axes) for axes in others]
    centre = np.array([np.average(np.arange(len(counts)), weights=counts) for counts in along])
    nearest = np.ceil(centre - 0.5).astype(int)  # of two that are as near the first
    if region[tuple(nearest)]:
        return nearest
    places = np.argwhere(region)
    return places[np.argmin(((places - centre) ** 2).sum(1))]


def _state(lesion: Lesion, seeds: list[tuple[int, int, int]]) -> LesionState:
    return LesionState.ACCEPTED if any(_holds(lesion.mask, seed) for seed in seeds) else LesionState.UNDECIDED


def _holds(mask: BoxMask, voxel: tuple[int, int, int]) -> bool:
    place = tuple(v - c for v, c in zip(voxel, mask.corner))
    return all(0 <= p < n for p, n in zip(place, mask.voxels.shape)) and bool(mask.voxels[place])


def _highest_voxel(finding: FindingSegment, mask: BoxMask) -> tuple[int, int, int]:
    """The voxel of the highest score: it stays in the lesion at any threshold that leaves something of it."""
    scores = np.where(mask.voxels, finding.field.within(mask), -1.0)
    k, j, i = (int(n) for n in np.add(np.unravel_index(int(scores.argmax()), scores.shape), mask.corner))
    return k, j, i


def _row_ends(region: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first and the last voxel of every row of slices (s, r, c) that holds one, each (n, 2) of (r, c), and the row's slice.

    The two voxels of a slice that are farthest apart are among them.
    """
    slices, numbers = np.nonzero(region.any(axis=2))
    rows = region[slices, numbers]
    first, last = rows.argmax(axis=1), region.shape[2] - 1 - rows[:, ::-1].argmax(axis=1)
    return np.stack([numbers, first], axis=1), np.stack([numbers, last], axis=1), slices


def _longest_of_a_few(first: np.ndarray, last: np.ndarray, slices: np.ndarray) -> float:
    """Between any two ends (n, 2) of rows in the same slice: all pairs at once, since a speck has few."""
    one, other = np.nonzero(slices[:, None] == slices[None])
    apart = np.concatenate([first[one] - last[other], first[one] - first[other], last[one] - last[other]])
    return float(np.sqrt((apart**2).sum(1).max()))


def _largest_distance(points: np.ndarray) -> float:
    """Between any two of the points (n, 2). Not scipy.spatial: loading it would stop Slicer for a second."""
    across, along = (np.subtract.outer(axis, axis) for axis in points.T)
    return float(np.sqrt((across**2 + along**2).max()))


def _shade(colour: tuple[float, float, float], number: int, count: int) -> tuple[float, float, float]:
    """The finding's colour, lighter from lesion to lesion."""
    share = 0.6 * (number - 1) / max(count, 1)
    red, green, blue = (c + (1 - c) * share for c in colour)
    return red, green, blue
