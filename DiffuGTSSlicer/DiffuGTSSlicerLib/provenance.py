"""How a result was made, kept on its nodes: it survives saving and loading of the scene.

Every node of a result carries the whole record as JSON in one attribute, and the facts that a reader looks for as
attributes of their own.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from diffugts.protocol import FindingRecord, Provenance, Region, ResultManifest
from diffugts.protocol.records import record_of

PREFIX = "DiffuGTS."
ROLE, RECORD, RESULT, DESCRIPTION, SEGMENT = (
    PREFIX + n for n in ("Role", "Record", "Result", "Description", "Segment")
)
VOLUME_REFERENCE = "DiffuGTS.Volume"
"""Node reference role from every node of a result to the volume that it was made from."""


@dataclass(frozen=True)
class ResultRecord:
    """What is kept of a manifest: how it was made and each finding's outcome, without paths and file lists."""

    result: str
    volume_name: str
    provenance: Provenance
    findings: tuple[FindingRecord, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, manifest: ResultManifest, result: str, volume_name: str, notes: tuple[str, ...] = ()) -> ResultRecord:
        """The record of a manifest; `result` is the job's name."""
        return cls(result, volume_name, manifest.provenance, manifest.findings, (*manifest.notes, *notes))

    def mark(self, node: slicer.vtkMRMLNode, role: str, number: int | None = None) -> None:
        """Write the record onto a node of the result; `number` is the finding that it belongs to."""
        for name, value in self._attributes(role, number).items():
            # A model's folder may bear a name from an old encoding, which no node can hold as it is.
            node.SetAttribute(name, value.encode("utf-8", "replace").decode())

    def _attributes(self, role: str, number: int | None) -> dict[str, str]:
        made = self.provenance
        facts = {
            ROLE: role,
            RESULT: self.result,
            PREFIX + "Descriptions": json.dumps(
                made.descriptions, ensure_ascii=False
            ),  # a text may hold commas and quotes
            PREFIX + "Model": made.model,
            PREFIX + "WeightsSHA256": made.weights_sha256,
            PREFIX + "Quality": made.quality,
            PREFIX + "Device": made.device,
            PREFIX + "Seed": str(made.seed),
            PREFIX + "Thresholds": " ".join(f"{value:g}" for value in made.thresholds),
            PREFIX + "Created": made.created_utc,
            PREFIX + "Version": made.program_version,
            PREFIX + "Versions": ", ".join(f"{name} {version}" for name, version in made.versions.items()),
            RECORD: json.dumps(asdict(self), ensure_ascii=True),
        }
        if number is not None:
            finding = self.findings[number]
            facts |= {
                DESCRIPTION: finding.description,
                SEGMENT: finding.segment_id,
                PREFIX + "Verdict": finding.verdict,
                PREFIX + "HighestScore": f"{finding.highest_score:.4f}",
                PREFIX + "Threshold": f"{finding.threshold:g}",
            }
        return facts


def record_on(node: slicer.vtkMRMLNode) -> ResultRecord | None:
    """The record that a node carries, None where it is no node of a result. Raises ResultError where it is damaged."""
    text = node.GetAttribute(RECORD)
    if not text:
        return None
    try:
        return record_of(ResultRecord, json.loads(text))
    except ValueError as error:
        text = _("The record on '{name}' of how it was made is damaged ({reason}). The images are not affected.")
        raise ResultError(text.format(name=node.GetName(), reason=error)) from error


def methods_paragraph(record: ResultRecord) -> str:
    """A paragraph for a paper's methods section, in English, without anything about the patient."""
    made = record.provenance
    texts = ", ".join(f"“{finding.description}” (threshold {finding.threshold:.2f})" for finding in record.findings)
    libraries = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    kind = made.modality + (f" ({made.sequence})" if made.sequence else "")
    region = " inside a region of interest" if made.region else ""
    return (
        f"The {kind} volume was segmented{region} with {made.program} {made.program_version} for 3D Slicer, an "
        "implementation of text-prompted tumour segmentation with pseudo-healthy inpainting (Jiang et al., CVPR 2025, "
        f"arXiv:2505.02753), using the model “{made.model}” (SHA-256 of its weights {made.weights_sha256}) with the "
        f"{_plural(len(record.findings), 'text description')} {texts}. "
        f"Quality “{made.quality}”, random seed {made.seed}; connected regions (26-connectivity) below "
        f"{made.smallest_lesion_ml:g} ml were discarded. Computed on {made.created_utc} on {made.device} with "
        f"{libraries}. The software is for research use only."
    )


def region_in_words(region: Region | None) -> str:
    """A region for a tooltip."""
    if region is None:
        return _("whole volume")
    corners = (" ".join(f"{x:.1f}" for x in corner) for corner in (region.minimum_ras_mm, region.maximum_ras_mm))
    return _("{first} to {last} mm (RAS)").format(first=next(corners), last=next(corners))


def _plural(count: int, word: str) -> str:
    return word if count == 1 else word + "s"
