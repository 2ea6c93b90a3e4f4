"""Diffusers' schedulers, as they are used here, give what MONAI's give on which MAISI was trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDIMScheduler, DDPMScheduler, RFlowScheduler

from diffugts.foundation.noise_schedules import (
    denoising_level,
    denoising_scheduler,
    flow_scheduler,
    flow_sigmas,
    signal_shares,
)

SHAPE = (1, 4, 8, 12, 16)
MAISI_V1 = {
    "num_train_timesteps": 1000,
    "schedule": "scaled_linear_beta",
    "beta_start": 0.0015,
    "beta_end": 0.0195,
    "clip_sample": False,
}


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=generator(seed))


def said(sample: torch.Tensor, level: float) -> torch.Tensor:
    """Stands for a network: smooth, and dependent on the noise level."""
    return torch.tanh(sample) * (0.5 + 0.3 * level)


def rectified_flow(steps: int, cells: int) -> RFlowScheduler:
    scheduler = RFlowScheduler(
        num_train_timesteps=1000,
        use_discrete_timesteps=False,
        use_timestep_transform=True,
        sample_method="uniform",
        scale=1.4,
    )
    scheduler.set_timesteps(steps, input_img_size_numel=cells)
    return scheduler


@pytest.mark.parametrize("cells", [16**3, 32**3, 64 * 64 * 32, 128**3])
@pytest.mark.parametrize("steps", [4, 12, 30])
def test_noise_levels_of_rectified_flow_are_maisis(steps: int, cells: int) -> None:
    expected = rectified_flow(steps, cells).timesteps.double() / 1000
    # MONAI keeps its time steps in half precision: 11 bits.
    assert np.allclose(flow_sigmas(steps, cells), expected, rtol=2**-11)


def test_adding_noise_is_the_same() -> None:
    clean, noise, step = drawn(0), drawn(1), 640.0
    expected = rectified_flow(8, 32**3).add_noise(clean, noise, torch.tensor([step]))
    assert torch.allclose((1 - step / 1000) * clean + step / 1000 * noise, expected, atol=1e-6)


def test_the_whole_way_of_rectified_flow_ends_where_monais_does() -> None:
    steps, cells = 12, 32**3
    theirs = rectified_flow(steps, cells)
    expected = drawn(3)
    following = torch.cat([theirs.timesteps[1:], torch.zeros(1, dtype=theirs.timesteps.dtype)])
    for step, next_step in zip(theirs.timesteps, following):
        expected = theirs.step(said(expected, float(step) / 1000), step, expected, next_step)[0]
    ours, sample = flow_scheduler(), drawn(3)
    ours.set_timesteps(sigmas=flow_sigmas(steps, cells))
    for timestep, level in zip(ours.timesteps, ours.sigmas):
        sample = ours.step(-said(sample, float(level)), timestep, sample, return_dict=False)[0]
    # MONAI cuts the next time step to a whole number, an error of up to 1/1000 of a step each.
    assert float((sample - expected).abs().max()) < 5e-3
    assert float((expected - drawn(3)).abs().max()) > 0.1


def test_signal_and_noise_shares_are_maisi_v1s() -> None:
    assert torch.allclose(signal_shares().float(), DDPMScheduler(**MAISI_V1).alphas_cumprod, atol=1e-6)


@pytest.mark.parametrize("kind", ["ddpm", "ddim", "dpm++"])
def test_every_sampler_adds_noise_as_maisi_v1(kind: str) -> None:
    scheduler = denoising_scheduler(kind)
    scheduler.set_timesteps(20)
    step = scheduler.timesteps[5:6]
    expected = DDPMScheduler(**MAISI_V1).add_noise(drawn(0), drawn(1), step)
    assert torch.allclose(scheduler.add_noise(drawn(0), drawn(1), step), expected, atol=1e-5)


def test_ddim_goes_monais_way() -> None:
    theirs, ours = DDIMScheduler(**MAISI_V1), denoising_scheduler("ddim")
    theirs.set_timesteps(20)
    ours.set_timesteps(20)
    expected = sample = drawn(4)
    for step in ours.timesteps:
        expected = theirs.step(said(expected, float(step) / 1000), int(step), expected)[0]
        sample = ours.step(said(sample, float(step) / 1000), step, sample, return_dict=False)[0]
    assert torch.allclose(sample, expected, atol=1e-4)
    assert float((sample - drawn(4)).abs().max()) > 0.1


def test_ddims_steps_lead_from_the_noisiest_level_to_none_without_a_gap() -> None:
    ours = denoising_scheduler("ddim")
    ours.set_timesteps(20)
    assert ours.timesteps[0] == 999 and ours.timesteps[-1] - 50 == -1
    assert set((ours.timesteps[:-1] - ours.timesteps[1:]).tolist()) == {50}


def test_ddpm_goes_monais_way_with_the_same_chance() -> None:
    theirs, ours = DDPMScheduler(**MAISI_V1), denoising_scheduler("ddpm")
    theirs.set_timesteps(1000)
    ours.set_timesteps(1000)
    expected = sample = drawn(5)
    first, second = generator(6), generator(6)
    for step in ours.timesteps[::50]:
        expected = theirs.step(said(expected, float(step) / 1000), int(step), expected, generator=first)[0]
        sample = ours.step(said(sample, float(step) / 1000), step, sample, generator=second, return_dict=False)[0]
    assert torch.allclose(sample, expected, atol=1e-4)


def test_dpm_solver_with_few_steps_comes_near_ddim_with_many() -> None:
    """There is none in MONAI: it solves the same equation as DDIM, so it must end where DDIM ends with many steps."""

    def end(kind: str, steps: int) -> torch.Tensor:
        scheduler, sample = denoising_scheduler(kind), drawn(7)
        scheduler.set_timesteps(steps)
        for step in scheduler.timesteps:
            share = signal_shares()[int(step)].float()
            # The exact answer for standard normal latents: the noise in x is x times its share.
            sample = scheduler.step(sample * (1 - share).sqrt(), step, sample, return_dict=False)[0]
        return sample

    exact = end("ddim", 1000)
    assert float((end("dpm++", 20) - exact).abs().mean()) < 0.05
    assert float((end("dpm++", 20) - exact).abs().mean()) < float((end("ddim", 20) - exact).abs().mean())


def test_a_flow_level_is_given_the_time_step_with_the_same_share_of_noise() -> None:
    steps, shares = denoising_level(torch.tensor([0.1, 0.5, 0.9]))
    noise, signal = (1 - shares).sqrt(), shares.sqrt()
    assert torch.allclose(noise / (noise + signal), torch.tensor([0.1, 0.5, 0.9]), atol=2e-3)
    assert steps.tolist() == sorted(steps.tolist())


def test_an_unknown_sampler_is_refused() -> None:
    with pytest.raises(ValueError, match="'ddpm', 'ddim' or 'dpm"):
        denoising_scheduler("euler")
