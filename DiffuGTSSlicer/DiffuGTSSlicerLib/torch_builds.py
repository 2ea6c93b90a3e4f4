"""Which builds of PyTorch a user can choose from, and how large each is."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from slicer.i18n import tr as _

OTHERS_DOWNLOAD, OTHERS_ON_DISK = 0.27e9, 1.1e9
"""All packages but torch, in bytes: measured on Linux with Python 3.11 (2026-11)."""


@dataclass(frozen=True)
class TorchBuild:
    """One choice.

    Args:
        name: what is kept in the settings.
        title: for the list.
        explanation: one or two sentences.
        download_bytes, disk_bytes: of all packages with this build, about.
        needs_address: whether the user gives the address of the index.
    """

    name: str
    title: str
    explanation: str
    download_bytes: float
    disk_bytes: float
    needs_address: bool = False


STANDARD, OTHER_INDEX = "standard", "index"


def torch_builds(platform: str = sys.platform) -> tuple[TorchBuild, ...]:
    """The choices on a system ("linux", "win32", "darwin"), the usual one first.

    Which build a package index offers by default differs between systems. Other builds lie on indexes of their own,
    whose address PyTorch's web site tells.
    """
    if platform.startswith("linux"):
        standard = _build(
            _("Standard: NVIDIA GPU and CPU"),
            _("Uses an NVIDIA GPU where there is one, else the CPU. Large, because it brings NVIDIA's libraries."),
            3.0e9,
            6.0e9,
        )
    elif platform == "darwin":
        standard = _build(
            _("Standard: CPU and Apple GPU"),
            _("Made for this Mac. The CPU is used unless you choose the GPU."),
            0.1e9,
            0.5e9,
        )
    else:
        standard = _build(
            _("Standard: CPU"),
            _("Runs on every computer, without a GPU. For an NVIDIA GPU choose another index."),
            0.2e9,
            0.8e9,
        )
    other = TorchBuild(
        OTHER_INDEX,
        _("From another index: CPU only, or a certain CUDA version"),
        _(
            "Give the address that PyTorch's web site (pytorch.org, Get Started) shows after --index-url for your system: "
            "its CPU build is small; a CUDA build needs an NVIDIA GPU and a driver that is new enough."
        ),
        3.0e9 + OTHERS_DOWNLOAD,
        6.0e9 + OTHERS_ON_DISK,
        needs_address=True,
    )
    return standard, other


def chosen_build(name: str, address: str, platform: str = sys.platform) -> TorchBuild:
    """The build of this name, the usual one where there is none; a CPU build's address makes it a small one."""
    builds = torch_builds(platform)
    build = next((each for each in builds if each.name == name), builds[0])
    if build.needs_address and address.rstrip("/").endswith("cpu"):
        return replace(build, download_bytes=0.2e9 + OTHERS_DOWNLOAD, disk_bytes=0.8e9 + OTHERS_ON_DISK)
    return build


def nvidia_driver_found() -> bool:
    """Whether this computer seems to have an NVIDIA GPU with its driver; quick, and no proof."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia/version").exists()


def advice(build: TorchBuild, driver: bool, platform: str = sys.platform) -> str:
    """A sentence on whether the build fits this computer; empty where there is nothing to say."""
    if build.needs_address or platform == "darwin":
        return ""
    if platform.startswith("linux") and not driver:
        return _("No NVIDIA driver is found here: a CPU build, from another index, is enough and far smaller.")
    if not platform.startswith("linux") and driver:
        return _("An NVIDIA driver is found here: with a CUDA build, from another index, the GPU can be used.")
    return ""


def _build(title: str, explanation: str, torch_download: float, torch_on_disk: float) -> TorchBuild:
    return TorchBuild(STANDARD, title, explanation, torch_download + OTHERS_DOWNLOAD, torch_on_disk + OTHERS_ON_DISK)
