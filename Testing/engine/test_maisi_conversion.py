"""NVIDIA's files become a model folder, exactly or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from diffugts import models
from diffugts.errors import ModelError
from diffugts.maisi.conversion import convert
from diffugts.maisi.published import PUBLISHED, published_model
from diffugts.models import find_model, load_pipeline
from diffugts.pipeline import DiffuGTSPipeline
from maisi_files import SCALE_FACTOR, PublishedFiles, write_published_files

BRAIN = "maisi-mr-brain"


@pytest.fixture(scope="module", params=list(PUBLISHED))
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PublishedFiles:
    return write_published_files(tmp_path_factory.mktemp("published"), request.param)


@pytest.fixture(scope="module")
def converted(files: PublishedFiles, tmp_path_factory: pytest.TempPathFactory) -> DiffuGTSPipeline:
    output = tmp_path_factory.mktemp("converted") / files.model.preset.name
    convert(files.folder, files.model, output)
    assert not list(output.rglob("*.pt")) and not list(output.rglob("*.bin"))
    return load_pipeline(output, random_weights=True)


@pytest.fixture
def ct(tmp_path: Path) -> PublishedFiles:
    return write_published_files(tmp_path / "published", "maisi-ct")


def ras_xyz(tensor: torch.Tensor) -> torch.Tensor:
    """(n, c, k, j, i) with axes towards superior, posterior, left as NVIDIA's scripts hold it: right, anterior, superior."""
    return torch.flip(tensor.permute(0, 1, 4, 3, 2), dims=(2, 3)).contiguous()


def lps_kji(tensor: torch.Tensor) -> torch.Tensor:
    return torch.flip(tensor, dims=(2, 3)).permute(0, 1, 4, 3, 2).contiguous()


@torch.no_grad()
def test_latents_and_decoding_equal_those_of_nvidias_network(
    files: PublishedFiles, converted: DiffuGTSPipeline
) -> None:
    scan = torch.rand(1, 1, 16, 24, 32, generator=torch.Generator().manual_seed(1))
    mean, _ = files.autoencoder.encode(ras_xyz(scan))
    latents, _ = converted.autoencoder.encode(scan)
    assert torch.allclose(latents, lps_kji(mean) * SCALE_FACTOR, atol=1e-5)
    decoded = files.autoencoder.decode(ras_xyz(latents) / SCALE_FACTOR)
    assert torch.allclose(converted.autoencoder.decode(latents), lps_kji(decoded), atol=1e-5)


@torch.no_grad()
def test_the_denoiser_says_what_nvidias_network_says(files: PublishedFiles, converted: DiffuGTSPipeline) -> None:
    name = files.model.preset.name
    noisy = torch.randn(2, 4, 8, 16, 24, generator=torch.Generator().manual_seed(2))
    step = torch.tensor([700.0, 700.0])
    spacing = torch.full((2, 3), 100 * (1.0 if name == BRAIN else 1.5))
    if name == "maisi-ct-ddpm":
        chest, abdomen = torch.tensor([[0, 100.0, 0, 0]]), torch.tensor([[0, 0, 100.0, 0]])
        conditions = {
            "top_region_index_tensor": chest.expand(2, -1),
            "bottom_region_index_tensor": abdomen.expand(2, -1),
        }
    else:
        conditions = {"class_labels": torch.tensor([9, 9] if name == BRAIN else [1, 1])}
    said = files.denoiser(ras_xyz(noisy), timesteps=step, spacing_tensor=spacing, **conditions)
    # The brain model was not trained on T1 with contrast (17): it is told T1 (9).
    number = torch.tensor([17, 17] if name == BRAIN else [1, 1])
    assert torch.allclose(converted.denoiser.predict(noisy, step, number), lps_kji(said), atol=1e-5)
    assert said.abs().mean() > 0.01


def test_a_converted_model_has_no_attention_and_its_card_says_so(
    files: PublishedFiles, tmp_path_factory: pytest.TempPathFactory
) -> None:
    output = convert(files.folder, files.model, tmp_path_factory.mktemp("card") / "model")
    card = (output / "model_card.md").read_text(encoding="utf-8")
    assert json.loads((output / "model_index.json").read_text())["attention"] == [None, None]
    assert "It has no trained attention" in card and "**Random weights.**" in card
    assert files.model.licence.url in card and files.model.denoiser_file.path in card


def test_a_model_of_random_weights_is_refused_where_a_result_is_wanted(ct: PublishedFiles, tmp_path: Path) -> None:
    output = convert(ct.folder, ct.model, tmp_path / "model")
    with pytest.raises(ModelError, match="has random weights"):
        load_pipeline(output)


def changed(files: PublishedFiles, change) -> Path:
    """The denoiser's file with its content changed."""
    path = files.folder / files.model.denoiser_file.path
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)
    return path


def test_a_missing_weight_is_named_with_its_file(ct: PublishedFiles, tmp_path: Path) -> None:
    path = changed(ct, lambda content: content["unet_state_dict"].pop("conv_in.conv.weight"))
    with pytest.raises(ModelError, match="lacks 1 of .* 'conv_in.conv.weight'") as told:
        convert(ct.folder, ct.model, tmp_path / "model")
    assert str(path) in str(told.value) and not (tmp_path / "model").exists()


def test_a_weight_of_another_shape_is_named_with_both_shapes(ct: PublishedFiles, tmp_path: Path) -> None:
    changed(ct, lambda content: content["unet_state_dict"].update({"out.0.weight": torch.ones(9)}))
    with pytest.raises(ModelError, match=r"'out.0.weight' has shape \(9,\), expected \(8,\)"):
        convert(ct.folder, ct.model, tmp_path / "model")


def test_a_weight_without_a_place_is_refused_unless_allowed_and_then_named_in_the_card(
    ct: PublishedFiles, tmp_path: Path
) -> None:
    changed(ct, lambda content: content["unet_state_dict"].update({"surplus.weight": torch.ones(2)}))
    with pytest.raises(ModelError, match="no place for: 'surplus.weight'"):
        convert(ct.folder, ct.model, tmp_path / "model")
    output = convert(ct.folder, ct.model, tmp_path / "model", allow_extra=True)
    assert "surplus.weight" in (output / "model_card.md").read_text(encoding="utf-8")


def test_a_weight_that_is_not_a_number_is_refused(ct: PublishedFiles, tmp_path: Path) -> None:
    changed(ct, lambda content: content["unet_state_dict"]["out.0.weight"].fill_(float("nan")))
    with pytest.raises(ModelError, match="'out.0.weight' holds values that are not numbers"):
        convert(ct.folder, ct.model, tmp_path / "model")


@pytest.mark.parametrize("value", [None, 0.0, float("nan"), torch.ones(2)])
def test_latents_without_a_sound_unit_are_refused(ct: PublishedFiles, tmp_path: Path, value: object) -> None:
    changed(
        ct, lambda content: content.update(scale_factor=value) if value is not None else content.pop("scale_factor")
    )
    with pytest.raises(ModelError, match="'scale_factor'"):
        convert(ct.folder, ct.model, tmp_path / "model")


def test_the_files_of_one_generation_are_not_taken_for_the_other(ct: PublishedFiles, tmp_path: Path) -> None:
    other = published_model("maisi-ct-ddpm").denoiser_file
    path = ct.folder / ct.model.denoiser_file.path
    path.rename(path.with_name(other.name))
    from maisi_files import narrowed

    with pytest.raises(ModelError, match="lacks .* another network or version"):
        convert(ct.folder, narrowed(published_model("maisi-ct-ddpm")), tmp_path / "model")


class Intruder:
    """Would write a file if it were unpickled as pickle does."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_code_in_a_file_is_not_run(ct: PublishedFiles, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    changed(ct, lambda content: content.update(extra=Intruder(trace)))
    trace.unlink(missing_ok=True)
    with pytest.raises(ModelError, match="cannot be read as weights"):
        convert(ct.folder, ct.model, tmp_path / "model")
    assert not trace.exists()


def test_a_truncated_file_is_refused(ct: PublishedFiles, tmp_path: Path) -> None:
    path = ct.folder / ct.model.autoencoder_file.path
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ModelError, match="cannot be read as weights"):
        convert(ct.folder, ct.model, tmp_path / "model")


def test_a_missing_file_is_named_with_where_it_comes_from(ct: PublishedFiles, tmp_path: Path) -> None:
    (ct.folder / ct.model.denoiser_file.path).unlink()
    with pytest.raises(ModelError, match="holds neither .*rflow-ct.pt.*huggingface.co/nvidia/NV-Generate-CT"):
        convert(ct.folder, ct.model, tmp_path / "model")


def test_an_output_that_holds_something_is_left_alone(ct: PublishedFiles, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="not empty"):
        convert(ct.folder, ct.model, tmp_path / "model")
    assert (tmp_path / "model" / "notes.txt").read_text() == "mine"


def test_a_published_model_that_is_not_here_is_told_how_to_come_by() -> None:
    assert set(models.PUBLISHED) == set(PUBLISHED)
    with pytest.raises(ModelError, match="models fetch maisi-ct.*models convert"):
        find_model("maisi-ct")


def test_the_presets_fit_their_networks() -> None:
    from diffugts.foundation.denoiser import HoleDenoiser
    from diffugts.foundation.features import padding_multiple
    from diffugts.maisi.published import DIMENSION_MULTIPLE
    from maisi_files import narrowed

    for name in PUBLISHED:
        model = narrowed(published_model(name))
        assert model.denoiser["spacing_mm"] == model.preset.spacing_mm
        assert padding_multiple(HoleDenoiser(**model.denoiser)) == DIMENSION_MULTIPLE
        assert model.preset.crop_cells * 4 * model.preset.spacing_mm >= (
            256 if "MR" in model.preset.modalities else 384
        )
