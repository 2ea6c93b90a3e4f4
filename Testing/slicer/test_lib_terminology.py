"""Coded names of segments: the words decide, the codes are DICOM's, and Slicer finds them in its own lists."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import slicer

from diffugts.protocol.coded_concepts import ALTERED_STRUCTURE, LEFT, LESION, REGIONS, RIGHT, TYPES
from diffugts.protocol.coded_names import CONTEXT, REGION_CONTEXT, terminology_entry
from DiffuGTSSlicerLib.terminology import set_terminology

SLICERS_LESION_TYPES = {
    "4147007": "Mass",
    "27925004": "Nodule",
    "367643001": "Cyst",
    "75753009": "Blood clot",
    "55584005": "Embolus",
    "79654002": "Edema",
    "50960005": "Hemorrhage",
    "23583003": "Inflammation",
    "44132006": "Abscess",
    "6574001": "Necrosis",
    "86049000": "Neoplasm, Primary",
    "14799000": "Neoplasm, Secondary",
    "108369006": "Neoplasm",
}
"""All types of the category "Morphologically Altered Structure" in Slicer's "DICOM master list"
(SegmentationCategoryTypeModifier-DICOM-Master.json of Slicer's Terminologies module, August 2026)."""

NOT_IN_SLICERS_LISTS = {"Lesion", "Buttock", "Bone", "Tibia"}
"""What we use of DICOM's lists though Slicer's "DICOM master list" lacks it: a segment shows it, a selector does not."""

WORDED_OTHERWISE = {
    "49755003": "Morphologically Abnormal Structure",
    "23583003": "Inflammation (morphologic abnormality)",
    "15425007": "Peritoneum (serous membrane) structure (body structure)",
    "51185008": "Thoracic structure (body structure)",
    "113345001": "Abdominal structure (body structure)",
    "12921003": "Pelvic structure (body structure)",
}
"""Concepts whose name in DICOM's dictionary is worded otherwise than in Slicer."""


def dicom_meanings() -> dict[str, set[str]]:
    """SNOMED CT codes of DICOM PS3.16 with their meanings, as the package pydicom has them."""
    concepts = pytest.importorskip("pydicom.sr._concepts_dict").concepts["SCT"]
    meanings: dict[str, set[str]] = {}
    for entries in concepts.values():
        for code, (meaning, _) in entries.items():
            meanings.setdefault(code, set()).add(meaning)
    return meanings


def test_every_code_means_in_dicom_what_it_means_here() -> None:
    dicom = dicom_meanings()
    for concept in (ALTERED_STRUCTURE, *TYPES, *REGIONS, LEFT, RIGHT):
        met = {meaning.lower() for meaning in dicom.get(concept.code, set())}
        expected = WORDED_OTHERWISE.get(concept.code, concept.meaning).lower()
        assert expected in met, f"{concept.code} is '{concept.meaning}' here and {met or 'nothing'} in DICOM"


def test_every_type_but_one_is_in_slicer_s_own_list() -> None:
    assert {concept.code: concept.meaning for concept in TYPES if concept is not LESION}.items() <= (
        SLICERS_LESION_TYPES.items()
    )
    assert LESION.meaning in NOT_IN_SLICERS_LISTS


def test_no_concept_is_there_twice() -> None:
    codes = [concept.code for concept in (*TYPES, *REGIONS)]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("description", "kind", "region", "side"),
    [
        ("hypodense liver metastasis", "Neoplasm, Secondary", "Liver", ""),
        ("metastases in the left lung", "Neoplasm, Secondary", "Lung", "Left"),
        ("brain mets", "Neoplasm, Secondary", "Brain", ""),
        ("metastatic lymph nodes", "Neoplasm, Secondary", "Lymph node", ""),
        ("metastatic melanoma", "Neoplasm, Secondary", "", ""),
        ("breast cancer metastasis", "Neoplasm, Secondary", "", ""),
        ("metastasis of renal cell carcinoma", "Neoplasm, Secondary", "", ""),
        ("renal cell carcinoma metastasis in the liver", "Neoplasm, Secondary", "Liver", ""),
        ("colorectal liver metastasis", "Neoplasm, Secondary", "Liver", ""),
        ("renal cell carcinoma", "Neoplasm", "Kidney", ""),
        ("Soft tissue SARCOMA of the right thigh", "Neoplasm", "Thigh", "Right"),
        ("glioblastoma", "Neoplasm", "", ""),
        ("meningiomas", "Neoplasm", "", ""),
        ("lung cancer", "Neoplasm", "Lung", ""),
        ("HCC", "Neoplasm", "Liver", ""),
        ("necrotic tumour with oedema", "Neoplasm", "", ""),
        ("tumor necrosis", "Necrosis", "", ""),
        ("oedema around the tumour", "Edema", "", ""),
        ("cystic mass in the pancreatic head", "Mass", "Pancreas", ""),
        ("left renal cyst", "Cyst", "Kidney", "Left"),
        ("intracranial haematoma", "Hemorrhage", "Brain", ""),
        ("pulmonary embolism", "Embolus", "Lung", ""),
        ("pulmonary nodule, spiculated", "Nodule", "Lung", ""),
        ("liver abscess", "Abscess", "Liver", ""),
        ("granuloma", "Inflammation", "", ""),
        ("white matter lesion", "Lesion", "", ""),
        ("tumour of the bladder neck", "Neoplasm", "Bladder", ""),
        ("gall bladder carcinoma", "Neoplasm", "Gallbladder", ""),
        ("thoracic spine metastasis", "Neoplasm, Secondary", "Spine", ""),
        ("tumour of the renal pelvis", "Neoplasm", "Kidney", ""),
        ("tumour between left and right kidney", "Neoplasm", "Kidney", ""),
        ("mass between liver and kidney", "Mass", "", ""),
        ("something dark in the stroma", "Mass", "", ""),
        ("Lebertumor", "Mass", "", ""),
        ("", "Mass", "", ""),
        ("~^~ tumour ^ of the ~ liver", "Neoplasm", "Liver", ""),
    ],
)
def test_the_words_decide_on_type_region_and_side(description: str, kind: str, region: str, side: str, host) -> None:
    entry = slicer.vtkSlicerTerminologyEntry()
    assert slicer.vtkSlicerTerminologiesModuleLogic.DeserializeTerminologyEntry(terminology_entry(description), entry)
    assert entry.GetTypeObject().GetCodeMeaning() == kind
    assert (entry.GetRegionObject().GetCodeMeaning() or "") == region
    assert (entry.GetRegionModifierObject().GetCodeMeaning() or "") == side


def test_slicer_finds_the_types_by_code_in_the_list_that_the_entry_names(tmp_path: Path, host) -> None:
    """With a list written here: the files of Slicer's own are part of the application, which is absent."""
    types = [
        {"CodingSchemeDesignator": "SCT", "CodeValue": code, "CodeMeaning": meaning}
        for code, meaning in SLICERS_LESION_TYPES.items()
    ]
    category = {
        "CodingSchemeDesignator": "SCT",
        "CodeValue": ALTERED_STRUCTURE.code,
        "CodeMeaning": ALTERED_STRUCTURE.meaning,
        "showAnatomy": True,
        "Type": types,
    }
    listed = {
        "@schema": "https://raw.githubusercontent.com/qiicr/dcmqi/master/doc/segment-context-schema.json#",
        "SegmentationCategoryTypeContextName": CONTEXT,
        "SegmentationCodes": {"Category": [category]},
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps(listed), encoding="utf-8")
    logic = slicer.vtkSlicerTerminologiesModuleLogic()
    host.faults.take_vtk_errors()
    assert logic.LoadTerminologyFromFile(str(path)) == CONTEXT
    for description in ("hypodense liver metastasis", "renal cell carcinoma", "cyst", "something"):
        entry = slicer.vtkSlicerTerminologyEntry()
        logic.DeserializeTerminologyEntry(terminology_entry(description), entry)
        kind = entry.GetTypeObject()
        found = logic.FindTerminologyNames("SCT", ALTERED_STRUCTURE.code, "SCT", kind.GetCodeValue(), "", "", [])
        assert CONTEXT in found, description


def test_a_segment_keeps_its_entry(host) -> None:
    segment = slicer.vtkSegment()
    set_terminology(segment, "liver metastasis")
    assert segment.GetTerminology().split("~")[4] == REGION_CONTEXT
    assert segment.GetTerminology().split("~")[5] == "SCT^10200004^Liver"
