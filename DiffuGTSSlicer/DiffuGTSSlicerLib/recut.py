"""Cutting a segment anew from its stored score map: at once, without the worker, keeping what was done by hand.

What was done by hand is what differs from the last cut: voxels added stay, voxels removed stay away. A lesion that was
rejected stays rejected as long as it is not joined with one that was not.
"""

from __future__ import annotations

from dataclasses import dataclass

from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.sparse_mask import SparseMask


@dataclass(frozen=True)
class HandWork:
    """Voxels that differ from the last cut, rejected lesions aside."""

    added: SparseMask
    removed: SparseMask

    def __bool__(self) -> bool:
        return bool(self.added.count or self.removed.count)


def hand_work(finding: FindingSegment) -> HandWork:
    """What the user drew and erased since the last cut."""
    return _hand_work(finding, finding.mask(), finding.rejected())


def _hand_work(finding: FindingSegment, now: SparseMask, rejected: SparseMask) -> HandWork:
    cut = _without_rejected(finding, finding.last_cut(), rejected, now)
    return HandWork(added=now - cut, removed=cut - now)


def recut(
    finding: FindingSegment, threshold: float, smallest_lesion_ml: float, keep_hand_work: bool = True
) -> HandWork:
    """Cut a segment at another threshold or smallest lesion, and return the work by hand that was met.

    Args:
        threshold: 0..1, scores above it are kept.
        smallest_lesion_ml: connected regions below it are left out; what was drawn by hand is kept at any size.
        keep_hand_work: False where the user said that drawn and erased voxels are to go.

    Raises ValueError for a threshold outside 0..1, ResultError where the segment is gone.
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold is {threshold}, expected 0..1")
    now, rejected = finding.mask(), finding.rejected()
    work = _hand_work(finding, now, rejected)
    cut = _without_rejected(finding, finding.cut(threshold, smallest_lesion_ml), rejected, now)
    if keep_hand_work and work:
        cut = (cut | work.added) - work.removed
    finding.set_mask(cut)
    finding.note_cut(threshold, smallest_lesion_ml)
    return work


def _without_rejected(finding: FindingSegment, cut: SparseMask, rejected: SparseMask, kept: SparseMask) -> SparseMask:
    """A cut without the regions that hold a rejected lesion and nothing of a lesion that is not."""
    if rejected.count == 0:
        return cut
    regions = finding.regions_of(cut)
    return regions.union(regions.touched_by(kept) | ~regions.touched_by(rejected)) - rejected
