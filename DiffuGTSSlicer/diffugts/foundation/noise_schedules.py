"""Noise levels of MAISI's two generations, in terms of diffusers' schedulers.

Rectified flow (MAISI-v2). MAISI integrates x + v dt with v = z - e, t running from 1000 (noise) down to 0, and shifts
the time steps towards noise the larger the latents are; diffusers integrates x + v (s' - s) with v = e - z. The two are
one: FlowMatchEulerDiscreteScheduler with the sign turned and the levels of `flow_sigmas`.
MONAI's RFlowScheduler rounds time steps to half precision and the next one to a whole number; here nothing is rounded.

Denoising diffusion (MAISI-v1, the paper's). 1000 levels, betas from the square of a straight line between 0.0015**0.5
and 0.0195**0.5, the network predicts the noise (NV-Generate-CTMR, configs/config_network_ddpm.json).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler

TRAINING_STEPS = 1000
BASE_CELLS = 32**3
"""Latent cells for which MAISI's time steps are evenly spaced (MONAI, RFlowScheduler.base_img_size_numel)."""

BETA_START, BETA_END = 0.0015, 0.0195

DenoisingScheduler: TypeAlias = DDPMScheduler | DDIMScheduler | DPMSolverMultistepScheduler
NoiseScheduler: TypeAlias = FlowMatchEulerDiscreteScheduler | DenoisingScheduler
"""What a pipeline's `scheduler` may be."""

_BETAS = {
    "num_train_timesteps": TRAINING_STEPS,
    "beta_start": BETA_START,
    "beta_end": BETA_END,
    "beta_schedule": "scaled_linear",
    "prediction_type": "epsilon",
}


def flow_sigmas(steps: int, cells: int) -> list[float]:
    """MAISI's noise levels, from 1 downwards, for `steps` Euler steps over latents of `cells` cells; the last step ends at 0.

    t' = r t / (1 + (r - 1) t) with r = (cells / 32^3)^(1/3) and t evenly spaced: MONAI's `timestep_transform`.
    """
    ratio = (cells / BASE_CELLS) ** (1 / 3)
    even = 1.0 - np.arange(steps) / steps
    return [float(level) for level in ratio * even / (1 + (ratio - 1) * even)]


def flow_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """Rectified flow, to be used with `flow_sigmas`."""
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=TRAINING_STEPS, shift=1.0)


def denoising_scheduler(kind: str = "ddim") -> DenoisingScheduler:
    """MAISI-v1's noise levels for one of three samplers.

    "ddpm" is what the paper's foundation was trained with and needs all 1000 steps; "ddim" and "dpm++" (second order) do
    with fewer. None clips the latents. DDIM's steps are counted from the noisiest level down ("trailing"), so that each
    ends where the next begins; the known latents around a hole are noised to that same level.
    """
    if kind == "ddpm":
        return DDPMScheduler(**_BETAS, clip_sample=False)
    if kind == "ddim":
        return DDIMScheduler(**_BETAS, clip_sample=False, timestep_spacing="trailing")
    if kind == "dpm++":
        return DPMSolverMultistepScheduler(**_BETAS, algorithm_type="dpmsolver++", solver_order=2)
    raise ValueError(f"the sampler is '{kind}', expected 'ddpm', 'ddim' or 'dpm++'")


def signal_shares() -> torch.Tensor:
    """Cumulative alphas (1000,): x_t = sqrt(a_t) z + sqrt(1 - a_t) e."""
    betas = torch.linspace(BETA_START**0.5, BETA_END**0.5, TRAINING_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, dim=0)


def denoising_level(sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The time step and cumulative alpha whose noise, against the scan, is as in (1 - sigma) z + sigma e.

    `sigma` (n,) in 0..1; both results (n,). Sigma 1 is the noisiest level there is.
    """
    shares = signal_shares().to(sigma.device, torch.float32)
    noise_share = (1 - shares).sqrt() / ((1 - shares).sqrt() + shares.sqrt())
    step = (noise_share[None] - sigma[:, None].float()).abs().argmin(dim=1)
    return step, shares[step]
