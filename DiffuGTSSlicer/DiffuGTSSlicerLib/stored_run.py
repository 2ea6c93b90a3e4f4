"""The order of an earlier run, from the record that its nodes carry: to run it again, also from a saved scene."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from diffugts.protocol import Quality
from DiffuGTSSlicerLib.finding_rows import scan_of_result
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Order
from DiffuGTSSlicerLib.model_folders import ModelOption
from DiffuGTSSlicerLib.provenance import ResultRecord

CHECKSUM_SHOWN = 12
"""Characters of a checksum that are shown: enough to tell two apart."""


@dataclass(frozen=True)
class OrderOfThen(Order):
    """An order as it was for an earlier run: `model` is the name in its record, `weights_sha256` of the weights of then.

    A worker knows shipped models alone by their name, so that `with_model` has to find the folder first.
    """

    weights_sha256: str = ""

    def with_model(self, models: Iterable[ModelOption]) -> tuple[Order, str]:
        """The order for the model of then among those that are here, and what is to be said of it: empty, or a sentence
        where its weights are others.

        Equal weights count more than an equal name: a folder may have been renamed, and a name may mean another model by
        now. Where a check has not told the weights, the name is taken at its word. Raises ResultError where there is neither.
        """
        here = tuple(models)
        known = [model for model in here if self._closeness(model) > (False, False, False)]
        if not known:
            names = ", ".join(f"'{model.name}'" for model in here) or _("none")
            text = _(
                "The run was made with the model '{name}', which is not here (found: {names}). Choose the folder that holds it "
                "in Setup, or segment anew with another model."
            )
            raise ResultError(text.format(name=self.model, names=names))
        model = max(known, key=self._closeness)
        choices = {field.name: getattr(self, field.name) for field in fields(Order)} | {"model": str(model.folder)}
        return Order(**choices), self._difference(model)

    def _closeness(self, model: ModelOption) -> tuple[bool, bool, bool]:
        """How surely a model is the one of then; all False where it is another one."""
        named = self.model in (model.name_in_results, model.name)
        return model.weights_sha256 == self.weights_sha256, named and model.weights_sha256 is None, named

    def _difference(self, model: ModelOption) -> str:
        if model.weights_sha256 in (None, self.weights_sha256):
            return ""
        text = _(
            "The model '{name}' has other weights now (SHA-256 {now}…) than in that run ({then}…): the result may differ from "
            "that of then."
        )
        now, then = (str(checksum)[:CHECKSUM_SHOWN] for checksum in (model.weights_sha256, self.weights_sha256))
        return text.format(name=self.model, now=now, then=then)


def order_again(scene: slicer.vtkMRMLScene, record: ResultRecord) -> OrderOfThen:
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
    choices = {field.name: getattr(order, field.name) for field in fields(Order)} | {"region": made.region}
    return OrderOfThen(**choices, weights_sha256=made.weights_sha256)
