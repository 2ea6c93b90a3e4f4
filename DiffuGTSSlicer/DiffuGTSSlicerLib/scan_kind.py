"""Which kind of scan a volume of the scene is: what its DICOM series says, then its name, then its voxels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from diffugts.protocol.modality import looks_like_ct, modality_from_words, sequence_from_words

MOST_SAMPLED_VOXELS = 200_000


@dataclass(frozen=True)
class ScanKind:
    """`modality` is "CT", "MR", another DICOM word such as "PT", or None where nothing says it clearly; `sequence` of an
    MR, None where unknown."""

    modality: str | None
    sequence: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it is one that can be segmented."""
        return self.modality in ("CT", "MR")


def kind_of(volume: slicer.vtkMRMLScalarVolumeNode, chosen: str | None = None) -> ScanKind:
    """The kind of a volume that holds an image; `chosen` where the user says the modality. Takes a few milliseconds.

    The worker sees an exported file without the volume's name, which often is the only one to know the MR sequence.
    """
    stated, description = _dicom_facts(volume)
    words = f"{volume.GetName()} {description}"
    modality = chosen or stated or modality_from_words(words)
    if modality is None and looks_like_ct(sampled_voxels(volume)):
        modality = "CT"
    return ScanKind(modality, sequence_from_words(words) if modality == "MR" else None)


class KnownKinds:
    """Kinds that were found already: a panel asks at every key, and voxels are looked at once for each state of a volume."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], dict[str | None, ScanKind]]] = {}

    def of(self, volume: slicer.vtkMRMLScalarVolumeNode, chosen: str | None = None) -> ScanKind:
        """As `kind_of`."""
        state = (
            volume.GetName(),
            volume.GetMTime(),
            volume.GetImageData().GetMTime(),
            *_dicom_facts(volume),
        )
        identifier = volume.GetID()
        if identifier not in self._known or self._known[identifier][0] != state:
            self._known[identifier] = (state, {})
        known = self._known[identifier][1]
        if chosen not in known:
            known[chosen] = kind_of(volume, chosen)
        return known[chosen]


def sampled_voxels(volume: slicer.vtkMRMLScalarVolumeNode) -> np.ndarray:
    """Voxels from all over a volume, evenly apart, at most about 200,000."""
    voxels = slicer.util.arrayFromVolume(volume)
    step = max(1, int(np.ceil((voxels.size / MOST_SAMPLED_VOXELS) ** (1 / voxels.ndim))))
    return voxels[(slice(None, None, step),) * voxels.ndim].ravel()


def _dicom_facts(volume: slicer.vtkMRMLScalarVolumeNode) -> tuple[str | None, str]:
    """Modality and series description, where the volume came from the DICOM module."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(volume.GetScene())
    item = hierarchy.GetItemByDataNode(volume) if hierarchy else 0
    modality = hierarchy.GetItemAttribute(item, "DICOM.Modality") if item else ""
    return (modality.strip().upper() or None), (
        hierarchy.GetItemAttribute(item, "DICOM.SeriesDescription") if item else ""
    )
