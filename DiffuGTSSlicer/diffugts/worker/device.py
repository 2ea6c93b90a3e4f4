"""Which device computes: what was asked for, if it really works.

That a library lists a GPU does not mean that it computes: the driver may be too old, the build without kernels for
this card, its memory taken. So a device is tried with the operation that everything here is made of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from diffugts.errors import RequestError

EXPECTED = "'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'"
TOLERANCE = 1e-2
"""Largest difference between a device's convolution and the CPU's that is rounding (TF32 has 10 bits of mantissa)."""


@dataclass(frozen=True)
class DeviceChoice:
    """The device to compute on, as torch calls it, and sentences on why it is not the one that was hoped for."""

    name: str
    notes: tuple[str, ...] = ()


def choose_device(wanted: str) -> DeviceChoice:
    """The device for a request's `device`.

    "auto" is the first CUDA device that works, otherwise the CPU, with a note where a CUDA device is there but fails
    (MPS lacks some 3-D operations and is used only when asked for). Raises RequestError for a device that is named and
    does not work, or has no known name.
    """
    import torch

    if wanted == "auto":
        if not torch.cuda.is_available():
            return DeviceChoice("cpu")
        problem = device_problem("cuda")
        if problem is None:
            return DeviceChoice("cuda")
        return DeviceChoice("cpu", (f"The GPU could not be used, so the CPU was: {problem}",))
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", wanted):
        raise RequestError(f"The request's 'device' is {wanted!r:.80}, expected {EXPECTED}.")
    problem = device_problem(wanted)
    if problem is not None:
        raise RequestError(f"The device '{wanted}' cannot be used: {problem} Choose 'auto' or 'cpu'.")
    return DeviceChoice(wanted)


def device_problem(name: str) -> str | None:
    """Try a device with a small 3-D convolution against the CPU. None where it works, otherwise why not, in a sentence."""
    import torch

    if name == "cpu":
        return None
    if name == "mps" and not torch.backends.mps.is_available():
        return "this machine, or this build of torch, has no MPS device."
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            built = "is built without CUDA" if torch.version.cuda is None else "finds no CUDA device or driver"
            return f"torch {torch.__version__} {built}."
        count, number = torch.cuda.device_count(), int(name.partition(":")[2] or 0)
        if number >= count:
            return f"there are {count} CUDA devices, the first is cuda:0."
    generator = torch.Generator().manual_seed(0)
    volume = torch.randn(1, 4, 12, 12, 12, generator=generator)
    kernel = torch.randn(4, 4, 3, 3, 3, generator=generator)
    expected = torch.nn.functional.conv3d(volume, kernel)
    try:
        computed = torch.nn.functional.conv3d(volume.to(name), kernel.to(name)).cpu()
    except (
        RuntimeError,
        AssertionError,
        NotImplementedError,
    ) as error:  # what torch raises for drivers, kernels, memory
        return f"a small 3-D convolution on it failed ({_first_line(error)})."
    difference = float((computed - expected).abs().max() / expected.abs().max())
    if not difference < TOLERANCE:
        return f"a small 3-D convolution on it was wrong by {100 * difference:.1f} %."
    return None


def slow_convolutions(version: str | None = None) -> str | None:
    """Why this torch, or the one of `version`, should not compute 3-D networks, in a sentence; None for most.

    torch 2.9.0 and 2.9.1 came with a cuDNN whose 3-D convolutions in half precision take several times the time and memory
    (pytorch issues 166122 and 166643).
    """
    import torch

    version = version or torch.__version__
    if not re.match(r"2\.9\.", version):
        return None
    return (
        f"torch {version} is installed, whose 3-D convolutions are several times slower and need far more memory than those of "
        "the versions before and after it. Install torch 2.8, or 2.10 or later."
    )


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]:.200}" if text else type(error).__name__
