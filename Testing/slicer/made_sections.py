"""The sections of the panel in a container of their own, for tests."""

from __future__ import annotations

from pathlib import Path

import ctk
import qt
import slicer

from DiffuGTSSlicerLib.compare_section import CompareSection
from DiffuGTSSlicerLib.compare_view import CompareView
from DiffuGTSSlicerLib.findings_section import FindingsSection

UI = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer" / "Resources" / "UI"


def made_container(title: str) -> tuple[qt.QWidget, ctk.ctkCollapsibleButton]:
    """A panel with one collapsible section."""
    panel = qt.QWidget()
    column = qt.QVBoxLayout(panel)
    container = ctk.ctkCollapsibleButton()
    container.text = title
    qt.QVBoxLayout(container)
    column.addWidget(container)
    column.addStretch(1)
    return panel, container


def findings_section(scene, **listeners) -> tuple[qt.QWidget, FindingsSection, list[tuple[str, str]]]:
    """The panel, the section Findings in it, entered, and a list of what was chosen."""
    panel, container = made_container("Findings")
    chosen: list[tuple[str, str]] = []
    section = FindingsSection(
        container, str(UI / "FindingsSection.ui"), scene, lambda *key: chosen.append(key), **listeners
    )
    panel.resize(460, 700)
    panel.show()
    section.enter()
    return panel, section, chosen


def compare_section(scene) -> tuple[qt.QWidget, CompareSection, CompareView]:
    """The panel, the section Compare in it, entered, and its view."""
    panel, container = made_container("Compare")
    view = CompareView(scene, slicer.app.layoutManager())
    section = CompareSection(container, str(UI / "CompareSection.ui"), view)
    panel.resize(460, 200)
    panel.show()
    section.enter()
    return panel, section, view
