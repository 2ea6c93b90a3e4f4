"""What each stage brings: the stages taken apart give what the pipeline gives, and the table adds them up rightly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_datasets as made
from diffugts.evaluation.cases import EvaluationCase
from diffugts.evaluation.methods import PipelineMethod
from diffugts.evaluation.overlap import dice
from diffugts.evaluation.records import CaseRecord
from diffugts.evaluation.report import stage_table
from diffugts.evaluation.stage_summary import summarise_stages
from diffugts.evaluation.stages import OWN_REFINEMENT, attention_stage, stage_results
from diffugts.evaluation.studies import ModelStudies
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.preset import TWO_LOOKS
from diffugts.refinement import RefinementWeights
from small_model import small_pipeline

TEXT = "soft tissue sarcoma"
FIRST_STAGE, SECOND_STAGE = (attention_stage(way) for way in ((), TWO_LOOKS))


@pytest.fixture(scope="module")
def pipeline() -> DiffuGTSPipeline:
    """Random weights with a threshold that some of the thigh exceeds, so that every stage has something to do."""
    pipeline = small_pipeline()
    score = pipeline.attend(pipeline.encode(made.thigh()[0]), [TEXT])[0].score
    pipeline.preset = replace(pipeline.preset, threshold=float(np.percentile(score, 90)))
    return pipeline


def by_name(pipeline: DiffuGTSPipeline, truth: np.ndarray) -> dict[str, dict]:
    encoded = pipeline.encode(made.thigh()[0], views=TWO_LOOKS)
    return {result["stage"]: result for result in stage_results(pipeline, encoded, TEXT, truth)}


def test_the_attentions_rows_are_what_each_quality_level_reaches(pipeline: DiffuGTSPipeline) -> None:
    scan, truth = made.thigh()
    stages = by_name(pipeline, truth)
    for stage, quality in ((FIRST_STAGE, "fast"), (SECOND_STAGE, "standard"), (SECOND_STAGE, "thorough")):
        mask = PipelineMethod(pipeline, quality).segment(scan, TEXT).mask
        assert mask.any() and stages[stage]["dsc"] == dice(mask, truth)
        assert stages[stage]["marked_ml"] == pytest.approx(mask.sum() * scan.geometry.voxel_ml)
        assert quality in stages[stage]["levels"]
        assert stages[stage]["against"] == (None if stage == FIRST_STAGE else FIRST_STAGE)
    assert stages[FIRST_STAGE]["marked_ml"] != stages[SECOND_STAGE]["marked_ml"]
    others = [result for name, result in stages.items() if name not in (FIRST_STAGE, SECOND_STAGE)]
    assert len(others) == 7 and all(r["levels"] == [] and r["against"] == SECOND_STAGE for r in others)
    assert len({r["marked_ml"] for r in stages.values()}) > 3, "residuals change masks"


def test_weights_of_the_models_own_give_the_pipelines_mask(pipeline: DiffuGTSPipeline) -> None:
    scan, truth = made.thigh()
    refining = small_pipeline()
    weights = RefinementWeights(attention=0.8, pixel=0.6, feature=0.4, bias=-0.3, rejection=0.2)
    refining.preset = replace(pipeline.preset, refinement=weights)
    stages = by_name(refining, truth)
    mask = refining(scan, [TEXT], "standard").findings[0].mask
    assert stages[OWN_REFINEMENT]["dsc"] == dice(mask, truth)
    assert stages[OWN_REFINEMENT]["marked_ml"] == pytest.approx(mask.sum() * scan.geometry.voxel_ml)
    assert stages[OWN_REFINEMENT]["levels"] == ["standard", "thorough"]
    assert OWN_REFINEMENT not in by_name(pipeline, truth)


def test_where_nothing_is_suspected_no_refinement_changes_anything(pipeline: DiffuGTSPipeline) -> None:
    silent = small_pipeline()
    silent.preset = replace(pipeline.preset, threshold=0.9999)
    stages = by_name(silent, made.thigh()[1])
    assert {result["marked_ml"] for result in stages.values()} == {0.0}


def test_what_looked_most_often_is_not_encoded_again(pipeline: DiffuGTSPipeline, monkeypatch, tmp_path: Path) -> None:
    scan, truth = made.thigh()
    case = EvaluationCase("thigh", "limbs", tmp_path / "scan.nii.gz", None, "CT", None, TEXT)
    prediction = PipelineMethod(pipeline, "thorough").segment(scan, TEXT)

    def encode_again(*_: object, **__: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(pipeline, "encode", encode_again)
    assert set(ModelStudies(pipeline, data_folder=False)(case, scan, truth, prediction)) == {"stages"}
    assert "stages" not in ModelStudies(pipeline, stages=False)(case, scan, truth, prediction)


def record(name: str, folder: str, truth_ml: float, **stages: tuple[float, float]) -> CaseRecord:
    """A case with its DSC and marked volume at each stage, the second and third added to the first."""
    kept = [
        {"stage": stage, "levels": ["fast"] if stage == "one" else [], "against": None if stage == "one" else "one"}
        | {"dsc": dsc, "marked_ml": ml}
        for stage, (dsc, ml) in stages.items()
    ]
    return CaseRecord(name, folder, "tumour", "CT", "", truth_ml=truth_ml, studies={"stages": kept} if kept else {})


def test_gains_are_paired_differences_and_tumour_free_scans_are_counted_apart() -> None:
    records = [
        record("a", "limbs", 9.0, one=(0.5, 8.0), two=(0.6, 9.0)),
        record("b", "brains", 9.0, one=(0.3, 8.0), two=(0.2, 9.0)),
        record("c", "brains", 9.0, one=(0.1, 8.0), two=(0.4, 9.0)),
        record("d", "healthy", 0.0, one=(0.0, 4.0), two=(0.0, 1.0)),
        record("e", "limbs", 9.0),
    ]
    one, two = summarise_stages(records)
    assert {group: mean.value for group, mean in one.dsc.items()} == pytest.approx(
        {"limbs": 0.5, "brains": 0.2, "all cases": 0.3}
    )
    assert one.gain is None and two.gain.value == pytest.approx(0.1)
    assert (one.marked_ml.value, two.marked_ml.value, two.tumour_free) == (4.0, 1.0, 1)
    (text,) = stage_table(records)
    assert "| stage | on at | DSC limbs (1) | DSC brains (2) | DSC all cases (3) | gain (95 %) |" in text
    assert "| one | fast | 0.500 | 0.200 | 0.300 | - | 4.0 |" in text
    assert "| two | no level | 0.600 | 0.300 | 0.400 | +0.100 (" in text
    assert stage_table([record("e", "limbs", 9.0)]) == []
