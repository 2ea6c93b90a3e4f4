"""The networks without words: patches, a short training that goes on, and sliding windows back onto the scan's grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.losses import DiceCELoss

from diffugts.baselines import training
from diffugts.baselines.learned import LearnedBaseline
from diffugts.baselines.network import SegmentationNetwork
from diffugts.baselines.patches import PatchSource, patch_box
from diffugts.baselines.training import BaselineTask, train_baseline
from diffugts.baselines.windows import tumour_probability
from diffugts.findings.lesions import cut
from diffugts.training.deep_supervision import supervised
from diffugts.training.run import RunSettings
from diffugts.training.volumes import Volume, pack_volumes, read_volumes
from made_datasets import healthy_thigh, thigh, write, write_mask, write_scan


def volume(name: str, tumour: bool, healthy_until: int = 48, size: int = 48) -> Volume:
    """Tissue of 0.5; a tumour of 0.8; beyond `healthy_until` rows of 0.9, where something unmarked may lie."""
    shape = (size,) * 3
    intensities, label, healthy = np.full(shape, 0.5, np.float16), np.zeros(shape, bool), np.ones(shape, bool)
    intensities[healthy_until:] = 0.9
    healthy[healthy_until:] = False
    if tumour:
        label[20:28, 20:28, 20:28] = True
        intensities[label] = 0.8
    nothing = np.zeros(shape, bool)
    return Volume(
        name, "CT", None, "extremity", "", intensities, label, nothing, healthy & ~label, nothing.astype(np.uint8)
    )


@pytest.mark.parametrize("recipe", ["unet", "nnunet"])
def test_patches_hold_tumour_with_its_label_and_both_channels(recipe: str) -> None:
    source = PatchSource([volume("STS_001_CT", True), volume("healthy_CT", False)], recipe, 0, size=32)
    for _ in range(4):
        scans, labels = source.batch(2)
        assert scans.shape == (2, 2, 32, 32, 32) and labels.shape == (2, 1, 32, 32, 32)
        assert labels[0].any(), "the first patch of a batch holds tumour"
        assert not scans[:, 1].any(), "CT is told by a second channel of 0"
        assert set(labels.unique().tolist()) <= {0.0, 1.0}


def test_nothing_is_taught_where_an_unmarked_tumour_may_lie() -> None:
    source = PatchSource(
        [volume("STS_001_CT", True), volume("HCC_001_CT", False, healthy_until=36)], "unet", 0, size=24
    )
    source.ill = [volume("STS_001_CT", True)]
    seen = [source.batch(3)[0] for _ in range(10)]
    assert max(float(scans[:, 0].max()) for scans in seen) < 0.85


def test_the_same_seed_draws_the_same_patches() -> None:
    volumes = [volume("STS_001_CT", True), volume("healthy_CT", False)]
    for recipe in ("unet", "nnunet"):
        one, other = (PatchSource(volumes, recipe, 3, size=24).batch(2)[0] for _ in range(2))
        assert torch.equal(one, other)


def test_a_patch_stays_within_its_bounds_and_is_shorter_where_there_is_less_room() -> None:
    low, high = np.array([0, 10, 0]), np.array([48, 48, 20])
    box = patch_box(np.array([47, 10, 5]), low, high, 32)
    assert [(s.start, s.stop) for s in box] == [(16, 48), (10, 42), (0, 20)]


def test_deep_supervision_weighs_the_finest_head_most() -> None:
    criterion = DiceCELoss(sigmoid=True, batch=True)
    labels = torch.zeros(1, 1, 8, 8, 8)
    labels[..., 2:6] = 1
    right, wrong = torch.where(labels > 0, 9.0, -9.0), torch.where(labels > 0, -9.0, 9.0)
    fine = supervised(torch.stack([right, wrong], dim=1), labels, criterion)
    coarse = supervised(torch.stack([wrong, right], dim=1), labels, criterion)
    assert fine < coarse
    assert supervised(torch.stack([right, right], dim=1), labels, criterion) == pytest.approx(
        float(criterion(right, labels)), abs=1e-6
    )


@pytest.mark.parametrize("recipe", ["unet", "nnunet"])
def test_sliding_windows_give_a_probability_for_every_voxel(recipe: str) -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(recipe, (4, 8, 8)).eval()
    intensities = np.random.default_rng(0).random((30, 50, 41), np.float32)
    found = tumour_probability(network, intensities, "MR", size=32)
    assert found.shape == intensities.shape and 0 <= found.min() <= found.max() <= 1
    mirrored = tumour_probability(network, intensities[..., ::-1], "MR", size=32, mirror=True)[..., ::-1]
    assert np.allclose(mirrored, tumour_probability(network, intensities, "MR", size=32, mirror=True), atol=1e-5)


@pytest.mark.parametrize("recipe", ["unet", "nnunet"])
def test_a_saved_network_answers_as_before(recipe: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = SegmentationNetwork(recipe, (4, 8, 8)).eval()
    network.save_pretrained(tmp_path)
    scan = torch.randn(1, 2, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(SegmentationNetwork.load(tmp_path).eval()(scan), network(scan))


def packed_thighs(folder: Path) -> Path:
    """Three generated sarcoma patients, one of them held out from training, and a healthy scan, packed."""
    rows = ["image\tlabel\tmodality\tbody_part\ttissue\ttumour_label"]
    for seed, name in enumerate(("STS_001_CT", "STS_002_CT", "STS_003_CT")):
        write_scan(folder / "data" / "train" / "sarcoma" / f"{name}.nii.gz", seed)
        write_mask(folder / "data" / "train" / "sarcoma" / f"{name}_label.nii.gz", seed)
        rows.append(
            f"train/sarcoma/{name}.nii.gz\ttrain/sarcoma/{name}_label.nii.gz\tCT\textremity\tsarcoma\tyes:manual"
        )
    write(healthy_thigh().image(), folder / "data" / "train" / "trunk-ct" / "healthy_CT.nii.gz")
    rows.append("train/trunk-ct/healthy_CT.nii.gz\t\tCT\textremity\tthigh\tno")
    (folder / "data" / "INDEX.tsv").write_text("\n".join(rows), encoding="utf-8")
    pack_volumes(folder / "data", folder / "volumes")
    assert len(list(read_volumes(folder / "volumes"))) == 4
    return folder / "volumes"


def test_a_trained_network_segments_on_the_scans_own_grid_and_its_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "CHANNELS", {"unet": (4, 8, 8)})
    volumes, task = packed_thighs(tmp_path), BaselineTask("unet", batch=1, size=32)
    settings = RunSettings(0.03, 1e-3, threads=1, mixed_precision="no")
    figures = train_baseline(volumes, tmp_path / "run", settings, task)
    assert set(figures) == {"dice"}
    longer = RunSettings(0.06, 1e-3, threads=1, mixed_precision="no")
    train_baseline(volumes, tmp_path / "run", longer, task)
    baseline = LearnedBaseline(tmp_path / "run")
    scan = thigh(0)[0]
    prediction = baseline.segment(scan, "anything")
    assert prediction.mask.shape == scan.voxels.shape and prediction.score_map is not None
    assert np.array_equal(prediction.mask, cut(prediction.score_map, 0.5, 0.1, scan.geometry))
    assert baseline.identity["weights_sha256"] == LearnedBaseline(tmp_path / "run" / "last").identity["weights_sha256"]
