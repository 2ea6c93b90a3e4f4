"""The collapsed group Advanced of Describe: threshold, smallest lesion and seed, which most users never need.

What is not as usual is named in the group's title, so that a setting from last week is seen although the group is closed.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from diffugts.protocol import Choices
from DiffuGTSSlicerLib.preflight import ModelLimits

MODELS_OWN = 0.0
"""The threshold that stands for the model's own; as a threshold it would mark everything."""

USUAL = {each.name: each.default for each in fields(Choices)}


class AdvancedChoices:
    """Shows the three choices of a parameter node; Slicer keeps the fields and the node in step.

    Args:
        ui: the widgets of DiffuGTSSlicer.ui.
    """

    def __init__(self, ui: Any) -> None:
        self._ui = ui
        self._threshold_of: tuple[str, str] | None = None
        ui.advancedGroup.collapsed = True

    @property
    def widgets(self) -> tuple[Any, ...]:
        """The fields that Slicer connects with the parameter node."""
        return self._ui.thresholdField, self._ui.smallestLesionField, self._ui.seedField

    def take_typed(self) -> None:
        """Take numbers whose typing was not ended: a shortcut, and on macOS a button, leaves the keyboard in the field."""
        for field in self.widgets:
            field.interpretText()

    def show(self, parameters: Any, model: str) -> None:
        """Say what is chosen, and which threshold the model in a folder has at the chosen quality.

        `parameters` None: nothing can be chosen.
        """
        self._ui.advancedGroup.enabled = parameters is not None
        quality = parameters.quality.value if parameters is not None else ""
        if self._threshold_of != (model, quality):  # this is called at every key, and looks at the disk
            self._threshold_of = (model, quality)
            own = ModelLimits.of(Path(model)).threshold_of(quality)
            self._ui.thresholdField.specialValueText = _models_own(own)
        unusual = _unusual(parameters) if parameters is not None else []
        self._ui.advancedGroup.title = (
            _("Advanced: {choices}").format(choices=", ".join(unusual)) if unusual else _("Advanced")
        )


def chosen_fields(parameters: Any) -> dict[str, Any]:
    """The fields of an `Order` that are chosen here."""
    return {
        "threshold": parameters.threshold if parameters.threshold > MODELS_OWN else None,
        "smallest_lesion_ml": parameters.smallestLesionMl,
        "seed": parameters.seed,
    }


def _unusual(parameters: Any) -> list[str]:
    chosen = chosen_fields(parameters)
    words = {
        "threshold": _("threshold {value:.2f}"),
        "smallest_lesion_ml": _("smallest lesion {value:g} ml"),
        "seed": _("seed {value}"),
    }
    return [words[name].format(value=value) for name, value in chosen.items() if value != USUAL[name]]


def _models_own(threshold: float | None) -> str:
    return _("the model's own") if threshold is None else _("the model's own, {value:.2f}").format(value=threshold)
