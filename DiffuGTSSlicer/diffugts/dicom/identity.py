"""Who made a DICOM object: this program, its version and the model, in the words that every object of a result carries."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import highdicom as hd
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from diffugts.protocol import ResultManifest

PROGRAM = "DiffuGTS"
RESEARCH_USE = "Research use only. Not a medical device."
LONGEST_NAME = 64
"""Characters of a LO value, such as a label or a series description (PS3.5, 6.2)."""

TEXTS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""Value representations that the character set decides on (PS3.5, 6.1.2.3)."""


@dataclass(frozen=True)
class Maker:
    """This program as the equipment that made an object; `serial_number` is the model's checksum, which is what sets two
    installations apart.
    """

    version: str
    model: str
    serial_number: str
    parameters: dict[str, str]

    @classmethod
    def of(cls, manifest: ResultManifest) -> Maker:
        """The maker of a result."""
        made = manifest.provenance
        parameters = {
            "Model": made.model,
            "Model weights SHA-256": made.weights_sha256,
            "Quality": made.quality,
            "Seed": str(made.seed),
            "Smallest lesion (ml)": f"{made.smallest_lesion_ml:g}",
        }
        serial = made.weights_sha256[:LONGEST_NAME] or "unknown"
        return cls(made.program_version, made.model[:LONGEST_NAME] or "unknown", serial, parameters)

    @property
    def model_name(self) -> str:
        """As in ManufacturerModelName."""
        return f"{PROGRAM} {self.model}"[:LONGEST_NAME]

    def algorithm(self, threshold: float | None = None) -> hd.AlgorithmIdentificationSequence:
        """The algorithm identification of a segment; with the threshold that cut it, where one did."""
        parameters = dict(self.parameters)
        if threshold is not None:
            parameters["Threshold"] = f"{threshold:.6g}"
        return hd.AlgorithmIdentificationSequence(
            name=PROGRAM,
            family=codes.cid7162.ArtificialIntelligence,
            version=self.version,
            source=PROGRAM,
            parameters=parameters,
        )

    def synthesizing_equipment(self) -> Dataset:
        """This program as contributing equipment that synthesized images."""
        item = Dataset()
        item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(codes.cid7005.SynthesizingEquipment)]
        item.Manufacturer, item.ManufacturerModelName = PROGRAM, self.model_name
        item.DeviceSerialNumber, item.SoftwareVersions = self.serial_number, self.version
        item.ContributionDescription = (
            "Computed the pixel values with a generative model; they were not acquired from the patient."
        )
        item.ContributionDateTime = datetime.datetime.now().strftime("%Y%m%d%H%M%S")
        return item


def new_uid() -> str:
    """A UID that no other object has, of the root that is anybody's (PS3.5, B.2)."""
    return str(generate_uid(prefix=None))


def plain(text: str, longest: int) -> str:
    """A text as a DICOM value holds it: one line, no backslash, cut to the longest that is allowed."""
    line = " ".join("".join(sign if sign.isprintable() and sign != "\\" else " " for sign in text).split())
    return line if len(line) <= longest else line[: longest - 3].rstrip() + "..."


def use_unicode_where_needed(dataset: Dataset) -> None:
    """Have an object written in UTF-8 if any of its texts needs more than ASCII, in ASCII otherwise.

    Whatever the source was written in: its texts are decoded by then.
    """
    if "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
    if not all(str(element.value).isascii() for element in dataset.iterall() if element.VR in TEXTS):
        dataset.SpecificCharacterSet = "ISO_IR 192"
