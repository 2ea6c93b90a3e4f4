"""Heads for another model's foundation, on a user's own marked scans: packed, trained, put into the model, used.

The foundation is MAISI's architecture, narrow and of random weights. Its features still tell tissues apart, so that
heads can learn; how well real weights do is nothing that can be shown here.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from typer.testing import CliRunner

from diffugts.attention import AnomalyAttention
from diffugts.cli.app import app
from diffugts.descriptions.training_texts import texts_of_marks
from diffugts.errors import ModelError, RequestError
from diffugts.evaluation.layout_challenges import labelled_organs
from diffugts.evaluation.layouts import read_cases
from diffugts.maisi.conversion import convert
from diffugts.models import load_pipeline, weights_sha256
from diffugts.preset import ModelPreset
from diffugts.training import heads
from diffugts.training.attention import (
    AttentionTask,
    all_volumes,
    batch_loss,
    case_loss,
    case_source,
    is_held_out,
    measure_features,
    new_attention,
    train_attention,
)
from diffugts.training.batches import batches_of, encoded
from diffugts.training.cases import CaseSource
from diffugts.training.configuration import starts_of
from diffugts.training.described_volumes import held_out, pack_cases, read_described
from diffugts.training.encoding import Foundation
from diffugts.training.grid import TrainingGrid
from diffugts.training.heads import HeldOutAnswer, assemble_heads, with_bounds
from diffugts.training.looks import Look
from diffugts.training.run import RunSettings, read_log
from diffugts.training.text_pool import TextPool
from diffugts.training.volumes import pack_volumes
from made_datasets import decathlon, decathlon_brain, kits, table, thigh, write_mask, write_scan
from maisi_files import write_published_files

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"
CASES = 6


class Letters:
    """Embeds a text by its letters: what is asked needs no language model here."""

    dim = 384

    def embed(self, texts: list[str]) -> torch.Tensor:
        vectors = [torch.from_numpy(np.random.default_rng(list(text.encode())).standard_normal(384)) for text in texts]
        return torch.nn.functional.normalize(torch.stack(vectors).float(), dim=1)


@pytest.fixture(autouse=True, scope="module")
def a_precision_of_its_own() -> Iterator[None]:
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow `maisi-ct` of random weights, with the shipped model's bank, so that no text encoder is needed."""
    files = write_published_files(tmp_path_factory.mktemp("published"), "maisi-ct")
    folder = convert(files.folder, files.model, tmp_path_factory.mktemp("models") / "narrow")
    shutil.copy(COMPACT / "embedding_bank.safetensors", folder)
    return folder


@pytest.fixture(scope="module")
def liver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Decathlon's liver task, of six generated thighs."""
    return decathlon(tmp_path_factory.mktemp("msd") / "Task03_Liver", CASES)


@pytest.fixture(scope="module")
def volumes(model: Path, liver: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "volumes"
    assert pack_cases(read_cases(liver), folder, TrainingGrid.of_model(model)) == CASES
    return folder


@pytest.fixture(scope="module")
def trained(model: Path, volumes: Path) -> Path:
    """The run of a short training."""
    settings = RunSettings(0.6, 3e-3, warmup_steps=2, threads=1, validate_every_minutes=60, mixed_precision="no")
    task = AttentionTask(cases=2, bodies=0, measured=4, left_out=("brain",))
    folder = volumes.parent / "attention"
    train_attention(volumes, model / "autoencoder", model / "denoiser", folder, settings, task, None, Letters())
    return folder


def test_a_models_grid_is_what_its_preset_says_and_its_denoiser_can_take(model: Path) -> None:
    grid, preset = TrainingGrid.of_model(model), ModelPreset.load(model)
    assert (grid.spacing_mm, grid.ct_curve, grid.modalities) == (1.5, preset.ct_curve, ("CT",))
    assert grid.multiple == 32
    assert TrainingGrid.of_model(COMPACT) == TrainingGrid()


def test_a_packed_scan_is_what_the_models_own_pipeline_makes_of_it(model: Path, liver: Path, volumes: Path) -> None:
    case = read_cases(liver)[0]
    pipeline = load_pipeline(model, random_weights=True)
    grid = TrainingGrid.of_model(model).scan(case.scan())
    volume = next(v for v in read_described(volumes) if v.name == case.name)
    assert pipeline.preset.spacing_mm == volume.spacing_mm and grid.geometry.shape == volume.intensities.shape
    assert np.abs(volume.intensities - grid.intensities).max() < 5e-4, "half precision, no more"
    truth_ml = float(case.truth(case.scan()).sum()) * case.scan().geometry.voxel_ml
    assert float(volume.tumour.sum()) * 1.5**3 / 1000 == pytest.approx(truth_ml, rel=0.1)


def test_labels_by_number_become_tumour_and_organ(volumes: Path) -> None:
    for volume in read_described(volumes):
        assert volume.description == "liver tumour" and volume.organ == "liver" and volume.is_ill
        assert (volume.organs == 1).any() and not ((volume.organs == 1) & volume.tumour).any()


def test_organs_are_labelled_where_a_challenge_says_so(tmp_path: Path) -> None:
    assert labelled_organs(read_cases(kits(tmp_path / "kits"))[0]) == {1: "kidney"}
    renamed = decathlon(tmp_path / "msd" / "Task03_Liver", 1, {"0": "background", "1": "vessel", "2": "cancer"})
    assert labelled_organs(read_cases(renamed)[0]).get(2) is None, "a tumour is no organ"
    assert labelled_organs(read_cases(table(tmp_path / "own"))[0]) == {}


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ("liver tumour", {("", "liver", None), ("liver tumor", None, None)}),
        ("Glioma", {("glioma", "brain", None), ("", "brain", None)}),
        ("desmoid", {("desmoid", None, None)}),
    ],
)
def test_what_is_said_of_marks_is_what_their_words_say(
    description: str, said: set[tuple[str, str | None, str | None]]
) -> None:
    assert {(text.kind, text.organ, text.region) for text in texts_of_marks(description, "CT")} == said


def test_a_data_folder_is_packed_to_the_models_grid_without_scans_that_it_does_not_know(
    model: Path, tmp_path: Path
) -> None:
    data, rows = tmp_path / "data", ["image\tlabel\tmodality\tbody_part\ttissue\ttumour_label"]
    for name, modality in (("STS_001_CT", "CT"), ("STS_003_CT", "CT"), ("STS_001_MR_T1", "MR T1")):
        write_scan(data / "train" / f"{name}.nii.gz")
        write_mask(data / "train" / f"{name}_label.nii.gz")
        rows.append(f"train/{name}.nii.gz\ttrain/{name}_label.nii.gz\t{modality}\textremity\tsarcoma\tyes")
    (data / "INDEX.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    grid = TrainingGrid.of_model(model)
    assert pack_volumes(data, tmp_path / "volumes", grid) == 2
    packed = {v.name: v for v in all_volumes(tmp_path / "volumes")}
    assert packed.keys() == {"STS_001_CT", "STS_003_CT"}
    volume = packed["STS_001_CT"]
    assert volume.spacing_mm == 1.5 and volume.intensities.shape == grid.scan(thigh()[0]).intensities.shape
    assert is_held_out(packed["STS_003_CT"]) and not is_held_out(volume)
    assert [v.name for v in case_source(tmp_path / "volumes", [], 1).real] == ["STS_001_CT"]


def test_one_patient_in_five_is_held_out_by_name_and_stays_so_when_others_come() -> None:
    names = [f"liver_{n}" for n in range(100)]
    apart = held_out(names)
    assert 10 <= len(apart) <= 30
    assert held_out(names[:60]) == apart & set(names[:60])
    assert held_out([*names, "lung_1"]) - {"lung_1"} == apart
    of_one_patient = {f"BraTS-GLI-00005-{n:03d}" for n in range(3)}
    others = {f"BraTS-GLI-{n:05d}-000" for n in range(6, 30)}
    assert len(held_out(of_one_patient | others) & of_one_patient) in (0, 3)
    assert len(held_out(["liver_1", "liver_2"])) == 1 and not held_out(["liver_1"])


def test_who_is_held_out_can_be_told(model: Path, liver: Path, tmp_path: Path) -> None:
    grid, cases = TrainingGrid.of_model(model), read_cases(liver)
    pack_cases(cases, tmp_path, grid, ["liver_1", "liver_3"])
    assert {v.name for v in all_volumes(tmp_path) if is_held_out(v)} == {"liver_1", "liver_3"}
    assert {v.name for v in case_source(tmp_path, [], 1).described} == {"liver_0", "liver_2", "liver_4", "liver_5"}
    assert not case_source(tmp_path, [], 1, ["liver"]).described, "what is left out of training is not shown"
    with pytest.raises(RequestError, match="begins with 'lung'"):
        pack_cases(cases, tmp_path, grid, ["lung"])
    pack_cases(cases[:3], tmp_path, grid, ["liver_1"])
    assert {v.name for v in read_described(tmp_path)} == {"liver_0", "liver_1", "liver_2"}, "only what was given"


def test_volumes_of_another_grid_or_of_another_kind_of_data_are_refused(
    model: Path, liver: Path, tmp_path: Path
) -> None:
    cases = read_cases(liver)[:1]
    pack_cases(cases, tmp_path / "a", TrainingGrid.of_model(model))
    with pytest.raises(RequestError, match="another model's grid .1.5 mm, expected 2 mm"):
        pack_cases(cases, tmp_path / "a", TrainingGrid())
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "STS_001.npz").touch()
    with pytest.raises(RequestError, match="another kind of data"):
        pack_cases(cases, tmp_path / "b", TrainingGrid.of_model(model))


def test_a_damaged_scan_is_told_and_left_out(model: Path, liver: Path, tmp_path: Path) -> None:
    cases = read_cases(liver)[:2]
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(cases[0].image.read_bytes()[:300])
    told: list[str] = []
    count = pack_cases(
        [replace(cases[0], image=broken), cases[1]], tmp_path / "v", TrainingGrid.of_model(model), say=told.append
    )
    assert count == 1 and told[0].startswith("liver_0 is left out: ")


def test_scans_of_a_kind_that_the_model_does_not_know_are_not_trained_on(liver: Path, tmp_path: Path) -> None:
    brain = replace(TrainingGrid(), modalities=("MR",))
    told: list[str] = []
    with pytest.raises(RequestError, match="None of the cases"):
        pack_cases(read_cases(liver), tmp_path, brain, say=told.append)
    assert "knows only MR" in told[0]


def test_cases_show_what_is_marked_as_the_foundation_sees_it_and_ask_for_it_where_it_is_not(volumes: Path) -> None:
    source = case_source(volumes, [], 3)
    cases = [source.draw() for _ in range(30)]
    ill = [case for case in cases if case.tumour is not None]
    assert 5 < len(ill) and all(case.target.any() and case.organ == "liver" for case in ill)
    assert {case.tumour.kind for case in ill} == {"", "liver tumor"}
    assert all(n % 32 == 0 for case in cases for n in case.intensities.shape)
    assert all(0 <= case.intensities.min() and case.intensities.max() <= 1 for case in cases)
    soft = np.concatenate([case.intensities[case.target].ravel() for case in ill])
    assert 0.45 < np.median(soft) < 0.58, "soft tissue by MAISI's curve; by the compact one it would be 0.6"
    for case in (c for c in cases if c.tumour is None):
        assert case.absent is not None and not case.target.any()


@pytest.mark.parametrize(("name", "spacing_mm"), [("maisi-ct-ddpm", 1.5), ("maisi-mr-brain", 1.0)])
def test_a_batch_behind_each_of_nvidias_foundations_teaches_heads(name: str, spacing_mm: float, tmp_path: Path) -> None:
    """As on a GPU: cases drawn in batches, encoded together."""
    files = write_published_files(tmp_path / "published", name)
    model = convert(files.folder, files.model, tmp_path / "model")
    is_ct = name == "maisi-ct-ddpm"
    data = decathlon(tmp_path / "Task03_Liver", 2) if is_ct else decathlon_brain(tmp_path / "Task01_Brain")
    pack_cases(read_cases(data), tmp_path / "volumes", TrainingGrid.of_model(model), ["liver_0"] if is_ct else [])
    source = case_source(tmp_path / "volumes", [], 1)
    assert source.grid.spacing_mm == spacing_mm
    foundation = Foundation(model / "autoencoder", model / "denoiser")
    batch = encoded(batches_of(source, 2)(), foundation)
    assert {case.sequence for case in batch.cases} == {None if is_ct else "FLAIR"}
    learning = new_attention(foundation, Letters())
    loss = batch_loss(learning, batch, TextPool(Letters(), 1))
    loss.mean().backward()
    assert torch.isfinite(loss).all() and float(learning.to_queries[0].weight.grad.abs().sum()) > 0


def test_a_short_training_on_another_foundation_lowers_the_loss_on_patients_it_was_not_shown(
    model: Path, volumes: Path, trained: Path
) -> None:
    foundation = Foundation(model / "autoencoder", model / "denoiser")
    apart = [v for v in all_volumes(volumes) if is_held_out(v)]
    source = CaseSource(apart, 9, grid=TrainingGrid.of_packed(volumes))
    cases = [foundation.encode(source.marked_crop(apart[n % len(apart)])) for n in range(2)]
    torch.manual_seed(0)
    fresh = new_attention(foundation, Letters())
    measure_features(fresh, cases)
    after = AnomalyAttention.from_pretrained(trained / "last")
    assert tuple(after.config["channels"]) == tuple(foundation.channels[s] for s in (2, 4, 8))
    with torch.no_grad():
        losses = [
            float(torch.stack([case_loss(learnt, case, TextPool(Letters(), 1)) for case in cases]).mean())
            for learnt in (fresh, after)
        ]
    assert losses[1] < 0.95 * losses[0], losses
    steps = max(int(line["step"]) for line in read_log(trained))
    assert steps >= 3, steps


@pytest.fixture
def few_bodies(monkeypatch: pytest.MonkeyPatch) -> None:
    """One generated body instead of twelve: what they are for does not change with their number."""
    monkeypatch.setattr(heads, "CALIBRATION_SEEDS", (400,))
    monkeypatch.setattr(heads, "BODIES", (("thigh", "CT"),))


@pytest.fixture(scope="module")
def assembled(model: Path, volumes: Path, trained: Path) -> Path:
    output = volumes.parent / "with-heads"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(heads, "CALIBRATION_SEEDS", (400,))
        patch.setattr(heads, "BODIES", (("thigh", "CT"),))
        assemble_heads(model, volumes, trained / "last", output, random_weights=True, say=lambda _: None)
    return output


def test_the_model_with_heads_searches_a_scan_for_words(model: Path, liver: Path, assembled: Path) -> None:
    case = read_cases(liver)[0]
    scan = case.scan()
    with pytest.raises(ModelError, match="has no trained attention"):
        load_pipeline(model, random_weights=True)(scan, ["liver tumour"])
    pipeline = load_pipeline(assembled, random_weights=True)
    result = pipeline(scan, ["liver tumour"], "fast")
    finding = result.findings[0]
    assert finding.score_map.shape == scan.voxels.shape and finding.score_map.std() > 0
    assert finding.threshold == pipeline.preset.threshold
    assert torch.equal(pipeline.attention.bias, AnomalyAttention.from_pretrained(assembled / "attention").bias)


def test_the_foundation_is_copied_as_it_is_and_the_mark_of_random_weights_stays(model: Path, assembled: Path) -> None:
    for part in ("autoencoder", "denoiser"):
        for file in sorted((model / part).iterdir()):
            assert (assembled / part / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(ModelError, match="has random weights"):
        load_pipeline(assembled)
    assert ModelPreset.load(assembled).random_weights
    assert weights_sha256(assembled) != weights_sha256(model)


def test_preset_card_and_record_say_what_was_chosen_on_which_scans(assembled: Path, volumes: Path) -> None:
    preset, measured = ModelPreset.load(assembled), json.loads((volumes.parent / "assembly.json").read_text())
    apart = [v.name for v in all_volumes(volumes) if is_held_out(v)]
    assert preset.name == "with-heads" and measured["held out with a tumour"] == len(apart)
    once = measured["one look"]
    for level in preset.qualities.values():
        assert level.calibration is not None and level.calibration.threshold == once["threshold"] == preset.threshold
        assert level.calibration.least_anomaly_score == once["least_anomaly_score"]
    assert set(once["scans_with_tumour"]["each"]) == set(apart)
    assert list(once["scans_without"]["each"]) == ["generated thigh 400"]
    card = (assembled / "model_card.md").read_text(encoding="utf-8")
    assert "It has no trained attention" not in card and apart[0] in card and "NVIDIA Open Model License" in card
    assert "showed no tumour of: brain." in card and starts_of(volumes.parent / "attention")[0]["inputs"]["volumes"]


def answer(name: str, ill: bool, dice: dict[float, float], marked_ml: dict[float, float]) -> HeldOutAnswer:
    scores = np.linspace(0.2, 0.9, 15)[None]
    return HeldOutAnswer(Look(name, name, scores, scores > 0.5, 0.9 if ill else 0.1), ill, dice, marked_ml)


@pytest.mark.usefixtures("few_bodies")
def test_the_threshold_is_the_best_of_those_that_mark_little_where_there_is_nothing(assembled: Path) -> None:
    pipeline = load_pipeline(assembled, random_weights=True)
    ill = answer("a", True, {0.3: 0.8, 0.5: 0.7, 0.7: 0.2}, {0.3: 50.0, 0.5: 40.0, 0.7: 30.0})
    free = answer("b", False, {0.3: 0.0, 0.5: 0.0, 0.7: 1.0}, {0.3: 90.0, 0.5: 4.0, 0.7: 0.0})
    assert with_bounds(pipeline, {(): [ill]})[0].threshold == 0.3
    assert with_bounds(pipeline, {(): [ill, free]})[0].threshold == 0.5
    kept, measured = with_bounds(pipeline, {(): [free]})
    assert kept == pipeline.preset and measured == {"held out with a tumour": 0, "held out without": 1}


def test_heads_of_another_foundation_are_refused(model: Path, volumes: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="was trained on another model"):
        assemble_heads(COMPACT, volumes, trained / "last", tmp_path / "out", say=lambda _: None)
    with pytest.raises(RequestError, match="Run `diffugts train attention`"):
        assemble_heads(model, volumes, tmp_path / "none", tmp_path / "out", random_weights=True)
    with pytest.raises(RequestError, match="made for a foundation with"):
        settings, task = RunSettings(0.01, 1e-3), AttentionTask(bodies=0)
        parts = model / "autoencoder", model / "denoiser"
        train_attention(volumes, *parts, tmp_path / "run", settings, task, COMPACT / "attention", Letters())
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_model_of_random_weights(model: Path, liver: Path, tmp_path: Path) -> None:
    arguments = ["train", "attention", "--model", str(model), "--data", str(liver), "--runs", str(tmp_path)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 4 and "has random weights" in " ".join(told.output.split())
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("few_bodies")
def test_from_a_challenges_folder_to_a_segmentation_by_three_commands(model: Path, liver: Path, tmp_path: Path) -> None:
    """On a copy of the narrow model without its mark: the commands themselves refuse a marked one."""
    unmarked = shutil.copytree(model, tmp_path / "foundation")
    replace(ModelPreset.load(model), random_weights=False).save(unmarked)
    runs, output = tmp_path / "runs", tmp_path / "mine"
    options = ["--model", str(unmarked), "--runs", str(runs)]
    short = ["--minutes", "0.02", "--bodies", "0", "--threads", "1", "--hold-out", "liver_5"]
    run(["train", "attention", "--data", str(liver), *options, *short])
    run(["train", "assemble", *options, "--output", str(output)])
    scan = read_cases(liver)[0].image
    run(["segment", str(scan), "--model", str(output), "--prompt", "liver tumour", "--quality", "fast", "--device", "cpu",
         "--modality", "CT", "--no-picture", "--output", str(tmp_path / "result")])  # fmt: skip
    record = json.loads((tmp_path / "result" / "result.json").read_text(encoding="utf-8"))
    assert record["provenance"]["model"] == "mine"


def run(arguments: list[str]) -> None:
    told = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert told.exit_code == 0, told.output
