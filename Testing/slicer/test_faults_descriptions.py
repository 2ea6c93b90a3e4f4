"""Whatever a person may type: it is asked as it was typed, and comes back as segments that bear it."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer
from job_bench import job_bench, stand_in_worker
from made_volumes import made_volume

from diffugts.errors import RequestError
from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.provenance import record_on

AWKWARD = {
    "2,000 characters": "metastasis " * 182,
    "right to left": "ورم خبيث في الكبد مع نقائل",
    "emoji": "🩻 tumour 👩‍⚕️",
    "quotes": """liver "metastasis" 'hypodense' `x` «y»""",
    "path": "../../etc/passwd",
    "Windows path": r"C:\\Users\\x\\CON.nrrd",
    "separators": "a|b:=c;d~e^f%20g",
    "markup": "<b>tumour</b> & <script>alert(1)</script>",
    "format signs": "{0} {name} %s %(x)d",
    "an option": "--output=/",
    "Chinese": "肝转移瘤",
}


def segmented(scene, folder: Path, *texts: str) -> Job:
    (folder / "model").mkdir(exist_ok=True)
    order = freeze_order(made_volume(), texts, modality="CT", model=str(folder / "model"))
    with job_bench(scene, folder / "jobs", stand_in_worker(0.0)) as b:
        job = b.run(order)
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"
    return job


def test_every_awkward_description_comes_back_letter_by_letter(scene, tmp_path: Path):
    texts = tuple(text.strip() for text in AWKWARD.values())
    job = segmented(scene, tmp_path, *texts)
    segmentation = scene.GetNodeByID(job.result.segmentation_id)
    assert tuple(finding.description for finding in record_on(segmentation).findings) == texts
    for number, text in enumerate(texts, start=1):
        finding = FindingSegment.of_result(scene, job.name, f"finding_{number}")
        name = segmentation.GetSegmentation().GetSegment(finding.segment_id).GetName()
        assert name == text if len(text) <= 200 else (name.endswith("…") and text.startswith(name[:-1]))
    assert not (tmp_path.parent / "etc").exists()
    assert {path.parent for path in (tmp_path / "jobs").rglob("*.nrrd")} == {job.folder, job.result_folder}


def test_fifty_descriptions_are_fifty_segments(scene, tmp_path: Path):
    job = segmented(scene, tmp_path, *(f"lesion number {n}" for n in range(50)))
    segments = scene.GetNodeByID(job.result.segmentation_id).GetSegmentation()
    assert segments.GetNumberOfSegments() == len(job.result.score_map_ids) == 50
    assert segments.GetSegment("finding_50").GetName() == "lesion number 49"


def test_what_a_keyboard_composes_or_hides_is_asked_in_one_form(scene, tmp_path: Path):
    """macOS types é as two characters; a paste may bring tabs, line ends of other systems and marks without a shape."""
    job = segmented(
        scene, tmp_path, "le\u0301sion\tdu foie", "cyst\u2028abscess\r\nnodule", "\u200b", "\u200ftumour\x00"
    )
    assert job.order.descriptions == ("l\u00e9sion du foie", "cyst", "abscess", "nodule", "\u200ftumour")
    assert len(job.result.score_map_ids) == 5


@pytest.mark.parametrize("texts", [(), ("",), ("  ", "\n", "\t"), ("\u200b\u200f",)])
def test_no_description_is_a_sentence_at_the_click(scene, texts: tuple[str, ...]):
    with pytest.raises(RequestError, match="No description is given. Type one per line"):
        freeze_order(made_volume(), texts)


def test_more_than_the_engine_takes_is_a_sentence_at_the_click(scene):
    with pytest.raises(RequestError, match="201 descriptions, at most 200 are taken at once"):
        freeze_order(made_volume(), tuple(f"lesion {n}" for n in range(201)))
    with pytest.raises(RequestError, match="has 10001 characters, at most 10000 are taken"):
        freeze_order(made_volume(), ("x" * 10_001,))


def test_a_lone_half_of_a_character_does_not_stop_a_job(scene, tmp_path: Path):
    job = segmented(scene, tmp_path, "tumour \ud83d")
    assert job.order.descriptions == ("tumour \ufffd",)
    assert slicer.mrmlScene.GetNodeByID(job.result.segmentation_id) is not None
