"""The shipped compact model: trained weights, judged on generated scans only; real scans are in docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from command_line import call
from diffugts.errors import ModelError
from diffugts.evaluation.measures import dice
from diffugts.evaluation.studies import on_working_grid, painted_over
from diffugts.generated.phantom import demo_case, draw_phantom
from diffugts.models import describe_model, find_model, load_pipeline
from diffugts.protocol import ResultManifest
from diffugts.scans.working_grid import to_working_grid

LARGEST_MODEL_MB = 40


def _folder() -> Path | None:
    try:
        return find_model("compact")
    except ModelError:
        return None


pytestmark = pytest.mark.skipif(_folder() is None, reason="the compact model is not in Resources/Models")


@pytest.fixture(scope="module")
def pipeline():
    return load_pipeline(_folder())


@pytest.fixture(scope="module")
def demo():
    return demo_case()


@pytest.fixture(scope="module")
def result(pipeline, demo):
    scan, _, description = demo
    return pipeline(scan, [description, "liver metastasis", "a healthy thigh"], "standard")


def test_it_finds_the_demo_lesion(result, demo) -> None:
    """The lesion is outlined well, but healthy muscle is marked beside it (docs/benchmarks.md, the demo scan)."""
    finding, truth = result.findings[0], demo[1]
    assert finding.verdict.value == "found" and finding.lesions
    assert truth[np.unravel_index(finding.score_map.argmax(), truth.shape)], "the highest score lies in the lesion"
    assert dice(finding.mask, truth) >= 0.5


def test_the_lesion_scores_higher_by_its_own_name_than_by_another_organs_or_by_health(result, demo) -> None:
    truth = demo[1]
    own, other, healthy = (float(finding.score_map[truth].mean()) for finding in result.findings)
    assert own > other + 0.1
    assert own > healthy + 0.1


def test_nonsense_scores_low_and_is_said_to_be_nonsense(pipeline, demo) -> None:
    lesion, nonsense = pipeline(demo[0], [demo[2], "purple elephant invoice"], "fast").findings
    assert nonsense.verdict.value != "found" and not nonsense.lesions
    assert nonsense.highest_score < lesion.highest_score / 2
    assert any(note.startswith("No medical term was recognised") for note in nonsense.notes), nonsense.notes


def test_a_rough_mask_by_command_limits_where_it_looks(demo, tmp_path: Path) -> None:
    """Around half of the lesion: it is found there, and nowhere else."""
    scan, truth, description = demo
    lesion = [slice(int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(truth)]
    middle = (lesion[2].start + lesion[2].stop) // 2
    part = tuple(slice(max(0, at.start - 12), at.stop + 12) for at in lesion)
    rough = np.zeros(truth.shape, bool)
    rough[part[0], part[1], part[2].start : middle] = True
    around = [slice(max(0, at.start - 8), at.stop + 8) for at in part]
    small, small_rough = scan.image()[_xyz(around)], scan.geometry.image(rough)[_xyz(around)]
    sitk.WriteImage(small, str(tmp_path / "scan.nrrd"))
    sitk.WriteImage(small_rough, str(tmp_path / "rough.nii.gz"))
    done = call("segment", tmp_path / "scan.nrrd", "--prompt", description, "--quality", "fast", "--device", "cpu",
                "--modality", scan.modality, "--mask", tmp_path / "rough.nii.gz", "--output", tmp_path / "result",
                "--no-picture")  # fmt: skip
    assert done.code == 0, done.err
    manifest = ResultManifest.load(tmp_path / "result")
    score = sitk.GetArrayFromImage(sitk.ReadImage(str(manifest.file("score map", 0))))
    inside = sitk.GetArrayFromImage(small_rough) == 1
    assert score[inside].max() > manifest.findings[0].threshold and manifest.findings[0].lesions
    assert not score[~inside].any()
    assert manifest.provenance.mask is not None and manifest.provenance.region is None


def _xyz(box: list[slice]) -> tuple[slice, ...]:
    return tuple(reversed(box))


def error_of_painting(pipeline, body: str, seed: int) -> float:
    """Error of the painted tissue against the healthy body, over that of the lesion, with the true lesion painted over."""
    scan, truth, _ = demo_case(seed, body)
    encoded = pipeline.encode(scan)
    preset, healthy = pipeline.preset, draw_phantom(seed, body, scan.modality).scan
    before = to_working_grid(healthy, preset.spacing_mm, preset.ct_curve, preset.mr_range).intensities
    mask = on_working_grid(encoded, truth)
    painted = painted_over(pipeline, encoded, mask)
    errors = [np.square(x[mask] - before[mask]).mean() for x in (painted.intensities, encoded.grid.intensities)]
    return float(np.sqrt(errors[0] / errors[1]))


@pytest.mark.parametrize("seed", [0, 2])
def test_a_bright_lesion_of_the_brain_is_painted_over_with_what_lay_there_before(pipeline, seed: int) -> None:
    assert error_of_painting(pipeline, "head", seed) < 0.75


def test_a_faint_lesion_of_the_thigh_is_painted_over_with_what_lay_there_before(pipeline) -> None:
    assert error_of_painting(pipeline, "thigh", 0) < 1.0


def test_it_needs_no_text_encoder_for_common_descriptions(pipeline) -> None:
    fresh = load_pipeline(_folder())
    texts = []
    for description in fresh.understand(["liver metastasis", "glioblastoma", "soft tissue sarcoma"]):
        from diffugts.descriptions.templates import prompt_pair

        pair = prompt_pair(description, "CT")
        texts += [pair.normal, pair.abnormal]
    assert fresh.reader.bank is not None
    assert fresh.reader.bank.lookup(texts) is not None


def test_it_is_small_enough_to_be_shipped_and_has_a_card() -> None:
    card = describe_model(_folder())
    assert card.size_mb <= LARGEST_MODEL_MB
    text = (_folder() / "model_card.md").read_text(encoding="utf-8")
    for word in ("CC BY", "soft-tissue-sarcoma", "not", "research", card.weights_sha256[:12]):
        assert word.lower() in text.lower(), f"the card does not mention {word}"
