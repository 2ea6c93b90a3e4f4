"""What the user has chosen, and what is still missing for an order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import slicer
from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError, RequestError, ScanError
from diffugts.protocol import Quality
from diffugts.protocol.lines import description_lines
from DiffuGTSSlicerLib.export import region_of, require_suitable
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Order
from DiffuGTSSlicerLib.scan_kind import ScanKind, kind_of
from DiffuGTSSlicerLib.sentences_about import about
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry


@dataclass(frozen=True)
class SegmentationInputs:
    """The choices as they are now.

    `modality` is "CT", "MR", or None where the volume itself is to say it; `more` are other fields of `Order`
    (threshold, smallest_lesion_ml, seed); `find_kind` answers which kind of scan a volume is.
    """

    volume: slicer.vtkMRMLScalarVolumeNode | None
    descriptions: Sequence[str]
    roi: slicer.vtkMRMLMarkupsROINode | None = None
    quality: Quality | str = Quality.STANDARD
    model: str = "compact"
    device: str = "auto"
    modality: str | None = None
    more: dict[str, Any] = field(default_factory=dict)
    find_kind: Callable[[slicer.vtkMRMLScalarVolumeNode, str | None], ScanKind] = kind_of

    def missing(self) -> tuple[str, ...]:
        """A sentence for everything that is missing or does not do; empty where `order` can be made."""
        found = list(self.problems())
        if self.volume is None:
            found.insert(0, _no_volume())
        if not description_lines(self.descriptions):
            found.append(no_description())
        if not found:
            try:
                self.order()
            except DiffuGTSError as error:
                found.append(str(error))
        return tuple(found)

    def problems(self) -> tuple[str, ...]:
        """A sentence for everything that was chosen and does not do."""
        checks: list[Callable[[], object]] = [self.kind] if self.volume is not None else []
        if self.roi is not None:
            checks.append(partial(region_of, self.roi))
        return tuple(problem for problem in map(_problem_of, checks) if problem)

    def order(self) -> Order:
        """The order, independent of the scene from now on. Raises RequestError or ScanError with a sentence."""
        kind = self.kind()
        return freeze_order(
            self.volume,
            self.descriptions,
            self.roi,
            quality=self.quality,
            model=self.model,
            device=self.device,
            modality=kind.modality,
            sequence=kind.sequence,
            **self.more,
        )

    def kind(self) -> ScanKind:
        """Which kind of scan it is, as chosen or as the volume says. Raises RequestError or ScanError where it is none."""
        self.geometry()
        kind = self.find_kind(self.volume, self.modality)
        if kind.modality is None:
            raise ScanError(_("Say whether the volume is CT or MR: neither its name nor its voxels tell."))
        if not kind.usable:
            text = _("The volume is '{modality}' by its DICOM data; only CT and MR can be segmented.")
            raise ScanError(text.format(modality=kind.modality))
        return kind

    def for_each(self, volumes: Sequence[slicer.vtkMRMLScalarVolumeNode]) -> tuple[SegmentationInputs, ...]:
        """The same choices for each of several volumes. The region belongs to the volume that is chosen here, to no other."""
        return tuple(replace(self, volume=each, roi=self.roi if each is self.volume else None) for each in volumes)

    def geometry(self) -> VolumeGeometry:
        """The volume's grid in world coordinates. Raises RequestError or ScanError where there is none."""
        if self.volume is None:
            raise RequestError(_no_volume())
        return require_suitable(self.volume)


def orders_of(each: Sequence[SegmentationInputs]) -> tuple[Order, ...]:
    """The orders for several volumes, all or none.

    Raises RequestError, or ScanError with a sentence that names the volume.
    """
    if not each:
        raise RequestError(_no_volume())
    orders = []
    for inputs in each:
        try:
            orders.append(inputs.order())
        except ScanError as error:
            raise ScanError(about(inputs.volume.GetName() if inputs.volume is not None else "", str(error))) from error
    return tuple(orders)


def no_description() -> str:
    """What is said where there is no description."""
    return _("Type at least one description of what to look for.")


def _problem_of(check: Callable[[], object]) -> str:
    """The sentence that a check raises, empty where it passes."""
    try:
        check()
    except DiffuGTSError as error:
        return str(error)
    return ""


def _no_volume() -> str:
    return _("Choose a volume: load a CT or MR volume first if there is none.")
