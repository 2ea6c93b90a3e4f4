"""The order of an earlier run, from the record that its nodes carry: to run it again, also from a saved scene."""

from __future__ import annotations

from dataclasses import replace

import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from diffugts.protocol import Quality
from DiffuGTSSlicerLib.finding_rows import scan_of_result
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Order
from DiffuGTSSlicerLib.provenance import ResultRecord


def order_again(scene: slicer.vtkMRMLScene, record: ResultRecord) -> Order:
    """What was asked then, on the volume as it is now: texts, model, quality, seed, threshold, smallest lesion, region.

    The device is chosen anew: the one of then may not be in this computer. Raises ResultError where the volume was
    deleted or the record names a quality that this version does not have, ScanError where the volume cannot be
    segmented any more.
    """
    volume = scan_of_result(scene, record.result)
    if volume is None:
        raise ResultError(
            _(
                "The volume '{name}' is not in the scene any more, so that the run cannot be made again. "
                "Load the volume and segment it."
            ).format(name=record.volume_name)
        )
    made = record.provenance
    try:
        quality = Quality(made.quality)
    except ValueError as error:
        known = ", ".join(quality.value for quality in Quality)
        text = _("The run was made with quality '{met}', expected one of {known}. Segment anew with one of these.")
        raise ResultError(text.format(met=made.quality, known=known)) from error
    thresholds = set(made.thresholds)
    order = freeze_order(
        volume,
        made.descriptions,
        model=made.model,
        quality=quality,
        modality=made.modality,
        sequence=made.sequence,
        threshold=thresholds.pop() if len(thresholds) == 1 else None,
        smallest_lesion_ml=made.smallest_lesion_ml,
        seed=made.seed,
    )
    return replace(order, region=made.region)
