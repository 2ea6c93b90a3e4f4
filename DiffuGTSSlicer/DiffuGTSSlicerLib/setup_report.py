"""What a check found, as rows of a table and as text to copy."""

from __future__ import annotations

from collections.abc import Iterable

import qt
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.worker_check import OK, PROBLEM, WARNING, CheckReport, Found

CHECKSUM_SHOWN = 12


def fill_report_table(table: qt.QTableWidget, report: CheckReport | None) -> None:
    """Show the report's lines: what does not work first, then devices and models, then the rest."""
    lines = sorted(report.lines, key=_place) if report else []
    table.setRowCount(len(lines))
    table.verticalHeader().setVisible(False)
    for row, line in enumerate(lines):
        for column, text in enumerate((_name(line), _state(line.state), _found(line))):
            item = qt.QTableWidgetItem(text)
            item.setToolTip("\n".join(filter(None, (line.found, line.advice))))
            table.setItem(row, column, item)
    table.horizontalHeader().setStretchLastSection(True)
    table.resizeColumnToContents(0)
    table.resizeColumnToContents(1)
    table.verticalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)


def device_warnings(report: CheckReport | None) -> list[str]:
    """A sentence for every device that is there and does not work."""
    broken = [line for line in report.about("device") if line.state != OK] if report else []
    return [_("{device} is not used: {reason}").format(device=line.name.upper(), reason=line.found) for line in broken]


def report_as_text(state: str, report: CheckReport | None, log: Iterable[str]) -> str:
    """Everything for a report of a problem; nothing about patients is known here."""
    lines = [
        f"3D Slicer {slicer.app.applicationVersion}",
        state,
        "",
        *(f"{line.state:8} {line.topic:9} {line.name}: {line.found}" for line in (report.lines if report else ())),
        "",
        *log,
    ]
    return "\n".join(lines)


def _place(line: Found) -> tuple[int, int]:
    states, topics = (PROBLEM, WARNING, OK), ("device", "model", "program", "package", "resources")
    return (
        states.index(line.state) if line.state in states else 1,
        topics.index(line.topic) if line.topic in topics else len(topics),
    )


def _name(line: Found) -> str:
    kinds = {"device": _("Device {name}"), "model": _("Model {name}"), "resources": _("Free {name}")}
    return kinds.get(line.topic, "{name}").format(name=line.name)


def _state(state: str) -> str:
    return {OK: _("works"), WARNING: _("warning"), PROBLEM: _("problem")}.get(state, state)


def _found(line: Found) -> str:
    checksum = line.facts.get("weights_sha256", "")
    if checksum:
        return _("{title}, checksum {checksum}").format(
            title=line.facts.get("title", ""), checksum=checksum[:CHECKSUM_SHOWN]
        )
    return line.found if line.state == OK or not line.advice else f"{line.found} {line.advice}"
