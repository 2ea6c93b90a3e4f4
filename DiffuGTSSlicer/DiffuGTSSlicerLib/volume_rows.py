"""What the table of all volumes says: a row for each volume and description, and one for a volume whose job came to nothing.

Of several runs the newest one counts. All but the jobs that came to nothing is read from the scene's results, so that it is
the same in a scene loaded from a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.finding_rows import FindingRow, scan_of_result
from DiffuGTSSlicerLib.job import Job, JobState

DONE, FAILED, CANCELLED = (state.value for state in (JobState.DONE, JobState.FAILED, JobState.CANCELLED))


@dataclass(frozen=True)
class VolumeRow:
    """One row.

    `volume_id` is empty where the volume was deleted; `description` where all descriptions of a job came to nothing;
    `finding` is None where there is none, `reason` the sentence that says why then.
    """

    volume_name: str
    volume_id: str
    state: str
    description: str = ""
    finding: FindingRow | None = None
    reason: str = ""

    @property
    def volume(self) -> str:
        """What tells its volume from the others: two may have the same name."""
        return self.volume_id or self.volume_name


def rows_over_volumes(
    scene: slicer.vtkMRMLScene, findings: Iterable[FindingRow], came_to_nothing: Iterable[Job] = ()
) -> list[VolumeRow]:
    """The rows, volume by volume in the order of the scene; those of deleted volumes at the end.

    `findings` come newest first, all of a result one after the other.
    """
    volume_ids: dict[str, str] = {}
    found: list[VolumeRow] = []
    unfinished: list[VolumeRow] = []
    for finding in findings:
        record = finding.record
        if record.result not in volume_ids:
            volume = scan_of_result(scene, record.result)
            volume_id = volume_ids[record.result] = volume.GetID() if volume is not None else ""
            left = set(record.provenance.descriptions) - {each.description for each in record.findings}
            for text in filter(left.__contains__, record.provenance.descriptions):
                unfinished.append(VolumeRow(record.volume_name, volume_id, CANCELLED, text, reason=_unfinished()))
        found.append(VolumeRow(record.volume_name, volume_ids[record.result], DONE, finding.description, finding))
    newest: dict[tuple[str, str], VolumeRow] = {}
    for row in (*found, *unfinished):  # what an earlier run found is more than what a later one left undone
        newest.setdefault((row.volume, row.description), row)
    rows = [*newest.values()]
    for job in came_to_nothing:
        present = scene.GetNodeByID(job.order.volume_id) is not None
        volume_id = job.order.volume_id if present else ""
        rows.append(VolumeRow(job.order.volume_name, volume_id, job.state.value, reason=job.reason))
    ordered = [node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene)]
    places = {identifier: place for place, identifier in enumerate(ordered)}
    return sorted(rows, key=lambda row: (places.get(row.volume_id, len(places)), row.volume))


def _unfinished() -> str:
    return _("The job was cancelled before this description was finished.")
