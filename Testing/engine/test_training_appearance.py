"""Training of the appearance network: what a patch is, what it counts, and a short run that goes on from another network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffugts.appearance import AppearanceNetwork
from diffugts.baselines.network import SegmentationNetwork
from diffugts.errors import RequestError
from diffugts.training import appearance as training
from diffugts.training.appearance import AppearanceTask, dice_and_entropy, patch_of, take_over, train_appearance
from diffugts.training.appearance_choice import OTHER, chosen_fusion
from diffugts.training.assembly import require_as_much_left_out
from diffugts.training.case import Case
from diffugts.training.configuration import RunConfiguration
from diffugts.training.run import RunSettings
from small_model import small_pipeline
from small_model_folder import bank_of
from test_baselines_networks import packed_thighs, volume


def case(size: int = 48) -> Case:
    shape = (size,) * 3
    target = np.zeros(shape, bool)
    target[4:8, 4:8, 4:8] = True
    intensities = np.full(shape, 0.5, np.float32)
    return Case(intensities, target, np.ones(shape, bool), "MR", "T1", 0, None, None, None)


def test_a_patch_holds_the_scan_its_modality_and_no_weight_beyond_the_case() -> None:
    rng = np.random.default_rng(0)
    scan, target, weight = patch_of(case(), 64, rng)
    assert scan.shape == (2, 64, 64, 64) and target.shape == weight.shape == (1, 64, 64, 64)
    assert (scan[1] == 1).all() and weight.sum() == 48**3 and (scan[0][weight[0] > 0] == 0.5).all()


def test_most_patches_of_a_case_with_a_tumour_hold_some_of_it() -> None:
    rng = np.random.default_rng(0)
    held = [patch_of(case(), 16, rng)[1].any() for _ in range(60)]
    assert 0.6 < np.mean(held) < 0.95


def test_what_carries_no_weight_changes_no_loss() -> None:
    torch.manual_seed(0)
    targets = (torch.rand(1, 1, 8, 8, 8) > 0.7).float()
    weights = torch.ones_like(targets)
    weights[..., 4:] = 0
    logits = torch.randn(1, 1, 8, 8, 8)
    other = logits.clone()
    other[..., 4:] = 7.0
    assert torch.equal(dice_and_entropy(logits, targets, weights), dice_and_entropy(other, targets, weights))
    right = torch.where(targets > 0, 9.0, -9.0)
    assert dice_and_entropy(right, targets, weights) < 0.01 < dice_and_entropy(-right, targets, weights)


def test_a_wider_network_is_taken_over_as_far_as_there_is_room(tmp_path: Path) -> None:
    torch.manual_seed(0)
    wide = SegmentationNetwork("nnunet", (4, 8, 12))
    wide.save_pretrained(tmp_path / "wide")
    narrow = AppearanceNetwork((4, 8, 8))
    take_over(narrow, tmp_path / "wide")
    for (name, taken), given in zip(narrow.state_dict().items(), wide.state_dict().values()):
        assert torch.equal(taken, given[tuple(slice(n) for n in taken.shape)]), name
    SegmentationNetwork("unet", (4, 8)).save_pretrained(tmp_path / "unet")
    with pytest.raises(RequestError, match="other layers"):
        take_over(narrow, tmp_path / "unet")
    with pytest.raises(RequestError, match="no trained network"):
        take_over(narrow, tmp_path / "nowhere")


def test_a_run_learns_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "AppearanceNetwork", lambda: AppearanceNetwork((4, 8, 8)))
    volumes, task = packed_thighs(tmp_path), AppearanceTask(batch=1, size=32, bodies=0)
    for minutes in (0.03, 0.06):
        settings = RunSettings(minutes, 1e-3, threads=1, mixed_precision="no", seed=1)
        figures = train_appearance(volumes, tmp_path / "run", settings, task)
    assert "held_out_dice" in figures
    trained = AppearanceNetwork.from_pretrained(tmp_path / "run" / "last")
    torch.manual_seed(1)
    begun = AppearanceNetwork((4, 8, 8))
    moved = [not torch.equal(a, b) for a, b in zip(trained.state_dict().values(), begun.state_dict().values())]
    assert all(moved)


class Oracle(torch.nn.Module):
    """In the place of the network: sure of a tumour where the scan is bright, and of none elsewhere."""

    device = torch.device("cpu")

    def __init__(self, sign: float) -> None:
        super().__init__()
        self.sign = sign

    def forward(self, scan: torch.Tensor) -> torch.Tensor:
        return torch.where(scan[:, :1] > 0.7, 9.0, -9.0) * self.sign


@pytest.mark.parametrize(("sign", "helps"), [(1.0, True), (-1.0, False)])
def test_appearance_counts_where_it_helps_held_out_patients_and_not_where_it_harms(sign: float, helps: bool) -> None:
    rng = np.random.default_rng(0)
    scan = volume("STS_003_CT", True, size=64)
    scan.tumour[8:40, 8:40, 8:40] = True
    scan.intensities[:] = np.where(scan.tumour, 0.8, rng.uniform(0.4, 0.6, scan.tumour.shape))
    pipeline = small_pipeline()
    pipeline.reader.bank = bank_of(["soft tissue sarcoma", OTHER, "tumour"])
    pipeline._heads.bias.data.fill_(0.5)  # half convinced everywhere: what decides is the appearance
    pipeline.appearance = Oracle(sign)
    before = pipeline.preset
    fusion, reached = chosen_fusion(pipeline, [(scan, "soft tissue sarcoma")], [], (), (), 1e9, 0.005)
    assert (fusion.weight > 0) == helps and pipeline.preset is before
    assert set(reached) == {"none", "weight 0.25", "weight 0.5"}
    assert (reached["weight 0.5"]["held_out_dice"] > reached["none"]["held_out_dice"]) == helps


def test_what_the_attention_left_out_the_appearance_network_must_not_have_seen(tmp_path: Path) -> None:
    def left_out(part: str, *categories: str) -> None:
        (tmp_path / part).mkdir(exist_ok=True)
        RunConfiguration(AppearanceTask(left_out=categories)).write(tmp_path / part, 0)

    (tmp_path / "appearance").mkdir()
    require_as_much_left_out(tmp_path)
    left_out("attention", "brain", "lung")
    with pytest.raises(RequestError, match="brain, lung"):
        require_as_much_left_out(tmp_path)
    left_out("appearance", "brain")
    with pytest.raises(RequestError, match=": lung;"):
        require_as_much_left_out(tmp_path)
    left_out("appearance", "lung", "brain")
    require_as_much_left_out(tmp_path)
