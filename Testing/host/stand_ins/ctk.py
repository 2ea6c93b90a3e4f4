"""The module `ctk` of 3D Slicer, as far as the host has stand-ins for its widgets."""

import host.ctk_inputs
import host.ctk_sections  # noqa: F401  (declares the stand-ins)
from host.stand_in_classes import STAND_INS, explain_missing_class

globals().update(STAND_INS.named_like("ctk"))


def __getattr__(name):
    raise explain_missing_class("ctk", name)
