"""The layout of the comparison: three slice views with nodes and a view group of their own."""

from __future__ import annotations

from enum import Enum
from xml.sax.saxutils import quoteattr

LAYOUT_ID = 9471
VIEW_GROUP = 47


class Pane(Enum):
    """The panes from left to right: the tag of the slice view and the word on its bar."""

    SCAN = ("DiffuGTSScan", "Scan", "#F34A33")
    SCORE = ("DiffuGTSScore", "Score", "#EDD54C")
    HEALTHY = ("DiffuGTSHealthy", "Healthy", "#6EB04B")

    @property
    def tag(self) -> str:
        """The slice view's singleton tag, by which the layout manager knows it."""
        return self.value[0]


class Plane(Enum):
    """The plane of all panes, by Slicer's name for it."""

    AXIAL = "Axial"
    CORONAL = "Coronal"
    SAGITTAL = "Sagittal"


def layout_description() -> str:
    """The layout as Slicer's XML: three slice views beside each other, all axial, linked among themselves only."""
    items = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag={quoteattr(pane.tag)}>'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{pane.value[1]}</property>'
        f'<property name="viewcolor" action="default">{pane.value[2]}</property>'
        f'<property name="viewgroup" action="default">{VIEW_GROUP}</property>'
        "</view></item>"
        for pane in Pane
    )
    return f'<layout type="horizontal" split="true">{items}</layout>'
