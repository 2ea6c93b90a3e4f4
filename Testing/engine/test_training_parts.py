"""The three trainings on small generated volumes: each ends with a component that loads, has learnt, and the next one takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.training.autoencoder import AutoencoderTask, train_autoencoder
from diffugts.training.configuration import starts_of
from diffugts.training.denoiser import DenoiserTask, cells_of, encode_volume, train_denoiser
from diffugts.training.generated_volumes import generated_volume
from diffugts.training.run import RunSettings, read_log
from diffugts.training.volumes import Volume, _store

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"
BODIES = {"CT": 0, "MR": 1}


@pytest.fixture(autouse=True, scope="module")
def a_precision_of_its_own() -> Iterator[None]:
    """accelerate holds one precision for a whole process, which is that of one command; here other tests trained before."""
    AcceleratorState._reset_state(True)
    yield
    AcceleratorState._reset_state(True)


@pytest.fixture(scope="module")
def volumes() -> list[Volume]:
    """Middles of generated thighs under the names of what is trained on and of what is held out, some with a tumour."""
    bodies = {modality: generated_volume(number) for modality, number in BODIES.items()}
    box = tuple(slice(n // 2 - 24, n // 2 + 24) for n in bodies["CT"].intensities.shape)
    tumour = np.zeros((48, 48, 48), bool)
    tumour[16:28, 20:32, 20:30] = True
    made = []
    for name, modality in (
        ("STS_001", "CT"),
        ("STS_003", "MR"),
        ("MS_1", "MR"),
        ("chris", "MR"),
        ("CRLM", "CT"),
        ("HN-CHUS", "CT"),
    ):
        body = bodies[modality]
        marked = tumour if name.startswith("STS") else np.zeros_like(tumour)
        cut = {part: getattr(body, part)[box] for part in ("intensities", "lesion_mimic", "healthy", "organs")}
        made.append(replace(body, name=name, tumour=marked, **cut | {"healthy": ~marked}))
    return made


@pytest.fixture(scope="module")
def packed(volumes: list[Volume], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("volumes")
    for volume in volumes:
        _store(volume, folder / f"{volume.name}.npz")
    return folder


def settings(**changed: object) -> RunSettings:
    return replace(RunSettings(0.04, 1e-3, warmup_steps=2, threads=1, validate_every_minutes=60), **changed)


def test_an_autoencoder_goes_on_from_a_trained_one_drawn_for_beside_it(packed: Path, tmp_path: Path) -> None:
    task = AutoencoderTask(crop=24, batch=2, processes=1)
    figures = train_autoencoder(packed, tmp_path, settings(learning_rate=1e-5), task, COMPACT / "autoencoder")
    assert figures["psnr_mr_db"] > 20, "what was learnt before is still there"
    trained = ScanAutoencoder.from_pretrained(tmp_path / "last")
    before = ScanAutoencoder.from_pretrained(COMPACT / "autoencoder")
    assert not torch.equal(trained.latent_mean, before.latent_mean.float()), "its latents were measured anew"
    assert starts_of(tmp_path)[0]["task"]["crop"] == 24


def test_a_denoiser_goes_on_from_a_trained_one_and_fills_holes_in_held_out_scans(packed: Path, tmp_path: Path) -> None:
    task = DenoiserTask(sizes=(12,), cells=2 * 12**3, processes=1, bodies=0)
    gentle, runs = settings(minutes=0.02, learning_rate=1e-6), (tmp_path / "on", tmp_path / "anew")
    figures, anew = (
        train_denoiser(packed, COMPACT / "autoencoder", folder, gentle, task, initial)
        for folder, initial in zip(runs, (COMPACT / "denoiser", None), strict=True)
    )
    assert figures["texture_velocity"] < 0.5 * anew["texture_velocity"]
    trained, before = (HoleDenoiser.from_pretrained(f) for f in (runs[0] / "last", COMPACT / "denoiser"))
    moved = [not torch.equal(a, b.float()) for a, b in zip(trained.parameters(), before.parameters(), strict=True)]
    assert any(moved) and list(read_log(runs[0]))
    assert [starts_of(run)[0]["inputs"]["initial"] for run in runs] == [str(COMPACT / "denoiser"), None]


def test_nothing_is_taught_in_a_tumour_or_beside_it(volumes: list[Volume]) -> None:
    volume = volumes[0]
    teach, body = cells_of(volume)
    assert teach.shape == body.shape == tuple(n // CELL for n in volume.intensities.shape)
    places = np.argwhere(volume.tumour) // CELL
    assert not teach[tuple(places.T)].any()
    beside = np.clip(places + [1, 0, 0], 0, np.array(teach.shape) - 1)
    assert not teach[tuple(beside[places[:, 0] == places[:, 0].max()].T)].all()
    assert teach.any() and body.any()


def test_a_volume_is_encoded_as_it_is_mirrored_and_varied(volumes: list[Volume]) -> None:
    autoencoder = ScanAutoencoder.from_pretrained(COMPACT / "autoencoder").eval()
    volume = volumes[2]
    encoded = list(encode_volume(autoencoder, volume, *cells_of(volume), 2, np.random.default_rng(0)))
    plain, mirrored, varied, _ = (latent.latents.float() for latent in encoded)
    assert torch.equal(encoded[1].body, encoded[0].body.flip(2))
    means = 0  # the other channels tell directions apart
    assert (mirrored.flip(3) - plain)[means].abs().mean() < 0.1 * plain[means].abs().mean()
    assert (varied - plain).abs().mean() > 0.05
    again = list(encode_volume(autoencoder, volume, *cells_of(volume), 2, np.random.default_rng(0)))
    assert torch.equal(again[3].latents, encoded[3].latents)
