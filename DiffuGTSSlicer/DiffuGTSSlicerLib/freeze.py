"""What the user asks, taken from the scene at the moment of the click and independent of it from then on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer
from slicer.i18n import tr as _

from diffugts.errors import RequestError
from diffugts.protocol.lines import description_lines
from DiffuGTSSlicerLib.export import region_of, require_suitable
from DiffuGTSSlicerLib.job import Order


def freeze_order(
    volume: slicer.vtkMRMLScalarVolumeNode | None,
    descriptions: Sequence[str],
    roi: slicer.vtkMRMLMarkupsROINode | None = None,
    **choices: Any,
) -> Order:
    """The order for a volume; `choices` are the other fields of `Order` (model, quality, device, threshold, seed...).

    Empty lines among the descriptions are passed over, as is a line that comes twice. Raises RequestError or ScanError
    with a sentence where something is missing or cannot be segmented.
    """
    if volume is None:
        raise RequestError(_("No volume is chosen. Load a CT or MR volume and choose it."))
    lines = tuple(dict.fromkeys(description_lines(descriptions)))
    if not lines:
        raise RequestError(_("No description is given. Type one per line, for example 'hypodense liver metastasis'."))
    choices.setdefault("modality", dicom_modality(volume))
    return Order(
        volume_id=volume.GetID(),
        volume_name=volume.GetName(),
        geometry=require_suitable(volume),
        descriptions=lines,
        region=region_of(roi) if roi is not None else None,
        parent_item=_parent_item(volume),
        **choices,
    )


def dicom_modality(volume: slicer.vtkMRMLScalarVolumeNode) -> str | None:
    """ "CT" or "MR" where the volume's DICOM series said so, else None: the engine then looks at the voxels."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    item = hierarchy.GetItemByDataNode(volume) if hierarchy else 0
    modality = hierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    return modality if modality in ("CT", "MR") else None


def _parent_item(volume: slicer.vtkMRMLScalarVolumeNode) -> int:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    item = hierarchy.GetItemByDataNode(volume) if hierarchy else 0
    return int(hierarchy.GetItemParent(item)) if item else 0
